"""The hash that Polymarket puts on a book: SHA-1 of a compact JSON object.

Recipe as of December 2025 (py-clob-client pull request 232, and recomputed on 175,829 recorded
books): ten keys in a fixed order, bids ascending, asks descending, numbers in the venue's shortest
text, `last_trade_price` with three decimals and last. It proves a book right; a mismatch proves
little, because the trade price in it may run ahead of its own message (README.md).
"""

import hashlib
from collections.abc import Iterable, Sequence
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


class HashedLevels:
    """A book hashed up to its levels, so that a thousand guesses cost no more than a few books."""

    __slots__ = ("_begun",)

    def __init__(
        self,
        market: str,
        asset_id: str,
        timestamp_ms: str,
        bids: Sequence[Any],
        asks: Sequence[Any],
    ) -> None:
        """Hash levels in the venue's order: each a price and a size as text, by these names."""
        text = _encode(
            {
                "market": market,
                "asset_id": asset_id,
                "timestamp": timestamp_ms,
                "hash": "",
                "bids": bids,
                "asks": asks,
            }
        )
        self._begun = hashlib.sha1(text[:-1], usedforsecurity=False)

    @classmethod
    def of_book(
        cls, book: OrderBook, market: str, asset_id: str, timestamp_ms: str
    ) -> "HashedLevels":
        """Hash the levels of a book of ours."""
        bids, asks = book.bids, book.asks
        return cls(
            market,
            asset_id,
            timestamp_ms,
            [_level(key, bids.sizes[key]) for key in bids.keys],
            # Ascending keys of the ask ladder are descending ask prices.
            [_level(ONE_DOLLAR - key, asks.sizes[key]) for key in asks.keys],
        )

    def trade_price(self, told: str, facts: HashFacts, candidates: Iterable[str]) -> str | None:
        """Return the first last trade price with which the book has the hash *told*, or None."""
        begun = self._with(facts)
        return next((price for price in candidates if _finish(begun, price) == told), None)

    def finish(self, facts: HashFacts, last_trade_price: str) -> str:
        """Return the hash."""
        return _finish(self._with(facts), last_trade_price)

    def _with(self, facts: HashFacts) -> Any:
        begun = self._begun.copy()
        begun.update(
            b',"min_order_size":%b,"tick_size":%b,"neg_risk":%b,"last_trade_price":'
            % (
                _encode(facts.min_order_size),
                _encode(facts.tick_size),
                b"true" if facts.neg_risk else b"false",
            )
        )
        return begun


def book_hash(
    book: OrderBook, facts: HashFacts, timestamp_ms: str, last_trade_price: str = ""
) -> str:
    """Return the hash that the venue gives a book in this state at this time."""
    return _levels(book, facts, timestamp_ms).finish(facts, last_trade_price)


def hashed_trade_price(
    book: OrderBook, facts: HashFacts, timestamp_ms: str, told: str, candidates: Iterable[str]
) -> str | None:
    """Return the first last trade price with which the book has the hash *told*, or None."""
    return _levels(book, facts, timestamp_ms).trade_price(told, facts, candidates)


def _levels(book: OrderBook, facts: HashFacts, timestamp_ms: str) -> HashedLevels:
    return HashedLevels.of_book(book, facts.market, facts.asset_id, timestamp_ms)


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
