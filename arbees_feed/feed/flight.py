"""The flight recorder: what a connection has brought lately, and what we made of it. Pure.

A ring of raw frames and a ring of decisions cost next to nothing while all is well. When something
is wrong, they and a copy of the books in question are the evidence of it (evidence.py): enough to
bring about the same incident again, on another machine, through the same decoders
(`arbees-feed replay`).

Frames alone tell changes, not books: so each book is copied now and then (`Checkpoints`), and a
replay begins with the oldest copy that all frames since are kept of. What we send is not kept, and
so no credentials can be: those are in the headers of the handshake.

Rejected: a ring as a class with an `append` of its own (81 ns a frame in place of 61, of 3,700); a
running count of bytes for each frame (twice that); numbering frames (the order of the ring and the
identity of its entries tell as much).
"""

from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Annotated, Final

import msgspec

from arbees_feed.core.book import OrderBook
from arbees_feed.core.model import Lots, MarketId, Ticks
from arbees_feed.core.venue import DecoderOptions

FRAMES: Final = 20_000
FRAME_BYTES: Final = 8 << 20
DECISIONS: Final = 2_000
_SLACK: Final = 4
"""Between two trims the ring may hold so many times its frames, and no more."""

UnixNs = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
Frame = tuple[int, bytes]
"""Unix ns at which it was read from the socket, and its bytes."""
TICK: Final = b"\x00tick"
"""Stands in the ring, like a frame, where the decoder was told the time: what it holds back for a
while comes out at the same place again."""
Level = tuple[Ticks, Lots]


class FlightRing:
    """The newest frames of one connection, bounded by number and by bytes.

    `append((received_ns, frame))` is the deque's own; the bounds are kept by `trim`, which whoever
    ticks calls a few times a second. In between the ring grows by what arrives, and never beyond
    four times its number.
    """

    def __init__(self, frames: int = FRAMES, size_bytes: int = FRAME_BYTES) -> None:
        self._frames: deque[Frame] = deque(maxlen=_SLACK * frames)
        self._most = frames
        self._most_bytes = size_bytes
        self._counted: Frame | None = None
        """The newest frame when last trimmed."""
        self.size_bytes = 0
        """Bytes of all frames, as of the last trim."""
        self.is_whole = True
        """Every frame of the connection is there, from the first."""
        self.append = self._frames.append

    def __len__(self) -> int:
        return len(self._frames)

    def __iter__(self) -> Iterator[Frame]:
        return iter(self._frames)

    def newest(self) -> Frame | None:
        """Return the frame that came last, or None."""
        return self._frames[-1] if self._frames else None

    def trim(self) -> None:
        """Drop the oldest frames until the bounds hold."""
        frames = self._frames
        if len(frames) == frames.maxlen:
            # It may have overflowed, and nobody counted what fell out.
            self._counted, self.size_bytes, self.is_whole = None, 0, False
        for frame in reversed(frames):
            if frame is self._counted:
                break
            self.size_bytes += len(frame[1])
        while len(frames) > self._most or (self.size_bytes > self._most_bytes and frames):
            self.size_bytes -= len(frames.popleft()[1])
            self.is_whole = False
        self._counted = self.newest()


class BookCopy(msgspec.Struct, frozen=True, gc=False):
    """A book as it is at some moment; levels in no order."""

    market: MarketId
    state: str
    reason: str
    bids: Sequence[Level]
    asks: Sequence[Level]
    ts_ns: UnixNs
    """Venue time of its newest change."""

    @classmethod
    def of(cls, market: MarketId, book: OrderBook, ts_ns: int) -> "BookCopy":
        """Copy a book."""
        every = max(len(book.bids.keys), len(book.asks.keys), 1)
        return cls(market, book.state.value, book.reason, *book.depth(every), ts_ns)


class Checkpoint(msgspec.Struct, frozen=True):
    """A book, and the last frame that is in it."""

    after: Frame
    packed: bytes
    changes: int

    def book(self) -> BookCopy:
        """Return the book."""
        return _unpack(self.packed)


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(BookCopy).decode


class Start(msgspec.Struct, frozen=True):
    """A book to begin with, before the frame of that number (counted from 0)."""

    before: int
    book: BookCopy


class Checkpoints:
    """Two copies of each book of one connection: the older one tells more of what happened.

    A copy is of use while the frame that it follows is in the ring: each book is to be copied at
    least twice in the time in which the ring is renewed.
    """

    def __init__(self, ring: FlightRing) -> None:
        self._ring = ring
        self._taken: dict[MarketId, tuple[Checkpoint, ...]] = {}

    def __contains__(self, market: object) -> bool:
        return market in self._taken

    def take(self, market: MarketId, book: OrderBook, ts_ns: int, changes: int) -> None:
        """Copy a book that is in step, between two frames.

        *changes* counts what was applied to the book; one that stands still is copied once.
        """
        newest = self._ring.newest()
        if newest is None:
            return
        last = self._taken.get(market, ())[-1:]
        if last and last[0].changes == changes:
            packed = last[0].packed
        else:
            packed = _pack(BookCopy.of(market, book, ts_ns))
        self._taken[market] = (*last, Checkpoint(newest, packed, changes))

    def forget(self, market: MarketId) -> None:
        """Forget a market that this connection carries no more."""
        self._taken.pop(market, None)

    def usable(self, market: MarketId, places: Mapping[int, int]) -> Start | None:
        """Return the oldest copy since which all frames are kept, as a place among them.

        *places*: the identity of each kept frame -> how many there are up to and with it.
        """
        for checkpoint in self._taken.get(market, ()):
            place = places.get(id(checkpoint.after))
            if place is not None:
                return Start(place, checkpoint.book())
        return None


class Decision(msgspec.Struct, frozen=True, gc=False):
    """Something that was decided about a market (or, without one, a connection)."""

    at_ns: UnixNs
    market: MarketId
    what: str
    """`snapshot`, `doubt`, `lost`, `resync`, `probe`, `answer`, `disproved`, `stale`, `live`, …"""
    detail: str = ""


class Decisions:
    """The newest decisions of one venue, the oldest out first."""

    def __init__(self, most: int = DECISIONS) -> None:
        self._ring: deque[Decision] = deque(maxlen=most)

    def __len__(self) -> int:
        return len(self._ring)

    def note(self, at_ns: int, market: MarketId, what: str, detail: str = "") -> None:
        """Remember a decision; *at_ns* is Unix ns."""
        self._ring.append(Decision(at_ns, market, what, detail))

    def of(self, market: MarketId) -> list[Decision]:
        """Return those about a market, and about connections; about "", all."""
        return [made for made in self._ring if not market or made.market in ("", market)]


class FlightRecorder:
    """What is kept of one connection; it dies with it.

    *members* are the markets whose books it carries, at any time: the owner's own collection.
    """

    def __init__(
        self,
        venue: str,
        connection: str,
        options: DecoderOptions,
        members: Collection[MarketId],
        *,
        ring: FlightRing | None = None,
        stale_grace_s: float = 1.0,
    ) -> None:
        self.venue = venue
        self.connection = connection
        self.options = options
        self.members = members
        self.stale_grace_s = stale_grace_s
        self.ring = FlightRing() if ring is None else ring
        self.checkpoints = Checkpoints(self.ring)
