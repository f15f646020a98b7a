"""Readers ask for markets by lease; readers of many shards share one subscription."""

import asyncio
import time

import pytest
from support.feed import reading, running, settings_for, settle
from support.patience import within

from arbees_feed.sim import SimConfig, SimServer

pytestmark = pytest.mark.timeout(60)


async def test_fifty_unknown_tickers_get_prices_in_time_share_a_subscription_and_leave(
    redis_url: str,
) -> None:
    """Nothing is configured; three readers with overlapping demand; then the leases end."""
    config = SimConfig(seed=3, kalshi_markets=60, polymarket_markets=60, rate=200.0)
    async with SimServer(config, kalshi_port=0, polymarket_port=0) as sim:
        settings = settings_for(
            sim, redis_url, kalshi__markets="", kalshi__subscribe_all="false",
            polymarket__top="0", polymarket__markets=sim.polymarket_tokens[0],
        )  # fmt: skip
        tickers, tokens = sim.kalshi_tickers[:50], sim.polymarket_tokens[:50]
        async with reading(redis_url) as reader, running(settings) as (daemon, _):
            await reader.until(lambda: reader.status(tokens[0]) == "live")
            began_s = time.monotonic()
            until_s = time.time() + 4
            for first, last in ((0, 30), (10, 40), (20, 50)):
                for venue, ids in (("kalshi", tickers), ("polymarket", tokens)):
                    await reader.client.zadd(
                        f"feed:watch:{venue}", dict.fromkeys(ids[first:last], until_s)
                    )
            await reader.until(lambda: reader.all_are("live", [*tickers, *tokens]))
            took_s = time.monotonic() - began_s
            assert took_s < within(1.5), took_s
            kalshi, polymarket = (venue.feed for venue in daemon.venues)
            assert sum(len(link.markets) for link in kalshi.links) == 50
            assert kalshi.open_links == polymarket.open_links == 1
            await settle(sim, reader, [*tickers, *tokens])
            sim.resume()
            await reader.until(lambda: reader.all_are("stale", [*tickers, *tokens[1:]]))
            assert sum(len(link.markets) for link in kalshi.links) == 0
            assert [list(link.markets) for link in polymarket.links] == [[tokens[0]]]
            assert reader.status(tokens[0]) == "live"
            for ticker in tickers:
                assert await reader.client.ttl(f"market:{ticker}:last") > 0


async def test_a_market_with_a_ticker_goes_on_by_it_when_its_lease_ends(
    sim: SimServer, redis_url: str
) -> None:
    settings = settings_for(sim, redis_url, kalshi__markets="", polymarket__enabled="false")
    ticker = sim.kalshi_tickers[0]
    async with reading(redis_url) as reader, running(settings):
        await reader.until(lambda: reader.all_are("live", sim.kalshi_tickers))
        await reader.client.zadd("feed:watch:kalshi", {ticker: time.time() + 2})
        await reader.until(lambda: reader.prices[ticker][-1]["source"] == "book")
        await reader.until(lambda: reader.prices[ticker][-1]["source"] == "ticker")
        assert {m["status"] for m in reader.prices[ticker]} == {"live"}


async def test_a_reader_that_asks_for_nonsense_or_too_much_harms_nobody(
    sim: SimServer, redis_url: str
) -> None:
    settings = settings_for(sim, redis_url, polymarket__enabled="false", demand__max_markets="5")
    async with reading(redis_url) as reader, running(settings):
        await reader.until(lambda: reader.all_are("live", sim.kalshi_tickers))
        asked = {f"KXNOSUCH-{n}": time.time() + 60 for n in range(1000)}
        await reader.client.zadd("feed:watch:kalshi", {**asked, "not a ticker": 1e12})

        async def refused() -> int:
            return int(await reader.client.hget("feed:venue:kalshi", "demand_refused") or 0)

        async with asyncio.timeout(30):
            while await refused() < 996:
                await reader.heartbeat()
        assert await reader.client.hget("feed:venue:kalshi", "demand_followed") == b"5"
        await settle(sim, reader, sim.kalshi_tickers)
