"""Pairs in Redis: a hash each, and where to find them. Prices of pairs: channel and `:last`."""

import asyncio
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import msgspec
from redis.exceptions import RedisError

from arbees_feed.core.sharding import chunks
from arbees_feed.core.text import clean
from arbees_feed.core.wire import Names
from arbees_feed.errors import RedisUnavailable
from arbees_feed.pairs.price import CLOSED, PairPrice

AT_ONCE: Final = 100
LONGEST: Final = 4_000
STATE_TTL_S: Final = 10
LAST_TTL_S: Final = 3_600
"""How long the newest price of a pair stays that is no more: `closed`, for who comes late."""


class PairRecord(msgspec.Struct, frozen=True):
    """What `pair:<pair_id>` says; text only."""

    pair_id: str
    kalshi_id: str
    polymarket_id: str
    grade: str
    confidence: float
    polarity: str
    by: str
    """`matcher` or `user`."""
    reasons: str
    conflicts: str
    since: str
    """RFC 3339: when it was found with this grade and polarity."""

    @property
    def fields(self) -> dict[str, str]:
        """Return the fields of the hash; what is empty is left out."""
        said = {
            "kalshi_id": self.kalshi_id,
            "polymarket_id": self.polymarket_id,
            "grade": self.grade,
            "confidence": f"{self.confidence:.3f}",
            "polarity": self.polarity,
            "by": self.by,
            "reasons": clean(self.reasons, LONGEST),
            "conflicts": clean(self.conflicts, LONGEST),
            "since": self.since,
        }
        return {name: value for name, value in said.items() if value}


class PairStore:
    """Writes pairs; what failed is to be written again by the caller."""

    def __init__(self, redis: Any, names: Names, *, timeout_s: float = 10.0) -> None:
        self._redis = redis
        self._names = names
        self._timeout_s = timeout_s

    async def known(self) -> Mapping[str, dict[str, str]]:
        """Return the hashes of all pairs that Redis has.

        Raises:
            RedisUnavailable: Redis did not answer.
        """
        members = await self._read(self._redis.zrange(self._names.pairs(), 0, -1))
        found: dict[str, dict[str, str]] = {}
        for some in chunks([_text(member) for member in members], AT_ONCE):
            pipeline = self._redis.pipeline(transaction=False)
            for pair in some:
                pipeline.hgetall(self._names.pair(pair))
            for pair, fields in zip(some, await self._read(pipeline.execute()), strict=True):
                found[pair] = {_text(name): _text(value) for name, value in fields.items()}
        return found

    async def lasts(self, pairs: Iterable[str]) -> Mapping[str, PairPrice]:
        """Return what Redis has as the newest price of some pairs; none for what can't be read.

        Raises:
            RedisUnavailable: Redis did not answer.
        """
        found: dict[str, PairPrice] = {}
        for some in chunks(list(pairs), AT_ONCE):
            keys = [self._names.pair_last(pair) for pair in some]
            for pair, data in zip(some, await self._read(self._redis.mget(keys)), strict=True):
                with suppress(ValueError):
                    if data is not None:
                        found[pair] = PairPrice.from_msgpack(data)
        return found

    async def write(self, records: Sequence[PairRecord]) -> None:
        """Write pairs, each whole: what a hash had before is gone.

        Raises:
            RedisUnavailable: some may be missing; write them again.
        """
        for some in chunks(records, AT_ONCE):
            pipeline = self._redis.pipeline(transaction=True)
            for record in some:
                key = self._names.pair(record.pair_id)
                pipeline.delete(key)
                pipeline.hset(key, mapping=record.fields)
                pipeline.zadd(self._names.pairs(), {record.pair_id: record.confidence})
                for market in (record.kalshi_id, record.polymarket_id):
                    pipeline.sadd(self._names.market_pairs(market), record.pair_id)
            await self._execute(pipeline)

    async def remove(self, pairs: Mapping[str, Sequence[str]]) -> None:
        """Remove pairs; *pairs* has the markets of each.

        Raises:
            RedisUnavailable: some may be left; remove them again.
        """
        for some in chunks(list(pairs), AT_ONCE):
            pipeline = self._redis.pipeline(transaction=True)
            for pair in some:
                pipeline.zrem(self._names.pairs(), pair)
                pipeline.delete(self._names.pair(pair))
                for market in pairs[pair]:
                    pipeline.srem(self._names.market_pairs(market), pair)
            await self._execute(pipeline)

    async def publish(self, prices: Sequence[PairPrice]) -> None:
        """Write and publish prices, `:last` ahead of the message.

        Raises:
            RedisUnavailable: some may not have gone out; publish the newest ones again.
        """
        for some in chunks(prices, AT_ONCE):
            pipeline = self._redis.pipeline(transaction=False)
            for price in some:
                data = price.to_msgpack()
                kept_s = LAST_TTL_S if price.status == CLOSED else None
                pipeline.set(self._names.pair_last(price.pair_id), data, ex=kept_s)
                pipeline.publish(self._names.pair_price(price.pair_id), data)
            await self._execute(pipeline)

    async def lease(self, venue: str, markets: Sequence[str], end_s: float) -> None:
        """Ask the feed to follow *markets* until the Unix time *end_s*; longer leases stay.

        Raises:
            RedisUnavailable: Redis did not take it.
        """
        for some in chunks(markets, AT_ONCE):
            pipeline = self._redis.pipeline(transaction=False)
            pipeline.zadd(self._names.watch(venue), dict.fromkeys(some, end_s), gt=True)
            await self._execute(pipeline)

    async def say_state(self, fields: Mapping[str, str]) -> None:
        """Write the state of matching; it expires unless it is written again.

        Raises:
            RedisUnavailable: Redis did not take it.
        """
        key = self._names.pairs_state()
        pipeline = self._redis.pipeline(transaction=True)
        pipeline.hset(key, mapping=dict(fields))
        pipeline.expire(key, STATE_TTL_S)
        await self._execute(pipeline)

    async def end_state(self) -> None:
        """Take the state away: nobody matches any more.

        Raises:
            RedisUnavailable: Redis did not take it; it expires.
        """
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.delete(self._names.pairs_state())
        await self._execute(pipeline)

    async def _read(self, answer: Awaitable[Any]) -> Any:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await answer
        except (RedisError, OSError, TimeoutError) as exc:
            raise RedisUnavailable(f"pairs could not be read: {exc}") from exc

    async def _execute(self, pipeline: Any) -> Any:
        try:
            async with asyncio.timeout(self._timeout_s):
                return await pipeline.execute()
        except (RedisError, OSError, TimeoutError) as exc:
            raise RedisUnavailable(f"pairs could not be written: {exc}") from exc


def _text(value: bytes | str) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value
