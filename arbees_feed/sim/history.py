"""What was the best price when: a market's tops over time, to judge published prices by."""

from collections import deque
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import NamedTuple

Top = tuple[int, int, int, int]

MAX_TOPS = 20_000
NS = 1_000_000_000


class TimedTop(NamedTuple):
    """A top and when it came into being, Unix ns. Prices and sizes as in `Market.top`."""

    at_ns: int
    bid: int
    bid_size: int
    ask: int
    ask_size: int

    @property
    def top(self) -> Top:
        """Return it without its time."""
        return self[1:]


class TopHistory:
    """The tops of the last *keep_s* seconds, at most 20,000, and the one before them."""

    __slots__ = ("_clock_ns", "_keep_ns", "_tops", "is_complete")

    def __init__(self, keep_s: float, clock_ns: Callable[[], int]) -> None:
        self.is_complete = True
        self._clock_ns = clock_ns
        self._keep_ns = int(keep_s * NS)
        self._tops: deque[TimedTop] = deque()

    @property
    def tops(self) -> list[TimedTop]:
        """Return what is known, oldest first."""
        return list(self._tops)

    def note(self, top: Top) -> None:
        """Take in the top as it is now, if it has changed."""
        tops = self._tops
        if tops and tops[-1].top == top:
            return
        now_ns = self._clock_ns()
        tops.append(TimedTop(now_ns, *top))
        # The first one has ended when the second begins.
        while len(tops) > MAX_TOPS or (len(tops) > 1 and tops[1].at_ns < now_ns - self._keep_ns):
            tops.popleft()
            self.is_complete = False

    def between(self, start_ns: int, end_ns: int) -> list[Top]:
        """Return every top that was true at any moment from *start_ns* to *end_ns*, oldest first.

        Raises:
            LookupError: the beginning is no longer known.
        """
        if not self.is_complete and start_ns < self._tops[0].at_ns:
            raise LookupError(f"the tops before {self._tops[0].at_ns} are forgotten")
        return [
            top.top
            for top, until_ns in _with_ends(self._tops)
            if top.at_ns <= end_ns and until_ns >= start_ns
        ]


def _with_ends(tops: Iterable[TimedTop]) -> Iterable[tuple[TimedTop, float]]:
    """Pair each top with the time at which the next one took its place."""
    known = list(tops)
    yield from ((top, later.at_ns) for top, later in pairwise(known))
    yield from ((top, float("inf")) for top in known[-1:])
