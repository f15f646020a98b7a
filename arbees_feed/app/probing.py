"""Carries the prober's questions to REST, and the answers back."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing

from arbees_feed.core.events import BookTold
from arbees_feed.core.venue import Catalogue
from arbees_feed.enrich.crawl import Fetcher, crawl
from arbees_feed.errors import FeedError
from arbees_feed.feed.prober import Prober

LOOK_EVERY_S = 0.25


class RestProbe:
    """Asks a venue's REST interface for the books that the prober wants to compare; a service."""

    def __init__(
        self,
        catalogue: Catalogue,
        fetcher: Fetcher,
        prober: Prober,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._catalogue = catalogue
        self._fetcher = fetcher
        self._prober = prober
        self._sleep = sleep

    async def run(self) -> None:
        """Ask whenever something is to be asked, until cancelled.

        Raises:
            FeedError: a request failed; nothing is held against the markets. Run again.
        """
        while True:
            await self._sleep(LOOK_EVERY_S)
            markets = self._prober.take_rest()
            if not markets:
                continue
            books: list[BookTold] = []
            try:
                plan = self._catalogue.books(markets)
                async with aclosing(crawl(plan, self._fetcher)) as findings:
                    async for finding in findings:
                        books += finding.books
            except FeedError:
                self._prober.unanswered(markets)
                raise
            self._prober.answered(markets, books)
