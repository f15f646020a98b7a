"""Delays between attempts: exponential, with full jitter, under a cap."""

from collections.abc import Callable, Iterator

import msgspec


class Backoff(msgspec.Struct, frozen=True):
    """How long to wait after each failure in a row.

    Full jitter (uniform between 0 and the exponential bound) spreads a fleet of clients best
    when a venue comes back; `floor_s` keeps one client from hammering.
    """

    first_s: float = 0.25
    factor: float = 2.0
    cap_s: float = 30.0
    floor_s: float = 0.05

    def delays(self, rand: Callable[[], float]) -> Iterator[float]:
        """Yield the waits of one row of failures; *rand* returns numbers in [0, 1)."""
        bound_s = self.first_s
        while True:
            yield max(self.floor_s, bound_s * rand())
            bound_s = min(self.cap_s, bound_s * self.factor)
