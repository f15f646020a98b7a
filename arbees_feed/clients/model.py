"""What clients hand out and take: frozen, typed, the same for both venues.

Prices and sizes are decimals, exactly as the venue wrote them, in YES terms; instants are Unix ns.
"""

import uuid
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Literal, NamedTuple

import msgspec

from arbees_feed.clients.errors import OrderInvalid
from arbees_feed.core.model import MarketMeta

Market = MarketMeta
"""A market's facts, with the very fields that the daemon writes to `market:<id>:meta`."""

MarketStatus = Literal["open", "closed", "settled"]
Interval = Literal["1m", "1h", "1d"]
Outcome = Literal["yes", "no"]
OrderSide = Literal["buy", "sell"]
TimeInForce = Literal["gtc", "ioc", "fok"]
OrderStatus = Literal["resting", "executed", "canceled", "delayed"]

INTERVAL_S: dict[str, int] = {"1m": 60, "1h": 3_600, "1d": 86_400}
ONE = Decimal(1)
_SIDES = ("buy", "sell")
_OUTCOMES = ("yes", "no")
_LIFETIMES = ("gtc", "ioc", "fok")
_LONGEST_ID = 64


class Level(NamedTuple):
    """One price level of a book: dollars, contracts or shares."""

    price: Decimal
    size: Decimal


class OrderBookView(msgspec.Struct, frozen=True):
    """A book at one moment, in YES terms, best level first on both sides."""

    market_id: str
    platform: str
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    ts_ns: int = 0
    """The venue's time of the last change; 0 if it gave none."""

    @property
    def best_bid(self) -> Level | None:
        """The best bid, if there is any."""
        return self.bids[0] if self.bids else None

    @property
    def best_ask(self) -> Level | None:
        """The best ask, if there is any."""
        return self.asks[0] if self.asks else None


class TradeRecord(msgspec.Struct, frozen=True):
    """One trade, in YES terms; *taker* says whether the taker bought or sold YES."""

    market_id: str
    platform: str
    trade_id: str
    """Kalshi's trade id; on Polymarket, which has none, the hash of the settling transaction."""
    price: Decimal
    size: Decimal
    taker: Literal["buy", "sell", ""]
    ts_ns: int


class Candle(msgspec.Struct, frozen=True):
    """What happened after `start_ns` and up to `end_ns`; what the venue does not tell is None.

    Kalshi's prices are those of trades, and None for a period without any. Polymarket tells no
    volumes, and a period without a price is left out.
    """

    start_ns: int
    end_ns: int
    open: Decimal | None
    high: Decimal | None
    low: Decimal | None
    close: Decimal | None
    volume: Decimal | None = None
    open_interest: Decimal | None = None
    yes_bid: Decimal | None = None
    """The best bid at the end of the period."""
    yes_ask: Decimal | None = None
    """The best ask at the end of the period."""


def _new_id() -> str:
    return str(uuid.uuid4())


class OrderRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A limit order. Its identity is made with it, so the same request is the same order.

    `price` and `size` are decimals, or texts of them, of the *outcome* that is bought or sold;
    floats are refused, because 0.29 is not 0.29.
    """

    market_id: str
    side: OrderSide
    price: Decimal | str
    size: Decimal | str
    outcome: Outcome = "yes"
    time_in_force: TimeInForce = "gtc"
    post_only: bool = False
    expires_at: datetime | None = None
    client_order_id: str = msgspec.field(default_factory=_new_id)

    def __post_init__(self) -> None:
        """Check what can be checked without knowing the market.

        Raises:
            OrderInvalid: a value is missing, malformed, or out of its range.
        """
        if self.side not in _SIDES or self.outcome not in _OUTCOMES:
            raise OrderInvalid(f"{self.side!r} of {self.outcome!r} is no order")
        if self.time_in_force not in _LIFETIMES:
            raise OrderInvalid(f"time_in_force {self.time_in_force!r} is not one of {_LIFETIMES}")
        if not 0 < len(self.client_order_id) <= _LONGEST_ID:
            raise OrderInvalid(f"client_order_id must have 1 to {_LONGEST_ID} characters")
        if self.expires_at is not None and self.expires_at.tzinfo is None:
            raise OrderInvalid("expires_at has no time zone")
        price, size = _decimal("price", self.price), _decimal("size", self.size)
        if not 0 < price < 1:
            raise OrderInvalid(f"price {price} is not between 0 and 1 dollar")
        if size <= 0:
            raise OrderInvalid(f"size {size} is not above 0")
        msgspec.structs.force_setattr(self, "price", price)
        msgspec.structs.force_setattr(self, "size", size)

    @property
    def exact_price(self) -> Decimal:
        """The price of the outcome."""
        return Decimal(self.price)

    @property
    def exact_size(self) -> Decimal:
        """The size in contracts or shares."""
        return Decimal(self.size)


def _decimal(name: str, value: object) -> Decimal:
    if not isinstance(value, Decimal | str):
        raise OrderInvalid(f"{name} is a {type(value).__name__}: give a Decimal or a text")
    try:
        number = Decimal(value)
    except InvalidOperation:
        raise OrderInvalid(f"{name} {value!r} is not a number") from None
    if not number.is_finite():
        raise OrderInvalid(f"{name} {value!r} is not a number")
    return number


class OrderResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an order when the venue took it."""

    order_id: str
    client_order_id: str
    market_id: str
    platform: str
    status: OrderStatus
    filled: Decimal
    remaining: Decimal
    average_price: Decimal | None = None
    """Of what was filled, in terms of the order's outcome."""
    ts_ns: int = 0
    told_by: Literal["answer", "lookup"] = "answer"
    """`lookup`: the answer was lost, and the order found afterwards."""


class CancelResult(msgspec.Struct, frozen=True):
    """What a cancellation took back; `canceled` is None where the venue does not say."""

    order_id: str
    canceled: Decimal | None


class PolymarketAccount(msgspec.Struct, frozen=True):
    """The private key that signs orders, and the wallet they are for; prints neither."""

    private_key: str
    wallet: str | None = None

    def __repr__(self) -> str:
        return "PolymarketAccount(***)"
