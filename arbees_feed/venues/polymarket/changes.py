"""Reads the changes of a book. Pure; texts are parsed once."""

from collections.abc import Iterator
from typing import Final

import msgspec

from arbees_feed.core.events import Event, LevelSet, TopTold
from arbees_feed.core.model import MarketId, Side
from arbees_feed.core.money import LotsByText, TicksByText
from arbees_feed.venues.polymarket.messages import Change, PriceChange

NS_PER_MS: Final = 1_000_000
_LATEST_MS: Final = 9_000_000_000_000  # ns of it fit into 64 bits
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
        events.append(LevelSet(market, side, ticks[change.price], size, ts_ns))
        bid, ask = change.best_bid, change.best_ask
        if bid or ask:
            best_bid = ticks[bid] if bid else None
            best_ask = ticks[ask] if ask else None
            events.append(TopTold(market, best_bid, best_ask, ts_ns))


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
