"""A histogram of durations that is cheap enough to feed with every frame.

Plain integers in fixed buckets: one binary search and two additions an observation. Rejected:
prometheus_client's Histogram (a lock and a search through the buckets one by one).
"""

from bisect import bisect_left
from collections.abc import Iterator

_MICROSECOND = 1_000
_MILLISECOND = 1_000_000
_SECOND = 1_000_000_000

BOUNDS_NS = (
    *(us * _MICROSECOND for us in (1, 2, 5, 10, 25, 50, 100, 250, 500)),
    *(ms * _MILLISECOND for ms in (1, 2, 5, 10, 25, 50, 100, 250, 500)),
    *(s * _SECOND for s in (1, 2, 5, 10)),
)
"""Upper bounds of the buckets (a value equal to a bound lies below it); one more has no bound."""


class LatencyHistogram:
    """Counts durations by bucket; values are in ns, answers in seconds."""

    __slots__ = ("_counts", "max_ns", "sum_ns")

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS_NS) + 1)
        self.sum_ns = 0
        self.max_ns = 0

    def observe_ns(self, ns: int) -> None:
        """Count one duration; a negative one (clocks that disagree) counts as 0."""
        # The running sum must never fall: Prometheus would take that for a restart.
        if ns < 0:  # noqa: PLR1730 - max() doubles the cost of this method
            ns = 0
        self._counts[bisect_left(BOUNDS_NS, ns)] += 1
        self.sum_ns += ns
        if ns > self.max_ns:  # noqa: PLR1730
            self.max_ns = ns

    @property
    def count(self) -> int:
        """How many durations were observed."""
        return sum(self._counts)

    def buckets_s(self) -> Iterator[tuple[float, int]]:
        """Yield (upper bound in s, observations up to it), the last bound being infinite."""
        below = 0
        for bound_ns, count in zip(BOUNDS_NS, self._counts, strict=False):
            below += count
            yield bound_ns / _SECOND, below
        yield float("inf"), below + self._counts[-1]

    def percentile_s(self, percent: float) -> float | None:
        """Return the duration that *percent* of all stayed within, or None before the first.

        Exact to the width of a bucket, within which it is interpolated; never above the maximum.
        """
        rank = self.count * percent / 100
        below, lower_ns = 0, 0
        for bound_ns, count in zip((*BOUNDS_NS, self.max_ns), self._counts, strict=True):
            if count and below + count >= rank:
                share = max(0.0, rank - below) / count
                return min(lower_ns + share * (bound_ns - lower_ns), self.max_ns) / _SECOND
            below, lower_ns = below + count, bound_ns
        return None
