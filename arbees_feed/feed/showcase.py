"""What readers are shown of each market, and how long a doubt may last.

A quote leaves as `live` only from a source that is in step at that moment; what can't be shown is
in doubt, and a doubt that lasts too long is told to readers.
"""

from collections.abc import Callable, Iterable

from arbees_feed.core.book import LIVE, OrderBook
from arbees_feed.core.drift import ZeroWatch
from arbees_feed.core.events import TopOfBook
from arbees_feed.core.model import (
    ONE_DOLLAR,
    SOURCE_BOOK,
    STATUS_LIVE,
    Lots,
    MarketId,
    Quote,
    Source,
    Status,
)
from arbees_feed.feed.market import Hooks, Market, MarketsStats, Shown

AGAIN_S = 10.0
"""How long a fresh book that is no better than the last may take before another is asked for."""


def _stands_in(ticker: TopOfBook, market: Market, book: OrderBook | None) -> bool:
    """Tell whether a ticker may be shown where there is no book in step.

    It must not be older than what a book has shown. One without any quote does not take the place
    of a book that had some and is in doubt: both may have been emptied by a release of the venue.
    """
    if book is None:
        return not 0 < ticker.ts_ns < market.floor_ns
    is_empty = not (ticker.bid_size or ticker.ask_size)
    if is_empty and market.priced:
        return False
    return not 0 < ticker.ts_ns < max(market.ts_ns, market.floor_ns)


class Showcase:
    """Turns the state of markets into quotes; owns the doubts."""

    def __init__(
        self, grace_s: float, stats: MarketsStats, monotonic: Callable[[], float], hooks: Hooks
    ) -> None:
        self._on_lost, self._note = hooks.on_lost, hooks.on_decision
        self._grace_s = grace_s
        self._stats = stats
        self._monotonic = monotonic
        self._doubts: dict[MarketId, tuple[Market, float]] = {}
        self.zeros = ZeroWatch()
        self.troubled = False
        """Whether a market was put in doubt since somebody last looked for those without source."""
        self.live = 0
        """How many markets are shown as live now."""

    def settle(self, market: Market, recv_ns: int) -> None:
        """Show the newest state if it may be shown, else begin to doubt."""
        if market.phase != "open":
            return
        book, ticker = market.book, market.ticker
        if book is not None and book.state is LIVE:
            bid, bid_size, ask, ask_size = book.top()
            source = SOURCE_BOOK
            if not market.agrees:
                self.doubt(market, "top of book is not what the venue says")
                return
        elif ticker is not None and _stands_in(ticker, market, book):
            market.ts_ns = ticker.ts_ns
            bid, bid_size, ask, ask_size = ticker.bid, ticker.bid_size, ticker.ask, ticker.ask_size
            source = market.ticker_source
        else:
            self.doubt(market, market.doubt or "no trusted source")
            return
        if bid >= ask:
            # Venues pass through such states within one change: wait for the rest of it.
            self.doubt(market, "crossed")
            return
        shown = (bid, bid_size, ask, ask_size, market.last_price, STATUS_LIVE)
        is_shown = shown == market.shown or self._show_live(market, shown, source, recv_ns)
        if is_shown and market.doubt:
            self._trust(market)

    def _show_live(self, market: Market, shown: Shown, source: Source, recv_ns: int) -> bool:
        """Show a new state, unless the prices of a whole venue are vanishing."""
        size = shown[1] + shown[3]
        if market.priced and self._is_zero(market, size):
            self.doubt(market, "prices of many markets have become zero at once")
            return False
        market.priced = size > 0
        self._show(market, shown, source, recv_ns)
        return True

    def _is_zero(self, market: Market, size: Lots) -> bool:
        """Tell whether a market has lost its quote along with many others."""
        self.zeros.add(market.id, not size)
        return not size and self.zeros.suspicious

    def _show(self, market: Market, shown: Shown, source: Source, recv_ns: int) -> None:
        if market.shown is None or market.shown[5] is not shown[5]:
            self.live += (shown[5] is STATUS_LIVE) - market.is_shown_live
            self._note(market.id, shown[5].value, market.doubt)
        market.shown = shown
        self._stats.quotes += 1
        bid, bid_size, ask, ask_size, last, status = shown
        market.quote = quote = Quote(
            bid, bid_size, ask, ask_size, last, status, source, market.ts_ns, recv_ns
        )
        market.outlet.put(quote)

    def show_nothing(self, market: Market, status: Status, recv_ns: int) -> None:
        """Tell readers that there is no price to act on."""
        self._trust(market)
        shown = (0, 0, ONE_DOLLAR, 0, market.last_price, status)
        if shown == market.shown:
            return
        if status is Status.STALE:
            self._stats.stale += 1
        else:
            self._stats.closed += 1
        source = market.quote.source if market.quote is not None else SOURCE_BOOK
        self._show(market, shown, source, recv_ns)

    # -- doubts ----------------------------------------------------------------------------------

    def lost(self, market: Market, reason: str, *, ask: bool) -> None:
        """Count a lost book; *ask* for another where the decoder has not yet.

        A ticker without a time does not stand in for it: it may be older than what the book showed.
        """
        if market.ticker is not None and not market.ticker.ts_ns:
            market.ticker = None
        self._stats.books_lost += 1
        self._stats.last_loss = f"{market.id}: {reason}"
        self._note(market.id, "lost", reason)
        self._on_lost(market.id, reason)
        if ask and market.book_link is not None:
            self._note(market.id, "resync", reason)
            market.book_link.resync(market.id, reason)

    def doubt(self, market: Market, reason: str) -> None:
        """Stop showing a market; after the grace readers are told."""
        self.troubled = True
        book = market.book
        if not market.doubt:
            self._stats.held += 1
            self._note(market.id, "doubt", reason)
            self._doubts[market.id] = (market, self._monotonic() + self._grace_s)
        elif book is not None and book.state is LIVE:
            # Given up, and the new book is no better: it gets its time, then another is asked for.
            again_s = self._monotonic() + max(self._grace_s, AGAIN_S)
            self._doubts.setdefault(market.id, (market, again_s))
        market.doubt = reason

    def _trust(self, market: Market) -> None:
        market.doubt = ""
        self._doubts.pop(market.id, None)

    def check(self, now_s: float, now_ns: int) -> None:
        """Show as stale what has not mended in time; call several times a second."""
        if not self._doubts:
            return
        due = [market for market, deadline_s in self._doubts.values() if deadline_s <= now_s]
        for market in due:
            self._give_up(market, now_ns)

    def _give_up(self, market: Market, now_ns: int) -> None:
        reason, book = market.doubt, market.book
        del self._doubts[market.id]
        if book is not None and book.state is LIVE:
            book.lose(reason)
            self.lost(market, reason, ask=True)
        if market.shown:
            self.show_nothing(market, Status.STALE, now_ns)
        market.doubt = reason

    def forget(self, market: Market) -> None:
        """A market is gone: it is in no doubt and no count."""
        self._doubts.pop(market.id, None)
        self.live -= market.is_shown_live

    def stop(self, markets: Iterable[Market], now_ns: int) -> None:
        """Show these as stale if they are shown live: nobody will correct them any more."""
        for market in markets:
            if market.is_shown_live:
                self.show_nothing(market, Status.STALE, now_ns)
