"""A connection that plays a script, and time that only a test moves."""

import asyncio
from collections.abc import Callable, Sequence

from arbees_feed.errors import ConnectionLost


class ScriptedConnection:
    """Hands out the frames it is given, remembers what is sent, ends when it is told to."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self.received_ns = 7
        self.last_life_s = monotonic()
        self.close_reason = ""
        self.sent: list[bytes] = []
        self._monotonic = monotonic
        self._frames: asyncio.Queue[Sequence[bytes] | ConnectionLost] = asyncio.Queue()

    def feed(self, *frames: bytes) -> None:
        """Put frames on the wire."""
        for frame in frames:
            self._frames.put_nowait([frame])

    def feed_together(self, *frames: bytes) -> None:
        """Put frames on the wire that are read in one go."""
        self._frames.put_nowait(frames)

    def end(self, reason: str = "") -> None:
        """Close from the venue's side, after what was fed."""
        self._frames.put_nowait(ConnectionLost(f"closed: {reason}"))
        self.close_reason = reason

    async def receive(self) -> Sequence[bytes]:
        frames = await self._frames.get()
        self.last_life_s = self._monotonic()
        if isinstance(frames, ConnectionLost):
            raise frames
        return frames

    async def send(self, frame: bytes) -> None:
        self.sent.append(frame)


class Ticks:
    """A sleep that lasts until the test says so; each one moves the clock by its length."""

    def __init__(self, advance: Callable[[float], None]) -> None:
        self._advance = advance
        self._allowed = asyncio.Semaphore(0)
        self._slept = asyncio.Semaphore(0)

    async def sleep(self, seconds: float) -> None:
        self._slept.release()
        await self._allowed.acquire()
        self._advance(seconds)

    async def tick(self, count: int = 1) -> None:
        """Let *count* sleeps end, and wait until the next one has begun."""
        await self._slept.acquire()
        for _ in range(count):
            self._allowed.release()
            await self._slept.acquire()
        self._slept.release()


async def idle() -> None:
    """Let everything that can go on go on."""
    for _ in range(20):
        await asyncio.sleep(0)
