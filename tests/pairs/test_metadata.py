"""Following metadata in Redis: all of it, what changes, what goes, and over losses."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from arbees_feed.core.wire import MetadataNews, Names
from arbees_feed.errors import RedisUnavailable
from arbees_feed.pairs.metadata import AT_ONCE, Meta, MetadataFollower

NAMES = Names("t:")


class Taken:
    """Remembers what it was told, and wakes who waits for it."""

    def __init__(self) -> None:
        self.known: dict[str, dict[str, str]] = {}
        self.scans = 0
        self.told = 0
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

    async def until(self, **expected: object) -> None:
        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(
                lambda: all(getattr(self, name) == value for name, value in expected.items())
            )


@asynccontextmanager
async def following(
    redis: Redis, taken: Taken, rescan_s: float = 1_000.0
) -> AsyncIterator[MetadataFollower]:
    follower = MetadataFollower(
        redis, NAMES, ["kalshi", "polymarket"], taken, fields=["platform", "title"],
        rescan_s=rescan_s, timeout_s=5.0,
    )  # fmt: skip
    async with asyncio.TaskGroup() as group:
        task = group.create_task(follower.run())
        yield follower
        task.cancel()


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
    async with following(redis, taken) as follower:
        await taken.until(scans=1)
        await redis.publish(NAMES.meta_news(), b"\xc1")
        await put(redis, "kalshi", "K1", "one")
        await say(redis, "elsewhere", "K1")
        await say(redis, "kalshi", "K1")
        await taken.until(told=1)
        assert follower.unreadable == 1


async def test_a_server_that_is_not_there_is_an_error_to_try_again_after() -> None:
    redis = Redis.from_url("redis://127.0.0.1:1/0")
    follower = MetadataFollower(redis, NAMES, ["kalshi"], Taken(), fields=["platform"])
    with pytest.raises(RedisUnavailable, match="metadata could not be read"):
        await follower.run()
    await redis.aclose()


async def test_a_server_that_has_lost_its_data_has_time_to_be_filled_again(redis: Redis) -> None:
    await put(redis, "kalshi", "K1", "one")
    taken = Taken()
    follower = MetadataFollower(redis, NAMES, ["kalshi"], taken, fields=["platform", "title"])
    for scan in (1, 2):
        async with asyncio.TaskGroup() as group:
            task = group.create_task(follower.run())
            await taken.until(scans=scan)
            task.cancel()
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
