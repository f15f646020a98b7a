"""One connection, from its first subscription to its last frame.

From `receive` to the outlets nothing awaits: one frame is handled whole before the next is looked
at, and there is no lock because there is nothing to race. What a decoder learnt dies with it.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from arbees_feed.core.book import OrderBook
from arbees_feed.core.drift import OPENING
from arbees_feed.core.events import Event, LevelChanged, LevelSet, Notice, TopOfBook, TopTold
from arbees_feed.core.model import Liveness, MarketId
from arbees_feed.core.venue import Decoder
from arbees_feed.errors import ConnectionLost, FeedError
from arbees_feed.feed.age import MessageAge
from arbees_feed.feed.flight import TICK, FlightRecorder
from arbees_feed.feed.levels import Keep, Shortcut
from arbees_feed.feed.markets import MarketTable
from arbees_feed.feed.pulse import Pulse
from arbees_feed.feed.stages import Stages

TICK_S = 0.25
FIRST_FRAME_S = 10.0
"""A venue answers a subscription, or a ping, within a second or two."""
_SAMPLED = 0xFF
"""One frame in so many is looked at in full, whatever it says, and timed."""
_RECENT = 20
_TIMED = (LevelChanged, LevelSet, TopTold, TopOfBook)
"""Events whose time is that of a change; a snapshot's may be hours old."""


class Connection(Protocol):
    """What a session needs of a WebSocket."""

    received_ns: int
    last_life_s: float

    async def receive(self) -> Sequence[bytes]:
        """Return the frames that come next, one at least, or raise ConnectionLost."""

    async def send(self, frame: bytes) -> None:
        """Send a text frame, or raise ConnectionLost."""

    @property
    def close_reason(self) -> str:
        """The reason of the venue's close frame."""


class Watcher(Protocol):
    """Who looks into a silence."""

    def is_busy(self) -> bool:
        """Tell whether so much is on this connection that something would always move."""

    def ask(self, session: "Session") -> None:
        """Ask the venue whether it is quiet."""

    def tick(self, session: "Session", now_s: float) -> None:
        """Look at the connection, a few times a second."""

    def sample(self, frame: bytes, *, opening: bool) -> None:
        """Look at a frame in full; *opening*: it is among the first of a connection."""


class _Nobody:
    def is_busy(self) -> bool:
        return False

    def ask(self, session: "Session") -> None:
        del session

    def tick(self, session: "Session", now_s: float) -> None:
        del session, now_s

    def sample(self, frame: bytes, *, opening: bool) -> None:
        del frame, opening


class Session:
    """Drives one decoder over one connection, into the table of markets."""

    def __init__(
        self,
        connection: Connection,
        decoder: Decoder,
        table: MarketTable,
        *,
        silence_timeout_s: float,
        watcher: Watcher = _Nobody(),  # noqa: B008 - keeps nothing
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection = connection
        self._decoder = decoder
        self.stats = decoder.stats
        """What the decoder counted."""
        self._is_over = False
        self._table = table
        self._silence_timeout_s = silence_timeout_s
        self._born_s = connection.last_life_s
        self._asked = False
        self._watcher = watcher
        self.flight: FlightRecorder | None = None
        """Keeps what comes, if the owner has set it before the start."""
        self.stages = Stages()
        """The owner may set those that all connections share."""
        self._sleep = sleep
        self._monotonic = monotonic
        self.pulse = Pulse(monotonic())
        self.age = MessageAge()
        self.recent: deque[MarketId] = deque(maxlen=_RECENT)
        """Markets whose ticker came last when looked at, a few times a second; the newest last."""
        self.answers = 0
        """Answers to questions of ours among the frames; they are no sign of traffic."""
        self._data = self._data_seen = self._count = 0
        self._newest: Sequence[Event] = ()
        """What came last, unless it took the short cut."""
        self._shortcut: Shortcut | None = None
        self._plain = True
        """Whether the next frame may be a plain change of a level."""
        self._failure = ""

    async def run(self, markets: Sequence[MarketId]) -> None:
        """Subscribe and work until the connection ends.

        Raises:
            FeedError: always; ConnectionLost or ProtocolViolation.
        """
        self._decoder.tick(self._monotonic())
        self._decoder.start(markets)
        self._asked = bool(self._decoder.outbox)
        error: FeedError | None = None
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._watch(), name="watch")
                await self._receive()
        except* FeedError as failed:
            self._apply(self._decoder.ended(self._connection.close_reason))
            error = first(failed)
        try:
            raise error or ConnectionLost("ended without a reason")
        finally:
            error = None  # no cycle of it, its traceback and this frame, which may hold a big one

    async def _receive(self) -> None:
        connection, outbox = self._connection, self._decoder.outbox
        receive = connection.receive
        keep = self.flight.ring.append if self.flight is not None else None
        self._shortcut = self._table.levels.shortcut(self._decoder.deltas, self, keep)
        await self._flush()
        while True:
            frames = await receive()
            self._take(frames, connection.received_ns, keep)
            if outbox:
                await self._flush()

    def _take(self, frames: Sequence[bytes], received_ns: int, keep: Keep | None) -> None:
        """Handle the frames that a wake-up brought, one after the other."""
        decode, apply = self._decoder.receive, self._table.apply
        at, total = 0, len(frames)
        while at < total:
            if self._plain:
                at += self._take_changes(frames, at, received_ns)
                if at >= total:
                    return
            frame = frames[at]
            at += 1
            self._count = count = self._count + 1
            if keep is not None:
                keep((received_ns, frame))
            if count <= OPENING or not count & _SAMPLED:
                self._watcher.sample(frame, opening=count <= OPENING)
                self._take_timed(frame, received_ns)
                continue
            events = decode(frame)
            if events:
                self._note(events)
                apply(events, self, received_ns)

    def _take_changes(self, frames: Sequence[bytes], at: int, received_ns: int) -> int:
        """Handle plain changes from *at* up to the next frame to be sampled; return how many."""
        if self._shortcut is None or self._count < OPENING:
            return 0
        last = at + _SAMPLED - (self._count & _SAMPLED)
        done = self._shortcut.apply(frames, at, last, received_ns)
        if done:
            self._count += done
            self._data += done
            self.stats.frames += done
            self._newest = ()
        return done

    def _note(self, events: Sequence[Event]) -> None:
        """Remember what came; after a change of a level the next frame may be another."""
        kind = type(events[0])
        self._plain = kind is LevelChanged
        if kind is not Notice:
            self._data += 1
            self._newest = events

    def _take_timed(self, frame: bytes, received_ns: int) -> None:
        """Do with a frame what is done with any, and note how long it took."""
        began_ns = time.perf_counter_ns()
        events = self._decoder.receive(frame)
        decoded_ns = time.perf_counter_ns()
        self.stages.decode.observe_ns(decoded_ns - began_ns)
        if not events:
            return
        self._note(events)
        self._table.apply(events, self, received_ns)
        self.stages.apply.observe_ns(time.perf_counter_ns() - decoded_ns)

    async def _watch(self) -> None:
        """Do what is due by time, and end a connection that has fallen silent."""
        while True:
            await self._sleep(TICK_S)
            now_s = self._monotonic()
            silent_s = now_s - self._connection.last_life_s
            if silent_s > self._silence_allowed_s:
                raise ConnectionLost(f"no frame of any kind in {silent_s:.0f} s")
            self._feel_pulse(now_s)
            self._watcher.tick(self, now_s)
            if self._failure:
                raise ConnectionLost(self._failure)
            self._tick(now_s)
            await self._flush()

    def _tick(self, now_s: float) -> None:
        if self.flight is not None:
            self.flight.ring.append((time.time_ns(), TICK))
            self.flight.ring.trim()
        self._apply(self._decoder.tick(now_s))

    def _feel_pulse(self, now_s: float) -> None:
        """Look into a silence: pings and PONG prove the socket, and nothing of the data."""
        pulse, data = self.pulse, self._data - self.answers
        if data != self._data_seen:
            self._data_seen = data
            pulse.data(now_s)
            self._sample(now_s)
        elif pulse.should_ask(now_s):
            self._watcher.ask(self)
        if pulse.is_unproven(now_s) and self._watcher.is_busy():
            raise ConnectionLost(f"alive, but no data in {now_s - pulse.proved_s:.0f} s")

    def _sample(self, now_s: float) -> None:
        event = self._newest[-1] if self._newest else None
        if isinstance(event, TopOfBook):
            self.recent.append(event.market)
        ts_ns = event.ts_ns if isinstance(event, _TIMED) else 0
        if event is None and self._shortcut is not None:
            ts_ns = self._shortcut.deltas.ts_ns
        if ts_ns:
            age_ns = self._connection.received_ns - ts_ns
            self.age.add(age_ns / 1e6, now_s)
            self.stages.arrival.observe_ns(age_ns)

    @property
    def has_spoken(self) -> bool:
        """Whether any data has come."""
        return self._data > 0

    @property
    def _silence_allowed_s(self) -> float:
        """How long no frame of any kind may come; less for the answer to what we asked first."""
        alive = self.stats.frames or self._connection.last_life_s != self._born_s
        if alive or not self._asked:
            return self._silence_timeout_s
        return min(self._silence_timeout_s, FIRST_FRAME_S)

    def dismantle(self) -> None:
        """The connection is no more: let go what its decoder has learnt.

        A decoder knows its own methods by kind of frame, so it is in a cycle with itself, and the
        garbage collector comes seldom.
        """
        self._is_over = True
        self._shortcut = None
        vars(self._decoder).clear()

    def liveness(self) -> Liveness:
        """Return live, quiet or suspect."""
        return self.pulse.state(self._monotonic())

    @property
    def is_failing(self) -> bool:
        """Whether the connection is about to be ended."""
        return bool(self._failure)

    def fail(self, reason: str) -> None:
        """End the connection at the next tick: it has been shown to be of no use."""
        self._failure = self._failure or reason

    def _apply(self, events: Sequence[Event]) -> None:
        if events:
            self._table.apply(events, self, time.time_ns())

    async def _flush(self) -> None:
        outbox = self._decoder.outbox
        while outbox:
            await self._connection.send(outbox.pop(0))

    # -- what others ask of this connection --------------------------------------------------------

    def resync(self, market: MarketId, reason: str) -> None:
        """Ask the venue for a fresh snapshot of one market, within a tick."""
        if not self._is_over:
            self._decoder.resync(market, reason)

    def add(self, markets: Sequence[MarketId]) -> None:
        """Subscribe further markets, within a tick."""
        if not self._is_over:
            self._decoder.add(markets)

    def remove(self, markets: Sequence[MarketId]) -> None:
        """Unsubscribe markets, within a tick."""
        if not self._is_over:
            self._decoder.remove(markets)

    def probe(self, markets: Sequence[MarketId]) -> bool:
        """Ask the venue for its books, to compare, within a tick; False: ask over REST."""
        return self._is_over or self._decoder.probe(markets)

    def verify(self, market: MarketId, book: OrderBook) -> bool | None:
        """Judge a book by the venue's own checksum, if it has one."""
        return None if self._is_over else self._decoder.verify(market, book)


def first(group: BaseExceptionGroup[FeedError]) -> FeedError:
    """Return the first error of a group of groups."""
    error = group.exceptions[0]
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
