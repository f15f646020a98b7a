"""The texts of Polymarket's other WebSocket messages. Pure: a market in, JSON out."""

import json

from arbees_feed.sim.money import (
    PRICE_SCALE,
    minimal_price,
    minimal_size,
)
from arbees_feed.sim.shared import rfc3339
from arbees_feed.sim.world import Change, Group, Market, Side, Trade

compact = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
TAKER_FEE_BPS = "1000"
Pair = tuple[str, str]


def best_prices(market: Market) -> tuple[Pair, Pair]:
    """Return (best bid, best ask) of the YES and of the NO token; an empty side is 0 or 1."""
    bid, ask = market.best_bid(), market.best_ask()
    return (
        (minimal_price(bid), minimal_price(ask)),
        (minimal_price(PRICE_SCALE - ask), minimal_price(PRICE_SCALE - bid)),
    )


def price_change(group: Group, change: Change, hashes: Pair, best: tuple[Pair, Pair]) -> str:
    """Return one level's new size, told for both tokens."""
    market = group.market
    size = minimal_size(change.after)
    buys = change.side == "bid"
    yes = _entry(market.id, change.price, size, "BUY" if buys else "SELL", hashes[0], best[0])
    no_price = PRICE_SCALE - change.price
    no = _entry(market.other_id, no_price, size, "SELL" if buys else "BUY", hashes[1], best[1])
    # The order of the two is not fixed on the wire.
    entries = f"{yes},{no}" if change.after & 1 or change.price % 200 else f"{no},{yes}"
    return (
        f'{{"market":"{market.condition_id}","price_changes":[{entries}],'
        f'"timestamp":"{group.ts_ms}","event_type":"price_change"}}'
    )


def _entry(token: str, price: int, size: str, side: str, digest: str, best: Pair) -> str:
    return (
        f'{{"asset_id":"{token}","price":"{minimal_price(price)}","size":"{size}",'
        f'"side":"{side}","hash":"{digest}","best_bid":"{best[0]}","best_ask":"{best[1]}"}}'
    )


def last_trade_price(market: Market, trade: Trade, ts_ms: int) -> str:
    """Return a match in the terms of the token that traded."""
    token, price = market.id, trade.price
    buying: Side = "bid"
    if trade.on_no_token:
        token, price, buying = market.other_id, PRICE_SCALE - trade.price, "ask"
    return (
        f'{{"market":"{market.condition_id}","asset_id":"{token}",'
        f'"price":"{minimal_price(price)}","size":"{minimal_size(trade.size)}",'
        f'"fee_rate_bps":"0","side":"{"BUY" if trade.taker == buying else "SELL"}",'
        f'"timestamp":"{ts_ms}","event_type":"last_trade_price",'
        f'"transaction_hash":"{trade.transaction_hash}"}}'
    )


def best_bid_ask(market: Market, token: str) -> str:
    """Return the top of a token's book; an empty side is an empty text."""
    bid, ask = market.best_bid(), market.best_ask()
    if token != market.id:
        bid, ask = PRICE_SCALE - ask, PRICE_SCALE - bid
    both = bid > 0 and ask < PRICE_SCALE
    return compact(
        {
            "market": market.condition_id,
            "asset_id": token,
            "best_bid": minimal_price(bid) if bid else "",
            "best_ask": minimal_price(ask) if ask < PRICE_SCALE else "",
            "spread": minimal_price(ask - bid) if both else "",
            "timestamp": str(market.ts_ms),
            "event_type": "best_bid_ask",
        }
    )


def tick_size_change(market: Market, token: str, old: str, ts_ms: int) -> str:
    """Return the change of a token's tick."""
    return compact(
        {
            "market": market.condition_id,
            "asset_id": token,
            "old_tick_size": old,
            "new_tick_size": market.grid.tick_text,
            "timestamp": str(ts_ms),
            "event_type": "tick_size_change",
        }
    )


def new_market(market: Market, ts_ms: int) -> str:
    """Return the announcement of a market."""
    event = market.event
    tokens = [market.id, market.other_id]
    return compact(
        {
            "id": str(market.number),
            "question": market.title,
            "market": market.condition_id,
            "slug": market.slug,
            "description": description(market),
            "assets_ids": tokens,
            "outcomes": list(market.outcomes),
            "event_message": {
                "id": event.id,
                "ticker": event.slug,
                "slug": event.slug,
                "title": event.title,
                "description": event.sub_title,
            },
            "timestamp": str(ts_ms),
            "event_type": "new_market",
            "tags": list(event.tags),
            "condition_id": market.condition_id,
            "active": True,
            "clob_token_ids": tokens,
            "sports_market_type": "moneyline" if event.is_game else "",
            "line": "",
            "game_start_time": game_start(market) or "",
            "order_price_min_tick_size": market.grid.tick_text,
            "group_item_title": "",
            "taker_base_fee": TAKER_FEE_BPS,
            "fees_enabled": True,
            "fee_schedule": {
                "exponent": "1",
                "rate": "0.05",
                "taker_only": True,
                "rebate_rate": "0.15",
            },
        }
    )


def market_resolved(market: Market, ts_ms: int) -> str:
    """Return the announcement of an outcome."""
    won = 0 if market.result == "yes" else 1
    return compact(
        {
            "id": str(market.number),
            "market": market.condition_id,
            "assets_ids": [market.id, market.other_id],
            "winning_asset_id": (market.id, market.other_id)[won],
            "winning_outcome": market.outcomes[won],
            "event_message": None,
            "timestamp": str(ts_ms),
            "event_type": "market_resolved",
            "tags": list(market.event.tags),
        }
    )


def description(market: Market) -> str:
    """Return the rules of a market."""
    return (
        market.rules
        or f"This market resolves to '{market.outcomes[0]}' if the answer is yes: {market.title}"
    )


def game_start(market: Market) -> str | None:
    """Return when a game begins, in the odd format of that field; None for other events."""
    if not market.event.is_game:
        return None
    return rfc3339(market.event.start_ms).replace("T", " ").replace("Z", "+00")
