"""The seconds of the matcher: its claim, what is written each of them, and what Redis has lost."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import pytest
from redis.asyncio import Redis

from arbees_feed.core.wire import Names
from arbees_feed.errors import RedisUnavailable
from arbees_feed.pairs.claim import Claim
from arbees_feed.pairs.clock import PairClock
from arbees_feed.pairs.service import Coverage
from arbees_feed.pairs.store import PairStore

NAMES = Names("t:")
LEGS = {"kalshi": ["K-1"], "polymarket": ["77", "78"]}


class Service:
    """Counts how often it is told to write everything again; refuses when told to."""

    ready = True

    def __init__(self) -> None:
        self.restored = 0
        self.refusing = False

    def tick(self) -> Coverage:
        return Coverage(
            markets=3, pairs=2, confirmed=2, by_user=0, live=1, contradicted=0, unreadable=4,
            published=9,
        )  # fmt: skip

    async def restore(self) -> None:
        if self.refusing:
            raise RedisUnavailable("away")
        self.restored += 1

    def legs_by_venue(self) -> dict[str, list[str]]:
        return LEGS


class Ended(Exception):
    """The test has seen enough seconds."""


class Seconds:
    """Passes as many seconds as there are things to do in them."""

    def __init__(self, *between: Callable[[], object]) -> None:
        self._between = list(between)

    async def __call__(self, _: float) -> None:
        if not self._between:
            raise Ended
        made = self._between.pop(0)()
        if asyncio.iscoroutine(made):
            await made


class Ticking:
    """A clock with its claim, over a real server."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.service = Service()
        self.claim = Claim(redis, NAMES)
        self.stop = asyncio.Event()

    async def run(self, *between: Callable[[], object]) -> PairClock:
        await self.claim.take(self.stop)
        store = PairStore(self.redis, NAMES, may_write=lambda: self.claim.fresh)
        clock = PairClock(
            self.service, store, self.claim,  # type: ignore[arg-type]
            session=7, leases=True, stop=self.stop, sleep=Seconds(*between),
        )  # fmt: skip
        with suppress(Ended):
            await clock.run()
        return clock

    async def state(self) -> dict[bytes, bytes]:
        found: dict[bytes, bytes] = await self.redis.hgetall("t:feed:pairs:state")
        return found


@pytest.fixture
def ticking(redis: Redis) -> Ticking:
    return Ticking(redis)


async def test_each_second_says_how_it_is(ticking: Ticking) -> None:
    clock = await ticking.run()
    state = await ticking.state()
    assert (state[b"state"], state[b"session"]) == (b"live", b"7")
    assert (state[b"unreadable"], state[b"published"]) == (b"4", b"9")
    assert clock.rival is None
    assert not ticking.service.restored


async def test_what_is_lost_with_the_claim_is_written_again_and_the_leases_too(
    ticking: Ticking,
) -> None:
    await ticking.run(ticking.redis.flushall, lambda: None)
    assert ticking.service.restored == 1
    assert await ticking.state()
    assert await ticking.redis.zcard("t:feed:watch:polymarket") == 2
    assert await ticking.redis.exists("t:feed:pairs:owner")


async def test_what_could_not_be_written_again_is_tried_until_it_is(ticking: Ticking) -> None:
    def refuse() -> object:
        ticking.service.refusing = True
        return ticking.redis.flushall()

    await ticking.claim.take(ticking.stop)
    store = PairStore(ticking.redis, NAMES)
    clock = PairClock(
        ticking.service, store, ticking.claim,  # type: ignore[arg-type]
        session=7, leases=False, stop=ticking.stop, sleep=Seconds(refuse),
    )  # fmt: skip
    with pytest.raises(RedisUnavailable):
        await clock.run()
    ticking.service.refusing = False
    with pytest.raises(Ended):
        await clock.run()
    assert ticking.service.restored == 1


async def test_another_one_that_has_the_claim_ends_it_without_a_word(ticking: Ticking) -> None:
    async def taken() -> None:
        await ticking.redis.flushall()
        await ticking.redis.set("t:feed:pairs:owner", "99.other", ex=5)

    clock = await ticking.run(taken)
    assert ticking.stop.is_set()
    assert "(process 99)" in str(clock.rival)
    assert not ticking.claim.fresh
    assert await ticking.redis.keys("*") == [b"t:feed:pairs:owner"]
