"""What Redis keeps beside the prices: counters of venues, titles of markets, and searches."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from arbees_feed.cli.prices import AT_ONCE, answer, opened, read_hashes, read_meta
from arbees_feed.config import RedisSettings
from arbees_feed.core.backoff import Backoff
from arbees_feed.core.redisaddress import Address
from arbees_feed.core.wire import Names
from arbees_feed.enrich.search import search
from arbees_feed.errors import AuthenticationRejected, RedisUnavailable
from arbees_feed.reader.source import Source, errors_translated
from arbees_feed.reader.wanted import VENUES
from arbees_feed.supervisor import Policy

POLL_S: Final = 1.0
HITS: Final = 200
POLICY: Final = Policy(
    backoff=Backoff(first_s=0.2, cap_s=2.0), healthy_after_s=5.0, fatal_retry_s=2.0
)
"""When what is read beside the prices is tried again."""

Metadata = Mapping[str, Mapping[str, str]]


class Listener(Protocol):
    """Who is told what was read."""

    def on_venue(self, venue: str, fields: Mapping[str, str], now_s: float) -> None:
        """Take the counters of a venue, once a second; empty: its feed is gone."""

    def on_titles(self, found: Metadata) -> None:
        """Take the metadata of markets that were asked for."""

    def on_found(self, text: str, hits: Metadata) -> None:
        """Take the metadata of what a search has found, best first."""


class Facts:
    """Reads them once a second, and when asked; a service.

    *venues* are those to ask about beside ours; *untitled* returns the markets whose metadata is
    wanted.
    """

    name = "facts"

    def __init__(
        self,
        settings: RedisSettings,
        listener: Listener,
        *,
        venues: Iterable[str],
        untitled: Callable[[], Sequence[str]],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._names = Names(settings.key_prefix)
        self._listener = listener
        self._venues = venues
        self._untitled = untitled
        self._sleep = sleep
        self._monotonic = monotonic
        self._text = self._found = ""
        self._asked = asyncio.Event()

    def ask(self) -> None:
        """Read the titles that are wanted now."""
        self._asked.set()

    def seek(self, text: str) -> None:
        """Search for this text; only the last one asked for counts."""
        if text != self._text:
            self._text = text
            self._asked.set()

    async def run(self) -> None:
        """Read until cancelled.

        Raises:
            RedisUnavailable: run again to go on.
        """
        self._found = ""
        try:
            async with opened(self._settings) as source, asyncio.TaskGroup() as group:
                group.create_task(self._poll(source.client))
                group.create_task(self._answer(source))
        except* AuthenticationRejected as refused:
            raise RedisUnavailable(str(refused.exceptions[0])) from refused

    async def _poll(self, client: Any) -> None:
        while True:
            venues = list(dict.fromkeys([*VENUES, *self._venues]))
            with errors_translated():
                found = await read_hashes(client, [self._names.venue(venue) for venue in venues])
            for venue, fields in zip(venues, found, strict=True):
                self._listener.on_venue(venue, fields, self._monotonic())
            self._asked.set()
            await self._sleep(POLL_S)

    async def _answer(self, source: Source) -> None:
        while True:
            await self._asked.wait()
            self._asked.clear()
            with errors_translated():
                await self._read_titles(source.client)
                if self._text != self._found:
                    self._found = self._text
                    await self._search(source.client, self._found)

    async def _read_titles(self, client: Any) -> None:
        wanted = self._untitled()[:AT_ONCE]
        if wanted:
            found = await read_meta(client, self._names, wanted)
            self._listener.on_titles(dict(zip(wanted, found, strict=True)))

    async def _search(self, client: Any, text: str) -> None:
        # The index of titles is searched by intersecting keys, which a Cluster has on many nodes.
        has_index = Address(self._settings.url.get_secret_value()).kind != "cluster"
        hits = []
        if has_index and text.split():
            hits = await answer(search(client, self._names, text, limit=HITS))
        found = {
            hit.market_id: {
                "platform": hit.platform,
                "title": hit.title,
                "event_title": hit.event_title,
                "outcome_yes": hit.outcome_yes,
            }
            for hit in hits
        }
        self._listener.on_found(text, found)
