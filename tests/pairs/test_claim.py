"""Who may write pairs: one at a time, and the next one once nobody renews the claim."""

import asyncio

import pytest
from redis.asyncio import Redis
from support.tasks import ended

from arbees_feed.core.wire import Names
from arbees_feed.errors import RedisUnavailable
from arbees_feed.pairs.claim import CLAIM_TTL_S, FRESH_S, AnotherMatcher, Claim

NAMES = Names("t:")
KEY = "t:feed:pairs:owner"


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


async def held(redis: Redis) -> Claim:
    claim = Claim(redis, NAMES)
    assert await claim.take(asyncio.Event())
    return claim


async def test_the_first_one_has_it_until_it_gives_it_back(redis: Redis) -> None:
    first = await held(redis)
    assert first.fresh
    assert await redis.get(KEY) == first.owner.encode()
    assert 0 < await redis.ttl(KEY) <= CLAIM_TTL_S
    await first.release()
    assert not first.fresh
    assert not await redis.exists(KEY)
    await held(redis)


async def test_a_second_one_is_refused_while_the_first_one_renews_it(redis: Redis) -> None:
    first = await held(redis)

    async def renewing() -> None:
        while True:
            await first.renew()
            await asyncio.sleep(0.1)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(renewing())
        second = Claim(redis, NAMES)
        pid = first.owner.partition(".")[0]
        with pytest.raises(AnotherMatcher, match=rf"\(process {pid}\) writes .* {KEY} says"):
            async with asyncio.timeout(10):
                await second.take(asyncio.Event())
        await ended(task)
    assert not second.fresh


async def test_what_a_killed_one_left_is_waited_for(redis: Redis) -> None:
    first = await held(redis)
    second = Claim(redis, NAMES)
    async with asyncio.timeout(CLAIM_TTL_S + 10), asyncio.TaskGroup() as group:
        task = group.create_task(second.take(asyncio.Event()))
        await redis.pexpire(KEY, 700)
    assert task.result()
    assert second.fresh
    with pytest.raises(AnotherMatcher):
        await first.renew()
    assert not first.fresh
    with pytest.raises(AnotherMatcher):
        await first.release()
    assert await redis.get(KEY) == second.owner.encode()


async def test_waiting_ends_when_it_is_told_to(redis: Redis) -> None:
    await held(redis)
    stop = asyncio.Event()
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        task = group.create_task(Claim(redis, NAMES).take(stop))
        for _ in range(3):  # it asks meanwhile
            await redis.ping()
        stop.set()
    assert task.result() is False


async def test_a_claim_that_never_expires_is_not_waited_for(redis: Redis) -> None:
    await redis.set(KEY, "\x1b[31mwho")
    with pytest.raises(AnotherMatcher, match=r"process \[31mwho"):
        await Claim(redis, NAMES).take(asyncio.Event())


async def test_a_claim_that_redis_has_lost_is_taken_again_and_told(redis: Redis) -> None:
    claim = await held(redis)
    assert await claim.renew()
    await redis.flushall()
    assert not await claim.renew()
    assert await claim.renew()
    assert await redis.get(KEY) == claim.owner.encode()


async def test_it_is_fresh_only_while_nobody_else_can_have_it(redis: Redis) -> None:
    clock = Clock()
    claim = Claim(redis, NAMES, monotonic=clock)
    assert not claim.fresh
    await claim.take(asyncio.Event())
    clock.now_s += FRESH_S - 0.1
    assert claim.fresh
    clock.now_s += 0.2
    assert not claim.fresh
    await claim.renew()
    assert claim.fresh


async def test_a_server_that_is_not_there_is_an_error_to_try_again_after() -> None:
    redis = Redis.from_url("redis://127.0.0.1:1/0")
    claim = Claim(redis, NAMES)
    for asked in (claim.take(asyncio.Event()), claim.renew(), claim.release()):
        with pytest.raises(RedisUnavailable, match="the claim on pairs"):
            await asked
    await redis.aclose()
