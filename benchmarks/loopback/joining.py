"""Readers that join at random moments while prices are published."""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis

from arbees_feed.core.wire import MarketPrice
from arbees_feed.reader import PriceReader, ReaderStats, SyncPriceReader
from loopback.follower import Handed, crc_of, handed
from loopback.processes import bench
from loopback.proofs import Tally, judge, kept_promise, percentile
from loopback.report import Row
from loopback.scene import EVERY, Options, Scene, begun, load, loaded, newest
from loopback.tapes import MARK
from loopback.witness import Truth

AT_ONCE = 8
NAMED = 40
FOLLOWING = 3
"""Prices of each market that a reader waits for after the first."""
PATIENCE_S = 30.0

WAYS = ("every price", "every price, by name", "the newest prices", "every price, without a loop")


@dataclass
class Join:
    """One reader that came late."""

    way: str
    floor: dict[str, tuple[int, int]]
    """(seq, check sum) of `:last` just before."""
    first: dict[str, tuple[int, int]]
    """(seq, check sum) in the reader's book once it had joined."""
    log: list[Handed]
    stats: ReaderStats
    took_s: float

    def began_late(self) -> int:
        """Return how many markets it did not know, or knew an older price of than Redis had."""
        return sum(seq > self.first.get(m, (0, 0))[0] for m, (seq, _) in self.floor.items())


class Following:
    """Tells when enough prices of each market have come after the first."""

    def __init__(self, markets: Sequence[str]) -> None:
        self.log: list[Handed] = []
        self._left = dict.fromkeys(markets, FOLLOWING + 1)

    def takes(self, price: MarketPrice) -> bool:
        """Note a price; return whether more are needed."""
        self.log.append(handed(price))
        left = self._left.get(price.market_id)
        if left == 1:
            del self._left[price.market_id]
        elif left is not None:
            self._left[price.market_id] = left - 1
        return bool(self._left)


def _first(reader: PriceReader | SyncPriceReader) -> dict[str, tuple[int, int]]:
    return {market: (p.seq, crc_of(p)) for market, p in dict(reader.book).items()}


async def _join(url: str, way: str, markets: Sequence[str], floor: Any) -> Join:
    options: dict[str, Any] = {} if way == "the newest prices" else dict(EVERY)
    if way == "every price, by name":
        options["markets"] = markets
    following, began_s = Following(markets), time.monotonic()
    async with PriceReader(url, **options) as reader, asyncio.timeout(PATIENCE_S):
        took_s, first = time.monotonic() - began_s, _first(reader)
        async for price in reader:
            if not following.takes(price):
                break
    return Join(way, floor, first, following.log, reader.stats, took_s)


def _join_in_a_script(url: str, way: str, markets: Sequence[str], floor: Any) -> Join:
    following, began_s = Following(markets), time.monotonic()
    with SyncPriceReader(url, **EVERY) as reader:
        took_s, first = time.monotonic() - began_s, _first(reader)
        while (price := reader.take(PATIENCE_S)) is not None and following.takes(price):
            pass
    return Join(way, floor, first, following.log, reader.stats, took_s)


class Joins:
    """All of them, some at a time."""

    def __init__(self, scene: Scene, options: Options) -> None:
        self._scene = scene
        self._options = options
        self._rand = random.Random(6)
        self._listed = sorted(newest(scene.redis))
        self.done: list[Join] = []

    async def run(self) -> None:
        """Join as often as was asked for."""
        left = iter(range(self._options.joins))
        async with asyncio.TaskGroup() as group, Redis.from_url(self._scene.run.redis_url) as bare:
            workers = [group.create_task(self._work(left, bare)) for _ in range(AT_ONCE)]
            await asyncio.wait(workers)

    async def _work(self, left: Any, bare: Any) -> None:
        for number in left:
            await asyncio.sleep(self._rand.random() * 0.05)
            way = WAYS[number % len(WAYS)]
            # The mark changes too rarely to be waited for.
            markets, moving = self._listed, [m for m in self._listed if m != MARK]
            if way == "every price, by name":
                markets = moving = self._rand.sample(moving, NAMED)
            values = await bare.mget([f"market:{market}:last" for market in markets])
            prices = [MarketPrice.from_msgpack(value) for value in values]
            floor = {price.market_id: (price.seq, crc_of(price)) for price in prices}
            if way == "every price, without a loop":
                work = asyncio.to_thread(
                    _join_in_a_script, self._scene.run.redis_url, way, moving, floor
                )
            else:
                work = _join(self._scene.run.redis_url, way, moving, floor)
            self.done.append(await work)
            self._options.said(len(self.done), self._options.joins)


def join(options: Options) -> Sequence[Row]:
    """Readers join at random moments under load; all that they get is the publisher's."""
    with bench() as run:
        scene = begun(run)
        joins = Joins(scene, options)
        with load(scene.played, options.rate):
            began_s, heard = time.monotonic(), scene.heard()
            asyncio.run(joins.run())
            per_s = (scene.heard() - heard) / (time.monotonic() - began_s)
        truth = scene.truth()
    return [
        loaded("join", per_s, options),
        kept_promise(
            "join", "the witness has every price", "0 missing",
            f"{truth.holes()} of {len(truth):,}", passed=not truth.holes(),
        ),
        *_rows(joins.done, truth),
    ]  # fmt: skip


def _rows(joins: Sequence[Join], truth: Truth) -> Sequence[Row]:
    total, late = Tally(), sum(join.began_late() for join in joins)
    session = joins[0].log[0].session
    untrue = sum(
        not truth.is_true(session, market, *told) for j in joins for market, told in j.first.items()
    )
    unsaid = holes = marked = 0
    for one in joins:
        tally = judge(one.log, truth)
        total.add(tally)
        marked += one.stats.marked
        if one.way == "the newest prices":
            continue  # its holes are wanted
        holes += tally.missing.total()
        unsaid += one.stats.missed
    took_ms = [one.took_s * 1e3 for one in joins]
    return [
        kept_promise(
            "join", "first prices: as new as Redis' own, and the publisher's bytes",
            "0 older, 0 other",
            f"{late} older, {untrue} other, of {sum(len(j.first) for j in joins):,} in "
            f"{len(joins):,} joins",
            passed=not late and not untrue, joins=len(joins),
        ),
        kept_promise(
            "join", "following prices: the publisher's bytes, no step back, no hole",
            "0 other, 0 back, 0 missing",
            f"{total.untrue} other, {total.back} back, {holes} missing, of {total.prices:,}",
            passed=total.is_sound and not holes and not unsaid, prices=total.prices,
        ),
        kept_promise(
            "join", "a live feed is never taken for a dead one", "0 taken back",
            f"{marked} taken back", passed=not marked and not total.marks,
        ),
        Row(
            "join", "until all markets are there", "",
            f"p50 {percentile(took_ms, 50):.0f} ms, p99 {percentile(took_ms, 99):.0f} ms",
            None, {"p50_ms": percentile(took_ms, 50), "p99_ms": percentile(took_ms, 99)},
        ),
    ]  # fmt: skip
