"""Markets with metadata whose state is to be asked for at some time: the venue may know better.

Those that have ended by the stream's word (how, is told by REST only, and later), and those that
were announced and that no listing has had since: they may have ended before one could. Pure.
"""

from collections.abc import Iterable, Sequence
from itertools import islice

from arbees_feed.core.model import MarketId
from arbees_feed.enrich.leaving import shorten


class Rechecks:
    """By market, when to ask; each kind in the order in which it came."""

    def __init__(self, kept: int) -> None:
        self.dropped = 0
        """Markets forgotten because too many were waiting."""
        self._kept = kept
        self._ended_s: dict[MarketId, float] = {}
        self._announced_s: dict[MarketId, float] = {}

    def ended(self, markets: Iterable[MarketId], due_s: float) -> None:
        """Ask about these at *due_s*, whatever listings say meanwhile: those lag behind."""
        for market in markets:
            self._ended_s.setdefault(market, due_s)
        self.dropped += shorten(self._ended_s, self._kept)

    def announced(self, markets: Iterable[MarketId], due_s: float) -> None:
        """Ask about these at *due_s*, unless they are listed before."""
        for market in markets:
            self._announced_s.setdefault(market, due_s)
        self.dropped += shorten(self._announced_s, self._kept)

    def listed(self, markets: Iterable[MarketId]) -> None:
        """Take note that listings have these, and will tell of their end."""
        for market in markets:
            self._announced_s.pop(market, None)

    def forget(self, markets: Iterable[MarketId]) -> None:
        """Do not ask about these."""
        for market in markets:
            self._ended_s.pop(market, None)
            self._announced_s.pop(market, None)

    def take(self, now_s: float, most: int) -> Sequence[MarketId]:
        """Return markets whose time has come, at most so many."""
        eldest = [*islice(self._ended_s.items(), most), *islice(self._announced_s.items(), most)]
        due = list(dict.fromkeys(market for market, due_s in eldest if due_s <= now_s))[:most]
        self.forget(due)
        return due
