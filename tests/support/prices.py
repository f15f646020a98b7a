"""Published prices, for tests that write them to Redis or hand them to a reader themselves."""

from typing import Any

from arbees_feed.core.wire import MarketPrice


def price(market: str = "M", seq: int = 1, **more: Any) -> MarketPrice:
    """Return a live price of Kalshi; *more* replaces its fields."""
    fields = {
        "platform": "kalshi",
        "yes_bid": 0.4,
        "yes_ask": 0.45,
        "yes_bid_size": 10.0,
        "yes_ask_size": 20.0,
        "last_price": None,
        "status": "live",
        "source": "book",
        "session": 1,
        "ts_event_ns": 0,
        "ts_recv_ns": 0,
        "ts_pub_ns": 1_000_000,
        **more,
    }
    return MarketPrice(market_id=market, seq=seq, **fields)
