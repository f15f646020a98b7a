"""What somebody else has just asked of the venue, and what it must not be undone by. Pure."""

from itertools import islice

import msgspec

from arbees_feed.core.model import EventMeta, MarketId, MarketMeta
from arbees_feed.core.venue import Found
from arbees_feed.enrich.leaving import shorten


class Corrections:
    """Markets and events that wait to be written ahead of all others; the newest word of each."""

    def __init__(self, kept: int) -> None:
        """Remember at most so many of each kind."""
        self._kept = kept
        self._markets: dict[MarketId, MarketMeta] = {}
        self._events: dict[str, EventMeta] = {}
        self._page: object = None
        self._newer: dict[MarketId, None] = {}

    def __bool__(self) -> bool:
        return bool(self._markets or self._events)

    def add(self, found: Found) -> None:
        """Take what the venue has just said."""
        self._markets.update((meta.market_id, meta) for meta in found.markets)
        self._events.update((meta.event_id, meta) for meta in found.events)
        self._newer.update((meta.market_id, None) for meta in found.markets)
        shorten(self._markets, self._kept)
        shorten(self._events, self._kept)
        shorten(self._newer, self._kept)

    def first(self, most: int) -> Found:
        """Return those that have waited longest, at most so many markets and as many events."""
        markets = list(islice(self._markets.values(), most))
        return Found(markets=markets, events=list(islice(self._events.values(), most)))

    def written(self, found: Found) -> None:
        """Take these off the list, except where there is newer word."""
        for market in found.markets:
            if self._markets.get(market.market_id) is market:
                del self._markets[market.market_id]
        for event in found.events:
            if self._events.get(event.event_id) is event:
                del self._events[event.event_id]

    def forget(self, market: MarketId) -> None:
        """Do not write this one."""
        self._markets.pop(market, None)

    def left_by(self, found: Found, page: object) -> Found:
        """Return what of *found* is not older than a correction.

        All findings of one *page* are as old as its answer, and the last of them may be written
        much later: a page is held while Redis is away.
        """
        if page != self._page:
            self._page = page
            self._newer.clear()
        if not self._newer:
            return found
        markets = [meta for meta in found.markets if meta.market_id not in self._newer]
        return msgspec.structs.replace(found, markets=markets)
