"""What the status page is told by a real daemon over simulated venues."""

import json
from typing import Any

import aiohttp
from redis.asyncio import Redis
from support.feed import Reader, reading, running, settings_for, url_of, valkey

from arbees_feed.sim import SimServer

Page = dict[str, Any]


async def page_of(url: str | None, path: str, **query: str) -> Page:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{url}{path}", params=query) as answer,
    ):
        return dict(await answer.json())


async def all_live(reader: Reader, sim: SimServer) -> None:
    markets = [*sim.kalshi_tickers, *sim.polymarket_tokens]
    await reader.until(lambda: reader.all_are("live", markets))


async def next_of(answer: aiohttp.ClientResponse, kind: str) -> Any:
    """Return what the next event of a kind says."""
    while (await answer.content.readline()).decode() != f"event: {kind}\n":
        assert not answer.content.at_eof()
    return json.loads((await answer.content.readline()).removeprefix(b"data: "))


async def test_the_ladder_and_the_price_are_the_venues_own(redis_url: str, sim: SimServer) -> None:
    async with reading(redis_url) as reader, running(settings_for(sim, redis_url)) as (_, found):
        await all_live(reader, sim)
        sim.pause()
        await sim.drained()
        await reader.heartbeat()
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


async def test_the_stream_counts_what_happens(redis_url: str, sim: SimServer) -> None:
    market, unknown = sim.kalshi_tickers[0], "KX-NOBODY"
    async with reading(redis_url) as reader, running(settings_for(sim, redis_url)) as (_, found):
        await all_live(reader, sim)
        url = f"{found.http_url}/events?markets={market},{unknown}"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            first = await next_of(answer, "status")
            known, other = await next_of(answer, "prices")
            second = await next_of(answer, "status")
    assert (first["ready"], first["missing"]) == (True, {})
    assert [venue["venue"] for venue in first["venues"]] == ["kalshi", "polymarket"]
    for venue in second["venues"]:
        assert (venue["state"], venue["connections"], venue["markets_live"]) == ("live", 1, 20)
        assert venue["frames_per_s"] > 10
        assert venue["prices_per_s"] > 1
    assert second["redis"]["published_per_s"] > 10
    delays = {delay["name"]: delay for delay in second["delays"]}
    assert set(delays) == {
        "kalshi arrival", "polymarket arrival", "publish lag", "redis reply", "loop lag"
    }  # fmt: skip
    lag = delays["publish lag"]
    assert 0 < lag["p50_s"] <= lag["p95_s"] <= lag["p99_s"]
    assert lag["count"] > 10
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
        url = f"{found.http_url}/events"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            status = await next_of(answer, "status")
        kalshi, polymarket = status["venues"]
        assert (kalshi["state"], polymarket["state"]) == ("stale", "live")
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
        url = f"{found.http_url}/events"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            status = await next_of(answer, "status")
    states = [change["state"] for change in status["changes"] if change["who"] == "kalshi"]
    assert states[:2] == ["live", "stale"]
    assert status["venues"][0]["since_ns"] == status["changes"][0]["at_ns"]
