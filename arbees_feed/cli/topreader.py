"""What `top` reads: everything that is published, and what Redis keeps beside it.

The order of a join: subscribe, wait until Redis has confirmed, then read `:last`.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, Protocol

from redis.exceptions import RedisError

from arbees_feed.cli.prices import AT_ONCE, as_text, known_markets, read_meta
from arbees_feed.cli.toplink import Link, Message, open_link
from arbees_feed.config import redact_text
from arbees_feed.core.sharding import chunks
from arbees_feed.core.wire import Names
from arbees_feed.enrich.search import search
from arbees_feed.errors import RedisUnavailable
from arbees_feed.venues import VENUES

POLL_S: Final = 1.0
HITS: Final = 200
_GLOB: Final = str.maketrans({character: f"\\{character}" for character in "*?[]\\^"})


class Listener(Protocol):
    """Who is told what was read; times in seconds are monotonic."""

    def on_messages(self, messages: Sequence[Message], now_s: float, now_ns: int) -> None:
        """Take (channel, payload) of prices that came in one piece."""

    def on_last(self, market_id: str, data: bytes, now_s: float) -> None:
        """Take what `:last` says."""

    def on_beat(self, data: bytes, now_s: float) -> None:
        """Take a message of `feed:status`."""

    def on_venue(self, name: str, fields: Mapping[str, str], now_s: float) -> None:
        """Take a venue's hash; nothing in it: no feed keeps it."""

    def on_book(self, market_id: str, data: bytes) -> None:
        """Take the depth of the market that is looked at."""

    def on_titles(self, found: Mapping[str, Mapping[str, str]]) -> None:
        """Take metadata that was asked for."""

    def on_found(self, text: str, hits: Mapping[str, Mapping[str, str]]) -> None:
        """Take metadata of what a search has found, best first."""

    def on_join(self, now_s: float) -> None:
        """Subscribed, and everything that was there has been read."""


class TopReader:
    """Reads what is published and what is kept, into a listener; a service."""

    name = "top"

    def __init__(
        self,
        url: str,
        client: Any,
        names: Names,
        listener: Listener,
        *,
        timeout_s: float,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._client = client
        self._names = names
        self._listener = listener
        self._timeout_s = timeout_s
        self._sleep = sleep
        self._monotonic = monotonic
        self._link: Link | None = None
        self._looked_at: str | None = None
        self._text = ""
        self._untitled: list[str] = []
        self._asked = asyncio.Event()

    # -- what the screen wants ---------------------------------------------------------------------

    def look_at(self, market_id: str | None) -> None:
        """Read the depth of this market, and of no other."""
        if market_id == self._looked_at:
            return
        before, self._looked_at = self._looked_at, market_id
        if self._link is not None:
            if before is not None:
                self._link.send("UNSUBSCRIBE", self._names.book(before))
            if market_id is not None:
                self._link.send("SUBSCRIBE", self._names.book(market_id))

    def seek(self, text: str) -> None:
        """Search for this text; only the last one asked for counts."""
        if text != self._text:
            self._text = text
            self._asked.set()

    def want_titles(self, markets: Sequence[str]) -> None:
        """Read the metadata of these markets soon."""
        if markets:
            self._untitled = [*self._untitled, *markets][-AT_ONCE:]
            self._asked.set()

    # -- the service -------------------------------------------------------------------------------

    async def run(self) -> None:
        """Follow until cancelled.

        Raises:
            RedisUnavailable: run again to go on.
        """
        with _translated():
            async with open_link(self._url, self._take, timeout_s=self._timeout_s) as link:
                everything = self._names.prefix.translate(_GLOB) + "market:*:price"
                await link.subscribe(self._names.status(), everything, self._timeout_s)
                if self._looked_at is not None:
                    link.send("SUBSCRIBE", self._names.book(self._looked_at))
                self._link = link
                try:
                    async with asyncio.TaskGroup() as group:
                        group.create_task(link.lost())
                        group.create_task(self._keep_up())
                        group.create_task(self._answer())
                finally:
                    self._link = None

    def _take(self, prices: list[Message], others: list[Message]) -> None:
        now_s = self._monotonic()
        if prices:
            self._listener.on_messages(prices, now_s, time.time_ns())
        status = self._names.status().encode()
        looked_at = self._looked_at
        for channel, data in others:
            if channel == status:
                self._listener.on_beat(data, now_s)
            elif looked_at is not None and channel == self._names.book(looked_at).encode():
                self._listener.on_book(looked_at, data)

    async def _keep_up(self) -> None:
        """Read what is there already, then the venues' hashes once a second."""
        with _translated():
            await self._join()
            while True:
                await self._sleep(POLL_S)
                await self._read_venues()

    async def _join(self) -> None:
        await self._read_venues()
        for some in chunks(await known_markets(self._client, self._names), AT_ONCE):
            found = await self._client.mget([self._names.last(market) for market in some])
            for market, data in zip(some, found, strict=True):
                if data is not None:
                    self._listener.on_last(market, data, self._monotonic())
            _end_if_cancelled()
        self._listener.on_join(self._monotonic())

    async def _read_venues(self) -> None:
        for venue in VENUES:
            fields = await self._client.hgetall(self._names.venue(venue))
            self._listener.on_venue(venue, as_text(fields), self._monotonic())
        _end_if_cancelled()

    async def _answer(self) -> None:
        """Look up what the screen asks for, the newest question only."""
        told = ""
        self._asked.set()  # what was asked before may have got lost with its connection
        with _translated():
            while True:
                await self._asked.wait()
                self._asked.clear()
                if self._untitled:
                    wanted, self._untitled = self._untitled, []
                    found = await read_meta(self._client, self._names, wanted)
                    self._listener.on_titles(dict(zip(wanted, found, strict=True)))
                if self._text != told:
                    told = self._text
                    await self._search(told)
                _end_if_cancelled()

    async def _search(self, text: str) -> None:
        hits = await search(self._client, self._names, text, limit=HITS) if text.split() else []
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


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError) as exc:
        raise RedisUnavailable(redact_text(str(exc)) or type(exc).__name__) from exc


def _end_if_cancelled() -> None:
    """Make good a cancellation that redis-py has swallowed, as `prices` tells."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
