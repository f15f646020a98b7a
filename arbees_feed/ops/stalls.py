"""How late the event loop is: a sleep of a tenth of a second, and how much longer it took.

Everything shares one loop, so whatever blocks it (a long computation, the garbage collector, a host
that takes the processor away) delays every price; nothing else shows that. What the loop is late by
is a lower bound of what a frame waited that arrived at the wrong moment.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from typing import Final, Protocol

from arbees_feed.core.histogram import LatencyHistogram
from arbees_feed.ops.samples import Durations, Sample

EVERY_S: Final = 0.1
STALL_S: Final = 0.1
LATELY_S: Final = 10.0


class Warner(Protocol):
    """What a stall is told to; may swallow what it was told a short while ago."""

    def warning(self, event: str, **fields: object) -> object:
        """Log one line."""


class Stalls:
    """Measures the lateness of the event loop; a service."""

    name = "loop-lag"

    def __init__(
        self,
        warner: Warner,
        *,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Be ready to measure; *monotonic* must be the clock that *sleep* goes by."""
        self.lag = LatencyHistogram()
        self.stalls = 0
        """How often the loop was more than 100 ms late."""
        self._warner = warner
        self._sleep = sleep
        self._monotonic = monotonic
        self._lately: deque[tuple[float, float]] = deque()

    async def run(self) -> None:
        """Measure until cancelled."""
        while True:
            due_s = self._monotonic() + EVERY_S
            await self._sleep(EVERY_S)
            self._observe(max(0.0, self._monotonic() - due_s))

    def _observe(self, late_s: float) -> None:
        self.lag.observe_ns(round(late_s * 1e9))
        self._lately.append((self._monotonic(), late_s))
        self._forget()
        if late_s > STALL_S:
            self.stalls += 1
            self._warner.warning("event loop stalled", ms=round(late_s * 1e3))

    def _forget(self) -> None:
        not_before_s = self._monotonic() - LATELY_S
        while self._lately and self._lately[0][0] < not_before_s:
            self._lately.popleft()

    def longest_s(self) -> float:
        """Return the longest lateness of the last 10 s, in seconds."""
        self._forget()
        return max((late_s for _, late_s in self._lately), default=0.0)

    def readings(self) -> Iterator[Sample | Durations]:
        """Yield the metrics; a provider."""
        yield Durations(
            name="loop_lag_seconds", help="How late the event loop was", histogram=self.lag
        )
        yield Sample(
            name="loop_lag_longest_seconds",
            help="The latest that the event loop was in the last 10 s",
            kind="gauge",
            value=self.longest_s(),
        )
        yield Sample(
            name="loop_stalls_total",
            help="How often the event loop was more than 100 ms late",
            kind="counter",
            value=self.stalls,
        )
