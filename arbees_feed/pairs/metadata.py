"""Follows the metadata that enrichment keeps in Redis: everything once, then what changes.

Enrichment names changed and removed markets on `feed:meta`. A name that is lost there is found by
the next scan; so nothing depends on the channel but how soon a change is seen.
"""

import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final, Protocol

import msgspec
from redis.exceptions import RedisError

from arbees_feed.core.sharding import chunks
from arbees_feed.core.text import is_name
from arbees_feed.core.wire import MetadataNews, Names
from arbees_feed.enrich.diff import LONGEST_EXTRA
from arbees_feed.enrich.stored import answered, text
from arbees_feed.errors import RedisUnavailable
from arbees_feed.pairs.unreadable import Unreadable

_TROUBLE: Final = "metadata could not be read"

AT_ONCE: Final = 20
"""Hashes asked for together: Redis reads a pipeline whole, and prices wait meanwhile."""
SCANNED: Final = 50
"""Asked of a sorted set in one command: Redis does nothing else meanwhile."""
POLL_S: Final = 1.0
TIMEOUT_S: Final = 10.0
MOST_HEARD: Final = 10_000
"""Messages taken at once, whoever goes on sending: markets are to be read in between."""
MOST_BYTES: Final = 4 * LONGEST_EXTRA
"""The longest field that enrichment writes, in UTF-8."""


class Meta(msgspec.Struct, frozen=True, gc=False):
    """What Redis has of one market."""

    venue: str
    market_id: str
    fields: dict[str, str]


class Taker(Protocol):
    """Who hears of metadata."""

    async def found(self, metas: Sequence[Meta]) -> None:
        """Take what is known of some markets, new or changed or the same as before."""

    async def gone(self, markets: Sequence[str]) -> None:
        """Forget markets that have no metadata any more."""

    async def scanned(self) -> None:
        """Everything that was there has been told."""


class MetadataFollower:
    """Reads metadata of *venues* into a taker; a service."""

    name = "pairs-metadata"

    def __init__(
        self,
        open_redis: Callable[[], AbstractAsyncContextManager[Any]],
        names: Names,
        venues: Sequence[str],
        taker: Taker,
        *,
        fields: Sequence[str],
        unreadable: Unreadable,
        rescan_s: float = 1_800.0,
    ) -> None:
        """Be ready; each run opens a connection of its own. Of each hash, *fields* are read."""
        self._open_redis = open_redis
        self._redis: Any = None
        self._names = names
        self._venues = tuple(venues)
        self._taker = taker
        self._fields = tuple(fields)
        self._unreadable = unreadable
        self._rescan_s = rescan_s
        self._known: dict[str, str] = {}
        self._changed: dict[str, str] = {}
        self._missing: dict[str, float] = {}
        """Markets that a scan did not find, and since when."""

    async def run(self) -> None:
        """Read all, then what changes, until cancelled.

        Raises:
            RedisUnavailable: Redis did not answer; run again to begin with a scan.
        """
        try:
            async with self._open_redis() as self._redis, self._subscribed() as channel:
                while True:
                    await self._scan(channel)
                    due_s = time.monotonic() + self._rescan_s
                    while time.monotonic() < due_s:
                        await self._hear(channel, POLL_S)
                        await self._read_changed()
        except (RedisError, OSError, TimeoutError) as exc:
            raise RedisUnavailable(f"{_TROUBLE}: {exc}") from exc

    @asynccontextmanager
    async def _subscribed(self) -> AsyncIterator[Any]:
        channel = self._redis.pubsub(ignore_subscribe_messages=True)
        try:
            await channel.subscribe(self._names.meta_news())
            await channel.get_message(timeout=TIMEOUT_S)
            yield channel
        finally:
            await channel.aclose()

    async def _scan(self, channel: Any) -> None:
        seen: set[str] = set()
        for venue in self._venues:
            async for members in self._members(venue):
                missing = set(await self._read(venue, members))
                seen.update(market for market in members if market not in missing)
                await self._hear(channel, 0.0)
        await self._drop(self._missed_for_long(seen))
        await self._taker.scanned()

    def _missed_for_long(self, seen: Collection[str]) -> list[str]:
        """Return what earlier scans did not see either.

        A Redis that has lost its data is filled again by enrichment, which takes a while.
        """
        now_s = time.monotonic()
        self._missing = {
            market: self._missing.get(market, now_s) for market in self._known if market not in seen
        }
        patience_s = self._rescan_s / 2
        return [market for market, at_s in self._missing.items() if now_s - at_s >= patience_s]

    async def _drop(self, markets: Iterable[str]) -> None:
        if known := [market for market in markets if self._known.pop(market, None)]:
            await self._taker.gone(known)

    async def _members(self, venue: str) -> AsyncIterator[Sequence[str]]:
        """Yield the ids of all markets with metadata, some at a time."""
        waiting: list[str] = []
        async for member, _ in self._redis.zscan_iter(self._names.volume(venue), count=SCANNED):
            if is_name(market := text(member)):
                waiting.append(market)
            if len(waiting) >= AT_ONCE:
                yield waiting
                waiting = []
        if waiting:
            yield waiting

    async def _hear(self, channel: Any, timeout_s: float) -> None:
        """Note what was named on the channel; wait for the first so long."""
        for number in range(MOST_HEARD):
            message = await channel.get_message(timeout=0.0 if number else timeout_s)
            if message is None:
                return
            try:
                news = MetadataNews.from_msgpack(message["data"])
            except ValueError as exc:
                self._unreadable.note(self._names.meta_news(), exc)
                continue
            if news.venue in self._venues:
                self._changed.update((name, news.venue) for name in news.markets if is_name(name))

    async def _read_changed(self) -> None:
        changed, self._changed = self._changed, {}
        for venue in self._venues:
            markets = [market for market, its in changed.items() if its == venue]
            for some in chunks(markets, AT_ONCE):
                await self._drop(await self._read(venue, some))

    async def _read(self, venue: str, markets: Sequence[str]) -> Sequence[str]:
        """Read hashes and hand them over; return the markets that have none."""
        pipeline = self._redis.pipeline(transaction=False)
        keys = [self._names.meta(market) for market in markets]
        for key in keys:
            pipeline.hmget(key, self._fields)
        sent = pipeline.execute(raise_on_error=False)
        metas, gone = [], []
        for market, key, values in zip(
            markets, keys, await answered(sent, TIMEOUT_S, _TROUBLE), strict=True
        ):
            fields = self._read_fields(key, values)
            # A market's hash may have its id only for a moment, between two writers.
            if fields.get("platform") == venue:
                metas.append(Meta(venue, market, fields))
                self._known[market] = venue
            else:
                gone.append(market)
        if metas:
            await self._taker.found(metas)
        return gone

    def _read_fields(self, key: str, values: Sequence[bytes | str | None]) -> dict[str, str]:
        """Return what a hash says; nothing if enrichment can't have written it."""
        if self._unreadable.is_odd(key, values):
            return {}
        told = {name: value for name, value in zip(self._fields, values, strict=True) if value}
        if any(len(value) > MOST_BYTES for value in told.values()):
            self._unreadable.note(key, f"a field of more than {MOST_BYTES:,} bytes")
            return {}
        return {name: text(value) for name, value in told.items()}
