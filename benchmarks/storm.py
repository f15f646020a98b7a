"""500 random faults over both venues under 2,000 updates a second, in real processes.

    python benchmarks/storm.py --seed 1

One process is the simulated venues, one the daemon with a Valkey of its own, this one reads. After
the last fault the markets stand still until every newest price is the truth, move again for a
while, and are compared once more. Exit code 1 when any of what is checked does not hold. The same
seed brings the same faults.
"""

import argparse
import asyncio
import json
import re
import signal
import sys
import tempfile
import time
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import msgpack
from redis.asyncio import Redis

from arbees_feed.config.environment import without_settings
from arbees_feed.sim import SimConfig, SimServer, Step, rehearse, storm

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from support.reliability import record
from support.storm import (
    Judge,
    Truth,
    lasts_of,
    restarts,
    unexpected,
    wrong_prices,
)

WARM_UP_S = 60.0
RECOVERY_S = 90.0
AFTERWARDS_S = 20.0
STOP_S = 10.0
RSS_GROWTH = 1.10
REST_POOL = 4
"""Sockets that REST may keep open for its next requests, or not."""
BUGS = ("service failed unexpectedly", "service failed while stopping")
TOLD = (
    "frames", "sequence_gaps", "resyncs", "malformed", "hashes_wrong", "probes", "probes_differed",
    "frozen", "reliefs", "connects", "connection_losses",
)  # fmt: skip
RECORDED = (
    "seed", "faults", "seconds", "changes_per_s", "published", "recovery_s", "wrong_at_the_end",
    "bad_messages", "unexpected_errors", "rss_before_mb", "rss_after_mb",
)  # fmt: skip
Answer = dict[str, Any]


# -- the venues' process ---------------------------------------------------------------------------


async def serve(arguments: argparse.Namespace) -> None:
    """Be the venues: obey one word a line, answer each with a line of JSON."""
    config = SimConfig(
        seed=arguments.seed,
        kalshi_markets=arguments.markets,
        polymarket_markets=arguments.markets,
        rate=arguments.rate,
    )
    words = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(words), sys.stdin)
    async with SimServer(config) as sim:
        say(_where(sim))
        while word := (await words.readline()).decode().strip():
            if word == "storm":
                say(await _storm(sim, arguments))
            elif word == "pause":
                sim.pause()
                await sim.drained()
                say(_truth(sim))
            elif word == "resume":
                sim.resume()
                say({})


def say(answer: Answer) -> None:
    """Answer the other process."""
    print(json.dumps(answer), flush=True)


def _where(sim: SimServer) -> Answer:
    return {
        "named": [*sim.kalshi_tickers, *sim.polymarket_tokens],
        "environment": {
            "ARBEES_KALSHI__WS_URL": sim.kalshi_ws_url,
            "ARBEES_KALSHI__REST_URL": sim.kalshi_rest_url,
            "ARBEES_KALSHI__API_KEY_ID": sim.credentials.api_key_id,
            "ARBEES_KALSHI__PRIVATE_KEY_PEM": sim.credentials.private_key_pem,
            "ARBEES_KALSHI__MARKETS": ",".join(sim.kalshi_tickers),
            "ARBEES_POLYMARKET__WS_URL": sim.polymarket_ws_url,
            "ARBEES_POLYMARKET__GAMMA_URL": sim.gamma_url,
            "ARBEES_POLYMARKET__CLOB_URL": sim.clob_url,
        },
    }


async def _storm(sim: SimServer, arguments: argparse.Namespace) -> Answer:
    began: Counter[str] = Counter()
    vain: Counter[str] = Counter()

    def on_step(step: Step, problem: str) -> None:
        told = vain if problem else began
        told[step.fault] += step.action != "end"
        if arguments.verbose:
            now = time.strftime("%H:%M:%S")
            print(now, step.action, step.arguments, problem, file=sys.stderr, flush=True)

    steps = storm(
        arguments.seed,
        sim.market_ids,
        arguments.faults,
        every_s=arguments.every,
        hold_s=arguments.hold,
    )
    await rehearse(sim, steps, on_step=on_step)  # what lasts is ended by a step of its own
    return {"began": began, "vain": vain}


def _truth(sim: SimServer) -> Answer:
    return {
        "connections": sim.connections(),
        "truth": {m.id: [m.is_open, m.top()] for m in sim.world.all_markets()},
    }


class Venues:
    """The other side of `serve`."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.connections: dict[str, int] = {}

    async def answer(self) -> Answer:
        """Return the next answer."""
        assert self._process.stdout is not None
        return dict(json.loads(await self._process.stdout.readline()))

    async def ask(self, word: str) -> Answer:
        """Send a word and return the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n".encode())
        return await self.answer()

    async def pause(self) -> dict[str, Truth]:
        """Stop all markets; return what is true."""
        told = await self.ask("pause")
        self.connections = told["connections"]
        return {m: Truth(is_open, tuple(top)) for m, (is_open, top) in told["truth"].items()}


# -- the daemon's process --------------------------------------------------------------------------


@dataclass
class Feed:
    """The daemon, seen from outside."""

    process: Process
    redis_url: str
    http_url: str
    log: Path

    def rss_mb(self) -> float:
        """Return its resident memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        return int(found[1]) / 1024 if found else 0.0

    def files(self) -> Counter[str]:
        """Return its open files by kind."""
        kinds: Counter[str] = Counter()
        for entry in Path(f"/proc/{self.process.pid}/fd").iterdir():
            kinds[entry.readlink().name.partition(":")[0]] += 1
        return kinds

    def bugs(self) -> list[str]:
        """Return the lines of its log that tell of errors that are not ours."""
        return [line for line in self.log.read_text().splitlines() if any(b in line for b in BUGS)]

    async def metrics(self) -> str:
        """Return its metrics."""
        async with aiohttp.ClientSession() as http, http.get(f"{self.http_url}/metrics") as answer:
            return await answer.text()

    async def stop(self) -> int | None:
        """Ask it to stop; return its exit code, None if it did not end in time."""
        self.process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_S):
                return await self.process.wait()
        except TimeoutError:
            return None


@asynccontextmanager
async def venues() -> AsyncIterator[tuple[Venues, Answer]]:
    """Run the venues; yield them, and where they are."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, "--serve", *sys.argv[1:], stdin=PIPE, stdout=PIPE, limit=1 << 24
    )
    there = Venues(process)
    try:
        yield there, await there.answer()
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@asynccontextmanager
async def feed(environment: Mapping[str, str], log: Path) -> AsyncIterator[Feed]:
    """Run the daemon with a server of its own."""
    with log.open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "arbees_feed", "run", "--embedded", stdout=PIPE, stderr=stderr,
            env=without_settings() | dict(environment)
            | {"ARBEES_HTTP__PORT": "0", "ARBEES_LOG__FORMAT": "json"},
        )  # fmt: skip
    try:
        assert process.stdout is not None
        lines = [(await process.stdout.readline()).decode().split() for _ in range(2)]
        yield Feed(process, lines[0][1], lines[1][1], log)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


# -- what is checked -------------------------------------------------------------------------------


@dataclass
class Report:
    """What was found; whatever is wrong decides the exit code."""

    wrong: list[str] = field(default_factory=list)
    row: dict[str, object] = field(default_factory=dict)

    def tell(self, name: str, value: object) -> None:
        """Print a figure and keep it."""
        self.row[name] = value
        print(f"{name.replace('_', ' '):28} {value}", flush=True)

    def check(self, holds: object, problem: str) -> None:
        """Note a violation."""
        if not holds:
            self.wrong.append(problem)


async def read_all(client: Any, judge: Judge, ready: asyncio.Event) -> None:
    """Give all prices to the judge, until cancelled."""
    async with client.pubsub() as pubsub:
        await pubsub.psubscribe("market:*:price")
        ready.set()
        async for message in pubsub.listen():
            if message["type"] == "pmessage":
                judge.take(msgpack.unpackb(message["data"]))


async def mended(there: Venues, client: Any, named: list[str]) -> tuple[float, dict[str, str]]:
    """Stop the markets; return after how long all prices were true, and which never were."""
    began_s = time.monotonic()
    truth = await there.pause()
    while wrong := wrong_prices(truth, await lasts_of(client, truth), named):
        if time.monotonic() > began_s + RECOVERY_S:
            break
        await asyncio.sleep(0.25)
    return time.monotonic() - began_s, wrong


def samples(metrics: str, name: str) -> Iterator[float]:
    """Yield the values of a metric, of all venues."""
    for value in re.findall(rf"^arbees_feed_{name}(?:\{{.*\}})? (\S+)$", metrics, re.MULTILINE):
        yield float(value)


def check_counters(report: Report, metrics: str, judge: Judge, there: Venues) -> None:
    """Check that what the daemon counted is what came out of it."""

    def total(name: str) -> int:
        return round(sum(samples(metrics, name)))

    live = sum(message["status"] == "live" for message in judge.newest.values())
    sequence = sum(message["seq"] for message in judge.newest.values())
    for what, found, expected in (
        ("messages read", judge.published, total("published_total")),
        ("sum of seq", sequence, total("published_total")),
        ("quotes", total("quotes_total"), total("published_total") + total("conflated_total")),
        ("markets live", total("markets_live"), live),
        ("books live", total("books_live"), total("books")),
        ("books by state", total("books_by_state"), total("books")),
        ("sockets", sum(there.connections.values()), total("connections")),
        ("markets waiting", total("markets_waiting"), 0),
        ("errors of Redis", total("redis_errors_total"), 0),
    ):
        report.check(found == expected, f"{what}: {found}, not {expected}")
    for name in TOLD:
        report.tell(name, total(f"{name}_total"))


def check_restarts(report: Report, metrics: str, feed: Feed) -> None:
    """Check that nothing failed but for reasons of ours."""
    found = restarts(metrics)
    report.tell("restarts", {f"{s} {cause}": n for (s, cause), n in sorted(found.items())})
    report.check(not unexpected(found), f"unexpected errors: {unexpected(found)}")
    bugs = feed.bugs()
    report.tell("unexpected_errors", len(bugs))
    for line in bugs[:5]:
        print(line)
    report.check(not bugs, f"{len(bugs)} unexpected errors in the log")


async def rage(report: Report, there: Venues, here: Feed, judge: Judge, named: list[str]) -> None:
    """Let it storm, and compare before with after."""
    client: Any = Redis.from_url(here.redis_url)
    await asyncio.sleep(WARM_UP_S)
    rss_mb, files = here.rss_mb(), here.files()
    began_s, published = time.monotonic(), judge.published
    told = await there.ask("storm")
    took_s = time.monotonic() - began_s
    report.tell("faults", sum(told["began"].values()))
    report.tell("seconds", round(took_s))
    report.tell("prices_per_s", round((judge.published - published) / took_s))
    recovery_s, wrong = await mended(there, client, named)
    report.tell("recovery_s", round(recovery_s, 1))
    report.check(not wrong, f"not true after {recovery_s:.0f} s: {wrong}")
    await there.ask("resume")
    await asyncio.sleep(AFTERWARDS_S)
    _, wrong = await mended(there, client, named)
    report.tell("wrong_at_the_end", len(wrong))
    report.check(not wrong, f"not true afterwards: {wrong}")
    await asyncio.sleep(5.0)  # counts of the last round
    metrics = await here.metrics()
    check_counters(report, metrics, judge, there)
    check_restarts(report, metrics, here)
    report.tell("rss_before_mb", round(rss_mb, 1))
    report.tell("rss_after_mb", round(here.rss_mb(), 1))
    report.check(here.rss_mb() <= RSS_GROWTH * rss_mb, "memory has grown")
    report.tell("open_files", [dict(files), dict(here.files())])
    more = here.files() - files
    report.check(set(more) <= {"socket"}, f"more files are open: {dict(more)}")
    report.check(more["socket"] <= REST_POOL, f"{more['socket']} more sockets are open")
    await client.aclose()


async def run(arguments: argparse.Namespace) -> int:
    """Run all of it; return the exit code."""
    report, judge, ready = Report(), Judge(), asyncio.Event()
    report.tell("seed", arguments.seed)
    report.tell("changes_per_s", round(arguments.rate))
    with tempfile.TemporaryDirectory() as folder:
        log = arguments.log or Path(folder) / "feed.log"
        async with (
            venues() as (there, where),
            feed(where["environment"], log) as here,
            asyncio.TaskGroup() as group,
        ):
            client: Any = Redis.from_url(here.redis_url)
            reading = group.create_task(read_all(client, judge, ready))
            await ready.wait()
            await rage(report, there, here, judge, where["named"])
            reading.cancel()
            report.tell("exit_code", await here.stop())
            report.check(report.row["exit_code"] == 0, "it does not stop as it should")
            report.check(not here.bugs(), "unexpected errors while it stopped")
    report.tell("published", judge.published)
    report.tell("stale", judge.stale)
    report.tell("bad_messages", len(judge.bad))
    report.check(not judge.bad, f"bad messages: {judge.bad[:10]}")
    for problem in report.wrong:
        print(f"VIOLATION  {problem}")
    record("storm", **{name: report.row[name] for name in RECORDED}, violations=len(report.wrong))
    return 1 if report.wrong else 0


def parsed() -> argparse.Namespace:
    """Return the arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--faults", type=int, default=500)
    parser.add_argument("--every", type=float, default=0.6, help="seconds from fault to fault")
    parser.add_argument("--hold", type=float, default=2.0, help="seconds that a fault may last")
    parser.add_argument("--markets", type=int, default=50, help="on each venue")
    parser.add_argument("--rate", type=float, default=2_000.0, help="changes a second")
    parser.add_argument("--log", type=Path, help="keep the daemon's log in this file")
    parser.add_argument("--verbose", action="store_true", help="tell of each fault on stderr")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    given = parsed()
    if given.serve:
        asyncio.run(serve(given))
    else:
        sys.exit(asyncio.run(run(given)))
