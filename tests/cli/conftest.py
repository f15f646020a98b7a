"""A feed that the commands read from, and servers of their own."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.feed import url_of, valkey
from support.processes import (
    Feed,
    Mark,
    Run,
    first_lines,
    process,
    run_command,
    running_venues,
    wait_for,
)


@pytest.fixture(scope="session")
def cli() -> Run:
    return run_command


@pytest.fixture(scope="module")
def feed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Feed]:
    """A feed that follows simulated venues, for tests that do not disturb it."""
    with ExitStack() as stack:
        venues = stack.enter_context(running_venues(tmp_path_factory.mktemp("venues")))
        options = ["--set=http.port=0", "--set=kalshi.series=KXNFLGAME", "--set=log.level=error"]
        daemon = stack.enter_context(process("run", "--embedded", *options, env=venues))
        running = Feed(first_lines(daemon, 1)[0].split()[1], venues)
        wait_for(lambda: _has_all(running))
        yield running


def _has_all(feed: Feed) -> bool:
    """Whether all markets have prices, and metadata."""
    with feed.client() as client:
        markets = [
            market.decode()
            for venue in ("kalshi", "polymarket")
            for market in client.smembers(f"feed:markets:{venue}")
        ]
        names = [f"market:{market}:meta" for market in markets]
        return len(markets) == 40 and client.exists(*names) == 40


@pytest.fixture
def server() -> Iterator[str]:
    """An empty server of our own; its URL."""
    with valkey() as running:
        yield url_of(running)


@pytest.fixture
def mark(tmp_path: Path) -> Iterator[Mark]:
    folder = tmp_path / "temporary"
    folder.mkdir()
    made = Mark(folder)
    yield made
    made.kill()
