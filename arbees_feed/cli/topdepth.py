"""The depth of the one market that is looked at: its channel, over a connection of its own."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

from arbees_feed.cli.prices import opened
from arbees_feed.config import RedisSettings
from arbees_feed.core.wire import Names
from arbees_feed.errors import AuthenticationRejected, RedisUnavailable
from arbees_feed.reader.link import Link, open_link

LOOK_S: Final = 0.5


class Depth:
    """Hears the books of one market at a time; a service."""

    name = "depth"

    def __init__(self, settings: RedisSettings, on_book: Callable[[bytes], None]) -> None:
        self._settings = settings
        self._names = Names(settings.key_prefix)
        self._on_book = on_book
        self._market: str | None = None
        self._changed = asyncio.Event()

    def look_at(self, market_id: str | None) -> None:
        """Hear the depth of this market, and of no other."""
        if market_id != self._market:
            self._market = market_id
            self._changed.set()

    async def run(self) -> None:
        """Hear until cancelled; there is no connection before a market is looked at.

        Raises:
            RedisUnavailable: run again to go on.
        """
        while self._market is None:
            self._changed.clear()
            await self._changed.wait()
        try:
            async with opened(self._settings) as source:
                ((connection, _),) = source.connections([], sharded=False)
                async with open_link(
                    connection, self, "", _nothing, timeout_s=self._settings.io_timeout_s
                ) as link:
                    await self._hear(link)
        except AuthenticationRejected as exc:
            raise RedisUnavailable(str(exc)) from exc

    async def _hear(self, link: Link) -> None:
        heard: str | None = None
        while True:
            self._changed.clear()
            if heard != self._market:
                before, heard = heard, self._market
                await link.change("UNSUBSCRIBE", self._channels(before))
                await link.change("SUBSCRIBE", self._channels(heard))
            await self._wait(link)
            link.tick(time.monotonic())
            link.check()

    def _channels(self, market_id: str | None) -> list[str]:
        return [] if market_id is None else [self._names.book(market_id)]

    async def _wait(self, link: Link) -> None:
        """Wait for another market, the end of the connection, or a moment."""
        async with asyncio.TaskGroup() as group:
            changed = group.create_task(self._changed.wait())
            either: set[asyncio.Future[Any]] = {link.ended, changed}
            await asyncio.wait(either, timeout=LOOK_S, return_when=asyncio.FIRST_COMPLETED)
            changed.cancel()

    # -- what the connection hands over ------------------------------------------------------------

    def published(self, data: bytes, now_s: float, channel: bytes = b"") -> None:
        """Take a message of the channel."""
        del now_s, channel
        self._on_book(data)

    def beat(self, data: bytes, now_s: float) -> None:
        """Take nothing: heartbeats are the reader's."""


def _nothing() -> None:
    pass
