"""Prices of markets that stay silent after a reconnect, asked for over REST.

A ticker channel tells changes only: after a reconnect a quiet market would stay stale until its
next trade. It is asked for once the channel has had time to speak, at most so often.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing

import msgspec

from arbees_feed.core.events import TopOfBook
from arbees_feed.core.model import MarketId
from arbees_feed.core.venue import Catalogue
from arbees_feed.enrich.crawl import Fetcher, crawl

LOOK_EVERY_S = 1.0
ASK_AGAIN_S = 30.0
ONE_BY_ONE = 2_000
"""More silent markets than this are read by paging through all open ones."""


class RefreshStats(msgspec.Struct):
    """What was asked for; plain numbers, read by metrics."""

    asked: int = 0
    refreshed: int = 0


class Refresher:
    """Refreshes the silent markets of one venue; a service."""

    def __init__(
        self,
        catalogue: Catalogue,
        fetcher: Fetcher,
        *,
        silent: Callable[[], Sequence[MarketId]],
        take: Callable[[Sequence[TopOfBook]], None],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stats = RefreshStats()
        self._catalogue = catalogue
        self._fetcher = fetcher
        self._silent = silent
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
            due = self._due(self._silent())
            if due:
                await self._ask(due)

    def _due(self, silent: Sequence[MarketId]) -> list[MarketId]:
        now_s = self._monotonic()
        # What is heard again is forgotten, so that this stays as small as the silence.
        self._asked_s = {m: s for m in silent if (s := self._asked_s.get(m)) is not None}
        never_s = now_s - ASK_AGAIN_S
        return [m for m in silent if self._asked_s.get(m, never_s) + ASK_AGAIN_S <= now_s]

    async def _ask(self, markets: list[MarketId]) -> None:
        self.stats.asked += len(markets)
        self._asked_s.update(dict.fromkeys(markets, self._monotonic()))
        plan = self._catalogue.tops(markets if len(markets) <= ONE_BY_ONE else None)
        async with aclosing(crawl(plan, self._fetcher)) as findings:
            async for finding in findings:
                self.stats.refreshed += len(finding.tops)
                self._take(finding.tops)
