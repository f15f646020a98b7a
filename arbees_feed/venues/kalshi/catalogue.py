"""Which requests tell Kalshi's markets, and what the answers mean. No I/O, no clock.

Metadata needs no signature, and unsigned requests are not billed; they may be 15 s old (CDN).
A market record does not name its event's title or category, so those are remembered (bounded)
and fetched for events that were never listed: combos, which `/events` leaves out.
"""

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

import msgspec

from arbees_feed.core.model import MarketId, MarketMeta
from arbees_feed.core.sharding import chunks
from arbees_feed.core.venue import CatalogueStats, Crawl, Found, Request, Selection
from arbees_feed.venues.kalshi.catalogue_messages import Event, EventAnswer, Market
from arbees_feed.venues.kalshi.catalogue_meta import (
    UNKNOWN_EVENT,
    EventFacts,
    event_meta,
    market_meta,
)
from arbees_feed.venues.kalshi.catalogue_pages import UNREADABLE, PageWalk, read

EVENTS_A_PAGE = "200"
MARKETS_A_PAGE = "500"
TICKERS_A_REQUEST = 100
MARKETS_A_FINDING = 50
"""How many are handed over at a time: whoever drives the crawl can do other work between."""
EVENTS_REMEMBERED = 50_000

T = TypeVar("T", Market, Event)
_market = msgspec.json.Decoder(Market)
_event = msgspec.json.Decoder(Event)
_event_answer = msgspec.json.Decoder(EventAnswer)


class KalshiCatalogue:
    """Kalshi's metadata; `rest` is the base URL, with `/trade-api/v2`."""

    def __init__(self, base_urls: Mapping[str, str]) -> None:
        self.stats = CatalogueStats()
        self._base = base_urls["rest"].rstrip("/")
        self._facts: dict[str, EventFacts] = {}

    def immediate(self, selection: Selection) -> Sequence[MarketId]:
        """Return the tickers that *selection* names."""
        return tuple(MarketId(ticker) for ticker in dict.fromkeys(selection.markets))

    def universe(self, selection: Selection) -> Crawl:
        """Find the open markets of the events and series named.

        Tags and `top` select nothing: Kalshi lists no markets by either.
        """
        named = [("event_ticker", event) for event in selection.events]
        named += [("series_ticker", series) for series in selection.series]
        for pair in named:
            yield from self._list_markets((pair, ("status", "open")))

    def listing(self, since_s: int | None) -> Crawl:
        """Find all open events with their markets, or what changed since Unix time *since_s*.

        `min_updated_ts` tracks metadata, not trading; for markets it must come with
        `mve_filter=exclude` and nothing else. Either listing may have what the other lacks.
        """
        nested = (("with_nested_markets", "true"), ("limit", EVENTS_A_PAGE))
        if since_s is None:
            yield from self._list_events((*nested, ("status", "open")))
            return
        since = ("min_updated_ts", str(since_s))
        yield from self._list_events((*nested, since))
        yield from self._list_markets((since, ("mve_filter", "exclude")), with_events=True)

    def lookup(self, markets: Sequence[MarketId]) -> Crawl:
        """Find these markets, whatever their state, and the events not heard of before."""
        for tickers in chunks(tuple(dict.fromkeys(markets)), TICKERS_A_REQUEST):
            yield from self._list_markets((("tickers", ",".join(tickers)),), with_events=True)

    def _list_events(self, params: Sequence[tuple[str, str]]) -> Crawl:
        walk = PageWalk(f"{self._base}/events", "events", params, self.stats)
        while (request := walk.request()) is not None:
            yield from self._found_events(walk.accept((yield request)))

    def _list_markets(
        self, params: Sequence[tuple[str, str]], *, with_events: bool = False
    ) -> Crawl:
        params = (*params, ("limit", MARKETS_A_PAGE))
        # A 404 then means that what the user named is not there; nothing else is lost by it.
        named = not with_events
        url = f"{self._base}/markets"
        walk = PageWalk(url, "markets", params, self.stats, may_be_missing=named)
        while (request := walk.request()) is not None:
            records = walk.accept((yield request))
            for some in chunks(records, MARKETS_A_FINDING):
                markets = list(self._decoded(_market, some))
                if with_events:
                    yield from self._learn_events(markets)
                yield Found(markets=[self._joined(market) for market in markets])

    def _learn_events(self, markets: Iterable[Market]) -> Crawl:
        """Fetch the events of *markets* that were never seen."""
        tickers = dict.fromkeys(m.event_ticker for m in markets if m.event_ticker)
        for ticker in tickers:
            if ticker not in self._facts:
                yield from self._fetch_event(ticker)

    def _fetch_event(self, ticker: str) -> Crawl:
        url = f"{self._base}/events/{ticker}"
        body = yield Request(url, (("with_nested_markets", "true"),))
        if body is None:
            self.stats.not_found += 1
            self._remember(ticker, UNKNOWN_EVENT)
            return
        answer = read(_event_answer, body, url)
        for event in self._decoded(_event, [answer.event]):
            yield from self._parts(event, event.markets or answer.markets or ())
        if ticker not in self._facts:
            self._remember(ticker, UNKNOWN_EVENT)

    def _found_events(self, records: Iterable[msgspec.Raw]) -> Crawl:
        """Hand over a page of events, some markets at a time."""
        found = Found()
        for event in self._decoded(_event, records):
            for part in self._parts(event, event.markets or ()):
                found = Found((*found.markets, *part.markets), (*found.events, *part.events))
                if len(found.markets) >= MARKETS_A_FINDING:
                    yield found
                    found = Found()
        if found.markets or found.events:
            yield found

    def _parts(self, event: Event, records: Sequence[msgspec.Raw]) -> Generator[Found, None, None]:
        """Hand over the markets of one event in parts; the last one has the event as well."""
        facts = EventFacts.of(event)
        self._remember(event.event_ticker, facts)
        metas: list[MarketMeta] = []
        for some in chunks(records, MARKETS_A_FINDING):
            part = [market_meta(market, facts) for market in self._decoded(_market, some)]
            metas += part
            yield Found(markets=part)
        yield Found(events=[event_meta(event, metas)])

    def _joined(self, market: Market) -> MarketMeta:
        return market_meta(market, self._facts.get(market.event_ticker or "", UNKNOWN_EVENT))

    def _remember(self, ticker: str, facts: EventFacts) -> None:
        self._facts.pop(ticker, None)
        self._facts[ticker] = facts
        if len(self._facts) > EVENTS_REMEMBERED:
            del self._facts[next(iter(self._facts))]

    def _decoded(
        self, decoder: msgspec.json.Decoder[T], records: Iterable[msgspec.Raw]
    ) -> Iterator[T]:
        """Decode each record; skip and count those that can't be."""
        for record in records:
            self.stats.records += 1
            try:
                decoded = decoder.decode(record)
            except UNREADABLE as exc:
                self._skip(str(exc), record)
                continue
            if decoded.ticker if isinstance(decoded, Market) else decoded.event_ticker:
                yield decoded
            else:
                self._skip("its ticker is empty", record)

    def _skip(self, reason: str, record: msgspec.Raw) -> None:
        self.stats.skipped += 1
        self.stats.last_problem = f"skipped a record: {reason}: {bytes(record)[:80]!r}"
