"""The readers in other languages: no hole at a join, losses healed, nothing old taken as live."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import msgpack
import pytest
from other_readers import FIELDS, LANGUAGES, Language, Line, Running, reader
from redis.asyncio import Redis
from support.feed import url_of, valkey
from support.patience import within
from support.process import environment_for, feed_process
from support.publishing import Published, publishing

from arbees_feed.sim import SimConfig, SimServer

pytestmark = pytest.mark.timeout(120)

MARKETS = [f"KX-{number:02d}" for number in range(20)]
RATE = 400
JOINS = 3
KILLS = 3


@pytest.fixture(params=LANGUAGES, ids=lambda language: language.name)
def language(request: pytest.FixtureRequest) -> Language:
    chosen: Language = request.param
    if lack := chosen.missing():
        pytest.skip(f"{chosen.name}: {lack}")
    return chosen


@pytest.fixture
def redis_url() -> Iterator[str]:
    with valkey() as server:
        yield url_of(server)


@pytest.fixture
async def sim() -> AsyncIterator[SimServer]:
    config = SimConfig(seed=7, kalshi_markets=10, polymarket_markets=10, rate=200.0)
    async with SimServer(config, kalshi_port=0, polymarket_port=0) as server:
        yield server


def is_true(published: Published, line: Line) -> bool:
    """Return whether a printed price is what was published under its seq."""
    quote = published.quotes[line["market_id"]][line["seq"]]
    ticks = round(line["yes_bid"] * 10_000), round(line["yes_ask"] * 10_000)
    return (line["session"], ticks) == (str(published.session), (quote.bid, quote.ask))


@asynccontextmanager
async def streaming(published: Published) -> AsyncIterator[None]:
    """Publish prices of all markets while the block runs."""
    async with asyncio.TaskGroup() as group:
        stream = group.create_task(published.stream(MARKETS, RATE))
        yield
        stream.cancel()


async def kept_seqs(url: str, markets: list[str]) -> dict[str, int]:
    """Return the seq that `:last` has of each market; 0 if it is not there."""
    async with Redis.from_url(url) as client:
        values = await client.mget([f"market:{market}:last" for market in markets])
    seqs = (msgpack.unpackb(value)["seq"] if value else 0 for value in values)
    return dict(zip(markets, seqs, strict=True))


async def wait_for_newest(running: Running, published: Published) -> None:
    """Wait until the reader has the newest price of every market, live."""
    await published.settled()
    newest = {market: published.newest(market) for market in MARKETS}
    await running.until(
        lambda: {m: p["seq"] for m, p in running.newest.items() if p["status"] == "live"} == newest
    )


@pytest.mark.parametrize("chosen", [[], MARKETS[:5]], ids=["all", "named"])
async def test_a_late_join_has_no_hole(
    language: Language, redis_url: str, chosen: list[str]
) -> None:
    """The first prices are the newest or newer, and all that follow are there, in order."""
    wanted = chosen or MARKETS
    async with publishing(redis_url) as published, streaming(published):
        for _ in range(JOINS):
            before = await kept_seqs(redis_url, wanted)
            async with reader(language, redis_url, *chosen) as running:
                await running.until(
                    lambda running=running: (
                        running.joins() == 1
                        and len(running.newest) == len(wanted)
                        and all(len(running.of(market)) > 10 for market in wanted)
                    )
                )
            assert sorted(running.newest) == sorted(wanted)
            assert all(running.of(market)[0]["seq"] >= before[market] for market in wanted)
            assert (running.holes(), running.lost()) == (0, 0)
            assert all(list(line) == FIELDS for line in running.lines)
            assert all(is_true(published, line) for line in running.lines)


async def kill_subscribers(url: str) -> int:
    """End the connections of all subscribers, as a Redis does that is restarted."""
    async with Redis.from_url(url) as client:
        return int(await client.execute_command("CLIENT", "KILL", "TYPE", "pubsub"))


async def test_killed_connections_are_healed_and_losses_told(
    language: Language, redis_url: str
) -> None:
    async with publishing(redis_url) as published, reader(language, redis_url) as running:
        async with streaming(published):
            # Prices come before it has joined; a connection killed then has not been one.
            await running.until(
                lambda: running.joins() == 1 and len(running.newest) == len(MARKETS)
            )
            for number in range(KILLS):
                assert await kill_subscribers(redis_url) == 1
                await running.until(lambda n=number: running.joins() == n + 2)  # type: ignore[misc]
        await wait_for_newest(running, published)
        assert await kill_subscribers(redis_url) == 1
        for market in MARKETS:  # said to nobody, and the last for now: only `:last` tells
            published.put(market)
        await wait_for_newest(running, published)
        assert all(is_true(published, line) for line in running.lines if line["status"] == "live")
        # While nothing is believed (a machine so slow that it is silent for 2.5 s), what comes is
        # neither printed nor lost.
        was_silent = any(line["status"] == "stale" for line in running.lines)
        await running.until(
            lambda: (
                running.holes() >= running.lost() > 0
                and (was_silent or running.holes() == running.lost())
            )
        )


async def test_what_is_no_message_costs_nothing_else(language: Language, redis_url: str) -> None:
    rubbish = [b"\xc1", b"", b"\x93\x01\x02\x03", b"\x80", b"\xa3abc", b"\xc0"]
    async with (
        publishing(redis_url) as published,
        Redis.from_url(redis_url) as client,
        reader(language, redis_url) as running,
    ):
        for market in MARKETS:
            published.put(market)
        await running.until(lambda: len(running.newest) == len(MARKETS))
        for data in rubbish:
            await client.publish("market:KX-00:price", data)
            await client.publish("feed:status", data)
        for market in MARKETS:
            published.put(market)
        await wait_for_newest(running, published)
        await running.until(
            lambda: sum(n.startswith("not a message of") for n in running.notes) == 2 * len(rubbish)
        )
        assert (running.joins(), running.lost(), running.holes()) == (1, 0, 0)


async def test_what_is_older_is_dropped_and_a_hole_is_healed_from_what_is_kept(
    language: Language, redis_url: str
) -> None:
    async with (
        publishing(redis_url) as published,
        Redis.from_url(redis_url) as client,
        reader(language, redis_url, *MARKETS[:2]) as running,
    ):
        for market in MARKETS[:2] * 9:
            published.put(market)
        await running.until(lambda: [p["seq"] for p in running.newest.values()] == [9, 9])
        printed = len(running.lines)
        kept = msgpack.unpackb(await client.get("market:KX-00:last"))

        async def say(**changes: float) -> None:
            await client.publish("market:KX-00:price", msgpack.packb(kept | changes))

        await say(seq=5, yes_bid=0.111)
        await say(yes_bid=0.222)
        await say(session=kept["session"] - 1, seq=50, yes_bid=0.333)
        await client.set("market:KX-00:last", msgpack.packb(kept | {"seq": 15}))
        await say(seq=12)
        await running.until(lambda: running.newest["KX-00"]["seq"] == 15)
        assert [line["seq"] for line in running.lines[printed:]] == [12, 15]
        assert {line["status"] for line in running.lines[printed:]} == {"live"}
        await running.until(lambda: running.lost() == 2 + 2)


async def test_a_killed_feed_is_stale_within_3_s_and_live_again_when_restarted(
    language: Language, sim: SimServer, redis_url: str
) -> None:
    every = sorted([*sim.kalshi_tickers, *sim.polymarket_tokens])
    environment = environment_for(sim, redis_url)
    async with reader(language, redis_url) as running:
        async with feed_process(environment) as feed:
            await running.until(
                lambda: sorted(running.newest) == every and set(running.statuses()) == {"live"},
                30.0,
            )
            old = running.lines[-1]["session"]
            feed.kill()
            killed_s = time.monotonic()
            await running.until(lambda: set(running.statuses()) == {"stale"})
            assert time.monotonic() - killed_s < within(3.0)
        stale_from = len(running.lines)
        async with reader(language, redis_url) as late:
            await late.until(lambda: late.joins() == 1 and sorted(late.newest) == every)
            assert {line["status"] for line in late.lines} == {"stale"}
            assert all((line["yes_bid"], line["yes_ask"]) == (0, 1) for line in late.lines)
        async with feed_process(environment):
            await running.until(lambda: set(running.statuses()) == {"live"}, 30.0)
        after = running.lines[stale_from:]
        assert old not in {line["session"] for line in after if line["status"] == "live"}


async def test_a_redis_that_goes_away_is_stale_within_3_s(language: Language) -> None:
    with valkey() as server:
        url = url_of(server)
        async with publishing(url) as published, reader(language, url) as running:
            for market in MARKETS:
                published.put(market)
            await wait_for_newest(running, published)
            server.stop()
            stopped_s = time.monotonic()
            await running.until(lambda: set(running.statuses()) == {"stale"})
            assert time.monotonic() - stopped_s < within(3.0)
            assert any(note.startswith("lost Redis") for note in running.notes)


@pytest.mark.slow
async def test_a_redis_that_does_not_answer_is_given_up_and_joined_again(
    language: Language, redis_url: str
) -> None:
    async with publishing(redis_url) as published, reader(language, redis_url) as running:
        async with Redis.from_url(redis_url) as client:
            server = (await client.info("server"))["process_id"]
        for market in MARKETS:
            published.put(market)
        await wait_for_newest(running, published)
        os.kill(server, signal.SIGSTOP)
        try:
            await running.until(lambda: set(running.statuses()) == {"stale"}, 3.0)
            await running.until(lambda: any("no answer" in note for note in running.notes))
        finally:
            os.kill(server, signal.SIGCONT)
        for market in MARKETS:
            published.put(market)
        await running.until(lambda: running.joins() == 2)
        await wait_for_newest(running, published)
