"""An incident's file, brought about again: the same frames through the same decoders.

It is the same incident when our books come out as they were, level by level, with the reason for
which they were given up. What frames do not tell (a connection that ended, an answer over REST) is
taken from the file.
"""

import gzip
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from arbees_feed.cli.player import SilentOutlet
from arbees_feed.cli.priming import Primer, primer_of
from arbees_feed.core.book import BookState
from arbees_feed.core.events import BookLost, BookSnapshot, BookTold, Event
from arbees_feed.core.model import MarketId
from arbees_feed.core.venue import Decoder
from arbees_feed.errors import FatalError, ProtocolViolation
from arbees_feed.feed.compare import Verdict, compare
from arbees_feed.feed.evidence import Evidence, Header, read_evidence, tells_incident
from arbees_feed.feed.flight import TICK, BookCopy, Frame
from arbees_feed.feed.market import Hooks, Market, MarketsConfig
from arbees_feed.feed.markets import MarketTable
from arbees_feed.venues import VENUES

MOST_BYTES: Final = 64 << 20
"""An incident is small; whatever unpacks to more is none."""
CHECK_NS: Final = 100_000_000
_FROM_OUTSIDE: Final = frozenset({"disconnect", "freeze", "hash", "mismatch", "violation"})
"""Kinds whose cause is in no frame, or ends the connection: our book is what can be compared."""


# -- reading ---------------------------------------------------------------------------------------


def is_incident(path: Path) -> bool:
    """Tell whether a file is about an incident, by its first line."""
    try:
        with _open(path) as file:
            return tells_incident(file.readline(200))
    except (OSError, EOFError, zlib.error):
        return False  # whoever reads all of it says what is wrong


def _open(path: Path) -> Any:
    with path.open("rb") as file:
        is_packed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path) if is_packed else path.open("rb")


def load(path: Path) -> Evidence:
    """Read an incident's file.

    Raises:
        FatalError: it can't be read, or is not whole; the message says which and why.
    """
    try:
        evidence = read_evidence(_lines(path))
    except EOFError:
        raise FatalError(f"cannot read {path}: it breaks off") from None
    except (OSError, zlib.error, ValueError, RecursionError) as exc:
        reason = getattr(exc, "strerror", None) or str(exc)
        raise FatalError(f"cannot read {path}: {reason[:200]}") from exc
    if evidence.header.venue not in VENUES:
        raise FatalError(f"cannot read {path}: no venue {evidence.header.venue[:40]!r} is known")
    return evidence


def _lines(path: Path) -> Iterator[bytes]:
    left = MOST_BYTES
    with _open(path) as file:
        while line := file.readline(left + 1):
            left -= len(line)
            if left < 0:
                raise ValueError(f"it holds more than {MOST_BYTES >> 20} MiB")
            yield line.rstrip(b"\n")


# -- bringing it about again -----------------------------------------------------------------------


class _Deck:
    """The connection of the incident."""

    def __init__(self, decoder: Decoder) -> None:
        self.decoder = decoder

    def resync(self, market: MarketId, reason: str) -> None:
        """Ask as the daemon did; the answer is among the frames or it never came."""
        self.decoder.resync(market, reason)


class Reenactment:
    """One connection's frames, from the books that the file begins with."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.said: list[tuple[int, str]] = []
        """What went wrong this time: the frame's number, counted from 1, and the reason."""
        header = evidence.header
        self._now_ns = evidence.frames[0][0] if evidence.frames else header.at_ns
        self._checked_ns = self._now_ns
        self._decoder = VENUES[header.venue].new_decoder(header.options)
        self._deck = _Deck(self._decoder)
        self._primer: Primer | None = None
        self._before_answer: dict[MarketId, BookCopy] = {}
        self._disproved = [made for made in evidence.decisions if made.what == "disproved"]
        self.table = MarketTable(
            lambda _: SilentOutlet(),
            MarketsConfig(stale_grace_s=header.stale_grace_s),
            monotonic=lambda: self._now_ns / 1e9,
            hooks=Hooks(on_told=self._on_told),
        )

    def run(self) -> None:
        """Play all frames, and let the time pass until the incident."""
        header, frames = self.evidence.header, self.evidence.frames
        self._open(header)
        starts = sorted(header.starts, key=lambda start: start.before)
        for number, frame in enumerate(frames):
            while starts and starts[0].before <= number:
                self._start(starts.pop(0).book)
            if not self._play(frame, number):
                return
        for start in starts:
            self._start(start.book)
        self._pass_time(header.at_ns)

    def _open(self, header: Header) -> None:
        books = {copy.market: copy for copy in header.books}
        books |= {start.book.market: start.book for start in header.starts}
        decoder = self._decoder
        decoder.tick(self._now_ns / 1e9)
        decoder.start(list(dict.fromkeys((*header.members, *books))))
        if not header.whole:
            self._primer = primer_of(header.venue, self.evidence.frames)
            self._primer.opening(decoder, list(books.values()))
        decoder.outbox.clear()

    def _start(self, book: BookCopy) -> None:
        if self._primer is not None:
            self._primer.book(self._decoder, book)
        snapshot = BookSnapshot(book.market, book.bids, book.asks, book.ts_ns)
        self.table.apply([snapshot], self._deck, self._now_ns)

    def _play(self, frame: Frame, number: int) -> bool:
        self._pass_time(frame[0] - 1)  # what was decided in that very ns came after the frame
        if frame[1] == TICK:
            return self._tick(number)
        try:
            events = self._decoder.receive(frame[1])
        except ProtocolViolation as violation:
            self.said.append((number + 1, str(violation)))
            return False
        self._decoder.outbox.clear()
        self._before_answer = {}
        for event in events:
            self._note(event, number)
        lost = self.table.stats.books_lost
        self.table.apply(events, self._deck, frame[0])
        if self.table.stats.books_lost > lost and not any(isinstance(e, BookLost) for e in events):
            self.said.append((number + 1, self.table.stats.last_loss))
        return True

    def _tick(self, number: int) -> bool:
        try:
            events = self._decoder.tick(self._now_ns / 1e9)
        except ProtocolViolation as violation:
            self.said.append((number + 1, str(violation)))
            return False
        for event in events:
            self._note(event, number)
        self.table.apply(events, self._deck, self._now_ns)
        self._decoder.outbox.clear()
        return True

    def _note(self, event: Event, number: int) -> None:
        if isinstance(event, BookLost):
            self.said.append((number + 1, f"{event.market}: {event.reason}"))
        elif isinstance(event, BookSnapshot | BookTold):
            copy = self.book(event.market)
            if copy is not None:
                self._before_answer[event.market] = copy

    def _on_told(self, market: Market, told: BookTold) -> bool:
        book = market.book
        return book is None or compare(book, market.ts_ns, told) is not Verdict.AGREES

    def _pass_time(self, now_ns: int) -> None:
        self._now_ns = max(self._now_ns, now_ns)
        while self._disproved and self._disproved[0].at_ns <= now_ns:
            made = self._disproved.pop(0)
            market = self.table.get(made.market)
            if market is not None:
                self.table.disprove(market, made.detail, made.at_ns)
        if now_ns - self._checked_ns >= CHECK_NS:
            self._checked_ns = now_ns
            self.table.check(now_ns / 1e9, now_ns)

    # -- what came out -----------------------------------------------------------------------------

    def book(self, market: MarketId) -> BookCopy | None:
        """Return the book of a market as it is now."""
        row = self.table.get(market)
        if row is None or row.book is None:
            return None
        return BookCopy.of(market, row.book, row.ts_ns)

    def differences(self) -> list[str]:
        """Return how this time differs from that time; empty: it is the same incident."""
        header = self.evidence.header
        found = [text for told in header.books if (text := self._difference(told))]
        if header.kind == "violation" and header.reason not in [reason for _, reason in self.said]:
            last = self.said[-1][1] if self.said else "nothing"
            found.append(f"violation: {header.reason!r} then, {last!r} now")
        return found

    def _difference(self, told: BookCopy) -> str:
        header = self.evidence.header
        ours = self.book(told.market)
        if header.kind == "mismatch" and told.market in self._before_answer:
            ours = self._before_answer[told.market]
        if ours is None:
            return f"{told.market}: no book now"
        if sorted(ours.bids) != sorted(told.bids) or sorted(ours.asks) != sorted(told.asks):
            return f"{told.market}: {_first_other_level(ours, told)}"
        if (ours.state, ours.reason) == (told.state, told.reason) or self._is_explained(told):
            return ""
        return f"{told.market}: {_standing(told)} then, {_standing(ours)} now"

    def _is_explained(self, told: BookCopy) -> bool:
        """Tell whether a book was given up for what no frame tells: the incident itself."""
        header = self.evidence.header
        if header.kind not in _FROM_OUTSIDE:
            return False
        return told.state != BookState.LOST.value or header.reason in told.reason


def _standing(book: BookCopy) -> str:
    return f"{book.state} ({book.reason})" if book.reason else book.state


def _first_other_level(ours: BookCopy, told: BookCopy) -> str:
    for side, now, then in (("bid", ours.bids, told.bids), ("ask", ours.asks, told.asks)):
        others = sorted(set(map(tuple, now)) ^ set(map(tuple, then)))
        if others:
            price = others[0][0]
            sizes = [next((s for p, s in levels if p == price), 0) for levels in (then, now)]
            return f"{side} at {price}: size {sizes[0]} then, {sizes[1]} now"
    return "levels differ"


def report(again: Reenactment) -> dict[str, Any]:
    """Return what the file tells and what came of it, for a script."""
    header = again.evidence.header
    differences = again.differences()
    return {
        "venue": header.venue,
        "connection": header.connection,
        "kind": header.kind,
        "market": header.market,
        "reason": header.reason,
        "at_ns": header.at_ns,
        "frames": len(again.evidence.frames),
        "whole": header.whole,
        "cut": header.cut,
        "shown": header.shown and msgspec.structs.asdict(header.shown),
        "decisions": [msgspec.structs.asdict(made) for made in again.evidence.decisions],
        "came_out": [{"frame": number, "reason": reason} for number, reason in again.said],
        "books": [msgspec.structs.asdict(b) for b in _books(again, header.books)],
        "reproduced": not differences,
        "differences": differences,
    }


def _books(again: Reenactment, told: Sequence[BookCopy]) -> Iterator[BookCopy]:
    for copy in told:
        book = again.book(copy.market)
        if book is not None:
            yield book
