"""Orders at Kalshi: sent once, and looked up when their answer is lost.

What is known of the venue (documents and generated client 3.34, October 2026): `client_order_id`
deduplicates, is unique among live and recent orders, and 409 is a documented answer. No call finds
an order by it, but every record of `GET /portfolio/orders` carries it. So after a lost answer
(timeout, broken connection, 5xx, a body that is no answer) the order is looked up there, by market
and time; a few times, because records may appear a little after the order. One that isn't there may
still be on its way: that is said, and nothing is sent again.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Final

import aiohttp
import msgspec

from arbees_feed.clients.errors import (
    NotFound,
    OrderInvalid,
    OrderOutcomeUnknown,
    OrderRejected,
)
from arbees_feed.clients.kalshi_answers import (
    PLATFORM,
    Band,
    Canceled,
    GridAnswer,
    Order,
    Placed,
    of_outcome,
)
from arbees_feed.clients.model import CancelResult, OrderRequest, OrderResult, OrderStatus
from arbees_feed.clients.rest import Rest, records, unix_ns
from arbees_feed.core.breaker import BreakerOptions
from arbees_feed.core.paging import PageWalk, Paging, read
from arbees_feed.core.ratelimit import Rates
from arbees_feed.core.venue import CatalogueStats, Request
from arbees_feed.errors import AuthenticationRejected, ProtocolViolation, RequestFailed
from arbees_feed.transport.http import HttpFetcher, HttpOptions

LOOKS_AFTER_S: Final = (0.25, 1.0, 2.0)
"""Waits before each look for an order whose answer was lost."""
LOOK_BACK_S: Final = 120
"""How far our clock and the venue's may be apart (it refuses signatures beyond a minute)."""
GRIDS_REMEMBERED: Final = 1_000
_HUNDREDTH: Final = Decimal("0.01")
_LIFETIMES: Final = {
    "gtc": "good_till_canceled",
    "ioc": "immediate_or_cancel",
    "fok": "fill_or_kill",
}
_CONFLICT: Final = 409
_TIMED_OUT: Final = 408
_TOO_MANY: Final = 429
_SERVER_ERROR: Final = 500

ORDERS: Final = Paging(sent="cursor", told="cursor", identity="order_id")
_grid = msgspec.json.Decoder(GridAnswer)
_placed = msgspec.json.Decoder(Placed)
_canceled = msgspec.json.Decoder(Canceled)
_order = msgspec.json.Decoder(Order)


def orders_options(timeout_s: float) -> HttpOptions:
    """Return how orders are sent: past the pages that are read, and by no breaker held back.

    A breaker's refusal would look like a lost answer. The slowest tier allows 10 writes a second.
    """
    never = BreakerOptions(failures=1_000_000_000)
    return HttpOptions(timeout_s=timeout_s, rates=Rates(8.0, 8.0), breaker=never, longest_wait_s=1)


class KalshiDesk:
    """Places and cancels orders of one account."""

    def __init__(
        self,
        writes: HttpFetcher,
        reads: Rest,
        base_url: str,
        stats: CatalogueStats,
        *,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._writes = writes
        self._reads = reads
        self._base = base_url
        self._stats = stats
        self._sleep = sleep
        self._now = now
        self._grids: dict[str, tuple[Band, ...]] = {}

    # -- placing -----------------------------------------------------------------------------------

    async def place(self, order: OrderRequest) -> OrderResult:
        """Send an order once; see VenueClient.place_order for the errors."""
        yes_price = of_outcome(order.exact_price, order.outcome)
        await self._check_grid(order, yes_price)
        body = _body(order, yes_price)
        url = f"{self._base}/portfolio/events/orders"
        sent_s = int(self._now())
        try:
            answer = await self._writes.fetch(
                Request(url, method="POST", body=msgspec.json.encode(body), signed=True)
            )
            if answer is None:
                raise OrderRejected(f"Kalshi has no market {order.market_id}", status=404)
            return _result(order, read(_placed, answer, url))
        except RequestFailed as exc:
            if _was_never_sent(exc) or exc.status == _TOO_MANY:
                raise
            if exc.status == _CONFLICT:
                # Its id is taken: by this very order, placed before, or by another.
                return await self._look_up(order, body, since_s=None, cause=exc)
            if 0 < exc.status < _SERVER_ERROR and exc.status != _TIMED_OUT:
                self._grids.pop(order.market_id, None)
                raise OrderRejected(str(exc), status=exc.status) from exc
            return await self._look_up(order, body, since_s=sent_s - LOOK_BACK_S, cause=exc)
        except ProtocolViolation as exc:
            return await self._look_up(order, body, since_s=sent_s - LOOK_BACK_S, cause=exc)

    async def _check_grid(self, order: OrderRequest, yes_price: Decimal) -> None:
        if order.exact_size % _HUNDREDTH:
            raise OrderInvalid(f"size {order.size} is finer than {_HUNDREDTH} contracts")
        if order.expires_at is not None and order.time_in_force != "gtc":
            raise OrderInvalid("only an order that may rest (gtc) can expire")
        known = self._grids.get(order.market_id)
        if known is not None and any(band.has(yes_price) for band in known):
            return
        # Unknown, or changed since: grids become finer near the ends of a market's life.
        bands = await self._fetch_grid(order.market_id)
        if not any(band.has(yes_price) for band in bands):
            steps = ", ".join(f"{b.start} to {b.end} by {b.step}" for b in bands)
            raise OrderInvalid(
                f"YES price {yes_price} is off the grid of {order.market_id}: {steps}"
            )

    async def _fetch_grid(self, market: str) -> tuple[Band, ...]:
        url = f"{self._base}/markets/{market}"
        answer = await self._reads.answer(Request(url), _grid, f"Kalshi has no market {market}")
        bands = answer.market.price_ranges
        if not bands or any(not band.step > 0 for band in bands):
            raise ProtocolViolation(f"{url}: no usable price_ranges: {bands!r}")
        self._grids[market] = bands
        if len(self._grids) > GRIDS_REMEMBERED:
            del self._grids[next(iter(self._grids))]
        return bands

    # -- after a lost answer -----------------------------------------------------------------------

    async def _look_up(
        self, order: OrderRequest, body: dict[str, object], *, since_s: int | None, cause: Exception
    ) -> OrderResult:
        problem = "it is not among the account's orders"
        for wait_s in LOOKS_AFTER_S:
            await self._sleep(wait_s)
            try:
                found = await self._find(order, since_s)
            except (RequestFailed, ProtocolViolation, AuthenticationRejected) as exc:
                problem = f"looking it up failed: {exc}"
                continue
            if found is not None:
                return _found_result(order, body, found)
        raise OrderOutcomeUnknown(
            f"no answer to order {order.client_order_id} of {order.market_id} ({cause}); {problem}",
            client_order_id=order.client_order_id,
        ) from cause

    async def _find(self, order: OrderRequest, since_s: int | None) -> Order | None:
        url = f"{self._base}/portfolio/orders"
        params = [("ticker", order.market_id), ("limit", "200")]
        params += [] if since_s is None else [("min_ts", str(since_s))]
        walk = PageWalk(ORDERS, url, "orders", params, self._stats, signed=True)
        async for record in records(self._reads, walk, self._stats):
            found = read(_order, record, url)
            if found.client_order_id == order.client_order_id:
                return found
        return None

    # -- cancelling --------------------------------------------------------------------------------

    async def cancel(self, order_id: str, market: str) -> CancelResult:
        """Take back what remains; cancelling again after a lost answer does no harm."""
        url = f"{self._base}/portfolio/events/orders/{order_id}"
        # Without the ticker, the order would be looked for on the default shard only.
        params = (("market_ticker", market),)
        body = await self._writes.fetch(Request(url, params, method="DELETE", signed=True))
        if body is None:
            raise NotFound(f"Kalshi has no order {order_id} to cancel")
        return CancelResult(order_id, read(_canceled, body, url).reduced_by)


def _was_never_sent(exc: RequestFailed) -> bool:
    return isinstance(exc.__cause__, aiohttp.ClientConnectorError)


def _body(order: OrderRequest, yes_price: Decimal) -> dict[str, object]:
    """Return the request; Kalshi has one book, so buying NO is selling YES."""
    buys_yes = (order.side == "buy") == (order.outcome == "yes")
    body: dict[str, object] = {
        "ticker": order.market_id,
        "client_order_id": order.client_order_id,
        "side": "bid" if buys_yes else "ask",
        "count": f"{order.exact_size:.2f}",
        "price": f"{yes_price:.4f}",
        "time_in_force": _LIFETIMES[order.time_in_force],
        "self_trade_prevention_type": "taker_at_cross",
    }
    if order.post_only:
        body["post_only"] = True
    if order.expires_at is not None:
        body["expiration_time"] = int(order.expires_at.timestamp())
    return body


def _result(order: OrderRequest, placed: Placed) -> OrderResult:
    average = placed.average_fill_price
    status: OrderStatus = "executed" if placed.fill_count >= order.exact_size else "canceled"
    return OrderResult(
        order_id=placed.order_id,
        client_order_id=order.client_order_id,
        market_id=order.market_id,
        platform=PLATFORM,
        status="resting" if placed.remaining_count else status,
        filled=placed.fill_count,
        remaining=placed.remaining_count,
        average_price=None if average is None else of_outcome(average, order.outcome),
        ts_ns=placed.ts_ms * 1_000_000,
    )


def _found_result(order: OrderRequest, body: dict[str, object], found: Order) -> OrderResult:
    sent = (body["side"], Decimal(str(body["price"])), order.exact_size)
    if sent != (found.book_side, found.yes_price_dollars, found.initial_count_fp):
        raise OrderRejected(
            f"client_order_id {order.client_order_id} is that of another order, {found.order_id}",
            status=_CONFLICT,
        )
    average = found.average_price
    statuses: dict[str, OrderStatus] = {"resting": "resting", "executed": "executed"}
    return OrderResult(
        order_id=found.order_id,
        client_order_id=order.client_order_id,
        market_id=order.market_id,
        platform=PLATFORM,
        status=statuses.get(found.status, "canceled"),
        filled=found.fill_count_fp,
        remaining=found.remaining_count_fp,
        average_price=None if average is None else of_outcome(average, order.outcome),
        ts_ns=0 if found.created_time is None else unix_ns(found.created_time),
        told_by="lookup",
    )
