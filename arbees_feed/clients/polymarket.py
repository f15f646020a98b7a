"""Polymarket for Python users: REST reads, live prices, and orders when they are switched on."""

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import TYPE_CHECKING, Final, Self

import msgspec

from arbees_feed.clients.base import BaseClient, ClientOptions
from arbees_feed.clients.errors import NotFound
from arbees_feed.clients.model import (
    INTERVAL_S,
    CancelResult,
    Candle,
    Interval,
    Market,
    MarketStatus,
    OrderBookView,
    OrderRequest,
    OrderResult,
    PolymarketAccount,
    TradeRecord,
)
from arbees_feed.clients.polymarket_answers import (
    PLATFORM,
    BookAnswer,
    HistoryAnswer,
    Point,
    SearchAnswer,
    Trade,
    TradesAnswer,
    candles,
)
from arbees_feed.clients.rest import NS, book_side, checked_depth, cut, records, unix_ns
from arbees_feed.config import Settings
from arbees_feed.core.model import MarketId
from arbees_feed.core.paging import UNREADABLE, PageWalk, Paging, violation
from arbees_feed.core.venue import Request
from arbees_feed.enrich.crawl import crawl
from arbees_feed.venues.polymarket import SPEC
from arbees_feed.venues.polymarket.catalogue import PolymarketCatalogue
from arbees_feed.venues.polymarket.catalogue_limits import PUBLIC
from arbees_feed.venues.polymarket.catalogue_messages import Event as EventRecord
from arbees_feed.venues.polymarket.catalogue_messages import Market as MarketRecord
from arbees_feed.venues.polymarket.catalogue_meta import NO_EVENT, EventFacts, market_meta

if TYPE_CHECKING:
    from arbees_feed.clients.polymarket_orders import PolymarketDesk, Trader

GAMMA_URL: Final = "https://gamma-api.polymarket.com"
CLOB_URL: Final = "https://clob.polymarket.com"
DATA_URL: Final = "https://data-api.polymarket.com"
WS_URL: Final = "wss://ws-subscriptions-clob.polymarket.com/ws/market"
A_PAGE: Final = "100"
SEARCHED_A_PAGE: Final = "50"
TRADES_A_PAGE: Final = "1000"
MAX_PAGES: Final = 5_000
MARKETS_REMEMBERED: Final = 10_000
HISTORY_A_REQUEST_S: Final = 14 * 86_400
"""Longer spans are refused at fine steps."""
_FIDELITY_MIN: Final = {"1m": "1", "1h": "1", "1d": "10"}
"""Minutes between the points that candles are made of; older points are ten minutes apart."""

KEYSET: Final = Paging(sent="after_cursor", told="next_cursor", identity="id")
_market = msgspec.json.Decoder(MarketRecord)
_event = msgspec.json.Decoder(EventRecord)
_book = msgspec.json.Decoder(BookAnswer)
_history = msgspec.json.Decoder(HistoryAnswer)
_trades = msgspec.json.Decoder(TradesAnswer)
_search = msgspec.json.Decoder(SearchAnswer)


class PolymarketClient(BaseClient):
    """A `VenueClient` of Polymarket. Only orders need an account.

    Market ids are YES token ids. Reads of one market also take its NO token and answer in YES
    terms; `stream_prices` asks nobody, so it takes YES tokens only.
    """

    def __init__(
        self,
        *,
        gamma_url: str = GAMMA_URL,
        clob_url: str = CLOB_URL,
        data_url: str = DATA_URL,
        ws_url: str | Sequence[str] = WS_URL,
        trading: bool = False,
        account: "PolymarketAccount | Trader | None" = None,
        options: ClientOptions = ClientOptions(),  # noqa: B008 - frozen
    ) -> None:
        super().__init__(SPEC, ws_url, options, rates=PUBLIC, trading=trading)
        self._gamma = gamma_url.rstrip("/")
        self._clob = clob_url.rstrip("/")
        self._data = data_url.rstrip("/")
        self._catalogue = PolymarketCatalogue({"gamma": gamma_url})
        self.stats = self._catalogue.stats
        """Pages and records read, and records skipped because they could not be."""
        self._known: dict[str, Market] = {}
        self._account = account
        self._desk: PolymarketDesk | None = None

    @classmethod
    def from_settings(
        cls,
        settings: Settings,
        *,
        data_url: str = DATA_URL,
        trading: bool = False,
        account: "PolymarketAccount | Trader | None" = None,
        options: ClientOptions = ClientOptions(),  # noqa: B008 - frozen
    ) -> Self:
        """Return a client for the addresses that the daemon's settings name."""
        polymarket = settings.polymarket
        return cls(
            gamma_url=polymarket.gamma_url,
            clob_url=polymarket.clob_url,
            data_url=data_url,
            ws_url=polymarket.ws_url,
            trading=trading,
            account=account,
            options=options,
        )

    # -- markets -----------------------------------------------------------------------------------

    async def get_markets(
        self,
        *,
        event: str | None = None,
        series: str | None = None,
        tag: str | None = None,
        status: MarketStatus = "open",
        limit: int | None = None,
    ) -> AsyncGenerator[Market, None]:
        """List markets by the slug of their event or tag, most traded first if by neither.

        Polymarket's series have no tickers: *series* is a ValueError.
        """
        if series is not None:
            raise ValueError("Polymarket's series have no tickers; name an event or a tag")
        found = (
            self._markets(status)
            if event is None and tag is None
            else self._markets_of_events(event, tag, status)
        )
        seen: set[str] = set()
        async with aclosing(found) as markets:
            async for market in markets:
                if market.market_id in seen or not _is(market, status):
                    continue
                seen.add(market.market_id)
                yield market
                if limit is not None and len(seen) >= limit:
                    return

    async def search_markets(
        self, text: str, *, limit: int | None = None
    ) -> AsyncGenerator[Market, None]:
        """List open markets that Polymarket's own search finds, in its order."""
        url = f"{self._gamma}/public-search"
        seen: set[str] = set()
        for page in range(1, MAX_PAGES):
            params = (
                ("q", text),
                ("page", str(page)),
                ("limit_per_type", SEARCHED_A_PAGE),
                ("events_status", "active"),
            )
            answer = await self._rest.answer(Request(url, params), _search, f"no {url}")
            before = len(seen)
            for event in self._events(answer.events or ()):
                for market in self._of_event(event):
                    if market.market_id in seen or not _is(market, "open"):
                        continue
                    seen.add(market.market_id)
                    yield market
                    if limit is not None and len(seen) >= limit:
                        return
            # A page with nothing new ends it too: nothing promises that there is a last one.
            if answer.pagination is None or not answer.pagination.has_more or len(seen) == before:
                return

    async def get_market(self, market_id: str) -> Market:
        """Return the market of a YES or NO token, whatever its state."""
        token = self._check_form(market_id)
        async with aclosing(crawl(self._catalogue.lookup([token]), self._rest)) as findings:
            async for found in findings:
                for meta in found.markets:
                    if token in (meta.market_id, meta.extras["no_token_id"]):
                        self._remember(meta)
                        return meta
        raise NotFound(f"Polymarket has no market of token {market_id}")

    async def _markets(self, status: MarketStatus) -> AsyncGenerator[Market, None]:
        url = f"{self._gamma}/markets/keyset"
        closed = ("closed", "false" if status == "open" else "true")
        # `volume` is sorted as text.
        params = (("order", "volumeNum"), ("ascending", "false"), closed, ("limit", A_PAGE))
        walk = PageWalk(KEYSET, url, "markets", params, self.stats)
        async with aclosing(records(self._rest, walk, self.stats)) as found:
            async for record in found:
                for market in self._decoded([record], NO_EVENT):
                    yield market

    async def _markets_of_events(
        self, event: str | None, tag: str | None, status: MarketStatus
    ) -> AsyncGenerator[Market, None]:
        named = [(name, value) for name, value in (("slug", event), ("tag_slug", tag)) if value]
        url = f"{self._gamma}/events/keyset"
        # An event is open while any of its markets is.
        for closed in ("false",) if status == "open" else ("false", "true"):
            params = (*named, ("closed", closed), ("limit", A_PAGE))
            walk = PageWalk(KEYSET, url, "events", params, self.stats)
            async with aclosing(records(self._rest, walk, self.stats)) as found:
                async for record in found:
                    for market in self._of_record(record):
                        yield market

    def _of_record(self, record: msgspec.Raw) -> Iterable[Market]:
        for event in self._events([record]):
            yield from self._of_event(event)

    def _of_event(self, event: EventRecord) -> Iterable[Market]:
        return self._decoded(event.markets or (), EventFacts.of(event))

    def _events(self, raw: Iterable[msgspec.Raw]) -> Iterable[EventRecord]:
        for record in raw:
            self.stats.records += 1
            try:
                yield _event.decode(record)
            except UNREADABLE as exc:
                self._skip(exc, record)

    def _decoded(self, raw: Iterable[msgspec.Raw], facts: EventFacts) -> Iterable[Market]:
        for record in raw:
            self.stats.records += 1
            try:
                market = _market.decode(record)
                own = self._facts_in(market) if facts is NO_EVENT else facts
                meta = market_meta(market, own)
            except (*UNREADABLE, ValueError) as exc:
                self._skip(exc, record)
                continue
            self._remember(meta)
            yield meta

    def _facts_in(self, market: MarketRecord) -> EventFacts:
        """Return the short form of its event that a market carries."""
        return next((EventFacts.of(e) for e in self._events((market.events or ())[:1])), NO_EVENT)

    def _skip(self, exc: Exception, record: msgspec.Raw) -> None:
        self.stats.skipped += 1
        self.stats.last_problem = f"skipped a record: {exc}: {bytes(record)[:80]!r}"

    # -- one market --------------------------------------------------------------------------------

    async def get_orderbook(self, market_id: str, depth: int | None = None) -> OrderBookView:
        """Return the book now.

        Raises:
            NotFound: there is no such market, or no book of it: not yet, or not any more.
        """
        checked_depth(depth)
        market = await self._market_of(market_id)
        url = f"{self._clob}/book"
        request = Request(url, (("token_id", market.market_id),))
        missing = f"Polymarket has no book of {market.market_id}: not yet, or it is settled"
        answer = await self._rest.answer(request, _book, missing)
        if answer.asset_id != market.market_id or not answer.timestamp.isdecimal():
            raise violation(url, "not the book asked for", answer.asset_id.encode())
        bids = book_side([(x.price, x.size) for x in answer.bids or ()], url, bids=True)
        asks = book_side([(x.price, x.size) for x in answer.asks or ()], url, bids=False)
        ts_ns = int(answer.timestamp) * 1_000_000
        return OrderBookView(market.market_id, PLATFORM, cut(bids, depth), cut(asks, depth), ts_ns)

    async def get_trades(
        self, market_id: str, *, since: datetime | None = None, until: datetime | None = None
    ) -> AsyncGenerator[TradeRecord, None]:
        """List trades by their takers, newest first: what has settled on chain, seconds late."""
        low = 0 if since is None else unix_ns(since)
        high = None if until is None else unix_ns(until)
        market = await self._market_of(market_id)
        # Times filter nothing here: the listing is walked from its newest end.
        recent: dict[Trade, None] = {}
        async with aclosing(self._trades(market)) as found:
            async for trade in found:
                ts_ns = trade.timestamp * NS
                if ts_ns < low:
                    return
                if trade in recent or (high is not None and ts_ns >= high):
                    continue
                recent[trade] = None
                if len(recent) > int(TRADES_A_PAGE):
                    del recent[next(iter(recent))]
                yield trade.record(market)

    async def _trades(self, market: Market) -> AsyncGenerator[Trade, None]:
        url = f"{self._data}/v2/trades"
        params = (
            ("condition_id", market.extras["condition_id"]),
            ("taker_only", "true"),
            ("limit", TRADES_A_PAGE),
        )
        cursors = {""}
        cursor: str | None = ""
        while cursor is not None:
            turned = (("cursor", cursor),) if cursor else ()
            request = Request(url, (*params, *turned))
            answer = await self._rest.answer(request, _trades, f"no trades of {market.market_id}")
            for trade in answer.data:
                yield trade
            cursor = answer.pagination.next_cursor or None
            if cursor in cursors or len(cursors) > MAX_PAGES:
                raise violation(url, "the listing goes in circles", (cursor or "").encode())
            cursors.add(cursor or "")

    async def get_price_history(
        self, market_id: str, start: datetime, end: datetime, interval: Interval = "1h"
    ) -> AsyncGenerator[Candle, None]:
        """List candles of the prices that Polymarket shows (midpoints, mostly)."""
        period_s = INTERVAL_S[interval]
        low_ns, high_ns = unix_ns(start), unix_ns(end)
        market = await self._market_of(market_id)
        span_s = max(HISTORY_A_REQUEST_S, period_s)
        first = low_ns // NS // period_s * period_s
        for begin in range(first, high_ns // NS, span_s):
            close = min(begin + span_s, high_ns // NS)
            points = await self._points(market, (begin, close), _FIDELITY_MIN[interval])
            for candle in candles(points, period_s):
                if low_ns < candle.end_ns <= high_ns:
                    yield candle

    async def _points(self, market: Market, span: tuple[int, int], fidelity: str) -> list[Point]:
        """Return the points after the start of *span* and up to its end, in order of time."""
        url = f"{self._clob}/prices-history"
        params = (
            ("market", market.market_id),
            ("startTs", str(span[0])),
            ("endTs", str(span[1])),
            ("fidelity", fidelity),
        )
        missing = f"Polymarket has no history of {market.market_id}"
        answer = await self._rest.answer(Request(url, params), _history, missing)
        points = [point for point in answer.history if span[0] < point.t <= span[1]]
        return sorted(points, key=lambda point: point.t)

    async def _market_of(self, market_id: str) -> Market:
        """Return the market of a YES or NO token; asked for once."""
        token = self._check_form(market_id)
        return self._known.get(token) or await self.get_market(token)

    def _remember(self, market: Market) -> None:
        for token in (market.market_id, MarketId(market.extras["no_token_id"])):
            self._known[token] = market
        while len(self._known) > 2 * MARKETS_REMEMBERED:
            del self._known[next(iter(self._known))]

    # -- orders ------------------------------------------------------------------------------------

    async def place_order(self, order: OrderRequest) -> OrderResult:
        """Place a limit order that may rest (gtc), through the official client."""
        desk = await self._order_desk()
        return await desk.place(order, await self._market_of(order.market_id))

    async def cancel_order(self, order_id: str, *, market_id: str) -> CancelResult:
        """Take back what remains of an order.

        Raises:
            NotFound: there is no such order, or nothing remains of it.
        """
        desk = await self._order_desk()
        self._check_form(market_id)
        return await desk.cancel(order_id)

    async def _order_desk(self) -> "PolymarketDesk":
        self._check_trading()
        if self._desk is None:
            # Not before trading is on: whoever only reads prices never loads it.
            from arbees_feed.clients.polymarket_orders import open_desk  # noqa: PLC0415

            assert self._rest  # noqa: S101 - the client is open
            self._desk = await self._opened.enter_async_context(open_desk(self._account))
            self._opened.callback(self._close_desk)
        return self._desk

    def _close_desk(self) -> None:
        self._desk = None


def _is(market: Market, status: MarketStatus) -> bool:
    """Tell whether a market has a status; one that pauses is open still."""
    if status == "open":
        return market.status in ("open", "paused")
    return market.status == status
