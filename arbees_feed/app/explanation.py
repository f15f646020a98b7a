"""Why a market's price is what it is, in plain values fit for JSON.

Prices are in dollars, sizes in contracts or shares, `…_s` are seconds (mostly: so long ago) and
`…_ns` Unix ns. None: it is not known, or has not happened.
"""

from collections.abc import Sequence

import msgspec

Level = tuple[float, float]
"""(price, size)"""


class Shown(msgspec.Struct, frozen=True):
    """What readers were last told."""

    status: str
    source: str
    bid: float
    bid_size: float
    ask: float
    ask_size: float
    last_price: float | None
    event_ts_ns: int | None
    """The venue's time of the change."""
    ago_s: float
    """Since the frame was read that led to it."""
    seq: int | None
    """Of the newest message that was published of this market."""
    waiting: bool
    """It is newer than what was published: Redis does not keep up, or is away."""


class Book(msgspec.Struct, frozen=True):
    """Our own full book."""

    state: str
    """`empty` (no snapshot yet), `live` (in step) or `lost`."""
    reason: str
    """Why it is not in step."""
    agrees: bool
    """Whether its best prices are those that the venue tells beside changes."""
    changes: int
    """Snapshots and changes applied since the market was first seen."""
    bid_levels: int
    ask_levels: int
    bids: Sequence[Level]
    """The best few, best first."""
    asks: Sequence[Level]


class Ticker(msgspec.Struct, frozen=True):
    """The top of book as the venue tells it by itself."""

    source: str
    bid: float
    bid_size: float
    ask: float
    ask_size: float
    event_ts_ns: int | None
    connection: str


class Liveliness(msgspec.Struct, frozen=True):
    """How the market's book moves, and what the venue's own word said of it last."""

    silent_s: float
    """Since a change was last seen (looked at each 2 s)."""
    usual_s: float
    """How long it usually is from one change to the next."""
    proved_s: float | None
    """Since a snapshot, an answer or a checksum of the venue last agreed with our book."""
    asked_s: float | None
    """Since the venue was last asked because the market was silent."""
    suspicion: str
    checksum: str
    """`holds`, `pending`, `wrong`, or `none`: none was judged on this connection so far."""
    checksum_wrong_s: float | None
    last_mismatch: str
    """The venue's newest proof that this market's book was wrong."""


class Connection(msgspec.Struct, frozen=True):
    """Where the price comes from."""

    name: str
    url: str
    open_s: float | None
    """None: it is about to take over from another."""
    liveness: str
    suspicion: str
    silent_s: float
    """Since any data came over it."""
    frames: int
    message_age_s: float | None
    """Time of reading less venue time, at best of late; the difference of the clocks is in it."""
    age_growth_s: float
    """By how much that is more than it was at best."""


class Clock(msgspec.Struct, frozen=True):
    """The venue's clock less ours."""

    offset_s: float
    uncertainty_s: float


class Happened(msgspec.Struct, frozen=True):
    """Something that was decided about the market, or about connections."""

    ago_s: float
    what: str
    detail: str


class Explanation(msgspec.Struct, frozen=True):
    """All that is known of one market at one moment."""

    market: str
    venue: str
    venue_state: str
    venue_reason: str
    at_ns: int
    phase: str
    """`open`, `paused` or `closed`, as the venue says."""
    state: str
    """What is known of the source of the price; see docs/operations.md."""
    doubt: str
    """Why nothing newer is shown."""
    event_ts_ns: int | None
    """Venue time of the newest state that was applied."""
    event_age_s: float | None
    """Since then by our clock; the difference of the clocks is in it."""
    wanted_by: Sequence[str]
    """Who wants its full book: `universe` (settings and discovery), `demand` (leases)."""
    shown: Shown | None
    book: Book | None
    ticker: Ticker | None
    liveliness: Liveliness | None
    connection: Connection | None
    clock: Clock | None
    history: Sequence[Happened] = ()
    because: Sequence[str] = ()
    """The same in sentences, what matters most first."""
