"""Kalshi's REST answers, field for field, and what they say. Pure.

The shapes are those of the generated client 3.34 (October 2026): prices are decimal text with up to
six decimals, counts with two.
"""

from datetime import datetime
from decimal import Decimal

import msgspec

from arbees_feed.clients.model import ONE, Candle, TradeRecord
from arbees_feed.clients.rest import NS, unix_ns

PLATFORM = "kalshi"

Pairs = list[tuple[Decimal, Decimal]]


class Sides(msgspec.Struct, frozen=True):
    """Bids for YES and bids for NO; a side may be missing or null."""

    yes_dollars: Pairs | None = None
    no_dollars: Pairs | None = None


class BookAnswer(msgspec.Struct, frozen=True):
    """The answer of `/markets/{ticker}/orderbook`."""

    orderbook_fp: Sides


class Trade(msgspec.Struct, frozen=True):
    """A record of `/markets/trades`."""

    trade_id: str
    ticker: str
    count_fp: Decimal
    yes_price_dollars: Decimal
    created_time: datetime
    taker_book_side: str = ""

    def record(self) -> TradeRecord:
        """Return it in the feed's words."""
        takers = {"bid": "buy", "ask": "sell"}
        return TradeRecord(
            market_id=self.ticker,
            platform=PLATFORM,
            trade_id=self.trade_id,
            price=self.yes_price_dollars,
            size=self.count_fp,
            taker=takers.get(self.taker_book_side, ""),  # type: ignore[arg-type]
            ts_ns=unix_ns(self.created_time),
        )


class Ohlc(msgspec.Struct, frozen=True):
    """Prices of a period; all null when there were none."""

    open_dollars: Decimal | None = None
    high_dollars: Decimal | None = None
    low_dollars: Decimal | None = None
    close_dollars: Decimal | None = None


class Candlestick(msgspec.Struct, frozen=True):
    """A period, named by its end."""

    end_period_ts: int
    price: Ohlc
    yes_bid: Ohlc = Ohlc()
    yes_ask: Ohlc = Ohlc()
    volume_fp: Decimal | None = None
    open_interest_fp: Decimal | None = None

    def candle(self, period_s: int) -> Candle:
        """Return it in the feed's words."""
        return Candle(
            start_ns=(self.end_period_ts - period_s) * NS,
            end_ns=self.end_period_ts * NS,
            open=self.price.open_dollars,
            high=self.price.high_dollars,
            low=self.price.low_dollars,
            close=self.price.close_dollars,
            volume=self.volume_fp,
            open_interest=self.open_interest_fp,
            yes_bid=self.yes_bid.close_dollars,
            yes_ask=self.yes_ask.close_dollars,
        )


class CandlesAnswer(msgspec.Struct, frozen=True):
    """The answer of `…/candlesticks`."""

    candlesticks: list[Candlestick]


class Band(msgspec.Struct, frozen=True):
    """A band of legal prices: *start*, *start* + *step*, … up to *end*."""

    start: Decimal
    end: Decimal
    step: Decimal

    def has(self, price: Decimal) -> bool:
        """Tell whether orders at *price* are taken."""
        return self.start <= price <= self.end and (price - self.start) % self.step == 0


class GridMarket(msgspec.Struct, frozen=True):
    """Of a market, the bands of its prices."""

    price_ranges: tuple[Band, ...] = ()


class GridAnswer(msgspec.Struct, frozen=True):
    """The answer of `/markets/{ticker}`."""

    market: GridMarket


class Placed(msgspec.Struct, frozen=True):
    """The answer of `POST /portfolio/events/orders`."""

    order_id: str
    fill_count: Decimal
    remaining_count: Decimal
    ts_ms: int
    client_order_id: str | None = None
    average_fill_price: Decimal | None = None


class Canceled(msgspec.Struct, frozen=True):
    """The answer of `DELETE /portfolio/events/orders/{id}`."""

    order_id: str
    reduced_by: Decimal | None = None


class Order(msgspec.Struct, frozen=True):
    """A record of `/portfolio/orders`."""

    order_id: str
    client_order_id: str
    ticker: str
    book_side: str
    status: str
    yes_price_dollars: Decimal
    initial_count_fp: Decimal
    fill_count_fp: Decimal
    remaining_count_fp: Decimal
    taker_fill_cost_dollars: Decimal = Decimal(0)
    maker_fill_cost_dollars: Decimal = Decimal(0)
    created_time: datetime | None = None

    @property
    def average_price(self) -> Decimal | None:
        """Return the average price of what was filled."""
        if not self.fill_count_fp:
            return None
        return (self.taker_fill_cost_dollars + self.maker_fill_cost_dollars) / self.fill_count_fp


def of_outcome(yes_price: Decimal, outcome: str) -> Decimal:
    """Return a YES price in terms of *outcome* (and back: it is its own inverse)."""
    return yes_price if outcome == "yes" else ONE - yes_price
