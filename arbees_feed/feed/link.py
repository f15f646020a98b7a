"""One connection's place: its markets stay while sockets and decoders come and go.

A connection that is old, or that is suspected of bringing nothing any more, is relieved: another
one is opened beside it, fills its books, and takes over market by market (handover.py). Only then
is the old one closed.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

import msgspec
import structlog

from arbees_feed.core.model import MarketId
from arbees_feed.core.venue import DecoderOptions, DecoderStats, VenueSpec
from arbees_feed.errors import ConnectionLost, FeedError
from arbees_feed.feed.flight import FlightRecorder
from arbees_feed.feed.handover import Handover
from arbees_feed.feed.markets import MarketTable
from arbees_feed.feed.sentinels import Sentinels
from arbees_feed.feed.session import Connection, Session, first
from arbees_feed.feed.stages import Stages

_log = structlog.get_logger("arbees_feed.feed")

BUSY_MARKETS: Final = 20
STEP_S: Final = 0.05
OVERLAP_S: Final = 1.0
"""Two connections live side by side for so long at least: what is under way on one arrives."""
SPEAKS_S: Final = 5.0
"""A new connection that has nothing to say for so long is taken to be in step with a quiet one."""
HANDOVER_S: Final = 20.0
"""A relief that is not ready after so long is given up."""
RELIEF_AGAIN_S: Final = 10.0
"""A place is relieved at most once in so long."""

Dial = Callable[[], AbstractAsyncContextManager[Connection]]


class Owner(Protocol):
    """What a place needs of its venue's feed."""

    spec: VenueSpec
    table: MarketTable
    dial: Dial
    sentinels: Sentinels
    stages: Stages

    def connected(self) -> None:
        """A connection is open."""

    def lost(self, link: "VenueLink", session: Session, reason: str) -> None:
        """A connection has ended, and no other has taken its place."""

    def closed(self, stats: DecoderStats) -> None:
        """A connection is no more; this is what it counted."""

    def new_flight(self, link: "VenueLink", options: DecoderOptions) -> FlightRecorder | None:
        """Return a recorder for a new connection, or None if nothing is kept."""

    def silent(self, link: "VenueLink", session: Session) -> None:
        """A connection is silent for unusually long."""

    def watched(self, link: "VenueLink", session: Session, now_s: float) -> None:
        """A connection was looked at."""


class Relief(msgspec.Struct):
    """A connection that is to take over."""

    session: Session
    handover: Handover
    done: bool = False


class VenueLink:
    """A place for one connection."""

    def __init__(self, feed: Owner, number: int, options: DecoderOptions, capacity: int) -> None:
        self.name = f"{feed.spec.name}-{number}"
        self.markets: dict[MarketId, None] = {}
        self.session: Session | None = None
        self.opened_s = 0.0
        self.capacity = capacity
        self.reliefs = 0
        """How often one connection took over from another without a hole."""
        self._feed = feed
        self._options = options
        self._group: asyncio.TaskGroup | None = None
        self._task: asyncio.Task[None] | None = None
        self._relief_task: asyncio.Task[None] | None = None
        self._relief: Relief | None = None
        self._replaced: Session | None = None
        self._relieving = False
        self._relief_due_s = 0.0
        self._sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def run(self) -> None:
        """Hold a connection, and those that take over from it, until the last one ends.

        Raises:
            FeedError: always; what ended it.
        """
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                self._task = group.create_task(self._hold(), name=self.name)
        except* FeedError as failed:
            raise first(failed) from None
        finally:
            self._group = self._task = self._relief = None
            self._relieving = False

    async def _hold(self) -> None:
        feed = self._feed
        async with feed.dial() as connection:
            self.session = session = self._new_session(connection)
            self.opened_s = time.monotonic()
            feed.connected()
            await self._work(session)

    async def _work(self, session: Session) -> None:
        """Work until the connection ends; a relief that stands ready takes over then."""
        reason = "stopped"
        try:
            await session.run(list(self.markets))
        except FeedError as exc:
            reason = str(exc)
            if session is not self._replaced and not self._take_over(session):
                raise
        finally:
            self._feed.closed(session.stats)
            if self.session is session:
                self._feed.lost(self, session, reason)
                self.session = None
            session.dismantle()

    def _new_session(self, connection: Connection) -> Session:
        feed = self._feed
        session = Session(
            connection,
            feed.spec.new_decoder(self._options),
            feed.table,
            silence_timeout_s=feed.spec.silence_timeout_s,
            watcher=self,
        )
        session.flight = feed.new_flight(self, self._options)
        session.stages = feed.stages
        return session

    # -- make before break -------------------------------------------------------------------------

    def relieve(self, reason: str, *, planned: bool = False) -> bool:
        """Open a connection to take over from the present one; False: not now."""
        now_s = time.monotonic()
        ready = self._group is not None and self.session is not None and not self._relieving
        if self._group is None or not ready or now_s < self._relief_due_s:
            return False
        self._relief_due_s = now_s + RELIEF_AGAIN_S
        self._relieving = True
        _log.info("opening a connection to take over", connection=self.name, reason=reason)
        self._relief_task = self._group.create_task(
            self._relieve(planned), name=f"{self.name}-relief"
        )
        return True

    async def _relieve(self, planned: bool) -> None:  # noqa: FBT001
        feed, old = self._feed, self.session
        relief: Relief | None = None
        try:
            async with feed.dial() as connection:
                session = self._new_session(connection)
                if old is None or self.session is not old:
                    return
                feed.connected()
                handover = feed.table.handovers.begin(old, session, planned=planned)
                relief = Relief(session, handover)
                self._relief = relief
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._change_over(relief), name="handover")
                    await self._work(session)
        except* FeedError as failed:
            if relief is not None and relief.done:
                raise
            self._abandon(relief, str(first(failed)))
        finally:
            if relief is None or not relief.done:
                self._relieving = False

    async def _change_over(self, relief: Relief) -> None:
        """Let market by market change over; then the old connection has done its work."""
        table = self._feed.table
        began_s = time.monotonic()
        while True:
            await self._sleep(STEP_S)
            if relief.done:
                return
            now_s = time.monotonic()
            all_ready = table.handovers.advance(relief.handover, now_s, time.time_ns())
            overlap_s = now_s - began_s
            if all_ready and self._overlapped(relief, overlap_s):
                self._finish(relief)
            elif overlap_s > HANDOVER_S:
                self._finish_late(relief)

    def _overlapped(self, relief: Relief, overlap_s: float) -> bool:
        """Tell whether what was under way on the old connection has arrived."""
        if not relief.session.has_spoken:
            return overlap_s >= SPEAKS_S
        return not relief.handover.planned or overlap_s >= OVERLAP_S

    def _finish_late(self, relief: Relief) -> None:
        """Time is up: a few books that never come do not hold up the rest."""
        handover = relief.handover
        if len(handover.waiting) * 10 > handover.size or not relief.session.has_spoken:
            raise ConnectionLost(f"{len(handover.waiting)} books did not change over")
        self._finish(relief)

    def _take_over(self, session: Session) -> bool:
        """Put the relief in the place of a connection that has failed, if there is one."""
        relief = self._relief
        if relief is None or self.session is not session or relief.session is session:
            return False
        self._finish(relief)
        return True

    def _finish(self, relief: Relief) -> None:
        feed, old, old_task = self._feed, self.session, self._task
        has_failed = old_task is asyncio.current_task()
        self._task = self._relief_task
        relief.done, self._replaced = True, old
        now_ns = time.time_ns()
        sound = relief.handover.planned and not has_failed
        untold = feed.table.handovers.finish(relief.handover, now_ns, old_is_sound=sound)
        feed.table.apply(untold, relief.session, now_ns)
        self.session, self.opened_s = relief.session, time.monotonic()
        self.reliefs += not has_failed
        self._relief, self._relieving = None, False
        if old is not None:
            feed.table.lose(old, "another connection has taken over")
        _log.info("another connection has taken over", connection=self.name)
        if old_task is not None and not has_failed:
            old_task.cancel()

    def _abandon(self, relief: Relief | None, reason: str) -> None:
        _log.warning("no other connection takes over", connection=self.name, error=reason)
        self._relief = None
        if relief is not None:
            table = self._feed.table
            table.handovers.abandon(relief.handover)
            table.lose(relief.session, reason)

    # -- what a session asks of its watcher --------------------------------------------------------

    def is_busy(self) -> bool:
        """Tell whether so many markets are on this connection that some would always move."""
        carried = len(self._feed.table) if self._options.tickers else len(self.markets)
        return carried >= BUSY_MARKETS

    def ask(self, session: Session) -> None:
        """Find out whether a silent connection is quiet."""
        if session is self.session:
            self._feed.silent(self, session)

    def tick(self, session: Session, now_s: float) -> None:
        """Look at a connection, a few times a second."""
        if session is self.session:
            self._feed.watched(self, session, now_s)

    def sample(self, frame: bytes, *, opening: bool) -> None:
        """Look at a frame in full."""
        self._feed.sentinels.look(frame, opening=opening)

    # -- which markets -----------------------------------------------------------------------------

    def full(self, refused: Iterable[MarketId]) -> None:
        """The venue takes no more on this connection than it has without these."""
        for market in refused:
            self.markets.pop(market, None)
        self.capacity = len(self.markets)

    def add(self, markets: Sequence[MarketId]) -> None:
        """Carry further markets from now on."""
        self.markets.update(dict.fromkeys(markets))
        for session in self.sessions():
            session.add(markets)

    def remove(self, markets: Iterable[MarketId]) -> None:
        """Carry these no more."""
        leaving = [market for market in markets if market in self.markets]
        for market in leaving:
            del self.markets[market]
        for session in self.sessions() if leaving else ():
            session.remove(leaving)

    def sessions(self) -> list[Session]:
        """Return the present connection, and the one that is about to take over."""
        relief = self._relief
        both = (self.session, relief.session if relief is not None else None)
        return [session for session in both if session is not None]
