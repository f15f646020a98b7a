"""What traders do: a seeded stream of book changes that looks like a live game."""

import random
from collections.abc import Callable

from arbees_feed.sim.config import KALSHI, SimConfig
from arbees_feed.sim.grid import Grid, uniform
from arbees_feed.sim.money import HUNDREDTH, PRICE_SCALE, SIZE_SCALE
from arbees_feed.sim.world import Chance, Change, Group, Market, Side, Trade, World

HOT_SHARE = 0.7
HOT_TURN = 0.02
WIDEST_SPREAD = 3
FULL_LIFE = 1.5  # levels beyond depth * FULL_LIFE are cancelled first
WALK_SHARE = 0.15
CANCEL_SHARE = 0.3
SWEEP_SHARE = 0.2
FRACTION_SHARE = 0.4
FINE_BELOW = 0.04 * PRICE_SCALE
FINE_TICK = 10
NO_TOKEN_SHARE = 0.3
NEWS = 0.5
"""What moves the true probability of a question, in steps of a walk: with more of it, both sides of
a pair would cost less than they pay most of the time, which they do not."""
OPINION = 0.5
"""Ticks by which a venue differs about what a contract is worth."""
LOW, HIGH = 150.0, PRICE_SCALE - 150.0
BOTH_SIDES: tuple[Side, Side] = ("bid", "ask")


class Flow:
    """Picks a market, changes its book, returns what happened."""

    def __init__(self, config: SimConfig, world: World, stamp: Callable[[Market], int]) -> None:
        self._config = config
        self._world = world
        self._stamp = stamp
        self._random = random.Random(f"flow {config.seed}")
        self._live: list[Market] = []
        self._hot: list[Market] = []

    def seed_book(self, market: Market) -> None:
        """Give a new market a fair price and a full book, and let it trade from now on."""
        draw = self._random
        known = market.chance is not None
        market.fair = market.value if known else draw.uniform(0.08, 0.92) * PRICE_SCALE
        for index in range(self._config.depth):
            self._place(market, "bid", market.grid.at_or_below(market.fair - 1, index))
            self._place(market, "ask", market.grid.at_or_above(market.fair + 1, index))
        market.ts_ms = self._stamp(market)
        self._world.begin_history(market)
        self._live.append(market)

    def retire(self, market: Market) -> None:
        """Trade this market no more."""
        self._live = [other for other in self._live if other is not market]
        self._hot = [other for other in self._hot if other is not market]

    def step(self) -> Group | None:
        """Do one thing to one market; None when nothing came of it."""
        if not self._live:
            return None
        market = self._pick()
        taken, changes = self._act(market)
        if not changes:
            return None
        market.ts_ms = self._stamp(market)
        trade = self._print(market, *taken) if taken else None
        return Group(market, market.ts_ms, changes, trade, self._refine(market))

    def cross(self, market: Market) -> Group:
        """Pass through a crossed book inside one venue time.

        Raises:
            ValueError: there is nothing to cross.
        """
        changes = self._cross(market) or self._cross(market)  # of a side drawn at random
        if not changes:
            raise ValueError(f"{market.id}: nothing to cross")
        market.ts_ms = self._stamp(market)
        return Group(market, market.ts_ms, changes)

    def retick(self, market: Market, grid: Grid) -> Group:
        """Give a market another grid; orders that are not on it move away from the touch."""
        old, market.grid = market.grid, grid
        changes: list[Change | None] = []
        legal = set(grid.prices)
        for side in BOTH_SIDES:
            levels = market.levels(side)
            for price, size in [level for level in levels.items() if level[0] not in legal]:
                near = grid.at_or_below(price) if side == "bid" else grid.at_or_above(price)
                changes.append(market.set_level(side, price, 0))
                if (near < price) == (side == "bid"):  # else it is off the end of the grid
                    changes.append(market.set_level(side, near, levels.get(near, 0) + size))
        market.ts_ms = self._stamp(market)
        return Group(market, market.ts_ms, [change for change in changes if change], None, old)

    def _refine(self, market: Market) -> Grid | None:
        """Give a Polymarket market near its end a finer tick; return the coarser one it had."""
        near_an_end = not FINE_BELOW < market.fair < PRICE_SCALE - FINE_BELOW
        if market.venue == KALSHI or market.grid.tick <= FINE_TICK or not near_an_end:
            return None
        old, market.grid = market.grid, uniform(FINE_TICK)
        return old

    def _pick(self) -> Market:
        """Prefer the game that is on: one event is hot at a time, and it turns."""
        draw = self._random
        if not self._hot or draw.random() < HOT_TURN:
            self._hot = [m for m in draw.choice(self._live).related if m.is_open]
        pool = self._hot if self._hot and draw.random() < HOT_SHARE else self._live
        return draw.choice(pool)

    def _act(self, market: Market) -> tuple[tuple[int, int, Side] | None, list[Change]]:
        draw = self._random
        chance = draw.random()
        config = self._config
        if chance < config.empty_share:
            return None, self._empty(market)
        chance -= config.empty_share
        if chance < config.trade_share:
            return self._take(market)
        chance -= config.trade_share
        if chance < config.cross_share:
            return None, self._cross(market)
        if draw.random() < WALK_SHARE:
            return None, self._walk(market)
        return None, self._shuffle(market)

    def _shuffle(self, market: Market) -> list[Change]:
        """Add, grow, shrink or cancel one level near the touch."""
        draw = self._random
        side: Side = draw.choice(("bid", "ask"))
        levels = market.levels(side)
        crowded = len(levels) > self._config.depth * FULL_LIFE
        if levels and (crowded or draw.random() < CANCEL_SHARE):
            # A cancel falls on any level; a crowded side loses its worst one.
            price = self._worst(levels, side) if crowded else draw.choice(list(levels))
            return _just(market.set_level(side, price, 0))
        steps = min(int(draw.expovariate(0.3)), self._config.depth)
        if side == "bid":
            limit = min(market.fair, market.best_ask() - 1)
            return _just(self._place(market, side, market.grid.at_or_below(limit, steps)))
        limit = max(market.fair, market.best_bid() + 1)
        return _just(self._place(market, side, market.grid.at_or_above(limit, steps)))

    def _walk(self, market: Market) -> list[Change]:
        """Move the fair price; quotes on the wrong side of it leave, new ones come."""
        step: float = market.grid.tick * self._random.choice((-2, -1, -1, 1, 1, 2))
        if market.chance is not None:
            step = self._learn(market, market.chance, step)
        market.fair = min(max(market.fair + step, LOW), HIGH)
        changes = self._sweep(market, "ask", market.fair) if step > 0 else []
        if step < 0:
            changes = self._sweep(market, "bid", market.fair)
        return changes + self._requote(market)

    def _learn(self, market: Market, chance: Chance, step: float) -> float:
        """Move the true probability, and return by how much this market's fair price moves to it.

        The other markets that follow it learn of that when they walk next; until then prices of
        two venues are apart.
        """
        chance.price = min(max(chance.price + NEWS * step, LOW), HIGH)
        opinion = self._random.gauss(0.0, OPINION * market.grid.tick)
        return market.value + opinion - market.fair

    def _requote(self, market: Market) -> list[Change]:
        """Quote both sides close to the fair price where the spread has grown."""
        changes: list[Change] = []
        wide = WIDEST_SPREAD * market.grid.tick
        if market.fair - market.best_bid() > wide:
            price = market.grid.at_or_below(min(market.fair, market.best_ask() - 1))
            changes += _just(self._place(market, "bid", price))
        if market.best_ask() - market.fair > wide:
            price = market.grid.at_or_above(max(market.fair, market.best_bid() + 1))
            changes += _just(self._place(market, "ask", price))
        return changes

    def _cross(self, market: Market) -> list[Change]:
        """Let an order rest beyond the other side before that side is taken away."""
        draw = self._random
        side: Side = draw.choice(("bid", "ask"))
        other: Side = "ask" if side == "bid" else "bid"
        in_the_way = sorted(market.levels(other), reverse=other == "bid")[: draw.randint(1, 2)]
        if not in_the_way:
            return []
        market.fair = min(max(float(in_the_way[-1]), LOW), HIGH)
        price = in_the_way[-1]
        size = market.levels(side).get(price, 0) + self._size(market)
        changes = [market.set_level(side, price, size)]
        changes += [market.set_level(other, taken, 0) for taken in in_the_way]
        return [change for change in changes if change]

    def _empty(self, market: Market) -> list[Change]:
        """Clear a side, now and then both."""
        draw = self._random
        sides: tuple[Side, ...] = draw.choice((("bid",), ("ask",), ("bid", "ask")))
        cleared = (
            market.set_level(side, price, 0)
            for side in sides
            for price in list(market.levels(side))
        )
        return [change for change in cleared if change]

    def _take(self, market: Market) -> tuple[tuple[int, int, Side] | None, list[Change]]:
        """Take from the best level of a side: part of it, or all."""
        draw = self._random
        taker: Side = draw.choice(("bid", "ask"))
        side: Side = "ask" if taker == "bid" else "bid"
        levels = market.levels(side)
        if not levels:
            return None, []
        price = self._best(levels, side)
        size = self._size(market, small=True)
        if size >= levels[price] or draw.random() < SWEEP_SHARE:
            size = levels[price]
        change = market.set_level(side, price, levels[price] - size)
        return (price, size, taker), _just(change)

    def _print(self, market: Market, price: int, size: int, taker: Side) -> Trade:
        draw = self._random
        bits = draw.getrandbits(256)
        hexa = f"{bits:064x}"
        trade = Trade(
            trade_id=f"{hexa[:8]}-{hexa[8:12]}-4{hexa[13:16]}-a{hexa[17:20]}-{hexa[20:32]}",
            transaction_hash="0x" + hexa,
            price=price,
            size=size,
            taker=taker,
            ts_ms=market.ts_ms,
            on_no_token=market.venue != KALSHI and draw.random() < NO_TOKEN_SHARE,
        )
        market.record_trade(trade)
        return trade

    def _place(self, market: Market, side: Side, price: int) -> Change | None:
        """Rest an order at *price*, unless that would cross the book for good."""
        if price >= market.best_ask() if side == "bid" else price <= market.best_bid():
            return None
        levels = market.levels(side)
        return market.set_level(side, price, levels.get(price, 0) + self._size(market))

    def _sweep(self, market: Market, side: Side, price: float) -> list[Change]:
        """Cancel what rests on the wrong side of *price*."""
        levels = market.levels(side)
        gone = [p for p in levels if (p <= price if side == "ask" else p >= price)]
        changes = (market.set_level(side, p, 0) for p in gone)
        return [change for change in changes if change]

    def _size(self, market: Market, *, small: bool = False) -> int:
        draw = self._random
        whole = max(1, int(draw.lognormvariate(2.0 if small else 4.5, 1.2)))
        if draw.random() > FRACTION_SHARE:
            return whole * SIZE_SCALE
        if market.venue == KALSHI:
            return whole * SIZE_SCALE + draw.randrange(100) * HUNDREDTH
        if draw.random() < FRACTION_SHARE:
            return whole * SIZE_SCALE + draw.randrange(SIZE_SCALE)
        return whole * SIZE_SCALE + draw.randrange(100) * HUNDREDTH

    @staticmethod
    def _best(levels: dict[int, int], side: Side) -> int:
        return min(levels) if side == "ask" else max(levels)

    @staticmethod
    def _worst(levels: dict[int, int], side: Side) -> int:
        return max(levels) if side == "ask" else min(levels)


def _just(change: Change | None) -> list[Change]:
    return [change] if change else []
