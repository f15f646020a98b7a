"""What the parts of one simulation share. Handed to each; there are no globals."""

import time
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from arbees_feed.sim.config import SimConfig
from arbees_feed.sim.credentials import KeyRing
from arbees_feed.sim.world import World


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
