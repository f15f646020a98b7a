"""Which of a venue's markets are followed when nobody named them one by one."""

import re

import msgspec

from arbees_feed.core.model import Lots, MarketId


class MarketFilter(msgspec.Struct, frozen=True):
    """Rules over market ids that begin with their series and event, as Kalshi's do.

    What is pinned (named by the settings, or asked for by a reader) passes whatever the rules say.
    """

    form: re.Pattern[str] | None = None
    """What an id of the venue looks like; a garbled one makes no market."""
    include: tuple[str, ...] = ()
    """Series or event tickers; empty includes everything."""
    exclude_prefixes: tuple[str, ...] = ()
    min_volume: Lots = 0

    def passes(self, market: MarketId, volume: Lots | None = None) -> bool:
        """Tell whether a market is followed; an unknown *volume* (None) does not keep it out."""
        if self.form is not None and not self.form.fullmatch(market):
            return False
        if self.exclude_prefixes and market.startswith(self.exclude_prefixes):
            return False
        if volume is not None and volume < self.min_volume:
            return False
        return not self.include or self._included(market)

    def _included(self, market: MarketId) -> bool:
        # KXNFLGAME includes KXNFLGAME-26NOV22KCDET-KC, but not KXNFLGAMEX-…
        return any(market == name or market.startswith(f"{name}-") for name in self.include)


EVERYTHING = MarketFilter()
