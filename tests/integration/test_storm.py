"""Many faults at a time, on both venues: at the end every price is the truth and nothing is left.

`benchmarks/storm.py` does the same for longer, faster, and in processes of their own.
"""

import asyncio
import time
from collections.abc import Callable

import aiohttp
import pytest
from support.feed import Reader, reading, running, settings_for
from support.reliability import record
from support.storm import (
    CountedFrames,
    Truth,
    bad_prices,
    lasts_of,
    miscounted,
    restarts,
    tasks_of_the_feed,
    unexpected,
    wrong_prices,
)

from arbees_feed.app.daemon import Daemon
from arbees_feed.sim import SimConfig, SimServer, rehearse, storm

pytestmark = pytest.mark.timeout(240)

FAULTS = 60
RATE = 500
EVERY_S = 0.6
HOLD_S = 2.0
RECOVERY_S = 60.0
"""A connection that began in a black hole takes 30 s, and the next one up to a backoff."""
QUIET_S = 30.0


@pytest.mark.parametrize("seed", [3, pytest.param(31, marks=pytest.mark.slow)])
async def test_after_a_storm_all_is_as_before(redis_url: str, seed: int) -> None:
    before = asyncio.all_tasks()
    config = SimConfig(seed=7, kalshi_markets=20, polymarket_markets=20, rate=RATE)
    async with SimServer(config) as sim, reading(redis_url) as reader:
        counted = CountedFrames()
        settings = settings_for(sim, redis_url)
        async with running(settings, tap=counted.tap) as (daemon, found):
            named = [*sim.kalshi_tickers, *sim.polymarket_tokens]
            await reader.until(lambda: reader.all_are("live", named))
            at_work = tasks_of_the_feed()
            steps = storm(seed, sim.market_ids, FAULTS, every_s=EVERY_S, hold_s=HOLD_S)
            began_s = time.monotonic()
            await rehearse(sim, steps)  # what lasts is ended by a step of its own
            row: dict[str, object] = {"seconds": round(time.monotonic() - began_s)}
            row["recovery_s"] = round(await mended(sim, reader, named), 1)
            await nothing(
                reader,
                lambda: [
                    *miscounted(daemon, counted.frames, sum(map(len, reader.prices.values()))),
                    *difference(at_work, tasks_of_the_feed()),
                    *open_sockets(sim, daemon),
                ],
            )
            assert not unexpected(restarts(await page(f"{found.http_url}/metrics")))
            assert not [bad for each in reader.prices.values() for bad in bad_prices(each)]
        assert not tasks_of_the_feed()
        published = sum(map(len, reader.prices.values()))
    record(
        "storm",
        seed=seed,
        faults=FAULTS,
        changes_per_s=RATE,
        published=published,
        violations=0,
        **row,
    )
    assert asyncio.all_tasks() == before


async def mended(sim: SimServer, reader: Reader, named: list[str]) -> float:
    """Stop the markets; return after how many seconds every newest price was the truth."""
    began_s = time.monotonic()
    sim.pause()
    await sim.drained()
    truth = {market.id: Truth(market.is_open, market.top()) for market in sim.world.all_markets()}
    while wrong := wrong_prices(truth, await lasts_of(reader.client, truth), named):
        assert time.monotonic() < began_s + RECOVERY_S, wrong
        await reader.heartbeat()
    return time.monotonic() - began_s


async def nothing(reader: Reader, left: Callable[[], list[str]]) -> None:
    """Wait until nothing is left to say; the feed has its rounds."""
    deadline_s = time.monotonic() + QUIET_S
    while found := left():
        assert time.monotonic() < deadline_s, found
        await reader.heartbeat()


def difference(before: dict[str, int], after: dict[str, int]) -> list[str]:
    """Return which tasks there are more or fewer of."""
    return [
        f"{name}: {after.get(name, 0)} tasks, not {before.get(name, 0)}"
        for name in {**before, **after}
        if after.get(name, 0) != before.get(name, 0)
    ]


def open_sockets(sim: SimServer, daemon: Daemon) -> list[str]:
    """Return the venues whose sockets are not those that the feed uses."""
    links = {venue.venue: venue.feed.open_links for venue in daemon.venues}
    return [
        f"{venue}: {count} sockets, not {links[venue]}"
        for venue, count in sim.connections().items()
        if count != links[venue]
    ]


async def page(url: str) -> str:
    """Return what the daemon's own HTTP server answers."""
    async with aiohttp.ClientSession() as http, http.get(url) as answer:
        return await answer.text()
