"""The texts of Kalshi's WebSocket messages. Pure: a market in, JSON out.

Messages that a fast market repeats are written with format strings; the rest with `json`.
"""

import json
from functools import lru_cache
from typing import Any

from arbees_feed.sim.money import PRICE_SCALE, SIZE_SCALE, count, dollars
from arbees_feed.sim.shared import rfc3339
from arbees_feed.sim.world import Change, Event, Group, Market, Trade

Json = dict[str, Any]
compact = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode

_instant = lru_cache(maxsize=16)(rfc3339)


def no_price(yes_price: int, *, use_yes_price: bool) -> str:
    """Return the price of a NO bid: on the NO leg's scale, or on the YES scale."""
    return dollars(yes_price if use_yes_price else PRICE_SCALE - yes_price)


def snapshot_body(market: Market, *, use_yes_price: bool) -> str:
    """Return the whole book; an empty side is an absent key."""
    body: Json = {"market_ticker": market.id, "market_id": market.other_id}
    if market.yes_bids:
        body["yes_dollars_fp"] = [
            [dollars(price), count(market.yes_bids[price])] for price in sorted(market.yes_bids)
        ]
    if market.yes_asks:
        # Ascending on the NO leg's scale, which is descending on the YES scale.
        body["no_dollars_fp"] = [
            [no_price(price, use_yes_price=use_yes_price), count(market.yes_asks[price])]
            for price in sorted(market.yes_asks, reverse=True)
        ]
    return compact(body)


def delta_body(group: Group, change: Change, *, use_yes_price: bool) -> str:
    """Return one level's signed increment."""
    market = group.market
    if change.side == "bid":
        side, price = "yes", dollars(change.price)
    else:
        side, price = "no", no_price(change.price, use_yes_price=use_yes_price)
    return (
        f'{{"market_ticker":"{market.id}","market_id":"{market.other_id}",'
        f'"price_dollars":"{price}","delta_fp":"{count(change.after - change.before)}",'
        f'"side":"{side}","ts":"{_instant(group.ts_ms)}","ts_ms":{group.ts_ms}}}'
    )


def trade_body(market: Market, trade: Trade) -> str:
    """Return a match in the terms of the taker."""
    outcome, book_side = ("yes", "bid") if trade.taker == "bid" else ("no", "ask")
    return (
        f'{{"trade_id":"{trade.trade_id}","market_ticker":"{market.id}",'
        f'"yes_price_dollars":"{dollars(trade.price)}",'
        f'"no_price_dollars":"{dollars(PRICE_SCALE - trade.price)}",'
        f'"count_fp":"{count(trade.size)}","taker_side":"{outcome}",'
        f'"taker_outcome_side":"{outcome}","taker_book_side":"{book_side}",'
        f'"is_block_trade":false,"ts":{trade.ts_ms // 1000},"ts_ms":{trade.ts_ms}}}'
    )


def ticker_body(market: Market) -> str:
    """Return the top of the book and the day's figures."""
    bid, bid_size, ask, ask_size = market.top()
    last = market.last_trade or 0
    return (
        f'{{"market_ticker":"{market.id}","market_id":"{market.other_id}",'
        f'"price_dollars":"{dollars(last)}","yes_bid_dollars":"{dollars(bid)}",'
        f'"yes_ask_dollars":"{dollars(ask)}","yes_bid_size_fp":"{count(bid_size)}",'
        f'"yes_ask_size_fp":"{count(ask_size)}","last_trade_size_fp":"{count(market.last_size)}",'
        f'"volume_fp":"{count(market.volume)}",'
        f'"open_interest_fp":"{count(market.open_interest)}",'
        f'"dollar_volume":{market.volume // SIZE_SCALE // 2},'
        f'"dollar_open_interest":{market.open_interest // SIZE_SCALE // 2},'
        f'"ts":{market.ts_ms // 1000},"ts_ms":{market.ts_ms},"time":"{_instant(market.ts_ms)}"}}'
    )


def created_body(market: Market) -> str:
    """Return the lifecycle message of a new market."""
    return compact(
        {
            "event_type": "created",
            "market_ticker": market.id,
            "open_ts": market.open_ms // 1000,
            "close_ts": market.close_ms // 1000,
            "exchange_index": 0,
            "price_level_structure": market.grid.label,
            "price_ranges": market.grid.ranges(),
            "additional_metadata": {
                "name": market.outcomes[0],
                "title": market.title,
                "yes_sub_title": market.outcomes[0],
                "no_sub_title": market.outcomes[0],
                "rules_primary": rules(market),
                "rules_secondary": "",
                "can_close_early": True,
                "event_ticker": market.event.id,
                "expected_expiration_ts": market.event.end_ms // 1000,
                **strike(market),
            },
        }
    )


def event_body(event: Event) -> str:
    """Return the lifecycle message of a new event."""
    return compact(
        {
            "event_ticker": event.id,
            "exchange_index": 0,
            "title": event.title,
            "subtitle": event.sub_title,
            "collateral_return_type": "MECNET" if event.exclusive else "",
            "series_ticker": event.series,
        }
    )


def fees_body(event: Event) -> str:
    """Return the message of an event whose fees differ from its series', or do so no more."""
    return compact(
        {
            "event_ticker": event.id,
            "fee_type_override": event.fee_type,
            "fee_multiplier_override": event.fee_multiplier,
        }
    )


def lifecycle_body(market: Market, event_type: str, **extra: object) -> str:
    """Return any other lifecycle message."""
    return compact({"market_ticker": market.id, **extra, "event_type": event_type})


def strike(market: Market) -> Json:
    """Return what the figure that is asked for must be above; nothing if none is."""
    if market.floor_strike is None:
        return {}
    return {"strike_type": "greater", "floor_strike": market.floor_strike}


def rules(market: Market) -> str:
    """Return the rules."""
    return (
        market.rules
        or f"If the answer to '{market.title}' is yes, then the market resolves to Yes."
    )
