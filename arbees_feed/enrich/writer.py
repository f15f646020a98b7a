"""Write metadata to Redis hashes: only what changed, a few hundred commands at a time.

A hash is merged, not replaced: others may keep fields of their own in it. What this process has
ever written and the newest record lacks is deleted.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec
from redis.exceptions import RedisError

from arbees_feed.core.model import EventMeta, MarketMeta
from arbees_feed.core.sharding import chunks
from arbees_feed.core.venue import Found
from arbees_feed.core.wire import Names
from arbees_feed.enrich.diff import Fields, Written, digest, event_fields, market_fields
from arbees_feed.errors import RedisUnavailable

RECORDS_A_PIPELINE = 100
"""Each takes two or three commands."""
_STAMP = "enriched_at"
_MARKET_NAMES = set(MarketMeta.__struct_fields__) - {"market_id", "extras", "volume"}
_EVENT_NAMES = {"platform", "title", "category", "start_time", "end_time", "market_count"}


class Pipeline(Protocol):
    """The commands that are needed of a Redis pipeline."""

    # redis-py's keys are a union of types, and a Mapping is invariant in its keys.
    def hset(self, name: str, *, mapping: Mapping[Any, Any]) -> object:
        """Set fields of a hash."""

    def hdel(self, name: str, *keys: str) -> object:
        """Delete fields of a hash."""

    def sadd(self, name: str, *values: str) -> object:
        """Add members to a set."""

    async def execute(self) -> object:
        """Send all, and raise the first error."""


class Redis(Protocol):
    """What is needed of a Redis client."""

    def pipeline(self, *, transaction: bool) -> Pipeline:
        """Begin to collect commands."""


class WriterStats(msgspec.Struct):
    """What was written; plain integers, read by metrics."""

    markets_written: int = 0
    events_written: int = 0
    unchanged: int = 0


class _Record(msgspec.Struct, frozen=True):
    """One hash to write, and the set that its market belongs to."""

    name: str
    """What it is remembered by; market ids as they are, so that `knows` costs nothing."""
    key: str
    fields: Fields
    digest: bytes
    names: dict[str, None]
    """All names that hashes of this kind have had."""
    member: tuple[str, str] | None = None


class MetadataWriter:
    """Keeps the hashes of Redis equal to the newest metadata."""

    def __init__(
        self,
        redis: Redis,
        names: Names,
        *,
        written: Written | None = None,
        timeout_s: float = 10.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.stats = WriterStats()
        self._redis = redis
        self._names = names
        self._written = written or Written()
        self._timeout_s = timeout_s
        self._now = now
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
        markets = [self._market(meta) for meta in found.markets]
        self.stats.markets_written += await self._write_changed(markets)
        events = [self._event(meta) for meta in found.events]
        self.stats.events_written += await self._write_changed(events)

    async def write_first(self, markets: Sequence[MarketMeta]) -> None:
        """Write announcements of markets that are not known yet.

        An announcement says less than a listing: it adds no knowledge of a known market and
        takes no field away.
        """
        unknown = [self._market(meta) for meta in markets if not self.knows(meta.market_id)]
        records = [msgspec.structs.replace(record, names={}) for record in unknown]
        self.stats.markets_written += await self._write_changed(records)

    def _market(self, meta: MarketMeta) -> _Record:
        fields = market_fields(meta)
        member = None
        if meta.event_id:
            member = (self._names.event_markets(meta.event_id), meta.market_id)
        key = self._names.meta(meta.market_id)
        return _Record(meta.market_id, key, fields, digest(fields), self._market_names, member)

    def _event(self, meta: EventMeta) -> _Record:
        fields = event_fields(meta)
        key = self._names.event_meta(meta.event_id)
        return _Record(f"event:{meta.event_id}", key, fields, digest(fields), self._event_names)

    async def _write_changed(self, records: Sequence[_Record]) -> int:
        changed = [r for r in records if self._written.differs(r.name, r.digest)]
        self.stats.unchanged += len(records) - len(changed)
        for some in chunks(changed, RECORDS_A_PIPELINE):
            await self._send(some)
            for record in some:
                self._written.record(record.name, record.digest)
        return len(changed)

    async def _send(self, records: Sequence[_Record]) -> None:
        now = datetime.fromtimestamp(self._now(), UTC)
        stamp = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        pipeline = self._redis.pipeline(transaction=False)
        for record in records:
            pipeline.hset(record.key, mapping={**record.fields, _STAMP: stamp})
            if vanished := _missing(record.names, record.fields):
                pipeline.hdel(record.key, *vanished)
            if record.member:
                pipeline.sadd(*record.member)
        try:
            async with asyncio.timeout(self._timeout_s):
                await pipeline.execute()
        except (RedisError, OSError, TimeoutError) as exc:
            raise RedisUnavailable(f"metadata could not be written: {exc}") from exc


def _missing(names: dict[str, None], fields: Fields) -> Sequence[str]:
    """Return the names that *fields* lacks, and learn its own."""
    names.update(dict.fromkeys(fields))
    return [name for name in names if name not in fields]
