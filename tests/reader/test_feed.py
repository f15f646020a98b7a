"""The reader and the daemon itself: killed, started again, stopped as it should be."""

import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from reader.test_reader import check_order, logging
from support.feed import top_of
from support.patience import within
from support.process import environment_for, feed_process
from support.sentinels import failover

from arbees_feed.reader import PriceReader
from arbees_feed.sim import SimConfig, SimServer

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
async def sim() -> AsyncIterator[SimServer]:
    """Ten moving markets on each venue."""
    config = SimConfig(seed=7, kalshi_markets=10, polymarket_markets=10, rate=400.0)
    async with SimServer(config, kalshi_port=0, polymarket_port=0) as server:
        yield server


def as_message(price: object) -> dict[str, float]:
    names = ("yes_bid", "yes_bid_size", "yes_ask", "yes_ask_size")
    return {name: getattr(price, name) for name in names}


async def test_a_daemon_that_is_killed_and_started_again(sim: SimServer, redis_url: str) -> None:
    markets = {*sim.kalshi_tickers, *sim.polymarket_tokens}
    env = environment_for(sim, redis_url)
    async with logging(PriceReader(redis_url, markets=markets, every=True)) as log:

        def all_are(status: str) -> bool:
            known = log.statuses()
            return set(known) == markets and set(known.values()) == {status}

        async with feed_process(env) as process:
            await log.until(lambda: all_are("live"), 40.0)
            process.send_signal(signal.SIGKILL)
            await process.wait()
        died_s, before = time.monotonic(), len(log.prices)
        await log.until(lambda: all_are("stale"))
        assert time.monotonic() - died_s < within(3.0)
        old = log.prices[0].session
        async with feed_process(env) as process:
            await log.until(lambda: all_are("live"), 40.0)
            assert all(
                price.session > old for price in log.prices[before:] if price.status == "live"
            )
            check_order(log)
            assert log.reader.stats.missed == 0
            sim.pause()
            await sim.drained()
            truth = {market: sim.world.market(market).top() for market in markets}
            await log.until(
                lambda: all(top_of(as_message(log.reader.book[m])) == truth[m] for m in markets)
            )
            process.send_signal(signal.SIGTERM)
            await log.until(lambda: all_are("stale"))
            await process.wait()
        # The last word is the daemon's own, not the reader's.
        assert {price.status for price in log.reader.book.values()} == {"stale"}
        assert log.reader.venues["kalshi"].state == "stopped"


async def test_a_lease_makes_the_daemon_follow_a_market(sim: SimServer, redis_url: str) -> None:
    wanted, others = sim.polymarket_tokens[0], sim.polymarket_tokens[1:]
    env = environment_for(
        sim, redis_url, polymarket__markets=",".join(others), kalshi__enabled="false"
    )
    async with feed_process(env):
        watch = {"polymarket": [wanted]}
        async with logging(PriceReader(redis_url, watch=watch, lease_s=10.0)) as log:
            await log.until(lambda: log.statuses() == {wanted: "live"}, 40.0)


async def test_a_failover_behind_sentinels(sim: SimServer, tmp_path: Path) -> None:
    """Feed and reader both find the new master; the session goes on, and nothing steps back."""
    markets = {*sim.kalshi_tickers, *sim.polymarket_tokens}
    async with (
        failover(tmp_path) as servers,
        feed_process(environment_for(sim, servers.url)),
        logging(PriceReader(servers.url, markets=markets, every=True)) as log,
    ):

        def all_are(status: str) -> bool:
            return {log.reader.book[m].status for m in markets if m in log.reader.book} == {status}

        await log.until(lambda: set(log.statuses()) == markets and all_are("live"), 40.0)
        session = log.prices[0].session
        servers.process.kill()
        await servers.promoted()
        await log.until(lambda: log.reader.stats.reconnects > 0 and all_are("live"), 40.0)
        sim.pause()
        await sim.drained()
        truth = {market: sim.world.market(market).top() for market in markets}
        await log.until(
            lambda: all(top_of(as_message(log.reader.book[m])) == truth[m] for m in markets)
        )
        assert {price.session for price in log.prices} == {session}
        check_order(log)
        assert log.reader.stats.joins > 1
