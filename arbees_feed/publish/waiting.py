"""Markets whose newest price waits, because Redis is away, far behind or refuses it."""

import time
from collections.abc import Callable, Iterator
from itertools import islice

from arbees_feed.publish.outlet import Outlet

BEHIND_S = 2.0
"""A price that waits for so long: what readers have of its market is not to be believed.

So no heartbeat goes out then: it would say that it is.
"""


class Waiting:
    """Outlets in the order in which their markets changed first, and since when each waits."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._since_s: dict[Outlet, float] = {}

    def __len__(self) -> int:
        return len(self._since_s)

    def __contains__(self, outlet: object) -> bool:
        return outlet in self._since_s

    def __iter__(self) -> Iterator[Outlet]:
        return iter(self._since_s)

    def add(self, outlet: Outlet) -> bool:
        """Let an outlet wait; False: it did so already, and keeps its place."""
        if outlet in self._since_s:
            return False
        self._since_s[outlet] = self._monotonic()
        return True

    def take(self, most: int) -> list[Outlet]:
        """Return those that have waited longest; they do not wait any more."""
        taken = list(islice(self._since_s, max(0, most)))
        for outlet in taken:
            del self._since_s[outlet]
        return taken

    def behind(self, now_s: float) -> str:
        """Say how far readers are behind, if it is too far for what they have to be believed."""
        if not self._since_s:
            return ""
        longest_s = now_s - next(iter(self._since_s.values()))
        if longest_s <= BEHIND_S:
            return ""
        return f"{len(self._since_s)} markets wait, the first for {longest_s:.1f} s"
