"""Pairs in Redis: a hash each, and where to find them. Prices of pairs: channel and `:last`."""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from arbees_feed.core.sharding import chunks
from arbees_feed.core.text import clean, is_name
from arbees_feed.core.wire import Names
from arbees_feed.enrich.stored import answered, text
from arbees_feed.errors import RedisUnavailable
from arbees_feed.pairs.price import CLOSED, PairPrice
from arbees_feed.pairs.unreadable import Unreadable

AT_ONCE: Final = 20
WHOLE_AT_ONCE: Final = 5
"""Pairs written in one transaction: Redis does nothing else meanwhile, and prices wait."""
SCANNED: Final = 200
LONGEST: Final = 4_000
STATE_TTL_S: Final = 10
LAST_TTL_S: Final = 3_600
"""How long the newest price of a pair stays that is no more: `closed`, for who comes late."""
_PAIR: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,136}")
"""The id of a pair: a market's name, a dot and eight digits."""
_LATEST_SESSION: Final = 2**62
"""In the year 2116: a later one is none of ours."""


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
    def markets(self) -> tuple[str, str]:
        """Return both markets."""
        return self.kalshi_id, self.polymarket_id

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

    def __init__(
        self,
        redis: Any,
        names: Names,
        *,
        timeout_s: float = 10.0,
        may_write: Callable[[], bool] = lambda: True,
    ) -> None:
        """Pairs and prices are written only while this process *may_write* them."""
        self.unreadable = Unreadable()
        """What is left out, of everything that matching reads."""
        self._redis = redis
        self._names = names
        self._timeout_s = timeout_s
        self._may_write = may_write

    async def known(self) -> Mapping[str, dict[str, str]]:
        """Return the hashes of all pairs that Redis has.

        Raises:
            RedisUnavailable: Redis did not answer.
        """
        listed = self._names.pairs()
        members: dict[str, None] = {}
        cursor = None
        while cursor != 0:
            scan = self._redis.zscan(listed, cursor or 0, count=SCANNED)
            cursor, some = await self._read(scan, listed)
            members.update((text(member), None) for member, _ in some)
        pairs = [pair for pair in members if is_name(pair, _PAIR)]
        found: dict[str, dict[str, str]] = {}
        for some in chunks(pairs, AT_ONCE):
            pipeline = self._redis.pipeline(transaction=False)
            keys = [self._names.pair(pair) for pair in some]
            for key in keys:
                pipeline.hgetall(key)
            answers = await self._read(pipeline.execute(raise_on_error=False))
            for pair, key, fields in zip(some, keys, answers, strict=True):
                odd = self.unreadable.is_odd(key, fields)
                found[pair] = {} if odd else {text(n): text(v) for n, v in fields.items()}
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
                if data is not None and (price := _price_of(pair, data)) is not None:
                    found[pair] = price
        return found

    async def write(self, records: Sequence[PairRecord]) -> None:
        """Write pairs, each whole: what a hash had before is gone.

        Raises:
            RedisUnavailable: some may be missing; write them again.
        """
        for some in chunks(records, WHOLE_AT_ONCE):
            pipeline = self._redis.pipeline(transaction=True)
            keys: list[str] = []
            for record in some:
                key, all_pairs = self._names.pair(record.pair_id), self._names.pairs()
                pipeline.delete(key)
                pipeline.hset(key, mapping=record.fields)
                pipeline.zadd(all_pairs, {record.pair_id: record.confidence})
                sets = [self._names.market_pairs(market) for market in record.markets]
                for name in sets:
                    pipeline.sadd(name, record.pair_id)
                keys += [key, key, all_pairs, *sets]
            await self._execute(pipeline, keys)

    async def remove(self, pairs: Mapping[str, Sequence[str]]) -> None:
        """Remove pairs; *pairs* has the markets of each.

        Raises:
            RedisUnavailable: some may be left; remove them again.
        """
        for some in chunks(list(pairs), WHOLE_AT_ONCE):
            pipeline = self._redis.pipeline(transaction=True)
            keys: list[str] = []
            for pair in some:
                pipeline.zrem(self._names.pairs(), pair)
                pipeline.delete(self._names.pair(pair))
                sets = [self._names.market_pairs(market) for market in pairs[pair]]
                for name in sets:
                    pipeline.srem(name, pair)
                keys += [self._names.pairs(), self._names.pair(pair), *sets]
            await self._execute(pipeline, keys)

    async def publish(self, prices: Sequence[PairPrice]) -> None:
        """Write and publish prices, `:last` ahead of the message.

        Raises:
            RedisUnavailable: some may not have gone out; publish the newest ones again.
        """
        for some in chunks(prices, AT_ONCE):
            pipeline = self._redis.pipeline(transaction=False)
            keys: list[str] = []
            for price in some:
                data, key = price.to_msgpack(), self._names.pair_last(price.pair_id)
                kept_s = LAST_TTL_S if price.status == CLOSED else None
                pipeline.set(key, data, ex=kept_s)
                pipeline.publish(self._names.pair_price(price.pair_id), data)
                keys += [key, key]
            await self._execute(pipeline, keys)

    async def lease(self, venue: str, markets: Sequence[str], end_s: float) -> None:
        """Ask the feed to follow *markets* until the Unix time *end_s*; longer leases stay.

        Raises:
            RedisUnavailable: Redis did not take it.
        """
        key = self._names.watch(venue)
        for some in chunks(markets, AT_ONCE):
            pipeline = self._redis.pipeline(transaction=False)
            pipeline.zadd(key, dict.fromkeys(some, end_s), gt=True)
            await self._execute(pipeline, [key])

    async def say_state(self, fields: Mapping[str, str]) -> None:
        """Write the state of matching; it expires unless it is written again.

        Raises:
            RedisUnavailable: Redis did not take it.
        """
        key = self._names.pairs_state()
        pipeline = self._redis.pipeline(transaction=True)
        pipeline.hset(key, mapping=dict(fields))
        pipeline.expire(key, STATE_TTL_S)
        await self._execute(pipeline, [key, key])

    async def end_state(self) -> None:
        """Take the state away: nobody matches any more.

        Raises:
            RedisUnavailable: Redis did not take it; it expires.
        """
        key = self._names.pairs_state()
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.delete(key)
        await self._execute(pipeline, [key])

    async def _read(self, answer: Awaitable[Any], what: str = "pairs") -> Any:
        return await answered(answer, self._timeout_s, f"{what} could not be read")

    async def _execute(self, pipeline: Any, keys: Sequence[str]) -> None:
        """Send commands of which each is about one of *keys*, in order."""
        trouble = "pairs could not be written"
        if not self._may_write():
            raise RedisUnavailable(f"{trouble}: the claim on them is to be renewed first")
        sent = pipeline.execute(raise_on_error=False)
        answers = await answered(sent, self._timeout_s, trouble)
        for key, answer in zip(keys, answers, strict=True):
            self.unreadable.is_odd(key, answer)


def _price_of(pair: str, data: bytes) -> PairPrice | None:
    """Return what a `:last` holds, if that is a price of the pair of its key."""
    try:
        price = PairPrice.from_msgpack(data)
    except ValueError:
        return None
    return price if price.pair_id == pair and 0 <= price.session < _LATEST_SESSION else None
