"""A daemon that is killed, what its readers say, and what they say once it is back."""

import os
import random
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from loopback import simulated, witness
from loopback.follower import Habit, Handed
from loopback.processes import Bench, Process, bench, until
from loopback.proofs import Tally, judge, kept_promise
from loopback.report import Row
from loopback.scene import EVERY, Followed, Options
from loopback.witness import Truth

PER_VENUE = 50
RATE = 500.0
PROMISED_S = 3.0
HABITS = (
    Habit("async"),
    Habit("every", EVERY),
    Habit("sync", is_sync=True),
    Habit("sync-every", EVERY, is_sync=True),
)


class Readers:
    """Readers whose last words are looked at."""

    def __init__(self, followed: Sequence[Followed]) -> None:
        self.followed = followed

    def last(self, one: Followed) -> dict[str, Handed]:
        """Return the last price of each market that a reader handed over."""
        return {price.market: price for price in one.collect()}

    def all_are(self, status: str, markets: int) -> bool:
        """Return whether each reader has said so of each market."""
        return all(
            len(last) == markets and {price.status for price in last.values()} == {status}
            for last in map(self.last, self.followed)
        )


@dataclass
class Deaths:
    """What was seen of them."""

    stale_s: list[float] = field(default_factory=list)
    """From the death to the last `stale`, for each reader."""
    back_s: list[float] = field(default_factory=list)
    """From the start of the next daemon to the last `live` of all readers."""
    live_to_the_late: int = 0
    """Live prices that somebody got who joined between the two."""


def killed(options: Options) -> Sequence[Row]:
    """The daemon is killed with SIGKILL and started again, while venues go on."""
    rand, deaths = random.Random(8), Deaths()
    with simulated.simulated(2 * PER_VENUE, RATE) as venues, bench() as run:
        heard = run.remote(witness.serve, run.redis_url)
        feed = simulated.feed(run, venues.env, {})
        markets = _followed_markets(run)
        readers = Readers([Followed(run, run.redis_url, habit) for habit in HABITS])
        for number in range(options.rounds):
            until(lambda: readers.all_are("live", markets), 30.0, 0.05)
            time.sleep(rand.random())
            died_ns = _kill(feed)
            until(lambda: readers.all_are("stale", markets), 10.0, 0.05)
            deaths.stale_s += [_silenced_s(readers.last(one), died_ns) for one in readers.followed]
            deaths.live_to_the_late += _live_to_a_late_one(run, number, markets)
            feed, began_s = simulated.feed(run, venues.env, {}), time.monotonic()
            until(lambda: readers.all_are("live", markets), 30.0, 0.05)
            deaths.back_s.append(time.monotonic() - began_s)
            options.said(number + 1, options.rounds)
        simulated.stop(feed)
        truth = Truth([heard.call("take")])
        tallies = [judge(one.collect(), truth) for one in readers.followed]
    who = f"{len(HABITS)} readers, {markets} markets of two venues"
    return _rows(deaths, tallies, who, PROMISED_S + options.slack - 1.0)


def _live_to_a_late_one(run: Bench, number: int, markets: int) -> int:
    """Join while the feed is dead; return how many live prices there were to be had."""
    late = Followed(run, run.redis_url, Habit(f"late-{number}", EVERY))
    until(lambda: Readers([late]).all_are("stale", markets), 10.0, 0.05)
    late.remote.stop()
    return sum(price.status == "live" for price in late.log)


def _rows(deaths: Deaths, tallies: Sequence[Tally], who: str, promised_s: float) -> Sequence[Row]:
    times, worst_s = len(deaths.back_s), max(deaths.stale_s)
    old = sum(tally.live_after_newer for tally in tallies)
    wrong = sum(tally.untrue + tally.back for tally in tallies)
    return [
        kept_promise(
            "killed", "from SIGKILL to the last market's `stale`, at every reader",
            f"<= {promised_s:g} s",
            f"{min(deaths.stale_s):.2f} to {worst_s:.2f} s ({times} times, {who})",
            passed=worst_s <= promised_s, worst_s=worst_s,
        ),
        kept_promise(
            "killed", "a reader that joins while the feed is dead: live prices", "0",
            f"{deaths.live_to_the_late} in {times} joins", passed=not deaths.live_to_the_late,
        ),
        kept_promise(
            "killed", "started again: live prices of the session before", "0",
            f"{old} of {sum(tally.prices for tally in tallies):,} prices", passed=not old,
        ),
        kept_promise(
            "killed", "all prices: the publisher's bytes, no step back", "0 other or back",
            str(wrong), passed=not wrong,
        ),
        Row("killed", "from the start of the next daemon until all are live", "",
            f"{min(deaths.back_s):.1f} to {max(deaths.back_s):.1f} s", None,
            {"worst_s": max(deaths.back_s)}),
    ]  # fmt: skip


def _followed_markets(run: Bench) -> int:
    """Wait until the daemon has found all markets; return how many there are."""

    def count() -> int:
        return sum(run.redis.scard(f"feed:markets:{venue}") for venue in ("kalshi", "polymarket"))

    until(lambda: count() >= PER_VENUE, 30.0)
    known = -1
    while known != (known := count()):
        time.sleep(1.0)
    return known


def _kill(feed: Process) -> int:
    """Kill the daemon; return when, monotonic ns."""
    os.kill(feed.pid, signal.SIGKILL)
    return time.monotonic_ns()


def _silenced_s(last: dict[str, Handed], died_ns: int) -> float:
    """Return how long after the death the last market was said to be stale."""
    return (max(price.at_ns for price in last.values()) - died_ns) / 1e9
