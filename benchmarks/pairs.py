"""How long `arbees-feed match run` takes over two whole venues, and how soon it reacts then.

    python benchmarks/pairs.py [--kalshi 100000] [--polymarket 50000] [--new 200]

Markets of the listings' forms (see benchmarks/matching.py for where they come from) are written to
a real server as enrichment writes them. Then the command runs as users run it. What is printed: how
long its first pass took and its processor time, its peak memory, and of markets that are listed
anew how long it took from the word on `feed:meta` to the first message of their pair.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from matching import listings  # type: ignore[import-not-found]  # beside this file
from redis.asyncio import Redis

from arbees_feed.app.embedded import embedded_server
from arbees_feed.config.environment import without_settings
from arbees_feed.core.wire import MetadataNews, Names
from arbees_feed.matching.listing import KalshiListing, PolymarketListing

NAMES = Names()
YEAR = 2026
TEXTS = ("title", "event_id", "event_title", "rules", "slug", "event_slug", "end_time")
Listing = TypeVar("Listing", KalshiListing, PolymarketListing)
Fields = dict[str, str]


def moved(text: str, turn: int) -> str:
    """Return a text or an id with its year moved on."""
    later = YEAR + turn
    return text.replace(str(YEAR), str(later)).replace(f"-{YEAR % 100}", f"-{later % 100}")


def copies(many: list[Listing], count: int) -> Iterator[Listing]:
    """Yield *count* listings of the forms of *many*, each round of another year.

    So blocks of candidates stay as large as real ones, and a ticker agrees with its texts.
    """
    for number in range(count):
        one, turn = many[number % len(many)], number // len(many)
        texts = {n: moved(getattr(one, n), turn) for n in TEXTS if hasattr(one, n)}
        yield msgspec.structs.replace(one, **texts)


def kalshi_metas(many: list[KalshiListing], count: int) -> Iterator[tuple[str, Fields]]:
    """Yield ids and hashes of Kalshi's markets."""
    seen: set[str] = set()
    for number, one in enumerate(copies(many, count)):
        turn = number // len(many)
        ticker = moved(one.market_id, turn)
        ticker = ticker if ticker not in seen else f"{ticker}-{turn}"
        seen.add(ticker)
        yield ticker, {
            "platform": "kalshi", "title": one.title, "outcome_yes": one.yes_sub_title,
            "event_id": one.event_id, "event_title": one.event_title,
            "rules_primary": one.rules, "open_time": one.open_time, "close_time": one.close_time,
            "status": "open",
        }  # fmt: skip


def polymarket_metas(many: list[PolymarketListing], count: int) -> Iterator[tuple[str, Fields]]:
    """Yield ids and hashes of Polymarket's markets."""
    for number, one in enumerate(copies(many, count)):
        yes, no = (*one.outcomes, "", "")[:2]
        yield str(10**76 + number), {
            "platform": "polymarket", "title": one.title, "slug": one.slug,
            "event_id": one.event_id, "event_title": one.event_title,
            "event_slug": one.event_slug, "description": one.rules, "close_time": one.end_time,
            "game_start_time": one.game_start, "sports_market_type": one.market_type,
            "outcome_yes": yes, "outcome_no": no, "status": "open",
        }  # fmt: skip


async def write(client: Any, venue: str, metas: dict[str, Fields]) -> None:
    """Write hashes as enrichment does."""
    items = list(metas.items())
    for start in range(0, len(items), 1_000):
        pipeline = client.pipeline(transaction=False)
        for market, fields in items[start : start + 1_000]:
            kept = {name: value for name, value in fields.items() if value}
            pipeline.hset(NAMES.meta(market), mapping=kept)
            pipeline.zadd(NAMES.volume(venue), {market: 0})
        await pipeline.execute()


async def until(client: Any, expected: str) -> dict[bytes, bytes]:
    """Return the state of matching once it is the expected one."""
    while True:
        state: dict[bytes, bytes] = await client.hgetall(NAMES.pairs_state())
        if state.get(b"state") == expected.encode():
            return state
        await asyncio.sleep(0.05)


def usage(pid: int) -> tuple[float, float]:
    """Return peak memory in MB and processor seconds of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return int(peak.split()[1]) / 1024, sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


async def list_anew(client: Any, theirs: dict[str, Fields], count: int) -> list[float]:
    """Remove markets of confirmed pairs and list them again; return ms until their pair speaks."""
    channel = client.pubsub(ignore_subscribe_messages=True)
    await channel.psubscribe(NAMES.pair_price("*"))
    times = []
    for pair in (await client.zrevrange(NAMES.pairs(), 0, -1))[:: max(1, 2_000 // count)][:count]:
        fields = await client.hgetall(NAMES.pair(pair.decode()))
        market = fields[b"polymarket_id"].decode()
        if fields[b"grade"] == b"probable":
            continue
        await client.delete(NAMES.meta(market))
        await client.zrem(NAMES.volume("polymarket"), market)
        await tell(client, market)
        await hear(channel, pair, b"closed")
        await write(client, "polymarket", {market: theirs[market]})
        began = time.perf_counter()
        await tell(client, market)
        await hear(channel, pair, b"stale")
        times.append((time.perf_counter() - began) * 1e3)
    await channel.aclose()
    return sorted(times)


async def tell(client: Any, market: str) -> None:
    """Name a market on the channel that enrichment uses."""
    await client.publish(NAMES.meta_news(), MetadataNews("polymarket", (market,)).to_msgpack())


async def hear(channel: Any, pair: bytes, status: bytes) -> None:
    """Wait for a message of a pair."""
    async with asyncio.timeout(30):
        while True:
            message = await channel.get_message(timeout=1.0)
            if message and pair in message["data"] and status in message["data"]:
                return


async def run(kalshi: int, polymarket: int, new: int) -> None:
    """Measure over a server of our own."""
    async with embedded_server() as url:
        await measure(url, kalshi, polymarket, new)


async def measure(url: str, kalshi: int, polymarket: int, new: int) -> None:
    """Fill the server, run the command, and print what it took."""
    client: Any = Redis.from_url(url)
    ours, theirs = listings()
    their_metas = dict(polymarket_metas(theirs, polymarket))
    await write(client, "kalshi", dict(kalshi_metas(ours, kalshi)))
    await write(client, "polymarket", their_metas)
    command = [sys.executable, "-m", "arbees_feed", "match", "run", "--set", f"redis.url={url}"]
    began = time.perf_counter()
    # What names our data is no setting of the command.
    process = await asyncio.create_subprocess_exec(*command, env=without_settings())
    try:
        async with asyncio.timeout(300):
            state = await until(client, "live")
        took = time.perf_counter() - began
        peak, cpu = usage(process.pid)
        print(json.dumps({k.decode(): v.decode() for k, v in state.items()}))
        print(f"first pass {took:.1f} s, processor {cpu:.1f} s, peak {peak:.0f} MB", flush=True)
        times = await list_anew(client, their_metas, new)
        middle, late = times[len(times) // 2], times[len(times) * 99 // 100]
        print(f"{len(times)} new markets: to the first word of the pair median {middle:.1f} ms,"
              f" 99 % {late:.1f} ms, most {times[-1]:.1f} ms")  # fmt: skip
        peak, _ = usage(process.pid)
        print(f"peak {peak:.0f} MB")
    finally:
        process.terminate()
        await process.wait()
        await client.aclose()


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kalshi", type=int, default=100_000)
    parser.add_argument("--polymarket", type=int, default=50_000)
    parser.add_argument("--new", type=int, default=200)
    given = parser.parse_args()
    asyncio.run(run(given.kalshi, given.polymarket, given.new))


if __name__ == "__main__":
    main()
