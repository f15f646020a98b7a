"""What matching two whole venues takes, and what the feed's prices notice of it.

The matcher is stopped (SIGSTOP) and let go on in turns, so that with and without it are measured in
the same minute, by the same processes and over the same Redis.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from matching import listings

from arbees_feed.core.wire import Names
from loopback import metadata, timed
from loopback.delays import GOALS, Delays
from loopback.processes import Bench, Process, Remote, all_followed, books_of, until
from loopback.proofs import percentile
from loopback.report import Row, at_most

NAMES = Names()
MARKETS = 20
RATES = tuple(GOALS)
MATCHING, IDLE = "the first pass", "the matcher afterwards"
SETTLE_S = 1.5
PASS_TIMEOUT_S = 300.0
SLOW_US = 1_056
"""Commands of the server that take longer are counted: about 1 ms, a step of its histograms."""
KEPT = 10_000
SHOWN = 4

Metas = Mapping[str, metadata.Fields]


@dataclass(frozen=True)
class Options:
    """How much there is to match, and how long to look."""

    kalshi: int
    polymarket: int
    new: int
    together: bool
    """Whether the matcher is in one session with all others, not in its own, as a container is."""
    seconds: float
    """How long a window is."""
    rounds: int
    """How often windows with and without the matcher take turns, at most."""


class Windows:
    """Delays in ms; each window beside the matcher at work has one with it stopped next to it."""

    def __init__(self, delays: Delays, seconds: float) -> None:
        self._delays = delays
        self._seconds = seconds
        self._beside: dict[tuple[int, str], list[Sequence[float]]] = {}
        self._alone: dict[tuple[int, str], list[Sequence[float]]] = {}

    def take(self, rate: int) -> Sequence[float]:
        """Measure a window."""
        return self._delays.measure(int(self._seconds * rate), rate)

    def take_both(self, rate: int, state: str, matcher: "Matcher") -> None:
        """Measure a window beside the matcher, and one with it stopped."""
        beside = self.take(rate)
        if state == MATCHING and matcher.is_live():
            return  # a part of it was something else
        self._beside.setdefault((rate, state), []).append(beside)
        with matcher.stopped():
            self._alone.setdefault((rate, state), []).append(self.take(rate))

    def rows(self) -> list[Row]:
        """Compare all that there was time for."""
        return [self._row(rate, state) for state in (MATCHING, IDLE) for rate in RATES
                if (rate, state) in self._beside]  # fmt: skip

    def _row(self, rate: int, state: str) -> Row:
        """Return figures that are medians of those of each window."""
        beside, alone = self._beside[rate, state], self._alone[rate, state]
        (p50, base50), (p99, base99) = (
            [median(percentile(one, percent) for one in many) for many in (beside, alone)]
            for percent in (50, 99)
        )
        text = (
            f"p50 {p50:.3f}, p99 {p99:.3f} ms; without {base50:.3f} and {base99:.3f} ms:"
            f" {p50 / base50:.2f} x, {p99 / base99:.2f} x (in turns, {len(beside)} windows)"
        )
        values = {"p50_ms": p50, "p99_ms": p99, "p50_alone_ms": base50, "p99_alone_ms": base99}
        what = f"venue to subscriber, {rate:,}/s, beside {state}"
        passed = GOALS[rate].is_met(p50, p99)
        return Row("pairs", what, GOALS[rate].text, text, passed, values)


class Matcher:
    """`arbees-feed match run` as users run it."""

    def __init__(self, run: Bench, *, together: bool) -> None:
        self._run, self._redis = run, run.redis
        # A call to Redis may be one during which it is stopped. The markets of the pairs are none
        # of our venue's, so the feed is not asked to follow them.
        given = ("redis.io_timeout_s=30", "pairs.follow=false", f"redis.url={run.redis_url}")
        words = [word for one in given for word in ("--set", one)]
        command = ["-m", "arbees_feed", "match", "run", *words]
        self.process: Process = run.start("match", command, apart=not together)
        self._began_s = time.monotonic()
        self._stopped_s = 0.0

    def state(self) -> Mapping[str, str]:
        """Return what it says of itself."""
        told = self._redis.hgetall(NAMES.pairs_state())
        return {name.decode(): value.decode() for name, value in told.items()}

    def is_live(self) -> bool:
        """Return whether the first pass is over.

        Raises:
            ChildProcessError: it has ended by itself.
        """
        if self.process.has_ended():
            raise ChildProcessError(f"the matcher has ended: {self._run.last_line('match')}")
        return self.state().get("state") == "live"

    def worked_s(self) -> float:
        """Return how long it has been at work since its start."""
        return time.monotonic() - self._began_s - self._stopped_s

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Keep it from working while the block runs."""
        since_s = time.monotonic()
        os.kill(self.process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            self._stopped_s += time.monotonic() - since_s
            os.kill(self.process.pid, signal.SIGCONT)

    def peak_mb(self) -> float:
        """Return the most memory it has had, in MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(peak.split()[1]) / 1024


def pairs(run: Bench, options: Options) -> Sequence[Row]:
    """Measure a first pass beside the feed, the feed beside it, and new markets afterwards."""
    ours, theirs = _metas(options)
    windows = _feed(run, options)
    metadata.write(run.redis, "kalshi", ours)
    metadata.write(run.redis, "polymarket", theirs)
    listed = run.redis.zcard(NAMES.volume("kalshi"))
    for rate in RATES:
        windows.take(rate)  # warm
    commands = SlowCommands(run.redis)
    matcher = Matcher(run, together=options.together)
    first = _first_pass(matcher, windows, options)
    slow = commands.row()
    _afterwards(matcher, windows, options)
    new = _new_markets(list_anew(run.redis, theirs, options.new))
    memory = at_most("pairs", "memory", matcher.peak_mb(), 500, "MB")
    _check(run, matcher, listed)
    return [first, memory, new, *windows.rows(), slow]


def _metas(options: Options) -> tuple[Metas, Metas]:
    """Return the metadata of Kalshi's and of Polymarket's markets."""
    ours, theirs = listings()
    return (
        dict(metadata.kalshi_metas(ours, options.kalshi)),
        dict(metadata.polymarket_metas(theirs, options.polymarket)),
    )


def _feed(run: Bench, options: Options) -> Windows:
    """Start venue and daemon; all metadata of theirs is there."""
    played: Remote = run.remote(timed.serve, "growing", (MARKETS,))
    run.feed(played, books_of(played))
    all_followed(played)
    # The feed takes away what its venue does not list, once, after its first listing.
    until(lambda: run.redis.zcard(NAMES.volume("kalshi")) >= MARKETS + 1, 60.0)
    time.sleep(SETTLE_S)
    return Windows(Delays(run, played), options.seconds)


def _check(run: Bench, matcher: Matcher, count: int) -> None:
    """Make sure that what was measured is what is meant.

    Raises:
        ValueError: the feed has taken metadata away, as of markets that have ended.
    """
    kept = run.redis.zcard(NAMES.volume("kalshi"))
    if kept < count:
        raise ValueError(f"only {kept:,} of {count:,} Kalshi markets have kept their metadata")
    print(", ".join(f"{value} {name}" for name, value in matcher.state().items()), flush=True)
    for line in run.complaints("match")[:5]:
        print(f"the matcher: {line}", file=sys.stderr)


# -- with and without the matcher ------------------------------------------------------------------


def _first_pass(matcher: Matcher, windows: Windows, options: Options) -> Row:
    """Look at the feed from the matcher's start to the end of its first pass."""
    number = 0
    while not matcher.is_live():
        if matcher.worked_s() > PASS_TIMEOUT_S:
            raise TimeoutError(f"no first pass within {PASS_TIMEOUT_S:g} s")
        if number < options.rounds * len(RATES):
            windows.take_both(RATES[number % len(RATES)], MATCHING, matcher)
        else:
            windows.take(RATES[number % len(RATES)])
        number += 1
    took_s, cpu_s = matcher.worked_s(), matcher.process.cpu_s()
    count = f"{options.kalshi + options.polymarket:,} markets"
    return at_most("pairs", f"first pass, {count}", took_s, 60, "s", f"processor {cpu_s:.1f} s")


def _afterwards(matcher: Matcher, windows: Windows, options: Options) -> None:
    for _ in range(max(1, options.rounds // 2)):
        for rate in RATES:
            windows.take_both(rate, IDLE, matcher)


# -- the server ------------------------------------------------------------------------------------


class SlowCommands:
    """Which commands keep the server from its other clients."""

    def __init__(self, redis: Any) -> None:
        self._redis = redis
        redis.config_set("slowlog-log-slower-than", SLOW_US)
        redis.config_set("slowlog-max-len", KEPT)
        redis.slowlog_reset()
        redis.config_resetstat()

    def row(self) -> Row:
        """Return the slowest since the start, and how many were over the limit."""
        slow: dict[str, list[float]] = {}
        for entry in self._redis.slowlog_get(KEPT):
            name = entry["command"].split(b" ")[0].decode().lower()
            slow.setdefault(name, []).append(entry["duration"] / 1e3)
        said = {name: (max(times), len(times)) for name, times in slow.items()}
        if transactions := self._transactions():
            said["transaction"] = transactions
        slowest = sorted(said.items(), key=lambda one: -one[1][0])[:SHOWN]
        text = ", ".join(f"{name} {most:.1f} ms ({count})" for name, (most, count) in slowest)
        values = {name: most for name, (most, _) in said.items()}
        what = f"slowest commands of the server meanwhile (so many over {SLOW_US / 1e3:.0f} ms)"
        return Row("pairs", what, "", text or "none", None, values)

    def _transactions(self) -> tuple[float, int] | None:
        """Return how long a transaction took at most, in ms, and how many were slow.

        The log has their commands one by one. The histogram counts, for steps that double,
        how many have taken no longer, in us.
        """
        told = self._redis.execute_command("LATENCY", "HISTOGRAM", "exec")
        if not told:
            return None
        counts = told[b"exec"][b"histogram_usec"]
        quick = max((count for us, count in counts.items() if us <= SLOW_US), default=0)
        return max(counts) / 1e3, max(counts.values()) - quick


# -- new markets -----------------------------------------------------------------------------------


def list_anew(redis: Any, theirs: Metas, count: int) -> list[float]:
    """Remove markets of confirmed pairs and list them again; return ms until their pair speaks."""
    channel = redis.pubsub(ignore_subscribe_messages=True)
    channel.psubscribe(NAMES.pair_price("*"))
    times: list[float] = []
    confirmed = _confirmed(redis)
    for pair, market in confirmed[:: max(1, len(confirmed) // count)][:count]:
        metadata.remove(redis, "polymarket", market)
        metadata.tell(redis, "polymarket", market)
        _hear(channel, pair, b"closed")
        metadata.write(redis, "polymarket", {market: theirs[market]})
        began_s = time.perf_counter()
        metadata.tell(redis, "polymarket", market)
        _hear(channel, pair, b"stale")
        times.append((time.perf_counter() - began_s) * 1e3)
    channel.close()
    return sorted(times)


def _confirmed(redis: Any) -> list[tuple[bytes, str]]:
    """Return pairs that have a price, each with its Polymarket market."""
    pairs = redis.zrevrange(NAMES.pairs(), 0, -1)
    pipeline = redis.pipeline(transaction=False)
    for pair in pairs:
        pipeline.hmget(NAMES.pair(pair.decode()), ("grade", "polymarket_id"))
    told = zip(pairs, pipeline.execute(), strict=True)
    return [(pair, market.decode()) for pair, (grade, market) in told if grade != b"probable"]


def _hear(channel: Any, pair: bytes, status: bytes) -> None:
    """Wait for a message of a pair."""

    def is_heard() -> bool:
        message = channel.get_message(timeout=1.0)
        return bool(message) and pair in message["data"] and status in message["data"]

    until(is_heard, 30.0, 0.0)


def _new_markets(times: Sequence[float]) -> Row:
    middle, late = percentile(times, 50), percentile(times, 99)
    text = f"{len(times)}: median {middle:.1f} ms, 99 % {late:.1f} ms, most {times[-1]:.1f} ms"
    values = {"median_ms": middle, "p99_ms": late}
    return Row(
        "pairs", "a new market to its pair's first message", "<= 20 ms", text, late <= 20, values
    )
