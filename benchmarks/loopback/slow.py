"""Readers that are slower than the feed: their memory, how new their prices are, and their lag."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from loopback.follower import Habit, Handed
from loopback.processes import bench, until
from loopback.proofs import judge, kept_promise, overdue_ms, percentile
from loopback.report import Row
from loopback.scene import Followed, Options, Scene, begun, load, loaded
from loopback.witness import Truth

REST_S = 0.01
BUFFER = 500
WARM_S = 3.0
GROWN_MB = 8.0
"""Growth that a busy Python process may show while it keeps nothing."""
OVERDUE_MS = 100.0
"""On shared cores a reader may wait so long for its turn."""
LAG_ERROR_MS = 100.0

NEWEST = (
    Habit("awaits", rest_s=REST_S),
    Habit("computes", rest_s=REST_S, computes=True),
    Habit("script", rest_s=REST_S, is_sync=True),
)
ALL = (
    Habit("every", {"every": True, "buffer": BUFFER}, rest_s=REST_S),
    Habit("script-every", {"every": True, "buffer": BUFFER}, rest_s=REST_S, is_sync=True),
)


@dataclass
class Seen:
    """What one reader had while it was slow."""

    reader: Followed
    warm_mb: float = 0.0
    worst_mb: float = 0.0
    log: list[Handed] = field(default_factory=list)
    lags: list[tuple[float, float]] = field(default_factory=list)
    stats: Mapping[str, float] = field(default_factory=dict)


def slow(options: Options) -> Sequence[Row]:
    """Each reader is busy for 10 ms with every price, while thousands come in a second."""
    with bench() as run:
        scene = begun(run)
        all_seen = [Seen(scene.follow(run.redis_url, habit)) for habit in (*NEWEST, *ALL)]
        with load(scene.played, options.rate):
            time.sleep(WARM_S)
            per_s = _watch(scene, all_seen, options)
        for seen in all_seen[len(NEWEST) :]:
            _drain(seen.reader)
        truth = scene.truth()
        rows = [loaded("slow", per_s, options)]
        for seen in all_seen:
            rows += [_memory(seen, options.seconds), _lag(seen, options.slack)]
        rows += [_newness(seen, truth, options.slack) for seen in all_seen[: len(NEWEST)]]
        rows += [_losses(seen, truth) for seen in all_seen[len(NEWEST) :]]
    return rows


def _watch(scene: Scene, all_seen: Sequence[Seen], options: Options) -> float:
    """Note what the readers have while the load goes on; return its prices a second."""
    for seen in all_seen:
        seen.warm_mb = seen.worst_mb = seen.reader.process.rss_mb()
        seen.reader.remote.call("lags")  # those of prices from `:last` are no lags
    began_s, heard = time.monotonic(), scene.heard()
    while (past_s := time.monotonic() - began_s) < options.seconds:
        time.sleep(0.5)
        for seen in all_seen:
            seen.worst_mb = max(seen.worst_mb, seen.reader.process.rss_mb())
        options.said(int(past_s), int(options.seconds))
    per_s = (scene.heard() - heard) / (time.monotonic() - began_s)
    for seen in all_seen:
        seen.log = list(seen.reader.collect())
        seen.lags = seen.reader.remote.call("lags")
        seen.stats = seen.reader.remote.call("stats")
    return per_s


def _drain(reader: Followed) -> None:
    """Wait until it has handed over all that waits."""
    count = -1

    def is_quiet() -> bool:
        nonlocal count
        before, count = count, len(reader.collect())
        return before == count

    until(is_quiet, 60.0, 0.5)


def _memory(seen: Seen, seconds: float) -> Row:
    grown_mb = seen.worst_mb - seen.warm_mb
    return kept_promise(
        "slow", f"{seen.reader.habit.name}: memory during {seconds:g} s",
        f"<= {GROWN_MB:g} MB more", f"{seen.warm_mb:.1f} MB, at most {seen.worst_mb:.1f} MB",
        passed=grown_mb <= GROWN_MB, grown_mb=grown_mb, rss_mb=seen.worst_mb,
    )  # fmt: skip


def _lag(seen: Seen, slack: float) -> Row:
    """`lag_s` is how old the price is that the program has got."""
    off_ms = [abs(told_s - true_s) * 1e3 for told_s, true_s in seen.lags]
    typical_ms = percentile([true_s * 1e3 for _, true_s in seen.lags], 50)
    worst_ms = percentile(off_ms, 99)
    return kept_promise(
        "slow", f"{seen.reader.habit.name}: `lag_s` is the age of the price in hand",
        f"within {LAG_ERROR_MS * slack:g} ms (p99)",
        f"within {worst_ms:.1f} ms; typically {typical_ms:.0f} ms old, "
        f"worst_lag_s {seen.stats['worst_lag_s']:.2f}",
        passed=worst_ms <= LAG_ERROR_MS * slack, off_ms=worst_ms, lag_ms=typical_ms,
    )  # fmt: skip


def _newness(seen: Seen, truth: Truth, slack: float) -> Row:
    late_ms = overdue_ms(seen.log, truth)
    newest = sum(not late for late in late_ms) / len(late_ms)
    p99_ms = percentile(late_ms, 99)
    return kept_promise(
        "slow", f"{seen.reader.habit.name}: the newest price each time",
        f"overtaken by <= {OVERDUE_MS * slack:g} ms (p99)",
        f"{newest:.1%} of {len(late_ms):,} are the newest; overtaken by {p99_ms:.1f} ms (p99), "
        f"{max(late_ms):.1f} ms at most",
        passed=p99_ms <= OVERDUE_MS * slack and judge(seen.log, truth).is_sound,
        p99_ms=p99_ms, newest=newest,
    )  # fmt: skip


def _losses(seen: Seen, truth: Truth) -> Row:
    tally = seen.reader.judged(truth)
    told = seen.reader.says_what_it_missed(tally)
    return kept_promise(
        "slow", f"{seen.reader.habit.name}: what a full buffer gave up is said, by market",
        "equal to the holes",
        f"{'equal' if told else 'NOT equal'}: {tally.missing.total():,} missed, "
        f"{tally.prices:,} handed over",
        passed=told and tally.is_sound, missed=tally.missing.total(),
    )  # fmt: skip
