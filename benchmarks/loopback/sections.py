"""Sections about the cost and the delay of a frame: each returns rows of figures."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from types import MappingProxyType
from typing import Any

from loopback import timed
from loopback.delays import GOALS, Delays
from loopback.pairs import polymarket_play
from loopback.processes import Bench, Process, Remote, all_followed, bench, books_of, until
from loopback.proofs import percentile
from loopback.report import Row, at_most

SETTLE_S = 1.5
"""After the opening: `:quote` hashes and the first heartbeats are written."""
PERCENTILES = (1, *range(5, 100, 5), 97, 98, 99, 99.5, 99.8, 99.9, 99.95, 99.99, 100)
"""Points of the curve of delays."""


@dataclass(frozen=True)
class Options:
    """How often to measure, and which source."""

    rounds: int
    tree: str


@dataclass(frozen=True)
class Play:
    """One round: CPU in µs a frame, frames a second, and prices published a frame."""

    cpu_us: float
    per_s: float
    published: float


def measured(
    bench: Bench,
    played: Remote,
    process: Process,
    frames: int,
    done: Callable[[], object],
    rate: float | None = None,
) -> Play:
    """Play *frames*, flat out if there is no rate, and wait until *done* returns."""
    published, cpu_s, began_s = bench.calls("publish"), process.cpu_s(), time.monotonic()
    played.call("play", frames, rate)
    done()
    took_s, spent_s = time.monotonic() - began_s, process.cpu_s() - cpu_s
    count = bench.calls("publish") - published
    return Play(spent_s / frames * 1e6, frames / took_s, count / frames)


def rounds(
    bench: Bench, played: Remote, process: Process, frames: int, times: int
) -> Sequence[Play]:
    """Measure a daemon that follows everything, several times; the first is a warming up."""
    all_followed(played)
    marks = bench.marks()
    time.sleep(SETTLE_S)
    marks.clear()
    return [measured(bench, played, process, frames, marks.wait) for _ in range(times + 1)][1:]


def middle(plays: Sequence[Play]) -> Play:
    """Return the medians."""
    return Play(
        median(play.cpu_us for play in plays),
        median(play.per_s for play in plays),
        median(play.published for play in plays),
    )


def _spread(plays: Sequence[Play]) -> str:
    costs = sorted(play.cpu_us for play in plays)
    return f"{costs[0]:.2f} to {costs[-1]:.2f}"


# -- cost of a frame -------------------------------------------------------------------------------


Played = tuple[tuple[Any, ...], int]
"""A tape with what it is made from, and how many frames of it are a round."""
RECORDED: Played = (("recorded",), 200_000)
EVERY_TOP: Played = (("tops", 1_000, 200_000), 100_000)
IN_PYTHON = {"trust.compiled": "false"}


def cpu(options: Options) -> Sequence[Row]:
    """Recorded frames, and frames that each change a top of book; also without compiled code."""
    plays, source = _flat_out(options, RECORDED)
    top_plays, _ = _flat_out(options, EVERY_TOP)
    recorded, every = middle(plays), middle(top_plays)
    note = f"{_spread(plays)}; {recorded.published:.0%} published"
    per_core = every.published / every.cpu_us * 1e6
    rows = [
        at_most("cpu", f"a Kalshi book frame, {source}", recorded.cpu_us, 6, "µs", note),
        at_most("cpu", "every frame changes a top", every.cpu_us, 10, "µs", _spread(top_plays)),
        Row(
            "cpu",
            "prices a second and core",
            "> 100,000",
            f"{per_core:,.0f} ({every.published:.1%} of frames published)",
            per_core > 100_000 and every.published > 0.99,
            {"per_s": per_core},
        ),
    ]
    # Another tree may be one that does not know the setting.
    return rows if options.tree else [*rows, *_in_python(options)]


def _in_python(options: Options) -> Iterator[Row]:
    for what, played, goal in (
        ("a Kalshi book frame", RECORDED, 6),
        ("every frame changes a top", EVERY_TOP, 10),
    ):
        plays, _ = _flat_out(options, played, IN_PYTHON)
        cost_us = middle(plays).cpu_us
        yield at_most("cpu", f"{what}, all in Python", cost_us, goal, "µs", _spread(plays))


def _flat_out(
    options: Options, what: Played, settings: Mapping[str, str] = MappingProxyType({})
) -> tuple[Sequence[Play], str]:
    """Play a tape to a daemon; return the rounds, and where the tape is from."""
    tape, frames = what
    with bench(options.tree) as run:
        played = run.venue(*tape)
        feed = run.feed(played, {**books_of(played), **settings})
        return rounds(run, played, feed, frames, options.rounds), played.told["source"]


def relay(options: Options) -> Sequence[Row]:
    """The daemon, a bare relay, and awaited publishing, in turns."""
    return [
        *_against("recorded", (), 100_000, options, goals=(2.0, None)),
        *_against("tops", (1_000, 100_000), 60_000, options, goals=(None, 8.0)),
        *(_paced(options, rate) for rate in (4_000, 20_000)),
    ]


def _paced(options: Options, rate: int) -> Row:
    """Compare with a bare relay where frames come one by one."""
    frames = 3 * rate
    costs: dict[str, list[float]] = {"feed": [], "relay": []}
    with bench(options.tree) as run:
        venues = {name: run.remote(timed.serve, "recorded", ()) for name in costs}
        feed = run.feed(venues["feed"], books_of(venues["feed"]))
        processes = {"feed": feed, "relay": run.rival("relay", venues["relay"])}
        for venue in venues.values():
            all_followed(venue)
        marks = run.marks()
        time.sleep(SETTLE_S)
        for _ in range(options.rounds):
            for name, venue in venues.items():
                marks.clear()
                done = _relayed(run, frames) if name == "relay" else marks.wait
                play = measured(run, venue, processes[name], frames, done, rate)
                costs[name].append(play.cpu_us)
    ours, bare = (median(told) for told in costs.values())
    what = f"over a bare relay, recorded frames at {rate:,}/s"
    text = f"{ours / bare:.2f} x ({ours:.1f} µs to {bare:.1f} µs)"
    return Row("relay", what, "<= 2 x", text, ours <= 2 * bare, {"feed": ours, "relay": bare})


def _against(
    tape: str,
    arguments: Sequence[int],
    frames: int,
    options: Options,
    *,
    goals: tuple[float | None, float | None],
) -> Sequence[Row]:
    costs: dict[str, list[float]] = {}
    with bench(options.tree) as run:
        venues = {
            name: run.venue(tape, *arguments)
            for name in ("feed", "relay", "publish", "publish-set")
        }
        processes = {
            name: run.feed(venue, books_of(venue)) if name == "feed" else run.rival(name, venue)
            for name, venue in venues.items()
        }
        for venue in venues.values():
            all_followed(venue)
        marks = run.marks()
        time.sleep(SETTLE_S)
        for number in range(options.rounds + 1):
            for name, venue in venues.items():
                count = frames // 5 if name.startswith("publish") else frames
                marks.clear()
                done = _relayed(run, count) if name == "relay" else marks.wait
                play = measured(run, venue, processes[name], count, done)
                if number:
                    costs.setdefault(name, []).append(play.cpu_us)
    return _ratios(tape, {name: median(told) for name, told in costs.items()}, goals)


def _relayed(run: Bench, count: int) -> Callable[[], None]:
    wanted = run.calls("publish") + count
    return lambda: until(lambda: run.calls("publish") >= wanted, 60.0)


def _ratios(
    tape: str, cost: dict[str, float], goals: tuple[float | None, float | None]
) -> Sequence[Row]:
    most, least = goals
    ours = cost["feed"]
    over, under = ours / cost["relay"], cost["publish"] / ours
    told = {name: f"{us:.1f} µs" for name, us in cost.items()}
    frames = {"recorded": "recorded frames", "tops": "every frame a price"}[tape]
    return [
        Row(
            "relay",
            f"over a bare relay, {frames}",
            f"<= {most:g} x" if most else "",
            f"{over:.2f} x ({told['feed']} to {told['relay']})",
            over <= most if most else None,
            cost,
        ),
        Row(
            "relay",
            f"cheaper than an awaited PUBLISH, {frames}",
            f">= {least:g} x" if least else "",
            f"{under:.1f} x ({told['publish']}; with an awaited SET {told['publish-set']},"
            f" {cost['publish-set'] / ours:.1f} x)",
            under >= least if least else None,
            cost,
        ),
    ]


def polymarket(options: Options) -> Sequence[Row]:
    """Changes of both tokens of a market, as the simulated venue writes them, hashes among them."""
    frames = 15_000
    with bench(options.tree) as run:
        played, settings, mark = polymarket_play(run, frames * (options.rounds + 1))
        feed = run.feed(played, settings)
        all_followed(played)
        marks = run.marks(mark)
        time.sleep(SETTLE_S + 2)
        marks.clear()
        plays = [
            measured(run, played, feed, frames, marks.wait) for _ in range(options.rounds + 1)
        ][1:]
    once = middle(plays)
    note = f"{_spread(plays)}; {once.published:.0%} published"
    return [at_most("polymarket", "a price_change of a pair", once.cpu_us, 15, "µs", note)]


# -- time ------------------------------------------------------------------------------------------


def latency(options: Options) -> Sequence[Row]:
    """From the frame sent by the venue to the message decoded by a subscriber."""
    rows = []
    for rate, goal in GOALS.items():
        with bench(options.tree) as run:
            played = run.remote(timed.serve, "growing", (20,))
            run.feed(played, books_of(played))
            delays = Delays(run, played)
            all_followed(played)
            time.sleep(SETTLE_S)
            delays.measure(rate, rate)  # warm
            delays_ms = delays.measure(8 * rate, rate)
        p50, p99, p999 = (percentile(delays_ms, percent) for percent in (50, 99, 99.9))
        text = f"p50 {p50:.3f}, p99 {p99:.3f}, p99.9 {p999:.3f} ms"
        values = {"p50_ms": p50, "p99_ms": p99, "p999_ms": p999}
        curve = [(percent, percentile(delays_ms, percent)) for percent in PERCENTILES]
        what = f"venue to subscriber, {rate:,}/s"
        passed = goal.is_met(p50, p99)
        rows.append(Row("latency", what, goal.text, text, passed, values, curve))
    return rows


def burst(options: Options) -> Sequence[Row]:
    """40,000 frames at once, over 1,000 books."""
    waits_ms, wrong = [], 0
    count = 40_000
    with bench(options.tree) as run:
        played = run.venue("tops", 1_000, count * (options.rounds + 1))
        run.feed(played, books_of(played))
        follows, marks = run.reader("market:*:price"), run.marks()
        all_followed(played)
        time.sleep(SETTLE_S)
        for _ in range(options.rounds):
            marks.clear()
            follows.call("take")
            played.call("burst", count)
            marks.wait()
            time.sleep(0.5)
            seen = follows.call("take")
            wall_minus_monotonic = time.time_ns() - time.monotonic_ns()
            newest = {market: at_ns + wall_minus_monotonic for market, _, _, _, at_ns in seen}
            last_read_ns = max(read_ns for _, _, _, read_ns, _ in seen)
            waits_ms.append((max(newest.values()) - last_read_ns) / 1e6)
            wrong += _wrong(run, played)
    missing = f"{wrong} of {1_000 * options.rounds:,} tops of book wrong"
    worst = max(waits_ms)
    return [
        at_most("burst", "newest prices after the last frame", worst, 100, "ms", "the worst round"),
        Row("burst", "nothing lost from the books", "0 wrong", missing, wrong == 0),
    ]


def _wrong(run: Bench, played: Remote) -> int:
    """Return how many markets have another price in Redis than at the venue."""
    from arbees_feed.core.wire import MarketPrice  # noqa: PLC0415 - spawned processes need none

    truth = played.call("tops")
    values = run.redis.mget([f"market:{market}:last" for market in truth])
    prices = [MarketPrice.from_msgpack(value) for value in values]
    told = [(p.yes_bid, p.yes_bid_size, p.yes_ask, p.yes_ask_size) for p in prices]
    return sum(a != b for a, b in zip(told, truth.values(), strict=True))
