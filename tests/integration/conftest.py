"""A real server and simulated venues for each test."""

from collections.abc import AsyncIterator, Iterator

import pytest
from support.feed import url_of, valkey

from arbees_feed.sim import SimConfig, SimServer


@pytest.fixture
def redis_url() -> Iterator[str]:
    """The URL of an empty server."""
    with valkey() as server:
        yield url_of(server)


@pytest.fixture
async def sim() -> AsyncIterator[SimServer]:
    """Twenty moving markets on each venue."""
    config = SimConfig(seed=7, kalshi_markets=20, polymarket_markets=20, rate=400.0)
    async with SimServer(config, kalshi_port=0, polymarket_port=0) as server:
        yield server
