"""What the switches of all faults share."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from arbees_feed.sim.config import KALSHI, VENUES, Venue
from arbees_feed.sim.faults import FaultState
from arbees_feed.sim.flow import Flow
from arbees_feed.sim.kalshi_feed import KalshiFeed
from arbees_feed.sim.pump import Feed
from arbees_feed.sim.shared import Shared
from arbees_feed.sim.world import Group, Market

ENDLESS = 1_000_000_000
Ending = Callable[[Venue | None, str | None], Awaitable[None] | None]
"""Ends a fault: of a market, of a venue, or everywhere."""


class Port(Protocol):
    """A port that can be deaf for a while."""

    port: int

    async def listen(self) -> None: ...
    async def stop_listening(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Levers:
    """What the switches move."""

    state: FaultState
    feeds: Mapping[Venue, Feed]
    ports: Mapping[Venue, Port]
    shared: Shared
    flow: Flow
    publish: Callable[[Group], None]


class Switches:
    """A group of switches. Each use is counted under `fault_…` in the simulation's counters."""

    def __init__(self, levers: Levers) -> None:
        self._state = levers.state
        self._feeds = levers.feeds
        self._ports = levers.ports
        self._shared = levers.shared
        self._flow = levers.flow
        self._publish = levers.publish

    def _count(self, name: str) -> None:
        self._shared.counters[f"fault_{name}"] += 1

    def _market(self, market: str) -> Market:
        found = self._shared.world.find(market)
        if found is None:
            raise ValueError(f"no such market: {market}")
        return found

    def _meant(self, known: Iterable[str], venue: Venue | None, market: str | None) -> list[str]:
        """Return the markets meant, of those *known*: the named one, a venue's, or all."""
        find = self._shared.world.find
        return [
            market_id
            for market_id in known
            if market in (None, market_id)
            and (venue is None or ((one := find(market_id)) is not None and one.venue == venue))
        ]

    def _feed(self, venue: Venue) -> Feed:
        feed = self._feeds.get(venue)
        if feed is None:
            raise ValueError(f"no such venue: {venue}")
        return feed

    def _kalshi(self) -> KalshiFeed:
        feed = self._feeds[KALSHI]
        assert isinstance(feed, KalshiFeed)  # noqa: S101 - it is made so
        return feed


def venues_meant(venue: Venue | None) -> Iterable[Venue]:
    """Return the named venue; both when none is named."""
    return VENUES if venue is None else (venue,)
