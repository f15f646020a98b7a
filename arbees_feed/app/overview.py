"""What the status page shows: gathered from where it is known, changing nothing.

Nothing here is counted for the page alone: counters and histograms are those of the metrics, looked
at once a second while somebody listens. Titles are in Redis only, so a search for words goes there,
through the index that enrichment keeps, one at a time and within `SEARCH_S`; ids are known here.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import islice
from typing import Any, Final

import msgspec

from arbees_feed import __version__
from arbees_feed.app.portions import Portioned
from arbees_feed.app.timeline import Timeline
from arbees_feed.app.venue import Venue
from arbees_feed.app.verdict import verdict
from arbees_feed.app.window import Window
from arbees_feed.config import redact_text
from arbees_feed.core.histogram import LatencyHistogram
from arbees_feed.core.model import ONE_CONTRACT, ONE_DOLLAR, STATUS_LIVE, MarketId
from arbees_feed.core.text import clean
from arbees_feed.core.wire import Names
from arbees_feed.enrich.search import search
from arbees_feed.enrich.stored import execute
from arbees_feed.enrich.stored import text as as_text
from arbees_feed.errors import RedisUnavailable
from arbees_feed.feed.market import Market
from arbees_feed.feed.patrol import state_of
from arbees_feed.ops.http import Health
from arbees_feed.ops.matcher import MatcherWatch
from arbees_feed.ops.overview import (
    Delay,
    Found,
    Hit,
    MarketNow,
    PairsNow,
    PriceNow,
    RedisNow,
    StatusNow,
    VenueNow,
)
from arbees_feed.ops.stalls import Stalls
from arbees_feed.publish.service import Publisher

LEVELS: Final = 10
SEARCH_S: Final = 2.0
"""So long a search may take, its turn included."""
IDS_AT_MOST: Final = 10_000
"""So many ids are looked through: 2 ms, in which no frame is read."""
STATES_S: Final = 0.25
"""So often states are looked at: one that lasts less long may be missed."""
_TITLES: Final = ("title", "subtitle", "event_title")
_CHARS: Final = 300


class Parts(msgspec.Struct, frozen=True):
    """Where things are known."""

    venues: Sequence[Venue]
    publisher: Publisher
    stalls: Stalls
    health: Health
    matcher: MatcherWatch
    redis: Any
    names: Names


class FeedOverview:
    """Answers for all venues, as the status page asks; a service."""

    name = "overview"

    def __init__(
        self,
        parts: Parts,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        now_ns: Callable[[], int] = time.time_ns,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Be ready to answer; run it too, so that changes nobody looked at are known."""
        self._parts = parts
        self._sleep = sleep
        self._monotonic = monotonic
        self._now_ns = now_ns
        self._started_s = monotonic()
        self._started_ns = now_ns()
        self._window = Window()
        self._timeline = Timeline()
        self._turn = asyncio.Lock()

    # -- numbers -----------------------------------------------------------------------------------

    def status(self) -> StatusNow:
        """Return the state of the whole feed."""
        parts, now_s = self._parts, self._monotonic()
        readiness = parts.health.readiness()
        missing = {who: _text(why) for who, why in readiness.missing.items()}
        self._window.look(now_s, self._counters(), self._histograms())
        self._note_states()
        venues = [self._venue(venue) for venue in parts.venues]
        redis, delays, pairs = self._redis(parts.publisher), self._delays(), self.pairs()
        return StatusNow(
            version=__version__,
            at_ns=self._now_ns(),
            uptime_s=round(now_s - self._started_s, 1),
            ready=readiness.ready,
            missing=missing,
            venues=venues,
            redis=redis,
            delays=delays,
            verdict=verdict(venues, redis, delays, missing, pairs),
            changes=self._timeline.changes(),
            started_ns=self._started_ns,
            pairs=pairs,
        )

    def pairs(self) -> PairsNow | None:
        """Return how far pairs of markets are covered; None: no matcher runs."""
        return self._parts.matcher.now()

    async def run(self) -> None:
        """Note changes of state, whether anybody looks or not, until cancelled."""
        while True:
            self._note_states()
            await self._sleep(STATES_S)

    def _note_states(self) -> None:
        now_ns = self._now_ns()
        for venue in self._parts.venues:
            state, reason = venue.state()
            self._timeline.note(venue.venue, state.value, _text(reason), now_ns)
        publisher = self._parts.publisher
        self._timeline.note("redis", _redis_state(publisher), _text(publisher.problem), now_ns)
        matcher = self._parts.matcher
        if matcher.state:
            self._timeline.note("pairs", matcher.state, matcher.reason, now_ns)

    def _counters(self) -> Mapping[str, int]:
        stats = self._parts.publisher.stats
        counters = {"published": stats.published, "bytes": stats.bytes}
        for venue in self._parts.venues:
            counters[f"{venue.venue} frames"] = venue.feed.decoded().frames
            counters[f"{venue.venue} prices"] = venue.table.stats.quotes
        return counters

    def _histograms(self) -> Mapping[str, LatencyHistogram]:
        parts = self._parts
        arrivals = {f"{v.venue} arrival": v.feed.stages.arrival for v in parts.venues}
        return {
            **arrivals,
            "publish lag": parts.publisher.publish_latency,
            "redis reply": parts.publisher.reply_latency,
            "loop lag": parts.stalls.lag,
        }

    def _venue(self, venue: Venue) -> VenueNow:
        state, reason = venue.state()
        feed, probes = venue.feed, venue.feed.prober.stats
        return VenueNow(
            venue=venue.venue,
            state=state.value,
            reason=_text(reason),
            connections=feed.open_links,
            connections_wanted=len(feed.links),
            books=feed.books_live,
            books_wanted=feed.books_wanted,
            markets=len(venue.table),
            markets_live=venue.table.live,
            frames_per_s=self._window.rate(f"{venue.venue} frames"),
            prices_per_s=self._window.rate(f"{venue.venue} prices"),
            audit_ratio=probes.ratio,
            audited=probes.agreed + probes.differed,
            clock_offset_s=venue.http.stats.clock.offset_s,
            age_growth_s=round(max(0.0, feed.grown_ms) / 1e3, 3),
            incidents=_incidents(venue),
            problems=_problems(venue),
            since_ns=self._timeline.since_ns(venue.venue),
        )

    def _redis(self, publisher: Publisher) -> RedisNow:
        return RedisNow(
            connected=publisher.connected,
            problem=_text(publisher.problem),
            published_per_s=self._window.rate("published"),
            bytes_per_s=self._window.rate("bytes"),
            waiting=publisher.waiting,
            unanswered=publisher.written.commands,
            conflated=publisher.stats.conflated,
            errors=publisher.stats.redis_errors,
            state=_redis_state(publisher),
            since_ns=self._timeline.since_ns("redis"),
        )

    def _delays(self) -> list[Delay]:
        whats = {f"{v.venue} arrival": f"{v.venue} to us, by its clock" for v in self._parts.venues}
        whats |= {
            "publish lag": "frame read to price encoded",
            "redis reply": "batch written to last reply",
            "loop lag": "lateness of the event loop",
        }
        return [
            Delay(name, what, **msgspec.structs.asdict(self._window.percentiles(name)))
            for name, what in whats.items()
        ]

    # -- markets -----------------------------------------------------------------------------------

    def prices(self, markets: Sequence[str]) -> list[PriceNow]:
        """Return the prices of these markets, in this order."""
        now_s, now_ns = self._monotonic(), self._now_ns()
        return [self._price(MarketId(market), now_s, now_ns) for market in markets]

    def _price(self, market_id: MarketId, now_s: float, now_ns: int) -> PriceNow:
        found = self._find(market_id)
        if found is None:
            return PriceNow(market_id, "unknown")
        return _price(found[1], now_s, now_ns)

    def _find(self, market_id: MarketId) -> tuple[Venue, Market] | None:
        for venue in self._parts.venues:
            market = venue.table.get(market_id)
            if market is not None:
                return venue, market
        return None

    def market(self, market: str) -> MarketNow | None:
        """Return a market with its ladder, or None if it is not followed."""
        found = self._find(MarketId(market))
        if found is None:
            return None
        venue, known = found
        book = known.book
        bids, asks = book.depth(LEVELS) if book is not None else ([], [])
        return MarketNow(
            venue=venue.venue,
            price=_price(known, self._monotonic(), self._now_ns()),
            doubt=_text(known.doubt),
            book=book.state.value if book is not None else "none",
            bids=[(price / ONE_DOLLAR, size / ONE_CONTRACT) for price, size in bids],
            asks=[(price / ONE_DOLLAR, size / ONE_CONTRACT) for price, size in asks],
        )

    # -- search ------------------------------------------------------------------------------------

    async def search(self, text: str, limit: int) -> Found:
        """Return the markets whose title or id has the words of *text*.

        Without words: the most traded. If Redis can't be asked, ids alone are searched.
        """
        try:
            async with asyncio.timeout(SEARCH_S), self._turn:
                return await self._search(text, limit)
        except (RedisUnavailable, TimeoutError) as exc:
            why = _text(str(exc)) or "no answer in time"
            hits = [self._hit(market, {}) for market in self._ids(text, limit)]
            return Found(hits, f"titles cannot be searched now: {why}")

    async def _search(self, text: str, limit: int) -> Found:
        exact = MarketId(text.strip())
        if self._find(exact) is not None:
            return Found(await self._titled([exact]))
        own = [venue.venue for venue in self._parts.venues]
        only = own[0] if len(own) == 1 else None
        client = Portioned(self._parts.redis)
        found = await search(client, self._parts.names, text, venue=only, limit=limit)
        hits = [
            self._hit(
                MarketId(hit.market_id),
                {"title": hit.title, "subtitle": hit.subtitle, "event_title": hit.event_title},
                hit.platform,
            )
            for hit in found
            if hit.platform in own
        ]
        if hits:
            return Found(hits)
        ids = self._ids(text, limit)
        return Found(
            await self._titled(ids), "no title has these words: found by id" if ids else ""
        )

    def _ids(self, text: str, limit: int) -> list[MarketId]:
        """Return the ids that have all words of *text* in them."""
        words = text.casefold().split()
        found: list[MarketId] = []
        for venue in self._parts.venues:
            for market in islice(venue.table, IDS_AT_MOST // len(self._parts.venues)):
                if len(found) == limit:
                    return found
                if all(word in market.id.casefold() for word in words):
                    found.append(market.id)
        return found

    async def _titled(self, markets: Sequence[MarketId]) -> list[Hit]:
        if not markets:
            return []
        pipeline = self._parts.redis.pipeline(transaction=False)
        for market in markets:
            pipeline.hmget(self._parts.names.meta(market), _TITLES)
        answers = await execute(pipeline, SEARCH_S)
        return [
            self._hit(market, dict(zip(_TITLES, (as_text(v or "") for v in values), strict=True)))
            for market, values in zip(markets, answers, strict=True)
        ]

    def _hit(self, market: MarketId, meta: Mapping[str, str], venue: str = "") -> Hit:
        found = self._find(market)
        return Hit(
            market=market,
            venue=found[0].venue if found is not None else venue,
            title=_text(meta.get("title", "")),
            subtitle=_text(meta.get("subtitle", "")),
            event=_text(meta.get("event_title", "")),
            price=self._price(market, self._monotonic(), self._now_ns()),
        )


# -- parts -----------------------------------------------------------------------------------------


def _price(market: Market, now_s: float, now_ns: int) -> PriceNow:
    quote, state = market.quote, state_of(market, now_s).value
    if quote is None:
        return PriceNow(market.id, "unpriced", state)
    live = quote.status is STATUS_LIVE
    return PriceNow(
        market.id,
        quote.status.value,
        state,
        quote.source.value,
        bid=quote.bid / ONE_DOLLAR if live and quote.bid_size else None,
        bid_size=quote.bid_size / ONE_CONTRACT,
        ask=quote.ask / ONE_DOLLAR if live and quote.ask_size else None,
        ask_size=quote.ask_size / ONE_CONTRACT,
        last=None if quote.last_price is None else quote.last_price / ONE_DOLLAR,
        ago_s=round((now_ns - quote.ts_recv_ns) / 1e9, 1),
    )


def _redis_state(publisher: Publisher) -> str:
    if not publisher.connected:
        return "away"
    return "trouble" if publisher.problem else "connected"


def _incidents(venue: Venue) -> Mapping[str, int]:
    decoded, markets, probes = venue.feed.decoded(), venue.table.stats, venue.feed.prober.stats
    writer = venue.flights.writer
    return {
        "connections lost": venue.feed.stats.losses,
        "connections frozen": probes.frozen,
        "sequence gaps": decoded.gaps,
        "books out of step": markets.books_lost,
        "books proved wrong": probes.differed,
        "frames not understood": decoded.malformed,
        "prices marked stale": markets.stale,
        **({"incident files written": writer.stats.written} if writer is not None else {}),
    }


def _problems(venue: Venue) -> Mapping[str, str]:
    told = {
        "last loss": venue.feed.stats.last_loss,
        "last difference": venue.feed.prober.stats.last_difference,
        "last problem": venue.feed.decoded().last_problem,
    }
    return {what: _text(text) for what, text in told.items() if text}


def _text(text: str) -> str:
    return clean(redact_text(text), _CHARS)
