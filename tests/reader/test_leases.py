"""Leases are renewed while a reader reads, and cut short when it ends, unless others hold them."""

import asyncio
import math
import time

import pytest
from redis.asyncio import Redis

from arbees_feed.reader import PriceReader
from arbees_feed.reader.leases import Leases

WATCH = {"kalshi": ("KX-1", "KX-2")}
KEY = "feed:watch:kalshi"


def test_leases_are_due_ten_times_before_they_end() -> None:
    leases = Leases(WATCH, 30.0)
    assert leases.due(100.0)
    assert list(leases.renewals(100.0, 5_000.0)) == [("kalshi", {"KX-1": 5_030.0, "KX-2": 5_030.0})]
    assert not leases.due(102.9)
    assert leases.due(103.0)
    leases.renew_now()
    assert leases.due(100.0)


def test_only_leases_that_nobody_prolonged_are_cut() -> None:
    leases = Leases(WATCH, 30.0)
    assert leases.held() == {}
    list(leases.renewals(100.0, 5_000.0))
    assert leases.held() == WATCH
    scores = {"KX-1": 5_030.0, "KX-2": 5_030.1}
    assert leases.cut("kalshi", scores, 5_001.0) == {"KX-1": 5_005.5}
    assert leases.cut("kalshi", {"KX-1": None, "KX-2": math.inf}, 5_001.0) == {}
    # All but over: it is not made longer.
    assert leases.cut("kalshi", scores, 5_029.0) == {}


def test_without_leases_nothing_is_due() -> None:
    assert not Leases({}, 30.0).due(100.0)


async def test_a_reader_holds_its_leases_and_ends_them(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as client:
        await client.zadd(KEY, {"KX-2": math.inf})
        async with PriceReader(redis_url, watch=WATCH, lease_s=10.0) as reader:
            first = dict(await client.zrange(KEY, 0, -1, withscores=True))
            assert first[b"KX-1"] == pytest.approx(time.time() + 10.0, abs=2.0)
            assert first[b"KX-2"] == math.inf
            async with asyncio.timeout(30.0):
                while await client.zscore(KEY, "KX-1") == first[b"KX-1"]:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)  # renewed after 1 s; Redis tells nobody
            assert reader.stats.lease_errors == 0
        ends = dict(await client.zrange(KEY, 0, -1, withscores=True))
        assert ends[b"KX-1"] < time.time() + 1.6
        assert ends[b"KX-2"] == math.inf


async def test_leases_that_redis_forgot_are_written_again(redis_url: str) -> None:
    async with (
        Redis.from_url(redis_url) as client,
        PriceReader(redis_url, watch=WATCH, lease_s=5.0),
    ):
        await client.delete(KEY)
        async with asyncio.timeout(20.0):
            while await client.zcard(KEY) != 2:  # noqa: ASYNC110 - Redis tells nobody
                await asyncio.sleep(0.05)


async def test_a_server_that_takes_no_leases_is_read_all_the_same(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as client:
        await client.execute_command("REPLICAOF", "127.0.0.1", 1)
        async with PriceReader(redis_url, watch=WATCH) as reader:
            assert reader.stats.lease_errors == 1
            assert reader.trouble == ""
        await client.execute_command("REPLICAOF", "NO", "ONE")
