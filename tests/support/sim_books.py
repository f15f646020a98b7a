"""Books that a naive client has folded, beside the simulation's truth."""

import json
from decimal import Decimal

from arbees_feed.sim.money import PRICE_SCALE, SIZE_SCALE
from arbees_feed.sim.polymarket_books import book_hash


def truth(market, token):
    """Return the true book of a token in decimals."""
    bids, asks = market.yes_bids, market.yes_asks
    if token != market.id:
        bids, asks = ({PRICE_SCALE - p: s for p, s in levels.items()} for levels in (asks, bids))
    return {
        side: {Decimal(p) / PRICE_SCALE: Decimal(s) / SIZE_SCALE for p, s in levels.items()}
        for side, levels in (("bids", bids), ("asks", asks))
    }


def decimals(book):
    """Return a folded book in decimals."""
    return {
        side: {Decimal(p): Decimal(s) for p, s in levels.items()} for side, levels in book.items()
    }


def rehash(book, *, market, token, timestamp, last, tick=None):
    """Compute a book's hash from folded levels, independently of how the venue wrote it."""

    def side(name, *, falling):
        prices = sorted(book[name], key=Decimal, reverse=falling)
        return [{"price": p, "size": book[name][p]} for p in prices]

    body = {
        "market": market.condition_id,
        "asset_id": token,
        "timestamp": timestamp,
        "hash": "",
        "bids": side("bids", falling=False),
        "asks": side("asks", falling=True),
        "min_order_size": "5",
        "tick_size": tick or market.grid.tick_text,
        "neg_risk": market.neg_risk,
        "last_trade_price": last,
    }
    return book_hash(json.dumps(body, separators=(",", ":")))


def kalshi_truth(market):
    """Return the true book of a Kalshi market as its messages tell it: YES bids and NO bids."""
    no_bids = {PRICE_SCALE - price: size for price, size in market.yes_asks.items()}
    return {
        side: {Decimal(p) / PRICE_SCALE: Decimal(s) / SIZE_SCALE for p, s in levels.items()}
        for side, levels in (("yes", market.yes_bids), ("no", no_bids))
    }
