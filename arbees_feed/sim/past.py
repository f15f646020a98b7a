"""What REST shows of a venue's books: the present, the past as a cache has it, or a ghost."""

import copy
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from arbees_feed.sim.grid import Grid
from arbees_feed.sim.money import SIZE_SCALE
from arbees_feed.sim.world import Change, Group, Market

GHOST_AGE_MS = 3_600_000
GHOST_BID, GHOST_ASK = 100, 9_900
GHOST_SIZE = 1_000 * SIZE_SCALE


@dataclass(frozen=True, slots=True)
class _Step:
    """What happened to a book, and what to put back to undo it."""

    at_ms: int
    changes: list[Change]
    ts_before_ms: int
    grid_before: Grid


class PastBooks:
    """A venue's markets as REST answers with them."""

    def __init__(self, clock_ms: Callable[[], int]) -> None:
        self.is_ghostly = False
        self._clock_ms = clock_ms
        self._behind_ms = 0
        self._unsigned_only = False
        self._steps: dict[str, deque[_Step]] = {}
        self._stamps: dict[str, int] = {}

    def fall_behind(
        self, seconds: float, markets: Iterable[Market], *, unsigned_only: bool
    ) -> None:
        """Answer as of so long ago; as of now, until so long has passed."""
        self.catch_up()
        self._behind_ms = int(seconds * 1000)
        self._unsigned_only = unsigned_only
        self._stamps = {market.id: market.ts_ms for market in markets}

    def catch_up(self) -> None:
        """Answer with the present again."""
        self._behind_ms = 0
        self._steps.clear()
        self._stamps.clear()

    def note(self, group: Group) -> None:
        """Remember what has just happened, while there is a past to be told."""
        if not self._behind_ms:
            return
        market = group.market
        now_ms = self._clock_ms()
        ts_before_ms = self._stamps.get(market.id, group.ts_ms)
        self._stamps[market.id] = group.ts_ms
        steps = self._steps.setdefault(market.id, deque())
        steps.append(_Step(now_ms, group.changes, ts_before_ms, group.old_grid or market.grid))
        while steps[0].at_ms <= now_ms - self._behind_ms:
            steps.popleft()

    def view(self, market: Market, *, signed: bool = False) -> Market:
        """Return the market to answer with: itself, or a copy that is out of date."""
        if self.is_ghostly:
            return _ghost(market)
        steps = self._steps.get(market.id)
        if not steps or (signed and self._unsigned_only):
            return market
        return _as_of(market, steps, self._clock_ms() - self._behind_ms)


def _as_of(market: Market, steps: deque[_Step], cutoff_ms: int) -> Market:
    past = copy.copy(market)
    past.history = None
    past.yes_bids, past.yes_asks = dict(market.yes_bids), dict(market.yes_asks)
    for step in reversed(steps):
        if step.at_ms <= cutoff_ms:
            break
        past.ts_ms, past.grid = step.ts_before_ms, step.grid_before
        for change in reversed(step.changes):
            past.set_level(change.side, change.price, change.before)
    past.trades = deque(trade for trade in market.trades if trade.ts_ms <= past.ts_ms)
    return past


def _ghost(market: Market) -> Market:
    """Return the empty shell that the venue was seen to show of active markets: 0.01 to 0.99."""
    ghost = copy.copy(market)
    ghost.yes_bids, ghost.yes_asks = {GHOST_BID: GHOST_SIZE}, {GHOST_ASK: GHOST_SIZE}
    ghost.ts_ms = market.ts_ms - GHOST_AGE_MS
    ghost.trades = deque()
    return ghost
