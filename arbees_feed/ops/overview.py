"""What the status page shows, in plain values fit for JSON, and who tells it.

Prices are in dollars (0 to 1) in YES terms, sizes in contracts or shares, `…_s` are seconds and
`…_ns` Unix ns. None: not known, or not yet. Text that others wrote comes as one line without
control characters and secrets; it is still to be escaped.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

Level = tuple[float, float]
"""(price, size)"""


class Delay(msgspec.Struct, frozen=True):
    """How long something took, as percentiles."""

    name: str
    what: str
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None
    count: int
    """How many were timed."""
    window_s: float
    """Over the last so many seconds; 0.0: since the start."""


class VenueNow(msgspec.Struct, frozen=True):
    """One venue at this moment."""

    venue: str
    state: str
    """`connecting`, `live`, `stale` or `stopped`; see docs/wire-format.md."""
    reason: str
    connections: int
    """Open ones."""
    connections_wanted: int
    books: int
    """Full books in step, counted every 2 s."""
    books_wanted: int
    markets: int
    markets_live: int
    frames_per_s: float | None
    prices_per_s: float | None
    """Changes of a top of book."""
    audit_ratio: float
    audited: int
    """Books that were compared with the venue's own answer since the start."""
    clock_offset_s: float | None
    """The venue's clock less ours."""
    age_growth_s: float
    """How much older than at its best data is on the worst connection."""
    incidents: Mapping[str, int]
    """How often each kind of trouble was met since the start, by what it is called."""
    problems: Mapping[str, str]
    """The newest of some kinds, in words."""
    since_ns: int = 0
    """When its state was first seen to be what it is; 0: nobody has looked yet."""


class RedisNow(msgspec.Struct, frozen=True):
    """The way out."""

    connected: bool
    problem: str
    published_per_s: float | None
    bytes_per_s: float | None
    waiting: int
    """Markets with a price newer than was written."""
    unanswered: int
    """Commands without a reply yet."""
    conflated: int
    errors: int
    state: str = ""
    """`connected`, `trouble` or `away`."""
    since_ns: int = 0


class PairsNow(msgspec.Struct, frozen=True):
    """How far the matcher of pairs, a process beside the feed, has brought both venues together.

    Of one that is silent: what it said last.
    """

    state: str
    """`matching`: not everything was looked at yet; `live`; `silent`: it has died, or hangs."""
    reason: str
    """Why it is not to be believed."""
    cross_pairs: str
    """*live* and *found*, as N/M."""
    mapped: int
    """Pairs that the user's file decides."""
    found: int
    """Confirmed pairs, those of the user among them."""
    live: int
    """Confirmed pairs with both prices live."""
    probable: int
    """Pairs that nobody has confirmed; they have no price."""
    contradicted: int
    """Pairs whose prices speak against them."""
    markets: int
    """Markets that were looked at."""
    age_s: float
    """Since its last word."""
    since_ns: int
    """When its state was first seen to be what it is."""


class Finding(msgspec.Struct, frozen=True):
    """Something that a person should know now, and what to do about it."""

    tone: str
    """`bad`: prices can't be trusted or are not published; `warn`: it wants a look."""
    who: str
    """A venue, `redis`, `pairs`, or `feed` for the process itself."""
    what: str
    do: str
    runbook: str
    """The section of docs/operations.md that says more."""


class Verdict(msgspec.Struct, frozen=True):
    """Whether all is well."""

    tone: str
    """`good`, or that of the worst finding."""
    headline: str
    findings: Sequence[Finding] = ()
    """The worst first."""


class Change(msgspec.Struct, frozen=True):
    """A change of the state of a venue, of Redis or of the matcher of pairs."""

    who: str
    state: str
    reason: str
    at_ns: int


class StatusNow(msgspec.Struct, frozen=True):
    """The whole feed at this moment, without any market."""

    version: str
    at_ns: int
    uptime_s: float
    ready: bool
    missing: Mapping[str, str]
    """Who is not ready, and why."""
    venues: Sequence[VenueNow]
    redis: RedisNow
    delays: Sequence[Delay]
    verdict: Verdict
    changes: Sequence[Change] = ()
    """The newest first."""
    started_ns: int = 0
    """When this run of the feed began: another run has another."""
    pairs: PairsNow | None = None
    """None: no matcher runs."""


class PriceNow(msgspec.Struct, frozen=True):
    """What readers were last told of a market, and what is known of its source."""

    market: str
    status: str
    """`live`, `stale` or `closed`; `unpriced`: nothing yet; `unknown`: not followed here."""
    state: str = ""
    """As `arbees-feed explain` says it: `live`, `quiet`, `suspect`, `resyncing`, …"""
    source: str = ""
    bid: float | None = None
    bid_size: float = 0.0
    ask: float | None = None
    ask_size: float = 0.0
    last: float | None = None
    ago_s: float | None = None
    """Since the frame was read that led to it."""


class MarketNow(msgspec.Struct, frozen=True):
    """One market with its ladder."""

    venue: str
    price: PriceNow
    doubt: str
    """Why nothing newer is shown."""
    book: str
    """`live`, `empty`, `lost`; `none`: its full book is not followed."""
    bids: Sequence[Level]
    """The best few, best first."""
    asks: Sequence[Level]


class Hit(msgspec.Struct, frozen=True):
    """A market that a search has found."""

    market: str
    venue: str
    title: str
    subtitle: str
    event: str
    price: PriceNow


class Found(msgspec.Struct, frozen=True):
    """What a search has found."""

    hits: Sequence[Hit]
    note: str = ""
    """What could not be searched, and why."""


class Overview(Protocol):
    """Knows how the feed does. All but the search are cheap, and wait for nothing."""

    def status(self) -> StatusNow:
        """Return the state of the whole feed; asked at most about once a second."""

    def pairs(self) -> PairsNow | None:
        """Return how far pairs of markets are covered; None: no matcher runs."""

    def prices(self, markets: Sequence[str]) -> list[PriceNow]:
        """Return the prices of these markets, in this order."""

    def market(self, market: str) -> MarketNow | None:
        """Return a market with its ladder, or None if it is not followed."""

    async def search(self, text: str, limit: int) -> Found:
        """Return at most *limit* markets whose title or id has the words of *text*.

        Answers within a few seconds, whatever Redis does.
        """
