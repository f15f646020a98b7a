"""Every market of a venue: start, coverage, calls, and a storm of REST errors; in real processes.

    python benchmarks/every_market.py --markets 5000 --rate 4000

Prints: time from process start to the first published price while REST is slow (2 s an answer) and
while it fails; the share of markets whose published price is the truth after a pause; REST calls a
minute beside what polling would need; rate and latency of prices before and during a storm of 429s
and 500s, and the breakers' states.
"""

import argparse
import asyncio
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgpack
from redis.asyncio import Redis

from arbees_feed.app.embedded import embedded_server

KEPT = {k: v for k, v in os.environ.items() if not k.startswith(("ARBEES_", "KALSHI_"))}


class Prices:
    """Counts published prices and how old they are on arrival, those of the stream and of REST."""

    def __init__(self) -> None:
        self.first = asyncio.Event()
        self.ages_ms: dict[str, list[float]] = {}

    async def follow(self, client: Any, ready: asyncio.Event) -> None:
        """Read all prices until cancelled."""
        async with client.pubsub() as pubsub:
            await pubsub.psubscribe("market:*:price")
            ready.set()
            async for message in pubsub.listen():
                if message["type"] == "pmessage":
                    price = msgpack.unpackb(message["data"])
                    source = "rest" if price["source"] == "rest" else "stream"
                    age_ms = (time.time_ns() - price["ts_recv_ns"]) / 1e6
                    self.ages_ms.setdefault(source, []).append(age_ms)
                    self.first.set()

    async def window(self, seconds: float) -> str:
        """Return rate and latency of the next *seconds*."""
        self.ages_ms.clear()
        await asyncio.sleep(seconds)
        told = []
        for source, ages in sorted(self.ages_ms.items(), reverse=True):
            ages.sort()
            p50, p99 = ages[len(ages) // 2], ages[len(ages) * 99 // 100]
            rate = f"{len(ages) / seconds:,.0f} prices/s from the {source}"
            told.append(f"{rate}, feed to subscriber p50 {p50:.2f} p99 {p99:.2f} ms")
        return "; ".join(told)


@asynccontextmanager
async def venues(markets: int, rate: float) -> AsyncIterator[dict[str, str]]:
    """Run simulated venues in a process; yield the environment that points the feed at them."""
    with tempfile.TemporaryDirectory() as folder:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "arbees_feed", "sim", "--kalshi-port=0", "--polymarket-port=0",
            f"--markets={markets}", f"--rate={rate}", f"--key-file={Path(folder) / 'key.pem'}",
            stdout=subprocess.PIPE, env=KEPT,
        )  # fmt: skip
        assert process.stdout is not None
        told: dict[str, str] = {}
        while "ARBEES_POLYMARKET__CLOB_URL" not in told:
            name, _, value = (await process.stdout.readline()).decode().strip().partition("=")
            told[name] = value
        try:
            yield told
        finally:
            process.terminate()
            await process.wait()


@asynccontextmanager
async def feed(env: Mapping[str, str], redis_url: str) -> AsyncIterator[str]:
    """Run the daemon on Kalshi alone; yield the URL of its HTTP endpoint."""
    port = str(20_000 + os.getpid() % 10_000)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "arbees_feed", "run", stderr=subprocess.DEVNULL,
        env={**KEPT, **env, "ARBEES_REDIS__URL": redis_url, "ARBEES_HTTP__PORT": port,
             "ARBEES_POLYMARKET__ENABLED": "false"},
    )  # fmt: skip
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


class Bench:
    """The venues, a server, and a reader of prices."""

    def __init__(self, env: dict[str, str], redis_url: str, http: aiohttp.ClientSession) -> None:
        self.env = env
        self.redis_url = redis_url
        self.client: Any = Redis.from_url(redis_url)
        self.sim = env["ARBEES_KALSHI__REST_URL"].partition("/trade-api")[0]
        self.http = http

    async def fault(self, name: str, **arguments: object) -> None:
        """Switch a fault of the simulated venues."""
        async with self.http.post(f"{self.sim}/sim/{name}", json=arguments) as answer:
            answer.raise_for_status()

    async def state(self) -> dict[str, Any]:
        """Return the truth."""
        async with self.http.get(f"{self.sim}/sim/state") as answer:
            return dict(await answer.json())

    async def calls(self, url: str) -> int:
        """Return how many REST calls the daemon has made."""
        return int(sum(await self._metric(url, "rest_calls_total")))

    async def breakers(self, url: str) -> list[float]:
        """Return the states of all circuit breakers."""
        return await self._metric(url, "rest_breaker_state")

    async def _metric(self, url: str, name: str) -> list[float]:
        async with self.http.get(f"{url}/metrics") as answer:
            form = rf"^arbees_feed_{name}.* ([\d.e+]+)$"
            return [float(v) for v in re.findall(form, await answer.text(), re.MULTILINE)]

    async def start(self, name: str) -> None:
        """Measure the time from process start to the first price."""
        await self.client.flushall()
        prices, ready = Prices(), asyncio.Event()
        async with asyncio.TaskGroup() as group:
            reader = group.create_task(prices.follow(self.client, ready))
            await ready.wait()
            began_s = time.monotonic()
            async with feed(self.env, self.redis_url), asyncio.timeout(60):
                await prices.first.wait()
                print(f"first price, REST {name}: {time.monotonic() - began_s:.3f} s", flush=True)
            reader.cancel()

    async def coverage(self, markets: int, seconds: float) -> None:
        """Measure how many markets have the true price after a pause, and the REST calls."""
        await self.client.flushall()
        async with feed(self.env, self.redis_url) as url:
            await asyncio.sleep(seconds)
            before, began_s = await self.calls(url), time.monotonic()
            await asyncio.sleep(20)
            after, took_s = await self.calls(url), time.monotonic() - began_s
            await self.fault("pause")
            await self.fault("drained")
            await asyncio.sleep(1.5)
            print(f"coverage: {await self._equal():,} of {markets:,} markets have the true price")
            print(
                f"REST calls: {after:,} in all, {(after - before) / took_s * 60:.0f} a minute now;"
                f" polling every second, 100 markets a call: {markets * 60 // 100:,} a minute",
                flush=True,
            )
            await self.fault("resume")

    async def _equal(self) -> int:
        state = await self.state()
        tops = {
            market: [told["bid"], told["bid_size"], told["ask"], told["ask_size"]]
            for market, told in state["markets"].items()
            if told["venue"] == "kalshi"
        }
        values = await self.client.mget([f"market:{ticker}:last" for ticker in tops])
        equal = 0
        for top, value in zip(tops.values(), values, strict=True):
            if value is not None:
                price = msgpack.unpackb(value)
                told = [
                    round(price["yes_bid"] * 1e4),
                    round(price["yes_bid_size"] * 1e6),
                    round(price["yes_ask"] * 1e4),
                    round(price["yes_ask_size"] * 1e6),
                ]
                equal += told == top
        return equal

    async def storm(self, markets: int) -> None:
        """Measure prices beside a storm of REST errors that begins before the first pass."""
        await self.client.flushall()
        prices, ready = Prices(), asyncio.Event()
        async with asyncio.TaskGroup() as group:
            reader = group.create_task(prices.follow(self.client, ready))
            await ready.wait()
            await self.fault("fail_rest", venue="kalshi", status=429, retry_after_s=1)
            async with feed(self.env, self.redis_url) as url:
                await prices.first.wait()
                await asyncio.sleep(5)  # the opening burst is over
                print(f"429s:   {await prices.window(10)}; breakers {await self.breakers(url)}")
                await self.fault("fail_rest", venue="kalshi", status=500)
                print(f"500s:   {await prices.window(20)}; breakers {await self.breakers(url)}")
                await self.fault("clear")
                began_s = time.monotonic()
                print(f"fill:   {await prices.window(10)}; breakers {await self.breakers(url)}")
                await self._until_enriched(markets)
                print(f"all metadata there {time.monotonic() - began_s:.0f} s after the storm")
                print(f"calm:   {await prices.window(10)}; breakers {await self.breakers(url)}")
            reader.cancel()

    async def _until_enriched(self, markets: int) -> None:
        async with self.client.pubsub() as pubsub:
            await pubsub.subscribe("feed:status")  # a heartbeat a second
            async for _ in pubsub.listen():
                if int(await self.client.hget("feed:venue:kalshi", "metadata") or 0) >= markets:
                    return


async def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--markets", type=int, default=5_000)
    parser.add_argument("--rate", type=float, default=4_000.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    arguments = parser.parse_args()
    async with AsyncExitStack() as stack:
        env = await stack.enter_async_context(venues(arguments.markets, arguments.rate))
        redis_url = await stack.enter_async_context(embedded_server())
        http = await stack.enter_async_context(aiohttp.ClientSession())
        bench = Bench(env, redis_url, http)
        print(f"{arguments.markets:,} markets, {arguments.rate:,.0f} changes a second", flush=True)
        await bench.fault("delay_rest", venue="kalshi", seconds=2.0)
        await bench.start("answering after 2 s")
        await bench.fault("clear")
        await bench.fault("fail_rest", venue="kalshi", status=503)
        await bench.start("failing (503)")
        await bench.fault("clear")
        await bench.coverage(arguments.markets, arguments.seconds)
        await bench.storm(arguments.markets)
        await bench.client.aclose()


if __name__ == "__main__":
    asyncio.run(main())
