"""What Redis tells a reader: prices, heartbeats, venue counters and titles, joined without a gap.

The order of a join: subscribe, wait until Redis has confirmed, then read `:last`. A price that
comes both ways, or out of order, is dropped by (session, seq).
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Protocol, cast

import msgspec
from redis.exceptions import RedisError

from arbees_feed.config import RedisSettings, redact_text, redact_url
from arbees_feed.core.sharding import chunks
from arbees_feed.core.wire import MarketPrice, Names
from arbees_feed.errors import FatalError, RedisUnavailable, SettingsError
from arbees_feed.transport.redis import open_client
from arbees_feed.venues import VENUES

AT_ONCE = 500
POLL_S = 1.0
_GLOB = str.maketrans({character: f"\\{character}" for character in "*?[]\\^"})

_maps = msgspec.msgpack.Decoder(dict[str, Any])


class Beat(msgspec.Struct, frozen=True):
    """A message of `feed:status`."""

    venue: str
    state: str
    reason: str = ""
    session: int = 0
    """The start of the process that beats; prices of an earlier one are not its word."""


class Listener(Protocol):
    """Who is told what was read."""

    def on_price(self, price: MarketPrice, now_ns: int, *, joined: bool) -> None:
        """Take a price; *joined* means read from `:last` and not published just now."""

    def on_beat(self, beat: Beat) -> None:
        """Take the state of a venue, told on change and once a second."""

    def on_venue(self, venue: str, fields: Mapping[str, str]) -> None:
        """Take the counters of a venue, once a second; empty: its feed is gone."""

    def on_titles(self, found: Mapping[str, Mapping[str, str]]) -> None:
        """Take the metadata of markets that were asked for."""

    def untitled(self) -> Sequence[str]:
        """Return the markets whose metadata is wanted."""


def redis_url(settings: RedisSettings) -> str:
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
    if url.startswith("redis+cluster://"):
        raise FatalError("redis.url: commands read from one server or from Sentinels' master")
    return url


@asynccontextmanager
async def reachable(settings: RedisSettings) -> AsyncIterator[Any]:
    """Yield a client of a Redis that answers.

    Raises:
        FatalError: it does not answer, or refuses us.
    """
    url = redis_url(settings)
    async with open_client(url, timeout_s=settings.io_timeout_s) as client:
        try:
            await cast("Any", client).ping()
        except (RedisError, OSError) as exc:
            reason = redact_text(str(exc)) or type(exc).__name__
            raise FatalError(f"cannot use redis at {redact_url(url)}: {reason}") from exc
        yield client


class Prices:
    """Follows the prices of some markets, or of all, into a listener; a service."""

    name = "prices"

    def __init__(
        self,
        client: Any,
        names: Names,
        listener: Listener,
        markets: Sequence[str] = (),
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.malformed = 0
        self.lost = 0
        """Prices that were published and did not reach us."""
        self.joined = asyncio.Event()
        self._client = client
        self._names = names
        self._listener = listener
        self._markets = markets
        self._sleep = sleep
        self._newest: dict[str, tuple[int, int]] = {}
        self._heard: dict[str, tuple[int, int]] = {}

    async def run(self) -> None:
        """Follow until cancelled.

        Raises:
            RedisUnavailable: run again to go on.
        """
        confirmed = asyncio.Event()
        with _translated():
            async with self._client.pubsub() as pubsub:
                wanted = [self._names.price(market) for market in self._markets]
                await pubsub.subscribe(self._names.status(), *wanted)
                if not wanted:
                    everything = self._names.prefix.translate(_GLOB) + "market:*:price"
                    await pubsub.psubscribe(everything)
                _end_if_cancelled()
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._listen(pubsub, max(2, 1 + len(wanted)), confirmed))
                    group.create_task(self._join(confirmed))
                    group.create_task(self._poll())

    # -- published -----------------------------------------------------------------------------

    async def _listen(self, pubsub: Any, subscriptions: int, confirmed: asyncio.Event) -> None:
        status = self._names.status().encode()
        with _translated():
            async for message in pubsub.listen():
                if message["type"] not in {"message", "pmessage"}:
                    subscriptions -= 1
                    if not subscriptions:
                        confirmed.set()
                elif message["channel"] == status:
                    self._take_beat(message["data"])
                else:
                    self._take_price(message["data"], joined=False)

    def _take_price(self, data: bytes, *, joined: bool) -> None:
        try:
            price = MarketPrice.from_msgpack(data)
        except ValueError:
            self.malformed += 1
            return
        market, stamp = price.market_id, (price.session, price.seq)
        if not joined:
            self._count_lost(market, stamp)
        if stamp <= self._newest.get(market, (0, 0)):
            return
        self._newest[market] = stamp
        self._listener.on_price(price, time.time_ns(), joined=joined)

    def _count_lost(self, market: str, stamp: tuple[int, int]) -> None:
        before = self._heard.get(market)
        if before is not None and before[0] == stamp[0]:
            self.lost += max(0, stamp[1] - before[1] - 1)
        self._heard[market] = stamp

    def _take_beat(self, data: bytes) -> None:
        try:
            self._listener.on_beat(msgspec.convert(_maps.decode(data), Beat))
        except msgspec.MsgspecError:
            self.malformed += 1

    # -- kept ----------------------------------------------------------------------------------

    async def _join(self, confirmed: asyncio.Event) -> None:
        await confirmed.wait()
        with _translated():
            await self._read_venues()
            markets = self._markets or await known_markets(self._client, self._names)
            for some in chunks(markets, AT_ONCE):
                for data in await self._client.mget([self._names.last(m) for m in some]):
                    if data is not None:
                        self._take_price(data, joined=True)
        self.joined.set()

    async def _poll(self) -> None:
        while True:
            await self._sleep(POLL_S)
            with _translated():
                await self._read_venues()
                wanted = self._listener.untitled()[:AT_ONCE]
                if wanted:
                    found = await read_meta(self._client, self._names, wanted)
                    self._listener.on_titles(dict(zip(wanted, found, strict=True)))

    async def _read_venues(self) -> None:
        for venue in VENUES:
            fields = await self._client.hgetall(self._names.venue(venue))
            self._listener.on_venue(venue, as_text(fields))


async def known_markets(
    client: Any, names: Names, venues: Sequence[str] = tuple(VENUES)
) -> list[str]:
    """Return the ids of all markets that have a price, venue by venue."""
    markets: list[str] = []
    for venue in venues:
        found = [
            member.decode() async for member in client.sscan_iter(names.markets(venue), count=1_000)
        ]
        markets += sorted(set(found))
    return markets


async def read_meta(client: Any, names: Names, markets: Sequence[str]) -> list[Mapping[str, str]]:
    """Return the metadata of *markets* in their order; nothing known: nothing in it."""
    async with client.pipeline(transaction=False) as pipeline:
        for market in markets:
            pipeline.hgetall(names.meta(market))
        return [as_text(fields) for fields in await pipeline.execute()]


def as_text(fields: Mapping[bytes, bytes]) -> dict[str, str]:
    """Decode a hash."""
    return {
        key.decode(errors="replace"): value.decode(errors="replace")
        for key, value in fields.items()
    }


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError) as exc:
        raise RedisUnavailable(redact_text(str(exc)) or type(exc).__name__) from exc
    _end_if_cancelled()


def _end_if_cancelled() -> None:
    """Make good a cancellation that was swallowed.

    redis-py sends under `asyncio.wait_for`, which in Python 3.11 forgets a cancellation that comes
    while what it waits for is just done (https://github.com/python/cpython/issues/86296).
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
