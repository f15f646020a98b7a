"""Clients of the venues for Python programs: REST, live prices, and orders when switched on.

    async with KalshiClient(credentials) as client:
        async for price in client.stream_prices(["KXHIGHNY-26NOV22-T60"]):
            print(price.market_id, price.yes_bid, price.yes_ask)

Both clients have the shape of `VenueClient`. Nothing here is used by the daemon; the modules of
orders are loaded by the first order of a client with `trading=True`.
"""

from arbees_feed.clients.base import ClientOptions
from arbees_feed.clients.errors import (
    MissingExtra,
    NotFound,
    OrderInvalid,
    OrderOutcomeUnknown,
    OrderRejected,
    TradingDisabled,
)
from arbees_feed.clients.kalshi import KalshiClient, kalshi_credentials
from arbees_feed.clients.model import (
    CancelResult,
    Candle,
    Level,
    Market,
    OrderBookView,
    OrderRequest,
    OrderResult,
    PolymarketAccount,
    TradeRecord,
)
from arbees_feed.clients.polymarket import PolymarketClient
from arbees_feed.clients.protocol import VenueClient
from arbees_feed.clients.stream import PriceStream
from arbees_feed.core.wire import MarketPrice

__all__ = [
    "CancelResult",
    "Candle",
    "ClientOptions",
    "KalshiClient",
    "Level",
    "Market",
    "MarketPrice",
    "MissingExtra",
    "NotFound",
    "OrderBookView",
    "OrderInvalid",
    "OrderOutcomeUnknown",
    "OrderRejected",
    "OrderRequest",
    "OrderResult",
    "PolymarketAccount",
    "PolymarketClient",
    "PriceStream",
    "TradeRecord",
    "TradingDisabled",
    "VenueClient",
    "kalshi_credentials",
]
