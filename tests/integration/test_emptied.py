"""Somebody empties Redis behind the feed's connection."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from redis.asyncio import Redis
from support.feed import running, settings_for

from arbees_feed.core.wire import MarketPrice
from arbees_feed.sim import SimServer

pytestmark = pytest.mark.timeout(240)

PATIENCE_S = 60.0


async def test_an_emptied_redis_is_noticed_and_filled_again(sim: SimServer, redis_url: str) -> None:
    named = [*sim.kalshi_tickers, *sim.polymarket_tokens]
    client: Any
    async with running(settings_for(sim, redis_url)), Redis.from_url(redis_url) as client:

        async def is_full() -> bool:
            keys = [f"market:{m}:{key}" for m in named for key in ("last", "quote", "meta")]
            listed = await client.sunion("feed:markets:kalshi", "feed:markets:polymarket")
            return await client.exists(*keys) == len(keys) and len(listed) == len(named)

        async def prices() -> list[tuple[object, ...]]:
            lasts = await client.mget([f"market:{market}:last" for market in named])
            found = [MarketPrice.from_msgpack(last) for last in lasts]
            return [(p.market_id, p.status, p.yes_bid, p.yes_ask, p.yes_bid_size) for p in found]

        await until(is_full)
        sim.pause()  # no new price of a market brings anything back
        await sim.drained()
        before = await settled(prices)
        await client.flushall()
        await until(is_full)
        assert await prices() == before


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await holds():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.1)


async def settled(look: Callable[[], Awaitable[list[Any]]]) -> list[Any]:
    """Return what is seen twice in a row, half a second apart."""
    async with asyncio.timeout(PATIENCE_S):
        seen = await look()
        while True:
            await asyncio.sleep(0.5)
            if seen == (seen := await look()):
                return seen
