"""Tops of book as Kalshi's `/markets` tells them. Pure functions of one record."""

from typing import Final

import msgspec

from arbees_feed.core.events import TopOfBook
from arbees_feed.core.model import ONE_DOLLAR, MarketId
from arbees_feed.core.money import LOTS, TICKS

_ACTIVE: Final = "active"


class MarketTop(msgspec.Struct, frozen=True, gc=False):
    """What of a market record is its top of book; an empty side has size 0 or price 0 or 1."""

    ticker: str
    status: str
    yes_bid_dollars: str
    yes_ask_dollars: str
    yes_bid_size_fp: str
    yes_ask_size_fp: str
    last_price_dollars: str | None = None
    volume_fp: str | None = None


class TopReader:
    """Turns records into tops; prices and sizes are parsed once for each text."""

    def __init__(self) -> None:
        self._ticks = TICKS
        self._lots = LOTS

    def top(self, record: MarketTop) -> TopOfBook | None:
        """Return the top of book, or None for a market that does not trade now.

        The record does not say of when it is: `updated_time` is of its metadata.

        Raises:
            ValueError: a price or a size can't be read.
        """
        if record.status != _ACTIVE:
            return None
        bid, bid_size = self._ticks[record.yes_bid_dollars], self._lots[record.yes_bid_size_fp]
        ask, ask_size = self._ticks[record.yes_ask_dollars], self._lots[record.yes_ask_size_fp]
        if bid_size < 0 or ask_size < 0:
            raise ValueError("negative size")
        if not bid or not bid_size:
            bid = bid_size = 0
        if not ask or not ask_size or ask == ONE_DOLLAR:
            ask, ask_size = ONE_DOLLAR, 0
        last = self._ticks[record.last_price_dollars or "0"] or None
        volume = self._lots[record.volume_fp] if record.volume_fp else None
        return TopOfBook(MarketId(record.ticker), bid, bid_size, ask, ask_size, last, 0, volume)
