"""How long a frame takes from the venue to a subscriber."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loopback.processes import Bench, Remote, until


@dataclass(frozen=True)
class Goal:
    """How long frames may take, in ms."""

    p50_ms: float | None
    p99_ms: float

    @property
    def text(self) -> str:
        """What a table says of it."""
        p50 = f"p50 <= {self.p50_ms:g} ms, " if self.p50_ms else ""
        return f"{p50}p99 <= {self.p99_ms:g} ms"

    def is_met(self, p50_ms: float, p99_ms: float) -> bool:
        """Return whether frames were as fast."""
        return p99_ms <= self.p99_ms and (self.p50_ms is None or p50_ms <= self.p50_ms)


GOALS: Mapping[int, Goal] = {1_000: Goal(0.3, 1.0), 4_000: Goal(None, 2.0)}
"""By frames a second."""


class Delays:
    """Measures a feed that follows a venue which plays the tape `growing`.

    Each frame adds one contract to a best bid, so a size tells which frame has brought it.
    """

    def __init__(self, run: Bench, played: Remote) -> None:
        self._played = played
        self._follows = run.reader("market:*:price")
        self._marks = run.marks()
        self._sizes = {market: bid_size for market, (_, bid_size, _, _) in _tops(played)}

    def measure(self, count: int, rate: float) -> Sequence[float]:
        """Play *count* frames, one by one; return how long each took in ms, in order of size.

        From before `send()` at the venue until a subscriber has decoded a message with what the
        frame brought. Where the feed has skipped a price, that is the next one.

        Raises:
            TimeoutError: the newest price of a market did not come.
        """
        self._follows.call("take")
        self._marks.clear()
        sent = self._played.call("play", count, rate)
        self._marks.wait()
        due = []
        for market, sent_ns in sent:
            if market in self._sizes:
                self._sizes[market] += 1
                due.append((market, self._sizes[market], sent_ns))
        seen = self._seen({market for market, _, _ in due})
        delays = []
        for market, size, sent_ns in due:
            sizes, times_ns = seen[market]
            delays.append((times_ns[bisect_left(sizes, size)] - sent_ns) / 1e6)
        return sorted(delays)

    def _seen(self, markets: set[str]) -> dict[str, tuple[list[float], list[int]]]:
        """Return sizes and times of the messages of each market, up to its newest size."""
        found: dict[str, tuple[list[float], list[int]]] = {market: ([], []) for market in markets}

        def are_complete() -> bool:
            for market, size, _, _, at_ns in self._follows.call("take"):
                # A message without a quote (`stale`) has brought nothing.
                if market in found and size:
                    sizes, times_ns = found[market]
                    sizes.append(size)
                    times_ns.append(at_ns)
            return all(
                sizes and sizes[-1] >= self._sizes[market] for market, (sizes, _) in found.items()
            )

        until(are_complete, 10.0, 0.1)
        return found


def _tops(played: Remote) -> list[tuple[str, tuple[float, float, float, float]]]:
    return list(played.call("tops").items())
