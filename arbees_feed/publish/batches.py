"""What was written to Redis and is not acknowledged yet."""

from collections import deque

import msgspec

from arbees_feed.publish.outlet import Outlet


class Batch(msgspec.Struct):
    """What one write carried, until all of it is acknowledged."""

    unanswered: int
    outlets: list[Outlet]
    written_s: float
    failed: bool = False


class Unacknowledged:
    """Batches in the order in which they were written, which is the order of replies."""

    def __init__(self) -> None:
        self._batches: deque[Batch] = deque()
        self.commands = 0
        """Commands without a reply."""

    def __len__(self) -> int:
        return len(self._batches)

    def add(self, commands: int, outlets: list[Outlet], now_s: float) -> None:
        """Note a write."""
        self._batches.append(Batch(commands, outlets, now_s))
        self.commands += commands

    def answered(self, count: int, *, failed: bool) -> list[Batch]:
        """Take *count* replies; return the batches that these completed."""
        self.commands -= count
        complete: list[Batch] = []
        while count and self._batches:
            batch = self._batches[0]
            taken = min(count, batch.unanswered)
            batch.unanswered -= taken
            count -= taken
            batch.failed = batch.failed or failed
            if not batch.unanswered:
                complete.append(self._batches.popleft())
        return complete

    def oldest_s(self) -> float | None:
        """Return when the oldest write without all its replies was made."""
        return self._batches[0].written_s if self._batches else None

    def take_all(self) -> list[Outlet]:
        """Forget everything; return the outlets whose quotes may not have arrived."""
        outlets = [outlet for batch in self._batches for outlet in batch.outlets]
        self._batches.clear()
        self.commands = 0
        return outlets
