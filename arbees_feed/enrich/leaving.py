"""Which markets' metadata is to go: those that ended a while ago, and those given up. Pure."""

import itertools
from collections.abc import Iterable, Sequence
from typing import TypeVar

import msgspec

from arbees_feed.core.model import MarketId
from arbees_feed.core.venue import Found

ENDED = frozenset({"closed", "settled"})

K = TypeVar("K")
T = TypeVar("T")


class Leaving:
    """Markets on their way out, and those that are gone and stay so.

    A venue goes on listing what has ended beside what has not (in the same event, in overlapping
    time spans); what was removed for that is not written again unless it is alive after all.
    """

    def __init__(self, kept: int) -> None:
        self.dropped = 0
        """Markets forgotten here because too many were waiting: their hashes may stay."""
        self._kept = kept
        self._due_s: dict[MarketId, float] = {}
        self._gone: dict[MarketId, None] = {}

    def __len__(self) -> int:
        return len(self._due_s)

    def living(self, found: Found, due_s: float) -> Found:
        """Return what of *found* is to be written; note what has ended, to go at *due_s*.

        Events without a market that is told about are left out: nobody could use them.
        """
        for meta in found.markets:
            if meta.status not in ENDED:
                self._due_s.pop(meta.market_id, None)
                self._gone.pop(meta.market_id, None)
            elif meta.market_id not in self._gone:
                self._due_s.setdefault(meta.market_id, due_s)
        self.dropped += shorten(self._due_s, self._kept)
        markets = [meta for meta in found.markets if meta.market_id not in self._gone]
        events = [e for e in found.events if any(m not in self._gone for m in e.market_ids)]
        return msgspec.structs.replace(found, markets=markets, events=events)

    def give_up(self, markets: Iterable[MarketId], now_s: float) -> None:
        """Let these go now, ahead of those that have ended."""
        given_up = dict.fromkeys(markets, now_s)
        rest = [item for item in self._due_s.items() if item[0] not in given_up]
        self._due_s = {**given_up, **dict(rest)}

    def due(self, now_s: float, most: int) -> Sequence[MarketId]:
        """Return markets whose time has come, at most so many; the eldest first."""
        eldest = itertools.islice(self._due_s.items(), most)
        return [market for market, due_s in eldest if due_s <= now_s]

    def left(self, markets: Sequence[MarketId]) -> None:
        """Take note that *markets* are out of Redis."""
        for market in markets:
            self._due_s.pop(market, None)
            self._gone.pop(market, None)
            self._gone[market] = None
        shorten(self._gone, self._kept)


def shorten(known: dict[K, T], kept: int) -> int:
    """Forget the oldest beyond *kept*; return how many."""
    surplus = max(0, len(known) - kept)
    for name in list(itertools.islice(known, surplus)):
        del known[name]
    return surplus
