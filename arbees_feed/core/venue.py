"""The contract between the feed and a venue: bytes in, events out, frames back.

A venue is a folder under `arbees_feed/venues/` with a `SPEC` and its name in `venues/__init__.py`.
Nothing here does I/O: time is an argument and frames to send wait in an outbox.
"""

import re
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import msgspec

from arbees_feed.core.book import OrderBook
from arbees_feed.core.events import BookTold, Event, TopOfBook
from arbees_feed.core.model import EventMeta, MarketId, MarketMeta
from arbees_feed.core.ratelimit import Rates

if TYPE_CHECKING:
    from arbees_feed.native._compiled import Deltas

_UNKNOWN_NAMES_KEPT = 32


class DecoderStats(msgspec.Struct):
    """What one decoder counted; plain integers, read by metrics."""

    frames: int = 0
    unknown_kinds: int = 0
    malformed: int = 0
    gaps: int = 0
    duplicates: int = 0
    resets: int = 0
    resyncs: int = 0
    stale_dropped: int = 0
    venue_errors: int = 0
    hashes_right: int = 0
    """Books that the venue's own checksum proved right."""
    hashes_wrong: int = 0
    """Books whose checksum did not come out, after all that is known to explain it."""
    mirror_breaks: int = 0
    """Changes whose twin in the mirrored book was missing or different."""
    off_grid: int = 0
    """Prices that are no multiple of the market's tick."""
    unknown_kind_names: dict[str, int] = msgspec.field(default_factory=dict)
    last_problem: str = ""

    def unknown(self, kind: str) -> None:
        """Count a kind of frame we do not know, by name (a bounded number of names is kept)."""
        self.unknown_kinds += 1
        names = self.unknown_kind_names
        key = kind[:40] if kind[:40] in names or len(names) < _UNKNOWN_NAMES_KEPT else "other"
        names[key] = names.get(key, 0) + 1

    def add(self, other: "DecoderStats") -> None:
        """Add what another decoder counted."""
        for name in _COUNTERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for kind, count in other.unknown_kind_names.items():
            known = self.unknown_kind_names
            known[kind] = known.get(kind, 0) + count
        self.last_problem = other.last_problem or self.last_problem


_COUNTERS = tuple(field.name for field in msgspec.structs.fields(DecoderStats) if field.type is int)


class Decoder(Protocol):
    """One connection's conversation with a venue, without the connection.

    Made anew for each connection, never reset. After `start`, `receive`, `tick`, `add`,
    `remove`, `resync` and `probe` the caller sends what is in `outbox` and clears it.
    """

    outbox: list[bytes]
    stats: DecoderStats

    @property
    def deltas(self) -> "Deltas | None":
        """What reads plain changes of levels in compiled code, where this venue has any."""

    def start(self, markets: Sequence[MarketId]) -> None:
        """Queue the opening frames: the venue-wide channels, and full books of *markets*."""

    def add(self, markets: Sequence[MarketId]) -> None:
        """Ask for the full books of further markets on this connection."""

    def remove(self, markets: Sequence[MarketId]) -> None:
        """Ask for no more of these markets."""

    def receive(self, frame: bytes) -> Sequence[Event]:
        """Turn one frame into what it says.

        Raises:
            ProtocolViolation: the frame can't be understood and its damage can't be confined to
                one market; the connection must be made anew.
        """

    def tick(self, now_s: float) -> Sequence[Event]:
        """Do what is due by time (keep-alive, overdue answers); call about once a second.

        Raises:
            ProtocolViolation: the venue does not answer what it must.
        """

    def ended(self, reason: str) -> Sequence[Event]:
        """Tell what the venue's close of the connection, with this reason, says of markets."""

    def resync(self, market: MarketId, reason: str) -> None:
        """Ask for a fresh snapshot of a market whose book proved wrong (once until answered)."""

    def probe(self, markets: Sequence[MarketId]) -> bool:
        """Ask the venue, on this connection, for its books of *markets*; answers are BookTold.

        False: this channel has no such question, and REST must be asked. A market that is no
        member, or whose snapshot is owed anyway, is left out.
        """

    def verify(self, market: MarketId, book: OrderBook) -> bool | None:
        """Judge *book* by the venue's own checksum of its newest state.

        None: the venue has no checksum, or it says nothing of this state of the book, or it can't
        be reproduced here for any market (its recipe has changed). Never raises.
        """


class DecoderOptions(msgspec.Struct, frozen=True):
    """What a connection is for."""

    tickers: bool = False
    """Carry the tickers of all markets, where the venue has such a channel."""
    lifecycle: bool = False
    """Carry announcements of new, paused and ended markets."""
    trades: bool = False
    """Ask for trades."""


class Credentials(msgspec.Struct, frozen=True):
    """A key id and the function that signs with its private key; prints nothing of either."""

    key_id: str
    sign: Callable[[bytes], bytes]

    def __repr__(self) -> str:
        return "Credentials(***)"


class Request(msgspec.Struct, frozen=True):
    """A REST request that a crawl wants made; the driver hands the body back."""

    url: str
    params: tuple[tuple[str, str], ...] = ()
    method: str = "GET"
    body: bytes | None = None
    signed: bool = False


class Found(msgspec.Struct, frozen=True):
    """Metadata that a crawl has found so far."""

    markets: Sequence[MarketMeta] = ()
    events: Sequence[EventMeta] = ()
    tops: Sequence[TopOfBook] = ()
    """Tops of book from REST answers."""
    books: Sequence[BookTold] = ()
    """Whole books from REST answers."""
    rates: Rates | None = None
    """How fast the venue lets this account ask."""
    outdated: bool = False
    """What was told of markets before is out of date; only a full listing tells all of it anew."""


# A crawl yields requests and findings; after a Request it is sent the body (None: not found).
Crawl = Generator[Request | Found, bytes | None, None]


class Selection(msgspec.Struct, frozen=True):
    """Which markets the user wants full books of; all empty and `top` 0 selects none."""

    markets: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    series: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    top: int = 0
    """The N most traded open markets, when nothing else is named."""
    everything: bool = False
    """All open markets."""


class CatalogueStats(msgspec.Struct):
    """What one catalogue counted; plain integers, read by metrics."""

    pages: int = 0
    records: int = 0
    skipped: int = 0
    """Records that could not be used; the rest of their page was."""
    not_found: int = 0
    """Things asked for by name that the venue does not know."""
    runaways: int = 0
    """Listings cut short because their paging went in circles."""
    last_problem: str = ""


class Catalogue(Protocol):
    """A venue's metadata over REST: which requests to make, and what the answers mean.

    Every crawl (see `Crawl`) is pure: paging, parsing and joining are. It raises
    ProtocolViolation when a whole answer cannot be read; a bad record is skipped and counted.
    """

    @property
    def stats(self) -> CatalogueStats:
        """What it counted."""

    @property
    def rates(self) -> Rates:
        """How fast the venue may be asked by anybody."""

    def immediate(self, selection: Selection) -> Sequence[MarketId]:
        """Return the selected markets that are known without any request."""

    def universe(self, selection: Selection, since_s: int | None = None) -> Crawl:
        """Find the open markets that *selection* names (only those that need a request).

        With *since_s* and everything selected, only those that are new since then.
        """

    def listing(self, since_s: int | None) -> Crawl:
        """Find all open events and markets, or what has changed since Unix time *since_s*."""

    def lookup(self, markets: Sequence[MarketId]) -> Crawl:
        """Find these markets, whatever their state."""

    def tops(self, markets: Sequence[MarketId] | None) -> Crawl:
        """Find the present top of book of these markets, or of all that are open (None)."""

    def books(self, markets: Sequence[MarketId]) -> Crawl:
        """Find the venue's own books of these markets, now; the unknown are left out.

        A book that is wrong in itself (checksum, form) is left out and counted as skipped.
        """

    def allowance(self) -> Crawl:
        """Find how fast this account may ask; finds nothing where the venue does not tell."""

    def fees(self, events: Sequence[str] = ()) -> Crawl:
        """Learn what trading costs, where the venue tells that apart from its markets.

        What the other crawls find from then on has it; `Found.outdated` says that what they found
        before is different. With *events*, what holds for these alone, now; their markets are found
        with it. Makes no request where each market tells its own fees.
        """

    def forget(self, markets: Sequence[MarketId], events: Sequence[str]) -> None:
        """Remember no more of these: they have ended, and their metadata is gone."""


class VenueSpec(msgspec.Struct, frozen=True):
    """All that the feed needs to know of a venue."""

    name: str
    new_decoder: Callable[[DecoderOptions], Decoder]
    handshake_headers: Callable[[Credentials | None, str, int], Mapping[str, str]]
    """(credentials, path of the URL, Unix ms) -> headers of the WebSocket upgrade."""
    silence_timeout_s: float
    """No frame of any kind (pings and pongs count) for so long: the socket is dead."""
    markets_per_socket: int
    """How many full books one connection carries."""
    new_catalogue: Callable[[Mapping[str, str]], Catalogue]
    """(base URLs by name: `rest`, or `gamma` and `clob`) -> the venue's metadata."""
    market_form: re.Pattern[str]
    """What a market id of this venue looks like."""
    max_age_s: float = 0.0
    """A connection is replaced, with an overlap, at this age; 0: it may live for ever."""
    kind_key: str = "type"
    """The field of a frame that names its kind."""
    known_fields: Mapping[str, frozenset[str]] = {}
    """Kind of frame -> the names its body may have, nested ones with their path."""
