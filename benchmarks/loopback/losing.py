"""Readers that lose what was published: connections killed, buffers overrun, a master that dies."""

import asyncio
import contextlib
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from redis import Redis

from loopback.follower import Habit
from loopback.processes import bench, until
from loopback.proofs import Tally, kept_promise
from loopback.report import Row
from loopback.scene import EVERY, MARKETS, Followed, Options, Scene, begun, load

# Sentinels are started as the tests start them; last, as both have a package of readers.
sys.path.append(str(Path(__file__).parents[2] / "tests"))
from support.sentinels import Failover, failover

KEPT_FOR_A_READER = 1 << 20
"""Bytes that Redis keeps for a subscriber before it cuts it off, while that is to be shown."""
BURST = 5_000
CUTS_OFF_THE_WITNESS = "failover"
"""Sentinel ends all connections of a server that it makes the master."""
HABITS = (
    Habit("every", EVERY),
    Habit("newest"),
    Habit("script", EVERY, is_sync=True),
)


def _connections(redis: Any, name: str) -> list[tuple[str, bool]]:
    """Return (id, is subscribed) of a reader's connections."""
    return [
        (one["id"], one["sub"] != "0" or one["psub"] != "0")
        for one in redis.client_list()
        if one["name"] == name
    ]


def _outcome(section: str, readers: Sequence[Followed], scene: Scene) -> list[Row]:
    """Judge readers at the end: the newest of every market, nothing false, losses told."""
    ended = sum(one.settle(scene.redis) for one in readers) == len(readers)
    truth = scene.truth()
    total, told, missed, healed = Tally(), True, 0, 0
    for one in readers:
        tally = one.judged(truth)
        if one.habit.options:
            told &= one.says_what_it_missed(tally)
            missed += tally.missing.total()
        healed += one.stat("healed")
        total.add(tally)
    return [
        kept_promise(
            section, "in the end: the newest price of every market, live, byte for byte",
            "all", f"{'all' if ended else 'NOT all'} of {MARKETS + 1} in {len(readers)} readers",
            passed=ended,
        ),
        kept_promise(
            section, "on the way: the publisher's bytes, no step back",
            "0 other, 0 back",
            f"{total.untrue} other, {total.back} back, {total.unwitnessed} unwitnessed, of "
            f"{total.prices:,}",
            passed=total.is_sound and (not total.unwitnessed or section == CUTS_OFF_THE_WITNESS),
            prices=total.prices, unwitnessed=total.unwitnessed,
        ),
        kept_promise(
            section, "`missed`, and `take_losses()` by market: the holes in what was handed over",
            "equal", f"{'equal' if told else 'NOT equal'}: {missed:,} missed, {healed:,} healed",
            passed=told, missed=missed, healed=healed,
        ),
    ]  # fmt: skip


# -- connections killed ----------------------------------------------------------------------------


def kills(options: Options) -> Sequence[Row]:
    """The subscriber connection of each reader is killed many times at random moments."""
    rand, killed = random.Random(7), 0
    with bench() as run:
        scene = begun(run)
        readers = [scene.follow(run.redis_url, habit) for habit in HABITS]
        with load(scene.played, options.rate):
            for number in range(options.kills):
                for reader in readers:
                    killed += _kill(scene.redis, reader, and_all=number % 5 == 4)
                options.said(number + 1, options.kills)
                time.sleep(rand.random() * 0.1)
        rows = _outcome("kills", readers, scene)
        again = [one.stat("reconnects") for one in readers]
    measured = f"{killed} of {options.kills} x {len(readers)}, {sum(again)} joined again"
    passed = killed == options.kills * len(readers)
    return [
        kept_promise("kills", "subscriber connections killed under load", "all", measured,
                     passed=passed, killed=killed),
        *rows,
    ]  # fmt: skip


def _kill(redis: Any, reader: Followed, *, and_all: bool) -> bool:
    """Kill a reader's subscription as soon as there is one, and its other connection too."""
    until(lambda: any(told for _, told in _connections(redis, reader.habit.name)), 10.0, 0.002)
    killed = False
    for ident, is_subscribed in _connections(redis, reader.habit.name):
        if is_subscribed or and_all:
            was_there = bool(redis.client_kill_filter(_id=ident))
            killed |= is_subscribed and was_there
    return killed


# -- buffers overrun -------------------------------------------------------------------------------


def overflow(options: Options) -> Sequence[Row]:
    """Readers stand still until Redis gives them up; then they go on."""
    healed_right = cut = 0
    with bench() as run:
        scene = begun(run)
        scene.redis.config_set(
            "client-output-buffer-limit", f"pubsub {KEPT_FOR_A_READER} {KEPT_FOR_A_READER} 0"
        )
        readers = [scene.follow(run.redis_url, habit) for habit in HABITS]
        for number in range(options.rounds):
            scene.played.call("play", BURST // 5, options.rate)
            before = [one.stat("healed") for one in readers]
            with _standing_still(readers):
                cut += _overrun(scene, readers, options)
            for one, healed in zip(readers, before, strict=True):
                one.settle(scene.redis)
                # Each market has changed after the cut, and nothing since: `:last` alone tells.
                healed_right += one.stat("healed") - healed == MARKETS + 1
            options.said(number + 1, options.rounds)
        rows = _outcome("overflow", readers, scene)
    expected = options.rounds * len(readers)
    return [
        kept_promise(
            "overflow", "readers that Redis cut off, as its buffer for them was full", "all",
            f"{cut} of {expected}", passed=cut == expected,
        ),
        *rows,
        kept_promise(
            "overflow", f"`healed`: the {MARKETS + 1} markets that changed after each cut",
            "equal", f"equal in {healed_right} of {expected}", passed=healed_right == expected,
        ),
    ]  # fmt: skip


@contextlib.contextmanager
def _standing_still(readers: Sequence[Followed]) -> Iterator[None]:
    for one in readers:
        os.kill(one.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for one in readers:
            os.kill(one.pid, signal.SIGCONT)


def _overrun(scene: Scene, readers: Sequence[Followed], options: Options) -> int:
    """Publish until Redis has cut all of them off, and then each market once more."""

    def subscribed() -> int:
        names = {one.habit.name for one in readers}
        return sum(told for name in names for _, told in _connections(scene.redis, name))

    deadline_s = time.monotonic() + 60.0
    while subscribed() and time.monotonic() < deadline_s:
        scene.played.call("play", BURST, 2 * options.rate)
    left = subscribed()
    scene.played.call("play", MARKETS, options.rate)
    scene.quiet()
    return len(readers) - left


# -- failover --------------------------------------------------------------------------------------


@contextlib.contextmanager
def _sentinels() -> Iterator[Failover]:
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as loop:
        servers = failover(Path(folder))
        parts = loop.run(servers.__aenter__())
        try:
            yield parts
        finally:
            loop.run(servers.__aexit__(None, None, None))


def failovers(options: Options) -> Sequence[Row]:
    """The master is killed under load; Sentinel makes the replica the master."""
    rounds = max(1, options.rounds // 2)
    rows: list[Row] = []
    away_s = []
    for number in range(rounds):
        with _sentinels() as servers, bench() as run:
            rows += _one_failover(run, servers, options, away_s)
        options.said(number + 1, rounds)
    worst_s = max(away_s)
    return [
        *_together(rows, rounds),
        Row("failover", "from the death of the master to the first live price of the new one", "",
            f"{min(away_s):.1f} to {worst_s:.1f} s (Sentinel waits 0.5 s first)", None,
            {"worst_s": worst_s}),
    ]  # fmt: skip


def _one_failover(
    run: Any, servers: Failover, options: Options, away_s: list[float]
) -> Sequence[Row]:
    run.complaints = list  # of the lost server: that is what is to be shown
    both = [f"redis://127.0.0.1:{port}/0" for port in (servers.replica, servers.master)]
    scene = begun(run, servers.url, both)
    readers = [scene.follow(servers.url, habit) for habit in HABITS]
    with load(scene.played, options.rate):
        time.sleep(1.0)
        servers.process.kill()
        died_ns = time.monotonic_ns()
        with Redis(port=servers.replica) as replica:
            until(lambda: replica.info("replication")["role"] == "master", 20.0, 0.05)
        until(lambda: all(one.stat("reconnects") > 0 for one in readers), 20.0, 0.05)
        time.sleep(1.0)
    rows = _outcome("failover", readers, scene)
    after = [_first_after_the_gap(one, died_ns) for one in readers]
    away_s.append((max(after) - died_ns) / 1e9)
    return rows


def _first_after_the_gap(reader: Followed, died_ns: int) -> int:
    """Return when a reader had the first live price after the longest silence that followed."""
    times = [price.at_ns for price in reader.log if price.status == "live"]
    later = [at_ns for at_ns in times if at_ns > died_ns]
    gaps = [after - before for before, after in zip([died_ns, *later], later, strict=False)]
    return later[gaps.index(max(gaps))]


def _together(rows: Sequence[Row], rounds: int) -> list[Row]:
    """Return one row for each promise, as it was kept in all rounds."""
    promises: dict[str, list[Row]] = {}
    for row in rows:
        promises.setdefault(row.what, []).append(row)
    return [
        kept_promise(
            told[0].section, what, told[0].goal,
            f"{sum(bool(row.passed) for row in told)} of {rounds} times; the last: "
            f"{told[-1].measured}",
            passed=all(row.passed for row in told),
            **{key: sum(row.values[key] for row in told) for key in told[0].values},
        )
        for what, told in promises.items()
    ]  # fmt: skip
