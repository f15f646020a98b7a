"""Kalshi's REST interface."""

import json
from collections.abc import Callable, Sequence

from aiohttp import web

from arbees_feed.sim.config import KALSHI
from arbees_feed.sim.credentials import KEY_HEADER, Refusal
from arbees_feed.sim.kalshi_json import (
    candles_json,
    event_json,
    market_json,
    orderbook_json,
    series_json,
    trade_json,
)
from arbees_feed.sim.orders import OrderDesk
from arbees_feed.sim.rest import (
    Handler,
    Json,
    bad_request,
    error,
    flag,
    listed,
    number,
    page,
    several,
)
from arbees_feed.sim.shared import Shared
from arbees_feed.sim.world import Event, Market

# The words of the `status` filter are not those of the `status` field.
STATUS_FILTERS: dict[str, tuple[str, ...]] = {
    "unopened": ("initialized",),
    "open": ("active",),
    "paused": ("inactive",),
    "closed": ("closed", "determined"),
    "settled": ("finalized",),
}
MAX_BOOKS = 100
MAX_CANDLES = 10_000
PERIODS = (1, 60, 1440)


class KalshiRest:
    """The handlers under /trade-api/v2."""

    def __init__(self, shared: Shared, desk: OrderDesk) -> None:
        self._shared = shared
        self._desk = desk

    def routes(self, prefix: str) -> list[web.RouteDef]:
        """Return the routes."""
        public: dict[str, Callable[[web.Request], object]] = {
            "/exchange/status": self._status,
            "/markets": self._markets,
            "/markets/trades": self._trades,
            "/markets/orderbooks": self._orderbooks,
            "/markets/{ticker}": self._market,
            "/markets/{ticker}/orderbook": self._orderbook,
            "/events": self._events,
            "/events/{event}": self._event,
            "/series": self._all_series,
            "/series/{series}": self._one_series,
            "/series/{series}/markets/{ticker}/candlesticks": self._candles,
        }
        signed: dict[str, Callable[[web.Request], object]] = {
            "/account/limits": self._limits,
            "/portfolio/orders": self._orders,
        }
        orders = f"{prefix}/portfolio/events/orders"
        return [
            *(web.get(prefix + path, self._public(act)) for path, act in public.items()),
            *(web.get(prefix + path, self._signed(act)) for path, act in signed.items()),
            web.post(orders, self._place_order),
            web.delete(f"{orders}/{{order_id}}", self._cancel_order),
        ]

    def _public(self, act: Callable[[web.Request], object]) -> Handler:
        """Answer with JSON. A signature is not needed, but a wrong one is refused."""

        async def handle(request: web.Request) -> web.Response:
            if KEY_HEADER in request.headers:
                self._authenticated(request)
            self._shared.counters["kalshi_rest_requests"] += 1
            return web.json_response(act(request))

        return handle

    def _signed(self, act: Callable[[web.Request], object]) -> Handler:
        async def handle(request: web.Request) -> web.Response:
            self._authenticated(request)
            self._shared.counters["kalshi_rest_requests"] += 1
            return web.json_response(act(request))

        return handle

    def _authenticated(self, request: web.Request) -> str:
        try:
            return self._shared.keyring.check(
                request.method, request.rel_url.raw_path, request.headers
            )
        except Refusal as exc:
            raise error(401, {"code": exc.code, "message": str(exc)}) from exc

    def _status(self, _: web.Request) -> Json:
        active = {
            "exchange_active": True,
            "trading_active": True,
            "intra_exchange_transfers_active": True,
        }
        shard = {"exchange_index": 0, "description": "default", **active}
        return {**active, "exchange_index_statuses": [shard]}

    def _markets(self, request: web.Request) -> Json:
        limit = number(request, "limit", 100, low=1, high=1000)
        chosen = [market for market in self._all_markets() if _selects(request, market)]
        found, cursor = page(chosen, request.query.get("cursor", ""), limit)
        now_ms = self._shared.clock_ms()
        seen = [self._seen(request, market) for market in found]
        return {"markets": [market_json(market, now_ms) for market in seen], "cursor": cursor}

    def _market(self, request: web.Request) -> Json:
        seen = self._seen(request, self._named(request))
        return {"market": market_json(seen, self._shared.clock_ms())}

    def _orderbook(self, request: web.Request) -> Json:
        depth = number(request, "depth", 0, high=100)
        return {"orderbook_fp": orderbook_json(self._seen(request, self._named(request)), depth)}

    def _orderbooks(self, request: web.Request) -> Json:
        tickers = several(request, "tickers")
        if not 1 <= len(tickers) <= MAX_BOOKS:
            raise bad_request("tickers: 1 to 100")
        markets = [m for ticker in tickers if (m := self._find(ticker)) is not None]
        seen = (self._seen(request, market) for market in markets)
        books = [{"ticker": m.id, "orderbook_fp": orderbook_json(m, 0)} for m in seen]
        return {"orderbooks": books}

    def _trades(self, request: web.Request) -> Json:
        limit = number(request, "limit", 100, low=1, high=1000)
        low = number(request, "min_ts", 0) * 1000
        high = number(request, "max_ts", 2**40) * 1000
        ticker = request.query.get("ticker")
        trades = [
            (trade, market)
            for market in self._all_markets()
            if ticker in (None, "", market.id)
            for trade in market.trades
            if low <= trade.ts_ms <= high
        ]
        trades.sort(key=lambda pair: -pair[0].ts_ms)
        found, cursor = page(trades, request.query.get("cursor", ""), limit)
        return {"trades": [trade_json(market, trade) for trade, market in found], "cursor": cursor}

    def _events(self, request: web.Request) -> Json:
        limit = number(request, "limit", 200, low=1, high=200)
        chosen = [event for event in self._all_events() if _selects_event(request, event)]
        found, cursor = page(chosen, request.query.get("cursor", ""), limit)
        nested = flag(request, "with_nested_markets")
        return {"events": [self._event_json(e, nested=nested) for e in found], "cursor": cursor}

    def _event(self, request: web.Request) -> Json:
        wanted = request.match_info["event"]
        event = next((event for event in self._all_events() if event.id == wanted), None)
        if event is None:
            raise _not_found()
        nested = flag(request, "with_nested_markets")
        now_ms = self._shared.clock_ms()
        markets = [market_json(market, now_ms) for market in event.markets]
        return {"event": self._event_json(event, nested=nested), "markets": markets}

    def _all_series(self, request: web.Request) -> Json:
        category = request.query.get("category")
        tags = set(listed(request, "tags"))
        found = {
            event.series: series_json(event)
            for event in self._all_events()
            if category in (None, "", event.category) and (not tags or tags & set(event.tags))
        }
        return {"series": list(found.values())}

    def _one_series(self, request: web.Request) -> Json:
        return {"series": series_json(self._series_event(request))}

    def _candles(self, request: web.Request) -> Json:
        self._series_event(request)
        market = self._named(request)
        period = number(request, "period_interval", 1)
        start_s = number(request, "start_ts", 0)
        end_s = number(request, "end_ts", 0)
        if period not in PERIODS or (end_s - start_s) // (period * 60) > MAX_CANDLES:
            raise bad_request("invalid period_interval, or too many candlesticks")
        candles = candles_json(market, start_s, end_s, period * 60)
        return {"ticker": market.id, "candlesticks": candles}

    def _limits(self, _: web.Request) -> Json:
        return {
            "usage_tier": "basic",
            "read": {"refill_rate": 200, "bucket_capacity": 600},
            "write": {"refill_rate": 100, "bucket_capacity": 100},
            "grants": [],
        }

    def _orders(self, request: web.Request) -> Json:
        """Answer with the caller's orders, newest first."""
        key_id = request.headers[KEY_HEADER]
        ticker = request.query.get("ticker")
        low_ms = number(request, "min_ts", 0) * 1000
        chosen = [
            order
            for order in reversed(self._desk.orders.values())
            if order.api_key_id == key_id
            and ticker in (None, "", order.ticker)
            and order.ts_ms >= low_ms
        ]
        limit = number(request, "limit", 100, low=1, high=1000)
        found, cursor = page(chosen, request.query.get("cursor", ""), limit)
        return {"orders": [order.record() for order in found], "cursor": cursor}

    async def _place_order(self, request: web.Request) -> web.Response:
        key_id = self._authenticated(request)
        try:
            body = await request.json()
        except json.JSONDecodeError:
            raise bad_request("not JSON") from None
        if not isinstance(body, dict):
            raise bad_request("not an object")
        return web.json_response(self._desk.place(key_id, body).json(), status=201)

    async def _cancel_order(self, request: web.Request) -> web.Response:
        self._authenticated(request)
        return web.json_response(self._desk.cancel(request.match_info["order_id"]))

    def _event_json(self, event: Event, *, nested: bool) -> Json:
        body = event_json(event)
        if nested:
            now_ms = self._shared.clock_ms()
            body["markets"] = [market_json(market, now_ms) for market in event.markets]
        return body

    def _series_event(self, request: web.Request) -> Event:
        wanted = request.match_info["series"]
        event = next((event for event in self._all_events() if event.series == wanted), None)
        if event is None:
            raise _not_found()
        return event

    def _named(self, request: web.Request) -> Market:
        market = self._find(request.match_info["ticker"])
        if market is None:
            raise _not_found()
        return market

    def _seen(self, request: web.Request, market: Market) -> Market:
        """Return the market as this request is shown it."""
        signed = KEY_HEADER in request.headers
        return self._shared.past[KALSHI].view(market, signed=signed)

    def _find(self, ticker: str) -> Market | None:
        market = self._shared.world.find(ticker)
        return market if market is not None and market.venue == KALSHI else None

    def _all_markets(self) -> Sequence[Market]:
        return list(self._shared.world.markets(KALSHI))

    def _all_events(self) -> Sequence[Event]:
        return list(self._shared.world.events_of(KALSHI))


def _selects(request: web.Request, market: Market) -> bool:
    query = request.query
    tickers = listed(request, "tickers")
    close_s = market.close_ms // 1000
    return (
        query.get("event_ticker") in (None, "", market.event.id)
        and query.get("series_ticker") in (None, "", market.event.series)
        and (not tickers or market.id in tickers)
        and query.get("mve_filter") != "only"
        and _has_status(request, market)
        and _is_new(request, market)
        and number(request, "min_close_ts", 0) <= close_s <= number(request, "max_close_ts", 2**40)
    )


def _selects_event(request: web.Request, event: Event) -> bool:
    tickers = listed(request, "tickers")
    return (
        request.query.get("series_ticker") in (None, "", event.series)
        and (not tickers or event.id in tickers)
        and any(_has_status(request, market) for market in event.markets)
        and any(_is_new(request, market) for market in event.markets)
        and number(request, "min_close_ts", 0) <= event.end_ms // 1000
    )


def _is_new(request: web.Request, market: Market) -> bool:
    """Tell whether a market opened, or its record changed, since the time asked for."""
    return (market.updated_ms or market.open_ms) // 1000 >= number(request, "min_updated_ts", 0)


def _has_status(request: web.Request, market: Market) -> bool:
    wanted = request.query.get("status")
    if not wanted:
        return True
    if wanted not in STATUS_FILTERS:
        raise bad_request("invalid status filter")
    return market.status in STATUS_FILTERS[wanted]


def _not_found() -> web.HTTPException:
    return error(404, {"code": "not_found", "message": "not found"})
