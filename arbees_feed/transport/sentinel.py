"""Sentinels: who the master is now. They are asked before each connection, so that one which a
failover has ended is followed by one to the new master.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.connection import SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff

from arbees_feed.core.redisaddress import Address, options_checked


async def master_of(address: Address, *, timeout_s: float) -> tuple[str, int]:
    """Return host and port of the master.

    Raises:
        redis.exceptions.RedisError: no Sentinel answers, or none knows a healthy master.
    """
    async with _sentinels(address, timeout_s, {}) as sentinels:
        host, port = await sentinels.discover_master(address.service)
        return str(host), int(port)


@asynccontextmanager
async def master_client(address: Address, *, timeout_s: float) -> AsyncIterator[Redis]:
    """Yield a client whose connections are to whoever is the master when they are made."""
    with options_checked():
        options: dict[str, Any] = dict(parse_url(address.url))
    options.pop("host", None)
    if options.pop("connection_class", None) is SSLConnection:
        options["ssl"] = True
    async with _sentinels(address, timeout_s, options) as sentinels:
        client: Redis = sentinels.master_for(address.service)
        try:
            yield client
        finally:
            await client.aclose()


def _sentinels(address: Address, timeout_s: float, options: Mapping[str, Any]) -> Any:
    times = {"socket_timeout": timeout_s, "socket_connect_timeout": timeout_s}
    # The next Sentinel is asked at once; whoever calls tries again by a rule of its own.
    once = Retry(NoBackoff(), 0)
    return Sentinel(  # type: ignore[no-untyped-call]  # redis-py has no types for it
        address.hosts,
        sentinel_kwargs={**times, **address.sentinel_options, "retry": once},
        **times,
        **options,
    )
