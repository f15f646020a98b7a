"""Does the daemon's memory stay flat? An hour of simulated traffic, markets opening and closing.

    python benchmarks/endurance.py --minutes 60 --rate 500

The daemon follows every market of both simulated venues with full books and all checks, on
settings that are its defaults but for how long ended markets stay (they must be forgotten well
within a quarter of the run). A line every ten seconds; the whole series goes into a JSON file,
which `benchmarks/plots.py` draws. Exit 1 unless resident memory is flat: the median of the last
quarter within 2 % of that of the second quarter, and prices were published all the time.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import median
from typing import Any

from loopback import report, simulated
from loopback.processes import Bench, Process, bench
from loopback.simulated import Simulated

EVERY_S = 10.0
FLAT = 0.02
TURNOVER_S = 2.0
"""From one market that opens to the next, on each venue."""
FORGET_AFTER_S = 600.0
VENUES = ("kalshi", "polymarket")
VERDICTS = {True: "flat", False: "NOT FLAT"}


@dataclass(frozen=True)
class Sample:
    """The state at one moment; rates are those since the sample before."""

    at_s: float
    rss_mb: float
    cpu_share: float
    published_per_s: float
    markets: int
    redis_mb: float
    redis_keys: int


class Gauge:
    """Takes samples of a daemon and its server."""

    def __init__(self, run: Bench, feed: Process) -> None:
        self._run, self._feed = run, feed
        self._began_s = self._last_s = time.monotonic()
        self._cpu_s, self._published = feed.cpu_s(), run.calls("publish")

    def sample(self) -> Sample:
        """Return the state now."""
        now_s, cpu_s = time.monotonic(), self._feed.cpu_s()
        published, redis = self._run.calls("publish"), self._run.redis
        passed_s = max(now_s - self._last_s, 1e-9)
        told = Sample(
            at_s=round(now_s - self._began_s, 1),
            rss_mb=round(self._feed.rss_mb(), 2),
            cpu_share=round((cpu_s - self._cpu_s) / passed_s, 4),
            published_per_s=round((published - self._published) / passed_s, 1),
            markets=sum(redis.scard(f"feed:markets:{venue}") for venue in VENUES),
            redis_mb=round(redis.info("memory")["used_memory"] / 1e6, 2),
            redis_keys=redis.dbsize(),
        )
        self._last_s, self._cpu_s, self._published = now_s, cpu_s, published
        return told


def turnover(venues: Simulated, life_s: float, seconds: float) -> Iterator[float]:
    """Open markets that live *life_s*, one on each venue at a time; yield when a sample is due."""
    began_s = time.monotonic()
    next_market_s = next_sample_s = began_s
    while (now_s := time.monotonic()) - began_s < seconds:
        if now_s >= next_market_s:
            next_market_s += TURNOVER_S
            for venue in VENUES:
                venues.tell("open_market", venue=venue, close_in_s=life_s)
        if now_s >= next_sample_s:
            next_sample_s += EVERY_S
            yield now_s - began_s
        time.sleep(max(0.0, min(next_market_s, next_sample_s) - time.monotonic()))
    yield time.monotonic() - began_s


def verdict(samples: Sequence[Sample], complaints: Sequence[str]) -> dict[str, Any]:
    """Judge: the last quarter against the second; the first is starting up and filling."""
    quarter = len(samples) // 4
    second, last = samples[quarter : 2 * quarter], samples[-quarter:]
    before, after = (median(sample.rss_mb for sample in part) for part in (second, last))
    silent = sum(sample.published_per_s == 0 for sample in samples[quarter:])
    growth = after / before - 1
    return {
        "second_quarter_mb": before,
        "last_quarter_mb": after,
        "growth": growth,
        "highest_mb": max(sample.rss_mb for sample in samples),
        "redis_keys": [part[-1].redis_keys for part in (second, last)],
        "silent_samples": silent,
        "warnings": len(complaints),
        "flat": abs(growth) <= FLAT and not silent,
    }


def cells(told: dict[str, Any]) -> list[list[str]]:
    """Return the outcome as texts: what, and how much."""
    judged = told["verdict"]
    keys = " and ".join(f"{count:,}" for count in judged["redis_keys"])
    growth = f"{judged['last_quarter_mb']:.1f} MB ({judged['growth']:+.2%})"
    cpu = median(sample["cpu_share"] for sample in told["samples"])
    return [
        ["resident memory, median of the second quarter", f"{judged['second_quarter_mb']:.1f} MB"],
        ["of the last quarter", growth],
        ["the highest", f"{judged['highest_mb']:.1f} MB"],
        ["verdict", VERDICTS[judged["flat"]]],
        ["minutes, changes a second", f"{told['minutes']:g}, {told['rate']:g}"],
        ["markets opened and ended meanwhile", f"{told['markets_opened']:,}"],
        ["CPU, median", f"{cpu:.1%} of a core"],
        ["keys in Redis at the ends of these quarters", keys],
        ["samples without a price, warnings", f"{judged['silent_samples']}, {judged['warnings']}"],
    ]


def show(told: dict[str, Any]) -> None:
    """Print the outcome."""
    for what, text in cells(told):
        print(f"{what}: {text}")


def write_docs(told: dict[str, Any]) -> None:
    """Put the outcome into the document."""
    lines = report.table(("", ""), cells(told))
    report.put([*lines, "", f"Measured on: {report.machine_line(told)}."], "endurance")


def read_again(path: Path) -> dict[str, Any]:
    """Return an earlier run, judged anew."""
    told: dict[str, Any] = json.loads(path.read_text())
    samples = [Sample(**sample) for sample in told["samples"]]
    return told | {"verdict": verdict(samples, told["warnings"])}


def measured(minutes: float, rate: float, markets: int, seed: int) -> dict[str, Any]:
    """Run it all and return the series, the verdict, and what it was measured with."""
    quarter_s = minutes * 60 / 4
    forget_s, life_s = min(FORGET_AFTER_S, quarter_s / 2), min(180.0, quarter_s / 4)
    settings = {
        "kalshi.depth": "all",
        "polymarket.all_active": True,
        "publish.forget_after_s": forget_s,
    }
    samples: list[Sample] = []
    print("".join(f"{field.name:>16}" for field in fields(Sample)), flush=True)
    with bench() as run, simulated.simulated(markets, rate, seed) as venues:
        feed = simulated.feed(run, venues.env, settings)
        gauge = Gauge(run, feed)
        for _ in turnover(venues, life_s, minutes * 60):
            samples.append(gauge.sample())
            print("".join(f"{value:>16}" for value in asdict(samples[-1]).values()), flush=True)
        simulated.stop(feed)
        complaints = run.complaints()
    return {
        "machine": report.machine(),
        "minutes": minutes,
        "rate": rate,
        "markets": markets,
        "market_life_s": life_s,
        "forget_after_s": forget_s,
        "markets_opened": 2 * int(minutes * 60 / TURNOVER_S),
        "verdict": verdict(samples, complaints),
        "warnings": complaints[:20],
        "samples": [asdict(sample) for sample in samples],
    }


def main() -> int:
    """Measure; exit 1 unless memory is flat."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=500.0, help="changes a second, in all")
    parser.add_argument("--markets", type=int, default=200, help="on each venue, at the beginning")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, default=report.RESULTS / "endurance.json")
    parser.add_argument("--again", type=Path, help="judge the JSON of an earlier run instead")
    parser.add_argument("--write-docs", action="store_true", help="the outcome into the document")
    arguments = parser.parse_args()
    if arguments.minutes * 60 < 8 * EVERY_S:
        parser.error("--minutes: too short for four quarters of two samples")
    if arguments.again:
        told = read_again(arguments.again)
    else:
        told = measured(arguments.minutes, arguments.rate, arguments.markets, arguments.seed)
    report.save(told, arguments.json)
    show(told)
    if arguments.write_docs:
        write_docs(told)
    return int(not told["verdict"]["flat"])


if __name__ == "__main__":
    sys.exit(main())
