"""Kalshi's REST objects. Pure: markets and events in, JSON values out."""

from arbees_feed.sim.kalshi_frames import Json, rules, strike
from arbees_feed.sim.money import PRICE_SCALE, count, dollars
from arbees_feed.sim.shared import rfc3339
from arbees_feed.sim.world import Event, Market, Trade

WEEK_MS = 7 * 86_400_000


def market_json(market: Market, now_ms: int) -> Json:
    """Return a market as GET /markets/{ticker} does."""
    opened = min(market.open_ms, now_ms)
    return {
        "ticker": market.id,
        "event_ticker": market.event.id,
        "market_type": "binary",
        "title": market.title,
        "subtitle": market.outcomes[0],
        "yes_sub_title": market.outcomes[0],
        "no_sub_title": market.outcomes[0],
        "created_time": rfc3339(opened),
        "updated_time": rfc3339(market.updated_ms or opened),
        "open_time": rfc3339(market.open_ms),
        "close_time": rfc3339(market.ended_ms or market.close_ms),
        "expected_expiration_time": rfc3339(market.event.end_ms),
        "expiration_time": rfc3339(market.event.end_ms + WEEK_MS),
        "latest_expiration_time": rfc3339(market.event.end_ms + WEEK_MS),
        "settlement_timer_seconds": 60,
        "status": market.status,
        **_prices(market),
        **_figures(market),
        **_outcome(market),
        "notional_value_dollars": "1.0000",
        "can_close_early": True,
        "settlement_bounds_type": "default",
        "strike_type": "structured",
        **strike(market),
        "rules_primary": rules(market),
        "rules_secondary": "",
        "price_level_structure": market.grid.label,
        "price_ranges": market.grid.ranges(),
        "exchange_index": 0,
    }


def _prices(market: Market) -> Json:
    bid, bid_size, ask, ask_size = market.top()
    return {
        "yes_bid_dollars": dollars(bid),
        "yes_bid_size_fp": count(bid_size),
        "yes_ask_dollars": dollars(ask),
        "yes_ask_size_fp": count(ask_size),
        "no_bid_dollars": dollars(PRICE_SCALE - ask),
        "no_ask_dollars": dollars(PRICE_SCALE - bid),
        "last_price_dollars": dollars(market.last_trade or 0),
        "previous_yes_bid_dollars": dollars(bid),
        "previous_yes_ask_dollars": dollars(ask),
        "previous_price_dollars": dollars(market.previous or 0),
    }


def _figures(market: Market) -> Json:
    return {
        "volume_fp": count(market.volume),
        "volume_24h_fp": count(sum(trade.size for trade in market.trades)),
        "open_interest_fp": count(market.open_interest),
    }


def _outcome(market: Market) -> Json:
    outcome: Json = {"result": market.result, "expiration_value": ""}
    if market.result:
        value = "1.0000" if market.result == "yes" else "0.0000"
        outcome["settlement_value_dollars"] = value
    if market.status == "finalized":
        outcome["settlement_ts"] = rfc3339(market.ended_ms)
    return outcome


def event_json(event: Event) -> Json:
    """Return an event without its markets."""
    return {
        "event_ticker": event.id,
        "series_ticker": event.series,
        "title": event.title,
        "sub_title": event.sub_title,
        "collateral_return_type": "MECNET" if event.exclusive else "",
        "mutually_exclusive": event.exclusive,
        "category": event.category,
        "strike_date": rfc3339(event.start_ms),
        "strike_period": "",
        "product_metadata": None,
        "settlement_sources": [{"name": "Simulation", "url": "https://example.com"}],
        "last_updated_ts": "0001-01-01T00:00:00Z",
        "fee_type_override": event.fee_type,
        "fee_multiplier_override": event.fee_multiplier,
        "exchange_index": 0,
    }


def series_json(event: Event) -> Json:
    """Return the series that an event belongs to."""
    return {
        "ticker": event.series,
        "frequency": "custom",
        "title": event.series_title,
        "category": event.category,
        "categories": [event.category],
        "tags": list(event.tags),
        "settlement_sources": [{"name": "Simulation", "url": "https://example.com"}],
        "contract_url": "https://example.com/contract.pdf",
        "contract_terms_url": "https://example.com/terms.pdf",
        "product_metadata": None,
        "fee_type": "quadratic",
        "fee_multiplier": 1,
        "additional_prohibitions": [],
        "exchange_index": 0,
    }


def orderbook_json(market: Market, depth: int) -> Json:
    """Return both sides of the book, best last; *depth* 0 means all."""
    yes = [[dollars(p), count(market.yes_bids[p])] for p in sorted(market.yes_bids)]
    no = [
        [dollars(PRICE_SCALE - p), count(market.yes_asks[p])]
        for p in sorted(market.yes_asks, reverse=True)
    ]
    return {"yes_dollars": yes[-depth:], "no_dollars": no[-depth:]}


def trade_json(market: Market, trade: Trade) -> Json:
    """Return a match as GET /markets/trades does."""
    outcome, book_side = ("yes", "bid") if trade.taker == "bid" else ("no", "ask")
    return {
        "trade_id": trade.trade_id,
        "ticker": market.id,
        "count_fp": count(trade.size),
        "yes_price_dollars": dollars(trade.price),
        "no_price_dollars": dollars(PRICE_SCALE - trade.price),
        "taker_side": outcome,
        "taker_outcome_side": outcome,
        "taker_book_side": book_side,
        "created_time": rfc3339(trade.ts_ms),
        "is_block_trade": False,
    }


def candles_json(market: Market, start_s: int, end_s: int, period_s: int) -> list[Json]:
    """Return candles of the recent trades; the quotes in them are the present ones."""
    bid, _, ask, _ = market.top()
    trades: dict[int, list[Trade]] = {}
    for trade in market.trades:
        trades.setdefault(-(-(trade.ts_ms // 1000) // period_s) * period_s, []).append(trade)
    first = -(-start_s // period_s) * period_s
    previous: int | None = None
    candles = []
    for end in range(max(first, period_s), end_s + 1, period_s):
        inside = trades.get(end, [])
        candles.append(_candle(end, inside, previous, (bid, ask, market.open_interest)))
        previous = inside[-1].price if inside else previous
    return candles


def _candle(
    end_s: int, trades: list[Trade], previous: int | None, now: tuple[int, int, int]
) -> Json:
    bid, ask, open_interest = now
    prices = [trade.price for trade in trades]
    price: Json = dict.fromkeys(
        ("open_dollars", "low_dollars", "high_dollars", "close_dollars", "mean_dollars",
         "min_dollars", "max_dollars")
    )  # fmt: skip
    if prices:
        price = _ohlc(prices[0], min(prices), max(prices), prices[-1])
        price["mean_dollars"] = dollars(sum(prices) // len(prices))
        price["min_dollars"], price["max_dollars"] = dollars(min(prices)), dollars(max(prices))
    price["previous_dollars"] = None if previous is None else dollars(previous)
    return {
        "end_period_ts": end_s,
        "yes_bid": _ohlc(bid, bid, bid, bid),
        "yes_ask": _ohlc(ask, ask, ask, ask),
        "price": price,
        "volume_fp": count(sum(trade.size for trade in trades)),
        "open_interest_fp": count(open_interest),
    }


def _ohlc(first: int, low: int, high: int, last: int) -> Json:
    return {
        "open_dollars": dollars(first),
        "low_dollars": dollars(low),
        "high_dollars": dollars(high),
        "close_dollars": dollars(last),
    }
