"""What the status page is told by a real daemon over simulated venues."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from redis.asyncio import Redis
from support.coverage import say_once
from support.feed import Reader, reading, running, settings_for, settle, url_of, valkey

from arbees_feed.sim import SimServer

Page = dict[str, Any]


async def page_of(url: str | None, path: str, **query: str) -> Page:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{url}{path}", params=query) as answer,
    ):
        return dict(await answer.json())


@asynccontextmanager
async def statuses(url: str | None, markets: str = "") -> AsyncIterator[aiohttp.ClientResponse]:
    """The stream of the page."""
    query = {"markets": markets} if markets else {}
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{url}/events", params=query) as answer,
    ):
        yield answer


async def until(answer: aiohttp.ClientResponse, condition: Callable[[Any], bool]) -> Any:
    """Return the first status that fulfils a condition; there is one a second."""
    async with asyncio.timeout(30):
        while not condition(status := await next_of(answer, "status")):
            pass
    return status


async def all_live(reader: Reader, sim: SimServer) -> None:
    markets = [*sim.kalshi_tickers, *sim.polymarket_tokens]
    await reader.until(lambda: reader.all_are("live", markets))


async def metrics_of(url: str | None) -> str:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/metrics") as answer:
        return await answer.text()


async def next_of(answer: aiohttp.ClientResponse, kind: str) -> Any:
    """Return what the next event of a kind says."""
    while (await answer.content.readline()).decode() != f"event: {kind}\n":
        assert not answer.content.at_eof()
    return json.loads((await answer.content.readline()).removeprefix(b"data: "))


async def test_the_ladder_and_the_price_are_the_venues_own(redis_url: str, sim: SimServer) -> None:
    async with reading(redis_url) as reader, running(settings_for(sim, redis_url)) as (_, found):
        await all_live(reader, sim)
        await settle(sim, reader, [sim.kalshi_tickers[0], sim.polymarket_tokens[0]])
        for venue, market in (
            ("kalshi", sim.kalshi_tickers[0]),
            ("polymarket", sim.polymarket_tokens[0]),
        ):
            page = await page_of(found.http_url, f"/market/{market}")
            bid, bid_size, ask, ask_size = sim.world.market(market).top()
            assert (page["venue"], page["book"], page["doubt"]) == (venue, "live", "")
            assert page["bids"][0] == [bid / 10_000, bid_size / 1_000_000]
            assert page["asks"][0] == [ask / 10_000, ask_size / 1_000_000]
            assert (page["price"]["bid"], page["price"]["ask"]) == (bid / 10_000, ask / 10_000)
            assert page["price"]["status"] == "live"
            assert page["bids"] == sorted(page["bids"], reverse=True)
            assert page["asks"] == sorted(page["asks"])
            assert len(page["bids"]) <= 10


def is_in_full_flow(status: Any) -> bool:
    """All is live, and counted; none of it at once, nor on a busy machine at its usual pace."""
    return (
        (status["ready"], status["missing"]) == (True, {})
        and all(
            (venue["state"], venue["connections"], venue["markets_live"]) == ("live", 1, 20)
            and (venue["frames_per_s"] or 0) > 10
            and (venue["prices_per_s"] or 0) > 1
            for venue in status["venues"]
        )
        and (status["redis"]["published_per_s"] or 0) > 10
        and all(delay["count"] > 10 for delay in status["delays"] if delay["name"] == "publish lag")
    )


async def test_the_stream_counts_what_happens(redis_url: str, sim: SimServer) -> None:
    market, unknown = sim.kalshi_tickers[0], "KX-NOBODY"
    async with reading(redis_url) as reader, running(settings_for(sim, redis_url)) as (_, found):
        await all_live(reader, sim)
        async with statuses(found.http_url, f"{market},{unknown}") as answer:
            first = await next_of(answer, "status")
            known, other = await next_of(answer, "prices")
            second = await until(answer, is_in_full_flow)
    assert [venue["venue"] for venue in first["venues"]] == ["kalshi", "polymarket"]
    delays = {delay["name"]: delay for delay in second["delays"]}
    assert set(delays) == {
        "kalshi arrival", "polymarket arrival", "publish lag", "redis reply", "loop lag"
    }  # fmt: skip
    lag = delays["publish lag"]
    assert 0 < lag["p50_s"] <= lag["p95_s"] <= lag["p99_s"]
    assert (known["market"], known["status"]) == (market, "live")
    assert (other["market"], other["status"], other["bid"]) == (unknown, "unknown", None)


async def test_titles_and_ids_are_found_and_titles_again_in_full(
    redis_url: str, sim: SimServer
) -> None:
    market = sim.polymarket_tokens[0]
    async with reading(redis_url) as reader, running(settings_for(sim, redis_url)) as (_, found):
        await all_live(reader, sim)
        async with Redis.from_url(redis_url) as client:
            while not await client.hget(f"market:{market}:meta", "title"):
                await reader.heartbeat()
            title = (await client.hget(f"market:{market}:meta", "title")).decode()
        by_title = await page_of(found.http_url, "/markets", q=title, limit="50")
        assert market in [hit["market"] for hit in by_title["hits"]]
        assert all(hit["price"]["status"] == "live" for hit in by_title["hits"])
        (hit,) = (await page_of(found.http_url, "/markets", q=market))["hits"]
        assert (hit["market"], hit["venue"], hit["title"]) == (market, "polymarket", title)
        part = await page_of(found.http_url, "/markets", q=market[10:30])
        assert [hit["market"] for hit in part["hits"]] == [market]
        assert part["note"] == "no title has these words: found by id"
        assert len((await page_of(found.http_url, "/markets", limit="3"))["hits"]) == 3
        assert (await page_of(found.http_url, "/markets", q="xyzzy plugh"))["hits"] == []


async def test_without_redis_ids_are_found_and_it_says_why(sim: SimServer) -> None:
    market = sim.kalshi_tickers[0]
    with valkey() as server:
        settings = settings_for(sim, url_of(server), redis__io_timeout_s="0.5")
        async with reading(url_of(server)) as reader, running(settings) as (_, found):
            await all_live(reader, sim)
            server.stop()
            page = await page_of(found.http_url, "/markets", q=market.lower())
            assert [hit["market"] for hit in page["hits"]] == [market]
            assert page["note"].startswith("titles cannot be searched now: ")


async def test_a_stale_market_has_no_quote(redis_url: str, sim: SimServer) -> None:
    market = sim.kalshi_tickers[0]
    async with reading(redis_url) as reader, running(settings_for(sim, redis_url)) as (_, found):
        await all_live(reader, sim)
        sim.faults.refuse_handshakes("kalshi", status=503, for_s=60.0)
        sim.faults.close_sockets("kalshi")
        await reader.until(lambda: reader.status(market) == "stale")
        page = await page_of(found.http_url, f"/market/{market}")
        price = page["price"]
        assert (price["status"], price["bid"], price["ask"]) == ("stale", None, None)
        assert page["book"] == "lost"
        async with statuses(found.http_url) as answer:
            status = await until(
                answer, lambda now: [v["state"] for v in now["venues"]] == ["stale", "live"]
            )
        kalshi, _ = status["venues"]
        assert kalshi["incidents"]["connections lost"] == 1
        assert "last loss" in kalshi["problems"]
        assert list(status["missing"]) == ["kalshi"]


async def test_changes_are_known_that_nobody_has_looked_at(redis_url: str, sim: SimServer) -> None:
    async with reading(redis_url) as reader, running(settings_for(sim, redis_url)) as (_, found):
        await all_live(reader, sim)
        sim.faults.refuse_handshakes("kalshi", status=503, for_s=60.0)
        sim.faults.close_sockets("kalshi")
        # Told twice: it has lasted for about a second.
        await reader.until(
            lambda: (
                [m["state"] for m in reader.states if m["venue"] == "kalshi"][-2:]
                == ["stale", "stale"]
            )
        )
        sim.faults.clear()
        await reader.until(lambda: reader.state("kalshi") == "live")
        async with statuses(found.http_url) as answer:
            status = await until(answer, lambda now: now["venues"][0]["state"] == "live")
    changes = [change for change in status["changes"] if change["who"] == "kalshi"]
    assert [change["state"] for change in changes[:2]] == ["live", "stale"]
    assert status["venues"][0]["since_ns"] == changes[0]["at_ns"]


async def test_a_matcher_of_pairs_is_told_everywhere_while_it_is_there(
    redis_url: str, sim: SimServer
) -> None:
    """Written by hand, so that its time is ours; what a real one writes is the same."""
    async with (
        Redis.from_url(redis_url) as client,
        running(settings_for(sim, redis_url)) as (_, found),
        statuses(found.http_url) as answer,
    ):
        url = found.http_url
        assert (await next_of(answer, "status"))["pairs"] is None
        assert "pairs" not in await page_of(url, "/")
        assert "matcher" not in await metrics_of(url)
        await say_once(client)
        status = await until(answer, lambda now: now["pairs"] is not None)
        assert (status["pairs"]["state"], status["pairs"]["cross_pairs"]) == ("live", "12/15")
        assert (await page_of(url, "/"))["pairs"]["cross_pairs"] == "12/15"
        metrics = await metrics_of(url)
        for line in ('cross_pairs{kind="live"} 12.0', 'cross_pairs{kind="mapped"} 2.0'):
            assert f"\narbees_feed_{line}\n" in metrics
        await client.hset("feed:pairs:state", "live", "five")
        while "arbees_feed_matcher_malformed_total" not in await metrics_of(url):
            assert (await next_of(answer, "status"))["pairs"]["live"] == 12
        await client.delete("feed:pairs:state")
        status = await until(answer, lambda now: now["pairs"] is None)
        assert [c["state"] for c in status["changes"] if c["who"] == "pairs"] == [
            "stopped",
            "live",
        ]
        assert "matcher_up" not in await metrics_of(url)
