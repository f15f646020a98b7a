"""Polymarket's Data API: settled trades."""

from aiohttp import web

from arbees_feed.sim.config import POLYMARKET
from arbees_feed.sim.money import PRICE_SCALE, SIZE_SCALE
from arbees_feed.sim.rest import Json, error, number, page
from arbees_feed.sim.shared import Shared
from arbees_feed.sim.world import Market, Trade

MAX_TRADES = 1000


class DataRest:
    """The handlers of data-api.polymarket.com."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [web.get("/v2/trades", self._trades)]

    async def _trades(self, request: web.Request) -> web.Response:
        """Answer with trades, newest first; times filter nothing without a user."""
        self._shared.counters["polymarket_rest_requests"] += 1
        wanted = request.query.getall("condition_id", [])
        limit = number(request, "limit", 100, low=1)
        if limit > MAX_TRADES:
            raise error(400, {"error": f"limit must be <= {MAX_TRADES}"})
        trades = [
            (trade, market)
            for market in self._shared.world.markets(POLYMARKET)
            if not wanted or market.condition_id in wanted
            for trade in market.trades
        ]
        trades.sort(key=lambda pair: -pair[0].ts_ms)
        found, cursor = page(trades, request.query.get("cursor", ""), limit)
        turning = {"limit": limit, "has_more": bool(cursor), "next_cursor": cursor or None}
        rows = [_trade_json(market, trade) for trade, market in found]
        return web.json_response({"data": rows, "pagination": turning})


def _trade_json(market: Market, trade: Trade) -> Json:
    """Return a fill in the terms of the token that was traded."""
    token, index, price, buys = market.id, 0, trade.price, trade.taker == "bid"
    if trade.on_no_token:
        token, index, price, buys = market.other_id, 1, PRICE_SCALE - price, not buys
    return {
        "proxy_wallet": "0x" + "0" * 40,
        "token_id": token,
        "condition_id": market.condition_id,
        "side": "BUY" if buys else "SELL",
        "size": trade.size / SIZE_SCALE,
        "price": price / PRICE_SCALE,
        "timestamp": trade.ts_ms // 1000,
        "transaction_hash": trade.transaction_hash,
        "title": market.title,
        "slug": market.slug,
        "event_slug": market.event.slug,
        "outcome": market.outcomes[index],
        "outcome_index": index,
    }
