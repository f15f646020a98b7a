"""How fast this account may ask, as the venue tells it: worth knowing, never worth failing for."""

from collections.abc import Callable
from contextlib import aclosing

import structlog

from arbees_feed.core.ratelimit import Rates
from arbees_feed.core.venue import Catalogue
from arbees_feed.enrich.checked import checked
from arbees_feed.enrich.crawl import Fetcher, crawl
from arbees_feed.errors import FeedError

_log = structlog.get_logger("arbees_feed.enrich")


class Allowance:
    """Asks once at the start, and ends; a service."""

    def __init__(
        self, catalogue: Catalogue, fetcher: Fetcher, apply: Callable[[Rates], None]
    ) -> None:
        self._catalogue = checked(catalogue)
        self._fetcher = fetcher
        self._apply = apply

    async def run(self) -> None:
        """Ask; whatever goes wrong, the documented rates hold."""
        try:
            async with aclosing(crawl(self._catalogue.allowance(), self._fetcher)) as findings:
                async for found in findings:
                    if found.rates is not None:
                        self._apply(found.rates)
                        _log.info("rate limit told by the venue", per_s=found.rates.rate_per_s)
        except FeedError as exc:
            _log.info("rate limit not told: the documented one holds", error=str(exc))
