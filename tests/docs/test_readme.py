"""What the README shows is run as it stands there, against the feed, simulated venues and a server.

Only the address of Redis is exchanged.
"""

import asyncio
import re
import shlex
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from redis.asyncio import Redis
from support.feed import reading, running, settings_for, url_of, valkey

from arbees_feed.sim import SimConfig, SimServer

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
SHOWN_URL = "redis://127.0.0.1:6379/0"
ENOUGH_LINES = 20
PRICE_LINE = re.compile(r"(?:\S+ )?(live|stale|closed) [01]\.\d+ [01]\.\d+")
RECIPE = re.compile(r"(?:(?P<variable>[A-Z]+)=\$\()?redis-cli (?P<words>.*?)\)?")

pytestmark = pytest.mark.timeout(60)


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.fixture
async def feed() -> AsyncIterator[tuple[str, str]]:
    """A feed that has published every market; the URLs of its Redis and of its endpoint."""
    config = SimConfig(seed=3, kalshi_markets=8, polymarket_markets=8, rate=800.0)
    with valkey() as server:
        url = url_of(server)
        async with SimServer(config) as sim, reading(url) as reader:
            settings = settings_for(sim, url, publish__trades="true", publish__depth="3")
            async with running(settings) as (_, found):
                markets = [*sim.kalshi_tickers, *sim.polymarket_tokens]
                await reader.until(lambda: all(reader.prices[market] for market in markets))
                async with asyncio.timeout(20), Redis.from_url(url) as client:
                    while not await is_complete(client, markets):
                        await reader.heartbeat()
                assert found.http_url
                yield url, found.http_url


async def is_complete(client: Any, markets: list[str]) -> bool:
    """Tell whether all that follows the first prices is there."""
    keys = [f"market:{market}:{part}" for market in markets for part in ("quote", "meta")]
    keys += ["feed:venue:kalshi", "feed:venue:polymarket"]
    events = await client.keys("event:*:markets")
    return bool(events) and await client.exists(*keys) == len(keys)


async def first_lines(code: str, count: int) -> list[str]:
    """Run *code* as a program of its own until it has printed so many lines."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-u", "-c", code, stdout=asyncio.subprocess.PIPE, cwd=ROOT.anchor
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            lines = [(await process.stdout.readline()).decode().strip() for _ in range(count)]
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
    return lines


@pytest.mark.parametrize("number", [0, 1, 2])
async def test_python_in_the_readme_follows_prices(feed: tuple[str, str], number: int) -> None:
    code = blocks(README, "python")[number]
    assert SHOWN_URL in code
    assert ("arbees_feed" in code) is (number == 0), "the others need nothing of ours"
    lines = await first_lines(code.replace(SHOWN_URL, feed[0]), ENOUGH_LINES)
    assert all(PRICE_LINE.fullmatch(line) for line in lines), lines
    assert any("live" in line for line in lines)


def test_the_readme_has_no_python_that_is_not_run() -> None:
    assert len(blocks(README, "python")) == 3


async def test_python_in_the_wire_format_prints_what_it_says() -> None:
    (code,) = blocks((ROOT / "docs" / "wire-format.md").read_text(), "python")
    shown = code.strip().rpartition("# ")[2]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    printed, _ = await process.communicate()
    assert printed.decode().strip() == shown


async def test_redis_cli_in_the_readme_finds_something(feed: tuple[str, str]) -> None:
    recipes = [line for block in blocks(README, "sh") for line in block.splitlines()]
    recipes = [line for line in recipes if "redis-cli" in line]
    assert len(recipes) >= 4
    variables: dict[str, str] = {}
    client: Any = Redis.from_url(feed[0], decode_responses=True)
    for recipe in recipes:
        found = RECIPE.fullmatch(recipe)
        assert found, recipe
        words = [replaced(word, variables) for word in shlex.split(found["words"])]
        answer = await client.execute_command(*words)
        assert answer, recipe
        if found["variable"]:
            variables[found["variable"]] = answer
    await client.aclose()


def replaced(word: str, variables: dict[str, str]) -> str:
    return re.sub(r"\$([A-Z]+)", lambda name: variables[name[1]], word)


async def test_every_key_in_the_readme_is_there_and_no_other(feed: tuple[str, str]) -> None:
    client: Any = Redis.from_url(feed[0], decode_responses=True)
    ids = set(await client.smembers("feed:markets:kalshi"))
    await client.zadd("feed:watch:kalshi", {next(iter(ids)): "+inf"})
    ids |= set(await client.smembers("feed:markets:polymarket"))
    kinds = {"hash, expires": "hash", "sorted set": "zset"}
    shown = {
        name: kinds.get(kind, kind)
        for name, kind in re.findall(r"^\| `([a-z]+:[^`]+)` \| ([^|]+) \|", README, re.MULTILINE)
        if kind != "channel"
    }
    there = {
        pattern(key, ids): await client.type(key) async for key in client.scan_iter(count=1000)
    }
    assert there == shown
    await client.aclose()


def pattern(key: str, markets: set[str]) -> str:
    """Return the name of *key* as documents write it."""
    first, *rest = key.split(":")
    if first == "market":
        assert rest[0] in markets, key
        return f"market:<id>:{rest[1]}"
    if first == "event":
        return f"event:<event_id>:{rest[1]}"
    if rest[0] == "search":
        return ":".join(["feed:search", *("<venue>", "<word>")[: len(rest) - 1]])
    return f"feed:{rest[0]}:<venue>"


INCIDENTS = ("incidents", "incidents_written", "incidents_failed")


async def test_operations_lists_every_metric(feed: tuple[str, str]) -> None:
    async with aiohttp.ClientSession() as session, session.get(f"{feed[1]}/metrics") as answer:
        text = await answer.text()
    served = dict(re.findall(r"^# TYPE (arbees_feed_\w+) (\w+)", text, re.MULTILINE))
    table = (ROOT / "docs" / "operations.md").read_text()
    shown = dict(re.findall(r"^\| `(arbees_feed_\w+)` \| (\w+) \|", table, re.MULTILINE))
    # These have a sample only after a first failure, or with a folder for incidents.
    for name in ("restarts", "redis_errors_by_kind", "unknown_fields", *INCIDENTS):
        served.setdefault(f"arbees_feed_{name}_total", "counter")
    assert shown == served
