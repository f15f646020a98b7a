"""One venue's flight recorder: what happened, what was decided, and a file for each incident."""

import time
from collections.abc import Collection
from typing import Final

from arbees_feed.app.incidents import IncidentOptions, IncidentWriter
from arbees_feed.config import IncidentSettings
from arbees_feed.core.book import OrderBook
from arbees_feed.core.model import MarketId
from arbees_feed.core.venue import DecoderOptions
from arbees_feed.feed.flight import FRAME_BYTES, FRAMES, Decisions, FlightRecorder, FlightRing
from arbees_feed.feed.markets import MarketTable
from arbees_feed.feed.session import Session

BUDGET_BYTES: Final = 64 << 20
"""What the rings of all connections of a venue may hold together."""
_BOOKS: Final = 20
_LOST_AT_ONCE: Final = 100
_KINDS: Final = (
    ("gap ", "gap"),
    ("reset ", "gap"),
    ("crossed", "crossed"),
    ("malformed", "malformed"),
    ("size ", "violation"),
    ("price ", "violation"),
    ("snapshot holds", "violation"),
)


class Flights:
    """Keeps the recorders of one venue's connections; without a folder nothing is kept."""

    def __init__(self, venue: str, settings: IncidentSettings, grace_s: float) -> None:
        self.decisions = Decisions()
        self.writer: IncidentWriter | None = None
        if settings.dir is not None:
            options = IncidentOptions(settings.dir, settings.max_files, settings.max_bytes)
            self.writer = IncidentWriter(options, self.decisions)
        self._venue = venue
        self._grace_s = grace_s
        self._connections = 0
        self._lost: list[tuple[MarketId, str]] = []

    def new(
        self, connection: str, options: DecoderOptions, members: Collection[MarketId], links: int
    ) -> FlightRecorder | None:
        """Return a recorder for a new connection, one of so many."""
        if self.writer is None:
            return None
        ring = FlightRing(FRAMES, min(FRAME_BYTES, BUDGET_BYTES // max(1, links)))
        return FlightRecorder(
            self._venue, connection, options, members, ring=ring, stale_grace_s=self._grace_s
        )

    def note(self, market: MarketId, what: str, detail: str) -> None:
        """Remember a decision."""
        self.decisions.note(time.time_ns(), market, what, detail)

    def lost(self, market: MarketId, reason: str) -> None:
        """A book went out of step; the frame that tells so is not applied in full yet."""
        if self.writer is not None and len(self._lost) < _LOST_AT_ONCE:
            self._lost.append((market, reason))

    def flush(self, table: MarketTable) -> None:
        """Report the books that were lost since the last call; call between frames."""
        lost, self._lost = self._lost, []
        told: set[tuple[str, object]] = set()
        for market_id, reason in lost:
            market = table.get(market_id)
            session = market.book_link if market is not None else None
            if not isinstance(session, Session):
                continue
            kind = next((kind for start, kind in _KINDS if reason.startswith(start)), "lost")
            # A gap concerns the whole connection: it is one incident, not one of each market.
            subject = MarketId("") if kind == "gap" else market_id
            if (kind, session if kind == "gap" else subject) not in told:
                told.add((kind, session if kind == "gap" else subject))
                self.report(kind, session, subject, reason, table)

    def report(
        self, kind: str, session: Session, market: MarketId, reason: str, table: MarketTable
    ) -> None:
        """Leave a file of an incident, unless there was one like it a short while ago."""
        flight = session.flight
        if self.writer is None or flight is None:
            return
        subject = table.get(market)
        books = _books(table, [market] if market else list(flight.members)[:_BOOKS], session)
        shown = subject.quote if subject is not None else None
        self.writer.report(kind, flight, market, reason, books, shown)


def _books(
    table: MarketTable, markets: list[MarketId], session: Session
) -> list[tuple[MarketId, OrderBook, int]]:
    found = (table.get(market) for market in markets)
    return [
        (market.id, market.book, market.ts_ns)
        for market in found
        if market is not None and market.book is not None and market.book_link is session
    ]
