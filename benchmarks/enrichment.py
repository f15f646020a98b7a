"""Measure enrichment at the size of a venue: one full pass, its cost to the loop, and searching.

    python benchmarks/enrichment.py [--markets 100000] [--page-delay 0.0]

A second process plays the venue (200 events a page, records as long as the real ones); a real
server takes what is written. What is printed: how long the pass took, the worst and the typical
delay of somebody else on the same event loop meanwhile, memory on both sides, how long searches
take, and the requests of three hours afterwards.
"""

import argparse
import asyncio
import gc
import json
import random
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import uvloop
from aiohttp import web

from arbees_feed.app.embedded import embedded_server
from arbees_feed.core.ratelimit import Rates
from arbees_feed.core.wire import Names
from arbees_feed.enrich.diff import Written
from arbees_feed.enrich.search import search
from arbees_feed.enrich.service import Enricher
from arbees_feed.enrich.timing import Timing
from arbees_feed.enrich.writer import MetadataWriter
from arbees_feed.transport.http import HttpFetcher, HttpOptions
from arbees_feed.transport.redis import open_client
from arbees_feed.venues.kalshi.catalogue import KalshiCatalogue

MARKETS_AN_EVENT = 4
EVENTS_A_PAGE = 200
CITIES = (
    "Kansas City", "Buffalo", "Seattle", "San Francisco", "Dallas", "New York", "Chicago",
    "Green Bay", "Boston", "Denver", "Phoenix", "Miami", "Philadelphia", "Houston", "Atlanta",
    "Detroit", "Minnesota", "Cleveland", "São Paulo", "Montréal",
)  # fmt: skip
NICKNAMES = (
    "Chiefs", "Bills", "Seahawks", "Niners", "Cowboys", "Giants", "Bears", "Packers", "Celtics",
    "Broncos", "Suns", "Dolphins", "Eagles", "Texans", "Falcons", "Lions", "Vikings", "Browns",
)  # fmt: skip
SYLLABLES = (
    "ba",
    "ko",
    "ri",
    "ten",
    "mar",
    "lo",
    "vi",
    "sha",
    "du",
    "nel",
    "os",
    "gar",
    "pe",
    "mi",
)
RULES = (
    "If the outcome named in the title is confirmed by the sources, the market resolves to Yes. "
)
QUERIES = (
    "chiefs", "kansas city chiefs", "chie", "will the chiefs win", "sao paulo", "points",
    "player points", "p", "xyzzy", "KXGAME12", "",
)  # fmt: skip


def event_of(number: int, draw: random.Random) -> dict[str, Any]:
    """Return an event with its markets, in the shape and size of the venue's."""
    home, away = draw.sample(CITIES, 2)
    ticker = f"KXGAME{number % 40}-26NOV{number % 28 + 1:02d}{number:06d}"
    title = f"{away} at {home} {draw.choice(NICKNAMES)}"
    markets = [market_of(f"{ticker}-T{i}", ticker, title, draw) for i in range(MARKETS_AN_EVENT)]
    return {
        "event_ticker": ticker,
        "series_ticker": f"KXGAME{number % 40}",
        "title": title,
        "sub_title": "Regular season",
        "category": draw.choice(("Sports", "Politics", "Economics", "Crypto")),
        "mutually_exclusive": True,
        "markets": markets,
    }


def market_of(ticker: str, event: str, title: str, draw: random.Random) -> dict[str, Any]:
    """Return a market; each names a player of its own."""
    player = " ".join("".join(draw.choices(SYLLABLES, k=3)).title() for _ in range(2))
    name = f"{player}: {draw.randint(5, 60)}+ points"
    return {
        "ticker": ticker,
        "event_ticker": event,
        "market_type": "binary",
        "title": f"Will {player} score {draw.randint(5, 60)} points or more in {title}?",
        "yes_sub_title": name,
        "no_sub_title": name,
        "open_time": "2026-11-21T00:00:00Z",
        "close_time": "2026-11-29T00:00:00Z",
        "expected_expiration_time": "2026-11-29T03:00:00Z",
        "status": "active",
        "yes_bid_dollars": "0.4700", "yes_bid_size_fp": "333.00",
        "yes_ask_dollars": "0.4900", "yes_ask_size_fp": "80.00",
        "last_price_dollars": "0.4800",
        "volume_fp": f"{draw.lognormvariate(6, 2):.2f}",
        "strike_type": "greater", "floor_strike": draw.randint(5, 60),
        "rules_primary": RULES * 3, "rules_secondary": RULES,
        "price_level_structure": "linear_cent",
        "price_ranges": [{"start": "0.0000", "end": "1.0000", "step": "0.0100"}],
        "exchange_index": 0,
    }  # fmt: skip


async def serve_venue(markets: int, delay_s: float) -> None:
    """Play the venue until killed; print the port."""
    draw = random.Random(1)
    events = [event_of(n, draw) for n in range(markets // MARKETS_AN_EVENT)]
    pages = [
        json.dumps({"events": events[i : i + EVENTS_A_PAGE], "cursor": str(i + EVENTS_A_PAGE)})
        for i in range(0, len(events), EVENTS_A_PAGE)
    ]
    pages[-1] = pages[-1].replace(f'"cursor": "{len(pages) * EVENTS_A_PAGE}"', '"cursor": ""')

    async def answer(request: web.Request) -> web.Response:
        await asyncio.sleep(delay_s)
        if "min_updated_ts" in request.query:
            kind = request.path.rpartition("/")[2]
            return web.json_response({kind: [], "cursor": ""})
        page = int(request.query.get("cursor") or 0) // EVENTS_A_PAGE
        return web.Response(text=pages[page], content_type="application/json")

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


class Probe:
    """Somebody else on the loop, who wants to run every millisecond."""

    def __init__(self) -> None:
        self.late_ms: list[float] = []

    async def run(self) -> None:
        """Measure until cancelled."""
        while True:
            due_s = time.perf_counter() + 0.001
            await asyncio.sleep(0.001)
            self.late_ms.append((time.perf_counter() - due_s) * 1e3)

    def summary(self) -> str:
        """Return the typical and the worst delay."""
        ordered = sorted(self.late_ms)
        median, p99 = statistics.median(ordered), ordered[int(len(ordered) * 0.99)]
        return f"median {median:.2f} ms, 99 % {p99:.2f} ms, worst {ordered[-1]:.2f} ms"


@asynccontextmanager
async def probing() -> AsyncIterator[Probe]:
    """Probe the loop while the block runs."""
    probe = Probe()
    task = asyncio.ensure_future(probe.run())
    try:
        yield probe
    finally:
        task.cancel()


class Pass:
    """An enricher that is stopped once it waits, on a clock that can be moved."""

    def __init__(self) -> None:
        self.shift_s = 0.0
        self.idle = asyncio.Event()
        self.go = asyncio.Event()
        self.timing = Timing(
            now=lambda: time.time() + self.shift_s,
            monotonic=lambda: time.monotonic() + self.shift_s,
            wait=self.wait,
        )
        self.hours_left_s = 0.0

    async def wait(self, event: asyncio.Event, timeout_s: float) -> None:
        """Let time pass at once while there is some left; else stop."""
        if event.is_set():
            return
        if self.hours_left_s <= 0:
            self.idle.set()
            await self.go.wait()
        self.shift_s += timeout_s
        self.hours_left_s -= timeout_s

    async def until_idle(self) -> None:
        """Return when there is nothing to do."""
        self.idle.clear()
        self.go.set()
        await asyncio.sleep(0)
        self.go.clear()
        await self.idle.wait()


def resident_mb() -> float:
    """Return the most memory this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def used_mb(client: Any) -> float:
    """Return the server's memory."""
    return int((await client.info("memory"))["used_memory"]) / 1e6


async def index_mb(client: Any, names: Names, venue: str) -> tuple[float, int]:
    """Return the memory of the index of titles and the number of its words."""
    words = [w.decode() for w in await client.zrange(names.search_words(venue), 0, -1)]
    keys = [names.search(venue, word) for word in words]
    keys += [names.search_words(venue), names.volume(venue)]
    pipeline = client.pipeline(transaction=False)
    for key in keys:
        pipeline.execute_command("MEMORY", "USAGE", key, "SAMPLES", 50)
    return sum(size or 0 for size in await pipeline.execute()) / 1e6, len(words)


async def timed_search(client: Any, names: Names, query: str) -> None:
    """Search ten times and print."""
    took_ms: list[float] = []
    for _ in range(10):
        started_s = time.perf_counter()
        hits = await search(client, names, query)
        took_ms.append((time.perf_counter() - started_s) * 1e3)
    first = hits[0].title[:60] if hits else "-"
    print(f"  {query!r:24} {statistics.median(took_ms):7.1f} ms  {len(hits):3} hits  {first}")


async def measure(port: int) -> None:
    """Run it all and print."""
    names = Names()
    async with embedded_server() as url, aiohttp.ClientSession() as session:
        client = open_client(url, timeout_s=5.0)
        written = Written()
        clock = Pass()
        enricher = Enricher(
            KalshiCatalogue({"rest": f"http://127.0.0.1:{port}"}),
            HttpFetcher(session, HttpOptions(rates=Rates(1e6, 1e6))),
            MetadataWriter(client, names, venue="kalshi", written=written),
            first_price=_at_once,
            unknown=tuple,
            timing=clock.timing,
        )
        gc.freeze()
        before_mb, rss_mb = await used_mb(client), resident_mb()
        task = asyncio.ensure_future(enricher.run())
        await report_pass("full pass", enricher, clock.until_idle)
        print(f"  server: {await used_mb(client) - before_mb:.0f} MB more")
        print(f"  this process: {resident_mb() - rss_mb:.0f} MB more ({resident_mb():.0f} at most)")
        await report_memory(client, names, written)
        for query in QUERIES:
            await timed_search(client, names, query)
        await report_later(client, names, enricher, clock)
        task.cancel()
        await client.aclose()


async def report_memory(client: Any, names: Names, written: Written) -> None:
    """Print what the index and the digests take."""
    index, words = await index_mb(client, names, "kalshi")
    print(f"  index of titles: {index:.1f} MB, {words:,} words")
    known = written._digests
    size = sys.getsizeof(known)
    size += sum(sys.getsizeof(key) + sys.getsizeof(value) for key, value in known.items())
    print(f"  digests: {size / len(known):.0f} bytes a record, {len(known):,} of them")


async def report_later(client: Any, names: Names, enricher: Enricher, clock: Pass) -> None:
    """Let three hours pass, then remove everything."""
    before = enricher.stats.requests_total
    clock.hours_left_s = 3 * 3600
    await report_pass("three hours", enricher, clock.until_idle)
    calls = enricher.stats.requests_total - before
    print(f"  {calls} requests in 3 h: {calls / 180:.2f} a minute")
    every = [m.decode() for m in await client.zrange(names.volume("kalshi"), 0, -1)]
    enricher.remove(every)
    clock.hours_left_s = len(every) / 500 * 5 + 60
    await report_pass("removing all", enricher, clock.until_idle)
    print(f"  keys left: {await client.dbsize()}")


async def report_pass(name: str, enricher: Enricher, run: Callable[[], Any]) -> None:
    """Run a step under the probe and print."""
    started_s, cpu_s = time.perf_counter(), time.process_time()
    async with probing() as probe:
        await run()
    took_s, cpu_s = time.perf_counter() - started_s, time.process_time() - cpu_s
    stats = enricher.stats
    print(
        f"{name}: {took_s:.1f} s ({cpu_s:.1f} s of CPU), listing {stats.listing_markets:,} markets"
    )
    print(f"  others on the loop were late by: {probe.summary()}")


async def _at_once() -> None:
    pass


def main() -> None:
    """Start the venue, measure, stop it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--markets", type=int, default=100_000)
    parser.add_argument("--page-delay", type=float, default=0.0)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve_venue(options.markets, options.page_delay))
        return
    command = [sys.executable, __file__, "--serve", "--markets", str(options.markets)]
    command += ["--page-delay", str(options.page_delay)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as venue:
        assert venue.stdout is not None
        try:
            port = int(venue.stdout.readline())
            uvloop.run(measure(port))
        finally:
            venue.terminate()


if __name__ == "__main__":
    main()
