"""Answers of Polymarket's CLOB and Data API, field for field, and what they say. Pure."""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Literal

import msgspec

from arbees_feed.clients.model import ONE, Candle, Market, TradeRecord
from arbees_feed.clients.rest import NS

PLATFORM = "polymarket"


class BookLevel(msgspec.Struct, frozen=True):
    """One level, both numbers as text."""

    price: Decimal
    size: Decimal


class BookAnswer(msgspec.Struct, frozen=True):
    """The answer of `/book`; the best level is the last of each list, which nobody promises."""

    asset_id: str
    bids: list[BookLevel] | None = None
    asks: list[BookLevel] | None = None
    timestamp: str = "0"
    """Unix ms of the last change."""


class Point(msgspec.Struct, frozen=True):
    """A price at a time in Unix s."""

    t: int
    p: Decimal


class HistoryAnswer(msgspec.Struct, frozen=True):
    """The answer of `/prices-history`."""

    history: list[Point]


class Trade(msgspec.Struct, frozen=True):
    """A row of the Data API's `/v2/trades`: a fill, in terms of the token that was traded."""

    token_id: str
    side: Literal["BUY", "SELL"]
    size: Decimal
    price: Decimal
    timestamp: int
    transaction_hash: str = ""

    def record(self, market: Market) -> TradeRecord:
        """Return it in YES terms."""
        is_yes = self.token_id == market.market_id
        buys_yes = (self.side == "BUY") is is_yes
        return TradeRecord(
            market_id=market.market_id,
            platform=PLATFORM,
            trade_id=self.transaction_hash,
            price=self.price if is_yes else ONE - self.price,
            size=self.size,
            taker="buy" if buys_yes else "sell",
            ts_ns=self.timestamp * NS,
        )


class Pagination(msgspec.Struct, frozen=True):
    """Where a listing of the Data API goes on."""

    next_cursor: str | None = None


class TradesAnswer(msgspec.Struct, frozen=True):
    """The answer of `/v2/trades`."""

    data: list[Trade]
    pagination: Pagination = Pagination()


class SearchPages(msgspec.Struct, frozen=True):
    """How far `/public-search` goes."""

    has_more: bool = msgspec.field(default=False, name="hasMore")


class SearchAnswer(msgspec.Struct, frozen=True):
    """The answer of `/public-search`; tags and profiles are left out."""

    events: list[msgspec.Raw] | None = None
    pagination: SearchPages | None = None


def candles(points: Iterable[Point], period_s: int) -> Iterator[Candle]:
    """Gather points in order of time into candles; a period holds its end and not its start."""
    end_s, prices = 0, list[Decimal]()
    for point in points:
        ends_s = -(-point.t // period_s) * period_s
        if ends_s != end_s and prices:
            yield _candle(end_s, period_s, prices)
            prices = []
        end_s = ends_s
        prices.append(point.p)
    if prices:
        yield _candle(end_s, period_s, prices)


def _candle(end_s: int, period_s: int, prices: list[Decimal]) -> Candle:
    return Candle(
        start_ns=(end_s - period_s) * NS,
        end_ns=end_s * NS,
        open=prices[0],
        high=max(prices),
        low=min(prices),
        close=prices[-1],
    )
