"""Which requests tell Kalshi's markets, and what the answers mean. No I/O, no clock.

Metadata needs no signature, and unsigned requests are not billed; they may be 15 s old (CDN).
A market record does not name its event's title or category, so those are remembered (bounded)
and fetched for events that were never listed: combos, which `/events` leaves out.
"""

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

import msgspec

from arbees_feed.core.events import BookTold, TopOfBook
from arbees_feed.core.model import MarketId, MarketMeta
from arbees_feed.core.paging import UNREADABLE, PageWalk, Paging, read
from arbees_feed.core.sharding import chunks
from arbees_feed.core.venue import CatalogueStats, Crawl, Found, Request, Selection
from arbees_feed.venues.kalshi.catalogue_books import BookReader, BookRecord, BooksAnswer
from arbees_feed.venues.kalshi.catalogue_fees import (
    NOT_TOLD,
    Fees,
    Series,
    SeriesAnswer,
    SeriesFees,
    fees_told,
    override_of,
)
from arbees_feed.venues.kalshi.catalogue_limits import BASIC, AccountLimits, rates_of
from arbees_feed.venues.kalshi.catalogue_messages import Event, EventAnswer, Market
from arbees_feed.venues.kalshi.catalogue_meta import (
    UNKNOWN_EVENT,
    EventFacts,
    event_meta,
    market_meta,
    series_of,
)
from arbees_feed.venues.kalshi.catalogue_tops import MarketTop, TopReader

EVENTS_A_PAGE = "200"
MARKETS_A_PAGE = "500"
TOPS_A_PAGE = "1000"
"""The most that is allowed: prices are wanted soon, and little of each record is read."""
TICKERS_A_REQUEST = 100
MARKETS_A_FINDING = 50
"""How many are handed over at a time: whoever drives the crawl can do other work between."""
SERIES_AT_ONCE = 500
"""How many are read at a time, for the same reason."""
EVENTS_REMEMBERED = 50_000

T = TypeVar("T", Market, Event, MarketTop, BookRecord, Series)
_BY_EVENT = Paging(sent="cursor", told="cursor", identity="event_ticker")
_BY_MARKET = Paging(sent="cursor", told="cursor", identity="ticker")
_OPEN = ("status", "open")
_market = msgspec.json.Decoder(Market)
_market_top = msgspec.json.Decoder(MarketTop)
_books_answer = msgspec.json.Decoder(BooksAnswer)
_book_record = msgspec.json.Decoder(BookRecord)
_account_limits = msgspec.json.Decoder(AccountLimits)
_event = msgspec.json.Decoder(Event)
_event_answer = msgspec.json.Decoder(EventAnswer)
_series = msgspec.json.Decoder(Series)
_series_answer = msgspec.json.Decoder(SeriesAnswer)


class KalshiCatalogue:
    """Kalshi's metadata; `rest` is the base URL, with `/trade-api/v2`."""

    def __init__(self, base_urls: Mapping[str, str]) -> None:
        self.stats = CatalogueStats()
        self.rates = BASIC
        self._tops = TopReader()
        self._books = BookReader()
        self._base = base_urls["rest"].rstrip("/")
        self._facts: dict[str, EventFacts] = {}
        self._fees = SeriesFees()

    def immediate(self, selection: Selection) -> Sequence[MarketId]:
        """Return the tickers that *selection* names."""
        return tuple(MarketId(ticker) for ticker in dict.fromkeys(selection.markets))

    def universe(self, selection: Selection, since_s: int | None = None) -> Crawl:
        """Find the open markets of the events and series named, or all of them.

        Tags and `top` select nothing: Kalshi lists no markets by either.
        """
        if selection.everything:
            new = () if since_s is None else (("min_created_ts", str(since_s)),)
            yield from self._list_markets((_OPEN, *new))
            return
        named = [("event_ticker", event) for event in selection.events]
        named += [("series_ticker", series) for series in selection.series]
        for pair in named:
            yield from self._list_markets((pair, _OPEN))

    def listing(self, since_s: int | None) -> Crawl:
        """Find all open events with their markets, or what changed since Unix time *since_s*.

        `min_updated_ts` tracks metadata, not trading; for markets it must come with
        `mve_filter=exclude` and nothing else. Either listing may have what the other lacks.
        """
        nested = (("with_nested_markets", "true"), ("limit", EVENTS_A_PAGE))
        if since_s is None:
            yield from self._list_events((*nested, _OPEN))
            return
        since = ("min_updated_ts", str(since_s))
        yield from self._list_events((*nested, since))
        yield from self._list_markets((since, ("mve_filter", "exclude")), with_events=True)

    def lookup(self, markets: Sequence[MarketId]) -> Crawl:
        """Find these markets, whatever their state, and the events not heard of before."""
        for tickers in chunks(tuple(dict.fromkeys(markets)), TICKERS_A_REQUEST):
            yield from self._list_markets((("tickers", ",".join(tickers)),), with_events=True)

    def tops(self, markets: Sequence[MarketId] | None) -> Crawl:
        """Find the top of book of these markets, or of all that are open (None).

        Signed: unsigned answers come from a cache and may be 15 s old.
        """
        if markets is None:
            yield from self._list_tops((_OPEN, ("limit", TOPS_A_PAGE)))
            return
        for tickers in chunks(tuple(dict.fromkeys(markets)), TICKERS_A_REQUEST):
            params = (("tickers", ",".join(tickers)), ("limit", str(TICKERS_A_REQUEST)))
            yield from self._list_tops(params)

    def books(self, markets: Sequence[MarketId]) -> Crawl:
        """Find the books of these markets, now; who is unknown or has none is left out.

        Signed: the interface demands it, and unsigned answers may be 15 s old. The answers carry
        neither a time nor a sequence number.
        """
        url = f"{self._base}/markets/orderbooks"
        for tickers in chunks(tuple(dict.fromkeys(markets)), TICKERS_A_REQUEST):
            body = yield Request(url, tuple(("tickers", t) for t in tickers), signed=True)
            if body is None:
                self.stats.not_found += 1
                continue
            records = read(_books_answer, body, url).orderbooks or []
            for some in chunks(records[:TICKERS_A_REQUEST], MARKETS_A_FINDING):
                yield Found(books=list(self._read_books(some, frozenset(tickers))))

    def _read_books(
        self, records: Iterable[msgspec.Raw], asked: frozenset[MarketId]
    ) -> Iterator[BookTold]:
        for record in self._decoded(_book_record, records):
            if record.ticker not in asked:
                self._skip(f"a book of {record.ticker[:40]!r}, which was not asked for")
                continue
            try:
                yield self._books.book(record)
            except ValueError as exc:
                self._skip(f"{record.ticker}: {exc}")

    def allowance(self) -> Crawl:
        """Find how fast the account may read."""
        url = f"{self._base}/account/limits"
        body = yield Request(url, signed=True)
        if body is not None:
            yield Found(rates=rates_of(read(_account_limits, body, url).read))

    def fees(self, events: Sequence[str] = ()) -> Crawl:
        """Learn the fees of all series; what is told of markets from then on has them.

        One reply has all: `/series` has no pages. With *events*, learn what these override instead,
        and find their markets. Signed then: unsigned answers may be 15 s old.
        """
        if events:
            for ticker in dict.fromkeys(events):
                yield from self._fetch_event(ticker, signed=True)
            return
        url = f"{self._base}/series"
        body = yield Request(url)
        if body is None:
            self.stats.not_found += 1
            return
        for some in chunks(read(_series_answer, body, url).series or [], SERIES_AT_ONCE):
            for series in self._decoded(_series, some):
                self._learn_fees(series)
            yield Found()
        listed = (series_of(event, facts) for event, facts in self._facts.items())
        if self._fees.have_changed(listed):
            yield Found(outdated=True)

    def _learn_fees(self, series: Series) -> None:
        try:
            fees = fees_told(series.fee_type, series.fee_multiplier)
        except ValueError as exc:
            self._skip(f"series {series.ticker[:40]}: {exc}")
        else:
            self._fees.learn(series.ticker, fees)

    def forget(self, markets: Sequence[MarketId], events: Sequence[str]) -> None:
        """Remember no more of these; of single markets nothing is."""
        del markets
        for event in events:
            self._facts.pop(event, None)

    def _list_tops(self, params: Sequence[tuple[str, str]]) -> Crawl:
        url = f"{self._base}/markets"
        walk = PageWalk(_BY_MARKET, url, "markets", params, self.stats, signed=True)
        while (request := walk.request()) is not None:
            for some in chunks(walk.accept((yield request)), MARKETS_A_FINDING):
                yield Found(tops=list(self._read_tops(some)))

    def _read_tops(self, records: Iterable[msgspec.Raw]) -> Iterator[TopOfBook]:
        for record in self._decoded(_market_top, records):
            try:
                top = self._tops.top(record)
            except ValueError as exc:
                self._skip(f"{record.ticker}: {exc}")
                continue
            if top is not None:
                yield top

    def _list_events(self, params: Sequence[tuple[str, str]]) -> Crawl:
        walk = PageWalk(_BY_EVENT, f"{self._base}/events", "events", params, self.stats)
        while (request := walk.request()) is not None:
            yield from self._found_events(walk.accept((yield request)))

    def _list_markets(
        self, params: Sequence[tuple[str, str]], *, with_events: bool = False
    ) -> Crawl:
        params = (*params, ("limit", MARKETS_A_PAGE))
        # A 404 then means that what the user named is not there; nothing else is lost by it.
        named = not with_events
        url = f"{self._base}/markets"
        walk = PageWalk(_BY_MARKET, url, "markets", params, self.stats, may_be_missing=named)
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
            if ticker not in self._facts:
                self._remember(ticker, UNKNOWN_EVENT)

    def _fetch_event(self, ticker: str, *, signed: bool = False) -> Crawl:
        url = f"{self._base}/events/{ticker}"
        body = yield Request(url, (("with_nested_markets", "true"),), signed=signed)
        if body is None:
            self.stats.not_found += 1
            return
        answer = read(_event_answer, body, url)
        for event in self._decoded(_event, [answer.event]):
            yield from self._parts(event, event.markets or answer.markets or ())

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
        facts = EventFacts.of(event, self._override(event))
        self._remember(event.event_ticker, facts)
        metas: list[MarketMeta] = []
        for some in chunks(records, MARKETS_A_FINDING):
            part = [self._meta(market, facts) for market in self._decoded(_market, some)]
            metas += part
            yield Found(markets=part)
        yield Found(events=[event_meta(event, metas)])

    def _override(self, event: Event) -> Fees:
        try:
            return override_of(event)
        except ValueError as exc:
            self._skip(f"{event.event_ticker[:40]}: {exc}")
            return NOT_TOLD

    def _joined(self, market: Market) -> MarketMeta:
        return self._meta(market, self._facts.get(market.event_ticker or "", UNKNOWN_EVENT))

    def _meta(self, market: Market, facts: EventFacts) -> MarketMeta:
        series = series_of(market.event_ticker or "", facts)
        return market_meta(market, facts, self._fees.of(series, facts.fees))

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
                self._skip(f"{exc}: {bytes(record)[:80]!r}")
                continue
            if decoded.event_ticker if isinstance(decoded, Event) else decoded.ticker:
                yield decoded
            else:
                self._skip(f"its ticker is empty: {bytes(record)[:80]!r}")

    def _skip(self, reason: str) -> None:
        self.stats.skipped += 1
        self.stats.last_problem = f"skipped a record: {reason}"
