"""What `top` reads of a real server, and how it takes the loss of one."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from arbees_feed.cli.toplink import Link, Message
from arbees_feed.cli.topreader import TopReader
from arbees_feed.core.wire import Names
from arbees_feed.errors import RedisUnavailable
from arbees_feed.transport.redis import open_client


class Kept:
    """Keeps what it is told, and lets tests wait for it."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self._more = asyncio.Event()

    def _tell(self, *what: Any) -> None:
        self.told.append(what)
        self._more.set()

    def on_messages(self, messages: Sequence[Message], now_s: float, now_ns: int) -> None:
        assert now_s > 0
        assert now_ns > 0
        for channel, data in messages:
            self._tell("price", channel, data)

    def on_last(self, market_id: str, data: bytes, now_s: float) -> None:
        assert now_s > 0
        self._tell("last", market_id, data)

    def on_beat(self, data: bytes, now_s: float) -> None:
        assert now_s > 0
        self._tell("beat", data)

    def on_venue(self, name: str, fields: Mapping[str, str], now_s: float) -> None:
        assert now_s > 0
        self._tell("venue", name, dict(fields))

    def on_book(self, market_id: str, data: bytes) -> None:
        self._tell("book", market_id, data)

    def on_titles(self, found: Mapping[str, Mapping[str, str]]) -> None:
        self._tell("titles", {market: dict(meta) for market, meta in found.items()})

    def on_found(self, text: str, hits: Mapping[str, Mapping[str, str]]) -> None:
        self._tell("found", text, {market: meta["title"] for market, meta in hits.items()})

    def on_join(self, now_s: float) -> None:
        assert now_s > 0
        self._tell("join")

    async def until(self, *what: Any) -> None:
        async with asyncio.timeout(5):
            while what not in self.told:
                self._more.clear()
                await self._more.wait()


class Running:
    """A reader that runs, and a client beside it."""

    def __init__(self, client: Any, reader: TopReader, kept: Kept, task: Any) -> None:
        self.client = client
        self.reader = reader
        self.kept = kept
        self.task = task


@asynccontextmanager
async def reading(url: str, prefix: str = "") -> AsyncIterator[Running]:
    kept = Kept()
    async with open_client(url, timeout_s=2.0) as client, asyncio.TaskGroup() as group:
        reader = TopReader(url, client, Names(prefix), kept, timeout_s=2.0)

        async def run() -> BaseException | None:
            try:
                await reader.run()
            except (RedisUnavailable, ExceptionGroup) as exc:
                return exc
            return None

        task = group.create_task(run())
        yield Running(client, reader, kept, task)
        task.cancel()


async def test_it_joins_and_then_hears_everything(server: str) -> None:
    async with open_client(server, timeout_s=2.0) as client:
        await client.set("p?*:market:OLD:last", b"old")
        await client.sadd("p?*:feed:markets:kalshi", "OLD", "EXPIRED")
        await client.hset("p?*:feed:venue:kalshi", mapping={"state": "live"})
    async with reading(server, "p?*:") as running:
        kept = running.kept
        await kept.until("join")
        assert kept.told.index(("last", "OLD", b"old")) < kept.told.index(("join",))
        assert ("venue", "kalshi", {"state": "live"}) in kept.told
        assert ("venue", "polymarket", {}) in kept.told
        await running.client.publish("p?*:market:NEW:price", b"new")
        await running.client.publish("pXX:market:OTHER:price", b"of another feed")
        await running.client.publish("p?*:feed:status", b"beat")
        await kept.until("price", b"p?*:market:NEW:price", b"new")
        await kept.until("beat", b"beat")
        await running.client.hset("p?*:feed:venue:kalshi", mapping={"state": "stale"})
        await kept.until("venue", "kalshi", {"state": "stale"})
        assert not any("OTHER" in str(what) for what in kept.told)


async def test_depth_is_read_of_the_market_that_is_looked_at(server: str) -> None:
    async with reading(server) as running:
        client, kept = running.client, running.kept
        running.reader.look_at("A")  # also before there is a connection
        await kept.until("join")
        await client.publish("market:A:book", b"a")
        await kept.until("book", "A", b"a")
        running.reader.look_at("B")
        async with asyncio.timeout(5):
            while not await client.publish("market:B:book", b"b"):
                pass  # the reader has not subscribed yet
        await kept.until("book", "B", b"b")
        assert await client.publish("market:A:book", b"a") == 0


async def test_questions_of_the_screen_are_answered(server: str) -> None:
    async with open_client(server, timeout_s=2.0) as client:
        await client.hset("market:A:meta", mapping={"title": "Will Denver win?", "platform": "k"})
        await client.sadd("feed:search", "kalshi")
        await client.zadd("feed:search:kalshi", {"denver": 0})
        await client.sadd("feed:search:kalshi:denver", "A")
        await client.zadd("feed:volume:kalshi", {"A": 1.0})
    async with reading(server) as running:
        await running.kept.until("join")
        running.reader.want_titles(["A", "B"])
        found = {"A": {"title": "Will Denver win?", "platform": "k"}, "B": {}}
        await running.kept.until("titles", found)
        running.reader.seek("x")
        running.reader.seek("denv")
        await running.kept.until("found", "denv", {"A": "Will Denver win?"})
        assert ("found", "x", {}) not in running.kept.told, "only the last question counts"
        running.reader.seek(" ")
        await running.kept.until("found", " ", {})


async def test_a_lost_connection_is_an_error_that_may_pass(server: str) -> None:
    async with reading(server) as running:
        await running.kept.until("join")
        await running.client.client_kill_filter(_type="pubsub")
        error = await running.task
        assert isinstance(error, ExceptionGroup)
        assert error.subgroup(RedisUnavailable) is not None


async def test_a_user_who_may_not_subscribe_is_told_so(server: str) -> None:
    async with open_client(server, timeout_s=2.0) as client:
        await client.execute_command(
            "ACL", "SETUSER", "u", "on", ">p", "~*", "+@all", "resetchannels"
        )
    async with reading(server.replace("redis://", "redis://u:p@")) as running:
        error = await running.task
        assert isinstance(error, RedisUnavailable)
        assert "No permissions" in str(error)


class Silent(asyncio.Transport):
    """A connection over which nothing comes."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def abort(self) -> None:
        self.aborted = True


async def test_a_server_that_says_nothing_is_asked_and_then_given_up() -> None:
    transport = Silent()
    link = Link(transport, lambda _prices, _others: None, silence_s=0.01)
    with pytest.raises(RedisUnavailable, match="no sign of life"):
        await link.lost()
    assert transport.written == b"*1\r\n$4\r\nPING\r\n"
    assert transport.aborted


async def test_nonsense_ends_the_connection_and_keeps_what_came_before() -> None:
    taken: list[Message] = []
    link = Link(Silent(), lambda prices, _others: taken.extend(prices))
    link.data_received(b"*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$1\r\nc\r\n$1\r\nd\r\nnonsense")
    with pytest.raises(RedisUnavailable, match="unreadable"):
        await link.lost()
    assert taken == [(b"c", b"d")]
