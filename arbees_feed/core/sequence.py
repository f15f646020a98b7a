"""Judge whether the frames of one subscription arrive complete and in order."""

from enum import Enum


class Verdict(Enum):
    """What a sequence number says about the frame that carries it."""

    NEXT = "next"
    GAP = "gap"
    DUPLICATE = "duplicate"
    RESET = "reset"


class SequenceTracker:
    """The counter of one subscription: it begins anywhere and grows by one a frame.

    After every verdict the tracker stands at the observed number, so that one gap is told once.
    A number below the last is a RESET and not an old duplicate: dropping everything below the
    last would turn a restarted counter into a silent freeze, while treating a straggler as a
    reset costs one more resync. The same number twice is taken for the same frame twice: a
    counter that restarts at exactly the number it had, or one above it, can't be told from that.
    """

    __slots__ = ("last",)

    def __init__(self) -> None:
        self.last: int | None = None

    def observe(self, seq: int) -> Verdict:
        """Take the number of the next frame and return the verdict."""
        last, self.last = self.last, seq
        if last is None or seq == last + 1:
            return Verdict.NEXT
        if seq == last:
            return Verdict.DUPLICATE
        return Verdict.GAP if seq > last else Verdict.RESET
