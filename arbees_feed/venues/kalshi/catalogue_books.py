"""Whole books as Kalshi's `/markets/orderbooks` tells them. Pure functions of one record.

Both sides are bids, ascending, in dollars of their own side (OpenAPI, read 2026-11-21); unlike on
the WebSocket the names of the sides have no `_fp`, and an empty side may be `[]`, null or absent.
"""

from collections.abc import Sequence

import msgspec

from arbees_feed.core.events import BookTold
from arbees_feed.core.model import ONE_DOLLAR, Lots, MarketId, Ticks
from arbees_feed.core.money import LOTS, TICKS


class BookSides(msgspec.Struct, frozen=True, gc=False):
    """Levels of price and size."""

    yes_dollars: list[tuple[str, str]] | None = None
    no_dollars: list[tuple[str, str]] | None = None


class BookRecord(msgspec.Struct, frozen=True, gc=False):
    """The book of one market."""

    ticker: str
    orderbook_fp: BookSides


class BooksAnswer(msgspec.Struct, frozen=True):
    """The answer, its books undecoded: one that is wrong must not cost the others."""

    orderbooks: list[msgspec.Raw] | None


class BookReader:
    """Turns records into books; prices and sizes are parsed once for each text."""

    def __init__(self) -> None:
        self._ticks = TICKS
        self._lots = LOTS

    def book(self, record: BookRecord) -> BookTold:
        """Return the book; the record does not say of when it is.

        Raises:
            ValueError: a level can't be read, can't exist, or is there twice.
        """
        sides = record.orderbook_fp
        bids = self._levels(sides.yes_dollars or ())
        # A bid for NO at p is an offer of YES at 1 - p.
        asks = [(ONE_DOLLAR - price, size) for price, size in self._levels(sides.no_dollars or ())]
        return BookTold(MarketId(record.ticker), bids, asks, 0, in_step=False)

    def _levels(self, levels: Sequence[tuple[str, str]]) -> list[tuple[Ticks, Lots]]:
        found: dict[Ticks, Lots] = {}
        for price_text, size_text in levels:
            price, size = self._ticks[price_text], self._lots[size_text]
            if not 0 < price < ONE_DOLLAR or size < 0 or price in found:
                raise ValueError(f"level of {size_text[:20]} at {price_text[:20]}")
            found[price] = size
        return [level for level in found.items() if level[1]]
