"""How far a venue's clock is from ours, by the `Date` of its answers. Pure: times are arguments.

`Date` is cut to whole seconds (RFC 9110, 6.6.1), so one answer bounds the offset to a second and
the time it was under way; answers at other fractions of a second bound it from other sides. What
is left when all bounds hold is soon a few hundredths of a second wide.

Rejected: the mean of many answers (as wrong as the most delayed of them); Marzullo's algorithm
over a window of answers (finds the same, but keeps and sorts them).
"""

import math
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

CUT_S: Final = 1.0
"""A time cut to whole seconds may be so much later."""
FORGET: Final = 1e-3
"""The bounds give way by so much of the time that passes: ten times what a bad clock drifts."""
TRUST: Final = 8
"""So many answers that contradict what all before them said replace it."""
LIMIT_S: Final = 5.0
"""Signatures carry the time; Kalshi refuses those of clocks further off (how far: 10 to 60 s)."""

_HIT: Final = ("hit", "stale", "updating", "revalidated")


class ClockOffset:
    """The venue's clock less ours, in s: somewhere between two bounds that answers draw closer."""

    def __init__(self) -> None:
        self.answers = 0
        """How many answers told their time."""
        self._low_s = -math.inf
        self._high_s = math.inf
        self._votes = 0
        self._at_s = 0.0

    @property
    def offset_s(self) -> float | None:
        """The middle of what is possible; None before any answer."""
        return (self._low_s + self._high_s) / 2 if self._votes else None

    @property
    def uncertainty_s(self) -> float | None:
        """How far the true offset may be from `offset_s`; None before any answer."""
        return (self._high_s - self._low_s) / 2 if self._votes else None

    def excess_s(self) -> float:
        """Return how far the clocks are apart at least; 0.0 while they may agree."""
        return max(0.0, self._low_s, -self._high_s) if self._votes else 0.0

    def add(self, date_s: float, sent_s: float, received_s: float) -> None:
        """Take an answer: its `Date`, and when it was asked for and came by our clock (Unix s)."""
        if received_s < sent_s:
            return  # our clock was set back meanwhile
        self.answers += 1
        low_s, high_s = date_s - received_s, date_s + CUT_S - sent_s
        self._forget(received_s)
        if max(low_s, self._low_s) <= min(high_s, self._high_s):
            self._low_s, self._high_s = max(low_s, self._low_s), min(high_s, self._high_s)
            self._votes = min(self._votes + 1, TRUST)
            return
        # One of a broken cache says nothing; after a step of either clock all say the same.
        self._votes -= 1
        if self._votes <= 0:
            self._low_s, self._high_s, self._votes = low_s, high_s, 1

    def _forget(self, now_s: float) -> None:
        given_s = max(0.0, now_s - self._at_s) * FORGET if self._votes else 0.0
        self._low_s -= given_s
        self._high_s += given_s
        self._at_s = now_s


def date_of(headers: Mapping[str, str]) -> float | None:
    """Return when an answer was made by the clock of who made it, in Unix s.

    None: it does not tell, or comes out of a cache (`Age`, `X-Cache`, `CF-Cache-Status`) and may
    be of any time. *headers* finds names whatever their case.
    """
    if headers.get("Age", "0").strip() not in ("", "0"):
        return None
    told = f"{headers.get('X-Cache', '')} {headers.get('CF-Cache-Status', '')}".lower()
    if any(word in told for word in _HIT):
        return None
    try:
        date = parsedate_to_datetime(headers.get("Date", ""))
        return date.replace(tzinfo=date.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError):
        return None
