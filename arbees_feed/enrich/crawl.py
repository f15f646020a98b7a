"""Drive a crawl: make the requests it asks for, hand over what it finds."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Protocol

from arbees_feed.core.venue import Crawl, Found, Request
from arbees_feed.errors import RequestFailed

# What a server answers to a request that it may well accept later.
_PASSING = frozenset({0, 408, 425, 429})
_SERVER_ERRORS = 500


class Fetcher(Protocol):
    """Makes one REST request."""

    async def fetch(self, request: Request) -> bytes | None:
        """Return the body, or None for a 404; see HttpFetcher for the errors."""


class Crawling:
    """A crawl under way. After a failed request it can go on: that request is made again."""

    def __init__(self, plan: Crawl) -> None:
        self.requests = 0
        self._plan = plan
        self._pending: Request | None = None

    async def findings(self, fetcher: Fetcher) -> AsyncGenerator[Found, None]:
        """Yield what is found until the crawl ends.

        Raises:
            RequestFailed, AuthenticationRejected: by the fetcher; call again to go on.
            ProtocolViolation: by the crawl, which is over then.
        """
        while (found := await self._next(fetcher)) is not None:
            yield found
            # Reading a page takes milliseconds of the loop that carries the prices.
            await asyncio.sleep(0)

    async def _next(self, fetcher: Fetcher) -> Found | None:
        while True:
            body = None
            if self._pending is not None:
                body = await fetcher.fetch(self._pending)
                self.requests += 1
                self._pending = None
            try:
                step = self._plan.send(body)
            except StopIteration:
                return None
            if isinstance(step, Found):
                return step
            self._pending = step


def is_worth_repeating(failed: RequestFailed) -> bool:
    """Return whether the same request may be accepted later (a cursor may expire)."""
    return failed.status in _PASSING or failed.status >= _SERVER_ERRORS


async def crawl(plan: Crawl, fetcher: Fetcher) -> AsyncGenerator[Found, None]:
    """Run *plan* once and yield what it finds; errors as in `Crawling.findings`."""
    async with aclosing(Crawling(plan).findings(fetcher)) as findings:
        async for found in findings:
            yield found
