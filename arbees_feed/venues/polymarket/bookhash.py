"""The hash that Polymarket puts on a book: SHA-1 of a compact JSON object.

Recipe as of December 2025 (py-clob-client pull request 232, and recomputed on 175,829 recorded
books): ten keys in a fixed order, bids ascending, asks descending, numbers in the venue's shortest
text, `last_trade_price` with three decimals and last. It proves a book right; a mismatch proves
little, because the trade price in it may run ahead of its own message (README.md).
"""

import hashlib
from collections.abc import Iterable
from typing import Any

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
    min_order_size: str = "5"
    neg_risk: bool = False


def book_hash(
    book: OrderBook, facts: HashFacts, timestamp_ms: str, last_trade_price: str = ""
) -> str:
    """Return the hash that the venue gives a book in this state at this time."""
    return _finish(_begin(book, facts, timestamp_ms), last_trade_price)


def hashed_trade_price(
    book: OrderBook, facts: HashFacts, timestamp_ms: str, told: str, candidates: Iterable[str]
) -> str | None:
    """Return the first last trade price with which the book has the hash *told*, or None.

    The levels are hashed once, so that a thousand candidates cost no more than a few books.
    """
    begun = _begin(book, facts, timestamp_ms)
    return next((price for price in candidates if _finish(begun, price) == told), None)


def _begin(book: OrderBook, facts: HashFacts, timestamp_ms: str) -> Any:
    bids, asks = book.bids, book.asks
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
        }
    )
    return hashlib.sha1(text[:-1] + b',"last_trade_price":', usedforsecurity=False)


def _finish(begun: Any, last_trade_price: str) -> str:
    whole = begun.copy()
    whole.update(b'"%b"}' % last_trade_price.encode())
    digest: str = whole.hexdigest()
    return digest


def _level(ticks: int, size: int) -> dict[str, str]:
    return {
        "price": decimal_text(ticks, _PRICE_DECIMALS),
        "size": decimal_text(size, _SIZE_DECIMALS),
    }
