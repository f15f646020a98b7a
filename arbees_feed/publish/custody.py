"""Whether Redis still has what it took: it may be emptied, or evict keys, and tell nobody.

A restart is seen by the publisher's connection, which writes everything again. `FLUSHALL` and a
`maxmemory-policy` that evicts leave the connection as it was: a quiet market would have no `:last`
for hours, and a reader that joins would find no market at all. So a few markets are looked up now
and then.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Protocol

import structlog
from redis.exceptions import NoPermissionError, RedisError

from arbees_feed.core.wire import Names
from arbees_feed.errors import RedisUnavailable
from arbees_feed.publish.outlet import Outlet
from arbees_feed.publish.stats import PublisherStats

_log = structlog.get_logger("arbees_feed.custody")

LOOK_EVERY_S: Final = 5.0
LOOKED_AT: Final = 20
"""Markets, at random, each time."""
DOUBT_S: Final = 1.0
"""So long one that is missing may take to be there: it was just written, or just let go."""


class Keeper(Protocol):
    """What is needed of the publisher."""

    stats: PublisherStats

    @property
    def problem(self) -> str:
        """What is wrong with Redis now; empty while it takes everything in time."""

    def write_again(self, outlets: Sequence[Outlet]) -> None:
        """Write these once more."""

    def write_all_again(self) -> None:
        """Write everything once more."""


class Custody:
    """Looks up what was written; a service."""

    name = "custody"

    def __init__(
        self,
        client: Any,
        names: Names,
        sample: Callable[[int], Sequence[Outlet]],
        keeper: Keeper,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._client = client
        self._names = names
        self._sample = sample
        self._keeper = keeper
        self._sleep = sleep

    async def run(self) -> None:
        """Look every few seconds, until cancelled, or for good if Redis does not let us.

        Raises:
            RedisUnavailable: run again.
        """
        try:
            while True:
                await self._sleep(LOOK_EVERY_S)
                await self.look()
        except NoPermissionError as exc:
            _log.warning("keys that redis loses go unnoticed", error=str(exc))
        except RedisError as exc:
            raise RedisUnavailable(f"redis can't be asked what it has: {exc}") from exc

    async def look(self) -> None:
        """Look up a few markets; write what is gone, and all of it if they are not even listed.

        Raises:
            RedisError: Redis is away, or does not let us look.
        """
        unlisted, lost = await self._gone(self._sample(LOOKED_AT))
        if not unlisted and not lost:
            return
        await self._sleep(DOUBT_S)
        unlisted, lost = await self._gone([*unlisted, *lost])
        self._keeper.stats.missing += len(unlisted) + len(lost)
        if unlisted:
            _log.warning("redis has lost what was written: writing everything again")
            self._keeper.write_all_again()
        elif lost:
            _log.warning(
                "redis has lost prices: does its maxmemory-policy evict keys?", markets=len(lost)
            )
            self._keeper.write_again(lost)

    async def _gone(self, outlets: Sequence[Outlet]) -> tuple[list[Outlet], list[Outlet]]:
        """Return those that are not in the set of their venue, and those without `:last`."""
        asked = [outlet for outlet in outlets if outlet.is_kept]
        if not asked or self._keeper.problem:
            return [], []
        pipeline = self._client.pipeline(transaction=False)
        for outlet in asked:
            pipeline.sismember(self._names.markets(outlet.platform), outlet.market)
            pipeline.exists(outlet.last_key)
        answers = iter(await pipeline.execute())
        found = {outlet: (next(answers), next(answers)) for outlet in asked}
        # What changed while Redis answered is being written anyway.
        sure = [outlet for outlet in asked if outlet.is_kept]
        return (
            [outlet for outlet in sure if not found[outlet][0]],
            [outlet for outlet in sure if found[outlet] == (1, 0)],
        )
