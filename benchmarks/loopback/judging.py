"""What a reader knew when, against what was true at the venue. Pure."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

Top = tuple[int, int, int, int]
"""Bid, its size, ask, its size; prices in 1/10,000 dollar, sizes in 1/1,000,000 contract."""

SHORTEST_NS = 1_000_000
"""A top that lasted less is a step within one change (or beside one), and is not counted."""


class State(NamedTuple):
    """A top of book of the venue and when it came into being, Unix ns."""

    at_ns: int
    top: Top


class Seen(NamedTuple):
    """A top as a reader had it; *read_ns*: when the venue told it, None if that is not known."""

    top: Top
    seen_ns: int
    read_ns: int | None = None


@dataclass
class Judgement:
    """How one way of reading did, over all markets."""

    delays_ms: list[float] = field(default_factory=list)
    missed: int = 0
    unknown: int = 0
    stale_ns: int = 0
    total_ns: int = 0

    @property
    def changes(self) -> int:
        """How many changes there were to be seen."""
        return len(self.delays_ms)

    @property
    def stale_share(self) -> float:
        """Share of the time in which a reader's price was not the venue's."""
        return self.stale_ns / self.total_ns if self.total_ns else 0.0

    def percentile(self, percent: float) -> float:
        """Return the delay that so many per cent of the changes did not exceed, in ms."""
        ordered = sorted(self.delays_ms)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def recognised(states: Sequence[State], seen: Sequence[Seen]) -> Iterator[tuple[int, int | None]]:
    """Yield (when, which state) for everything seen; None for what was never true.

    What was polled is the newest such state at the time of reading. What was streamed came in
    order, so it is the first such state that is not before the last one: never a younger one than
    it was, so that delays are not flattered.
    """
    times = [state.at_ns for state in states]
    places: dict[Top, list[int]] = {}
    for number, state in enumerate(states):
        places.setdefault(state.top, []).append(number)
    newest = 0
    for top, seen_ns, read_ns in seen:
        known = places.get(top, [])
        if read_ns is None:
            at = bisect_left(known, newest)
        else:
            at = bisect_right(known, bisect_right(times, read_ns) - 1) - 1
        if 0 <= at < len(known):
            newest = max(newest, known[at])
            yield seen_ns, newest
        else:
            yield seen_ns, None


def judge(
    into: Judgement, states: Sequence[State], seen: Sequence[Seen], window: tuple[int, int]
) -> None:
    """Add one market: its changes within *window* (Unix ns), and how soon they were known."""
    told = list(recognised(states, seen))
    into.unknown += sum(number is None for _, number in told)
    known = [(at_ns, number) for at_ns, number in told if number is not None]
    numbers, exactly = [number for _, number in known], {number for _, number in known}
    last_ns = max(window[1], known[-1][0] if known else 0)
    for number in _counted(states, window):
        first = bisect_left(numbers, number)
        seen_ns = known[first][0] if first < len(known) else last_ns
        into.delays_ms.append((seen_ns - states[number].at_ns) / 1e6)
        into.missed += number not in exactly
    into.stale_ns += _stale_ns(states, known, window)
    into.total_ns += window[1] - window[0]


def _counted(states: Sequence[State], window: tuple[int, int]) -> Iterator[int]:
    for number, (state, later) in enumerate(pairwise(states)):
        lasted_ns = later.at_ns - state.at_ns
        if number and window[0] <= state.at_ns < window[1] and lasted_ns >= SHORTEST_NS:
            yield number


def _stale_ns(
    states: Sequence[State], known: Iterable[tuple[int, int]], window: tuple[int, int]
) -> int:
    """Return for how long what the reader had was not what was true."""
    events = [(state.at_ns, 0, number) for number, state in enumerate(states)]
    events += [(at_ns, 1, number) for at_ns, number in known]
    events.sort()
    true = held = 0
    stale, since_ns = 0, window[0]
    for at_ns, is_reader, number in [*events, (window[1], 0, len(states) - 1)]:
        now_ns = min(max(at_ns, window[0]), window[1])
        if states[true].top != states[held].top:
            stale += now_ns - since_ns
        since_ns = now_ns
        if is_reader:
            held = number
        else:
            true = number
    return stale
