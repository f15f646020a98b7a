"""When the state of each part of the feed has changed, for whoever comes later to look. Pure."""

from collections import deque
from typing import Final

from arbees_feed.ops.overview import Change

KEPT: Final = 20


class Timeline:
    """The newest changes, and since when each part has been as it is."""

    def __init__(self, kept: int = KEPT) -> None:
        self._changes: deque[Change] = deque(maxlen=kept)
        self._newest: dict[str, Change] = {}

    def note(self, who: str, state: str, reason: str, now_ns: int) -> None:
        """Take a state as it is now; only one that differs from the last is kept."""
        last = self._newest.get(who)
        if last is not None and last.state == state:
            return
        change = Change(who, state, reason, now_ns)
        self._newest[who] = change
        self._changes.appendleft(change)

    def since_ns(self, who: str) -> int:
        """Return the Unix time at which the state was first seen; 0 if it never was."""
        newest = self._newest.get(who)
        return newest.at_ns if newest is not None else 0

    def changes(self) -> list[Change]:
        """Return the changes, newest first."""
        return list(self._changes)
