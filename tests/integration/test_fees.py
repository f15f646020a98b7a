"""The venues' fees reach the metadata in Redis, and with it whoever reckons costs."""

import asyncio

import pytest
from support.feed import reading, running, settings_for

from arbees_feed.pairs.fees import KalshiFees, PolymarketFees, fees_of
from arbees_feed.sim import SimServer

pytestmark = pytest.mark.timeout(60)


async def test_the_daemon_tells_the_fees_of_both_venues(sim: SimServer, redis_url: str) -> None:
    told = {
        sim.kalshi_tickers[0]: (KalshiFees(70_000), True),
        sim.polymarket_tokens[0]: (PolymarketFees(50_000, 1), True),
    }
    settings = settings_for(sim, redis_url, enrich__refresh_s="1")
    async with reading(redis_url) as reader, running(settings), asyncio.timeout(20):
        for market, fees in told.items():
            found: object = None
            while found != fees:
                await reader.heartbeat()
                meta = await reader.client.hgetall(f"market:{market}:meta")
                found = fees_of({name.decode(): value.decode() for name, value in meta.items()})


async def test_markets_are_listed_though_the_series_never_answer(
    sim: SimServer, redis_url: str
) -> None:
    sim.faults.delay_rest("kalshi", 50.0, prefix="/trade-api/v2/series")
    ticker = sim.kalshi_tickers[0]
    async with reading(redis_url) as reader, running(settings_for(sim, redis_url)):
        async with asyncio.timeout(20):
            while not await reader.client.hget(f"market:{ticker}:meta", "title"):
                await reader.heartbeat()
        assert not await reader.client.hexists(f"market:{ticker}:meta", "fee_type")
