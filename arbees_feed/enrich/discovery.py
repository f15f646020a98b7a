"""Discovery: which markets the user's selection means today, so that their books are followed."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from contextlib import aclosing

import msgspec

from arbees_feed.core.model import MarketId
from arbees_feed.core.venue import Catalogue, Found, Selection
from arbees_feed.enrich.crawl import Fetcher, crawl
from arbees_feed.enrich.timing import REAL_TIME, Timing

ENDED = frozenset({"closed", "settled"})

Tell = Callable[[Sequence[MarketId]], None]


class UniverseStats(msgspec.Struct):
    """How discovery goes; plain integers, read by metrics."""

    passes: int = 0
    wanted: int = 0
    """Markets that are wanted now."""
    ended: int = 0


class Universe:
    """Tells which markets of one venue are wanted, and which are over; a service.

    Named markets are wanted at once, the rest page by page as they are found, most traded first.
    A market that leaves the selection is given up only when the venue says that it has ended or
    does not know it: one that fell out of the most traded, or is paused, goes on.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        fetcher: Fetcher,
        selection: Selection,
        *,
        want: Tell,
        gone: Tell,
        refresh_s: float = 60.0,
        timing: Timing = REAL_TIME,
    ) -> None:
        self.stats = UniverseStats()
        self._catalogue = catalogue
        self._fetcher = fetcher
        self._selection = selection
        self._want = want
        self._gone = gone
        self._refresh_s = refresh_s
        self._timing = timing
        self._wanted: set[MarketId] = set()
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Discover again and again, until cancelled.

        Raises:
            RetryableError: a request failed; run again. What was wanted stays so.
            AuthenticationRejected: the venue refuses us.
        """
        while True:
            await self._discover()
            await self._timing.wait(self._wake, self._refresh_s)
            self._wake.clear()

    def refresh(self) -> None:
        """Discover now: a market was announced or has ended."""
        self._wake.set()

    async def _discover(self) -> None:
        named = self._catalogue.immediate(self._selection)
        if not self.stats.passes:
            self._add(named)
        found: set[MarketId] = set()
        plan = self._catalogue.universe(self._selection)
        async with aclosing(crawl(plan, self._fetcher)) as findings:
            async for finding in findings:
                ids = _open_by_volume(finding)
                found.update(ids)
                self._add(ids)
        await self._check((self._wanted | set(named)) - found)
        self.stats.passes += 1

    async def _check(self, markets: Collection[MarketId]) -> None:
        """Ask for the state of markets that were not found, and draw the conclusions."""
        if not markets:
            return
        alive: set[MarketId] = set()
        plan = self._catalogue.lookup(sorted(markets))
        async with aclosing(crawl(plan, self._fetcher)) as findings:
            async for finding in findings:
                alive.update(m.market_id for m in finding.markets if m.status not in ENDED)
        self._add(sorted(alive & set(markets)))
        over = sorted((set(markets) - alive) & self._wanted)
        self._wanted.difference_update(over)
        self.stats.wanted = len(self._wanted)
        self.stats.ended += len(over)
        if over:
            self._gone(over)

    def _add(self, markets: Sequence[MarketId]) -> None:
        new = [market for market in dict.fromkeys(markets) if market not in self._wanted]
        self._wanted.update(new)
        self.stats.wanted = len(self._wanted)
        if new:
            self._want(new)


def _open_by_volume(found: Found) -> Sequence[MarketId]:
    markets = [meta for meta in found.markets if meta.status not in ENDED]
    return [m.market_id for m in sorted(markets, key=lambda meta: -meta.volume)]
