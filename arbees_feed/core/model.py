"""The words of the feed: identities, units and the facts about a market.

Prices inside are integers of 1e-4 dollar (`Ticks`), sizes integers of 1e-6 contract (`Lots`):
the finest steps of Kalshi are 0.0001 dollar and 0.01 contract, of Polymarket 0.0001 dollar and
0.000001 share. Floats appear only in `MarketPrice`, on the way out.
"""

from enum import IntEnum, StrEnum
from typing import Final, NewType

import msgspec

MarketId = NewType("MarketId", str)
Ticks = int
Lots = int

ONE_DOLLAR: Ticks = 10_000
ONE_CONTRACT: Lots = 1_000_000


class Side(IntEnum):
    """A side of the YES book."""

    BID = 0
    ASK = 1


class Status(StrEnum):
    """What a reader may do with a price; see docs/wire-format.md."""

    LIVE = "live"
    STALE = "stale"
    CLOSED = "closed"


class Liveness(StrEnum):
    """What is known of the source of a price at this moment, by evidence and not by silence."""

    LIVE = "live"
    """Data comes as often as usual."""
    QUIET = "quiet"
    """No data for longer than usual, and the venue's own answer agrees with ours."""
    SUSPECT = "suspect"
    """The venue was asked and does not answer, or its answer does not agree (yet)."""
    STALE = "stale"
    """Readers were told not to believe it."""
    RESYNCING = "resyncing"
    """A fresh snapshot was asked for."""
    CLOSED = "closed"


STATUS_LIVE: Final = Status.LIVE
"""For what runs at each frame: on Python 3.11 the way to a member through its enum costs 0.1 µs."""


class Source(StrEnum):
    """Where a price was taken from."""

    BOOK = "book"
    TICKER = "ticker"
    REST = "rest"


SOURCE_BOOK: Final = Source.BOOK


class VenueState(StrEnum):
    """State of a venue as a whole, on `feed:status`."""

    CONNECTING = "connecting"
    LIVE = "live"
    STALE = "stale"
    STOPPED = "stopped"


class Quote(msgspec.Struct, frozen=True, gc=False):
    """A top of book in YES terms, in integers; an empty side has size 0 and price 0 or 1 dollar."""

    bid: Ticks
    bid_size: Lots
    ask: Ticks
    ask_size: Lots
    last_price: Ticks | None
    status: Status
    source: Source
    ts_event_ns: int
    ts_recv_ns: int


class MarketMeta(msgspec.Struct, frozen=True, omit_defaults=True):
    """Enrichment of one market, ready for its hash: text only, absent facts are empty."""

    market_id: MarketId
    platform: str
    title: str = ""
    subtitle: str = ""
    event_id: str = ""
    event_title: str = ""
    category: str = ""
    status: str = ""
    open_time: str = ""
    close_time: str = ""
    outcome_yes: str = ""
    outcome_no: str = ""
    tick_size: str = ""
    url: str = ""
    extras: dict[str, str] = {}
    volume: float = 0.0
    """Traded volume in contracts or dollars, for ranking; 0.0 when not told."""


class EventMeta(msgspec.Struct, frozen=True, omit_defaults=True):
    """Enrichment of one event, ready for its hash."""

    event_id: str
    platform: str
    title: str = ""
    category: str = ""
    start_time: str = ""
    end_time: str = ""
    extras: dict[str, str] = {}
    market_ids: tuple[MarketId, ...] = ()
