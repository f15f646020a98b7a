"""A real server for each test."""

from collections.abc import AsyncIterator, Iterator

import pytest
from redis.asyncio import Redis
from support.feed import url_of, valkey


@pytest.fixture
def redis_url() -> Iterator[str]:
    """The URL of an empty server."""
    with valkey() as server:
        yield url_of(server)


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """A client of it."""
    client = Redis.from_url(redis_url)
    yield client
    await client.aclose()
