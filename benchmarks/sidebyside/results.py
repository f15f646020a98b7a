"""What was measured of each client."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Round:
    """One play: CPU in µs a frame, frames a second, and events a frame where the client ends."""

    cpu_us: float
    per_s: float
    events: float


@dataclass(frozen=True)
class Pace:
    """One play at a rate: CPU in µs a frame, and percentiles of the delay in ms."""

    cpu_us: float
    p50_ms: float
    p99_ms: float
    p999_ms: float


@dataclass
class Result:
    """A client in a contest. *reason* is why there are no figures, or no more."""

    contest: str
    name: str
    version: str
    python: str
    ends_at: str
    checks: str
    rounds: list[Round] = field(default_factory=list)
    rss_mb: float = 0.0
    paces: list[Pace] = field(default_factory=list)
    trouble: str = ""
    """What the client itself complained of meanwhile."""
    reason: str = ""

    def told(self) -> dict[str, Any]:
        """Return everything for machines; `median` and `paced_median` are empty without figures."""
        middles = {"median": middle(self.rounds), "paced_median": middle(self.paces)}
        return asdict(self) | middles


def middle(plays: Sequence[Round] | Sequence[Pace]) -> dict[str, float]:
    """Return the median of each figure."""
    each = [asdict(play) for play in plays]
    return {name: median(play[name] for play in each) for name in (each[0] if each else ())}
