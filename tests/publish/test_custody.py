"""A Redis that was emptied, or evicts keys, behind a connection that stays as it was."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis
from support.feed import url_of, valkey
from support.publishing import VENUE, Published, publishing

from arbees_feed.core.model import Status
from arbees_feed.core.wire import MarketPrice, Names
from arbees_feed.errors import RedisUnavailable
from arbees_feed.publish.custody import LOOKED_AT, Custody

NAMES = Names()
MARKETS = [f"M{n}" for n in range(50)]


class Clock:
    """Sleeps not at all; what is to happen meanwhile happens."""

    def __init__(self) -> None:
        self.meanwhile: Any = None
        self.slept: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)
        if self.meanwhile is not None:
            await self.meanwhile()


@pytest.fixture
async def client() -> AsyncIterator[Any]:
    with valkey() as server:
        made: Any = Redis.from_url(url_of(server))
        made.url = url_of(server)
        yield made
        await made.aclose()


@pytest.fixture
async def published(client: Any) -> AsyncIterator[Published]:
    async with publishing(client.url) as made:
        for market in MARKETS:
            made.put(market)
        await made.settled()
        yield made


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def custody(client: Any, published: Published, clock: Clock) -> Custody:
    publisher = published.publisher
    return Custody(client, NAMES, publisher.outlets.sample, publisher, sleep=clock)


async def held(client: Any) -> dict[str, MarketPrice]:
    """Return the newest price of every market that is listed."""
    listed = [word.decode() for word in await client.smembers(NAMES.markets(VENUE))]
    lasts = await client.mget([NAMES.last(market) for market in listed]) if listed else []
    return {
        m: MarketPrice.from_msgpack(last) for m, last in zip(listed, lasts, strict=True) if last
    }


async def test_what_is_there_is_left_alone(
    custody: Custody, client: Any, published: Published, clock: Clock
) -> None:
    await custody.look()
    await published.settled()
    assert {price.seq for price in (await held(client)).values()} == {1}
    assert (published.publisher.stats.missing, clock.slept) == (0, [])


async def test_an_emptied_redis_gets_everything_again(
    custody: Custody, client: Any, published: Published
) -> None:
    published.publisher.retire(VENUE, MARKETS[0], after_s=600)
    await client.flushall()
    await custody.look()
    await published.settled()
    lasts = await held(client)
    assert set(lasts) == set(MARKETS[1:])
    assert all(published.is_true(price) for price in lasts.values())
    # A retired one is to go in a while, but not before.
    assert MarketPrice.from_msgpack(await client.get(NAMES.last(MARKETS[0])))
    async with asyncio.timeout(5):
        while not 0 < await client.ttl(NAMES.last(MARKETS[0])) <= 600:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.05)
    assert published.publisher.stats.missing == LOOKED_AT


async def test_of_evicted_keys_those_that_are_missed_are_written_again(
    custody: Custody, client: Any, published: Published
) -> None:
    for market in MARKETS:
        await client.delete(NAMES.last(market))
    await custody.look()
    await published.settled()
    lasts = await held(client)
    assert len(lasts) == published.publisher.stats.missing == LOOKED_AT
    assert {price.seq for price in lasts.values()} == {2}


async def test_what_comes_a_moment_later_is_not_lost(
    client: Any, published: Published, clock: Clock
) -> None:
    publisher = published.publisher
    custody = Custody(client, NAMES, lambda _: publisher.outlets.sample(50), publisher, sleep=clock)
    await client.delete(NAMES.last(MARKETS[0]))
    evicted = await client.dump(NAMES.last(MARKETS[1]))

    async def comes() -> None:
        await client.restore(NAMES.last(MARKETS[0]), 0, evicted)

    clock.meanwhile = comes
    await custody.look()
    await published.settled()
    assert (published.publisher.stats.missing, len(clock.slept)) == (0, 1)
    assert published.newest(MARKETS[0]) == 1


async def test_nobody_is_asked_while_redis_is_behind(
    custody: Custody, client: Any, published: Published
) -> None:
    await client.config_set("maxmemory", 1)
    published.put(MARKETS[0], Status.STALE)
    async with asyncio.timeout(5):
        while not published.publisher.problem:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)
    await client.flushall()
    await custody.look()
    assert published.publisher.stats.missing == 0


async def test_a_user_who_may_not_look_is_told_once(
    client: Any, published: Published, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    await client.acl_setuser("narrow", enabled=True, nopass=True, commands=["+ping"])
    narrow: Any = Redis.from_url(client.url, username="narrow", password="x")  # noqa: S106
    publisher = published.publisher
    async with asyncio.timeout(5):
        await Custody(narrow, NAMES, publisher.outlets.sample, publisher, sleep=clock).run()
    await narrow.aclose()


async def test_a_redis_that_is_away_is_asked_again(published: Published, clock: Clock) -> None:
    publisher = published.publisher
    away: Any = Redis.from_url("redis://127.0.0.1:1")
    with pytest.raises(RedisUnavailable, match="can't be asked"):
        await Custody(away, NAMES, publisher.outlets.sample, publisher, sleep=clock).run()
