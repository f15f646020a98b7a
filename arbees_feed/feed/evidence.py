"""What tells of an incident: gathered when it happens, written to a file, read again. Pure.

A file is JSON lines: a header (the incident, how the decoder was made, our books then, and books to
begin with), the frames, and a last line with the decisions. Without that last line it is not whole.
"""

import base64
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

import msgspec

from arbees_feed.core.book import OrderBook
from arbees_feed.core.model import MarketId, Quote
from arbees_feed.core.venue import DecoderOptions
from arbees_feed.feed.flight import (
    FRAME_BYTES,
    BookCopy,
    Decision,
    FlightRecorder,
    Frame,
    Start,
    UnixNs,
)

VERSION: Final = 1
BOOKS: Final = 50
"""So many books at most are told with an incident that concerns a whole connection."""
MEMBERS: Final = 2_000


class Incident(msgspec.Struct, frozen=True):
    """What went wrong: of one market, or (without one) of a whole connection."""

    kind: str
    """`gap`, `mismatch`, `freeze`, `violation`, `hash`, `crossed`, `disconnect`, …"""
    market: MarketId
    reason: str
    at_ns: int


class Header(msgspec.Struct, frozen=True):
    """The first line of an incident's file."""

    incident: int
    """The version of this format."""
    feed: str
    """The version of the package."""
    venue: str
    connection: str
    kind: str
    market: MarketId
    reason: str
    at_ns: UnixNs
    options: DecoderOptions
    stale_grace_s: float
    members: Sequence[MarketId]
    """Markets whose books the connection carries, the first `MEMBERS` of them."""
    whole: bool
    """The frames are all that the connection has brought: no book is needed to begin with."""
    starts: Sequence[Start]
    books: Sequence[BookCopy]
    """Ours, at the moment of the incident."""
    shown: Quote | None
    """What readers were last told of the market."""
    cut: bool
    """Older frames than there are would have been needed for some book."""


class FrameLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """A frame: as text, or in base64 if it is no UTF-8."""

    received_ns: UnixNs
    frame: str = ""
    base64: str = ""

    @classmethod
    def of(cls, frame: Frame) -> "FrameLine":
        """Return the line of a frame."""
        received_ns, data = frame
        try:
            return cls(received_ns, data.decode())
        except UnicodeDecodeError:
            return cls(received_ns, base64=base64.b64encode(data).decode())

    def data(self) -> bytes:
        """Return the bytes that were received."""
        return base64.b64decode(self.base64, validate=True) if self.base64 else self.frame.encode()


class Trailer(msgspec.Struct, frozen=True):
    """The last line: a file without it is not whole."""

    frames: int
    decisions: Sequence[Decision]


class Evidence(msgspec.Struct, frozen=True):
    """All that an incident's file tells."""

    header: Header
    frames: Sequence[Frame]
    decisions: Sequence[Decision]

    def lines(self) -> Iterator[bytes]:
        """Yield the lines of the file; may be done in another thread."""
        yield _encode(self.header)
        for frame in self.frames:
            yield _encode(FrameLine.of(frame))
        yield _encode(Trailer(len(self.frames), self.decisions))


_encode = msgspec.json.Encoder().encode


def gather(
    incident: Incident,
    recorder: FlightRecorder,
    books: Iterable[tuple[MarketId, OrderBook, int]],
    *,
    decisions: Sequence[Decision] = (),
    shown: Quote | None = None,
    feed: str = "",
    size_bytes: int = FRAME_BYTES,
) -> Evidence:
    """Copy what tells of an incident, now; costs some ms at most, and is not on a frame's path.

    *books*: (market, book, venue time of its newest change) of those concerned. All frames are
    told while those from the first on are there and have no more than *size_bytes*; else those
    since the oldest checkpoint that is needed, and the newest *size_bytes* of them.
    """
    concerned = [BookCopy.of(*book) for book in islice(books, BOOKS)]
    recorder.ring.trim()
    kept = list(recorder.ring)
    first = _first_within(kept, size_bytes)
    whole = recorder.ring.is_whole and first == 0
    usable: list[Start] = []
    if not whole:
        places = {id(frame): place for place, frame in enumerate(kept, 1)}
        found = [recorder.checkpoints.usable(copy.market, places) for copy in concerned]
        first = max(first, min((start.before for start in found if start), default=0))
        usable = [Start(s.before - first, s.book) for s in found if s and s.before >= first]
    header = Header(
        incident=VERSION,
        feed=feed,
        venue=recorder.venue,
        connection=recorder.connection,
        **msgspec.structs.asdict(incident),
        options=recorder.options,
        stale_grace_s=recorder.stale_grace_s,
        members=list(islice(recorder.members, MEMBERS)),
        whole=whole,
        starts=usable,
        books=concerned,
        shown=shown,
        cut=not whole and len(usable) < len(concerned),
    )
    return Evidence(header, kept[first:], decisions)


def _first_within(frames: Sequence[Frame], size_bytes: int) -> int:
    """Return the place from which on the frames have no more than so many bytes."""
    for place in range(len(frames) - 1, -1, -1):
        size_bytes -= len(frames[place][1])
        if size_bytes < 0:
            return place + 1
    return 0


# -- reading ---------------------------------------------------------------------------------------


class Incomplete(ValueError):
    """A file that breaks off."""


_header = msgspec.json.Decoder(Header)
_frame_line = msgspec.json.Decoder(FrameLine)
_trailer = msgspec.json.Decoder(Trailer)
_version = msgspec.json.Decoder(dict[str, Any])


def tells_incident(line: bytes) -> bool:
    """Tell whether a file with this first line is about an incident."""
    return line.startswith(b'{"incident":')


def read_evidence(lines: Iterable[bytes]) -> Evidence:
    """Read the lines of a file.

    Raises:
        ValueError: they are not those of an incident, or not all of them (Incomplete).
    """
    walk = iter(lines)
    header = _read_header(next(walk, b""))
    frames: list[Frame] = []
    last: bytes | None = None
    for line in walk:
        if last is not None:
            told = _frame_line.decode(last)
            frames.append((told.received_ns, told.data()))
        last = line
    if last is None or not last.startswith(b'{"frames":'):
        raise Incomplete("it breaks off: its last line is missing")
    trailer = _trailer.decode(last)
    if trailer.frames != len(frames):
        raise Incomplete(f"{len(frames)} of {trailer.frames} frames are there")
    return Evidence(header, frames, trailer.decisions)


def _read_header(line: bytes) -> Header:
    told = _version.decode(line).get("incident")
    if told != VERSION:
        raise ValueError(f"it has version {told!r}, and this package reads {VERSION}")
    return _header.decode(line)
