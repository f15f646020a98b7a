"""What is worth acting on. Pure: prices, the state of the game and the time in, verdicts out.

Two signals, both of them orders that would be filled at once (taker orders):

- `check_model`: a side of a market costs less than the model says it is worth;
- `check_pair`: YES at one venue and NO at the other cost less than the dollar that one of them
  pays.

Both count the venues' fees, and both refuse to look at prices that are not live, too old or empty,
and at games that are over or of which nothing certain is known.
"""

from decimal import ROUND_FLOOR, Decimal
from typing import Literal, NamedTuple

import msgspec

from arbees_feed.reader import MarketPrice
from game_shard.board import NS
from game_shard.fees import ONE, Fees, taker_fee
from game_shard.model import GameState, yes_probability

Side = Literal["yes", "no"]

NO_SCORE = "no score"
GAME_OVER = "game over"
NOT_LIVE = "not live"
TOO_OLD = "too old"
AHEAD = "time of receipt ahead of our clock"
EMPTY = "empty"
TOO_SMALL = "too small"


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When to act, and on how much."""

    min_edge: Decimal = Decimal("0.01")
    """Dollars a contract that must be left after fees."""
    max_age_s: float = 10.0
    """The longest time since a price last changed. A live price that stands for minutes is right
    more often than not, but what others know by now may not be in it yet."""
    max_ahead_s: float = 0.5
    """By how much a price may seem to come from the future: more means that clocks differ, and that
    no age can be believed."""
    max_score_age_s: float = 5.0
    """The longest silence of the score stream about a game."""
    min_contracts: Decimal = Decimal(5)
    """Polymarket takes no smaller order in almost all of its markets (`min_order_size` of
    `GET /book`)."""
    max_contracts: Decimal = Decimal(100)


class Rules(msgspec.Struct, frozen=True):
    """All that a verdict depends on beside prices, game and time."""

    limits: Limits = Limits()
    fees: Fees = Fees()


class Pair(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Two markets that ask the same question.

    Polarity `same`: YES pays at both or at neither. `inverted`: YES of one pays when NO of the
    other does.
    """

    kalshi: str
    polymarket: str
    polarity: Literal["same", "inverted"]


class Leg(msgspec.Struct, frozen=True):
    """One order: a side of a market, bought at the price on offer."""

    market_id: str
    platform: str
    side: Side
    price: Decimal
    available: Decimal
    """Contracts on offer at that price."""
    age_s: float
    """Since the feed received the change that made this price."""
    recv_ns: int
    session: int
    seq: int


class Opportunity(msgspec.Struct, frozen=True):
    """One or two orders that are worth more than they cost."""

    kind: Literal["model", "cross"]
    game_id: str
    legs: tuple[Leg, ...]
    contracts: Decimal
    """Whole contracts of each leg."""
    fees: tuple[Decimal, ...]
    """Dollars of each leg, for all of its contracts."""
    worth: Decimal
    """Dollars a contract: what the model says, or the 1.00 that a pair pays."""
    edge: Decimal
    """Dollars a contract that are left after prices and fees."""
    state: GameState

    @property
    def profit(self) -> Decimal:
        """Dollars that are left of all contracts."""
        return self.edge * self.contracts

    @property
    def fingerprint(self) -> tuple[object, ...]:
        """What makes it another opportunity: prices and score; not sizes, clock or messages."""
        return (*(leg.price for leg in self.legs), self.state.home, self.state.away)


class Key(NamedTuple):
    """Where an opportunity may be: at most one is open for each key."""

    kind: str
    game_id: str
    first: str
    """Market id."""
    second: str
    """Market id, empty for a single market."""
    side: Side
    """What is bought of the first."""


class Verdict(msgspec.Struct, frozen=True):
    """What was found at a key: an opportunity, a reason not to look, or neither (no edge)."""

    key: Key
    opportunity: Opportunity | None = None
    refused: str = ""


def refusal(price: MarketPrice | None, state: GameState | None, now_ns: int, limits: Limits) -> str:
    """Return why *price* must not be acted on at *now_ns* (Unix ns); empty if it may."""
    if state is None:
        return NO_SCORE
    return GAME_OVER if state.over else _doubt(price, now_ns, limits)


def _doubt(price: MarketPrice | None, now_ns: int, limits: Limits) -> str:
    """Return what is wrong with *price* itself."""
    if price is None or price.status != "live":
        return NOT_LIVE
    age_s = (now_ns - price.ts_recv_ns) / NS
    if age_s > limits.max_age_s:
        return TOO_OLD
    if age_s < -limits.max_ahead_s:
        return AHEAD
    return EMPTY if not (price.yes_bid_size or price.yes_ask_size) else ""


def leg_of(price: MarketPrice, side: Side, now_ns: int) -> Leg:
    """Return the order that buys *side* at the price on offer; nothing on offer: `available` is 0.

    Prices are the nearest doubles to multiples of 0.0001, so their shortest text is exact.
    """
    yes = side == "yes"
    cost = Decimal(str(price.yes_ask)) if yes else ONE - Decimal(str(price.yes_bid))
    available = Decimal(str(price.yes_ask_size if yes else price.yes_bid_size))
    return Leg(
        market_id=price.market_id,
        platform=price.platform,
        side=side,
        price=cost,
        available=available,
        age_s=(now_ns - price.ts_recv_ns) / NS,
        recv_ns=price.ts_recv_ns,
        session=price.session,
        seq=price.seq,
    )


def check_model(
    game_id: str,
    price: MarketPrice,
    pays_on: str,
    state: GameState | None,
    now_ns: int,
    rules: Rules,
) -> list[Verdict]:
    """Compare both sides of a market with what the model says they are worth."""
    refused = refusal(price, state, now_ns, rules.limits)
    sides: tuple[Side, Side] = ("yes", "no")
    keys = [Key("model", game_id, price.market_id, "", side) for side in sides]
    if refused or state is None:
        return [Verdict(key, refused=refused) for key in keys]
    yes = yes_probability(state, pays_on)
    worths = {"yes": yes, "no": ONE - yes}
    return [
        _judge(key, (leg_of(price, key.side, now_ns),), worths[key.side], state, rules)
        for key in keys
    ]


def check_pair(
    game_id: str,
    pair: Pair,
    prices: tuple[MarketPrice | None, MarketPrice | None],
    state: GameState | None,
    now_ns: int,
    rules: Rules,
) -> list[Verdict]:
    """Compare what both ways to own a sure dollar cost; *prices* are Kalshi's and Polymarket's.

    Of a pair of polarity `same`, YES of one and NO of the other pay 1.00 together, whoever wins; of
    an inverted one, both YES or both NO. The dollar is as sure without a score, but how long it is
    tied up, and whether the venues still quote in earnest, is not.
    """
    kalshi, polymarket = prices
    refused = refusal(kalshi, state, now_ns, rules.limits)
    refused = refused or refusal(polymarket, state, now_ns, rules.limits)
    verdicts = []
    sides: tuple[tuple[Side, Side], ...] = (("yes", "no"), ("no", "yes"))
    for side, opposite in sides:
        key = Key("cross", game_id, pair.kalshi, pair.polymarket, side)
        if refused or kalshi is None or polymarket is None or state is None:
            verdicts.append(Verdict(key, refused=refused))
            continue
        other = opposite if pair.polarity == "same" else side
        legs = (leg_of(kalshi, side, now_ns), leg_of(polymarket, other, now_ns))
        verdicts.append(_judge(key, legs, ONE, state, rules))
    return verdicts


def _judge(
    key: Key, legs: tuple[Leg, ...], worth: Decimal, state: GameState, rules: Rules
) -> Verdict:
    """Return whether *legs*, bought together, leave enough of *worth*."""
    limits = rules.limits
    contracts = min(limits.max_contracts, *(leg.available for leg in legs))
    contracts = contracts.to_integral_value(ROUND_FLOOR)
    if not all(leg.available for leg in legs):
        return Verdict(key, refused=EMPTY)
    if contracts < max(limits.min_contracts, ONE):
        return Verdict(key, refused=TOO_SMALL)
    fees = tuple(taker_fee(leg.platform, contracts, leg.price, rules.fees) for leg in legs)
    cost = sum((leg.price for leg in legs), start=sum(fees, start=Decimal(0)) / contracts)
    edge = worth - cost
    if edge < limits.min_edge:
        return Verdict(key)
    found = Opportunity(
        kind="model" if key.kind == "model" else "cross",
        game_id=key.game_id,
        legs=legs,
        contracts=contracts,
        fees=fees,
        worth=worth,
        edge=edge,
        state=state,
    )
    return Verdict(key, opportunity=found)
