"""All markets of one venue: events in, quotes out, and what may not be believed.

One rule holds everywhere: a quote leaves as `live` only from a source that is in step at that
moment. A market whose source is in doubt (disconnected, gap, crossed, not agreeing with the best
prices that the venue tells) gets `stale_grace_s` to mend; then one `stale` quote goes out and, if
nobody has yet, a new snapshot is asked for. Time comes in as an argument or from the clock handed
in; nothing here waits.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from arbees_feed.core.book import BookState, OrderBook
from arbees_feed.core.events import (
    BookLost,
    BookSnapshot,
    Event,
    LevelChanged,
    LevelSet,
    MarketListed,
    Notice,
    TickerLost,
    TopOfBook,
    TopTold,
    Trade,
    TradingChanged,
)
from arbees_feed.core.model import ONE_DOLLAR, MarketId, Quote, Source, Status
from arbees_feed.feed.market import Link, Market, MarketsConfig, MarketsStats, Outlet, Shown

AGAIN_S = 10.0
"""After so long another snapshot is asked for when the last one could not be shown either."""


class MarketTable:
    """The markets of a venue by id."""

    def __init__(
        self,
        open_outlet: Callable[[MarketId], Outlet],
        config: MarketsConfig,
        *,
        monotonic: Callable[[], float],
        on_listed: Callable[[MarketListed], None] = lambda _: None,
        on_notice: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._open_outlet = open_outlet
        self._config = config
        self._monotonic = monotonic
        self._on_listed = on_listed
        self._on_notice = on_notice
        self._markets: dict[MarketId, Market] = {}
        self._doubts: dict[MarketId, float] = {}
        self.ended: list[MarketId] = []
        """Markets that have ended since the owner last looked; it unsubscribes them."""
        self._new: list[MarketId] = []
        self.live = 0
        """How many markets are shown as live now."""
        self.stats = MarketsStats()
        self._link: Link | None = None
        self._recv_ns = 0
        self._handlers: dict[type, Callable[[Any], Market | None]] = {
            LevelChanged: self._level_changed,
            LevelSet: self._level_set,
            TopTold: self._top_told,
            TopOfBook: self._top_of_book,
            BookSnapshot: self._book_snapshot,
            Trade: self._trade,
            BookLost: self._book_lost,
            TickerLost: self._ticker_lost,
            TradingChanged: self._trading_changed,
            MarketListed: self._listed,
            Notice: self._notice,
        }

    def __len__(self) -> int:
        return len(self._markets)

    def __contains__(self, market: object) -> bool:
        return market in self._markets

    def __iter__(self) -> Iterator[Market]:
        return iter(self._markets.values())

    def get(self, market_id: MarketId) -> Market | None:
        """Return a market that has been seen, or None."""
        return self._markets.get(market_id)

    # -- events in -------------------------------------------------------------------------------

    def apply(self, events: Sequence[Event], link: Link, recv_ns: int) -> None:
        """Apply one frame's events, then show what they changed: a frame is handled whole."""
        self._link, self._recv_ns = link, recv_ns
        handlers = self._handlers
        if len(events) == 1:
            market = handlers[type(events[0])](events[0])
            if market is not None:
                self._settle(market)
            return
        touched: dict[MarketId, Market] = {}
        for event in events:
            market = handlers[type(event)](event)
            if market is not None:
                touched[market.id] = market
        for market in touched.values():
            self._settle(market)

    def _level_changed(self, event: LevelChanged) -> Market | None:
        market = self._markets.get(event.market)
        if market is None or (book := market.book) is None:
            return None
        touched = book.change(event.side, event.price, event.change)
        return self._after_level(market, book, event.ts_ns, touched=touched)

    def _level_set(self, event: LevelSet) -> Market | None:
        market = self._markets.get(event.market)
        if market is None or (book := market.book) is None:
            return None
        touched = book.set(event.side, event.price, event.size)
        return self._after_level(market, book, event.ts_ns, touched=touched)

    def _after_level(
        self, market: Market, book: OrderBook, ts_ns: int, *, touched: bool
    ) -> Market | None:
        if book.state is BookState.LIVE:
            market.ts_ns = ts_ns
            if self._config.depth:
                market.outlet.put_depth(book, ts_ns, self._recv_ns)
        elif touched:
            # This very event proved the book wrong; whatever else is in doubt, nobody has asked.
            self._lost(market, book.reason, ask=True)
        return market if touched else None

    def _top_told(self, event: TopTold) -> Market | None:
        market = self._markets.get(event.market)
        if market is None or market.book is None or market.book.state is not BookState.LIVE:
            return None
        bid, _, ask, _ = market.book.top()
        agrees = event.best_bid in (None, bid) and event.best_ask in (None, ask)
        if agrees is market.agrees:
            return None
        market.agrees = agrees
        return market

    def _book_snapshot(self, event: BookSnapshot) -> Market | None:
        market = self._market(event.market)
        if market.phase == "closed":
            return None
        book = market.book
        if book is None:
            book = market.book = OrderBook()
        book.load(event.bids, event.asks)
        market.book_link, market.agrees = self._link, True
        market.floor_ns = max(market.floor_ns, market.ts_ns)
        return self._after_level(market, book, event.ts_ns, touched=True)

    def _top_of_book(self, event: TopOfBook) -> Market | None:
        market = self._market(event.market)
        if event.last_price is not None and event.ts_ns >= market.last_ts_ns:
            market.last_price, market.last_ts_ns = event.last_price, event.ts_ns
        known = market.ticker
        if known is not None and 0 < event.ts_ns < known.ts_ns:
            return None
        market.ticker, market.ticker_link = event, self._link
        return market

    def _trade(self, event: Trade) -> Market | None:
        market = self._market(event.market)
        self.stats.trades += 1
        if self._config.trades:
            market.outlet.put_trade(event, self._recv_ns)
        if event.ts_ns < market.last_ts_ns:
            return None
        market.last_price, market.last_ts_ns = event.price, event.ts_ns
        return market

    def _book_lost(self, event: BookLost) -> Market | None:
        market = self._markets.get(event.market)
        if market is None or market.book is None:
            return None
        market.book.lose(event.reason)
        self._lost(market, event.reason, ask=False)
        return market

    def _ticker_lost(self, event: TickerLost) -> Market | None:
        market = self._markets.get(event.market)
        if market is not None:
            market.ticker = None
            self.stats.last_loss = event.reason
        return market

    def _trading_changed(self, event: TradingChanged) -> Market | None:
        market = self._markets.get(event.market)
        if market is None and event.phase == "closed":
            self.ended.append(event.market)  # asked for, perhaps, but never heard of
        if market is None or market.phase == event.phase:
            return None
        market.phase = event.phase
        market.ts_ns = event.ts_ns or market.ts_ns
        if event.phase == "closed":
            market.book = market.ticker = None
            self.ended.append(market.id)
            self._show_nothing(market, Status.CLOSED, self._recv_ns)
        elif event.phase == "paused" and market.shown:
            self._show_nothing(market, Status.STALE, self._recv_ns)
        return market

    def _listed(self, event: MarketListed) -> Market | None:
        self._on_listed(event)
        return None

    def _notice(self, event: Notice) -> Market | None:
        self._on_notice(event.text)
        return None

    def _market(self, market_id: MarketId) -> Market:
        market = self._markets.get(market_id)
        if market is None:
            market = Market(market_id, self._open_outlet(market_id))
            self._markets[market_id] = market
            self._new.append(market_id)
        return market

    def take_new(self) -> list[MarketId]:
        """Return the markets first seen since the last call."""
        new, self._new = self._new, []
        return new

    # -- quotes out ------------------------------------------------------------------------------

    def _settle(self, market: Market) -> None:
        """Show the newest state if it may be shown, else begin to doubt."""
        if market.phase != "open":
            return
        book, ticker = market.book, market.ticker
        if book is not None and book.state is BookState.LIVE:
            bid, bid_size, ask, ask_size = book.top()
            source = Source.BOOK
            if not market.agrees:
                self._doubt(market, "top of book is not what the venue says")
                return
        elif ticker is not None and not 0 < ticker.ts_ns < max(market.ts_ns, market.floor_ns):
            market.ts_ns = ticker.ts_ns
            bid, bid_size, ask, ask_size = ticker.bid, ticker.bid_size, ticker.ask, ticker.ask_size
            source = Source.TICKER
        else:
            self._doubt(market, market.doubt or "no trusted source")
            return
        if bid >= ask:
            # Venues pass through such states within one change: wait for the rest of it.
            self._doubt(market, "crossed")
            return
        if market.doubt:
            self._trust(market)
        shown = (bid, bid_size, ask, ask_size, market.last_price, Status.LIVE)
        if shown != market.shown:
            self._show(market, shown, source, self._recv_ns)

    def _show(self, market: Market, shown: Shown, source: Source, recv_ns: int) -> None:
        self.live += (shown[5] is Status.LIVE) - market.is_shown_live
        market.shown = shown
        self.stats.quotes += 1
        bid, bid_size, ask, ask_size, last, status = shown
        market.quote = quote = Quote(
            bid, bid_size, ask, ask_size, last, status, source, market.ts_ns, recv_ns
        )
        market.outlet.put(quote)

    def _show_nothing(self, market: Market, status: Status, recv_ns: int) -> None:
        """Tell readers that there is no price to act on."""
        self._trust(market)
        shown = (0, 0, ONE_DOLLAR, 0, market.last_price, status)
        if shown == market.shown:
            return
        if status is Status.STALE:
            self.stats.stale += 1
        else:
            self.stats.closed += 1
        source = market.quote.source if market.quote is not None else Source.BOOK
        self._show(market, shown, source, recv_ns)

    # -- doubts ----------------------------------------------------------------------------------

    def _lost(self, market: Market, reason: str, *, ask: bool) -> None:
        self.stats.books_lost += 1
        self.stats.last_loss = f"{market.id}: {reason}"
        if ask and market.book_link is not None:
            market.book_link.resync(market.id, reason)

    def _doubt(self, market: Market, reason: str) -> None:
        book = market.book
        if not market.doubt:
            self.stats.held += 1
            self._doubts[market.id] = self._monotonic() + self._config.stale_grace_s
        elif book is not None and book.state is BookState.LIVE:
            # Given up, and the new book is no better: it gets its time, then another is asked for.
            again_s = self._monotonic() + max(self._config.stale_grace_s, AGAIN_S)
            self._doubts.setdefault(market.id, again_s)
        market.doubt = reason

    def _trust(self, market: Market) -> None:
        market.doubt = ""
        self._doubts.pop(market.id, None)

    def lose(self, link: Link, reason: str) -> None:
        """Stop believing all that came over a connection: it is gone."""
        for market in self._markets.values():
            if market.ticker_link is link:
                market.ticker = market.ticker_link = None
            if market.book_link is link:
                market.book_link = None
                if market.book is not None and market.book.state is BookState.LIVE:
                    market.book.lose(reason)
                    self._lost(market, reason, ask=False)
                    self._settle(market)
            if market.phase == "open" and not market.has_source():
                self._doubt(market, reason)

    def check(self, now_s: float, now_ns: int) -> None:
        """Show as stale what has not mended in time; call several times a second."""
        if not self._doubts:
            return
        due = [m for m, deadline_s in self._doubts.items() if deadline_s <= now_s]
        for market_id in due:
            self._give_up(self._markets[market_id], now_ns)

    def _give_up(self, market: Market, now_ns: int) -> None:
        reason, book = market.doubt, market.book
        del self._doubts[market.id]
        if book is not None and book.state is BookState.LIVE:
            book.lose(reason)
            self._lost(market, reason, ask=True)
        if market.shown:
            self._show_nothing(market, Status.STALE, now_ns)
        market.doubt = reason

    def stop(self, now_ns: int, markets: Iterable[Market] | None = None) -> None:
        """Show every live market as stale: nobody will correct these prices any more."""
        for market in list(self._markets.values() if markets is None else markets):
            if market.is_shown_live:
                self._show_nothing(market, Status.STALE, now_ns)

    def drop(self, market_id: MarketId, now_ns: int) -> None:
        """Forget a market that nobody wants any more; its last message says stale."""
        market = self._markets.pop(market_id, None)
        self._doubts.pop(market_id, None)
        if market is not None:
            self.stop(now_ns, [market])
