"""Incidents to disk: one small file each, few at a time, never more than there is room for.

What tells of an incident is copied when it happens; it is encoded, compressed and written in a
thread, so that no price waits for a disk. A disk that fails costs the file and a line in the log.
"""

import asyncio
import gzip
import re
import time
from collections import deque
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
import structlog

from arbees_feed import __version__
from arbees_feed.core.book import OrderBook
from arbees_feed.core.model import MarketId, Quote
from arbees_feed.feed.evidence import Evidence, Header, Incident, gather
from arbees_feed.feed.flight import FRAME_BYTES, Decisions, FlightRecorder

_log = structlog.get_logger("arbees_feed.incidents")

SUFFIX: Final = ".incident.gz"
SPACING_S: Final = 60.0
"""A market has one file of each kind in so long."""
_BURST: Final = 20
"""Files of all markets in `SPACING_S`."""
_WAITING: Final = 8
_LEVEL: Final = 6
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_-]+")

Books = Iterable[tuple[MarketId, OrderBook, int]]
"""(market, its book, venue time of the book's newest change)"""


class IncidentOptions(msgspec.Struct, frozen=True):
    """Where the files go, and how many there may be."""

    folder: Path
    most_files: int = 50
    """Beyond these the oldest go."""
    most_bytes: int = 4 << 20
    """Of raw frames in one file, before compression."""


class IncidentStats(msgspec.Struct):
    """Counted over the life of the process; plain values, read by metrics."""

    seen: int = 0
    written: int = 0
    skipped: int = 0
    """Not written: of the same kind and market too soon, or too many at a time."""
    failed: int = 0
    """Could not be written."""
    last: str = ""
    """The path of the newest file."""


class IncidentWriter:
    """Takes incidents at once and writes them one after the other; run it as a service."""

    name = "incidents"

    def __init__(
        self,
        options: IncidentOptions,
        decisions: Decisions,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.stats = IncidentStats()
        self._options = options
        self._decisions = decisions
        self._monotonic = monotonic
        self._now_ns = now_ns
        self._written_s: dict[tuple[str, str, str], float] = {}
        self._waiting: deque[Evidence] = deque()
        self._filled = asyncio.Event()

    def report(
        self,
        kind: str,
        recorder: FlightRecorder,
        market: MarketId,
        reason: str,
        books: Books = (),
        shown: Quote | None = None,
    ) -> bool:
        """Copy what tells of an incident, to be written soon; return whether it will be.

        *market* is "" when the whole connection is concerned. Never waits, never raises.
        """
        self.stats.seen += 1
        if not self._is_due((recorder.connection if not market else "", market, kind)):
            self.stats.skipped += 1
            return False
        incident = Incident(kind, market, reason[:2_000], self._now_ns())
        evidence = gather(
            incident,
            recorder,
            books,
            decisions=self._decisions.of(market),
            shown=shown,
            feed=__version__,
            size_bytes=min(self._options.most_bytes, FRAME_BYTES),
        )
        self._waiting.append(evidence)
        self._filled.set()
        return True

    def _is_due(self, key: tuple[str, str, str]) -> bool:
        now_s = self._monotonic()
        recent = {k: at_s for k, at_s in self._written_s.items() if at_s + SPACING_S > now_s}
        self._written_s = recent
        if key in recent or len(recent) >= _BURST or len(self._waiting) >= _WAITING:
            return False
        recent[key] = now_s
        return True

    async def run(self) -> None:
        """Write what is reported, until cancelled; then the rest at once."""
        try:
            while True:
                await self._filled.wait()
                self._filled.clear()
                while self._waiting:
                    await asyncio.to_thread(self._write, self._waiting.popleft())
        finally:
            while self._waiting:
                self._write(self._waiting.popleft())

    def _write(self, evidence: Evidence) -> None:
        folder, path = self._options.folder, self._options.folder / _name_of(evidence.header)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(".part")
            with gzip.GzipFile(partial, "wb", compresslevel=_LEVEL, mtime=0) as file:
                for line in evidence.lines():
                    file.write(line + b"\n")
            partial.replace(path)
            self._make_room()
        except OSError as exc:
            self.stats.failed += 1
            _log.warning("incident not written", path=str(path), error=exc.strerror or str(exc))
            return
        self.stats.written += 1
        self.stats.last = str(path)
        header = evidence.header
        _log.warning(
            "incident",
            venue=header.venue,
            connection=header.connection,
            kind=header.kind,
            market=header.market,
            reason=header.reason[:200],
            file=str(path),
        )

    def _make_room(self) -> None:
        # Names begin with the time: their order is that of the incidents.
        files = sorted(self._options.folder.glob(f"*{SUFFIX}"))
        for old in files[: max(0, len(files) - self._options.most_files)]:
            old.unlink(missing_ok=True)


def _name_of(header: Header) -> str:
    """Return a file name; what comes from outside is made harmless in it."""
    seconds, ns = divmod(header.at_ns, 1_000_000_000)
    at = f"{datetime.fromtimestamp(seconds, UTC):%Y%m%dT%H%M%S}.{ns // 1_000_000:03}Z"
    told = (header.connection, header.kind, header.market[:40])
    return "-".join([at, *(_UNSAFE.sub("_", text) for text in told if text)]) + SUFFIX
