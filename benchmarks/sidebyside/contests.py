"""The contests: the same frames to every client, in turns."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from loopback.processes import Bench, all_followed, bench, books_of
from loopback.tapes import MARK
from loopback.timed import serve as serve_timed

import arbees_feed
from sidebyside.catalogue import (
    BEST,
    KALSHI,
    OUR_CHECKS,
    OURS,
    PEERS,
    POLYMARKET,
    REDIS,
    STREAM,
    SUBSCRIBER,
    Peer,
)
from sidebyside.contestants import Contestant, Daemon, VenuePeer, WriterPeer, started
from sidebyside.environments import HERE, Unavailable, version_in
from sidebyside.results import Pace, Result, Round
from sidebyside.venues import Session

SETTLE_S = 2.0
"""After the opening, before the first play."""
RATE = 1_000
SECONDS = 2


@dataclass(frozen=True)
class Options:
    """How often to measure, and whom; nobody named means all."""

    rounds: int
    only: frozenset[str] = frozenset()

    def peers(self, plays: str) -> Sequence[Peer]:
        """Return the peers that take part where this is played."""
        return [peer for peer in PEERS if peer.plays == plays and self.wants(peer.package)]

    def wants(self, package: str) -> bool:
        """Whether a client takes part."""
        return not self.only or package in self.only


@dataclass(frozen=True)
class Entrant:
    """Who takes part, and where its figures go; a slow one is played one frame in *divisor*."""

    result: Result
    contestant: Contestant
    divisor: int = 1


@dataclass
class Contest:
    """Clients that are played the same frames, and what comes of it."""

    title: str
    results: list[Result] = field(default_factory=list)
    _entrants: list[Entrant] = field(default_factory=list)

    def enter_ours(self, plays: str, contestant: Contestant) -> None:
        """Let the daemon take part."""
        told = (arbees_feed.__version__, HERE, SUBSCRIBER, OUR_CHECKS[plays])
        result = Result(self.title, OURS, *told)
        self.results.append(result)
        self._entrants.append(Entrant(result, contestant))

    def enter(self, peer: Peer, start: Callable[[], Contestant]) -> None:
        """Start a peer and let it take part; one that does not start is a result with a reason."""
        told = ("", peer.environment.python, peer.ends_at, peer.checks)
        result = Result(self.title, peer.name, *told)
        self.results.append(result)
        with _or_reason(result):
            result.version = version_in(peer.environment, peer.package)
            self._entrants.append(Entrant(result, start(), peer.divisor))

    def plays(self, frames: int, rounds: int) -> Sequence[Result]:
        """Play to each in turns, flat out; the first round is a warming up."""
        time.sleep(SETTLE_S)
        for number in range(rounds + 1):
            for entrant in self._running():
                with _or_reason(entrant.result):
                    figures = _played(entrant.contestant, frames // entrant.divisor)
                    if number:
                        entrant.result.rounds.append(figures)
        for entrant in self._running():
            entrant.result.rss_mb = entrant.contestant.process.rss_mb()
            entrant.result.trouble = entrant.contestant.complaint()
        return self.results

    def paced(self, rounds: int) -> Sequence[Result]:
        """Play to each in turns at a rate; the first round is a warming up."""
        time.sleep(SETTLE_S)
        for number in range(rounds + 1):
            for entrant in self._running():
                assert isinstance(entrant.contestant, VenuePeer | Daemon)
                with _or_reason(entrant.result):
                    figures = _paced(entrant.contestant)
                    if number:
                        entrant.result.paces.append(figures)
        return self.results

    def _running(self) -> Sequence[Entrant]:
        return [entrant for entrant in self._entrants if not entrant.result.reason]


@contextlib.contextmanager
def _or_reason(result: Result) -> Iterator[None]:
    """Make of a failure the reason why there are no figures."""
    try:
        yield
    except (Unavailable, TimeoutError, OSError) as failure:
        result.reason = str(failure)


def _played(contestant: Contestant, frames: int) -> Round:
    contestant.settle()
    cpu_s, began_s = contestant.process.cpu_s(), time.monotonic()
    contestant.play(frames)
    took_s, spent_s = time.monotonic() - began_s, contestant.process.cpu_s() - cpu_s
    return Round(spent_s / frames * 1e6, frames / took_s, contestant.events() / frames)


def _paced(contestant: VenuePeer | Daemon) -> Pace:
    contestant.settle()
    frames, cpu_s = SECONDS * RATE, contestant.process.cpu_s()
    delays_ms = sorted(contestant.paced(frames, RATE))
    spent_s = contestant.process.cpu_s() - cpu_s
    p50, p99, p999 = (delays_ms[int(frames * percent / 100)] for percent in (50, 99, 99.9))
    return Pace(spent_s / frames * 1e6, p50, p99, p999)


# -- Kalshi ----------------------------------------------------------------------------------------


def kalshi_tops(options: Options) -> Sequence[Result]:
    """1,000 books, each frame changes a top."""
    tape = ("tops", 1_000, 150_000)
    with bench() as run:
        contest = _kalshi(run, options, "Kalshi: 1,000 markets, every frame changes a top", tape)
        return contest.plays(60_000, options.rounds)


def kalshi_recorded(options: Options) -> Sequence[Result]:
    """Recorded frames, if there are any."""
    with bench() as run:
        played = run.remote(serve_timed, "recorded", ())
        source = played.told["source"]
        played.stop()
        contest = _kalshi(run, options, f"Kalshi: {source} frames", ("recorded",))
        return contest.plays(60_000, options.rounds)


def kalshi_delays(options: Options) -> Sequence[Result]:
    """20 markets at a steady rate."""
    title = f"Kalshi: from the venue's send(), {RATE:,} frames/s, 20 markets"
    with bench() as run:
        contest = _kalshi(run, options, title, ("growing", 20), timed=True)
        return contest.paced(options.rounds)


def _kalshi(
    run: Bench, options: Options, title: str, tape: tuple[Any, ...], *, timed: bool = False
) -> Contest:
    """Start everybody on a venue of their own that plays a tape."""
    contest = Contest(title)
    if options.wants(OURS):
        played = run.remote(serve_timed, tape[0], tape[1:])
        feed = run.feed(played, books_of(played))
        all_followed(played)
        contest.enter_ours(KALSHI, Daemon(run, feed, played))

    def start(peer: Peer) -> Contestant:
        played = run.remote(serve_timed, tape[0], tape[1:])
        job = {"port": played.told["port"], "markets": played.told["markets"], "mark": MARK}
        client = run.enter(started(peer, job | {"timed": timed}))
        client.until_it(lambda: played.call("members") >= len(job["markets"]))
        return VenuePeer(client, played)

    for peer in options.peers(KALSHI):
        if timed and peer.kind == BEST:
            continue  # reading adds to every frame what the other contests tell
        contest.enter(peer, lambda peer=peer: start(peer))  # type: ignore[misc]
    return contest


# -- Polymarket ------------------------------------------------------------------------------------


def polymarket(options: Options) -> Sequence[Result]:
    """Changes of both tokens of a market in a frame, as the simulated venue writes them."""
    frames = 12_000
    with bench() as run:
        session = Session(run, frames * (options.rounds + 1))
        title = f"Polymarket: {len(session.markets)} markets, a frame changes both tokens of one"
        ours = Contest(title)
        if options.wants(OURS):
            played, settings = session.for_daemon(run)
            feed = run.feed(played, settings)
            all_followed(played)
            ours.enter_ours(POLYMARKET, Daemon(run, feed, played, session.mark))
        # Before the others: left waiting, it asks REST, which is at the session's end already.
        ours.plays(frames, options.rounds)
    with bench() as run:
        theirs = Contest(title)
        for peer in options.peers(POLYMARKET):
            theirs.enter(peer, lambda peer=peer: _polymarket(run, session, peer))  # type: ignore[misc]
        theirs.plays(frames, options.rounds)
    return [*ours.results, *theirs.results]


def _polymarket(run: Bench, session: Session, peer: Peer) -> Contestant:
    played = session.for_peer(run)
    job = {
        "port": played.told["port"],
        "redis_port": urlsplit(run.redis_url).port,
        "markets": session.tokens,
        "pairs": session.markets,
        "mark": session.mark,
        "timed": False,
    }
    client = run.enter(started(peer, job))
    client.until_it(lambda: played.call("members") >= len(session.tokens))
    to_redis = peer.ends_at == STREAM
    return VenuePeer(client, played, (lambda: run.calls("xadd")) if to_redis else None)


# -- Redis -----------------------------------------------------------------------------------------


def redis_writers(options: Options) -> Sequence[Result]:
    """Writers to Redis by themselves."""
    with bench() as run:
        contest = Contest("Redis writers by themselves: 1,000 markets, made-up changes")
        for peer in options.peers(REDIS):
            contest.enter(peer, lambda peer=peer: _writer(run, peer))  # type: ignore[misc]
        return contest.plays(20_000, options.rounds)


def _writer(run: Bench, peer: Peer) -> Contestant:
    markets = [f"BENCH-{number}" for number in range(1_000)]
    job = {
        "redis_port": urlsplit(run.redis_url).port,
        "markets": markets,
        "mark": "",
        "timed": False,
    }
    return WriterPeer(run.enter(started(peer, job)))


CONTESTS: Mapping[str, Callable[[Options], Sequence[Result]]] = {
    "tops": kalshi_tops,
    "recorded": kalshi_recorded,
    "delays": kalshi_delays,
    "polymarket": polymarket,
    "redis": redis_writers,
}
