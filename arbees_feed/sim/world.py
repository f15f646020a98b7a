"""The truth behind both venues: markets, their books, and what happens to them.

Books are kept once, in YES terms. How a venue tells of them (NO bids on Kalshi, mirrored
tokens on Polymarket) is the business of that venue's modules.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from arbees_feed.sim.config import Venue
from arbees_feed.sim.grid import Grid
from arbees_feed.sim.history import Top, TopHistory
from arbees_feed.sim.money import PRICE_SCALE, SIZE_SCALE

Side = Literal["bid", "ask"]
Status = Literal["initialized", "active", "closed", "determined", "finalized"]

RECENT_TRADES = 1000


class Change(NamedTuple):
    """One level's size before and after."""

    side: Side
    price: int
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Trade:
    """A match, in YES terms. *taker* is the side of the incoming order."""

    trade_id: str
    transaction_hash: str
    price: int
    size: int
    taker: Side
    ts_ms: int
    on_no_token: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """Everything that happened to one market at one venue time."""

    market: "Market"
    ts_ms: int
    changes: list[Change]
    trade: Trade | None = None
    old_grid: Grid | None = None


@dataclass(slots=True, eq=False)
class Event:
    """A question with one market for each answer."""

    venue: Venue
    id: str
    slug: str
    number: int
    series: str
    series_title: str
    title: str
    sub_title: str
    category: str
    tags: tuple[str, ...]
    start_ms: int
    end_ms: int
    exclusive: bool
    volume: float
    is_game: bool = False
    fee_type: str | None = None
    fee_multiplier: float | None = None
    """Both: what overrides the series' fees; None: nothing does."""
    markets: list["Market"] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Chance:
    """The true probability of one answer, which all markets on it follow, whatever their venue.

    `price` is that of its YES. Markets whose NO it is are `inverted`.
    """

    price: float
    markets: list["Market"] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Market:
    """A market and its true book.

    `id` is the ticker on Kalshi and the YES token on Polymarket; `other_id` is the market's
    UUID on Kalshi and the NO token on Polymarket.
    """

    venue: Venue
    id: str
    other_id: str
    event: Event
    title: str
    outcomes: tuple[str, str]
    slug: str
    number: int
    grid: Grid
    size_step: int
    open_ms: int
    close_ms: int
    condition_id: str = ""
    question_id: str = ""
    version: str = "v1"
    neg_risk: bool = False
    rules: str = ""
    """Empty: a sentence made of the title."""
    floor_strike: float | None = None
    chance: Chance | None = None
    inverted: bool = False

    yes_bids: dict[int, int] = field(default_factory=dict)
    yes_asks: dict[int, int] = field(default_factory=dict)
    fair: float = PRICE_SCALE / 2
    last_trade: int | None = None
    last_size: int = 0
    last_taker: Side = "bid"
    previous: int | None = None
    volume: int = 0
    open_interest: int = 0
    ts_ms: int = 0
    status: Status = "active"
    result: str = ""
    ended_ms: int = 0
    updated_ms: int = 0
    """When its record last changed, prices aside; 0: as it was when it opened."""
    trades: deque[Trade] = field(default_factory=lambda: deque(maxlen=RECENT_TRADES))
    history: TopHistory | None = None

    def best_bid(self) -> int:
        """Return the best bid, 0 without one."""
        return max(self.yes_bids, default=0)

    def best_ask(self) -> int:
        """Return the best ask, 10,000 without one."""
        return min(self.yes_asks, default=PRICE_SCALE)

    def top(self) -> Top:
        """Return (bid, bid size, ask, ask size); an empty side is 0 or 10,000 with size 0."""
        bid, ask = self.best_bid(), self.best_ask()
        return bid, self.yes_bids.get(bid, 0), ask, self.yes_asks.get(ask, 0)

    def levels(self, side: Side) -> dict[int, int]:
        """Return the live dictionary of a side."""
        return self.yes_bids if side == "bid" else self.yes_asks

    def set_level(self, side: Side, price: int, size: int) -> Change | None:
        """Set a level; return what changed, None if nothing did."""
        levels = self.levels(side)
        before = levels.get(price, 0)
        if size == before:
            return None
        if size:
            levels[price] = size
        else:
            del levels[price]
        self.note_top()
        return Change(side, price, before, size)

    def clear(self) -> list[Change]:
        """Take every level out of the book; return the changes."""
        bids = [self.set_level("bid", price, 0) for price in list(self.yes_bids)]
        asks = [self.set_level("ask", price, 0) for price in list(self.yes_asks)]
        return [change for change in bids + asks if change]

    def note_top(self) -> None:
        """Remember the top as it is now, if tops are remembered."""
        if self.history is not None:
            self.history.note(self.top())

    def tops_between(self, start_ns: int, end_ns: int) -> list[Top]:
        """Return every top that was true at any moment between two instants (Unix ns).

        States that lasted no longer than one change of several at one venue time are among them.

        Raises:
            LookupError: nothing is remembered (`SimConfig.history_s`), or not from so long ago.
        """
        if self.history is None:
            raise LookupError("no tops are remembered: set SimConfig.history_s")
        return self.history.between(start_ns, end_ns)

    def record_trade(self, trade: Trade) -> None:
        """Remember a match; its book change is a separate matter."""
        self.previous, self.last_trade = self.last_trade, trade.price
        self.last_size = trade.size
        self.last_taker = trade.taker
        self.volume += trade.size
        self.open_interest += trade.size // 2 // self.size_step * self.size_step
        self.trades.append(trade)

    @property
    def value(self) -> float:
        """Return what a contract is worth: fair, where nothing is known of other markets."""
        if self.chance is None:
            return self.fair
        return PRICE_SCALE - self.chance.price if self.inverted else self.chance.price

    @property
    def related(self) -> list["Market"]:
        """Return the markets that trade on the same news, this one among them."""
        return self.event.markets if self.chance is None else self.chance.markets

    @property
    def printed_price(self) -> int | None:
        """Return the last trade's price in the terms of the token that traded."""
        if not self.trades:
            return None
        last = self.trades[-1]
        return PRICE_SCALE - last.price if last.on_no_token else last.price

    @property
    def is_open(self) -> bool:
        """Tell whether the market trades."""
        return self.status == "active"

    @property
    def volume_number(self) -> float:
        """Return the volume as a plain number of contracts."""
        return self.volume / SIZE_SCALE


class World:
    """All markets and events of both venues. Tops are remembered for *history_s* seconds."""

    def __init__(
        self, history_s: float = 0.0, *, clock_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self.events: dict[str, Event] = {}
        self._markets: dict[str, Market] = {}
        self._history_s = history_s
        self._clock_ns = clock_ns

    def add(self, market: Market) -> None:
        """Take in a market, and its event if that is new."""
        market.event = self.events.setdefault(market.event.id, market.event)
        market.event.markets.append(market)
        self._markets[market.id] = market

    def begin_history(self, market: Market) -> None:
        """Remember the tops of a market from now on, if any are to be remembered."""
        if self._history_s > 0:
            market.history = TopHistory(self._history_s, self._clock_ns)
            market.note_top()

    def market(self, market_id: str) -> Market:
        """Return the market by Kalshi ticker or Polymarket YES token."""
        return self._markets[market_id]

    def find(self, market_id: str) -> Market | None:
        """Return the market by its id, None if there is none."""
        return self._markets.get(market_id)

    def markets(self, venue: Venue) -> Iterator[Market]:
        """Iterate over a venue's markets in the order of their creation."""
        return (market for market in self._markets.values() if market.venue == venue)

    def all_markets(self) -> Iterator[Market]:
        """Iterate over the markets of both venues."""
        return iter(self._markets.values())

    def events_of(self, venue: Venue) -> Iterator[Event]:
        """Iterate over a venue's events in the order of their creation."""
        return (event for event in self.events.values() if event.venue == venue)
