"""Orders at Kalshi: one order for each request, whatever happens to the answer."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from aiohttp import web
from support.clients import FAST, Peer, client_of

from arbees_feed.clients import (
    KalshiClient,
    NotFound,
    OrderInvalid,
    OrderOutcomeUnknown,
    OrderRejected,
    OrderRequest,
    TradingDisabled,
    kalshi_orders,
)
from arbees_feed.core.venue import Credentials
from arbees_feed.errors import AuthenticationRejected, RequestFailed
from arbees_feed.sim import SimServer

ORDERS = "/trade-api/v2/portfolio/events/orders"
LIST = "/trade-api/v2/portfolio/orders"


@pytest.fixture(autouse=True)
def _quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks for lost orders come at once."""
    monkeypatch.setattr(kalshi_orders, "LOOKS_AFTER_S", (0.0, 0.01, 0.02))


@pytest.fixture
async def client(sim: SimServer) -> AsyncIterator[KalshiClient]:
    """A client that may trade."""
    opened = client_of(sim, "kalshi", trading=True)
    assert isinstance(opened, KalshiClient)
    async with opened:
        yield opened


def resting(sim: SimServer, **more: Any) -> OrderRequest:
    """Return a bid that nobody takes."""
    fields = {"market_id": sim.kalshi_tickers[0], "side": "buy", "price": "0.01", "size": "10"}
    return OrderRequest(**fields | more)


async def test_an_order_is_recorded_as_it_was_meant(client: KalshiClient, sim: SimServer) -> None:
    order = resting(sim, size="10.5")
    result = await client.place_order(order)
    (recorded,) = sim.orders
    assert (recorded.ticker, recorded.side) == (order.market_id, "bid")
    assert (recorded.price, recorded.size) == (100, 10_500_000)
    assert recorded.time_in_force == "good_till_canceled"
    assert recorded.client_order_id == order.client_order_id == result.client_order_id
    assert (result.order_id, result.status) == (recorded.order_id, "resting")
    assert (result.filled, result.remaining) == (0, Decimal("10.5"))
    assert (result.told_by, result.average_price) == ("answer", None)
    assert result.ts_ns == recorded.ts_ms * 1_000_000


async def test_an_order_that_the_book_takes(client: KalshiClient, sim: SimServer) -> None:
    truth = sim.world.market(sim.kalshi_tickers[0])
    ask, size = Decimal(truth.best_ask()) / 10_000, Decimal(truth.top()[3]) / 1_000_000
    order = resting(sim, price=ask, size=size, time_in_force="ioc")
    result = await client.place_order(order)
    assert (result.status, result.filled, result.average_price) == ("executed", size, ask)


async def test_buying_no_is_selling_yes(client: KalshiClient, sim: SimServer) -> None:
    await client.place_order(resting(sim, outcome="no", price="0.02"))
    await client.place_order(resting(sim, outcome="no", side="sell", price="0.97"))
    assert [(order.side, order.price) for order in sim.orders] == [("ask", 9_800), ("bid", 300)]


async def test_the_wire_has_text_and_no_floats(peer: Peer) -> None:
    bodies: list[bytes] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.method == "GET":
            band = {"start": "0.0000", "end": "1.0000", "step": "0.0001"}
            return web.json_response({"market": {"price_ranges": [band]}})
        bodies.append(await request.read())
        done = {"order_id": "o", "fill_count": "0.00", "remaining_count": "3.10", "ts_ms": 1}
        return web.json_response(done, status=201)

    peer.answers = answer
    async with trading_at(peer) as client:
        await client.place_order(
            OrderRequest(
                market_id="KXA",
                side="sell",
                price="0.29",
                size="3.1",
                post_only=True,
                expires_at=datetime(2030, 1, 1, tzinfo=UTC),
                client_order_id="mine",
            )
        )
    assert msgspec.json.decode(bodies[0]) == {
        "ticker": "KXA",
        "client_order_id": "mine",
        "side": "ask",
        "count": "3.10",
        "price": "0.2900",
        "time_in_force": "good_till_canceled",
        "self_trade_prevention_type": "taker_at_cross",
        "post_only": True,
        "expiration_time": 1893456000,
    }


def trading_at(peer: Peer) -> KalshiClient:
    """Return a client with a key that nobody checks."""
    credentials = Credentials(key_id="k", sign=lambda _: b"s")
    return KalshiClient(credentials, rest_url=peer.url, trading=True, options=FAST)


@pytest.mark.parametrize(
    "change",
    [
        {"price": 0.29},
        {"size": 1},
        {"price": "0"},
        {"price": "1"},
        {"price": "NaN"},
        {"price": "cheap"},
        {"size": "-1"},
        {"size": "Infinity"},
        {"side": "bid"},
        {"outcome": "maybe"},
        {"time_in_force": "day"},
        {"client_order_id": ""},
        {"expires_at": datetime(2030, 1, 1)},  # noqa: DTZ001 - no zone is the point
    ],
)
async def test_an_order_that_cannot_be_is_not_made(sim: SimServer, change: dict[str, Any]) -> None:
    with pytest.raises(OrderInvalid):
        resting(sim, **change)


@pytest.mark.parametrize(
    "change",
    [
        {"price": "0.00001"},
        {"price": "0.12345"},
        {"size": "0.001"},
        {"time_in_force": "ioc", "expires_at": datetime(2030, 1, 1, tzinfo=UTC)},
    ],
)
async def test_an_order_off_the_grid_is_not_sent(
    client: KalshiClient, sim: SimServer, change: dict[str, Any]
) -> None:
    with pytest.raises(OrderInvalid):
        await client.place_order(resting(sim, **change))
    assert sim.orders == []


async def test_each_band_has_its_own_step(client: KalshiClient, sim: SimServer) -> None:
    """What the venue's own ranges allow is sent, and nothing else."""
    for ticker in sim.kalshi_tickers:
        grid = sim.world.market(ticker).grid
        for price in (Decimal("0.505"), Decimal("0.0005"), Decimal("0.5")):
            bands = [[Decimal(b[name]) for name in ("start", "end", "step")] for b in grid.ranges()]
            legal = any(lo <= price <= hi and (price - lo) % step == 0 for lo, hi, step in bands)
            order = resting(sim, market_id=ticker, price=price)
            if legal:
                await client.place_order(order)
            else:
                with pytest.raises(OrderInvalid, match=ticker):
                    await client.place_order(order)


async def test_without_the_switch_nothing_is_sent(sim: SimServer) -> None:
    """Before any I/O: not even an open client is needed."""
    client = client_of(sim, "kalshi")
    before = sum(sim.counters.values())
    with pytest.raises(TradingDisabled, match="trading=True"):
        await client.place_order(resting(sim))
    with pytest.raises(TradingDisabled):
        await client.cancel_order("x", market_id=sim.kalshi_tickers[0])
    async with client:
        with pytest.raises(TradingDisabled):
            await client.place_order(resting(sim))
    assert sum(sim.counters.values()) == before


# -- lost answers ----------------------------------------------------------------------------------


async def test_a_lost_answer_does_not_double_the_order(
    client: KalshiClient, sim: SimServer
) -> None:
    """The venue takes the order and the connection breaks: it is found by its own id."""
    sim.faults.lose_answers("kalshi", prefix=ORDERS)
    order = resting(sim)
    result = await client.place_order(order)
    (recorded,) = sim.orders
    assert (result.order_id, result.told_by) == (recorded.order_id, "lookup")
    assert (result.status, result.remaining, result.filled) == ("resting", 10, 0)
    assert recorded.repeats == 0


async def test_a_lost_answer_of_a_filled_order(client: KalshiClient, sim: SimServer) -> None:
    truth = sim.world.market(sim.kalshi_tickers[0])
    ask = Decimal(truth.best_ask()) / 10_000
    sim.faults.lose_answers("kalshi", prefix=ORDERS)
    result = await client.place_order(resting(sim, price=ask, size="1", time_in_force="fok"))
    assert (result.status, result.filled, result.average_price) == ("executed", 1, ask)


async def test_an_answer_that_is_too_late_is_looked_up(sim: SimServer) -> None:
    hasty = msgspec.structs.replace(FAST, timeout_s=0.5)
    async with client_of(sim, "kalshi", trading=True, options=hasty) as client:
        order = resting(sim)
        other = OrderRequest(market_id=order.market_id, side="buy", price="0.01", size="1")
        await client.place_order(other)  # the grid is known now
        sim.faults.delay_rest("kalshi", 1.2, prefix=ORDERS, count=1)
        with pytest.raises(OrderOutcomeUnknown) as caught:
            await client.place_order(order)
        assert caught.value.client_order_id == order.client_order_id
        await asyncio.sleep(1.0)
        again = await client.place_order(order)
    assert again.client_order_id == order.client_order_id
    assert len(sim.orders) <= 2


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
async def test_an_error_of_the_server_is_not_taken_for_a_refusal(
    client: KalshiClient, sim: SimServer, status: int
) -> None:
    """It wasn't placed here, but who could know? It is not sent again either."""
    sim.faults.html_rest("kalshi", status, prefix=ORDERS)
    order = resting(sim)
    with pytest.raises(OrderOutcomeUnknown, match=order.client_order_id) as caught:
        await client.place_order(order)
    assert caught.value.client_order_id == order.client_order_id
    assert sim.counters["fault_rest"] == 1
    sim.faults.clear()
    assert (await client.place_order(order)).status == "resting"
    assert len(sim.orders) == 1


async def test_a_lost_answer_and_no_way_to_look(client: KalshiClient, sim: SimServer) -> None:
    sim.faults.lose_answers("kalshi", prefix=ORDERS)
    sim.faults.fail_rest("kalshi", 500, prefix=LIST)
    order = resting(sim)
    with pytest.raises(OrderOutcomeUnknown, match="looking it up failed"):
        await client.place_order(order)
    assert len(sim.orders) == 1
    sim.faults.clear()
    assert (await client.place_order(order)).order_id == sim.orders[0].order_id
    assert len(sim.orders) == 1


async def test_a_page_of_html_in_place_of_the_answer(peer: Peer) -> None:
    """A 200 that is no answer says nothing of the order."""
    placed: list[bytes] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.method == "POST":
            placed.append(await request.read())
            return web.Response(text="<html>", content_type="text/html")
        if request.path.startswith("/markets/"):
            band = {"start": "0", "end": "1", "step": "0.01"}
            return web.json_response({"market": {"price_ranges": [band]}})
        sent = msgspec.json.decode(placed[0])
        mine = {
            "order_id": "found",
            "client_order_id": sent["client_order_id"],
            "ticker": sent["ticker"],
            "book_side": sent["side"],
            "status": "resting",
            "yes_price_dollars": sent["price"],
            "initial_count_fp": sent["count"],
            "fill_count_fp": "2.00",
            "remaining_count_fp": "8.00",
            "taker_fill_cost_dollars": "0.200000",
            "created_time": "2026-11-22T00:00:00Z",
        }
        other = mine | {"order_id": "other", "client_order_id": "another"}
        # Two pages, and the order on the second.
        if "cursor" in request.query:
            return web.json_response({"orders": [mine], "cursor": ""})
        return web.json_response({"orders": [other], "cursor": "2"})

    peer.answers = answer
    async with trading_at(peer) as client:
        order = OrderRequest(market_id="KXA", side="buy", price="0.10", size="10")
        result = await client.place_order(order)
    assert len(placed) == 1
    assert (result.order_id, result.told_by, result.filled) == ("found", "lookup", 2)
    assert result.average_price == Decimal("0.1")


async def test_an_id_of_another_order_is_refused(peer: Peer) -> None:
    """A conflict (409) is looked up: the same order is the answer, another one an error."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.method == "POST":
            return web.json_response({"code": "conflict"}, status=409)
        if request.path.startswith("/markets/"):
            band = {"start": "0", "end": "1", "step": "0.01"}
            return web.json_response({"market": {"price_ranges": [band]}})
        record = {
            "order_id": "first",
            "client_order_id": "mine",
            "ticker": "KXA",
            "book_side": "bid",
            "status": "canceled",
            "yes_price_dollars": "0.1000",
            "initial_count_fp": "10.00",
            "fill_count_fp": "0.00",
            "remaining_count_fp": "0.00",
        }
        return web.json_response({"orders": [record], "cursor": ""})

    peer.answers = answer
    same = OrderRequest(
        market_id="KXA", side="buy", price="0.10", size="10", client_order_id="mine"
    )
    async with trading_at(peer) as client:
        assert (await client.place_order(same)).order_id == "first"
        with pytest.raises(OrderRejected, match="another order, first"):
            await client.place_order(
                OrderRequest(
                    market_id="KXA", side="buy", price="0.20", size="10", client_order_id="mine"
                )
            )


async def test_an_order_that_never_left_is_no_unknown(client: KalshiClient, sim: SimServer) -> None:
    """No connection, no order: nothing has to be looked up."""
    await client.place_order(resting(sim))  # the grid is known now
    sim.faults.lose_answers("kalshi", count=2)  # the open connection goes; the read is tried again
    with pytest.raises(RequestFailed):
        await client.get_orderbook(sim.kalshi_tickers[0])
    await sim.faults.stop_accepting("kalshi")
    with pytest.raises(RequestFailed, match="POST") as caught:
        await client.place_order(resting(sim))
    assert caught.value.status == 0
    assert len(sim.orders) == 1


async def test_a_429_says_that_there_is_no_order(client: KalshiClient, sim: SimServer) -> None:
    sim.faults.fail_rest("kalshi", 429, prefix=ORDERS, count=1)
    with pytest.raises(RequestFailed) as caught:
        await client.place_order(resting(sim))
    assert caught.value.status == 429
    assert sim.orders == []


async def test_refusals_of_the_venue(client: KalshiClient, sim: SimServer) -> None:
    ended = sim.kalshi_tickers[1]
    sim.close_market(ended)
    with pytest.raises(OrderRejected, match="closed") as caught:
        await client.place_order(resting(sim, market_id=ended, price="0.5"))
    assert caught.value.status == 400
    with pytest.raises(NotFound):
        await client.place_order(resting(sim, market_id="KXNOBODY"))
    sim.faults.fail_rest("kalshi", 401, prefix=ORDERS, count=1)
    with pytest.raises(AuthenticationRejected):
        await client.place_order(resting(sim))
    assert sim.orders == []


async def test_cancelling_the_call_leaves_an_order_that_can_be_asked_for_again(
    client: KalshiClient, sim: SimServer
) -> None:
    order = resting(sim)
    await client.place_order(resting(sim))
    sim.faults.delay_rest("kalshi", 0.5, prefix=ORDERS, count=1)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await client.place_order(order)
    first = await client.place_order(order)
    await asyncio.sleep(0.6)
    again = await client.place_order(order)
    assert first.order_id == again.order_id
    assert len(sim.orders) == 2


# -- cancelling ------------------------------------------------------------------------------------


async def test_cancelling_takes_back_what_remains(client: KalshiClient, sim: SimServer) -> None:
    order = resting(sim)
    placed = await client.place_order(order)
    result = await client.cancel_order(placed.order_id, market_id=order.market_id)
    assert (result.order_id, result.canceled) == (placed.order_id, 10)
    assert sim.orders[0].canceled
    again = await client.cancel_order(placed.order_id, market_id=order.market_id)
    assert again.canceled == 0
    with pytest.raises(NotFound, match="no order"):
        await client.cancel_order("nonsense", market_id=order.market_id)


async def test_an_order_that_expires(client: KalshiClient, sim: SimServer) -> None:
    later = datetime.now(UTC) + timedelta(minutes=5)
    assert (await client.place_order(resting(sim, expires_at=later))).status == "resting"
