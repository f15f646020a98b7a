"""`explain` against the whole feed: what the daemon knows, and what the command says of it."""

import asyncio
import sys
import time
from typing import Any

import aiohttp
from redis.asyncio import Redis
from support.feed import Reader, last_of, reading, running, settings_for

from arbees_feed.sim import SimServer

Page = dict[str, Any]


async def page_of(url: str, market: str) -> tuple[int, Page]:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/explain/{market}") as answer:
        return answer.status, await answer.json()


async def command(*arguments: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "arbees_feed", "explain", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    return process.returncode, output.decode(), errors.decode()


async def all_live(reader: Reader, markets: list[str]) -> None:
    await reader.until(lambda: reader.all_are("live", markets))


async def test_a_page_says_what_readers_have(redis_url: str, sim: SimServer) -> None:
    markets = [sim.kalshi_tickers[0], sim.polymarket_tokens[0]]
    async with reading(redis_url) as reader, running(settings_for(sim, redis_url)) as (_, found):
        await all_live(reader, markets)
        sim.pause()
        await sim.drained()
        await reader.heartbeat()
        client = Redis.from_url(redis_url)
        for market, venue in zip(markets, ("kalshi", "polymarket"), strict=True):
            status, page = await page_of(str(found.http_url), market)
            message = await last_of(client, market)
            assert (status, page["venue"]) == (200, venue)
            shown = page["shown"]
            assert shown["seq"] == message["seq"] == reader.prices[market][-1]["seq"]
            assert (shown["bid"], shown["ask"]) == (message["yes_bid"], message["yes_ask"])
            assert (shown["status"], shown["source"]) == ("live", message["source"])
            assert page["connection"]["name"] == f"{venue}-0"
            assert page["wanted_by"] == ["universe"]
            level = sim.world.market(market).top()
            assert page["book"]["bids"][0] == [level[0] / 10_000, level[1] / 1_000_000]
            # The simulated venue's clock is ours.
            assert abs(page["clock"]["offset_s"]) <= page["clock"]["uncertainty_s"] + 0.01
            code, output, errors = await command(market, "--url", str(found.http_url))
            assert (code, errors) == (0, "")
            assert output.splitlines()[0] == market
            assert f"seq {shown['seq']}," in output
        fields = await client.hgetall("feed:venue:kalshi")
        assert abs(float(fields[b"clock_offset_s"])) < 5.0
        await client.aclose()


async def test_a_lost_connection_is_the_reason_that_is_given(
    redis_url: str, sim: SimServer
) -> None:
    market = sim.polymarket_tokens[0]
    async with reading(redis_url) as reader, running(settings_for(sim, redis_url)) as (_, found):
        await all_live(reader, [market])
        sim.faults.refuse_handshakes("polymarket", status=503, for_s=60.0)
        sim.faults.close_sockets("polymarket")
        await reader.until(lambda: reader.status(market) == "stale")
        status, page = await page_of(str(found.http_url), market)
    assert status == 200
    assert page["shown"]["status"] == "stale"
    assert page["connection"] is None
    assert page["state"] == "resyncing"
    assert page["doubt"]
    assert page["because"][0] == "Readers were told `stale`, without a quote: do not act on it."
    assert "No open connection carries it." in page["because"]


async def test_an_unknown_market_can_be_leased_as_it_says(redis_url: str, sim: SimServer) -> None:
    market, other = sim.polymarket_tokens[:2]
    settings = settings_for(sim, redis_url, polymarket__markets=other)
    async with reading(redis_url) as reader, running(settings) as (_, found):
        await all_live(reader, [other])
        code, output, errors = await command(market, "--url", str(found.http_url))
        assert (code, output) == (1, "")
        assert f"{market} is not followed at polymarket" in errors
        assert f"redis-cli ZADD feed:watch:polymarket $(($(date +%s)+3600)) {market}" in errors
        async with Redis.from_url(redis_url) as client:
            await client.zadd("feed:watch:polymarket", {market: time.time() + 3_600})
            await all_live(reader, [market])
        status, page = await page_of(str(found.http_url), market)
        assert (status, page["wanted_by"]) == (200, ["demand"])
