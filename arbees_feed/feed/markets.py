"""All markets of one venue: events in, quotes out, and what may not be believed.

One rule holds everywhere: a quote leaves as `live` only from a source that is in step at that
moment. A market whose source is in doubt (disconnected, gap, crossed, not agreeing with the best
prices that the venue tells) gets `stale_grace_s` to mend; then one `stale` quote goes out and, if
nobody has yet, a new snapshot is asked for. Time comes in as an argument or from the clock handed
in; nothing here waits.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from arbees_feed.core.book import LIVE, OrderBook
from arbees_feed.core.events import (
    BookLost,
    BookSnapshot,
    BookTold,
    Event,
    FeesChanged,
    LevelChanged,
    LevelSet,
    MarketListed,
    NoBook,
    Notice,
    Refused,
    TickerLost,
    TopOfBook,
    TopTold,
    Trade,
    TradingChanged,
)
from arbees_feed.core.model import MarketId, Source, Status
from arbees_feed.feed.filter import EVERYTHING, MarketFilter
from arbees_feed.feed.handover import Handovers
from arbees_feed.feed.levels import PlainLevels
from arbees_feed.feed.market import Hooks, Link, Market, MarketsConfig, MarketsStats, Outlet
from arbees_feed.feed.showcase import Showcase
from arbees_feed.feed.tombstones import Tombstones

MARKETS_AT_MOST = 1_000_000
"""So many markets that nobody named, and no more: several times those of the largest venue."""
AHEAD_NS = 60_000_000_000
"""A venue's time that is further ahead of ours is an error, and makes nothing later look old."""


class MarketTable:
    """The markets of a venue by id."""

    def __init__(
        self,
        open_outlet: Callable[[MarketId], Outlet],
        config: MarketsConfig,
        *,
        monotonic: Callable[[], float],
        market_filter: MarketFilter = EVERYTHING,
        hooks: Hooks = Hooks(),  # noqa: B008 - frozen
    ) -> None:
        self._open_outlet = open_outlet
        self._config = config
        self._hooks = hooks
        self._filter = market_filter
        self._tombstones = Tombstones(monotonic)
        self._markets: dict[MarketId, Market] = {}
        self.ended: list[MarketId] = []
        """Markets that have ended since the owner last looked; it unsubscribes them."""
        self._new: list[MarketId] = []
        self.stats = MarketsStats()
        self._showcase = Showcase(config.stale_grace_s, self.stats, monotonic, hooks)
        self._settle = self._showcase.settle
        self.zeros = self._showcase.zeros
        self.note = hooks.on_decision
        self._link: Link | None = None
        self._recv_ns = 0
        self.handovers = Handovers(self._markets, self._settle)
        self._handlers = self._handlers_by_kind()
        self.levels = PlainLevels(self._markets, self._settle, self._heard, use=config.use_compiled)

    def _handlers_by_kind(self) -> dict[type, Callable[[Any], Market | None]]:
        """Return what each kind of event does; each names the market to settle, if any."""
        return {
            LevelChanged: self._level_changed,
            LevelSet: self._level_set,
            TopTold: self._top_told,
            TopOfBook: self._top_of_book,
            BookSnapshot: self._book_snapshot,
            BookTold: self._book_told,
            Trade: self._trade,
            BookLost: self._book_lost,
            TickerLost: self._ticker_lost,
            TradingChanged: self._trading_changed,
            MarketListed: self._hooks.on_listed,
            FeesChanged: self._hooks.on_fees_changed,
            Notice: self._notice,
            Refused: self._refused,
            NoBook: self._hooks.on_no_book,
        }

    def __len__(self) -> int:
        return len(self._markets)

    def __contains__(self, market: object) -> bool:
        return market in self._markets

    def __iter__(self) -> Iterator[Market]:
        return iter(self._markets.values())

    @property
    def live(self) -> int:
        """How many markets are shown as live now."""
        return self._showcase.live

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
                self._settle(market, self._recv_ns)
            return
        touched: dict[MarketId, Market] = {}
        for event in events:
            market = handlers[type(event)](event)
            if market is not None:
                touched[market.id] = market
        for market in touched.values():
            self._settle(market, self._recv_ns)

    def _heard(self, link: Link, recv_ns: int) -> None:
        """Know where changes come from that take the short cut."""
        self._link, self._recv_ns = link, recv_ns

    def _level_changed(self, event: LevelChanged) -> Market | None:
        market = self._markets.get(event.market)
        if market is None or (book := market.book) is None or market.book_link is not self._link:
            self.handovers.take(event, self._link)
            return None
        touched = book.change(event.side, event.price, event.change)
        return self._after_level(market, book, event.ts_ns, touched=touched)

    def _level_set(self, event: LevelSet) -> Market | None:
        market = self._markets.get(event.market)
        if market is None or (book := market.book) is None or market.book_link is not self._link:
            self.handovers.take(event, self._link)
            return None
        touched = book.set(event.side, event.price, event.size)
        return self._after_level(market, book, event.ts_ns, touched=touched)

    def _after_level(
        self, market: Market, book: OrderBook, ts_ns: int, *, touched: bool
    ) -> Market | None:
        market.changes += 1
        if book.state is LIVE:
            market.ts_ns = ts_ns
            if self._config.depth:
                market.outlet.put_depth(book, ts_ns, self._recv_ns)
        elif touched:
            # This very event proved the book wrong; whatever else is in doubt, nobody has asked.
            self._showcase.lost(market, book.reason, ask=True)
        return market if touched else None

    def _top_told(self, event: TopTold) -> Market | None:
        market = self._markets.get(event.market)
        if market is None or market.book is None or market.book_link is not self._link:
            self.handovers.take(event, self._link)
            return None
        if market.book.state is not LIVE:
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
        if self.handovers.keeps(market, self._link):
            self.handovers.take(event, self._link)
            return None
        if book is None:
            book = market.book = OrderBook()
        book.load(event.bids, event.asks)
        market.book_link, market.agrees = self._link, True
        market.floor_ns = max(market.floor_ns, min(market.ts_ns, self._recv_ns + AHEAD_NS))
        return self._after_level(market, book, event.ts_ns, touched=True)

    def _book_told(self, event: BookTold) -> Market | None:
        """Let the answer to a probe be judged; an answer in step is also the cure."""
        market = self._markets.get(event.market)
        if market is None or market.book is None or market.book_link is not self._link:
            return None
        if not self._hooks.on_told(market, event) or not event.in_step:
            return None
        return self._book_snapshot(BookSnapshot(event.market, event.bids, event.asks, event.ts_ns))

    def _top_of_book(self, event: TopOfBook) -> Market | None:
        market = self._markets.get(event.market) or self._found(event)
        if market is None:
            return None
        latest_ns = self._recv_ns + AHEAD_NS
        if event.last_price is not None and (
            event.ts_ns >= market.last_ts_ns or market.last_ts_ns > latest_ns
        ):
            market.last_price, market.last_ts_ns = event.last_price, event.ts_ns
        if self.handovers.doubts(market.book_link):
            market.ticker, market.ticker_link = event, self._link  # in case its book is given up
            return None
        known = market.ticker
        other = market.ticker_link is not self._link  # one connection tells them in order
        if known is not None and other and 0 < event.ts_ns < known.ts_ns <= latest_ns:
            return None
        market.ticker, market.ticker_link = event, self._link
        market.ticker_source = Source.TICKER
        book = market.book
        if book is not None and book.state is LIVE and book.top()[::2] != (event.bid, event.ask):
            # One of the two is ahead of the other: what else the ticker tells goes out with the
            # change that makes them agree, and not beside a top that may be an old one.
            return None
        return market

    def _trade(self, event: Trade) -> Market | None:
        market = self._markets.get(event.market)
        if market is None or not self.handovers.is_first(event, self._link):
            return None
        self.stats.trades += 1
        if self._config.trades:
            market.outlet.put_trade(event, self._recv_ns)
        if event.ts_ns < market.last_ts_ns <= self._recv_ns + AHEAD_NS:
            return None
        market.last_price, market.last_ts_ns = event.price, event.ts_ns
        return market

    def _book_lost(self, event: BookLost) -> Market | None:
        market = self._markets.get(event.market)
        if market is None or market.book is None or market.book_link is not self._link:
            self.handovers.take(event, self._link)
            return None
        if market.book.state is LIVE:
            market.book.lose(event.reason)
            self._showcase.lost(market, event.reason, ask=False)
        return market

    def _ticker_lost(self, event: TickerLost) -> Market | None:
        market = self._markets.get(event.market)
        if market is not None and not self.handovers.is_new(self._link):
            market.ticker = None
            self.stats.last_loss = event.reason
        return market

    def _trading_changed(self, event: TradingChanged) -> Market | None:
        market = self._markets.get(event.market)
        if market is None and event.phase == "closed":
            self.ended.append(event.market)  # asked for, perhaps, but never heard of
            self._tombstones.add(event.market)
        if market is None or market.phase == event.phase:
            return None
        market.phase = event.phase
        market.paused_by = self._link if event.phase == "paused" else None
        market.ts_ns = event.ts_ns or market.ts_ns
        if event.phase == "closed":
            market.book = market.ticker = None
            self.ended.append(market.id)
            self._showcase.show_nothing(market, Status.CLOSED, self._recv_ns)
        elif event.phase == "paused" and market.shown:
            self._showcase.show_nothing(market, Status.STALE, self._recv_ns)
        return market

    def _notice(self, event: Notice) -> Market | None:
        self._hooks.on_notice(event.text)
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

    def _refused(self, event: Refused) -> Market | None:
        if self._link is not None:
            self._hooks.on_refused(event, self._link)
        return None

    # -- connections and demand --------------------------------------------------------------------

    def lose(self, link: Link, reason: str) -> None:
        """Stop believing all that came over a connection: it is gone."""
        for market in self._markets.values():
            if market.ticker_link is link:
                market.ticker = market.ticker_link = None
            if market.book_link is link:
                market.book_link = None
                if market.book is not None and market.book.state is LIVE:
                    market.book.lose(reason)
                    self._showcase.lost(market, reason, ask=False)
                    self._settle(market, self._recv_ns)
            if market.paused_by is link:
                # Nobody may hear the end of it: a book counts, as at the start, but no old ticker.
                market.phase, market.ticker, market.paused_by = "open", None, None
                self._settle(market, self._recv_ns)
            if market.phase == "open" and not market.has_source():
                self._showcase.doubt(market, reason)

    def disprove(self, market: Market, reason: str, now_ns: int) -> None:
        """Stop believing a book that the venue's own answer has shown to be wrong."""
        if market.book is not None and market.book.state is LIVE:
            self.note(market.id, "disproved", reason)
            market.ticker = None  # from the same source, and as likely to have stopped
            market.book.lose(reason)
            self._showcase.lost(market, reason, ask=True)
            self._settle(market, now_ns)

    def check(self, now_s: float, now_ns: int) -> None:
        """Show as stale what has not mended in time; call several times a second."""
        self._showcase.check(now_s, now_ns)

    def stop(self, now_ns: int) -> None:
        """Show every live market as stale: nobody will correct these prices any more."""
        self._showcase.stop(self._markets.values(), now_ns)

    def release(self, market_id: MarketId, now_ns: int) -> bool:
        """Let a book go that nobody wants any more; return whether the market is still followed.

        It is, by its ticker, where the venue has a channel for all markets.
        """
        market = self._markets.get(market_id)
        if market is None:
            return False
        market.floor_ns = max(market.floor_ns, market.ts_ns)
        market.book, market.book_link, market.agrees = None, None, True
        if market.ticker is None:
            self._showcase.stop([market], now_ns)
            return False
        self._recv_ns = now_ns
        self._settle(market, self._recv_ns)
        return True

    def forget(self, market_id: MarketId) -> None:
        """Forget a market; if it has ended, later frames do not bring it back."""
        market = self._markets.pop(market_id, None)
        if market is None:
            return
        self._showcase.forget(market)
        if market.phase == "closed":
            self._tombstones.add(market_id)

    def without_source(self) -> list[MarketId]:
        """Return open markets that readers know and nothing feeds at the moment."""
        if not self._showcase.troubled:
            return []
        lost = [m.id for m in self if m.shown and m.phase == "open" and not m.has_source()]
        self._showcase.troubled = bool(lost)
        return lost

    def refresh(self, tops: Sequence[TopOfBook], link: Link, now_ns: int) -> int:
        """Take tops of book from REST answers, for markets that nothing feeds at the moment.

        They count as a ticker of *link*: when that connection is lost, so are they. Returns how
        many were of use.
        """
        self._link, self._recv_ns = link, now_ns
        taken = 0
        for top in tops:
            market = self._markets.get(top.market) or self._found(top)
            if market is None or market.phase != "open" or market.has_source():
                continue
            market.ticker, market.ticker_link = top, link
            market.ticker_source = Source.REST
            market.ts_ns = max(market.ts_ns, top.ts_ns)
            if market.last_price is None:
                market.last_price = top.last_price
            self._settle(market, self._recv_ns)
            taken += 1
        return taken

    def _found(self, top: TopOfBook) -> Market | None:
        """Make a market that nobody named, unless it has ended or the filter keeps it out."""
        if top.market in self._tombstones:
            return None
        full = len(self._markets) >= MARKETS_AT_MOST
        if full or not self._filter.passes(top.market, top.volume):
            self.stats.filtered += 1
            return None
        return self._market(top.market)
