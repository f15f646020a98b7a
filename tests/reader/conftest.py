"""A real server for each test."""

from collections.abc import Iterator

import pytest
from support.feed import url_of, valkey


@pytest.fixture
def redis_url() -> Iterator[str]:
    """The URL of an empty server."""
    with valkey() as server:
        yield url_of(server)
