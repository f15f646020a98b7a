"""Opportunities whose truth is known: books set level by level, and what they are worth.

The arithmetic here is written anew, in fractions of integers, and knows nothing of the shard's.
"""

import asyncio
import json
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

from arbees_feed.sim import SimServer
from arbees_feed.sim.world import Group, Market

DOLLAR = 10_000
CONTRACT = 1_000_000
MIN_EDGE = Fraction(1, 100)
LEAST, MOST = 5, 100


class Expected(NamedTuple):
    """An opportunity as the truth has it: legs are (market, side, price in 1/10,000 dollar)."""

    kind: str
    legs: tuple[tuple[str, str, int], ...]

    @property
    def key(self) -> tuple[object, ...]:
        """What makes two of them the same one at different prices."""
        return (self.kind, *((market, side) for market, side, _ in self.legs))


@dataclass(frozen=True)
class Trio:
    """A game's markets: Kalshi's two, and Polymarket's, which pays on the away team."""

    home: str
    away: str
    both: str

    @property
    def ids(self) -> tuple[str, str, str]:
        return (self.home, self.away, self.both)


class Books:
    """Sets the books of single markets, which nobody else trades."""

    def __init__(self, sim: SimServer, markets: tuple[str, ...]) -> None:
        self._sim = sim
        self._touched = 0
        for name in markets:
            market = sim.world.market(name)
            sim._flow.retire(market)
            market.clear()
            market.set_level("bid", 3_000, 500 * CONTRACT)
            market.set_level("ask", 8_000, 500 * CONTRACT)

    def set_level(self, name: str, side: Any, price: int, contracts: int) -> None:
        """Set one level, at one venue time, and tell the venue's clients."""
        market = self._sim.world.market(name)
        change = market.set_level(side, price, contracts * CONTRACT)
        assert change is not None
        market.ts_ms = self._sim._shared.stamp(market)
        self._sim._pump.publish(Group(market, market.ts_ms, [change]))
        self._sim._pump.flush()

    def touch(self, names: tuple[str, ...]) -> None:
        """Change a size at the outermost prices, so that what is quoted there is young."""
        self._touched += 1
        for name in names:
            if self._sim.world.market(name).is_open:
                self.set_level(name, "bid", 3_000, 500 + self._touched % 2)
                self.set_level(name, "ask", 8_000, 500 + self._touched % 2)

    async def keep_young(self, names: tuple[str, ...], every_s: float) -> None:
        """Touch markets until cancelled: the pace of a venue, not a wait for something."""
        while True:
            await asyncio.sleep(every_s)
            self.touch(names)


def worth(
    sim: SimServer, trio: Trio, home_probability: Fraction
) -> dict[tuple[object, ...], Expected]:
    """Return all opportunities that the true books hold, by key, by the rules of the README."""
    home, away, both = (sim.world.market(name) for name in trio.ids)
    chances = ((home, home_probability), (away, 1 - home_probability), (both, 1 - home_probability))
    found = set()
    for market, chance in chances:
        for side, value in (("yes", chance), ("no", 1 - chance)):
            if pays([(market, side)], value):
                found.add(expected("model", (market, side)))
    same, inverted = {"yes": "no", "no": "yes"}, {"yes": "yes", "no": "no"}
    for kalshi, sides in ((away, same), (home, inverted)):
        for side, other in sides.items():
            if pays([(kalshi, side), (both, other)], Fraction(1)):
                found.add(expected("cross", (kalshi, side), (both, other)))
    return {each.key: each for each in found}


def expected(kind: str, *legs: tuple[Market, str]) -> Expected:
    return Expected(kind, tuple((m.id, side, on_offer(m, side)[0]) for m, side in legs))


def on_offer(market: Market, side: str) -> tuple[int, int]:
    """Return what *side* costs (1/10,000 dollar), and how much of it is there (1e-6 contract)."""
    bid, bid_size, ask, ask_size = market.top()
    return (ask, ask_size) if side == "yes" else (DOLLAR - bid, bid_size)


def pays(legs: list[tuple[Market, str]], value: Fraction) -> bool:
    """Tell whether buying *legs* leaves enough of *value* a contract."""
    offers = [on_offer(market, side) for market, side in legs]
    contracts = min(MOST, *(size // CONTRACT for _, size in offers))
    if contracts < LEAST:
        return False
    cost = sum(
        cost_of(market.venue, contracts, price)
        for (market, _), (price, _) in zip(legs, offers, strict=True)
    )
    return value - cost / contracts >= MIN_EDGE


def cost_of(venue: str, contracts: int, price: int) -> Fraction:
    """Return what *contracts* cost with the taker's fee, in dollars."""
    at = Fraction(price, DOLLAR)
    value = contracts * at
    if venue == "kalshi":
        fee = Fraction(math.ceil(Fraction(7, 100) * value * (1 - at) * 10_000), 10_000)
        return Fraction(math.ceil((value + fee) * 100), 100)
    fee = Fraction(5, 100) * value * (1 - at)
    return value + Fraction(math.floor(fee * 100_000 + Fraction(1, 2)), 100_000)


class ShardLog:
    """The log of a running shard: what it decided, in order."""

    def __init__(self, stream: asyncio.StreamReader) -> None:
        self._stream = stream
        self.lines: list[dict[str, Any]] = []
        self.counts: Counter[str] = Counter()
        self._changed = asyncio.Event()
        self._ended = False

    async def follow(self) -> None:
        """Read until the shard closes its log; every line is a JSON object."""
        while line := await self._stream.readline():
            told = json.loads(line)
            self.lines.append(told)
            self.counts[told["event"]] += 1
            self._changed.set()
        self._ended = True
        self._changed.set()

    async def until(self, condition: Any, timeout_s: float = 12.0) -> None:
        """Return once *condition* holds, looked at after each line."""
        try:
            async with asyncio.timeout(timeout_s):
                while not condition():
                    assert not self._ended, self.lines[-1:]
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"did not come to pass; last: {self.lines[-4:]}") from None

    def acted(self) -> list[dict[str, Any]]:
        """Return the opportunities that it wrote down."""
        return [line for line in self.lines if line["event"] == "acted"]

    def decided(self, since: int = 0) -> Iterator[tuple[str, Expected]]:
        """Yield what was found, in order, from the line *since* on."""
        for line in self.lines[since:]:
            if line["event"] == "acted":
                yield line["game"], told(line)

    def refused(self, since: int, **wanted: Any) -> list[dict[str, Any]]:
        """Return refusals with these fields from the line *since* on."""
        return [
            line
            for line in self.lines[since:]
            if line["event"] == "refused"
            and all(line.get(name) == value for name, value in wanted.items())
        ]


def told(row: Any) -> Expected:
    """Return what a row or a line of the log tells."""
    legs = [
        (row[f"{leg}_market"], row[f"{leg}_side"], round(float(row[f"{leg}_price"]) * DOLLAR))
        for leg in ("leg1", "leg2")
        if row.get(f"{leg}_market")
    ]
    return Expected(row["kind"], tuple(legs))
