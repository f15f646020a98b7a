"""A failover behind Sentinels: the feed finds the new master, and nothing is lost."""

import asyncio
import signal
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from redis.asyncio import Redis
from support.feed import reading, top_of
from support.patience import within
from support.process import environment_for, feed_process, outcome
from support.sentinels import failover

from arbees_feed.publish import resp
from arbees_feed.publish.pipe import Refusal
from arbees_feed.sim import SimServer
from arbees_feed.transport.redis import open_pipe

pytestmark = pytest.mark.timeout(180)


async def test_after_a_failover_the_new_master_has_every_price(
    sim: SimServer, tmp_path: Path
) -> None:
    markets = [*sim.kalshi_tickers, *sim.polymarket_tokens]
    async with (
        failover(tmp_path) as redis,
        feed_process(environment_for(sim, redis.url)) as process,
    ):
        async with reading(f"redis://127.0.0.1:{redis.master}/0") as reader:
            await reader.until(lambda: reader.all_are("live", markets), 40.0)
            redis.process.kill()
        await redis.promoted()
        async with reading(f"redis://127.0.0.1:{redis.replica}/0") as reader:
            await reader.until(lambda: reader.all_are("live", markets), 40.0)
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
        code, _, err = await outcome(env, "run", timeout_s=60.0)
        assert code == 1
        assert "another" in err.splitlines()[-1]
        code, _, err = await outcome(environment_for(sim, redis.url), "check", timeout_s=60.0)
        assert code == 0, err
        async with Redis(port=redis.master) as client:
            assert await client.keys("*check*") == []


class Owner:
    """Hears of replies."""

    def __init__(self) -> None:
        self.answered = asyncio.Event()

    def replies(self, count: int, errors: Sequence[Refusal]) -> None:
        assert (count, list(errors)) == (1, [])
        self.answered.set()

    def resumed(self) -> None:
        pass


async def silent_port(stack: AsyncExitStack) -> int:
    """Return a port that takes connections and never answers: a host that is frozen."""
    over = asyncio.Event()

    async def wait(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    listening = await stack.enter_async_context(await asyncio.start_server(wait, "127.0.0.1", 0))
    stack.callback(over.set)
    port: int = listening.sockets[0].getsockname()[1]
    return port


async def test_sentinels_that_never_answer_do_not_hide_the_next_one(tmp_path: Path) -> None:
    """Two of five hosts may be gone, and be the first in the list."""
    async with failover(tmp_path) as redis, AsyncExitStack() as stack:
        silent = [f"127.0.0.1:{await silent_port(stack)}" for _ in range(3)]
        url = f"redis+sentinel://{','.join(silent)},127.0.0.1:{redis.sentinel}/feed/0"
        owner = Owner()
        async with open_pipe(owner, url, timeout_s=0.5) as pipe:
            pipe.write(resp.command("SET", "k", 1))
            async with asyncio.timeout(within(5.0)):
                await owner.answered.wait()
