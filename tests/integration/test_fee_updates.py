"""Fees of an event that change while the feed runs: told over the socket, in Redis soon after."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis.asyncio import Redis
from support.feed import reading, running, settings_for

from arbees_feed.core.wire import MetadataNews
from arbees_feed.pairs.fees import KalshiFees, fees_of
from arbees_feed.sim import SimServer

pytestmark = pytest.mark.timeout(60)

NEVER_S = "3600"
"""From one listing to the next: no listing after the first can be what brings the news."""


class Listener:
    """Hears of metadata as whoever reckons costs does."""

    def __init__(self, client: Any, messages: Any) -> None:
        self.client = client
        self._messages = messages

    async def meta(self, market: str) -> dict[str, str]:
        """Return the metadata of a market."""
        found = await self.client.hgetall(f"market:{market}:meta")
        return {name.decode(): value.decode() for name, value in found.items()}

    async def until(self, market: str, **fields: str) -> None:
        """Return once the metadata of a market has these fields, looked at after its news."""
        while not fields.items() <= (await self.meta(market)).items():
            await self._news_of(market)

    async def _news_of(self, market: str) -> None:
        async for message in self._messages.listen():
            told = message["data"] if message["type"] == "message" else b""
            if told and market in MetadataNews.from_msgpack(told).markets:
                return


@asynccontextmanager
async def listening(url: str) -> AsyncIterator[Listener]:
    """Listen to news of metadata while the block runs."""
    client = Redis.from_url(url)
    messages = client.pubsub()
    try:
        await messages.subscribe("feed:meta")
        yield Listener(client, messages)
    finally:
        await messages.aclose()
        await client.aclose()


async def test_an_override_is_told_without_a_listing_and_so_is_its_end(
    sim: SimServer, redis_url: str
) -> None:
    market = sim.world.market(sim.kalshi_tickers[0])
    others = [m.id for m in sim.world.markets("kalshi") if m.event is not market.event]
    settings = settings_for(sim, redis_url, enrich__refresh_s=NEVER_S)
    async with (
        reading(redis_url) as reader,
        listening(redis_url) as listener,
        running(settings) as (daemon, _),
        asyncio.timeout(40),
    ):
        enricher = next(v.enricher for v in daemon.venues if v.venue == "kalshi")
        assert enricher is not None
        while not enricher.stats.listings_done:
            await reader.heartbeat()
        before = await listener.meta(market.id)
        sim.faults.change_fees(market.id, "quadratic_with_maker_fees", 0.5)
        told = {"fee_type": "quadratic_with_maker_fees", "fee_multiplier": "0.5"}
        for sibling in market.event.markets:
            await listener.until(sibling.id, **told)
        assert fees_of(await listener.meta(market.id)) == (KalshiFees(35_000), True)
        assert not told.items() <= (await listener.meta(others[0])).items()
        sim.faults.change_fees(market.id)
        await listener.until(market.id, fee_type="quadratic", fee_multiplier="1")
        after = await listener.meta(market.id)
        assert enricher.stats.listings_done == 1
    changed = {"enriched_at", "fee_type", "fee_multiplier"}
    assert {k: v for k, v in after.items() if k not in changed} == {
        k: v for k, v in before.items() if k not in changed
    }
