"""What the proofs of the reader share: a daemon under load, a witness, and readers to be judged."""

import contextlib
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgpack
from redis import Redis

from loopback import follower, timed, witness
from loopback.follower import Habit
from loopback.processes import Bench, Process, Remote, all_followed, books_of, until
from loopback.proofs import Tally, differing, judge, kept_promise
from loopback.report import Row
from loopback.witness import Truth

MARKETS = 200
CHUNK_S = 0.25
"""The load goes on in pieces of this length, and can be ended between them."""
SETTLE_S = 20.0

EVERY = {"every": True, "buffer": 2_000_000}


@dataclass(frozen=True)
class Options:
    """How much is to be shown."""

    joins: int = 1_000
    kills: int = 100
    rounds: int = 5
    seconds: float = 30.0
    messages: int = 200_000
    rate: float = 5_000.0
    slack: float = 1.0
    """Above 1 where the machine is busy with other things: times may be longer, loads lower."""
    said: Callable[[int, int], object] = max
    """Hears of progress: how much is done, of how much."""


def loaded(section: str, per_s: float, options: Options, note: str = "") -> Row:
    """Return whether there was the load that was wanted."""
    goal = 0.9 * options.rate / options.slack
    return kept_promise(
        section, "load meanwhile", f">= {goal:,.0f}/s", f"{per_s:,.0f} prices/s{note}",
        passed=per_s >= goal, per_s=per_s,
    )  # fmt: skip


class Followed:
    """A reader in a process of its own, and all that it handed over."""

    def __init__(self, run: Bench, url: str, habit: Habit) -> None:
        self.habit = habit
        self.remote = run.remote(follower.serve, url, habit)
        self.pid = self.remote._process.pid
        self.log: list[follower.Handed] = []

    @property
    def process(self) -> Process:
        """Its process, to be measured."""
        return Process(self.pid)

    def collect(self) -> list[follower.Handed]:
        """Return all prices so far."""
        self.log += self.remote.call("take")
        return self.log

    def stat(self, name: str) -> Any:
        """Return a counter."""
        return self.remote.call("stats")[name]

    def judged(self, truth: Truth) -> Tally:
        """Judge all prices so far."""
        return judge(self.collect(), truth, self.remote.call("first"))

    def has_the_newest(self, redis: Any) -> bool:
        """Return whether the reader's book is what Redis has, byte for byte, and all of it live."""
        kept = newest(redis)
        book = self.remote.call("newest")
        return not differing({m: (*told, "live") for m, told in kept.items()}, book)

    def settle(self, redis: Any) -> bool:
        """Wait until it has the newest price of every market; return whether it got there."""
        try:
            until(lambda: self.has_the_newest(redis), SETTLE_S, 0.1)
        except TimeoutError:
            return False
        return True

    def says_what_it_missed(self, tally: Tally) -> bool:
        """Return whether the reader's own figures are those of the judge, market by market."""
        losses = self.remote.call("losses")
        return losses == dict(tally.missing) and self.stat("missed") == tally.missing.total()


def newest(redis: Any) -> dict[str, tuple[int, int]]:
    """Return (seq, check sum) of `:last` of every market."""
    markets = [m.decode() for venue in VENUES for m in redis.smembers(f"feed:markets:{venue}")]
    values = redis.mget([f"market:{market}:last" for market in markets])
    return {
        market: (msgpack.unpackb(value)["seq"], zlib.crc32(value))
        for market, value in zip(markets, values, strict=True)
    }


VENUES = ("kalshi", "polymarket")


@contextlib.contextmanager
def load(played: Remote, rate: float) -> Iterator[None]:
    """Let the venue change a price *rate* times a second while the block runs."""
    ended = threading.Event()

    def play() -> None:
        began_s, sent = time.monotonic(), 0
        while not ended.is_set():
            # What one piece took too long for is made good by the next.
            count = max(1, int((time.monotonic() - began_s + CHUNK_S) * rate) - sent)
            played.call("play", count, count / CHUNK_S)
            sent += count

    player = threading.Thread(target=play)
    player.start()
    try:
        yield
    finally:
        ended.set()
        player.join()


@dataclass
class Scene:
    """A daemon that follows one venue of ours, and a witness."""

    run: Bench
    played: Remote
    feed: Process
    witnesses: Sequence[Remote]
    redis: Any

    def truth(self) -> Truth:
        """Return what was published so far, once the witnesses have heard all of it."""
        self.quiet()
        return Truth(one.call("take") for one in self.witnesses)

    def heard(self) -> int:
        """Return how many prices the witnesses have heard."""
        return sum(int(one.call("count")) for one in self.witnesses)

    def quiet(self) -> None:
        """Wait until the witnesses hear nothing any more."""
        heard = -1

        def is_quiet() -> bool:
            nonlocal heard
            before, heard = heard, self.heard()
            return heard == before

        until(is_quiet, 30.0, 0.3)

    def follow(self, url: str, habit: Habit) -> Followed:
        """Start a reader in a process of its own."""
        return Followed(self.run, url, habit)


def begun(run: Bench, url: str = "", witnessed: Sequence[str] = ()) -> Scene:
    """Start a venue, a daemon and a witness (of the servers *witnessed*); all prices are there."""
    url, witnessed = url or run.redis_url, witnessed or (run.redis_url,)
    played = run.remote(timed.serve, "growing", (MARKETS,))
    witnesses = [run.remote(witness.serve, one) for one in witnessed]
    feed = run.feed(played, books_of(played, **{"redis.url": f'"{url}"'}))
    redis = Redis.from_url(witnessed[0])
    all_followed(played)
    until(lambda: redis.scard("feed:markets:kalshi") >= len(played.told["markets"]), 60.0)
    # Nothing is believed before the feed has said that it is alive.
    until(lambda: redis.exists("feed:venue:kalshi"), 60.0)
    return Scene(run, played, feed, witnesses, redis)
