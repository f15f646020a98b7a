"""The hash that Polymarket puts on a book: SHA-1 of a compact JSON object.

Recipe as of December 2025 (py-clob-client pull request 232, and recomputed on 175,829 recorded
books): these ten keys in this order, bids ascending, asks descending, numbers in the venue's
shortest text, `last_trade_price` with three decimals. It proves a book right; a mismatch proves
little, because the trade price in it may run ahead of its own message (README.md).
"""

import hashlib

import msgspec

from arbees_feed.core.book import OrderBook
from arbees_feed.core.model import ONE_DOLLAR
from arbees_feed.core.money import decimal_text

_PRICE_DECIMALS = 4
_SIZE_DECIMALS = 6
_encode = msgspec.json.Encoder().encode


class HashFacts(msgspec.Struct, frozen=True):
    """What the hash covers beside the levels; constant or slow to change."""

    market: str
    asset_id: str
    tick_size: str
    last_trade_price: str = ""
    min_order_size: str = "5"
    neg_risk: bool = False


def book_hash(book: OrderBook, facts: HashFacts, timestamp_ms: str) -> str:
    """Return the hash that the venue gives a book in this state at this time."""
    bids = book.bids
    asks = book.asks
    text = _encode(
        {
            "market": facts.market,
            "asset_id": facts.asset_id,
            "timestamp": timestamp_ms,
            "hash": "",
            "bids": [_level(key, bids.sizes[key]) for key in bids.keys],
            # Ascending keys of the ask ladder are descending ask prices.
            "asks": [_level(ONE_DOLLAR - key, asks.sizes[key]) for key in asks.keys],
            "min_order_size": facts.min_order_size,
            "tick_size": facts.tick_size,
            "neg_risk": facts.neg_risk,
            "last_trade_price": facts.last_trade_price,
        }
    )
    return hashlib.sha1(text, usedforsecurity=False).hexdigest()


def _level(ticks: int, size: int) -> dict[str, str]:
    return {
        "price": decimal_text(ticks, _PRICE_DECIMALS),
        "size": decimal_text(size, _SIZE_DECIMALS),
    }
