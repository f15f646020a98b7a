"""What the silence of one connection means: how long is usual, when to ask, when to give up.

Pings and acknowledgements prove the socket only. Data proves the data; so does the venue's own
answer that agrees with our books. Pure: the time is an argument.
"""

from typing import Final

from arbees_feed.core.model import Liveness

ASK_AT_LEAST_S: Final = 2.0
ASK_AT_MOST_S: Final = 10.0
"""However quiet a connection is, its silence is looked into after so long."""
ASK_AGAIN_S: Final = 5.0
"""A question that came to nothing (REST failed, say) is asked again after so long."""
UNPROVEN_S: Final = 60.0
"""A busy connection that is silent for so long, and of which nothing is learnt, is made anew."""
_USUAL: Final = 4.0
"""Silence is unusual when it lasts so many times as long as the longest pause of late."""
_FORGET: Final = 0.98


class Pulse:
    """Of one connection; `data` and `should_ask` are called at each tick of its session."""

    def __init__(self, now_s: float) -> None:
        self.data_s = now_s
        """When data was last seen."""
        self.proved_s = now_s
        """When data or a good answer was last seen."""
        self._asked_s: float | None = None
        self._longest_s = 1.0
        self.suspicion = ""
        self.differing = 0
        """Answers that differed since data or a good answer was last seen."""

    def data(self, now_s: float) -> None:
        """Data has come since the last tick."""
        gap_s = now_s - self.data_s
        self._longest_s = max(gap_s, self._longest_s * _FORGET)
        self.data_s = self.proved_s = now_s
        self._asked_s, self.suspicion, self.differing = None, "", 0

    def answered(self, now_s: float) -> None:
        """The venue's own answer agrees with what we have: it is quiet."""
        self.proved_s = now_s
        self._asked_s, self.suspicion, self.differing = None, "", 0

    def should_ask(self, now_s: float) -> bool:
        """Tell whether the silence must be looked into now; then it counts as asked."""
        if self._asked_s is not None:
            due = now_s - self._asked_s >= ASK_AGAIN_S
        else:
            due = now_s - self.proved_s >= self.patience_s
        if due:
            self._asked_s = now_s
        return due

    @property
    def patience_s(self) -> float:
        """How long a silence is nothing unusual on this connection."""
        return min(ASK_AT_MOST_S, max(ASK_AT_LEAST_S, _USUAL * self._longest_s))

    def is_unproven(self, now_s: float) -> bool:
        """Tell whether nothing has shown for too long that data still comes."""
        return now_s - self.proved_s > UNPROVEN_S

    def state(self, now_s: float) -> Liveness:
        """Return live, quiet or suspect."""
        if self.suspicion:
            return Liveness.SUSPECT
        return Liveness.LIVE if now_s - self.data_s < self.patience_s else Liveness.QUIET
