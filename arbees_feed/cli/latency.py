"""Durations by percentile: exact to 2 %, in constant memory, over all time and lately.

The metrics' histogram has buckets that fit Prometheus (50 to 100 µs is one of them), too coarse
for a table that is read for its digits.
"""

from collections import Counter, deque
from collections.abc import Iterable

_KEPT_BITS = 6
LATELY_S = 10


class Durations:
    """Counts durations in ns, by their first six binary digits."""

    def __init__(self, counts: Iterable[Counter[int]] = ()) -> None:
        self._counts: Counter[int] = Counter()
        for other in counts:
            self._counts.update(other)

    @property
    def counts(self) -> Counter[int]:
        """How many durations had which first digits."""
        return self._counts

    def observe_ns(self, ns: int) -> None:
        """Count one duration; a negative one (clocks that disagree) counts as 0."""
        self._counts[_rounded(max(0, ns))] += 1

    def __len__(self) -> int:
        return self._counts.total()

    def percentile_ms(self, percent: float) -> float | None:
        """Return what *percent* of all stayed within, in ms, or None before the first."""
        wanted = len(self) * percent / 100
        seen = 0
        for ns in sorted(self._counts):
            seen += self._counts[ns]
            if seen >= wanted:
                return ns / 1e6
        return None


def _rounded(ns: int) -> int:
    shift = max(0, ns.bit_length() - _KEPT_BITS)
    # The middle of the bucket: an error of 1/64 at most.
    return (ns >> shift << shift) + (1 << shift >> 1)


class Latency:
    """Durations over all time, and over the last ten seconds."""

    def __init__(self) -> None:
        self.total = Durations()
        self._current = Durations()
        self._past: deque[Durations] = deque(maxlen=LATELY_S - 1)

    def observe_ns(self, ns: int) -> None:
        """Count one duration."""
        self.total.observe_ns(ns)
        self._current.observe_ns(ns)

    def next_second(self) -> None:
        """Begin a new second."""
        self._past.append(self._current)
        self._current = Durations()

    def lately(self) -> Durations:
        """Return the durations of the last ten seconds."""
        return Durations(past.counts for past in (*self._past, self._current))
