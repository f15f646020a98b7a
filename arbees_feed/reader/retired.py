"""Markets that have ended: a reader of all markets that runs for months would keep each. Pure."""

from collections.abc import Container, Mapping
from typing import Final

from arbees_feed.core.wire import MarketPrice

FORGET_AFTER_S: Final = 3_600.0
LOOK_EVERY_S: Final = 60.0


class Retired:
    """Tells which closed markets are to be forgotten."""

    def __init__(self, named: Container[str]) -> None:
        """Be ready to look; *named* are markets that are kept for good."""
        self._named = named
        self._closed_s: dict[str, float] = {}
        self._due_s = 0.0

    def due(self, book: Mapping[str, MarketPrice], now_s: float) -> list[str]:
        """Return the markets that were seen closed an hour ago; looks once a minute."""
        if now_s < self._due_s:
            return []
        self._due_s = now_s + LOOK_EVERY_S
        closed = [
            market
            for market, price in book.items()
            if price.status == "closed" and market not in self._named
        ]
        self._closed_s = {market: self._closed_s.get(market, now_s) for market in closed}
        return [market for market, at_s in self._closed_s.items() if now_s - at_s >= FORGET_AFTER_S]
