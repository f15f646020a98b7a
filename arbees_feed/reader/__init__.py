"""Read the prices that the feed publishes: joined without a hole, healed after losses, never old.

    async with PriceReader(url, markets=["KXNFLGAME-26DEC09KCDET-KC"]) as reader:
        async for price in reader:
            print(price.market_id, price.status, price.yes_bid, price.yes_ask)

This package needs redis and msgspec only, and loads nothing of the feed itself. See docs/reader.md.
"""

from arbees_feed.core.wire import MarketPrice
from arbees_feed.errors import (
    AuthenticationRejected,
    FeedError,
    RedisUnavailable,
    SettingsError,
)
from arbees_feed.reader.liveness import VenueLife
from arbees_feed.reader.service import PriceReader
from arbees_feed.reader.stats import ReaderStats
from arbees_feed.reader.sync import SyncPriceReader

__all__ = [
    "AuthenticationRejected",
    "FeedError",
    "MarketPrice",
    "PriceReader",
    "ReaderStats",
    "RedisUnavailable",
    "SettingsError",
    "SyncPriceReader",
    "VenueLife",
]
