"""Rates and percentiles of the last minute, from numbers that only ever grow. Pure.

Counters and histograms count from the start of the process. Whoever looks at them now and then can
tell what happened in between; nothing is kept where they are counted.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from arbees_feed.core.histogram import LatencyHistogram

SPAN_S: Final = 60.0
HOLE_S: Final = 10.0
"""Looks that are further apart are not compared: nobody asked in between."""
RATE_S: Final = 1.5
"""A rate is taken over so long at least, if there is so much."""

Buckets = Sequence[tuple[float, int]]
"""(upper bound in s, how many up to it), the last bound infinite"""


class Look(msgspec.Struct, frozen=True):
    """What was seen at one time."""

    at_s: float
    counters: Mapping[str, int]
    histograms: Mapping[str, Buckets]


class Percentiles(msgspec.Struct, frozen=True):
    """Durations in seconds; None: there was nothing to time."""

    p50_s: float | None
    p95_s: float | None
    p99_s: float | None
    count: int
    window_s: float
    """Over so long; 0.0: since the start."""


class Window:
    """The looks of the last minute; ask for rates and percentiles after each look."""

    def __init__(self) -> None:
        self._looks: deque[Look] = deque()

    def look(
        self, now_s: float, counters: Mapping[str, int], histograms: Mapping[str, LatencyHistogram]
    ) -> None:
        """Take the numbers as they are now."""
        looks = self._looks
        if looks and now_s - looks[-1].at_s > HOLE_S:
            looks.clear()
        while looks and now_s - looks[0].at_s > SPAN_S:
            looks.popleft()
        buckets = {name: tuple(of.buckets_s()) for name, of in histograms.items()}
        looks.append(Look(now_s, counters, buckets))

    def rate(self, name: str) -> float | None:
        """Return how much a counter has grown a second of late; None before the second look."""
        newest = self._looks[-1]
        past = [look for look in self._looks if look is not newest and name in look.counters]
        if not past:
            return None
        old = next((look for look in reversed(past) if newest.at_s - look.at_s >= RATE_S), past[0])
        passed_s = newest.at_s - old.at_s
        return (newest.counters[name] - old.counters[name]) / passed_s if passed_s else None

    def percentiles(self, name: str) -> Percentiles:
        """Return those of the last minute; of all time before the second look."""
        oldest, newest = self._looks[0], self._looks[-1]
        buckets, window_s = newest.histograms[name], newest.at_s - oldest.at_s
        if oldest is not newest and name in oldest.histograms:
            before = oldest.histograms[name]
            buckets = [
                (bound_s, count - then)
                for (bound_s, count), (_, then) in zip(buckets, before, strict=True)
            ]
        return Percentiles(
            p50_s=percentile_s(buckets, 50),
            p95_s=percentile_s(buckets, 95),
            p99_s=percentile_s(buckets, 99),
            count=buckets[-1][1],
            window_s=round(window_s, 1),
        )


def percentile_s(buckets: Buckets, percent: float) -> float | None:
    """Return the duration that *percent* of all stayed within, exact to the width of a bucket."""
    rank = buckets[-1][1] * percent / 100
    below, lower_s = 0, 0.0
    for bound_s, count in buckets:
        if count > below and count >= rank:
            if bound_s == float("inf"):
                return lower_s
            share = (rank - below) / (count - below)
            return lower_s + share * (bound_s - lower_s)
        below, lower_s = count, bound_s
    return None
