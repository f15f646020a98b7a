"""Discovery: which markets the user's selection means today, so that their books are followed."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import aclosing

import msgspec

from arbees_feed.core.model import MarketId, MarketMeta
from arbees_feed.core.venue import Catalogue, Found, Selection
from arbees_feed.enrich.checked import checked
from arbees_feed.enrich.crawl import Fetcher, crawl
from arbees_feed.enrich.leaving import ENDED
from arbees_feed.enrich.timing import REAL_TIME, Timing

Tell = Callable[[Sequence[MarketId]], None]


class UniverseOptions(msgspec.Struct, frozen=True):
    """How often to look; all times in seconds."""

    refresh_s: float = 60.0
    """From one pass to the next; when everything is selected, for new markets only."""
    full_s: float = 1800.0
    """From one full pass to the next, when everything is selected."""
    hint_s: float = 10.0
    """A hint brings a pass forward, but not so soon after the last."""
    check_s: float = 600.0
    """How long a market that left the selection counts as alive after somebody looked."""
    min_volume: float = 0.0
    """Leave out markets that have traded less, in the venue's own unit; named ones count always."""
    overlap_s: int = 120
    """Ask for new markets from so long before the last pass: answers may be cached, clocks off."""


class UniverseStats(msgspec.Struct):
    """How discovery goes; plain integers, read by metrics."""

    passes: int = 0
    wanted: int = 0
    """Markets that are wanted now."""
    ended: int = 0
    missing: int = 0
    """Markets whose opening book never came and that were looked up for that."""


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
        options: UniverseOptions = UniverseOptions(),  # noqa: B008 (frozen)
        timing: Timing = REAL_TIME,
    ) -> None:
        self.stats = UniverseStats()
        self._catalogue = checked(catalogue)
        self._fetcher = fetcher
        self._selection = selection
        self._want = want
        self._gone = gone
        self._options = options
        self._named = {*selection.markets, *selection.events, *selection.series}
        self._timing = timing
        self._wanted: set[MarketId] = set()
        self._alive_s: dict[MarketId, float] = {}
        self._missing: dict[MarketId, None] = {}
        self._wake = asyncio.Event()
        self._hinted = False
        self._due_s = float("-inf")
        self._passed_s = float("-inf")
        self._full_due_s = float("-inf")
        self._since_s: int | None = None

    async def run(self) -> None:
        """Discover again and again, until cancelled.

        Raises:
            RetryableError: a request failed; run again. What was wanted stays so.
            AuthenticationRejected: the venue refuses us.
        """
        self._due_s = float("-inf")
        while True:
            self._wake.clear()
            if self._missing:
                await self._resolve_missing()
            if self._wait_s() <= 0:
                await self._discover()
            await self._timing.wait(self._wake, self._wait_s())

    def refresh(self) -> None:
        """Discover soon: a market was announced. The most traded are not told apart by that."""
        selection = self._selection
        if selection.everything or selection.events or selection.series or selection.tags:
            self._hinted = True
            self._wake.set()

    def missing(self, markets: Iterable[MarketId]) -> None:
        """Look up *markets*, whose opening book never came.

        What has ended or is unknown is told as gone; what lives is wanted still, and to be tried
        again by whoever follows it.
        """
        self._missing.update(dict.fromkeys(markets))
        self._wake.set()

    def _wait_s(self) -> float:
        """Return how long there is nothing to do."""
        due_s = self._due_s
        if self._hinted:
            due_s = min(due_s, self._passed_s + self._options.hint_s)
        return max(0.0, due_s - self._timing.monotonic())

    async def _discover(self) -> None:
        self._hinted = False
        self._passed_s = now_s = self._timing.monotonic()
        unix_s = int(self._timing.now())
        full = not self._selection.everything or now_s >= self._full_due_s
        named = self._catalogue.immediate(self._selection)
        if not self.stats.passes:
            self._add(named)
        found = await self._find(None if full else self._since_s)
        if full:
            await self._check((self._wanted | set(named)) - found, set(named))
            self._full_due_s = now_s + self._options.full_s
        self._since_s = unix_s - self._options.overlap_s
        self._due_s = self._timing.monotonic() + self._options.refresh_s
        self.stats.passes += 1

    async def _find(self, since_s: int | None) -> set[MarketId]:
        """Want what the selection has now; return it."""
        found: set[MarketId] = set()
        plan = self._catalogue.universe(self._selection, since_s)
        async with aclosing(crawl(plan, self._fetcher)) as findings:
            async for finding in findings:
                ids = self._open_by_volume(finding)
                found.update(ids)
                self._add(ids)
        return found

    def _open_by_volume(self, found: Found) -> Sequence[MarketId]:
        markets = [
            meta for meta in found.markets if meta.status not in ENDED and self._counts(meta)
        ]
        return [m.market_id for m in sorted(markets, key=lambda meta: -meta.volume)]

    def _counts(self, meta: MarketMeta) -> bool:
        """Tell whether a market has traded enough, or was named by any of its names."""
        if meta.volume >= self._options.min_volume:
            return True
        return not self._named.isdisjoint((meta.market_id, meta.event_id, *meta.extras.values()))

    async def _check(self, markets: set[MarketId], named: set[MarketId]) -> None:
        """Ask for the state of markets that were not found, and draw the conclusions.

        Those that left the selection are many in the end, and asked for now and then only.
        """
        not_since_s = self._timing.monotonic() - self._options.check_s
        self._alive_s = {m: s for m, s in self._alive_s.items() if m in markets and s > not_since_s}
        unsure = markets - (self._alive_s.keys() - named)
        alive = await self._living(unsure)
        self._add(sorted(alive))
        self._end((unsure - alive) & self._wanted)

    async def _resolve_missing(self) -> None:
        markets = list(self._missing)
        alive = await self._living(markets)
        for market in markets:
            del self._missing[market]
        self.stats.missing += len(markets)
        self._end(set(markets) - alive)

    async def _living(self, markets: Collection[MarketId]) -> set[MarketId]:
        """Return which of *markets* the venue knows and has not ended."""
        if not markets:
            return set()
        alive: set[MarketId] = set()
        plan = self._catalogue.lookup(sorted(markets))
        async with aclosing(crawl(plan, self._fetcher)) as findings:
            async for finding in findings:
                alive.update(m.market_id for m in finding.markets if m.status not in ENDED)
        alive &= set(markets)
        self._alive_s.update(dict.fromkeys(alive, self._timing.monotonic()))
        return alive

    def _end(self, markets: Collection[MarketId]) -> None:
        over = sorted(markets)
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
