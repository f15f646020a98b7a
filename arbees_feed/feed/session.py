"""One connection, from its first subscription to its last frame.

From `receive` to the outlets nothing awaits: one frame is handled whole before the next is looked
at, and there is no lock because there is nothing to race. What a decoder learnt dies with it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from arbees_feed.core.events import Event
from arbees_feed.core.model import MarketId
from arbees_feed.core.venue import Decoder
from arbees_feed.errors import ConnectionLost, FeedError
from arbees_feed.feed.markets import MarketTable

TICK_S = 0.25
DATA_TIMEOUT_S = 60.0
"""A busy connection without data for so long is made anew; a pong proves the socket only."""


class Connection(Protocol):
    """What a session needs of a WebSocket."""

    received_ns: int
    last_life_s: float

    async def receive(self) -> bytes:
        """Return the next frame, or raise ConnectionLost."""

    async def send(self, frame: bytes) -> None:
        """Send a text frame, or raise ConnectionLost."""

    @property
    def close_reason(self) -> str:
        """The reason of the venue's close frame."""


class Session:
    """Drives one decoder over one connection, into the table of markets."""

    def __init__(
        self,
        connection: Connection,
        decoder: Decoder,
        table: MarketTable,
        *,
        silence_timeout_s: float,
        is_busy: Callable[[], bool] = lambda: False,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection = connection
        self._decoder = decoder
        self._table = table
        self._silence_timeout_s = silence_timeout_s
        self._is_busy = is_busy
        self._last_data_s = monotonic()
        self._events_seen = 0
        self._events = 0
        self._sleep = sleep
        self._monotonic = monotonic

    async def run(self, markets: Sequence[MarketId]) -> None:
        """Subscribe and work until the connection ends.

        Raises:
            FeedError: always; ConnectionLost or ProtocolViolation.
        """
        self._decoder.tick(self._monotonic())
        self._decoder.start(markets)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._watch(), name="watch")
                await self._receive()
        except* FeedError as failed:
            self._apply(self._decoder.ended(self._connection.close_reason))
            raise _first(failed) from None

    async def _receive(self) -> None:
        connection, decoder = self._connection, self._decoder
        receive, decode = connection.receive, decoder.receive
        apply, outbox = self._table.apply, decoder.outbox
        await self._flush()
        while True:
            frame = await receive()
            events = decode(frame)
            if events:
                self._events += 1
                apply(events, self, connection.received_ns)
            if outbox:
                await self._flush()

    async def _watch(self) -> None:
        """Do what is due by time, and end a connection that has fallen silent."""
        while True:
            await self._sleep(TICK_S)
            now_s = self._monotonic()
            silent_s = now_s - self._connection.last_life_s
            if silent_s > self._silence_timeout_s:
                raise ConnectionLost(f"no frame of any kind in {silent_s:.0f} s")
            self._check_data(now_s)
            self._apply(self._decoder.tick(now_s))
            await self._flush()

    def _check_data(self, now_s: float) -> None:
        """End a busy connection that lives (pings, PONG) and brings nothing: it may be frozen."""
        if self._events != self._events_seen or not self._is_busy():
            self._events_seen, self._last_data_s = self._events, now_s
        elif now_s - self._last_data_s > DATA_TIMEOUT_S:
            raise ConnectionLost(f"alive, but no data in {now_s - self._last_data_s:.0f} s")

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
        self._decoder.resync(market, reason)

    def add(self, markets: Sequence[MarketId]) -> None:
        """Subscribe further markets, within a tick."""
        self._decoder.add(markets)

    def remove(self, markets: Sequence[MarketId]) -> None:
        """Unsubscribe markets, within a tick."""
        self._decoder.remove(markets)


def _first(group: BaseExceptionGroup[FeedError]) -> FeedError:
    first = group.exceptions[0]
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first
