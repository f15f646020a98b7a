"""What was written to Redis and is not acknowledged yet."""

import enum
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence

import msgspec

from arbees_feed.publish.outlet import Outlet
from arbees_feed.publish.pipe import Refusal


class Kind(enum.Enum):
    """What a batch carries of each of its outlets."""

    PRICES = enum.auto()
    """`SET :last`, `PUBLISH`, and at times `SADD`; other commands may stand in between."""
    LASTS = enum.auto()
    """`SET :last` alone: the message went out before, and its `SET` was refused."""
    MIRRORS = enum.auto()
    """The `:quote` hash, and what keeps or ends a market's keys."""


class Draft:
    """The next write, as it is put together."""

    __slots__ = ("commands", "outlets", "parts", "starts")

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Begin anew; what others have taken of it stays theirs."""
        self.parts: list[bytes] = []
        self.commands = 0
        self.outlets: list[Outlet] = []
        self.starts: list[int] = []

    def begin(self, outlet: Outlet) -> None:
        """Let what follows belong to *outlet*."""
        self.outlets.append(outlet)
        self.starts.append(self.commands)

    def add(self, command: bytes) -> None:
        """Add one command."""
        self.parts.append(command)
        self.commands += 1


class Batch(msgspec.Struct):
    """What one write carried, until all of it is acknowledged."""

    kind: Kind
    commands: int
    unanswered: int
    outlets: list[Outlet]
    starts: list[int]
    """For each outlet, the number of its first command in this batch, counted from 0."""
    written_s: float
    refused: list[int] | None = None

    def refusals(self) -> Iterator[tuple[Outlet, int]]:
        """Yield the outlets with refused commands, and which of its commands, counted from 0.

        A command that belongs to no outlet counts as a further one of the outlet before it.
        """
        for number in self.refused or ():
            place = bisect_right(self.starts, number) - 1
            if place >= 0:
                yield self.outlets[place], number - self.starts[place]


class Unacknowledged:
    """Batches in the order in which they were written, which is the order of replies."""

    def __init__(self) -> None:
        self._batches: deque[Batch] = deque()
        self.commands = 0
        """Commands without a reply."""

    def __len__(self) -> int:
        return len(self._batches)

    def add(self, kind: Kind, draft: Draft, now_s: float) -> None:
        """Note a write."""
        commands = draft.commands
        self._batches.append(Batch(kind, commands, commands, draft.outlets, draft.starts, now_s))
        self.commands += commands

    def answered(self, count: int, errors: Sequence[Refusal]) -> list[Batch]:
        """Take *count* replies; return the batches that these completed."""
        self.commands -= count
        complete: list[Batch] = []
        before = 0
        while before < count and self._batches:
            batch = self._batches[0]
            taken = min(count - before, batch.unanswered)
            if errors:
                _note_refused(batch, errors, before, before + taken)
            batch.unanswered -= taken
            before += taken
            if not batch.unanswered:
                complete.append(self._batches.popleft())
        return complete

    def lag_s(self, now_s: float) -> float:
        """Return how long ago the oldest write was made that has not all its replies, or 0."""
        return now_s - self._batches[0].written_s if self._batches else 0.0

    def take_all(self) -> list[Batch]:
        """Forget everything; return the batches of which something may not have arrived."""
        batches = list(self._batches)
        self._batches.clear()
        self.commands = 0
        return batches


def _note_refused(batch: Batch, errors: Sequence[Refusal], begin: int, end: int) -> None:
    """Note which commands of *batch* are refused by the replies *begin* to *end*."""
    answered = batch.commands - batch.unanswered
    refused = [answered + number - begin for number, _ in errors if begin <= number < end]
    if refused:
        batch.refused = [*(batch.refused or ()), *refused]
