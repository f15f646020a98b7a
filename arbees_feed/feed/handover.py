"""Make before break: a new connection fills books of its own while the old one feeds readers.

A market changes over when its new book is not behind the one that readers see: of a newer venue
time, or equal and at rest. So readers see no hole, no step back in time and no state twice. Trades
are told by both connections in between; each is shown once.
"""

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Final

from arbees_feed.core.book import BookState, OrderBook
from arbees_feed.core.events import (
    BookLost,
    BookSnapshot,
    LevelChanged,
    LevelSet,
    TopTold,
    Trade,
)
from arbees_feed.core.model import MarketId
from arbees_feed.feed.market import Link, Market

STILL_S: Final = 0.5
"""Equal books that stand still for so long are of the same moment."""
STANDOFF_S: Final = 3.0
"""Two books that differ, and neither of them moves, for so long: the newer snapshot is right."""

ShadowEvent = BookSnapshot | LevelChanged | LevelSet | TopTold | BookLost


class Shadow:
    """A book on a new connection that readers do not see yet."""

    __slots__ = ("agrees", "beside", "book", "changes", "seen", "still_since_s", "ts_ns")

    def __init__(self) -> None:
        self.book = OrderBook()
        self.ts_ns = 0
        self.agrees = True
        self.changes = 0
        self.beside = -1
        """Changes of the old book when this one was first looked at."""
        self.seen = (-1, -1)
        """Changes of both books when they were last compared, and since when those are the same."""
        self.still_since_s = 0.0

    def is_sound(self) -> bool:
        """Whether the book can be believed by itself: in step, not crossed, as the venue says."""
        if self.book.state is not BookState.LIVE or not self.agrees:
            return False
        bid, _, ask, _ = self.book.top()
        return bid < ask


class Handover:
    """The books of one new connection, until their markets have changed over."""

    def __init__(self, old: Link, new: Link, markets: Iterable[MarketId], *, planned: bool) -> None:
        self.old = old
        self.new = new
        self.planned = planned
        """Nothing is known to be wrong with the old connection."""
        self.shadows: dict[MarketId, Shadow] = {}
        self.waiting: dict[MarketId, None] = dict.fromkeys(markets)
        """Books of the old connection that have not changed over."""
        self.size = len(self.waiting)
        self._trades: dict[tuple[object, ...], Trade] = {}
        self._shown: set[tuple[object, ...]] = set()

    def take(self, event: ShadowEvent) -> None:
        """Apply an event of the new connection to the book that nobody sees."""
        shadow = self.shadows.get(event.market)
        if shadow is None:
            shadow = self.shadows[event.market] = Shadow()
        book = shadow.book
        match event:
            case BookSnapshot():
                book.load(event.bids, event.asks)
                shadow.agrees, shadow.ts_ns = True, max(event.ts_ns, shadow.ts_ns)
            case LevelChanged():
                book.change(event.side, event.price, event.change)
                shadow.ts_ns = event.ts_ns
            case LevelSet():
                book.set(event.side, event.price, event.size)
                shadow.ts_ns = event.ts_ns
            case TopTold():
                bid, _, ask, _ = book.top()
                shadow.agrees = event.best_bid in (None, bid) and event.best_ask in (None, ask)
            case BookLost():
                book.lose(event.reason)
        shadow.changes += 1

    def is_ready(self, market: Market, now_s: float) -> bool:
        """Tell whether a market may change over now."""
        shadow = self.shadows.get(market.id)
        if shadow is None or not shadow.is_sound():
            return False
        book = market.book
        if book is None or book.state is not BookState.LIVE or market.doubt:
            return shadow.ts_ns == 0 or shadow.ts_ns >= market.ts_ns
        if shadow.ts_ns > market.ts_ns > 0:
            return True
        if not self.planned and self._has_stood_still(market, shadow):
            return True
        return self._is_settled(market, book, shadow, now_s)

    @staticmethod
    def _is_settled(market: Market, book: OrderBook, shadow: Shadow, now_s: float) -> bool:
        """Tell whether two books are of one moment, or differ for good.

        Equal books may be of different times (a change and its reversal between them), so they
        must stand still for a while; so must different ones, before the newer snapshot wins.
        """
        equal = _same(book, shadow.book)
        if equal and shadow.ts_ns == market.ts_ns > 0:
            return True
        seen = (shadow.changes, market.changes)
        if seen != shadow.seen:
            shadow.seen, shadow.still_since_s = seen, now_s
        return now_s - shadow.still_since_s >= (STILL_S if equal else STANDOFF_S)

    @staticmethod
    def _has_stood_still(market: Market, shadow: Shadow) -> bool:
        """Tell whether a suspected book has not moved since the new one was first looked at."""
        if shadow.beside < 0:
            shadow.beside = market.changes
        return shadow.beside == market.changes

    # -- trades ------------------------------------------------------------------------------------

    def heard(self, trade: Trade, link: Link) -> bool:
        """Note a trade; tell whether to show it now (those of the old connection are)."""
        key = _key(trade)
        if link is self.new:
            if key not in self._shown:
                self._trades[key] = trade
            return False
        self._shown.add(key)
        self._trades.pop(key, None)
        return True

    def untold_trades(self) -> list[Trade]:
        """Return what only the new connection has told; call when the old one has ended."""
        untold, self._trades = list(self._trades.values()), {}
        return untold


class Handovers:
    """All handovers under way, and the markets they are about."""

    def __init__(
        self, markets: Mapping[MarketId, Market], settle: Callable[[Market, int], None]
    ) -> None:
        self._markets = markets
        self._settle = settle
        self._by_new: dict[Link | None, Handover] = {}

    def begin(self, old: Link, new: Link, *, planned: bool = True) -> Handover:
        """Let a new connection fill books beside those of the old one."""
        carried = (market.id for market in self._markets.values() if market.book_link is old)
        handover = self._by_new[new] = Handover(old, new, carried, planned=planned)
        return handover

    def advance(self, handover: Handover, now_s: float, now_ns: int, limit: int = 500) -> bool:
        """Change over what is ready, of so many markets at most; tell whether all have."""
        waiting = handover.waiting
        for market_id in list(islice(waiting, limit)):
            del waiting[market_id]
            market = self._markets.get(market_id)
            if market is None or market.book is None or market.book_link is not handover.old:
                continue
            if handover.is_ready(market, now_s):
                self._adopt(market, handover, now_ns)
            else:
                waiting[market_id] = None  # at the end of the queue
        return not waiting

    def finish(self, handover: Handover, now_ns: int, *, old_is_sound: bool) -> list[Trade]:
        """The new connection takes over; return the trades that nobody was shown.

        When the old one failed before all was ready, what is in step changes over nevertheless.
        Its tickers hold on, since both told them for a while, but only if it *was sound*.
        """
        self._by_new.pop(handover.new, None)
        for market in self._markets.values():
            if old_is_sound and market.ticker_link is handover.old:
                market.ticker_link = handover.new
            if market.paused_by is handover.old:
                market.paused_by = handover.new
            if market.book_link is handover.old:
                shadow = handover.shadows.get(market.id)
                if shadow is not None and shadow.book.state is BookState.LIVE:
                    self._adopt(market, handover, now_ns)
        return handover.untold_trades()

    def abandon(self, handover: Handover) -> None:
        """The new connection came to nothing; what it said of tickers the old one says too."""
        self._by_new.pop(handover.new, None)
        for market in self._markets.values():
            if market.ticker_link is handover.new:
                market.ticker_link = handover.old
            if market.paused_by is handover.new:
                market.paused_by = handover.old

    def _adopt(self, market: Market, handover: Handover, now_ns: int) -> None:
        shadow = handover.shadows.pop(market.id)
        market.book, market.book_link = shadow.book, handover.new
        market.ts_ns = max(market.ts_ns, shadow.ts_ns)
        market.agrees = shadow.agrees
        market.changes += 1
        self._settle(market, now_ns)

    # -- what the table asks while events come in -------------------------------------------------

    def take(self, event: ShadowEvent, link: Link | None) -> None:
        """Keep what a new connection says; what any other says of a book not its own is nothing."""
        handover = self._by_new.get(link)
        if handover is not None:
            handover.take(event)

    def keeps(self, market: Market, link: Link | None) -> bool:
        """Tell whether a snapshot of *link* must not replace the book that readers see."""
        if link not in self._by_new or market.book_link is link or market.book is None:
            return False
        return market.book.state is BookState.LIVE

    def doubts(self, link: Link | None) -> bool:
        """Tell whether *link* is under suspicion, and its books still what readers see."""
        if not self._by_new:
            return False
        return any(h.old is link and not h.planned for h in self._by_new.values())

    def is_new(self, link: Link | None) -> bool:
        """Tell whether *link* is a new connection that readers do not see yet."""
        return link in self._by_new

    def is_first(self, trade: Trade, link: Link | None) -> bool:
        """Tell whether to show a trade that *link* tells."""
        for handover in self._by_new.values():
            if link is handover.new or link is handover.old:
                return handover.heard(trade, link)
        return True


def _key(trade: Trade) -> tuple[object, ...]:
    return trade.market, trade.trade_id, trade.ts_ns, trade.price, trade.size


def _same(ours: OrderBook, theirs: OrderBook) -> bool:
    return ours.bids.sizes == theirs.bids.sizes and ours.asks.sizes == theirs.asks.sizes
