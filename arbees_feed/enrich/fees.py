"""What trading costs, where the venue tells it apart from its markets (Kalshi: by series).

Asked for beside the listings, which neither wait for it nor fail with it: markets listed before the
fees came are listed again, by the next listing.
"""

import asyncio
from collections.abc import Callable
from contextlib import aclosing

import structlog

from arbees_feed.core.venue import Catalogue
from arbees_feed.enrich.checked import checked
from arbees_feed.enrich.crawl import Crawling, Fetcher
from arbees_feed.enrich.timing import REAL_TIME, Timing
from arbees_feed.errors import ProtocolViolation, RequestFailed

_log = structlog.get_logger("arbees_feed.enrich")

REFRESH_S = 3600.0
PATIENCE_S = 30.0
"""The reply is some megabytes; one that failed is not asked for again any sooner."""


class FeeWatch:
    """Asks at the start and then each hour; a service. It ends where there is nothing to ask."""

    def __init__(
        self,
        catalogue: Catalogue,
        fetcher: Fetcher,
        outdated: Callable[[], None],
        *,
        timing: Timing = REAL_TIME,
    ) -> None:
        """Be ready to run; *outdated* is called when markets were told with other fees before."""
        self._catalogue = checked(catalogue)
        self._fetcher = fetcher
        self._outdated = outdated
        self._timing = timing
        self._due_s = float("-inf")

    async def run(self) -> None:
        """Ask, again and again, until cancelled.

        Raises:
            RetryableError: a request failed or its answer can't be read; run again to go on. What
                is known of fees stays.
            AuthenticationRejected: the venue refuses us.
        """
        while True:
            if (wait_s := self._due_s - self._timing.monotonic()) > 0:
                await self._timing.wait(asyncio.Event(), wait_s)
            elif not await self._ask():
                return

    async def _ask(self) -> int:
        """Ask once; return how many requests that took."""
        asking = Crawling(self._catalogue.fees())
        try:
            async with aclosing(asking.findings(self._fetcher)) as findings:
                async for found in findings:
                    if found.outdated:
                        _log.info("fees have changed: the next listing is a full one")
                        self._outdated()
        except (ProtocolViolation, RequestFailed) as exc:
            exc.retry_after_s = max(PATIENCE_S, exc.retry_after_s or 0.0)
            raise
        self._due_s = self._timing.monotonic() + REFRESH_S
        return asking.requests
