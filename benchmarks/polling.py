"""REST polling against streaming: how old is the price that a reader has, and at how many calls?

    python benchmarks/polling.py [--seconds 60] [--json FILE] [--write-docs]

Simulated venues, the same markets read in every way at the same time: by pollers, each with a REST
line and a limit of its own (an answer takes 150 to 300 ms; more calls than the venue documents are
refused or held back, as the venue does it), and by a subscriber of our daemon, whose WebSocket is
20 ms away from the venue. The venues know the truth. A change's age is the time from the venue's
change to the moment when a reader has it, or a later one; a change is missed when a reader never
had it. Changes that lasted less than 1 ms don't count. The same seed gives the same markets, moves
and answer times. Exit 1 if a price was read that was never true, a reader had none, or streaming is
not ahead of every poller.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import uvloop
from loopback import report, simulated
from loopback.judging import Judgement, Seen, State, Top, judge
from loopback.lines import Gateway, line
from loopback.pollers import WAYS, Poller, Reader, limit_of
from loopback.processes import Bench, bench
from redis.asyncio import Redis
from rich.console import Console
from rich.table import Table

from arbees_feed.core.wire import MarketPrice

VENUES = ("kalshi", "polymarket")
ANSWER_S = (0.150, 0.300)
STREAM_S = 0.020
WARM_S = 5.0
TAIL_S = 3.0
"""At the end, for what happened last to be seen."""
PERCENTILES = (1, 10, 25, 50, 75, 90, 95, 99, 99.9, 100)
STREAM = "our daemon, over a 20 ms line"
REST_SETTINGS = {
    "kalshi": ("kalshi.rest_url",),
    "polymarket": ("polymarket.clob_url", "polymarket.gamma_url"),
}


# -- reading the stream ----------------------------------------------------------------------------


async def subscribe(redis_url: str, readers: Mapping[str, Reader], ready: asyncio.Event) -> None:
    """Note every live price that the daemon publishes."""
    async with Redis.from_url(redis_url) as client, client.pubsub() as pubsub:
        await pubsub.psubscribe("market:*:price")
        ready.set()
        async for message in pubsub.listen():
            if message["type"] != "pmessage":
                continue
            price = MarketPrice.from_msgpack(message["data"])
            if price.status == "live":
                readers[price.platform].note(price.market_id, Seen(_top(price), time.time_ns()))


def _top(price: MarketPrice) -> Top:
    return (
        round(price.yes_bid * 10_000),
        round(price.yes_bid_size * 1e6),
        round(price.yes_ask * 10_000),
        round(price.yes_ask_size * 1e6),
    )


# -- all of it -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Given:
    """What is measured: the venues' settings and markets, and how."""

    settings: Mapping[str, str]
    markets: Mapping[str, Sequence[str]]
    seconds: float
    seed: int

    def rest_of(self, venue: str) -> str:
        """Return where a venue's REST is, without a path."""
        return _origin(self.settings[REST_SETTINGS[venue][0]])


def _origin(url: str) -> str:
    return "/".join(url.split("/")[:3])


@asynccontextmanager
async def pollers(given: Given) -> AsyncIterator[Sequence[tuple[str, Poller]]]:
    """Open a gateway for each way of polling each venue."""
    async with AsyncExitStack() as stack:
        connector = aiohttp.TCPConnector(limit=0)
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector))
        made = []
        for venue in VENUES:
            for way in WAYS:
                seed = f"{given.seed} {venue} {way}"
                gateway = Gateway(given.rest_of(venue), limit_of(venue, way), ANSWER_S, seed)
                address = await stack.enter_async_context(gateway.open())
                reader = Reader(venue, way, gateway, given.markets[venue])
                made.append((way, Poller(reader, session, address)))
        yield made


@asynccontextmanager
async def daemon(run: Bench, given: Given) -> AsyncIterator[Mapping[str, Reader]]:
    """Run the daemon behind a line and gateways; yield its readers, by venue."""
    async with AsyncExitStack() as stack:
        readers, settings = {}, dict(given.settings)
        for venue in VENUES:
            name = f"{venue}.ws_url"
            port = int(_origin(settings[name]).rpartition(":")[2])
            near = await stack.enter_async_context(line(port, STREAM_S))
            settings[name] = settings[name].replace(f":{port}", f":{near}")
            limit = limit_of(venue, "")
            gateway = Gateway(given.rest_of(venue), limit, ANSWER_S, f"{given.seed} {venue}")
            readers[venue] = Reader(venue, STREAM, gateway, given.markets[venue])
            address = await stack.enter_async_context(gateway.open())
            for name in REST_SETTINGS[venue]:
                settings[name] = settings[name].replace(given.rest_of(venue), address)
        named = {f"{venue}.markets": list(given.markets[venue]) for venue in VENUES}
        process = simulated.feed(run, {}, {**settings, **named})
        yield readers
        await asyncio.to_thread(simulated.stop, process)


async def watched(run: Bench, given: Given) -> "Watched":
    """Read in every way at once."""
    ready = asyncio.Event()
    async with pollers(given) as polling, daemon(run, given) as streamed:
        readers = [poller.reader for _, poller in polling] + list(streamed.values())
        readers.sort(key=lambda reader: VENUES.index(reader.venue))
        async with asyncio.TaskGroup() as group:
            work = [group.create_task(subscribe(run.redis_url, streamed, ready))]
            await ready.wait()
            work += [group.create_task(poller.run(way)) for way, poller in polling]
            await _all_have_prices(readers)
            await asyncio.sleep(WARM_S)
            before, began_ns = _counts(readers), time.time_ns()
            await asyncio.sleep(given.seconds)
            after, ended_ns = _counts(readers), time.time_ns()
            await asyncio.sleep(TAIL_S)
            for task in work:
                task.cancel()
    counts = [(b[0] - a[0], b[1] - a[1]) for a, b in zip(before, after, strict=True)]
    return Watched(readers, counts, (began_ns, ended_ns))


@dataclass(frozen=True)
class Watched:
    """What came of it: (calls, refusals) of each reader within the window (Unix ns)."""

    readers: Sequence[Reader]
    counts: Sequence[tuple[int, int]]
    window: tuple[int, int]


def _counts(readers: Sequence[Reader]) -> list[tuple[int, int]]:
    return [(reader.gateway.calls, reader.gateway.refused) for reader in readers]


async def _all_have_prices(readers: Sequence[Reader]) -> None:
    async with asyncio.timeout(60):
        for reader in readers:
            await reader.complete.wait()


def results(watched: Watched, truth: Mapping[str, Sequence[State]]) -> list[dict[str, Any]]:
    """Judge every reader; one row each."""
    minutes = (watched.window[1] - watched.window[0]) / 60e9
    rows = []
    for reader, (calls, refused) in zip(watched.readers, watched.counts, strict=True):
        judged = Judgement()
        for market in reader.markets:
            judge(judged, truth[market], reader.seen.get(market, ()), watched.window)
        rows.append(
            {
                "venue": reader.venue,
                "way": reader.way,
                "calls_per_minute": round(calls / minutes, 1),
                "refused": refused,
                "changes": judged.changes,
                "missed": judged.missed,
                "unknown": judged.unknown,
                "stale_share": judged.stale_share,
                "age_ms": {str(p): round(judged.percentile(p), 3) for p in PERCENTILES},
            }
        )
    return rows


def faults(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return what is wrong with a run, or with the claim that streaming is ahead."""
    found = [
        f"{row['venue']}, {row['way']}: {row['unknown']} prices were never true"
        for row in rows
        if row["unknown"]
    ]
    for venue in VENUES:
        of_venue = [row for row in rows if row["venue"] == venue]
        (stream,) = (row for row in of_venue if row["way"] == STREAM)
        best_ms = min(row["age_ms"]["50"] for row in of_venue if row is not stream)
        if stream["age_ms"]["99"] >= best_ms:
            found.append(f"{venue}: streaming's p99 is not below the p50 of the best poller")
    return found


COLUMNS = (
    "venue", "way", "calls a minute", "429s", "changes", "missed",
    "age p50", "p90", "p99", "max, ms", "out of date",
)  # fmt: skip


def cells(row: Mapping[str, Any]) -> list[str]:
    """Return a row of the table as texts."""
    ages = [f"{row['age_ms'][p]:,.0f}" for p in ("50", "90", "99", "100")]
    return [
        row["venue"],
        row["way"],
        f"{row['calls_per_minute']:,.0f}",
        f"{row['refused']:,}",
        f"{row['changes']:,}",
        f"{row['missed'] / max(row['changes'], 1):.1%}",
        *ages,
        f"{row['stale_share']:.1%}",
    ]


def show(rows: Iterable[Mapping[str, Any]]) -> None:
    """Print the table."""
    table = Table(*COLUMNS, title="REST polling against streaming")
    for row in rows:
        table.add_row(*cells(row))
    Console(width=None if sys.stdout.isatty() else 170).print(table)


def measured(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run venues, daemon and readers; return everything for machines."""
    config = {
        "seed": arguments.seed,
        "kalshi_markets": arguments.markets,
        "polymarket_markets": arguments.markets,
        "rate": arguments.rate,
        "history_s": 86_400.0,
    }
    with bench() as run:
        venues = run.remote(simulated.remembering, config)
        given = Given(**venues.told, seconds=arguments.seconds, seed=arguments.seed)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            told = runner.run(watched(run, given))
        tops = venues.call("tops")
    truth = {
        market: [State(at, tuple(top)) for at, *top in known] for market, known in tops.items()
    }
    rows = results(told, truth)
    return {"machine": report.machine(), "given": config, "rows": rows, "faults": faults(rows)}


def write_docs(told: Mapping[str, Any]) -> None:
    """Put the table into the document."""
    lines = report.table(COLUMNS, map(cells, told["rows"]))
    report.put([*lines, "", f"Measured on: {report.machine_line(told)}."], "polling")


def main() -> int:
    """Measure; exit 1 if something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--markets", type=int, default=20, help="on each venue")
    parser.add_argument("--rate", type=float, default=400.0, help="changes a second, in all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, default=report.RESULTS / "polling.json")
    parser.add_argument("--write-docs", action="store_true")
    arguments = parser.parse_args()
    told = measured(arguments)
    show(told["rows"])
    report.save(told, arguments.json)
    if arguments.write_docs:
        write_docs(told)
    for fault in told["faults"]:
        print(fault, file=sys.stderr)
    return int(bool(told["faults"]))


if __name__ == "__main__":
    sys.exit(main())
