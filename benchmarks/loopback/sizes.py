"""Sections about many markets, memory, starting and doing nothing."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import median

from loopback.processes import Process, all_followed, bench, books_of, until
from loopback.report import Row, at_most
from loopback.sections import Options, Play, middle, rounds

MANY = 100_000
BETWEEN = (1_000, 10_000)
"""Points of the curve that no goal speaks of, measured in three rounds."""


@dataclass(frozen=True)
class Quotes:
    """A daemon in ticker mode: its cost, its memory, and what it costs while nothing happens."""

    play: Play
    rss_mb: float
    idle_share: float


@lru_cache
def _tickers(options: Options, markets: int, busy: int) -> Quotes:
    """Measure; once for all sections, as it takes half a minute."""
    with bench(options.tree) as run:
        played = run.venue("tickers", markets, 200_000, busy)
        feed = run.feed(played, {})
        all_followed(played)
        until(lambda: run.redis.scard("feed:markets:kalshi") >= markets, 60.0)
        # Titles of all of them: looking them up is no idling.
        until(lambda: run.redis.zcard("feed:volume:kalshi") >= markets, 120.0)
        until(lambda: _share(feed, 2.0) < 0.1, 60.0)
        # Where all are busy nobody asks for it, and ten seconds are long.
        idle_share = _share(feed, 10.0) if busy < markets else math.nan
        once = middle(rounds(run, played, feed, 60_000, options.rounds))
        return Quotes(once, feed.rss_mb(), idle_share)


@lru_cache
def _cost_us(options: Options, markets: int, busy: int) -> float:
    """Return the cost of a ticker in µs of CPU."""
    with bench(options.tree) as run:
        played = run.venue("tickers", markets, 60_000, busy)
        feed = run.feed(played, {})
        all_followed(played)
        until(lambda: run.redis.scard("feed:markets:kalshi") >= markets, 60.0)
        until(lambda: _share(feed, 1.0) < 0.1, 60.0)
        return middle(rounds(run, played, feed, 60_000, min(options.rounds, 3))).cpu_us


def _share(process: Process, seconds: float) -> float:
    before_s, began_s = process.cpu_s(), time.monotonic()
    time.sleep(seconds)
    return (process.cpu_s() - before_s) / (time.monotonic() - began_s)


def scale(options: Options) -> Sequence[Row]:
    """The cost of a frame among few and among very many markets."""
    few = _tickers(options, 20, 20).play.cpu_us
    rows = []
    for what, busy in (("the same 20 are busy", 20), ("all are busy", MANY)):
        many = _tickers(options, MANY, busy).play.cpu_us
        name = f"a ticker, 100,000 markets to 20, {what}"
        note = f"{many:.2f} to {few:.2f} µs"
        between = [(n, _cost_us(options, n, min(n, busy))) for n in BETWEEN]
        curve = [(20, few), *between, (MANY, many)]
        rows.append(replace(at_most("scale", name, many / few, 1.3, "x", note), curve=curve))
    return rows


def memory(options: Options) -> Sequence[Row]:
    """Resident memory of the daemon."""
    rss_mb, few_mb = (_tickers(options, n, n).rss_mb for n in (MANY, 20))
    with bench(options.tree) as run:
        played = run.venue("spread", 10_000, 100_000)
        feed = run.feed(played, books_of(played))
        plays = rounds(run, played, feed, 100_000, options.rounds)
        books_mb = feed.rss_mb()
    cost = f"{middle(plays).cpu_us:.2f} µs a frame"
    rows = [
        at_most("memory", "100,000 markets, ticker mode", rss_mb, 300, "MB"),
        at_most("memory", "10,000 books of 40 levels a side", books_mb, 500, "MB", cost),
    ]
    each = (
        {"kB a market": (rss_mb - few_mb) / (MANY - 20) * 1e3},
        {"kB a book": (books_mb - few_mb) / 10_000 * 1e3},
    )
    both = zip(rows, each, strict=True)
    return [replace(row, values=row.values | more | {"MB with 20": few_mb}) for row, more in both]


def start(options: Options) -> Sequence[Row]:
    """From the start of the process to the first price at a subscriber.

    The first start, which may have to compile what was never run before, is left out.
    """
    took_s = []
    for _ in range(1 + options.rounds):
        with bench(options.tree) as run:
            played, follows = run.venue("spread", 20, 10), run.reader("market:*:price")
            began_ns = time.monotonic_ns()
            run.feed(played, books_of(played))
            until(lambda reading=follows: reading.call("count"), 30.0)
            took_s.append((follows.call("take")[0][4] - began_ns) / 1e9)
    note = "handshake on loopback included"
    return [at_most("start", "start to first price", median(took_s[1:]), 0.5, "s", note)]


def idle(options: Options) -> Sequence[Row]:
    """CPU while nothing happens."""
    share = _tickers(options, MANY, 20).idle_share
    return [at_most("idle", "100,000 quiet markets", share * 100, 2, "% of a core")]
