"""Joining and losing under load: nothing missed unsaid, nothing old, the newest at the end."""

import asyncio
import os
import random
import signal

import pytest
from reader.test_reader import Log, check_order, kill_subscribers, logging
from redis.asyncio import Redis
from support.feed import url_of, valkey
from support.patience import within
from support.publishing import Published, publishing

from arbees_feed.reader import MarketPrice, PriceReader

MARKETS = [f"KX-{number:02d}" for number in range(50)]
RATE = 5_000
AT_ONCE = 4


def check_holes(log: Log) -> int:
    """Check that holes are counted; return how many prices are missing."""
    holes = sum(
        after.seq - before.seq - 1
        for market in MARKETS
        for before, after in zip(log.of(market), log.of(market)[1:], strict=False)
        if after.session == before.session
    )
    assert log.reader.stats.missed == holes
    return holes


async def until_newest(log: Log, published: Published) -> None:
    """Wait until the reader has the newest price of every market."""
    await published.settled()
    newest = {market: published.newest(market) for market in MARKETS}
    await log.until(
        lambda: {m: p.seq for m, p in log.reader.book.items() if p.status == "live"} == newest
    )


async def join_once(published: Published, url: str, rand: random.Random) -> None:
    """Join at a random moment; the first and the following prices are the publisher's."""
    await asyncio.sleep(rand.random() * 0.01)
    markets = rand.sample(MARKETS, 10)
    async with Redis.from_url(url) as client:
        values = await client.mget([f"market:{market}:last" for market in markets])
    kept = [MarketPrice.from_msgpack(value) for value in values if value]
    before = dict.fromkeys(markets, 0) | {price.market_id: price.seq for price in kept}
    async with PriceReader(url, markets=markets, every=True) as reader:
        newest: dict[str, int] = {}
        while len(newest) < len(markets) or min(newest[m] - before[m] for m in markets) < 3:
            price = await anext(reader)
            assert published.is_true(price)
            if price.market_id in newest:
                assert price.seq == newest[price.market_id] + 1
            else:
                assert price.seq >= before[price.market_id]
            newest[price.market_id] = price.seq
        assert (reader.stats.missed, reader.stats.marked) == (0, 0)


async def join_many(url: str, count: int) -> None:
    rand = random.Random(5)
    async with publishing(url) as published, asyncio.TaskGroup() as group:
        stream = group.create_task(published.stream(MARKETS, RATE))
        left = iter(range(count))

        async def worker() -> None:
            for _ in left:
                await join_once(published, url, rand)

        async with asyncio.TaskGroup() as workers:
            for _ in range(AT_ONCE):
                workers.create_task(worker())
        stream.cancel()


async def test_joins_at_random_moments(redis_url: str) -> None:
    await join_many(redis_url, 60)


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_thousand_joins_at_random_moments(redis_url: str) -> None:
    await join_many(redis_url, 1_000)


async def kill_many(url: str, count: int) -> None:
    rand = random.Random(7)
    async with (
        publishing(url) as published,
        logging(PriceReader(url, every=True, buffer=1_000_000)) as log,
        asyncio.TaskGroup() as group,
    ):
        stream = group.create_task(published.stream(MARKETS, RATE))
        await log.until(lambda: len(log.statuses()) == len(MARKETS))
        for number in range(count):
            assert await kill_subscribers(url) == 1
            await log.until(lambda n=number: log.reader.stats.reconnects > n)  # type: ignore[misc]
            await asyncio.sleep(rand.random() * 0.05)
        stream.cancel()
        await until_newest(log, published)
        check_order(log)
        check_holes(log)
        assert all(published.is_true(price) for price in log.prices if price.status == "live")
        stats = log.reader.stats
        assert (stats.reconnects, stats.outdated, stats.marked) == (count, 0, 0)
        assert stats.missed > 0, "prices went on while there was no connection"


async def test_connections_killed_under_load(redis_url: str) -> None:
    await kill_many(redis_url, 5)


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_hundred_connections_killed_under_load(redis_url: str) -> None:
    await kill_many(redis_url, 100)


async def test_a_reader_that_redis_cuts_off_as_too_slow(redis_url: str) -> None:
    """The process stands still; Redis keeps 64 kB for it and closes the connection."""
    async with Redis.from_url(redis_url) as client:
        await client.config_set("client-output-buffer-limit", "pubsub 65536 65536 1")
        async with (
            publishing(redis_url) as published,
            logging(PriceReader(redis_url, every=True, buffer=1_000_000)) as log,
        ):
            for market in MARKETS:
                published.put(market)
            await log.until(lambda: len(log.statuses()) == len(MARKETS))
            # Nobody reads from the socket, as while a process computes, or its network is slow.
            (link,) = log.reader._keeper.session._links  # type: ignore[union-attr]
            link._transport.pause_reading()  # type: ignore[attr-defined]
            while (await client.info("clients"))["pubsub_clients"]:
                for _ in range(40):
                    for market in MARKETS:
                        published.put(market)
                await published.settled()
            link._transport.resume_reading()  # type: ignore[attr-defined]
            await log.until(lambda: log.reader.stats.reconnects == 1)
            await until_newest(log, published)
            check_order(log)
            assert check_holes(log) > 0
            assert log.reader.stats.healed > 0


async def test_a_server_that_is_killed_and_comes_back_empty() -> None:
    """The publisher writes all again; meanwhile prices are stale, and afterwards none is."""
    with valkey() as first:
        url, port = url_of(first), first.port
        async with publishing(url) as published, logging(PriceReader(url)) as log:
            for market in MARKETS:
                published.put(market)
            await log.until(lambda: len(log.statuses()) == len(MARKETS))
            async with Redis.from_url(url) as client:
                pid = int((await client.info("server"))["process_id"])
            os.kill(pid, signal.SIGKILL)
            await log.until(lambda: set(log.statuses().values()) == {"stale"}, within(3.0))
            with valkey(port):
                await log.until(lambda: set(log.statuses().values()) == {"live"})
                await until_newest(log, published)
                check_order(log)


async def test_a_server_that_hangs(redis_url: str) -> None:
    """Nothing is closed and nothing comes, as when a cable is cut."""
    async with publishing(redis_url) as published, logging(PriceReader(redis_url)) as log:
        for market in MARKETS:
            published.put(market)
        await log.until(lambda: len(log.statuses()) == len(MARKETS))
        async with Redis.from_url(redis_url) as client:
            pid = int((await client.info("server"))["process_id"])
        os.kill(pid, signal.SIGSTOP)
        try:
            await log.until(lambda: set(log.statuses().values()) == {"stale"}, within(3.0))
        finally:
            os.kill(pid, signal.SIGCONT)
        await log.until(lambda: set(log.statuses().values()) == {"live"})
        await until_newest(log, published)
        check_order(log)
