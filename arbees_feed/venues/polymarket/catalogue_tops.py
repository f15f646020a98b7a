"""Tops of book as the CLOB's `POST /books` tells them. Pure functions of one record.

The best level is the last of each list (recorded; the OpenAPI text says the reverse), so both ends
are looked at: whichever is better is the best, whatever the order.
"""

from collections.abc import Sequence

import msgspec

from arbees_feed.core.events import TopOfBook
from arbees_feed.core.model import ONE_DOLLAR, Lots, MarketId, Ticks
from arbees_feed.core.money import LOTS, TICKS
from arbees_feed.venues.polymarket.changes import NS_PER_MS, unix_ms


class Level(msgspec.Struct, frozen=True, gc=False):
    """A price and what is there."""

    price: str
    size: str


class Book(msgspec.Struct, frozen=True):
    """A book, as far as its top is concerned.

    `last_trade_price` is left out: it is the market's, in terms of either token, and 0.5 may stand
    for "never traded".
    """

    asset_id: str
    timestamp: str = "0"
    bids: list[Level] | None = None
    asks: list[Level] | None = None


class TopReader:
    """Turns books into tops; prices and sizes are parsed once for each text."""

    def __init__(self) -> None:
        self._ticks = TICKS
        self._lots = LOTS

    def top(self, book: Book) -> TopOfBook:
        """Return the top of book; its time is that of the book's last change.

        Raises:
            ValueError: a price, a size or the time can't be read.
        """
        ts_ns = unix_ms(book.timestamp or "0") * NS_PER_MS
        bid, bid_size = max(self._ends(book.bids), default=(0, 0))
        ask, ask_size = min(self._ends(book.asks), default=(ONE_DOLLAR, 0))
        market = MarketId(book.asset_id)
        return TopOfBook(market, bid, bid_size, ask, ask_size, None, ts_ns)

    def _ends(self, levels: Sequence[Level] | None) -> list[tuple[Ticks, Lots]]:
        if not levels:
            return []
        ends = ((level.price, level.size) for level in (levels[0], levels[-1]))
        known = [(self._ticks[price], self._lots[size]) for price, size in ends]
        return [(price, size) for price, size in known if size > 0]
