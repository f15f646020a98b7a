"""How commands read prices: one reader, and one client beside it for what a reader does not carry.

Joining, losses, staleness, reconnecting and every kind of URL are the reader's. Titles, a venue's
counters and searches go over a client that is made as the reader makes its own.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final, TypeVar

from arbees_feed.config import RedisSettings, redact_text, redact_url
from arbees_feed.core.redisaddress import Address
from arbees_feed.core.wire import MarketPrice, Names
from arbees_feed.errors import (
    AuthenticationRejected,
    FatalError,
    FeedError,
    SettingsError,
)
from arbees_feed.reader import PriceReader
from arbees_feed.reader.source import Source, errors_translated, open_source

AT_ONCE: Final = 500
BUFFER: Final = 20_000
"""With every price: so many wait at most while the screen is drawn, or nobody takes our lines."""
CLIENT_NAME: Final = "arbees-feed"

T = TypeVar("T")


def url_to_read(settings: RedisSettings) -> str:
    """Return the URL of the Redis to read from.

    Raises:
        SettingsError: there is no such thing to connect to.
    """
    url = settings.url.get_secret_value()
    if url == "embedded":
        raise SettingsError(
            "redis.url: 'embedded' is for the daemon; name the URL that it printed, as in "
            "--set redis.url=redis://127.0.0.1:16379/0"
        )
    return url


def redis_url(settings: RedisSettings) -> str:
    """Return the URL of a Redis that a feed can write to.

    Raises:
        SettingsError: there is no such thing to connect to.
        FatalError: it is a Cluster; those are only read.
    """
    url = url_to_read(settings)
    if url.startswith("redis+cluster://"):
        raise FatalError("redis.url: the feed writes to one server or to Sentinels' master")
    return url


def reader_of(
    settings: RedisSettings, markets: Sequence[str] | None = None, *, every: bool = False
) -> PriceReader:
    """Return a reader of these markets, or of all; it waits for Redis as long as it takes.

    Raises:
        SettingsError: the URL or a market id is malformed.
    """
    return PriceReader(
        url_to_read(settings),
        markets=markets,
        every=every,
        buffer=BUFFER,
        key_prefix=settings.key_prefix,
        start_timeout_s=None,
        timeout_s=settings.io_timeout_s,
        client_name=CLIENT_NAME,
    )


@asynccontextmanager
async def opened(settings: RedisSettings) -> AsyncIterator[Source]:
    """Yield a client, of any kind of URL; after a loss another one is to be opened.

    Raises:
        RedisUnavailable: Redis cannot be used; also from within the block.
        AuthenticationRejected: it refuses us.
    """
    address = Address(url_to_read(settings))
    with errors_translated():
        async with open_source(
            address, timeout_s=settings.io_timeout_s, name=CLIENT_NAME
        ) as source:
            yield source


@asynccontextmanager
async def reachable(settings: RedisSettings) -> AsyncIterator[Source]:
    """Yield a client of a Redis that answers.

    Raises:
        FatalError: it does not answer, or refuses us.
    """
    async with AsyncExitStack() as stack:
        try:
            source = await stack.enter_async_context(opened(settings))
            with errors_translated():
                await answer(source.client.ping())
        except SettingsError:
            raise
        except FeedError as exc:
            raise _unusable(settings, exc) from exc
        yield source


def _unusable(settings: RedisSettings, error: FeedError) -> FatalError:
    reason = redact_text(str(error)).removeprefix("redis: ")
    return FatalError(f"cannot use redis at {redact_url(url_to_read(settings))}: {reason}")


async def answer(work: Awaitable[T]) -> T:
    """Return what Redis answers; make good a cancellation that was swallowed meanwhile.

    redis-py sends under `asyncio.wait_for`, which in Python 3.11 forgets a cancellation that comes
    while what it waits for is just done (https://github.com/python/cpython/issues/86296).
    """
    result = await work
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
    return result


@asynccontextmanager
async def entered(reader: PriceReader) -> AsyncIterator[PriceReader]:
    """Yield *reader* once it has joined.

    Raises:
        AuthenticationRejected: Redis does not let us read prices.
    """
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(reader)
        except AuthenticationRejected as exc:
            raise AuthenticationRejected(f"redis: {str(exc).removeprefix('redis: ')}") from exc
        yield reader


# -- what a reader hands over ----------------------------------------------------------------------


class Intake:
    """Takes prices from a reader, and tells those that have come just now from older ones."""

    def __init__(self, reader: PriceReader) -> None:
        self._reader = reader
        self._before = (0, 0)

    async def next(self) -> tuple[list[MarketPrice], bool]:
        """Return all that waits, or the next to come; and whether some may have come from `:last`.

        Such prices, read after a join or a loss, are as old as their market is quiet.

        Raises:
            StopAsyncIteration: the reader is closed.
        """
        reader, stats = self._reader, self._reader.stats
        prices = await reader.batch(max(AT_ONCE, reader.waiting))
        before, self._before = self._before, (stats.joins, stats.healed)
        return prices, bool(reader.trouble) or self._before != before


# -- what is kept beside the prices ----------------------------------------------------------------


async def known_markets(source: Source, names: Names, venues: Sequence[str]) -> list[str]:
    """Return the ids of all markets that have a price, venue by venue."""
    markets: list[str] = []
    for venue in venues:
        found = await answer(source.matching(names.markets(venue), "*"))
        markets += sorted({market for market in found if _is_id(market)})
    return markets


def _is_id(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text and 0 < len(text) <= 256  # noqa: PLR2004


async def read_meta(client: Any, names: Names, markets: Sequence[str]) -> list[Mapping[str, str]]:
    """Return the metadata of *markets* in their order; nothing known: nothing in it."""
    return await read_hashes(client, [names.meta(market) for market in markets])


async def read_hashes(client: Any, keys: Sequence[str]) -> list[Mapping[str, str]]:
    """Return hashes as text, in the order of *keys*; one that is not there is empty."""
    async with client.pipeline(transaction=False) as pipeline:
        for key in keys:
            pipeline.hgetall(key)
        return [_as_text(fields) for fields in await answer(pipeline.execute())]


def _as_text(fields: Mapping[bytes, bytes]) -> dict[str, str]:
    return {
        key.decode(errors="replace"): value.decode(errors="replace")
        for key, value in fields.items()
    }
