"""Reads the changes of a book. Pure; texts are parsed once."""

from collections.abc import Iterator, Sequence
from typing import Final, Literal

import msgspec

from arbees_feed.core.events import Event, LevelSet, TopTold, Trade
from arbees_feed.core.model import ONE_DOLLAR, Lots, MarketId, Side, Ticks
from arbees_feed.core.money import LotsByText, TicksByText
from arbees_feed.venues.polymarket.messages import Change, LastTradePrice, Level, PriceChange

NS_PER_MS: Final = 1_000_000
_LATEST_MS: Final = 9_000_000_000_000  # ns of it fit into 64 bits
Taker = Literal["buy", "sell", ""]
_TAKERS: Final[dict[str, Taker]] = {"BUY": "buy", "SELL": "sell"}
_SIDES: Final = {"BUY": Side.BID, "SELL": Side.ASK}


class ChangeReader:
    """Turns changes into events."""

    def __init__(self, ticks: TicksByText, lots: LotsByText) -> None:
        self._ticks = ticks
        self._lots = lots

    def append(self, events: list[Event], market: MarketId, change: Change, now_ms: int) -> None:
        """Add what a change says: the level, and the best prices after it.

        "0" and "1" are empty sides, "" tells nothing.

        Raises:
            ValueError, KeyError: a price, a size or the side can't be read.
        """
        if events and isinstance(events[-1], TopTold) and events[-1].market == market:
            events.pop()  # several entries of one token: the last one tells the state after all
        ticks, ts_ns = self._ticks, now_ms * NS_PER_MS
        side, size = _SIDES[change.side], self._lots[change.size]
        price = ticks[change.price]
        if not 0 < price < ONE_DOLLAR:
            raise ValueError(f"a change at the price {change.price[:20]!r}")
        events.append(LevelSet(market, side, price, size, ts_ns))
        bid, ask = change.best_bid, change.best_ask
        if bid or ask:
            best_bid = ticks[bid] if bid else None
            best_ask = ticks[ask] if ask else None
            events.append(TopTold(market, best_bid, best_ask, ts_ns))

    def levels(self, levels: Sequence[Level]) -> list[tuple[Ticks, Lots]]:
        """Read one side of a book.

        Raises:
            ValueError: a price or a size can't be read, or is no price or size of a level.
        """
        read = [(self._ticks[level.price], self._lots[level.size]) for level in levels]
        for price, size in read:
            if size <= 0 or not 0 < price < ONE_DOLLAR:
                raise ValueError(f"a level of {size} at {price}")
        return read

    def trade(self, market: MarketId, message: LastTradePrice) -> Trade:
        """Read a trade; it has no id but the hash of its transaction.

        Raises:
            ValueError: a price, a size or the time can't be read.
        """
        price, size = self._ticks[message.price], self._lots[message.size]
        if size < 0:
            raise ValueError("negative size")
        ts_ns = unix_ms(message.timestamp) * NS_PER_MS
        taker: Taker = _TAKERS.get(message.side, "")
        return Trade(market, price, size, taker, message.transaction_hash, ts_ns)


def unix_ms(text: str) -> int:
    """Read a time; a wrong one must not break what is made of it.

    Raises:
        ValueError: it is no time, or one after the year 2255.
    """
    if not (text.isdecimal() and text.isascii()) or (ms := int(text[:20])) > _LATEST_MS:
        raise ValueError(f"time {text[:40]!r}")
    return ms


def check_named(change: Change) -> None:
    """An entry of another token is none of ours; one of no token may have been."""
    if not change.asset_id:
        raise ValueError("a change of no token")


def old_changes(message: PriceChange) -> Iterator[Change]:
    """Read the schema of before 2025-09-15, still found in recordings."""
    if message.changes is None:
        raise ValueError("price_change without price_changes")
    for change in message.changes:
        yield msgspec.structs.replace(change, asset_id=message.asset_id)
