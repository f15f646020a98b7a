"""CPU and messages a second of readers: ours against bare redis-py pub/sub loops.

    python benchmarks/reader.py [--messages 200000] [--rounds 3] [--rate 0] [--json FILE]

One process publishes the same stream (prices of 500 markets, in pipelines) to a Valkey of its own;
one reader at a time follows it in a process of its own, and its CPU is read when it has had the
last message. `--rate 0` publishes as fast as the server takes it, which lets each reader work in
bulk; a rate of some thousands shows the cost of small chunks. The bare loops decode each message
with msgpack and keep the newest of each market, and do nothing else: no joining, no losses, no
dead feeds. Exit 1 if ours, as it is used by default, needs more CPU than the best bare loop.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import hiredis
import msgpack
import uvloop
from redis import Redis as BlockingRedis
from redis.asyncio import Redis
from rich.console import Console
from rich.table import Table

from arbees_feed.app.embedded import start_server
from arbees_feed.core.wire import MarketPrice, Names
from arbees_feed.reader import PriceReader, SyncPriceReader

MARKETS = [f"KXBENCH-26NOV22-M{number:03d}" for number in range(500)]
LAST = "KXBENCH-END"
PIPELINED = 100
SESSION = 1

Result = dict[str, float]


# -- the stream ------------------------------------------------------------------------------------


def payload(market: str, seq: int) -> bytes:
    """Return one price; its publication time is now."""
    now_ns = time.time_ns()
    return MarketPrice(
        market_id=market,
        platform="kalshi",
        yes_bid=(seq % 90) / 100,
        yes_ask=0.95,
        yes_bid_size=float(seq),
        yes_ask_size=250.0,
        last_price=0.42,
        status="live",
        source="book",
        session=SESSION,
        seq=seq,
        ts_event_ns=now_ns,
        ts_recv_ns=now_ns,
        ts_pub_ns=now_ns,
    ).to_msgpack()


def beat() -> bytes:
    """Return the heartbeat that a daemon sends once a second."""
    message = {"venue": "kalshi", "state": "live", "reason": "", "session": SESSION, "ts_ns": 0}
    return bytes(msgpack.packb(message))


def publish(url: str, messages: int, rate: float) -> None:
    """Publish the stream, and the mark of its end."""
    names = Names()
    with BlockingRedis.from_url(url) as client:
        connection = client.connection_pool.get_connection()
        began_s = beaten_s = time.monotonic()
        for start in range(0, messages, PIPELINED):
            batch = [
                hiredis.pack_command(("PUBLISH", names.price(market), payload(market, seq)))
                for market, seq in (
                    (MARKETS[n % len(MARKETS)], n // len(MARKETS) + 1)
                    for n in range(start, min(messages, start + PIPELINED))
                )
            ]
            connection.send_packed_command(batch)
            for _ in batch:
                connection.read_response()
            if time.monotonic() - beaten_s > 1.0:
                beaten_s = time.monotonic()
                client.publish(names.status(), beat())
            if rate and (ahead_s := began_s + start / rate - time.monotonic()) > 0:
                time.sleep(ahead_s)
        client.publish(names.price(LAST), payload(LAST, 1))


# -- readers ---------------------------------------------------------------------------------------


async def bare_listen(url: str, ready: Callable[[], None]) -> int:
    """Read as the documentation of redis-py shows it: `async for message in pubsub.listen()`."""
    newest, count = {}, 0
    async with Redis.from_url(url) as client, client.pubsub() as pubsub:
        await pubsub.psubscribe("market:*:price")
        async for message in pubsub.listen():
            if message["type"] != "pmessage":
                ready()
                continue
            price = msgpack.unpackb(message["data"])
            newest[price["market_id"]] = price
            count += 1
            if price["market_id"] == LAST:
                return count
    raise AssertionError("the subscription ended")


async def bare_get_message(url: str, ready: Callable[[], None]) -> int:
    """Read in a loop of `get_message`."""
    newest, count = {}, 0
    async with Redis.from_url(url) as client, client.pubsub() as pubsub:
        await pubsub.psubscribe("market:*:price")
        while True:
            message = await pubsub.get_message(timeout=None)
            if message is None:
                continue
            if message["type"] != "pmessage":
                ready()
                continue
            price = msgpack.unpackb(message["data"])
            newest[price["market_id"]] = price
            count += 1
            if price["market_id"] == LAST:
                return count


async def bare_blocking(url: str, ready: Callable[[], None]) -> int:
    """Read with redis-py without asyncio."""
    newest, count = {}, 0
    with BlockingRedis.from_url(url) as client, client.pubsub() as pubsub:
        pubsub.psubscribe("market:*:price")
        for message in pubsub.listen():
            if message["type"] != "pmessage":
                ready()
                continue
            price = msgpack.unpackb(message["data"])
            newest[price["market_id"]] = price
            count += 1
            if price["market_id"] == LAST:
                return count
    raise AssertionError("the subscription ended")


async def ours(url: str, ready: Callable[[], None]) -> int:
    """Read as docs/reader.md shows it: the newest price of each market."""
    async with PriceReader(url) as reader:
        ready()
        async for price in reader:
            if price.market_id == LAST:
                return reader.stats.received
    raise AssertionError("the reader ended")


async def ours_every(url: str, ready: Callable[[], None]) -> int:
    """Read every price."""
    async with PriceReader(url, every=True, buffer=1_000_000) as reader:
        ready()
        count = 0
        async for price in reader:
            count += 1
            if price.market_id == LAST:
                assert reader.stats.missed == 0
                return count
    raise AssertionError("the reader ended")


async def ours_batches(url: str, ready: Callable[[], None]) -> int:
    """Read every price, a list at a time."""
    async with PriceReader(url, every=True, buffer=1_000_000) as reader:
        ready()
        count = 0
        while True:
            for price in await reader.batch():
                count += 1
                if price.market_id == LAST:
                    assert reader.stats.missed == 0
                    return count


async def ours_blocking(url: str, ready: Callable[[], None]) -> int:
    """Read every price without asyncio."""
    with SyncPriceReader(url, every=True, buffer=1_000_000) as reader:
        ready()
        for count, price in enumerate(reader, 1):
            if price.market_id == LAST:
                return count
    raise AssertionError("the reader ended")


Reader = Callable[[str, Callable[[], None]], Awaitable[int]]
READERS: dict[str, Reader] = {
    "redis.asyncio, listen()": bare_listen,
    "redis.asyncio, get_message()": bare_get_message,
    "redis, listen()": bare_blocking,
    "PriceReader": ours,
    "PriceReader(every=True)": ours_every,
    "PriceReader(every=True), batch()": ours_batches,
    "SyncPriceReader(every=True)": ours_blocking,
}
OURS = "PriceReader"
BARE = [name for name in READERS if name.startswith("redis")]


def read(name: str, url: str) -> None:
    """Run one reader to the end of the stream; print what it cost."""
    began: list[float] = []

    def ready() -> None:
        began[:] = [time.process_time(), time.monotonic()]
        print("ready", flush=True)

    count = uvloop.run(READERS[name](url, ready))  # type: ignore[arg-type]
    cpu_s, took_s = time.process_time() - began[0], time.monotonic() - began[1]
    print(json.dumps({"messages": count, "cpu_s": cpu_s, "took_s": took_s}), flush=True)


# -- all of it -------------------------------------------------------------------------------------


def child(*arguments: str) -> subprocess.Popen[str]:
    """Run this script in a role."""
    command = [sys.executable, __file__, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def measure(name: str, messages: int, rate: float) -> Result:
    """Let one reader follow the stream; return its figures."""
    server = start_server(None)
    url = f"redis://127.0.0.1:{server.port}/0"
    try:
        with BlockingRedis.from_url(url) as client:
            # No reader is to be cut off: how fast they are is the question here.
            client.config_set("client-output-buffer-limit", "pubsub 0 0 0")
            client.hset("feed:venue:kalshi", mapping={"session": SESSION, "state": "live"})
        with child("--read", name, "--url", url) as reader:
            assert reader.stdout is not None
            assert reader.stdout.readline() == "ready\n"
            publish(url, messages, rate)
            told = json.loads(reader.stdout.readline())
    finally:
        server.stop()
    return {
        "cpu_us": told["cpu_s"] / told["messages"] * 1e6,
        "messages_s": told["messages"] / told["took_s"],
        "messages": told["messages"],
    }


def median_of(rounds: Sequence[Result]) -> Result:
    """Return the median of each figure."""
    return {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}


def table(results: dict[str, Result], messages: int, rate: float) -> Table:
    """Return the figures as a table."""
    best_us = min(results[name]["cpu_us"] for name in BARE)
    speed = f"{rate:,.0f}/s" if rate else "as fast as it goes"
    shown = Table(title=f"{messages:,} prices of {len(MARKETS)} markets, {speed}")
    shown.add_column("reader")
    for column in ("CPU a message, µs", "messages/s", "CPU against the best bare loop"):
        shown.add_column(column, justify="right")
    for name, result in results.items():
        shown.add_row(
            name,
            f"{result['cpu_us']:.2f}",
            f"{result['messages_s']:,.0f}",
            f"{result['cpu_us'] / best_us:.2f}",
        )
    return shown


def main() -> int:
    """Measure all readers, in turns."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rate", type=float, default=0.0, help="prices a second; 0: no limit")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--read", choices=READERS, help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        read(options.read, options.url)
        return 0
    rounds: dict[str, list[Result]] = {name: [] for name in READERS}
    for _ in range(options.rounds):
        for name, results in rounds.items():
            results.append(measure(name, options.messages, options.rate))
    medians = {name: median_of(results) for name, results in rounds.items()}
    Console().print(table(medians, options.messages, options.rate))
    if options.json:
        options.json.write_text(json.dumps(medians, indent=2))
    best_us = min(medians[name]["cpu_us"] for name in BARE)
    return 0 if medians[OURS]["cpu_us"] <= best_us else 1


if __name__ == "__main__":
    sys.exit(main())
