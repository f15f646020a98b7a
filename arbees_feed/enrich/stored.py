"""Redis as enrichment sees it: the commands it needs, and what is stored of markets already."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import msgspec
from redis.exceptions import RedisError

from arbees_feed.core.wire import MetadataNews, Names
from arbees_feed.enrich import index
from arbees_feed.enrich.words import INDEXED, market_words
from arbees_feed.errors import RedisUnavailable

T = TypeVar("T")

_READ = ("platform", *INDEXED)


class Pipeline(index.Pipeline, Protocol):
    """The commands that are needed of a Redis pipeline."""

    def hset(self, name: str, *, mapping: Mapping[Any, Any]) -> object:
        """Set fields of a hash."""

    def hdel(self, name: str, *keys: str) -> object:
        """Delete fields of a hash."""

    def hmget(self, name: str, keys: Sequence[str]) -> object:
        """Read fields of a hash."""

    def scard(self, name: str) -> object:
        """Count the members of a set."""

    def delete(self, *names: str) -> object:
        """Delete keys."""

    def publish(self, channel: str, message: bytes) -> object:
        """Send a message to who listens."""

    async def execute(self) -> Any:
        """Send all, and return the answers or raise the first error."""


class Redis(Protocol):
    """What is needed of a Redis client."""

    def pipeline(self, *, transaction: bool) -> Pipeline:
        """Begin to collect commands."""

    def zscan_iter(self, name: str, *, count: int) -> AsyncIterator[tuple[Any, float]]:
        """Iterate over a sorted set."""

    def zcard(self, name: str) -> Awaitable[Any]:
        """Count the members of a sorted set."""


class Stored(msgspec.Struct, frozen=True):
    """What Redis holds of one market."""

    platform: str = ""
    event_id: str = ""
    words: tuple[str, ...] = ()


async def execute(pipeline: Pipeline, timeout_s: float) -> Any:
    """Send all commands and return the answers.

    Raises:
        RedisUnavailable: it failed, in part or as a whole.
    """
    return await answered(pipeline.execute(), timeout_s, "metadata could not be written")


async def answered(answer: Awaitable[T], timeout_s: float, trouble: str) -> T:
    """Return an answer of Redis.

    Raises:
        RedisUnavailable: there is none in time, or it is an error; the text begins with *trouble*.
    """
    try:
        async with asyncio.timeout(timeout_s):
            return await answer
    except (RedisError, OSError, TimeoutError) as exc:
        raise RedisUnavailable(f"{trouble}: {str(exc) or 'no answer'}") from exc


async def stored_of(
    redis: Redis, names: Names, markets: Sequence[str], timeout_s: float
) -> Mapping[str, Stored]:
    """Return what is stored of those *markets* of which anything is."""
    if not markets:
        return {}
    pipeline = redis.pipeline(transaction=False)
    for market in markets:
        pipeline.hmget(names.meta(market), _READ)
    answers = await execute(pipeline, timeout_s)
    found: dict[str, Stored] = {}
    for market, values in zip(markets, answers, strict=True):
        fields = {name: text(value) for name, value in zip(_READ, values, strict=True) if value}
        if fields:
            words = tuple(market_words(market, fields))
            found[market] = Stored(fields.get("platform", ""), fields.get("event_id", ""), words)
    return found


def tell(pipeline: Pipeline, names: Names, venue: str, markets: Sequence[str]) -> None:
    """Name markets of *venue* whose metadata is written or removed, to those who follow it."""
    pipeline.publish(names.meta_news(), MetadataNews(venue, tuple(markets)).to_msgpack())


def text(value: bytes | str) -> str:
    """Return a value as text, whether the client decodes or not."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value
