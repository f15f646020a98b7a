"""What docs/reader.md says of counters and rights holds, and its example does what it says.

The programs that it shows are run with those of all documents, by tests/docs/test_snippets.py.
"""

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from redis.asyncio import Redis
from support.publishing import Published, publishing

from arbees_feed.reader import (
    AuthenticationRejected,
    PriceReader,
    ReaderStats,
    VenueLife,
)

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "reader.md").read_text()
MARKETS = [f"KX-{number}" for number in range(5)]


@pytest.fixture
async def published(redis_url: str) -> AsyncIterator[Published]:
    async with publishing(redis_url) as publisher, asyncio.TaskGroup() as group:
        stream = group.create_task(publisher.stream(MARKETS, 500))
        yield publisher
        stream.cancel()


def test_the_guide_names_every_counter_and_nothing_else() -> None:
    table = GUIDE.partition("| `reader.stats`")[2].partition("\n\n")[0]
    named = {
        name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1])
    }
    assert named == {field.name for field in msgspec.structs.fields(ReaderStats)}
    shown = set(re.findall(r"`\.(\w+)`", GUIDE))
    assert shown <= {field.name for field in msgspec.structs.fields(VenueLife)}


async def test_the_rights_that_the_guide_names_are_enough(
    published: Published, redis_url: str
) -> None:
    told = GUIDE.partition("A user with few rights")[2].partition("Redis lets such")[0]
    rights = " ".join(re.findall(r"`([^`]*)`", told))
    async with Redis.from_url(redis_url) as client:
        rule = f"on >right {rights}".split()
        await client.execute_command("ACL", "SETUSER", "bot", *rule)
        url = redis_url.replace("://", "://bot:right@")
        watch = {"kalshi": MARKETS[:1]}
        async with PriceReader(url, events=["E"], patterns=["*"], watch=watch) as reader:
            while set(reader.book) != set(MARKETS):
                await anext(reader)
            assert reader.stats.lease_errors == 0
        await client.execute_command("ACL", "SETUSER", "bot", "-mget")
        with pytest.raises(AuthenticationRejected, match="mget"):
            async with PriceReader(url):
                pass


@pytest.mark.parametrize("which", [[], ["--pattern=KX*"], ["--watch=kalshi:KX-0", *MARKETS[1:]]])
async def test_the_example(published: Published, redis_url: str, which: list[str]) -> None:
    script = str(ROOT / "examples" / "read_prices.py")
    # The stand-in's asks are 0.90, and its bids rise from 0.
    arguments = [script, "--url", redis_url, "--spread", "0.9", "--seconds", "1", *which]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", *arguments, stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0
    text = printed.decode()
    assert all(f"/ 0.9000 {market}\n" in text for market in MARKETS)
    assert "5 of 5 markets are live" in text
    assert "kalshi alive" in text


async def test_the_example_says_what_is_wrong() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(ROOT / "examples" / "read_prices.py"),
        "--url=http://nowhere",
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    assert process.returncode == 1
    assert said.decode().startswith("redis url: must begin with")
