"""Markets that have ended, remembered for a while: a late ticker does not bring one back to life.

In two generations, so that forgetting costs nothing and memory stays flat where markets come and go
all day.
"""

from collections.abc import Callable
from typing import Final

from arbees_feed.core.model import MarketId

AT_LEAST_S: Final = 900.0
MOST: Final = 50_000
"""In one generation; the older one is forgotten before its time if more end at once."""


class Tombstones:
    """What has ended in the last quarter of an hour, or two."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._began_s = monotonic()
        self._young: set[MarketId] = set()
        self._old: set[MarketId] = set()

    def __contains__(self, market: object) -> bool:
        return market in self._young or market in self._old

    def add(self, market: MarketId) -> None:
        """Remember a market."""
        now_s = self._monotonic()
        if now_s - self._began_s >= AT_LEAST_S or len(self._young) >= MOST:
            self._old, self._young, self._began_s = self._young, set(), now_s
        self._young.add(market)
