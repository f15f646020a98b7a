"""Both venues in, prices out: what readers get equals the true books."""

import asyncio
import itertools
import json
import subprocess
import sys
from collections import defaultdict

import pytest
from redis.asyncio import Redis
from support.feed import last_of, reading, running, settings_for, settle, top_of
from support.patience import within

from arbees_feed.sim import SimServer

pytestmark = pytest.mark.timeout(60)

STRANGER = """
import json, sys
import msgpack, redis

client = redis.Redis.from_url(sys.argv[1])
prices = {}
for key in client.scan_iter("market:*:last", count=1000):
    price = msgpack.unpackb(client.get(key))
    prices[price["market_id"]] = price
assert not any(name.startswith("arbees_feed") for name in sys.modules)
print(json.dumps(prices))
"""


async def test_after_a_pause_every_published_price_equals_the_true_book(
    sim: SimServer, redis_url: str
) -> None:
    """20 markets a venue, decoded by a process that has never heard of this package."""
    markets = [*sim.kalshi_tickers, *sim.polymarket_tokens]
    async with reading(redis_url) as reader, running(settings_for(sim, redis_url)):
        await reader.until(lambda: reader.all_are("live", markets))
        await reader.until(lambda: sum(map(len, reader.prices.values())) > 500)
        await settle(sim, reader, markets)
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", STRANGER, redis_url, stdout=subprocess.PIPE
        )
        output, _ = await child.communicate()
        prices = json.loads(output)
        assert sorted(prices) == sorted(markets)
        for market in markets:
            assert top_of(prices[market]) == sim.world.market(market).top()
            assert prices[market]["status"] == "live"
            assert prices[market]["source"] == "book"


async def test_messages_are_complete_in_order_and_never_crossed(
    sim: SimServer, redis_url: str
) -> None:
    """`seq` counts 1, 2, 3 … per market, and no two messages in a row say the same."""
    markets = [*sim.kalshi_tickers, *sim.polymarket_tokens]
    async with reading(redis_url) as reader, running(settings_for(sim, redis_url)):
        await reader.until(lambda: reader.all_are("live", markets))
        await reader.until(lambda: sum(map(len, reader.prices.values())) > 500)
    for messages in reader.prices.values():
        assert [m["seq"] for m in messages] == list(range(1, len(messages) + 1))
        assert len({m["session"] for m in messages}) == 1
        assert all(m["yes_bid"] < m["yes_ask"] for m in messages)
        assert all(0 < m["ts_recv_ns"] <= m["ts_pub_ns"] for m in messages)
        told = [(top_of(m), m["last_price"], m["status"]) for m in messages]
        assert all(a != b for a, b in itertools.pairwise(told))


async def test_last_is_the_very_bytes_published_and_the_quote_hash_follows(
    sim: SimServer, redis_url: str
) -> None:
    markets = [*sim.kalshi_tickers, *sim.polymarket_tokens]
    async with reading(redis_url) as reader, running(settings_for(sim, redis_url)):
        await reader.until(lambda: reader.all_are("live", markets))
        await settle(sim, reader, markets)
        async with asyncio.timeout(within(1.5)):
            behind = set(markets)
            while behind:
                for market in list(behind):
                    text = await reader.client.hgetall(f"market:{market}:quote")
                    if text.get(b"seq") == str(reader.prices[market][-1]["seq"]).encode():
                        behind.discard(market)
        for market in markets:
            published = reader.prices[market][-1]
            assert await last_of(reader.client, market) == published
            text = await reader.client.hgetall(f"market:{market}:quote")
            assert set(text) == {name.encode() for name in published} | {b"updated_at"}
            assert float(text[b"yes_bid"]) == published["yes_bid"]
            assert float(text[b"yes_ask_size"]) == published["yes_ask_size"]
        known = await reader.client.smembers("feed:markets:kalshi")
        assert known == {ticker.encode() for ticker in sim.kalshi_tickers}


async def test_metadata_reaches_the_hashes_of_markets_already_streaming(
    sim: SimServer, redis_url: str
) -> None:
    markets = [*sim.kalshi_tickers, *sim.polymarket_tokens]
    async with reading(redis_url) as reader, running(settings_for(sim, redis_url)):
        await reader.until(lambda: reader.all_are("live", markets))
        meta: dict[str, dict[bytes, bytes]] = defaultdict(dict)

        def complete() -> bool:
            return all(meta[m].get(b"title") for m in markets)

        async with asyncio.timeout(30):
            while not complete():
                await reader.heartbeat()
                for market in markets:
                    meta[market] = await reader.client.hgetall(f"market:{market}:meta")
        ticker = sim.kalshi_tickers[0]
        assert meta[ticker][b"title"].decode() == sim.world.market(ticker).title
        event = meta[ticker][b"event_id"].decode()
        assert ticker.encode() in await reader.client.smembers(f"event:{event}:markets")
        assert (await reader.client.hgetall(f"event:{event}:meta"))[b"title"]


async def test_a_slow_or_failing_rest_does_not_delay_prices(sim: SimServer, redis_url: str) -> None:
    """No REST call stands between the start and the first price of named markets."""
    sim.faults.fail_rest("kalshi", status=500)
    sim.faults.delay_rest("polymarket", 30.0)
    tokens = sim.polymarket_tokens[:5]
    settings = settings_for(sim, redis_url, polymarket__markets=",".join(tokens))
    async with reading(redis_url) as reader, running(settings):
        await reader.until(
            lambda: reader.all_are("live", [*sim.kalshi_tickers, *tokens]), within(4.0)
        )


async def test_without_any_configured_book_the_ticker_channel_carries_every_market(
    sim: SimServer, redis_url: str
) -> None:
    settings = settings_for(sim, redis_url, kalshi__markets="", polymarket__enabled="false")
    async with reading(redis_url) as reader, running(settings):
        await reader.until(lambda: reader.all_are("live", sim.kalshi_tickers))
        await settle(sim, reader, sim.kalshi_tickers)
        sources = {m["source"] for messages in reader.prices.values() for m in messages}
        assert sources == {"ticker"}


async def test_a_market_that_ends_is_closed_without_a_quote(sim: SimServer, redis_url: str) -> None:
    ticker, token = sim.kalshi_tickers[3], sim.polymarket_tokens[4]
    markets = [*sim.kalshi_tickers, *sim.polymarket_tokens]
    async with reading(redis_url) as reader, running(settings_for(sim, redis_url)):
        await reader.until(lambda: reader.all_are("live", markets))
        for market in (ticker, token):
            sim.close_market(market)
        await reader.until(lambda: reader.all_are("closed", [ticker, token]))
        for market in (ticker, token):
            assert top_of(reader.prices[market][-1]) == (0, 0, 10_000, 0)
        others = [market for market in markets if market not in (ticker, token)]
        await settle(sim, reader, others)


async def test_a_market_that_opens_appears_without_a_restart(
    sim: SimServer, redis_url: str
) -> None:
    async with reading(redis_url) as reader, running(settings_for(sim, redis_url)):
        await reader.until(lambda: reader.all_are("live", sim.kalshi_tickers))
        opened = sim.open_market("kalshi")
        await reader.until(lambda: reader.status(opened.id) == "live")
        async with asyncio.timeout(30):
            while not await reader.client.hget(f"market:{opened.id}:meta", "title"):
                await reader.heartbeat()


async def test_trades_and_depth_are_published_when_asked_for(
    sim: SimServer, redis_url: str
) -> None:
    import msgpack  # noqa: PLC0415 - beside the one use

    settings = settings_for(sim, redis_url, publish__trades="true", publish__depth="3")
    client = Redis.from_url(redis_url)
    async with client.pubsub() as pubsub, running(settings):
        await pubsub.psubscribe("market:*:trade", "market:*:book")
        seen: dict[str, dict[str, object]] = {}
        async with asyncio.timeout(30):
            async for message in pubsub.listen():
                if message["type"] == "pmessage":
                    kind = message["channel"].decode().rpartition(":")[2]
                    payload = msgpack.unpackb(message["data"])
                    seen[f"{payload['platform']} {kind}"] = payload
                if len(seen) == 4:
                    break
    await client.aclose()
    for kind, payload in seen.items():
        if kind.endswith("book"):
            assert payload["bids"] == sorted(payload["bids"], reverse=True)  # type: ignore[type-var]
            assert len(payload["asks"]) <= 3  # type: ignore[arg-type]
        else:
            assert 0 < payload["price"] < 1  # type: ignore[operator]
