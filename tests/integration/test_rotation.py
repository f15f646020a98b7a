"""Connections are replaced under traffic: readers see no hole, no step back, nothing twice."""

from itertools import pairwise

import pytest
from support.feed import Message, Reader, reading, running, settings_for, settle, top_of

from arbees_feed.feed import link
from arbees_feed.sim import SimServer

pytestmark = pytest.mark.timeout(120)


def all_markets(sim: SimServer) -> list[str]:
    return [*sim.kalshi_tickers, *sim.polymarket_tokens]


def state_of(message: Message) -> tuple[object, ...]:
    return (*top_of(message), message["last_price"], message["status"])


def check_continuity(reader: Reader, markets: list[str]) -> int:
    """Check each market's messages from the first that was read; return how many there were."""
    for market in markets:
        messages = reader.prices[market]
        numbers = [message["seq"] for message in messages]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        times = [message["ts_event_ns"] for message in messages]
        assert times == sorted(times), market
        assert all(message["status"] == "live" for message in messages)
        twice = sum(state_of(a) == state_of(b) for a, b in pairwise(messages))
        assert twice == 0
    return sum(len(reader.prices[market]) for market in markets)


@pytest.mark.parametrize("venue", ["kalshi", "polymarket"])
async def test_planned_rotation_under_traffic(
    sim: SimServer, redis_url: str, venue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "RELIEF_AGAIN_S", 1.0)  # the real one, 10 s, only waits longer
    settings = settings_for(sim, redis_url, trust__max_connection_age_s="2")
    async with reading(redis_url) as reader, running(settings) as (daemon, _):
        feed = {v.venue: v.feed for v in daemon.venues}[venue]
        await reader.until(lambda: reader.all_are("live", all_markets(sim)))
        await reader.until(lambda: feed.reliefs >= 2, timeout_s=60)
        assert feed.stats.losses == 0
        markets = sim.kalshi_tickers if venue == "kalshi" else sim.polymarket_tokens
        await settle(sim, reader, list(markets))
        assert check_continuity(reader, list(markets)) > 100


async def test_a_suspect_connection_is_relieved_before_readers_lose_a_price(
    sim: SimServer, redis_url: str
) -> None:
    settings = settings_for(sim, redis_url, polymarket__enabled="false")
    async with reading(redis_url) as reader, running(settings) as (daemon, _):
        feed = daemon.venues[0].feed
        markets = list(sim.kalshi_tickers)
        await settle(sim, reader, markets)
        sim.resume()
        sim.faults.freeze("kalshi", new_sockets=False)
        await reader.until(lambda: feed.reliefs == 1)
        assert feed.stats.losses == 0
        await settle(sim, reader, markets)
        check_continuity(reader, markets)


async def test_a_relief_that_is_refused_leaves_the_old_connection_in_place(
    sim: SimServer, redis_url: str
) -> None:
    settings = settings_for(
        sim, redis_url, polymarket__enabled="false", trust__max_connection_age_s="1"
    )
    async with reading(redis_url) as reader, running(settings) as (daemon, _):
        feed = daemon.venues[0].feed
        markets = list(sim.kalshi_tickers)
        await reader.until(lambda: reader.all_are("live", markets))
        sim.faults.refuse_handshakes("kalshi", status=503)
        await reader.until(lambda: bool(sim.counters["kalshi_handshakes_refused"]))
        await settle(sim, reader, markets)
        assert (feed.reliefs, feed.stats.losses) == (0, 0)
        check_continuity(reader, markets)
