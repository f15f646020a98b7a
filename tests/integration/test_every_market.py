"""Every market of a venue, with no REST call in the way; the seed's behaviours by their names."""

import asyncio
import gc
import json
import time

import aiohttp
import pytest
from support.feed import reading, running, settings_for, settle, top_of

from arbees_feed.config import Settings
from arbees_feed.feed.market import Market
from arbees_feed.publish.outlet import Outlet
from arbees_feed.sim import SimConfig, SimServer

pytestmark = pytest.mark.timeout(120)


def only_kalshi(sim: SimServer, redis_url: str, **more: str) -> Settings:
    """Return settings for Kalshi by the ticker channel alone."""
    return settings_for(
        sim, redis_url, **{"polymarket__enabled": "false", "kalshi__markets": "", **more}
    )


async def test_subscribe_all_sends_no_market_tickers(sim: SimServer, redis_url: str) -> None:
    sent: list[bytes] = []

    class Tap:
        def __init__(self, connection: object) -> None:
            self._connection = connection

        def __getattr__(self, name: str) -> object:
            return getattr(self._connection, name)

        async def send(self, frame: bytes) -> None:
            sent.append(frame)
            await self._connection.send(frame)  # type: ignore[attr-defined]

    settings = only_kalshi(sim, redis_url)
    async with reading(redis_url) as reader, running(settings, tap=lambda _, c: Tap(c)):
        await reader.until(lambda: reader.all_are("live", sim.kalshi_tickers))
    commands = [json.loads(frame) for frame in sent]
    channels = [c for command in commands for c in command["params"].get("channels", [])]
    assert "ticker" in channels
    assert not any("market_tickers" in command["params"] for command in commands)


async def test_cache_built_lazily(sim: SimServer, redis_url: str) -> None:
    """Markets are known from the stream; REST does not answer at all."""
    sim.faults.fail_rest("kalshi", status=503)
    async with reading(redis_url) as reader, running(only_kalshi(sim, redis_url)) as (daemon, _):
        assert len(daemon.venues[0].table) == 0
        await reader.until(lambda: reader.all_are("live", sim.kalshi_tickers))
        assert len(daemon.venues[0].table) == len(sim.kalshi_tickers)


async def test_markets_that_do_not_move_get_their_first_price_over_rest(redis_url: str) -> None:
    """Nothing moves at all, so the ticker channel says nothing; the filter holds for REST too."""
    config = SimConfig(seed=9, kalshi_markets=300, polymarket_markets=0, rate=0.0)
    async with SimServer(config, kalshi_port=0, polymarket_port=0) as sim:
        out = sim.kalshi_tickers[0].partition("-")[0]
        wanted = [t for t in sim.kalshi_tickers if not t.startswith(out)]
        settings = only_kalshi(sim, redis_url, kalshi__exclude_prefixes=out)
        async with reading(redis_url) as reader, running(settings) as (daemon, _):
            await reader.until(lambda: reader.all_are("live", wanted), 20.0)
            for ticker in wanted:
                assert reader.prices[ticker][-1]["source"] == "rest"
                assert top_of(reader.prices[ticker][-1]) == sim.world.market(ticker).top()
            assert sorted(reader.prices) == sorted(wanted)
            assert daemon.venues[0].http.stats.calls.total() < 30


async def test_reconnect_after_failure(sim: SimServer, redis_url: str) -> None:
    async with reading(redis_url) as reader, running(only_kalshi(sim, redis_url)) as (daemon, _):
        await reader.until(lambda: reader.all_are("live", sim.kalshi_tickers))
        sim.faults.abort_sockets("kalshi")
        await reader.until(lambda: daemon.venues[0].feed.stats.connects == 2)
        await reader.until(lambda: reader.all_are("live", sim.kalshi_tickers))
        await settle(sim, reader, sim.kalshi_tickers)


async def test_delegation_by_setting(sim: SimServer, redis_url: str) -> None:
    """`subscribe_all` decides who feeds a market: the ticker channel or its own book."""
    for everything, source in (("true", "ticker"), ("false", "book")):
        markets = "" if everything == "true" else ",".join(sim.kalshi_tickers)
        settings = only_kalshi(
            sim, redis_url, kalshi__subscribe_all=everything, kalshi__markets=markets
        )
        async with reading(redis_url) as reader, running(settings):
            await reader.until(lambda: reader.all_are("live", sim.kalshi_tickers))
            live = [m for ms in reader.prices.values() for m in ms if m["status"] == "live"]
            assert {message["source"] for message in live} == {source}


async def test_sharded_path_when_the_setting_is_off(sim: SimServer, redis_url: str) -> None:
    settings = only_kalshi(
        sim, redis_url, kalshi__subscribe_all="false", kalshi__tickers_per_socket="6",
        kalshi__markets=",".join(sim.kalshi_tickers),
    )  # fmt: skip
    async with reading(redis_url) as reader, running(settings) as (daemon, _):
        await reader.until(lambda: reader.all_are("live", sim.kalshi_tickers))
        feed = daemon.venues[0].feed
        assert [len(link.markets) for link in feed.links] == [6, 6, 6, 2]
        assert [market for link in feed.links for market in link.markets] == sim.kalshi_tickers
        assert sim.connections()["kalshi"] == 4
        await settle(sim, reader, sim.kalshi_tickers)


async def test_enrichment_fills_event_ticker_and_title_of_markets_already_streaming(
    sim: SimServer, redis_url: str
) -> None:
    sim.faults.delay_rest("kalshi", 1.0, prefix="/trade-api/v2/events", count=1)
    async with reading(redis_url) as reader, running(only_kalshi(sim, redis_url)):
        await reader.until(lambda: reader.all_are("live", sim.kalshi_tickers))
        ticker = sim.kalshi_tickers[0]
        assert not await reader.client.exists(f"market:{ticker}:meta")
        async with asyncio.timeout(10):
            while not await reader.client.hget(f"market:{ticker}:meta", "event_title"):
                await reader.heartbeat()
        meta = await reader.client.hgetall(f"market:{ticker}:meta")
        assert meta[b"event_id"].decode() == ticker.rpartition("-")[0]
        assert meta[b"title"].decode() == sim.world.market(ticker).title


async def test_two_thousand_markets_have_the_true_price_and_cost_few_calls(
    redis_url: str,
) -> None:
    config = SimConfig(seed=5, kalshi_markets=2_000, polymarket_markets=0, rate=4_000.0)
    async with SimServer(config, kalshi_port=0, polymarket_port=0) as sim:
        settings = only_kalshi(sim, redis_url)
        async with reading(redis_url) as reader, running(settings) as (daemon, _):
            await reader.until(lambda: len(reader.prices) > 1_500, 40.0)
            sim.pause()
            await sim.drained()
            for ticker in sim.kalshi_tickers:
                if ticker in reader.prices:
                    continue
                sim.resume()
                await reader.until(lambda ticker=ticker: bool(reader.prices[ticker]), 30.0)
            await settle(sim, reader, [t for t in sim.kalshi_tickers if reader.prices[t]])
            assert sum(bool(reader.prices[t]) for t in sim.kalshi_tickers) == 2_000
            assert all(v.http.stats.calls.total() < 60 for v in daemon.venues)


def alive(kind: type) -> int:
    """Count the objects of a class that something still refers to."""
    gc.collect()
    return sum(isinstance(each, kind) for each in gc.get_objects())


async def test_a_thousand_markets_open_and_close_without_a_restart_or_a_leak(
    redis_url: str,
) -> None:
    before = alive(Market), alive(Outlet)  # other tests may have left some
    config = SimConfig(seed=6, kalshi_markets=5, polymarket_markets=0, rate=500.0)
    async with SimServer(config, kalshi_port=0, polymarket_port=0) as sim:
        settings = only_kalshi(sim, redis_url, publish__forget_after_s="1")
        async with reading(redis_url) as reader, running(settings) as (daemon, _):
            await reader.until(lambda: reader.all_are("live", sim.kalshi_tickers))
            for _ in range(10):
                opened = [sim.open_market("kalshi").id for _ in range(100)]
                sim.step(400)
                await reader.until(lambda opened=opened: any(map(reader.status, opened)), 20.0)
                for market in opened:
                    sim.close_market(market)
                seen = [m for m in opened if reader.prices[m]]
                await reader.until(lambda seen=seen: reader.all_are("closed", seen), 20.0)
            feed = daemon.venues[0].feed
            assert feed.stats.connects == 1
            async with asyncio.timeout(10):
                while await reader.client.scard("feed:markets:kalshi") > 5:
                    await reader.heartbeat()
                while len(await reader.client.keys("market:*:last")) > 5:
                    await reader.heartbeat()
            assert len(daemon.venues[0].table) == 5
            assert alive(Market) - before[0] <= 5
            assert alive(Outlet) - before[1] <= 5


async def test_filters_keep_markets_out_and_pinned_ones_in(sim: SimServer, redis_url: str) -> None:
    by_series: dict[str, list[str]] = {}
    for ticker in sim.kalshi_tickers:
        by_series.setdefault(ticker.partition("-")[0], []).append(ticker)
    out, *others = sorted(by_series)
    pinned = by_series[out][0]
    kept = [ticker for series in others for ticker in by_series[series]]
    settings = only_kalshi(sim, redis_url, kalshi__exclude_prefixes=out, kalshi__markets=pinned)
    async with reading(redis_url) as reader, running(settings):
        await reader.until(lambda: reader.all_are("live", [*kept, pinned]))
        began_s = time.monotonic()
        await reader.until(lambda: time.monotonic() - began_s > 1.0)
        assert sorted(reader.prices) == sorted([*kept, pinned])
        assert all(top_of(m)[0] < top_of(m)[2] for ms in reader.prices.values() for m in ms)


async def test_depth_for_everything_fills_every_book_over_few_connections(redis_url: str) -> None:
    """The venue takes 30 markets a subscription (error 26): the rest goes to further sockets."""
    config = SimConfig(
        seed=8, kalshi_markets=100, polymarket_markets=0, rate=300.0, market_limit=30
    )
    async with SimServer(config, kalshi_port=0, polymarket_port=0) as sim:
        settings = only_kalshi(
            sim, redis_url, kalshi__depth="all", kalshi__tickers_per_socket="1000"
        )
        async with reading(redis_url) as reader, running(settings) as (daemon, _):
            feed = daemon.venues[0].feed
            await reader.until(lambda: feed.books_live == 100, 40.0)
            assert feed.books_wanted == 100
            assert sorted(len(link.markets) for link in feed.links)[-3:] == [30, 30, 30]
            assert len(feed.links) == 4
            await settle(sim, reader, sim.kalshi_tickers)
            assert sum(link.session is not None for link in feed.links) == 4


async def test_a_minimum_volume_leaves_quiet_polymarket_markets_out_but_named_ones_in(
    sim: SimServer, redis_url: str
) -> None:
    listing = f"{sim.gamma_url}/markets/keyset?limit=100"
    async with aiohttp.ClientSession() as http, http.get(listing) as answer:
        listed = (await answer.json())["markets"]
    volumes = sorted(market["volumeNum"] for market in listed)
    least = volumes[len(volumes) // 2]
    quiet = next(market for market in listed if market["volumeNum"] == volumes[0])
    settings = settings_for(
        sim, redis_url, kalshi__enabled="false", polymarket__all_active="true",
        polymarket__min_volume=str(least), polymarket__markets=quiet["slug"],
    )  # fmt: skip
    async with reading(redis_url) as reader, running(settings) as (daemon, _):
        universe = daemon.venues[0].universe
        await reader.until(lambda: universe.stats.passes > 0)
        wanted = daemon.venues[0].feed.books_wanted
        assert len(volumes) // 2 <= wanted <= len(volumes) // 2 + 2 < len(sim.polymarket_tokens)
        await reader.until(lambda: len(reader.prices) == wanted)
