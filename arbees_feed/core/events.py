"""What can happen to a market, as a decoder tells it: frozen, venue-blind, YES-denominated.

A relative and an absolute change are different types, because one may be applied twice and the
other may not. `ts_ns` is the venue's time of the change in Unix ns, 0 when it gave none.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from arbees_feed.core.model import Lots, MarketId, MarketMeta, Side, Ticks

Levels = Sequence[tuple[Ticks, Lots]]


class BookSnapshot(msgspec.Struct, frozen=True, gc=False):
    """The whole book, in any order; replaces what was known. Prices in YES terms."""

    market: MarketId
    bids: Levels
    asks: Levels
    ts_ns: int


class BookTold(msgspec.Struct, frozen=True, gc=False):
    """The venue's own whole book, as an answer to a question of ours: to be compared with ours."""

    market: MarketId
    bids: Levels
    asks: Levels
    ts_ns: int
    """Venue time of the book's last change; 0 when the venue does not say."""
    in_step: bool
    """It came in sequence with the changes: whatever differs at this moment is wrong."""


class LevelChanged(msgspec.Struct, frozen=True, gc=False):
    """Relative: the level grew by *change*. Applying it twice corrupts the book."""

    market: MarketId
    side: Side
    price: Ticks
    change: Lots
    ts_ns: int


class LevelSet(msgspec.Struct, frozen=True, gc=False):
    """Absolute: the level now holds *size*. Safe to apply twice."""

    market: MarketId
    side: Side
    price: Ticks
    size: Lots
    ts_ns: int


class TopTold(msgspec.Struct, frozen=True, gc=False):
    """The best prices that the venue says its book has now; None: it says nothing of that side.

    An empty bid side is 0, an empty ask side 1 dollar.
    """

    market: MarketId
    best_bid: Ticks | None
    best_ask: Ticks | None
    ts_ns: int


class TopOfBook(msgspec.Struct, frozen=True, gc=False):
    """A top of book from a ticker channel or a REST answer, not from a book of ours."""

    market: MarketId
    bid: Ticks
    bid_size: Lots
    ask: Ticks
    ask_size: Lots
    last_price: Ticks | None
    ts_ns: int
    volume: Lots | None = None
    """Contracts traded so far, when told."""


class Refused(msgspec.Struct, frozen=True):
    """The venue carries no more books on this connection: these must go to another."""

    markets: tuple[MarketId, ...]


class Trade(msgspec.Struct, frozen=True, gc=False):
    """One trade; price in YES terms, *taker* is the side of the YES book the taker bought as."""

    market: MarketId
    price: Ticks
    size: Lots
    taker: Literal["buy", "sell", ""]
    trade_id: str
    ts_ns: int


class BookLost(msgspec.Struct, frozen=True, gc=False):
    """The book of *market* can't be trusted any more; the decoder has asked for a new one."""

    market: MarketId
    reason: str


class TickerLost(msgspec.Struct, frozen=True, gc=False):
    """A ticker of *market* could not be read; its last one is no longer to be believed."""

    market: MarketId
    reason: str


class TradingChanged(msgspec.Struct, frozen=True, gc=False):
    """Trading in *market* was opened, paused or ended for good."""

    market: MarketId
    phase: Literal["open", "paused", "closed"]
    ts_ns: int


class MarketListed(msgspec.Struct, frozen=True):
    """The venue announced a market that may not have been known."""

    meta: MarketMeta


class FeesChanged(msgspec.Struct, frozen=True):
    """Trading the markets of an event costs something else now: the venue is to be asked what."""

    event: str


class NoBook(msgspec.Struct, frozen=True):
    """Books were asked for again and again and never came: unknown or ended markets, perhaps."""

    markets: tuple[MarketId, ...]


class Notice(msgspec.Struct, frozen=True):
    """Something a person should read in the log: a venue's error, an unanswered request."""

    text: str


Event = (
    LevelChanged
    | LevelSet
    | TopTold
    | TopOfBook
    | BookSnapshot
    | BookTold
    | Trade
    | BookLost
    | TickerLost
    | TradingChanged
    | MarketListed
    | FeesChanged
    | Notice
    | Refused
    | NoBook
)
