"""Tables of the documents have every key and every metric of a feed that runs, and no other."""

import re
from typing import Any

import aiohttp
import pytest
from redis.asyncio import Redis
from support.documents import ROOT
from support.trial import Trial

README = (ROOT / "README.md").read_text()

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(60)]


async def test_every_key_in_the_readme_is_there_and_no_other(feed: Trial) -> None:
    client: Any = Redis.from_url(feed.redis_url, decode_responses=True)
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


OF_PAIRS = (
    "arbees_feed_cross_pairs",
    "arbees_feed_matcher_up",
    "arbees_feed_matcher_age_seconds",
)
INCIDENTS = ("incidents", "incidents_written", "incidents_failed")


async def test_operations_lists_every_metric(feed: Trial) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{feed.http_url}/metrics") as answer,
    ):
        text = await answer.text()
    served = dict(re.findall(r"^# TYPE (arbees_feed_\w+) (\w+)", text, re.MULTILINE))
    table = (ROOT / "docs" / "operations.md").read_text()
    shown = dict(re.findall(r"^\| `(arbees_feed_\w+)` \| (\w+) \|", table, re.MULTILINE))
    # These have a sample only after a first failure, or with a folder for incidents.
    for name in ("restarts", "redis_errors_by_kind", "unknown_fields", *INCIDENTS):
        served.setdefault(f"arbees_feed_{name}_total", "counter")
    # These only while there is a matcher of pairs, or once something that is none has written.
    served |= dict.fromkeys(OF_PAIRS, "gauge") | {"arbees_feed_matcher_malformed_total": "counter"}
    assert shown == served
