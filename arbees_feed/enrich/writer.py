"""Write metadata to Redis: only what changed, a few hundred commands at a time.

A hash is merged, not replaced: others may keep fields of their own in it. What this process has
ever written and the newest record lacks is deleted. The index of titles (index.py) is kept in step:
of a market whose words are new to this process, the old ones are read back first, since a former
process may have left them.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime

import msgspec
from redis.exceptions import RedisError

from arbees_feed.core.model import EventMeta, MarketMeta
from arbees_feed.core.sharding import chunks
from arbees_feed.core.venue import Found
from arbees_feed.core.wire import Names
from arbees_feed.enrich.diff import Fields, Written, digest, event_fields, market_fields
from arbees_feed.enrich.index import Entry, TitleIndex
from arbees_feed.enrich.removal import Remover
from arbees_feed.enrich.stored import Pipeline, Redis, Stored, execute, stored_of, tell, text
from arbees_feed.enrich.words import market_words
from arbees_feed.errors import RedisUnavailable

__all__ = ["RECORDS_A_PIPELINE", "MetadataWriter", "Redis", "WriterStats"]

RECORDS_A_PIPELINE = 25
"""Each takes some three commands and its share of the words': packing them is milliseconds of the
loop that carries the prices."""
_AT_ONCE = 1_000
_STAMP = "enriched_at"
_MARKET_NAMES = set(MarketMeta.__struct_fields__) - {"market_id", "extras", "volume"}
_EVENT_NAMES = {"platform", "title", "category", "start_time", "end_time", "market_count"}


class WriterStats(msgspec.Struct):
    """What was written; plain integers, read by metrics."""

    markets_written: int = 0
    events_written: int = 0
    unchanged: int = 0
    removed: int = 0
    """Markets whose metadata was taken away."""
    events_removed: int = 0


class _Record(msgspec.Struct, frozen=True):
    """One hash to write."""

    name: str
    """What it is remembered by; market ids as they are, so that `knows` costs nothing."""
    key: str
    fields: Fields
    digest: bytes
    names: dict[str, None]
    """All names that hashes of this kind have had."""
    words: Sequence[str] = ()
    """What a market is found by; events are not searched."""
    volume: float = 0.0


class MetadataWriter:
    """Keeps the hashes of Redis equal to the newest metadata."""

    def __init__(
        self,
        redis: Redis,
        names: Names,
        *,
        venue: str = "",
        written: Written | None = None,
        timeout_s: float = 10.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Be ready to write; *venue* is whose markets `remove`, `count` and `strangers` mean."""
        self.stats = WriterStats()
        self.venue = venue
        self._redis = redis
        self._names = names
        self._written = Written() if written is None else written
        self._timeout_s = timeout_s
        self._now = now
        self._index = TitleIndex(names)
        self._remover = Remover(redis, names, timeout_s)
        # The names of the contract are there from the start: a former run may have left them.
        self._market_names = dict.fromkeys(_MARKET_NAMES)
        self._event_names = dict.fromkeys(_EVENT_NAMES)

    def knows(self, market: str) -> bool:
        """Return whether metadata of *market* was written."""
        return market in self._written

    def forget(self) -> None:
        """Write everything again when it is next seen: Redis may have lost it."""
        self._written.clear()

    async def write(self, found: Found) -> None:
        """Write what changed.

        Raises:
            RedisUnavailable: nothing of the failed pipeline counts as written; try again.
        """
        changed = [r for meta in found.markets if (r := self._market(meta)) is not None]
        self.stats.unchanged += len(found.markets) - len(changed)
        await self._write_markets(changed, found.markets)
        self.stats.markets_written += len(changed)
        events = [self._event(meta) for meta in found.events]
        self.stats.events_written += await self._write_events(events)

    async def write_first(self, markets: Sequence[MarketMeta]) -> None:
        """Write announcements of markets that are not known yet.

        An announcement says less than a listing: it adds no knowledge of a known market and
        takes no field away.
        """
        records = [self._market(meta) for meta in markets if not self.knows(meta.market_id)]
        first = [msgspec.structs.replace(r, names={}) for r in records if r is not None]
        await self._write_markets(first, ())
        self.stats.markets_written += len(first)

    async def remove(self, markets: Sequence[str]) -> Sequence[str]:
        """Take away all metadata of *markets*, and of events that have no other: return those.

        Raises:
            RedisUnavailable: something may be left; try again.
        """
        gone: list[str] = []
        for some in chunks(markets, RECORDS_A_PIPELINE):
            events = await self._remover.remove(some, self.venue)
            for market in some:
                self._written.drop(market)
            for event in events:
                self._written.drop(_event_name(event))
            self.stats.removed += len(some)
            self.stats.events_removed += len(events)
            gone += events
            # Others are waiting: each chunk was milliseconds of this loop.
            await asyncio.sleep(0)
        return gone

    async def count(self) -> int:
        """Return how many markets of the venue have metadata, whoever wrote it."""
        try:
            return int(await self._redis.zcard(self._names.volume(self.venue)))
        except RedisError as exc:
            raise RedisUnavailable(f"redis: {exc}") from exc

    async def strangers(self) -> AsyncIterator[str]:
        """Yield markets of the venue with metadata that this process has not written."""
        key = self._names.volume(self.venue)
        try:
            async for member, _ in self._redis.zscan_iter(key, count=_AT_ONCE):
                if not self.knows(market := text(member)):
                    yield market
        except RedisError as exc:
            raise RedisUnavailable(f"redis: {exc}") from exc

    # -- records -----------------------------------------------------------------------------------

    def _market(self, meta: MarketMeta) -> _Record | None:
        """Return what is to be written of a market, or None if nothing changed."""
        fields = market_fields(meta)
        found = digest(fields)
        if not self._written.differs(meta.market_id, found):
            return None
        words = market_words(meta.market_id, fields)
        key = self._names.meta(meta.market_id)
        return _Record(meta.market_id, key, fields, found, self._market_names, words, meta.volume)

    def _event(self, meta: EventMeta) -> _Record:
        fields = event_fields(meta)
        key = self._names.event_meta(meta.event_id)
        return _Record(_event_name(meta.event_id), key, fields, digest(fields), self._event_names)

    # -- markets -----------------------------------------------------------------------------------

    async def _write_markets(
        self, changed: Sequence[_Record], listed: Sequence[MarketMeta]
    ) -> None:
        for some in chunks(changed, RECORDS_A_PIPELINE):
            await self._send_markets(some)
            await asyncio.sleep(0)
        # Volumes of the others, so that ranks stay true; those without any have rank 0 already.
        done = {record.name for record in changed}
        traded = [meta for meta in listed if meta.volume > 0 and meta.market_id not in done]
        if traded:
            pipeline = self._redis.pipeline(transaction=False)
            for venue, metas in _by_platform(traded).items():
                self._index.weigh(pipeline, venue, {m.market_id: m.volume for m in metas})
            await execute(pipeline, self._timeout_s)

    async def _send_markets(self, records: Sequence[_Record]) -> None:
        words = {record.name: _word_digest(record) for record in records}
        moved = [r for r in records if self._written.rest(r.name) != words[r.name]]
        old = await stored_of(self._redis, self._names, [r.name for r in moved], self._timeout_s)
        pipeline = self._redis.pipeline(transaction=False)
        self._put_hashes(pipeline, records)
        for venue, some in _by_venue(moved).items():
            entries = [Entry(r.name, r.words) for r in some]
            self._index.add(pipeline, venue, entries)
        for record in moved:
            if event := record.fields.get("event_id"):
                pipeline.sadd(self._names.event_markets(event), record.name)
        for venue, some in _by_venue(records).items():
            self._index.weigh(pipeline, venue, {r.name: r.volume for r in some})
            tell(pipeline, self._names, venue, [r.name for r in some])
        await execute(pipeline, self._timeout_s)
        await self._forget_old_words(moved, old)
        for record in records:
            self._written.record(record.name, record.digest + words[record.name])

    async def _forget_old_words(self, moved: Sequence[_Record], old: Mapping[str, Stored]) -> None:
        """Take markets out of the sets of words that their titles had before."""
        lost: dict[str, dict[str, Stored]] = {}
        for record in moved:
            before = old.get(record.name, Stored())
            words = tuple(word for word in before.words if word not in record.words)
            event = before.event_id if before.event_id != record.fields.get("event_id") else ""
            if words or event:
                venue = before.platform or record.fields["platform"]
                lost.setdefault(venue, {})[record.name] = Stored(venue, event, words)
        for venue, markets in lost.items():
            await self._remover.forget_words(markets, venue)

    # -- events ------------------------------------------------------------------------------------

    async def _write_events(self, records: Sequence[_Record]) -> int:
        changed = [r for r in records if self._written.differs(r.name, r.digest)]
        self.stats.unchanged += len(records) - len(changed)
        for some in chunks(changed, RECORDS_A_PIPELINE):
            pipeline = self._redis.pipeline(transaction=False)
            self._put_hashes(pipeline, some)
            await execute(pipeline, self._timeout_s)
            for record in some:
                self._written.record(record.name, record.digest)
        return len(changed)

    def _put_hashes(self, pipeline: Pipeline, records: Sequence[_Record]) -> None:
        now = datetime.fromtimestamp(self._now(), UTC)
        stamp = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        for record in records:
            pipeline.hset(record.key, mapping={**record.fields, _STAMP: stamp})
            if vanished := _missing(record.names, record.fields):
                pipeline.hdel(record.key, *vanished)


def _event_name(event: str) -> str:
    return f"event:{event}"


def _word_digest(record: _Record) -> bytes:
    """Return what stands for the words and the event of a market."""
    return digest([record.fields.get("event_id", ""), *record.words])


def _by_venue(records: Sequence[_Record]) -> Mapping[str, list[_Record]]:
    by_venue: dict[str, list[_Record]] = {}
    for record in records:
        by_venue.setdefault(record.fields.get("platform", ""), []).append(record)
    return by_venue


def _by_platform(metas: Sequence[MarketMeta]) -> Mapping[str, list[MarketMeta]]:
    by_platform: dict[str, list[MarketMeta]] = {}
    for meta in metas:
        by_platform.setdefault(meta.platform, []).append(meta)
    return by_platform


def _missing(names: dict[str, None], fields: Fields) -> Sequence[str]:
    """Return the names that *fields* lacks, and learn its own."""
    names.update(dict.fromkeys(fields))
    return [name for name in names if name not in fields]
