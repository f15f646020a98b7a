"""The parts of one venue, put together."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

import aiohttp
import structlog
from yarl import URL

from arbees_feed.app.flights import Flights
from arbees_feed.app.plan import VenuePlan
from arbees_feed.app.probing import RestProbe
from arbees_feed.config import Settings
from arbees_feed.core.events import BookTold, FeesChanged, MarketListed, NoBook, Refused
from arbees_feed.core.model import Liveness, MarketId, VenueState
from arbees_feed.core.rotation import Rotation
from arbees_feed.core.venue import Catalogue
from arbees_feed.core.wire import Names
from arbees_feed.enrich.allowance import Allowance
from arbees_feed.enrich.checked import CheckedCatalogue
from arbees_feed.enrich.discovery import Universe, UniverseOptions
from arbees_feed.enrich.event_fees import EventFees
from arbees_feed.enrich.fees import FeeWatch
from arbees_feed.enrich.refresh import Refresher
from arbees_feed.enrich.service import Enricher, EnrichOptions
from arbees_feed.enrich.writer import MetadataWriter, Redis
from arbees_feed.errors import FeedError
from arbees_feed.feed.demand import Demand, Terms
from arbees_feed.feed.market import Hooks, Market, MarketsConfig
from arbees_feed.feed.markets import MarketTable
from arbees_feed.feed.service import FeedHooks, Runnable, VenueFeed
from arbees_feed.feed.session import Connection, Session
from arbees_feed.log import RateLimitedWarnings
from arbees_feed.publish.rivals import Rivals
from arbees_feed.publish.service import Publisher
from arbees_feed.supervisor import Policy, keep_running
from arbees_feed.transport.http import HttpFetcher, HttpOptions
from arbees_feed.transport.rest_failover import FailoverFetcher
from arbees_feed.transport.websocket import open_websocket

_log = structlog.get_logger("arbees_feed.venue")


Tap = Callable[[str, Connection], Connection]
"""(venue, connection) -> the same connection, which somebody listens in on."""


class Venue:
    """One venue: its markets, its connections, its discovery and enrichment."""

    def __init__(
        self,
        plan: VenuePlan,
        settings: Settings,
        publisher: Publisher,
        http: aiohttp.ClientSession,
        redis: Redis,
        on_failure: Callable[[str, Exception, float], None],
        tap: Tap = lambda _, connection: connection,
    ) -> None:
        spec = plan.spec
        self.venue = spec.name
        self.plan = plan
        self._http = http
        self._tap = tap
        self._urls = Rotation(plan.ws_urls)
        self.rivals: Rivals | None = None
        """Who knows of other daemons; the owner sets it."""
        self._first_price = asyncio.Event()
        self._warnings = RateLimitedWarnings(_log, interval_s=10.0)
        catalogue = CheckedCatalogue(spec.new_catalogue(plan.rest_urls), spec.market_form)
        self.http = HttpFetcher(http, HttpOptions(rates=catalogue.rates), sign=self._sign)
        self.fetcher = FailoverFetcher(self.http, plan.rest_alternatives)
        names = Names(settings.redis.key_prefix)
        self.writer = MetadataWriter(redis, names, venue=spec.name)
        self._publisher = publisher
        self._forget_after_s = settings.publish.forget_after_s
        self.flights = Flights(self.venue, settings.incidents, settings.publish.stale_grace_s)
        self.table = self._new_table(settings)
        self.feed = self._new_feed(on_failure)
        self.probe = RestProbe(catalogue, self.fetcher, self.feed.prober)
        self.demand = self._new_demand(settings, redis, names)
        self.universe = self._new_universe(catalogue, settings)
        self.enricher = self._new_enricher(catalogue, settings)
        self.refresher = self._new_refresher(catalogue)
        self.allowance = Allowance(catalogue, self.fetcher, self.http.set_rates)
        self.fees: FeeWatch | None = None
        if self.enricher is not None:
            self.fees = FeeWatch(catalogue, self.fetcher, self.enricher.outdated)
        self.event_fees = self._new_event_fees(catalogue)

    def services(self) -> list[Runnable]:
        """Return what the supervisor has to run."""
        services: list[Runnable] = [self.feed]
        if self.demand is not None:
            services.append(self.demand)
        services.append(_Named(f"{self.venue}-probe", self.probe))
        if self.flights.writer is not None:
            services.append(_Named(f"{self.venue}-incidents", self.flights.writer))
        services.append(_Named(f"{self.venue}-universe", self.universe))
        services.append(_Named(f"{self.venue}-allowance", self.allowance))
        if self.enricher is not None:
            services.append(_Named(f"{self.venue}-enrich", self.enricher))
        if self.fees is not None:
            services.append(_Named(f"{self.venue}-fees", self.fees))
        if self.event_fees is not None:
            services.append(_Named(f"{self.venue}-event-fees", self.event_fees))
        if self.refresher is not None:
            services.append(_Named(f"{self.venue}-refresh", self.refresher))
        return services

    def _new_table(self, settings: Settings) -> MarketTable:
        return MarketTable(
            self._publisher.opener(self.venue),
            MarketsConfig(
                stale_grace_s=settings.publish.stale_grace_s,
                trades=settings.publish.trades,
                depth=settings.publish.depth > 0,
                compiled=settings.trust.compiled,
            ),
            monotonic=time.monotonic,
            market_filter=self.plan.market_filter,
            hooks=Hooks(
                on_refused=self._on_refused,
                on_listed=self._on_listed,
                on_fees_changed=self._on_fees_changed,
                on_notice=self._on_notice,
                on_no_book=self._on_no_book,
                on_told=self._on_told,
                on_lost=self.flights.lost,
                on_decision=self.flights.note,
            ),
        )

    def _new_feed(self, on_failure: Callable[[str, Exception, float], None]) -> VenueFeed:
        return VenueFeed(
            self.plan.spec,
            self.plan.carriage,
            self.table,
            self._dial,
            lambda link: self._keep_running(link, on_failure),
            hooks=FeedHooks(
                on_left=self._on_left,
                on_unknown=self._on_no_book,
                on_incident=self._on_incident,
                on_checked=lambda: self.flights.flush(self.table),
                new_flight=self.flights.new,
            ),
        )

    def _new_demand(self, settings: Settings, redis: Any, names: Names) -> Demand | None:
        if not settings.demand.enabled:
            return None
        spec = self.plan.spec
        return Demand(
            spec.name,
            redis,
            Terms(names.watch(spec.name), spec.market_form, settings.demand.max_markets),
            want=lambda markets: self.feed.want(markets, by="demand"),
            drop=lambda markets: self.feed.drop(markets, by="demand"),
        )

    def _want(self, markets: Sequence[MarketId]) -> None:
        """Take what discovery found; the filter is for what nobody named."""
        named = set(self.plan.selection.markets)
        passes = self.plan.market_filter.passes
        self.feed.want([m for m in markets if m in named or passes(m)])

    def _new_universe(self, catalogue: Catalogue, settings: Settings) -> Universe:
        return Universe(
            catalogue,
            self.fetcher,
            self.plan.selection,
            want=self._want,
            gone=self.feed.drop,
            options=UniverseOptions(
                refresh_s=settings.enrich.discovery_s, min_volume=self.plan.min_volume
            ),
        )

    def _new_enricher(self, catalogue: Catalogue, settings: Settings) -> Enricher | None:
        if not settings.enrich.enabled:
            return None
        return Enricher(
            catalogue,
            self.fetcher,
            self.writer,
            first_price=self._wait_for_price,
            unknown=self.table.take_new,
            options=EnrichOptions(
                refresh_s=settings.enrich.refresh_s,
                forget_after_s=settings.publish.forget_after_s,
            ),
        )

    def _new_event_fees(self, catalogue: Catalogue) -> EventFees | None:
        if (enricher := self.enricher) is None:
            return None
        return EventFees(catalogue, self.fetcher, correct=enricher.correct, relist=enricher.relist)

    def _new_refresher(self, catalogue: Catalogue) -> Refresher | None:
        if not self.plan.carriage.options.tickers:
            return None
        return Refresher(
            catalogue,
            self.fetcher,
            is_settled=self.feed.is_settled,
            silent=self.table.without_source,
            take=self.feed.take_tops,
        )

    # -- connections -------------------------------------------------------------------------------

    @asynccontextmanager
    async def _dial(self) -> AsyncIterator[Connection]:
        url = self._urls.current
        headers = self.plan.spec.handshake_headers(
            self.plan.credentials, URL(url).path, time.time_ns() // 1_000_000
        )
        connection: AbstractAsyncContextManager[Connection]
        connection = open_websocket(self._http, url, headers)
        opened: Connection | None = None
        try:
            async with connection as opened:
                yield self._tap(self.venue, opened)
        except FeedError:
            # A host in maintenance may let us in and close at once.
            if opened is None or not opened.received_ns:
                self._urls.failed(url)
            raise

    async def _keep_running(
        self, link: Runnable, on_failure: Callable[[str, Exception, float], None]
    ) -> None:
        await keep_running(link, policy=Policy(), on_failure=on_failure)

    def _sign(self, method: str, path: str) -> Mapping[str, str]:
        """Sign a REST request; every one that a catalogue makes is a GET."""
        del method
        now_ms = time.time_ns() // 1_000_000
        return self.plan.spec.handshake_headers(self.plan.credentials, path, now_ms)

    # -- what the stream tells ---------------------------------------------------------------------

    def _on_listed(self, event: MarketListed) -> None:
        if self.enricher is not None:
            self.enricher.announce([event.meta])
        self.universe.refresh()

    def _on_fees_changed(self, event: FeesChanged) -> None:
        if self.event_fees is not None:
            self.event_fees.changed(event.event)

    def _on_notice(self, text: str) -> None:
        self._warnings.warning("venue says", venue=self.venue, text=text)

    def _on_refused(self, event: Refused, link: object) -> None:
        self.feed.refused(event, link)

    def _on_no_book(self, event: NoBook) -> None:
        """Ask over REST what has become of markets whose book never comes."""
        self._warnings.warning("no book comes", venue=self.venue, markets=list(event.markets[:5]))
        self.universe.missing(event.markets)

    def _on_told(self, market: Market, told: BookTold) -> bool:
        return self.feed.prober.on_told(market, told)

    def _on_incident(self, kind: str, session: Session, market: MarketId, reason: str) -> None:
        self.flights.report(kind, session, market, reason, self.table)

    def _on_left(self, markets: Sequence[MarketId], ended: bool) -> None:  # noqa: FBT001
        """Let what Redis has of markets that ended, or are not wanted, go after a while."""
        for market in markets:
            self._publisher.retire(self.venue, market, self._forget_after_s)
        if ended and self.enricher is not None:
            self.enricher.recheck(markets)

    async def _wait_for_price(self) -> None:
        await self._first_price.wait()

    # -- what others ask ---------------------------------------------------------------------------

    def state(self) -> tuple[VenueState, str]:
        """Return the venue's state now and the reason for it."""
        if self.table.live and not self._first_price.is_set():
            self._first_price.set()
        state, reason = self.feed.state()
        if self.rivals is not None and (other := self.rivals.reason(self.venue)):
            reason = f"{reason}; degraded: {other}" if reason else f"degraded: {other}"
        return state, reason

    def fields(self) -> Mapping[str, str]:
        """Return the counters for `feed:venue:<venue>`."""
        decoded = self.feed.decoded()
        markets = self.table.stats
        return {
            "url": self._urls.current,
            "rest_url": ", ".join(self.fetcher.current.values()),
            "markets": str(len(self.table)),
            "markets_live": str(self.table.live),
            "books": str(self.feed.books_wanted),
            "books_live": str(self.feed.books_live),
            "connections": str(self.feed.open_links),
            "connects": str(self.feed.stats.connects),
            "losses": str(self.feed.stats.losses),
            "last_loss": self.feed.stats.last_loss,
            "frames": str(decoded.frames),
            "gaps": str(decoded.gaps),
            "resyncs": str(decoded.resyncs),
            "malformed": str(decoded.malformed),
            "unknown_kinds": str(decoded.unknown_kinds),
            "last_problem": decoded.last_problem,
            **self._trust_fields(),
            "quotes": str(markets.quotes),
            "stale": str(markets.stale),
            "metadata": str(self.writer.stats.markets_written),
            **(self.demand.fields() if self.demand is not None else {}),
        }

    def _trust_fields(self) -> Mapping[str, str]:
        probes = self.feed.prober.stats
        books = self.feed.prober.patrol.counts
        offset_s = self.http.stats.clock.offset_s
        return {
            "books_by_state": " ".join(f"{s.value}={books[s]}" for s in Liveness if s in books),
            "audit_ratio": f"{probes.ratio:.4f}",
            "audited": str(probes.agreed + probes.differed),
            "mismatches": str(probes.differed),
            "last_mismatch": probes.last_difference,
            "frozen": str(probes.frozen),
            "reliefs": str(self.feed.reliefs),
            "age_growth_s": f"{self.feed.grown_ms / 1000:.3f}",
            "clock_offset_s": "" if offset_s is None else f"{offset_s:.2f}",
        }

    def stop(self) -> None:
        """Show every price as stale: this process will not correct them any more."""
        self.table.stop(time.time_ns())

    def redis_was_replaced(self) -> None:
        """Write metadata again: another server may know nothing of it."""
        if self.enricher is not None:
            self.enricher.forget_written()


class _Service(Protocol):
    async def run(self) -> None: ...


class _Named:
    """Gives a service its name."""

    def __init__(self, name: str, service: _Service) -> None:
        self.name = name
        self._service = service

    async def run(self) -> None:
        """Run the service."""
        await self._service.run()
