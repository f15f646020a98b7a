"""The process: signals, exit codes, a hard death and what the next one makes of it."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from support.feed import Reader, last_of, reading, top_of
from support.patience import within
from support.process import environment_for, feed_process

from arbees_feed.sim import SimServer

pytestmark = pytest.mark.timeout(120)


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Stop a process (SIGSTOP) while the block runs."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def all_markets(sim: SimServer) -> list[str]:
    return [*sim.kalshi_tickers, *sim.polymarket_tokens]


async def until_live(reader: Reader, sim: SimServer) -> None:
    await reader.until(lambda: reader.all_are("live", all_markets(sim)), 40.0)
    await reader.until(lambda: reader.state("kalshi") == reader.state("polymarket") == "live")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_marks_every_price_says_stopped_and_exits_with_0(
    sim: SimServer, redis_url: str, number: signal.Signals
) -> None:
    async with reading(redis_url) as reader:
        async with feed_process(environment_for(sim, redis_url)) as process:
            await until_live(reader, sim)
            process.send_signal(number)
            async with asyncio.timeout(within(5.0)):
                assert await process.wait() == 0
        await reader.until(lambda: reader.all_are("stale", all_markets(sim)))
        for market in all_markets(sim):
            assert (await last_of(reader.client, market))["status"] == "stale"
            assert top_of(reader.prices[market][-1]) == (0, 0, 10_000, 0)
            assert await reader.client.hget(f"market:{market}:quote", "status") == b"stale"
        assert {reader.state("kalshi"), reader.state("polymarket")} == {"stopped"}
        assert not await reader.client.exists("feed:venue:kalshi", "feed:venue:polymarket")


async def test_a_second_signal_stops_at_once(sim: SimServer, redis_url: str) -> None:
    """Redis hangs, so that a graceful stop would wait for it; we don't."""
    env = environment_for(sim, redis_url, publish__drain_timeout_s="60", redis__io_timeout_s="60")
    async with reading(redis_url) as reader:
        pid = int((await reader.client.info("server"))["process_id"])
        async with feed_process(env) as process:
            await until_live(reader, sim)
            with stopped(pid):
                process.send_signal(signal.SIGTERM)
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(1.0):
                        await process.wait()
                process.send_signal(signal.SIGTERM)
                async with asyncio.timeout(30.0):  # the drain would take a minute
                    assert await process.wait() == 1


async def test_a_stop_with_redis_away_ends_in_time(sim: SimServer, redis_url: str) -> None:
    """What can't be written in `publish.drain_timeout_s` is given up, and said."""
    env = environment_for(sim, redis_url, publish__drain_timeout_s="1")
    async with reading(redis_url) as reader:
        pid = int((await reader.client.info("server"))["process_id"])
        async with feed_process(env) as process:
            await until_live(reader, sim)
            with stopped(pid):
                process.send_signal(signal.SIGTERM)
                async with asyncio.timeout(within(5.0)):
                    _, err = await process.communicate()
                assert process.returncode == 0
                assert b"stopped before redis took everything" in err


async def test_after_a_hard_death_the_next_daemon_marks_what_was_left(
    sim: SimServer, redis_url: str
) -> None:
    """kill -9; the venue key expires; the next start can't reach Kalshi and marks its prices."""
    async with reading(redis_url) as reader:
        async with feed_process(environment_for(sim, redis_url)) as process:
            await until_live(reader, sim)
            process.kill()
            await process.wait()
        assert reader.all_are("live", all_markets(sim))
        assert 0 < await reader.client.ttl("feed:venue:kalshi") <= 10
        first_session = reader.prices[sim.kalshi_tickers[0]][-1]["session"]
        sim.faults.refuse_handshakes("kalshi", status=503)
        async with feed_process(environment_for(sim, redis_url)):
            await reader.until(lambda: reader.all_are("stale", sim.kalshi_tickers))
            await reader.until(lambda: reader.all_are("live", sim.polymarket_tokens))
            marked = reader.prices[sim.kalshi_tickers[0]][-1]
            assert marked["session"] > first_session
            assert marked["seq"] == 1
            sim.faults.clear()
            await reader.until(lambda: reader.all_are("live", sim.kalshi_tickers), 40.0)


async def test_one_venue_that_refuses_the_key_does_not_stop_the_other(
    sim: SimServer, redis_url: str
) -> None:
    """A wrong key is said loudly and tried again slowly; readers of the other venue see nothing."""
    env = environment_for(sim, redis_url, kalshi__api_key_id="not-the-key")
    async with reading(redis_url) as reader, feed_process(env) as process:
        await reader.until(lambda: reader.all_are("live", sim.polymarket_tokens), 40.0)
        await reader.until(
            lambda: any("401" in s["reason"] for s in reader.states if s["venue"] == "kalshi")
        )
        process.send_signal(signal.SIGTERM)
        _, err = await process.communicate()
        assert process.returncode == 0
        assert err.count(b"cannot work until somebody acts") <= 2
        assert b"not-the-key" not in err


async def test_a_process_for_each_venue_feeds_one_redis(sim: SimServer, redis_url: str) -> None:
    """The end of one is no end of the other's prices, and its next start marks none of them."""
    env = environment_for(sim, redis_url)
    async with (
        reading(redis_url) as reader,
        feed_process(env, ["run", "--venue", "polymarket"]) as other,
    ):
        async with feed_process(env, ["run", "--venue", "kalshi"]) as process:
            await until_live(reader, sim)
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0
        await reader.until(lambda: reader.all_are("stale", sim.kalshi_tickers))
        async with feed_process(env, ["run", "--venue", "kalshi"]):
            await until_live(reader, sim)
        assert other.returncode is None
    for market in sim.polymarket_tokens:
        prices = reader.prices[market]
        assert {price["status"] for price in prices} == {"live"}
        assert len({price["session"] for price in prices}) == 1
    assert len({price["session"] for price in reader.prices[sim.kalshi_tickers[0]]}) == 2
