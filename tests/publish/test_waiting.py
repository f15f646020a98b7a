"""Markets whose newest price waits for Redis, and what that means for heartbeats."""

import asyncio
import time
from datetime import datetime
from typing import Any

import pytest
from redis.asyncio import Redis
from support.feed import url_of, valkey
from support.outlets import FakeClock
from support.publishing import publishing
from support.redis_faults import Relay

from arbees_feed.core.model import MarketId
from arbees_feed.core.wire import MarketPrice, Names
from arbees_feed.publish.outlet import Outlet
from arbees_feed.publish.waiting import BEHIND_S, Waiting

SLOW_BYTES_PER_S = 150_000
MARKETS = [f"M{number}" for number in range(3_000)]


def outlet(name: str) -> Outlet:
    return Outlet(MarketId(name), "kalshi", Names(), None, 0)  # type: ignore[arg-type]


def test_who_waits_longest_goes_first_and_keeps_its_place() -> None:
    clock = FakeClock()
    waiting = Waiting(clock)
    first, second, third = outlet("A"), outlet("B"), outlet("C")
    assert waiting.add(first)
    assert waiting.add(second)
    assert not waiting.add(first)
    assert waiting.add(third)
    assert (len(waiting), list(waiting), second in waiting) == (3, [first, second, third], True)
    assert waiting.take(2) == [first, second]
    assert waiting.take(0) == []
    assert (list(waiting), first in waiting) == ([third], False)


def test_it_is_behind_when_the_first_has_waited_too_long() -> None:
    clock = FakeClock(100.0)
    waiting = Waiting(clock)
    assert waiting.behind(1e9) == ""
    waiting.add(outlet("A"))
    clock.now_s = 101.0
    waiting.add(outlet("B"))
    assert waiting.behind(100.0 + BEHIND_S) == ""
    assert waiting.behind(102.5) == "2 markets wait, the first for 2.5 s"
    waiting.take(1)
    assert waiting.behind(102.5) == ""


@pytest.mark.timeout(60)
async def test_while_prices_are_far_behind_no_heartbeat_says_that_they_are_believed() -> None:
    """Over a slow link every price waits for many seconds, and Redis keeps the one before."""
    with valkey() as server:
        async with (
            Relay(server.port) as relay,
            publishing(relay.url) as published,
            asyncio.TaskGroup() as group,
        ):
            publisher = published.publisher
            client: Any = Redis.from_url(url_of(server))
            for market in MARKETS:
                published.put(market)
            await published.settled()
            relay.throttle(SLOW_BYTES_PER_S)
            stream = group.create_task(published.stream(MARKETS, 5_000.0))
            async with asyncio.timeout(30):
                while (  # noqa: ASYNC110 - it tells nobody
                    "markets wait" not in publisher.problem or publisher.written.commands > 500
                ):
                    await asyncio.sleep(0.1)
            behind_since_s = time.time()
            old = MarketPrice.from_msgpack(await client.get(f"market:{MARKETS[-1]}:last"))
            assert behind_since_s - old.ts_pub_ns / 1e9 > BEHIND_S
            batches = publisher.stats.batches
            await asyncio.sleep(3.0)
            assert publisher.stats.batches > batches, "prices go on"
            assert await made_s(client) < behind_since_s, "what comes now was under way before"
            stream.cancel()
            relay.go_on()
            async with asyncio.timeout(30):
                while publisher.problem or await made_s(client) < behind_since_s:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
            await client.aclose()


async def made_s(client: Any) -> float:
    """Return when the heartbeat that Redis has was made; 0.0 if there is none."""
    text = await client.hget("feed:venue:kalshi", "updated_at")
    return datetime.fromisoformat(text.decode()).timestamp() if text else 0.0
