"""What the parts of one simulation share. Handed to each; there are no globals."""

import time
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from arbees_feed.sim.config import VENUES, SimConfig, Venue
from arbees_feed.sim.credentials import KeyRing
from arbees_feed.sim.past import PastBooks
from arbees_feed.sim.world import Market, World


def wall_clock_ms() -> int:
    """Return the Unix time in milliseconds."""
    return time.time_ns() // 1_000_000


def rfc3339(ms: int) -> str:
    """Return the instant as the venues write it: UTC, as many decimals as it needs."""
    text = datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f".{ms % 1000:03d}".rstrip("0") if ms % 1000 else ""
    return f"{text}{fraction}Z"


@dataclass(slots=True)
class Shared:
    """The world, its clock, its keys and its counters."""

    config: SimConfig
    world: World
    keyring: KeyRing
    spawn: Callable[[Coroutine[Any, Any, None]], None]
    later: Callable[[float, Callable[[], None]], None]
    clock_ms: Callable[[], int] = wall_clock_ms
    counters: Counter[str] = field(default_factory=Counter)
    past: dict[Venue, PastBooks] = field(init=False)
    _ahead_ms: dict[Venue, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.past = {venue: PastBooks(self.clock_ms) for venue in VENUES}

    def venue_ms(self, venue: Venue) -> int:
        """Return the time as a venue has it."""
        return self.clock_ms() + self._ahead_ms.get(venue, 0)

    def stamp(self, market: Market) -> int:
        """Return the venue time of a change that is made now."""
        now_ms = self.venue_ms(market.venue)
        # Stamps do not go back by themselves, but they do after a jump of the venue's clock.
        return now_ms if market.venue in self._ahead_ms else max(market.ts_ms, now_ms)

    def has_jumped(self, venue: Venue) -> bool:
        """Tell whether a venue's clock was ever set."""
        return venue in self._ahead_ms

    def jump(self, venue: Venue, ahead_ms: int) -> None:
        """Set a venue's clock ahead of ours, or behind it (negative)."""
        self._ahead_ms[venue] = ahead_ms
