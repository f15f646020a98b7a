"""Following metadata in Redis: all of it, what changes, what goes, and over losses."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext
from typing import Any, cast

import pytest
from redis.asyncio import Redis
from support.tasks import ended

from arbees_feed.core.wire import MetadataNews, Names
from arbees_feed.errors import RedisUnavailable
from arbees_feed.pairs.metadata import AT_ONCE, MOST_BYTES, Meta, MetadataFollower
from arbees_feed.pairs.unreadable import Unreadable

NAMES = Names("t:")


class Taken:
    """Remembers what it was told, and wakes who waits for it."""

    def __init__(self) -> None:
        self.known: dict[str, dict[str, str]] = {}
        self.scans = 0
        self.told = 0
        self.unreadable = Unreadable()
        self._changed = asyncio.Condition()

    async def found(self, metas: Sequence[Meta]) -> None:
        async with self._changed:
            self.told += len(metas)
            self.known.update((meta.market_id, meta.fields) for meta in metas)
            self._changed.notify_all()

    async def gone(self, markets: Sequence[str]) -> None:
        async with self._changed:
            for market in markets:
                del self.known[market]
            self._changed.notify_all()

    async def scanned(self) -> None:
        async with self._changed:
            self.scans += 1
            self._changed.notify_all()

    async def until_told(self, least: int) -> None:
        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(lambda: self.told >= least)

    async def until(self, **expected: object) -> None:
        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(
                lambda: all(getattr(self, name) == value for name, value in expected.items())
            )


@asynccontextmanager
async def following(redis: Redis, taken: Taken, rescan_s: float = 1_000.0) -> AsyncIterator[None]:
    follower = MetadataFollower(
        lambda: nullcontext(redis), NAMES, ["kalshi", "polymarket"], taken,
        fields=["platform", "title"], unreadable=taken.unreadable, rescan_s=rescan_s,
    )  # fmt: skip
    async with asyncio.TaskGroup() as group:
        task = group.create_task(follower.run())
        try:
            yield
        finally:
            await ended(task)


async def put(redis: Redis, venue: str, market: str, title: str) -> None:
    fields = {"platform": venue, "title": title, "rules": "long"}
    await redis.hset(NAMES.meta(market), mapping=fields)
    await redis.zadd(NAMES.volume(venue), {market: 0})


async def say(redis: Redis, venue: str, *markets: str) -> None:
    await redis.publish(NAMES.meta_news(), MetadataNews(venue, markets).to_msgpack())


async def test_all_is_read_then_what_changes(redis: Redis) -> None:
    for number in range(AT_ONCE + 5):
        await put(redis, "kalshi", f"K{number}", f"old {number}")
    await put(redis, "polymarket", "77", "theirs")
    taken = Taken()
    async with following(redis, taken):
        await taken.until(scans=1)
        assert len(taken.known) == AT_ONCE + 6
        assert taken.known["77"] == {"platform": "polymarket", "title": "theirs"}
        await put(redis, "kalshi", "K3", "new")
        await put(redis, "kalshi", "K900", "added")
        before = taken.told
        await say(redis, "kalshi", "K3", "K900")
        await taken.until(told=before + 2)
        assert taken.known["K3"]["title"] == "new"
        assert taken.known["K900"]["title"] == "added"


async def test_what_is_removed_is_told_once(redis: Redis) -> None:
    await put(redis, "kalshi", "K1", "one")
    await put(redis, "kalshi", "K2", "two")
    taken = Taken()
    async with following(redis, taken):
        await taken.until(scans=1)
        await redis.delete(NAMES.meta("K1"))
        await redis.zrem(NAMES.volume("kalshi"), "K1")
        await say(redis, "kalshi", "K1", "K-never-seen")
        await taken.until(known={"K2": {"platform": "kalshi", "title": "two"}})


async def test_a_lost_message_is_made_good_by_the_next_scan(redis: Redis) -> None:
    await put(redis, "kalshi", "K1", "one")
    await put(redis, "kalshi", "K2", "two")
    taken = Taken()
    async with following(redis, taken, rescan_s=0.01):
        await taken.until(scans=1)
        await put(redis, "kalshi", "K3", "three")
        await redis.delete(NAMES.meta("K1"))  # its rank stays: the hash is what counts
        await redis.delete(NAMES.meta("K2"))
        await redis.zrem(NAMES.volume("kalshi"), "K2")
        await taken.until(known={"K3": {"platform": "kalshi", "title": "three"}})


async def test_what_is_no_message_of_ours_is_counted(redis: Redis) -> None:
    taken = Taken()
    async with following(redis, taken):
        await taken.until(scans=1)
        await redis.publish(NAMES.meta_news(), b"\xc1")
        await put(redis, "kalshi", "K1", "one")
        await say(redis, "elsewhere", "K1")
        await say(redis, "kalshi", "K1")
        await taken.until(told=1)
        assert taken.unreadable.count == 1


async def test_a_server_that_is_not_there_is_an_error_to_try_again_after() -> None:
    redis = Redis.from_url("redis://127.0.0.1:1/0")
    follower = MetadataFollower(
        lambda: nullcontext(redis),
        NAMES,
        ["kalshi"],
        Taken(),
        fields=["platform"],
        unreadable=Unreadable(),
    )
    with pytest.raises(RedisUnavailable, match="metadata could not be read"):
        await follower.run()
    await redis.aclose()


async def test_a_server_that_has_lost_its_data_has_time_to_be_filled_again(redis: Redis) -> None:
    await put(redis, "kalshi", "K1", "one")
    taken = Taken()
    follower = MetadataFollower(
        lambda: nullcontext(redis),
        NAMES,
        ["kalshi"],
        taken,
        fields=["platform", "title"],
        unreadable=taken.unreadable,
    )
    for scan in (1, 2):
        async with asyncio.TaskGroup() as group:
            task = group.create_task(follower.run())
            await taken.until(scans=scan)
            await ended(task)
        await redis.flushall()
    assert set(taken.known) == {"K1"}


async def test_what_is_no_name_is_left_out(redis: Redis) -> None:
    await put(redis, "kalshi", "K 1\n", "one")
    taken = Taken()
    async with following(redis, taken):
        await taken.until(scans=1)
        await put(redis, "kalshi", "K2", "two")
        await say(redis, "kalshi", "K 1\n", "K2")
        await taken.until(told=1)
    assert set(taken.known) == {"K2"}


async def test_a_key_of_another_kind_costs_its_market_only(redis: Redis) -> None:
    for number in range(3):
        await put(redis, "kalshi", f"K{number}", "a title")
    await redis.delete(NAMES.meta("K1"))
    await redis.set(NAMES.meta("K1"), "a string")
    taken = Taken()
    async with following(redis, taken):
        await taken.until(scans=1)
        assert set(taken.known) == {"K0", "K2"}
        assert taken.unreadable.count == 1
        # It is known once it is what it should be, and forgotten when it is not.
        await redis.delete(NAMES.meta("K1"))
        await put(redis, "kalshi", "K1", "a title")
        await say(redis, "kalshi", "K1")
        await taken.until(told=3)
        await redis.delete(NAMES.meta("K2"))
        await redis.rpush(NAMES.meta("K2"), "a list")
        await say(redis, "kalshi", "K2")
        await taken.until(known={name: taken.known[name] for name in ("K0", "K1")})


async def test_a_text_that_enrichment_cannot_have_written_is_left_out(redis: Redis) -> None:
    await put(redis, "kalshi", "K1", "x" * (MOST_BYTES + 1))
    await put(redis, "kalshi", "K2", "\u20ac" * 20_000)
    taken = Taken()
    async with following(redis, taken):
        await taken.until(scans=1)
    assert set(taken.known) == {"K2"}
    assert taken.unreadable.count == 1


class Flooded:
    """A channel on which there is always one more message."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self.is_over = False

    def pubsub(self, **_: object) -> "Flooded":
        return self

    async def subscribe(self, _: str) -> None:
        pass

    async def get_message(self, **_: float) -> dict[str, bytes]:
        if self.is_over:
            await asyncio.Event().wait()
        return {"data": MetadataNews("kalshi", ("K1",)).to_msgpack()}

    async def aclose(self) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        return getattr(self._redis, name)


async def test_a_flood_of_messages_does_not_keep_markets_from_being_read(redis: Redis) -> None:
    await put(redis, "kalshi", "K1", "one")
    taken = Taken()
    flooded = Flooded(redis)
    async with following(cast("Redis", flooded), taken):
        await taken.until_told(3)
        flooded.is_over = True  # else redis-py may swallow one cancellation after the other
