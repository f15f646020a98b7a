"""The clients and connections of one attempt to read; redis-py finds masters and nodes.

All of it is made anew for each attempt: after a failover nothing points to the former master.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    NoPermissionError,
    RedisClusterException,
    RedisError,
    ResponseError,
)

from arbees_feed.core.redisaddress import Address, options_checked
from arbees_feed.errors import AuthenticationRejected, RedisUnavailable

KEYS_AT_ONCE: Final = 500
_REFUSALS = (AuthenticationError, AuthorizationError, NoPermissionError)
CLUSTER_RETRIES: Final = 3
"""A cluster answers with MOVED while slots move; redis-py asks again."""


@contextmanager
def errors_translated() -> Iterator[None]:
    """Raise what redis-py raises as RedisUnavailable or AuthenticationRejected."""
    try:
        yield
    except (RedisError, RedisClusterException, OSError) as exc:
        # A cluster client says why no node could be used in the cause.
        if isinstance(exc, _REFUSALS) or isinstance(exc.__cause__, _REFUSALS):
            raise AuthenticationRejected(f"redis refuses our credentials: {exc}") from exc
        # Sentinels' errors go on with the whole of redis-py's objects.
        told = str(exc).partition(" : <")[0]
        raise RedisUnavailable(f"redis: {told or type(exc).__name__}") from exc


def is_wrong_type(error: ResponseError) -> bool:
    """Return whether a key holds another kind of value than was asked for."""
    return "WRONGTYPE" in str(error)


class Source:
    """One client, and connections for subscriptions beside it."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self._is_cluster = isinstance(client, RedisCluster)

    def connections(self, channels: Sequence[str], *, sharded: bool) -> list[tuple[Any, list[str]]]:
        """Return unopened connections, each with the channels to subscribe to over it.

        Plain channels are the same on every node of a cluster; sharded ones live on the node that
        has their slot.
        """
        if not self._is_cluster:
            with options_checked():
                return [(self.client.connection_pool.make_connection(), list(channels))]
        if not sharded:
            return [(self.client.get_random_primary_node().acquire_connection(), list(channels))]
        by_node: dict[Any, list[str]] = defaultdict(list)
        for channel in channels:
            by_node[self.client.get_node_from_key(channel)].append(channel)
        return [(node.acquire_connection(), some) for node, some in by_node.items()]

    async def read_all(self, keys: Sequence[str]) -> AsyncIterator[tuple[str, bytes]]:
        """Yield *keys* with their values, without those that are not there or are no strings."""
        read = self.client.mget_nonatomic if self._is_cluster else self.client.mget
        for start in range(0, len(keys), KEYS_AT_ONCE):
            some = keys[start : start + KEYS_AT_ONCE]
            for key, value in zip(some, await read(some), strict=True):
                if value is not None:
                    yield key, value

    async def read_venue(self, key: str) -> tuple[Mapping[str, str], int]:
        """Return state, reason and session of a venue's key (nothing: not there), and its PTTL."""
        async with self.client.pipeline(transaction=False) as pipeline:
            pipeline.hgetall(key)
            pipeline.pttl(key)
            fields, ttl_ms = await pipeline.execute()
        text = {
            name.decode(errors="replace"): value.decode(errors="replace")
            for name, value in fields.items()
        }
        return text, int(ttl_ms)

    async def members(self, key: str) -> list[str]:
        """Return the members of a set."""
        return sorted(member.decode(errors="replace") for member in await self.client.smembers(key))

    async def matching(self, key: str, pattern: str) -> list[str]:
        """Return the members of a set that match a pattern, by Redis' own rules."""
        members = self.client.sscan_iter(key, match=pattern, count=1_000)
        return [member.decode(errors="replace") async for member in members]


@asynccontextmanager
async def open_source(address: Address, *, timeout_s: float, name: str) -> AsyncIterator[Source]:
    """Make a client for *address*; *name* is what `CLIENT LIST` shows.

    Raises:
        RedisClusterException, RedisError: no master, or no cluster was found.
        SettingsError: redis-py does not know an option of the URL.
    """
    options: dict[str, Any] = {
        "socket_timeout": timeout_s,
        "socket_connect_timeout": timeout_s,
        "client_name": name,
        # RESP2: a subscribed connection brings messages as plain lists, on any server.
        "protocol": 2,
    }
    if address.kind == "sentinel":
        async with _sentinel_client(address, options) as client:
            yield Source(client)
        return
    client = _client(address, options)
    try:
        if address.kind == "cluster":
            await client.initialize()
        yield Source(client)
    finally:
        await client.aclose()


@asynccontextmanager
async def _sentinel_client(address: Address, options: Mapping[str, Any]) -> AsyncIterator[Any]:
    timeouts = {key: value for key, value in options.items() if key.startswith("socket_")}
    once = Retry(NoBackoff(), 0)
    sentinel: Any = Sentinel(  # type: ignore[no-untyped-call]  # redis-py has no types for it
        address.hosts,
        sentinel_kwargs={**timeouts, **address.sentinel_options, "retry": once},
        retry=once,
        **{**options, **_url_options(address.url)},
    )
    async with sentinel:
        client = sentinel.master_for(address.service)
        try:
            yield client
        finally:
            await client.aclose()


def _client(address: Address, options: Mapping[str, Any]) -> Any:
    with options_checked():
        if address.kind == "server":
            client = Redis.from_url(address.url, retry=Retry(NoBackoff(), 0), **options)
            client.connection_pool.make_connection()  # type: ignore[no-untyped-call]
            return client
        return RedisCluster(
            startup_nodes=[ClusterNode(host, port) for host, port in address.hosts],
            retry=Retry(NoBackoff(), CLUSTER_RETRIES),
            **{**options, **_url_options(address.url)},
        )


def _url_options(url: str) -> dict[str, Any]:
    with options_checked():
        options: dict[str, Any] = dict(parse_url(url))
    options.pop("host", None)
    if options.pop("connection_class", None) is SSLConnection:
        options["ssl"] = True
    return options
