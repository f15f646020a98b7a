"""Catalogues, fetcher, writer and services together, against simulated venues and a real server."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import unused_port
from redis.asyncio import Redis

from arbees_feed.core.model import MarketId
from arbees_feed.core.ratelimit import Rates
from arbees_feed.core.venue import Catalogue, Selection
from arbees_feed.core.wire import Names
from arbees_feed.enrich.allowance import Allowance
from arbees_feed.enrich.crawl import crawl
from arbees_feed.enrich.discovery import Universe
from arbees_feed.enrich.fees import FeeWatch
from arbees_feed.enrich.search import search
from arbees_feed.enrich.service import Enricher, EnrichOptions
from arbees_feed.enrich.writer import MetadataWriter
from arbees_feed.errors import ProtocolViolation, RequestFailed
from arbees_feed.sim import KALSHI, POLYMARKET, SimConfig, SimServer, Venue
from arbees_feed.transport.http import HttpFetcher, HttpOptions
from arbees_feed.transport.rest_failover import FailoverFetcher
from arbees_feed.venues.kalshi.catalogue import KalshiCatalogue
from arbees_feed.venues.polymarket.catalogue import PolymarketCatalogue

VENUES = pytest.mark.parametrize("venue_name", [KALSHI, POLYMARKET])


class World:
    """The simulator, and our side of it."""

    def __init__(self, sim: SimServer, session: aiohttp.ClientSession) -> None:
        self.sim = sim
        options = HttpOptions(timeout_s=10.0, rates=Rates(1e6, 1e6))
        self.fetcher = HttpFetcher(session, options, sign=self.sign)
        self.catalogues: dict[str, Catalogue] = {
            KALSHI: KalshiCatalogue({"rest": sim.kalshi_rest_url}),
            POLYMARKET: PolymarketCatalogue({"gamma": sim.gamma_url, "clob": sim.clob_url}),
        }

    def sign(self, method: str, path: str) -> Mapping[str, str]:
        """Sign a request for Kalshi."""
        return self.sim.credentials.headers(method, path, time.time_ns() // 1_000_000)

    def ids(self, venue: str) -> list[MarketId]:
        """Return all markets of a venue."""
        ids = self.sim.kalshi_tickers if venue == KALSHI else self.sim.polymarket_tokens
        return [MarketId(market) for market in ids]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """Return simulated venues whose markets stand still."""
    config = SimConfig(seed=7, kalshi_markets=30, polymarket_markets=30)
    async with SimServer(config) as sim, aiohttp.ClientSession() as session:
        sim.pause()
        yield World(sim, session)


def enricher_of(
    world: World, venue: str, valkey: Redis, clock: Any, shown: list[MarketId] | None = None
) -> Enricher:
    """Return an enricher of a simulated venue."""
    return Enricher(
        world.catalogues[venue],
        world.fetcher,
        MetadataWriter(valkey, Names()),
        first_price=_at_once,
        unknown=lambda: shown or [],
        timing=clock.timing,
    )


async def _at_once() -> None:
    pass


@VENUES
async def test_every_listed_market_and_event_is_in_redis(
    world: World, venue_name: Venue, valkey: Redis, clock: Any
) -> None:
    enricher = enricher_of(world, venue_name, valkey, clock)
    await clock.run(enricher.run)
    for market in world.ids(venue_name):
        fields = await valkey.hgetall(f"market:{market}:meta")
        truth = world.sim.world.market(market)
        assert fields["title"] == truth.title
        assert fields["platform"] == venue_name
        assert fields["status"] == "open"
        assert fields["tick_size"]
        event = fields["event_id"]
        assert await valkey.sismember(f"event:{event}:markets", market)
        about = await valkey.hgetall(f"event:{event}:meta")
        assert about["title"] == fields["event_title"]
        assert int(about["market_count"]) == await valkey.scard(f"event:{event}:markets")
        if venue_name == POLYMARKET:
            assert fields["no_token_id"] == truth.other_id
            assert fields["condition_id"] == truth.condition_id


@VENUES
async def test_what_the_stream_shows_is_looked_up(
    world: World, venue_name: Venue, valkey: Redis, clock: Any
) -> None:
    new = world.sim.open_market(venue_name)
    catalogue = world.catalogues[venue_name]
    found = [f async for f in crawl(catalogue.lookup([MarketId(new.id)]), world.fetcher)]
    metas = {meta.market_id: meta for finding in found for meta in finding.markets}
    assert metas[MarketId(new.id)].event_title
    assert metas[MarketId(new.id)].title == new.title


@VENUES
async def test_an_ended_market_is_gone_and_its_last_status_is_told(
    world: World, venue_name: Venue, valkey: Redis, clock: Any
) -> None:
    wanted: list[MarketId] = []
    gone: list[MarketId] = []
    market = world.ids(venue_name)[0]
    universe = Universe(
        world.catalogues[venue_name],
        world.fetcher,
        Selection(markets=(market,)),
        want=wanted.extend,
        gone=gone.extend,
        timing=clock.timing,
    )
    enricher = enricher_of(world, venue_name, valkey, clock, [market])
    await clock.run(universe.run)
    await clock.run(enricher.run)
    assert (wanted, gone) == ([market], [])
    world.sim.close_market(market)
    async with asyncio.timeout(30):
        # The simulator settles on its own clock and tells nobody but its sockets.
        while world.sim.world.market(market).status != "finalized":  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await clock.run(universe.run)
    assert gone == [market]
    enricher.recheck([market])
    await clock.run(enricher.run, rounds=12)
    assert await valkey.hget(f"market:{market}:meta", "status") in {"closed", "settled"}


async def test_polymarket_is_selected_by_all_kinds_of_names(world: World) -> None:
    markets = [world.sim.world.market(market) for market in world.ids(POLYMARKET)]
    token, condition, slug = markets[0].other_id, markets[1].condition_id, markets[2].slug
    catalogue = world.catalogues[POLYMARKET]
    selection = Selection(markets=(token, condition, slug))
    found = [f async for f in crawl(catalogue.universe(selection), world.fetcher)]
    assert {m.market_id for f in found for m in f.markets} == {m.id for m in markets[:3]}
    selection = Selection(events=(markets[3].event.slug,))
    found = [f async for f in crawl(catalogue.universe(selection), world.fetcher)]
    assert {m.market_id for f in found for m in f.markets} == {
        m.id for m in markets[3].event.markets
    }
    found = [f async for f in crawl(catalogue.universe(Selection(top=10)), world.fetcher)]
    volumes = [m.volume for f in found for m in f.markets]
    assert len(volumes) == 10
    assert volumes == sorted(volumes, reverse=True)


async def test_kalshi_is_selected_by_event_and_series(world: World) -> None:
    market = world.sim.world.market(world.ids(KALSHI)[0])
    catalogue = world.catalogues[KALSHI]
    for selection in (
        Selection(events=(market.event.id,)),
        Selection(series=(market.event.series,)),
    ):
        found = [f async for f in crawl(catalogue.universe(selection), world.fetcher)]
        assert market.id in {m.market_id for f in found for m in f.markets}


@VENUES
async def test_a_failing_venue_is_told_and_recovered_from(
    world: World, venue_name: Venue, valkey: Redis, clock: Any
) -> None:
    enricher = enricher_of(world, venue_name, valkey, clock)
    world.sim.faults.fail_rest(venue_name, 503, count=1)
    with pytest.raises(RequestFailed):
        await clock.run(enricher.run)
    world.sim.faults.html_rest(venue_name, 200, count=1)
    with pytest.raises(ProtocolViolation):
        await clock.run(enricher.run)
    await clock.run(enricher.run)
    for market in world.ids(venue_name):
        assert await valkey.hget(f"market:{market}:meta", "title")


@VENUES
async def test_tops_over_rest_are_the_truth(world: World, venue_name: Venue) -> None:
    """A bid in the books of the simulator has the same units as ours."""
    catalogue = world.catalogues[venue_name]
    listed = [f async for f in crawl(catalogue.listing(None), world.fetcher)]
    assert listed
    for asked in (None, [*world.ids(venue_name), MarketId("123")]):
        found = [f async for f in crawl(catalogue.tops(asked), world.fetcher)]
        tops = {top.market: top for finding in found for top in finding.tops}
        assert tops.keys() == set(world.ids(venue_name))
        for market, top in tops.items():
            truth = world.sim.world.market(market)
            assert (top.bid, top.bid_size, top.ask, top.ask_size) == truth.top()
            if venue_name == POLYMARKET:
                assert top.ts_ns == truth.ts_ms * 1_000_000
            else:
                assert top.last_price == truth.last_trade


@VENUES
async def test_a_market_that_has_ended_has_no_top(world: World, venue_name: Venue) -> None:
    market = world.ids(venue_name)[0]
    world.sim.close_market(market)
    plan = world.catalogues[venue_name].tops([market])
    found = [f async for f in crawl(plan, world.fetcher)]
    assert [top for finding in found for top in finding.tops] == []


@VENUES
async def test_everything_is_all_open_markets_and_new_ones_later(
    world: World, venue_name: Venue, clock: Any
) -> None:
    wanted: list[MarketId] = []
    universe = Universe(
        world.catalogues[venue_name],
        world.fetcher,
        Selection(everything=True),
        want=wanted.extend,
        gone=lambda _: None,
        timing=clock.timing,
    )
    await clock.run(universe.run)
    assert sorted(wanted) == sorted(world.ids(venue_name))
    new = world.sim.open_market(venue_name)
    await clock.run(universe.run, rounds=1)
    assert wanted[30:] == [new.id]


@VENUES
async def test_titles_are_found_after_enrichment_and_not_after_the_end(
    world: World, venue_name: Venue, valkey: Redis, clock: Any
) -> None:
    enricher = enricher_of(world, venue_name, valkey, clock)
    await clock.run(enricher.run)
    market = world.ids(venue_name)[0]
    title = world.sim.world.market(market).title
    hits = await search(valkey, Names(), title)
    assert market in [hit.market_id for hit in hits]
    enricher.remove(world.ids(venue_name))
    await clock.run(enricher.run)
    assert await search(valkey, Names(), title) == []
    assert await valkey.keys("*") == ["feed:search"]


async def test_the_account_tells_how_fast_it_may_read(world: World) -> None:
    told: list[Rates] = []
    await Allowance(world.catalogues[KALSHI], world.fetcher, told.append).run()
    assert told == [Rates(rate_per_s=16.0, burst=48.0)]


@VENUES
async def test_what_trading_costs_is_in_the_hash(
    world: World, venue_name: Venue, valkey: Redis, clock: Any
) -> None:
    enricher = enricher_of(world, venue_name, valkey, clock)
    fees = FeeWatch(
        world.catalogues[venue_name], world.fetcher, enricher.outdated, timing=clock.timing
    )
    await clock.run(fees.run)
    await clock.run(enricher.run)
    told = {
        KALSHI: {"fee_type": "quadratic", "fee_multiplier": "1"},
        POLYMARKET: {"fees_enabled": "true", "fee_rate": "0.05", "fee_exponent": "1"},
    }
    for market in world.ids(venue_name):
        fields = await valkey.hgetall(f"market:{market}:meta")
        assert told[venue_name].items() <= fields.items()


async def test_fees_that_cannot_be_had_hold_nothing_up_and_come_later(
    world: World, valkey: Redis, clock: Any
) -> None:
    catalogue = world.catalogues[KALSHI]
    enricher = enricher_of(world, KALSHI, valkey, clock)
    fees = FeeWatch(catalogue, world.fetcher, enricher.outdated, timing=clock.timing)
    world.sim.faults.fail_rest(KALSHI, prefix="/trade-api/v2/series", count=1)
    with pytest.raises(RequestFailed):
        await clock.run(fees.run)
    await clock.run(enricher.run)
    first, *others = world.ids(KALSHI)
    assert await valkey.hget(f"market:{first}:meta", "title")
    assert await valkey.hget(f"market:{first}:meta", "fee_type") is None
    await clock.run(fees.run)
    began_s = clock.s
    options = EnrichOptions()
    await clock.run(enricher.run, rounds=int(options.refresh_s / options.lookup_every_s))
    assert clock.s - began_s == options.refresh_s
    for market in (first, *others):
        assert await valkey.hget(f"market:{market}:meta", "fee_type") == "quadratic"


async def test_enrichment_goes_on_at_another_host_when_the_first_one_dies(
    world: World, valkey: Redis, clock: Any
) -> None:
    alive = world.sim.kalshi_rest_url
    dead = f"http://127.0.0.1:{unused_port()}/trade-api/v2"
    fetcher = FailoverFetcher(world.fetcher, [(dead, alive)])
    enricher = Enricher(
        KalshiCatalogue({"rest": dead}),
        fetcher,
        MetadataWriter(valkey, Names(), venue="kalshi"),
        first_price=_at_once,
        unknown=tuple,
        timing=clock.timing,
    )
    with pytest.raises(RequestFailed):
        await clock.run(enricher.run)
    await clock.run(enricher.run)
    assert fetcher.current == {dead: alive}
    assert await valkey.zcard("feed:volume:kalshi") == 30
