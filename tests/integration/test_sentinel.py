"""A failover behind Sentinels: the feed finds the new master, and nothing is lost."""

import signal
from pathlib import Path

import pytest
from redis.asyncio import Redis
from support.feed import reading, top_of
from support.process import environment_for, feed_process, outcome
from support.sentinels import failover

from arbees_feed.sim import SimServer

pytestmark = pytest.mark.timeout(90)


async def test_after_a_failover_the_new_master_has_every_price(
    sim: SimServer, tmp_path: Path
) -> None:
    markets = [*sim.kalshi_tickers, *sim.polymarket_tokens]
    async with (
        failover(tmp_path) as redis,
        feed_process(environment_for(sim, redis.url)) as process,
    ):
        async with reading(f"redis://127.0.0.1:{redis.master}/0") as reader:
            await reader.until(lambda: reader.all_are("live", markets), 20.0)
            redis.process.kill()
        await redis.promoted()
        async with reading(f"redis://127.0.0.1:{redis.replica}/0") as reader:
            await reader.until(lambda: reader.all_are("live", markets), 10.0)
            sim.pause()
            await sim.drained()
            truth = {market: sim.world.market(market).top() for market in markets}
            await reader.until(
                lambda: all(top_of(reader.prices[m][-1]) == top for m, top in truth.items())
            )
            await reader.until(
                lambda: reader.state("kalshi") == reader.state("polymarket") == "live"
            )
            members = await reader.client.smembers("feed:markets:kalshi")
            assert {member.decode() for member in members} == set(sim.kalshi_tickers)
            assert process.returncode is None
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0
            await reader.until(lambda: reader.all_are("stale", markets))


async def test_sentinels_that_know_no_such_master_end_the_start(
    sim: SimServer, tmp_path: Path
) -> None:
    async with failover(tmp_path) as redis:
        env = environment_for(sim, redis.url.replace("/feed/", "/another/"))
        code, _, err = await outcome(env, "run", timeout_s=30.0)
        assert code == 1
        assert "another" in err.splitlines()[-1]
        code, _, err = await outcome(environment_for(sim, redis.url), "check", timeout_s=30.0)
        assert code == 0, err
        async with Redis(port=redis.master) as client:
            assert await client.keys("*check*") == []
