"""Prices of markets that a ticker channel does not speak of, asked for over REST.

The channel tells changes only: at the start a quiet market would have no price, and after a
reconnect it would stay stale, until its next trade. So all open markets are read once, behind the
first prices; later the silent ones, once the channel has had time to speak, at most so often.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing

import msgspec

from arbees_feed.core.events import TopOfBook
from arbees_feed.core.model import MarketId
from arbees_feed.core.sharding import chunks
from arbees_feed.core.venue import Catalogue
from arbees_feed.enrich.checked import checked
from arbees_feed.enrich.crawl import Fetcher, crawl

LOOK_EVERY_S = 1.0
ASK_AGAIN_S = 30.0
TAKEN_AT_ONCE = 25
ONE_BY_ONE = 2_000
"""More silent markets than this are read by paging through all open ones."""


class RefreshStats(msgspec.Struct):
    """What was asked for; plain numbers, read by metrics."""

    asked: int = 0
    """Passes over some or all markets."""
    refreshed: int = 0
    """Markets that got their price this way."""


class Refresher:
    """Refreshes the silent markets of one venue; a service."""

    def __init__(
        self,
        catalogue: Catalogue,
        fetcher: Fetcher,
        *,
        is_settled: Callable[[], bool],
        silent: Callable[[], Sequence[MarketId]],
        take: Callable[[Sequence[TopOfBook]], int],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stats = RefreshStats()
        self._catalogue = checked(catalogue)
        self._fetcher = fetcher
        self._is_settled = is_settled
        self._silent = silent
        self._filled = False
        self._take = take
        self._sleep = sleep
        self._monotonic = monotonic
        self._asked_s: dict[MarketId, float] = {}

    async def run(self) -> None:
        """Look for silent markets again and again, until cancelled.

        Raises:
            RetryableError: a request failed; run again.
        """
        while True:
            await self._sleep(LOOK_EVERY_S)
            if not self._is_settled():
                continue
            if not self._filled:
                await self._ask(None)
                self._filled = True
            elif due := self._due(self._silent()):
                self._asked_s.update(dict.fromkeys(due, self._monotonic()))
                await self._ask(due if len(due) <= ONE_BY_ONE else None)

    def _due(self, silent: Sequence[MarketId]) -> list[MarketId]:
        now_s = self._monotonic()
        # What is heard again is forgotten, so that this stays as small as the silence.
        self._asked_s = {m: s for m in silent if (s := self._asked_s.get(m)) is not None}
        never_s = now_s - ASK_AGAIN_S
        return [m for m in silent if self._asked_s.get(m, never_s) + ASK_AGAIN_S <= now_s]

    async def _ask(self, markets: Sequence[MarketId] | None) -> None:
        self.stats.asked += 1
        plan = self._catalogue.tops(markets)
        async with aclosing(crawl(plan, self._fetcher)) as findings:
            async for finding in findings:
                for some in chunks(finding.tops, TAKEN_AT_ONCE):
                    self.stats.refreshed += self._take(some)
                    await asyncio.sleep(0)  # frames are read in between
