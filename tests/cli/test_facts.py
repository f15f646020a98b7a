"""What is read beside the prices, from a real server: counters, titles, searches, and depth."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis.asyncio import Redis
from support.feed import url_of, valkey

from arbees_feed.cli.facts import Facts
from arbees_feed.cli.topdepth import Depth
from arbees_feed.config import RedisSettings
from arbees_feed.config.forms import RedisUrl
from arbees_feed.errors import RedisUnavailable


def settings(url: str, prefix: str = "") -> RedisSettings:
    return RedisSettings(url=RedisUrl(url), key_prefix=prefix)


class Kept:
    """Keeps what it is told, and lets tests wait for it."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.wanted: list[str] = []
        self._more = asyncio.Event()

    def _tell(self, *what: Any) -> None:
        self.told.append(what)
        self._more.set()

    def on_venue(self, venue: str, fields: Mapping[str, str], now_s: float) -> None:
        assert now_s > 0
        self._tell("venue", venue, dict(fields))

    def on_titles(self, found: Mapping[str, Mapping[str, str]]) -> None:
        self._tell("titles", {market: dict(meta) for market, meta in found.items()})

    def on_found(self, text: str, hits: Mapping[str, Mapping[str, str]]) -> None:
        self._tell("found", text, {market: meta["title"] for market, meta in hits.items()})

    def on_book(self, data: bytes) -> None:
        self._tell("book", data)

    def untitled(self) -> Sequence[str]:
        wanted, self.wanted = self.wanted, []
        return wanted

    async def until(self, *what: Any) -> None:
        async with asyncio.timeout(30):
            while what not in self.told:
                self._more.clear()
                await self._more.wait()


@asynccontextmanager
async def reading(service: Facts | Depth) -> AsyncIterator["asyncio.Task[BaseException | None]"]:
    """Run a service; its task returns what ended it."""

    async def run() -> BaseException | None:
        try:
            await service.run()
        except (RedisUnavailable, ExceptionGroup) as exc:
            return exc
        return None

    async with asyncio.TaskGroup() as group:
        task = group.create_task(run())
        yield task
        task.cancel()


@pytest.fixture
async def client(server: str) -> AsyncIterator[Any]:
    async with Redis.from_url(server) as made:
        yield made


async def test_counters_of_venues_are_read_again_and_again(server: str, client: Any) -> None:
    kept = Kept()
    await client.hset("p?*:feed:venue:kalshi", mapping={"state": "live"})
    facts = Facts(
        settings(server, "p?*:"), kept, venues=["newvenue"], untitled=kept.untitled, sleep=at_once
    )
    async with reading(facts):
        await kept.until("venue", "kalshi", {"state": "live"})
        await kept.until("venue", "polymarket", {})
        await kept.until("venue", "newvenue", {})
        await client.hset("p?*:feed:venue:kalshi", mapping={"state": "stale"})
        await kept.until("venue", "kalshi", {"state": "stale"})


async def at_once(_seconds: float) -> None:
    await asyncio.sleep(0.01)


async def test_questions_of_the_screen_are_answered(server: str, client: Any) -> None:
    await client.hset("market:A:meta", mapping={"title": "Will Denver win?", "platform": "k"})
    await client.sadd("feed:search", "kalshi")
    await client.zadd("feed:search:kalshi", {"denver": 0})
    await client.sadd("feed:search:kalshi:denver", "A")
    await client.zadd("feed:volume:kalshi", {"A": 1.0})
    kept = Kept()
    facts = Facts(settings(server), kept, venues=(), untitled=kept.untitled)
    async with reading(facts):
        kept.wanted = ["A", "B"]
        facts.ask()
        found = {"A": {"title": "Will Denver win?", "platform": "k"}, "B": {}}
        await kept.until("titles", found)
        facts.seek("x")
        facts.seek("denv")
        await kept.until("found", "denv", {"A": "Will Denver win?"})
        assert ("found", "x", {}) not in kept.told, "only the last question counts"
        facts.seek(" ")
        await kept.until("found", " ", {})


async def test_a_redis_that_goes_is_an_error_that_may_pass() -> None:
    kept = Kept()
    with valkey() as own:
        facts = Facts(settings(url_of(own)), kept, venues=(), untitled=kept.untitled, sleep=at_once)
        async with reading(facts) as task:
            await kept.until("venue", "kalshi", {})
            own.stop()
            assert the_cause(await task)


async def test_a_user_without_rights_is_told_and_tried_again(server: str, client: Any) -> None:
    await client.execute_command("ACL", "SETUSER", "u", "on", ">p", "~*", "&*", "+@all", "-hgetall")
    kept = Kept()
    url = server.replace("redis://", "redis://u:p@")
    async with reading(Facts(settings(url), kept, venues=(), untitled=kept.untitled)) as task:
        assert "hgetall" in str(the_cause(await task))


def the_cause(error: BaseException | None) -> BaseException:
    assert error is not None
    while isinstance(error, ExceptionGroup):
        (error,) = error.exceptions
    assert isinstance(error, RedisUnavailable)
    return error


# -- depth -----------------------------------------------------------------------------------------


async def publish(client: Any, channel: str, data: bytes) -> None:
    """Publish until somebody has heard it."""
    async with asyncio.timeout(30):
        while not await client.publish(channel, data):
            pass


async def test_depth_is_heard_of_the_market_that_is_looked_at(server: str, client: Any) -> None:
    kept = Kept()
    depth = Depth(settings(server, "p:"), kept.on_book)
    async with reading(depth):
        depth.look_at("A")
        await publish(client, "p:market:A:book", b"a")
        await kept.until("book", b"a")
        depth.look_at("B")
        await publish(client, "p:market:B:book", b"b")
        await kept.until("book", b"b")
        assert await client.publish("p:market:A:book", b"a") == 0
        depth.look_at(None)
        async with asyncio.timeout(30):
            while await client.publish("p:market:B:book", b"b"):
                pass


async def test_depth_is_heard_again_after_a_loss(server: str, client: Any) -> None:
    kept = Kept()
    depth = Depth(settings(server), kept.on_book)
    depth.look_at("A")  # also before there is a connection
    async with reading(depth) as task:
        await publish(client, "market:A:book", b"a")
        await client.client_kill_filter(_type="pubsub")
        assert the_cause(await task)
    async with reading(depth):
        await publish(client, "market:A:book", b"again")
        await kept.until("book", b"again")
