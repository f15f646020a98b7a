"""Orders sent to the simulated Kalshi: recorded and answered. They do not move the books."""

import uuid
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from arbees_feed.sim.money import PRICE_SCALE, SIZE_SCALE, count, dollars
from arbees_feed.sim.rest import Json, bad_request, error
from arbees_feed.sim.shared import Shared, rfc3339
from arbees_feed.sim.world import Market

SIDES = ("bid", "ask")
LIFETIMES = ("fill_or_kill", "good_till_canceled", "immediate_or_cancel")


@dataclass(slots=True)
class Order:
    """An order and what became of it; prices and sizes in the world's integers."""

    order_id: str
    client_order_id: str
    api_key_id: str
    ticker: str
    side: str
    price: int
    size: int
    time_in_force: str
    ts_ms: int
    filled: int
    remaining: int
    cost: int
    canceled: bool = False
    repeats: int = 0

    def json(self) -> Json:
        """Return the answer to POST /portfolio/events/orders."""
        answer: Json = {
            "order_id": self.order_id,
            "client_order_id": self.client_order_id,
            "fill_count": count(self.filled),
            "remaining_count": count(self.remaining),
            "ts_ms": self.ts_ms,
        }
        if self.filled:
            answer["average_fill_price"] = dollars(self.cost // self.filled)
            answer["average_fee_paid"] = "0.0000"
        return answer

    def record(self) -> Json:
        """Return a record of GET /portfolio/orders."""
        status = "executed" if self.filled == self.size else "canceled"
        return {
            "order_id": self.order_id,
            "user_id": self.api_key_id,
            "client_order_id": self.client_order_id,
            "ticker": self.ticker,
            "outcome_side": "yes" if self.side == "bid" else "no",
            "book_side": self.side,
            "type": "limit",
            "status": "resting" if self.remaining else status,
            "yes_price_dollars": dollars(self.price),
            "no_price_dollars": dollars(PRICE_SCALE - self.price),
            "fill_count_fp": count(self.filled),
            "remaining_count_fp": count(self.remaining),
            "initial_count_fp": count(self.size),
            "taker_fill_cost_dollars": f"{Decimal(self.cost) / PRICE_SCALE / SIZE_SCALE:.6f}",
            "maker_fill_cost_dollars": "0.000000",
            "taker_fees_dollars": "0.000000",
            "maker_fees_dollars": "0.000000",
            "created_time": rfc3339(self.ts_ms),
        }


class OrderDesk:
    """All orders. A repeated `client_order_id` gets the first order's answer, no second order."""

    def __init__(self, shared: Shared) -> None:
        self.orders: dict[str, Order] = {}
        self._shared = shared
        self._by_client_id: dict[tuple[str, str], Order] = {}

    def place(self, api_key_id: str, body: Json) -> Order:
        """Record an order and fill what the book would fill."""
        client_id = str(body.get("client_order_id") or "")
        known = self._by_client_id.get((api_key_id, client_id))
        if known is not None:
            known.repeats += 1
            self._shared.counters["orders_repeated"] += 1
            return known
        market = self._shared.world.find(str(body.get("ticker", "")))
        if market is None:
            raise error(404, {"code": "market_not_found", "message": "market not found"})
        order = self._filled(api_key_id, client_id, market, body)
        self.orders[order.order_id] = order
        if client_id:
            self._by_client_id[api_key_id, client_id] = order
        self._shared.counters["orders"] += 1
        return order

    def cancel(self, order_id: str) -> Json:
        """Take back what remains of an order."""
        order = self.orders.get(order_id)
        if order is None:
            raise error(404, {"code": "not_found", "message": "order not found"})
        reduced, order.remaining = order.remaining, 0
        order.canceled = True
        self._shared.counters["orders_canceled"] += 1
        return {
            "order_id": order.order_id,
            "client_order_id": order.client_order_id,
            "reduced_by": count(reduced),
            "ts_ms": self._shared.clock_ms(),
        }

    def _filled(self, api_key_id: str, client_id: str, market: Market, body: Json) -> Order:
        side, lifetime = body.get("side"), body.get("time_in_force")
        if side not in SIDES or lifetime not in LIFETIMES or not market.is_open:
            raise bad_request("invalid side or time_in_force, or the market is closed")
        price = _scaled(body.get("price"), PRICE_SCALE)
        size = _scaled(body.get("count"), SIZE_SCALE)
        filled, cost = _match(market, side, price, size)
        if lifetime == "fill_or_kill" and filled < size:
            filled = cost = 0
        rests = lifetime == "good_till_canceled"
        return Order(
            order_id=str(uuid.uuid4()),
            client_order_id=client_id,
            api_key_id=api_key_id,
            ticker=market.id,
            side=side,
            price=price,
            size=size,
            time_in_force=lifetime,
            ts_ms=self._shared.clock_ms(),
            filled=filled,
            remaining=size - filled if rests else 0,
            cost=cost,
        )


def _match(market: Market, side: str, price: int, size: int) -> tuple[int, int]:
    """Return how much the present book would fill, and price times size of that."""
    levels = market.yes_asks if side == "bid" else market.yes_bids
    filled = cost = 0
    for level in sorted(levels, reverse=side == "ask"):
        if filled == size or (level > price if side == "bid" else level < price):
            break
        taken = min(size - filled, levels[level])
        filled += taken
        cost += taken * level
    return filled, cost


def _scaled(text: object, scale: int) -> int:
    try:
        value = Decimal(str(text)) * scale
    except InvalidOperation:
        raise bad_request("invalid price or count") from None
    if value != int(value) or value <= 0:
        raise bad_request("invalid price or count")
    return int(value)
