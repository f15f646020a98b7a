"""CLOB, Polymarket's order books over REST."""

import json
from collections.abc import Callable
from typing import Any

from aiohttp import web

from arbees_feed.sim.config import POLYMARKET
from arbees_feed.sim.money import PRICE_SCALE, minimal_price
from arbees_feed.sim.polymarket_books import BookTexts
from arbees_feed.sim.polymarket_feed import PolymarketFeed
from arbees_feed.sim.rest import Handler, Json, error, number
from arbees_feed.sim.shared import Shared
from arbees_feed.sim.world import Market

MAX_BOOKS = 500
NO_BOOK = "No orderbook exists for the requested token id"
INTERVALS_S = {
    "1h": 3600,
    "6h": 21_600,
    "1d": 86_400,
    "1w": 604_800,
    "1m": 2_592_000,  # one month
    "max": 2**40,
    "all": 2**40,
}


class ClobRest:
    """The handlers of clob.polymarket.com."""

    def __init__(self, shared: Shared, feed: PolymarketFeed) -> None:
        self._shared = shared
        self._feed = feed

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        paths: dict[str, Callable[[web.Request], Any]] = {
            "/ok": lambda _: "OK",
            "/time": lambda _: self._shared.venue_ms(POLYMARKET) // 1000,
            "/midpoint": self._midpoint,
            "/spread": self._spread,
            "/price": self._price,
            "/last-trade-price": self._last_trade_price,
            "/tick-size": self._tick_size,
            "/neg-risk": self._neg_risk,
            "/prices-history": self._history,
            "/markets-by-token/{token}": self._by_token,
        }
        return [
            *(web.get(path, self._json(act)) for path, act in paths.items()),
            web.get("/book", self._book),
            web.post("/books", self._books),
            web.post("/midpoints", self._each(lambda bid, ask: minimal_price((bid + ask) // 2))),
            web.post("/spreads", self._each(lambda bid, ask: minimal_price(ask - bid))),
            web.post("/prices", self._each(_both_prices)),
        ]

    def _json(self, act: Callable[[web.Request], Any]) -> Handler:
        async def handle(request: web.Request) -> web.Response:
            self._shared.counters["polymarket_rest_requests"] += 1
            return web.json_response(act(request))

        return handle

    async def _book(self, request: web.Request) -> web.Response:
        self._shared.counters["polymarket_rest_requests"] += 1
        market, token = self._wanted(request)
        return _json_text(self._book_text(market, token))

    async def _books(self, request: web.Request) -> web.Response:
        self._shared.counters["polymarket_rest_requests"] += 1
        tokens = await _token_list(request)
        found = [(m, t) for t in tokens if (m := self._feed.market_of(t)) is not None and m.is_open]
        return _json_text(f"[{','.join(self._book_text(market, t) for market, t in found)}]")

    def _each(self, tell: Callable[[int, int], Any]) -> Handler:
        """Answer with a map from token to what *tell* makes of its top."""

        async def handle(request: web.Request) -> web.Response:
            self._shared.counters["polymarket_rest_requests"] += 1
            tokens = await _token_list(request)
            tops = {t: _top(m, t) for t in tokens if (m := self._feed.market_of(t)) and m.is_open}
            return web.json_response({token: tell(*top) for token, top in tops.items()})

        return handle

    def _book_text(self, market: Market, token: str) -> str:
        seen = self._shared.past[POLYMARKET].view(market)
        texts = self._feed.texts(market) if seen is market else BookTexts(seen)
        return texts.full(token, texts.hash(token))

    def _wanted(self, request: web.Request) -> tuple[Market, str]:
        """Return the market of `token_id`; 400 for no id at all, 404 for no book."""
        token = request.query.get("token_id", "")
        if not token.isdecimal():
            raise error(400, {"error": "Invalid token id"})
        market = self._feed.market_of(token)
        if market is None or not market.is_open:
            raise error(404, {"error": NO_BOOK})
        return market, token

    def _midpoint(self, request: web.Request) -> Json:
        bid, ask = _top(*self._wanted(request))
        return {"mid": minimal_price((bid + ask) // 2)}

    def _spread(self, request: web.Request) -> Json:
        bid, ask = _top(*self._wanted(request))
        return {"spread": minimal_price(ask - bid)}

    def _price(self, request: web.Request) -> Json:
        bid, ask = _top(*self._wanted(request))
        side = request.query.get("side", "").upper()
        if side not in ("BUY", "SELL"):
            raise error(400, {"error": "Invalid side"})
        return {"price": minimal_price(bid if side == "BUY" else ask)}

    def _last_trade_price(self, request: web.Request) -> Json:
        market, token = self._wanted(request)
        if market.last_trade is None:
            return {"price": "0.5", "side": ""}
        price, buys = market.last_trade, market.last_taker == "bid"
        if token != market.id:
            price, buys = PRICE_SCALE - price, not buys
        return {"price": minimal_price(price), "side": "BUY" if buys else "SELL"}

    def _tick_size(self, request: web.Request) -> Json:
        market, _ = self._wanted(request)
        return {"minimum_tick_size": market.grid.tick / PRICE_SCALE}

    def _neg_risk(self, request: web.Request) -> Json:
        market, _ = self._wanted(request)
        return {"neg_risk": market.neg_risk}

    def _history(self, request: web.Request) -> Json:
        market = self._feed.market_of(request.query.get("market", ""))
        if market is None:
            raise error(404, {"error": NO_BOOK})
        now_s = self._shared.clock_ms() // 1000
        span_s = INTERVALS_S.get(request.query.get("interval", "max"), 0)
        start_s = number(request, "startTs", max(now_s - span_s, 0))
        end_s = number(request, "endTs", now_s)
        own = request.query["market"] == market.id
        history = [
            {
                "t": trade.ts_ms // 1000,
                "p": (trade.price if own else PRICE_SCALE - trade.price) / PRICE_SCALE,
            }
            for trade in market.trades
            if start_s <= trade.ts_ms // 1000 <= end_s
        ]
        return {"history": history}

    def _by_token(self, request: web.Request) -> Json:
        market = self._feed.market_of(request.match_info["token"])
        if market is None:
            raise error(404, {"error": "market not found"})
        return {
            "condition_id": market.condition_id,
            "primary_token_id": market.id,
            "secondary_token_id": market.other_id,
        }


def _top(market: Market, token: str) -> tuple[int, int]:
    bid, ask = market.best_bid(), market.best_ask()
    return (bid, ask) if token == market.id else (PRICE_SCALE - ask, PRICE_SCALE - bid)


def _both_prices(bid: int, ask: int) -> Json:
    return {"BUY": minimal_price(bid), "SELL": minimal_price(ask)}


def _json_text(text: str) -> web.Response:
    return web.Response(text=text, content_type="application/json")


async def _token_list(request: web.Request) -> list[str]:
    try:
        body = await request.json()
    except json.JSONDecodeError:
        raise error(400, {"error": "Invalid payload"}) from None
    if not isinstance(body, list) or not all(isinstance(item, dict) for item in body):
        raise error(400, {"error": "Invalid payload"})
    if len(body) > MAX_BOOKS:
        raise error(400, {"error": "Payload exceeds the limit"})
    return [str(item.get("token_id", "")) for item in body]
