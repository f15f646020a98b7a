"""Kalshi for Python users: REST reads, live prices, and orders when they are switched on."""

import time
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import TYPE_CHECKING, Final, Self

import msgspec

from arbees_feed.clients.base import BaseClient, ClientOptions
from arbees_feed.clients.errors import NotFound
from arbees_feed.clients.kalshi_answers import (
    PLATFORM,
    BookAnswer,
    CandlesAnswer,
    Trade,
)
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
    TradeRecord,
)
from arbees_feed.clients.rest import NS, book_side, checked_depth, cut, records, unix_ns
from arbees_feed.config import KalshiSettings, Settings
from arbees_feed.core.paging import UNREADABLE, PageWalk, Paging, read
from arbees_feed.core.venue import Credentials, Request
from arbees_feed.enrich.crawl import crawl
from arbees_feed.transport.http import HttpFetcher
from arbees_feed.venues.kalshi import SPEC
from arbees_feed.venues.kalshi.auth import signed_headers
from arbees_feed.venues.kalshi.catalogue import KalshiCatalogue
from arbees_feed.venues.kalshi.catalogue_limits import BASIC
from arbees_feed.venues.kalshi.catalogue_messages import Market as MarketRecord
from arbees_feed.venues.kalshi.catalogue_meta import market_meta

if TYPE_CHECKING:
    from arbees_feed.clients.kalshi_orders import KalshiDesk

REST_URL: Final = "https://external-api.kalshi.com/trade-api/v2"
WS_URL: Final = "wss://external-api-ws.kalshi.com/trade-api/ws/v2"
MARKETS_A_PAGE: Final = "1000"
TRADES_A_PAGE: Final = "1000"
DEEPEST: Final = 100
"""Levels that can be asked for; more are had by asking for all."""
CANDLES_A_REQUEST: Final = 5_000
SERIES_REMEMBERED: Final = 10_000
_PERIODS: Final = {"1m": "1", "1h": "60", "1d": "1440"}

MARKETS: Final = Paging(sent="cursor", told="cursor", identity="ticker")
TRADES: Final = Paging(sent="cursor", told="cursor", identity="trade_id")
_market = msgspec.json.Decoder(MarketRecord)
_trade = msgspec.json.Decoder(Trade)
_book = msgspec.json.Decoder(BookAnswer)
_candles = msgspec.json.Decoder(CandlesAnswer)


def kalshi_credentials(api_key_id: str, private_key_pem: str) -> Credentials:
    """Return what signs requests, from a key's id and its private key (RSA or Ed25519, PEM).

    Raises:
        SettingsError: the key can't be read; the message repeats none of it.
    """
    from arbees_feed.config.keys import load_credentials  # noqa: PLC0415 - brings cryptography

    settings = KalshiSettings.model_validate(
        {"enabled": True, "api_key_id": api_key_id, "private_key_pem": private_key_pem}
    )
    credentials = load_credentials(settings)
    assert credentials is not None  # noqa: S101 - it is enabled
    return credentials


class KalshiClient(BaseClient):
    """A `VenueClient` of Kalshi. Reads need no credentials; prices and orders do."""

    def __init__(
        self,
        credentials: Credentials | None = None,
        *,
        rest_url: str = REST_URL,
        ws_url: str | Sequence[str] = WS_URL,
        trading: bool = False,
        options: ClientOptions = ClientOptions(),  # noqa: B008 - frozen
    ) -> None:
        sign = None if credentials is None else self._sign_request
        super().__init__(
            SPEC,
            ws_url,
            options,
            rates=BASIC,
            credentials=credentials,
            sign=sign,
            trading=trading,
        )
        self._credentials = credentials
        self._base = rest_url.rstrip("/")
        self._catalogue = KalshiCatalogue({"rest": rest_url})
        self.stats = self._catalogue.stats
        """Pages and records read, and records skipped because they could not be."""
        self._series: dict[str, str] = {}
        self._desk: KalshiDesk | None = None

    @classmethod
    def from_settings(
        cls,
        settings: Settings,
        *,
        trading: bool = False,
        options: ClientOptions = ClientOptions(),  # noqa: B008 - frozen
    ) -> Self:
        """Return a client for the account and the addresses that the daemon's settings name.

        Raises:
            SettingsError: the key is incomplete or can't be read.
        """
        from arbees_feed.config.keys import load_credentials  # noqa: PLC0415 - brings cryptography

        kalshi = settings.kalshi
        return cls(
            load_credentials(kalshi),
            rest_url=kalshi.rest_url[0],
            ws_url=kalshi.ws_url,
            trading=trading,
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
        """List markets by the ticker of their event or series; Kalshi has no tags.

        Combos are left out. Titles of events are only known of markets met before: `get_market`
        fetches them.
        """
        if tag is not None:
            raise ValueError("Kalshi lists no markets by tag; name a series")
        params = [("status", status), ("mve_filter", "exclude"), ("limit", MARKETS_A_PAGE)]
        params += [("event_ticker", event)] if event else []
        params += [("series_ticker", series)] if series else []
        walk = PageWalk(MARKETS, f"{self._base}/markets", "markets", params, self.stats)
        seen: set[str] = set()
        async with aclosing(records(self._rest, walk, self.stats)) as found:
            async for record in found:
                market = self._decoded(record)
                if market is not None and market.ticker not in seen:
                    seen.add(market.ticker)
                    yield market_meta(market)
                if limit is not None and len(seen) >= limit:
                    return

    async def search_markets(
        self, text: str, *, limit: int | None = None
    ) -> AsyncGenerator[Market, None]:
        """List open markets with all words of *text* in their titles or tickers.

        Kalshi has no search: all open events are listed, 200 a page, until the loop is left.
        """
        words = text.casefold().split()
        seen: set[str] = set()
        async with aclosing(crawl(self._catalogue.listing(None), self._rest)) as findings:
            async for found in findings:
                for market in found.markets:
                    if market.market_id in seen or not _has_words(market, words):
                        continue
                    seen.add(market.market_id)
                    yield market
                    if limit is not None and len(seen) >= limit:
                        return

    async def get_market(self, market_id: str) -> Market:
        """Return a market and what its event adds, whatever its state."""
        market = self._check_form(market_id)
        async with aclosing(crawl(self._catalogue.lookup([market]), self._rest)) as findings:
            async for found in findings:
                for meta in found.markets:
                    if meta.market_id == market:
                        self._remember_series(meta)
                        return meta
        raise NotFound(f"Kalshi has no market {market_id}")

    def _decoded(self, record: msgspec.Raw) -> MarketRecord | None:
        self.stats.records += 1
        try:
            return _market.decode(record)
        except UNREADABLE as exc:
            self.stats.skipped += 1
            self.stats.last_problem = f"skipped a record: {exc}: {bytes(record)[:80]!r}"
            return None

    # -- one market --------------------------------------------------------------------------------

    async def get_orderbook(self, market_id: str, depth: int | None = None) -> OrderBookView:
        """Return the book now; requests are signed if possible, unsigned ones may be 15 s old."""
        market = self._check_form(market_id)
        asked = checked_depth(depth) or 0
        url = f"{self._base}/markets/{market}/orderbook"
        params = (("depth", str(asked if asked <= DEEPEST else 0)),)
        request = Request(url, params, signed=self._credentials is not None)
        answer = await self._rest.answer(request, _book, f"Kalshi has no market {market_id}")
        sides = answer.orderbook_fp
        bids = book_side(sides.yes_dollars or (), url, bids=True)
        # A bid for NO at p is an offer of YES at 1 - p.
        asks = book_side(sides.no_dollars or (), url, bids=False, mirrored=True)
        return OrderBookView(market, PLATFORM, cut(bids, depth), cut(asks, depth))

    async def get_trades(
        self, market_id: str, *, since: datetime | None = None, until: datetime | None = None
    ) -> AsyncGenerator[TradeRecord, None]:
        """List trades, newest first; Kalshi keeps about three months of them here."""
        market = self._check_form(market_id)
        low = 0 if since is None else unix_ns(since)
        high = None if until is None else unix_ns(until)
        params = [("ticker", str(market)), ("limit", TRADES_A_PAGE)]
        params += [("min_ts", str(low // NS))] if low else []
        params += [("max_ts", str(-(-high // NS)))] if high is not None else []
        url = f"{self._base}/markets/trades"
        walk = PageWalk(TRADES, url, "trades", params, self.stats)
        # A trade that comes while pages are turned pushes others onto the next page.
        recent: dict[str, None] = {}
        async with aclosing(records(self._rest, walk, self.stats)) as found:
            async for record in found:
                trade = read(_trade, record, url).record()
                if trade.trade_id in recent or not low <= trade.ts_ns < (high or trade.ts_ns + 1):
                    continue
                recent[trade.trade_id] = None
                if len(recent) > int(TRADES_A_PAGE):
                    del recent[next(iter(recent))]
                yield trade

    async def get_price_history(
        self, market_id: str, start: datetime, end: datetime, interval: Interval = "1h"
    ) -> AsyncGenerator[Candle, None]:
        """List candles of trade prices, with the quotes at their ends."""
        market = self._check_form(market_id)
        series = self._series.get(market) or (await self._series_of(market))
        url = f"{self._base}/series/{series}/markets/{market}/candlesticks"
        told_ns = unix_ns(start)
        for low, high in _windows(told_ns // NS, unix_ns(end) // NS, INTERVAL_S[interval]):
            params = {"start_ts": low, "end_ts": high, "period_interval": _PERIODS[interval]}
            request = Request(url, tuple((name, str(value)) for name, value in params.items()))
            answer = await self._rest.answer(request, _candles, f"Kalshi has no market {market}")
            for stick in answer.candlesticks:
                candle = stick.candle(INTERVAL_S[interval])
                if told_ns < candle.end_ns <= unix_ns(end):
                    told_ns = candle.end_ns
                    yield candle

    async def _series_of(self, market: str) -> str:
        await self.get_market(market)
        return self._series[market]

    def _remember_series(self, meta: Market) -> None:
        self._series[meta.market_id] = meta.extras["series_ticker"]
        if len(self._series) > SERIES_REMEMBERED:
            del self._series[next(iter(self._series))]

    # -- orders ------------------------------------------------------------------------------------

    async def place_order(self, order: OrderRequest) -> OrderResult:
        """Place a limit order (see `VenueClient`); a lost answer is looked up, never sent again."""
        return await self._order_desk().place(order)

    async def cancel_order(self, order_id: str, *, market_id: str) -> CancelResult:
        """Take back what remains of an order.

        Raises:
            NotFound: there is no such order, or nothing remains of it.
        """
        return await self._order_desk().cancel(order_id, self._check_form(market_id))

    def _order_desk(self) -> "KalshiDesk":
        self._check_trading()
        if self._desk is None:
            # Not before trading is on: whoever only reads prices never loads it.
            from arbees_feed.clients.kalshi_orders import (  # noqa: PLC0415
                KalshiDesk,
                orders_options,
            )

            writes = HttpFetcher(
                self._open_session, orders_options(self._options.timeout_s), sign=self._sign
            )
            self._desk = KalshiDesk(writes, self._rest, self._base, self.stats)
            self._opened.callback(self._close_desk)
        return self._desk

    def _close_desk(self) -> None:
        self._desk = None

    def _sign_request(self, method: str, path: str) -> Mapping[str, str]:
        return signed_headers(self._credentials, path, time.time_ns() // 1_000_000, method)


def _has_words(market: Market, words: Sequence[str]) -> bool:
    facts = (market.title, market.subtitle, market.event_title, market.market_id)
    text = " ".join(facts).casefold()
    return all(word in text for word in words)


def _windows(start_s: int, end_s: int, period_s: int) -> Iterator[tuple[int, int]]:
    """Cut a span into such that one request may ask for."""
    span_s = CANDLES_A_REQUEST * period_s
    for low in range(start_s, end_s, span_s):
        yield low, min(low + span_s, end_s)
