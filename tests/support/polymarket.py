"""Small Polymarket frames, in the shape of recorded ones."""

from typing import Any

import msgspec

Frame = dict[str, Any]
MARKET = "0x" + "a1".rjust(64, "0")
YES = "10000000000000000000000000000000000000000000000000000000000000000000000000011"
NO = "10000000000000000000000000000000000000000000000000000000000000000000000000012"
T0_MS = 1_791_199_970_000


def encoded(frame: Frame | list[Frame]) -> bytes:
    """Return the frame as the venue sends it."""
    return msgspec.json.encode(frame)


def levels(side: dict[str, str]) -> list[Frame]:
    return [{"price": price, "size": size} for price, size in side.items()]


def book(
    bids: dict[str, str], asks: dict[str, str], *, token: str = YES, ts_ms: int = T0_MS
) -> Frame:
    """A whole book; write the best level last, as the venue does."""
    return {
        "market": MARKET,
        "asset_id": token,
        "timestamp": str(ts_ms),
        "hash": "b17e93a1f6202e13d8e0dd3aeb958b4a882dca3c",
        "bids": levels(bids),
        "asks": levels(asks),
        "tick_size": "0.01",
        "event_type": "book",
        "last_trade_price": "0.500",
    }


def entry(
    side: str,
    price: str,
    size: str,
    best_bid: str | None = None,
    best_ask: str | None = None,
    token: str = YES,
) -> Frame:
    facts: Frame = {"asset_id": token, "price": price, "size": size, "side": side, "hash": "47b4"}
    told = {"best_bid": best_bid, "best_ask": best_ask}
    return facts | {key: value for key, value in told.items() if value is not None}


def price_change(*entries: Frame, ts_ms: int = T0_MS + 250) -> Frame:
    return {
        "market": MARKET,
        "price_changes": list(entries),
        "timestamp": str(ts_ms),
        "event_type": "price_change",
    }


def last_trade_price(token: str = YES, ts_ms: int = T0_MS + 488, **changes: Any) -> Frame:
    facts = {
        "event_type": "last_trade_price",
        "market": MARKET,
        "asset_id": token,
        "price": "0.52",
        "size": "20",
        "side": "BUY",
        "fee_rate_bps": "0",
        "timestamp": str(ts_ms),
        "transaction_hash": "0x9f",
    }
    return facts | changes


def market_resolved(*tokens: str, ts_ms: int = T0_MS + 9_000) -> Frame:
    return {
        "event_type": "market_resolved",
        "id": "1031769",
        "market": MARKET,
        "assets_ids": list(tokens),
        "winning_asset_id": YES,
        "winning_outcome": "Yes",
        "event_message": None,
        "timestamp": str(ts_ms),
    }


def new_market(**changes: Any) -> Frame:
    facts = {
        "event_type": "new_market",
        "id": "1031769",
        "question": "Will X happen?",
        "market": MARKET,
        "slug": "will-x-happen",
        "assets_ids": [YES, NO],
        "outcomes": ["Yes", "No"],
        "event_message": None,
        "timestamp": str(T0_MS),
        "condition_id": MARKET,
        "clob_token_ids": [YES, NO],
    }
    return facts | changes
