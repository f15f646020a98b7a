"""How old data is on arrival: the venue's time of a change against ours of reading it.

The difference of the clocks is in it, so a single value says little; growth within one connection
says that frames queue up on the way (a slow consumer, a throttled link). Sampled, not summed: the
least of a window is free of what is old by itself. Pure: the time is an argument.
"""

from typing import Final

WINDOW_S: Final = 5.0
GROWN_MS: Final = 2_000.0
"""So much above the connection's best, for two windows: worth an alarm."""
TOO_OLD_MS: Final = 5_000.0
"""So much above it: another connection may do better."""
_FORGET_MS: Final = 1.0
"""How much the best gives way in each window: the clocks may drift."""


class MessageAge:
    """Of one connection, in ms; None before anything with a time came."""

    def __init__(self) -> None:
        self.newest_ms: float | None = None
        """The least age in the last whole window."""
        self.best_ms: float | None = None
        self.alarmed = False
        """Whether somebody was told that it has grown."""
        self.grown_ms = 0.0
        """How much older than at its best data is now, by two windows at least."""
        self._least: float | None = None
        self._before_ms: float | None = None
        self._window_ends_s = 0.0

    def add(self, age_ms: float, now_s: float) -> None:
        """Take a sample."""
        if now_s >= self._window_ends_s:
            self._close()
            self._window_ends_s = now_s + WINDOW_S
        self._least = age_ms if self._least is None else min(age_ms, self._least)

    def _close(self) -> None:
        least, self._least = self._least, None
        if least is None:
            return
        self._before_ms, self.newest_ms = self.newest_ms, least
        best = least if self.best_ms is None else min(least, self.best_ms + _FORGET_MS)
        self.best_ms = best
        lately = least if self._before_ms is None else min(least, self._before_ms)
        self.grown_ms = max(0.0, lately - best)

    @property
    def has_grown(self) -> bool:
        """Whether frames queue up on the way."""
        return self.grown_ms > GROWN_MS

    @property
    def is_too_old(self) -> bool:
        """Whether they do so much that the connection should be replaced."""
        return self.grown_ms > TOO_OLD_MS
