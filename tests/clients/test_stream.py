"""Live prices of both clients: true, whole, conflated for the slow, and gone when they are left."""

import asyncio
import gc
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing

import pytest
from support.clients import Client, client_of, ids_of

from arbees_feed.clients import KalshiClient, MarketPrice, NotFound
from arbees_feed.errors import AuthenticationRejected
from arbees_feed.sim import SimConfig, SimServer

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
async def sim() -> AsyncIterator[SimServer]:
    """Twelve markets a venue that move."""
    config = SimConfig(seed=9, kalshi_markets=12, polymarket_markets=12, rate=600.0)
    async with SimServer(config) as server:
        yield server


def top_of(price: MarketPrice) -> tuple[int, int, int, int]:
    """Return the quote in the simulator's integers."""
    return (
        round(price.yes_bid * 10_000),
        round(price.yes_bid_size * 1_000_000),
        round(price.yes_ask * 10_000),
        round(price.yes_ask_size * 1_000_000),
    )


class Kept:
    """A consumer that keeps what comes, in order."""

    def __init__(self) -> None:
        self.prices: dict[str, list[MarketPrice]] = {}
        self._changed = asyncio.Event()

    def __call__(self, price: MarketPrice) -> None:
        self.prices.setdefault(price.market_id, []).append(price)
        self._changed.set()

    def status(self, market: str) -> str:
        return self.prices[market][-1].status if market in self.prices else ""

    def is_true(self, sim: SimServer, market: str) -> bool:
        last = self.prices.get(market, [None])[-1]
        truth = sim.world.market(market).top()
        return last is not None and last.status == "live" and top_of(last) == truth

    async def until(self, condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
        async with asyncio.timeout(timeout_s):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


async def test_prices_equal_the_true_books(client: Client, sim: SimServer) -> None:
    ids = ids_of(sim, client.venue)
    kept = Kept()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(client.stream_prices(ids, on_price=kept))
        await kept.until(lambda: sum(map(len, kept.prices.values())) > 150)
        sim.pause()
        await sim.drained()
        await kept.until(lambda: all(kept.is_true(sim, market) for market in ids))
        task.cancel()
    for market, prices in kept.prices.items():
        assert [price.seq for price in prices] == list(range(1, len(prices) + 1))
        assert {price.market_id for price in prices} == {market}
        assert all(price.source == "book" for price in prices)
        assert all(price.platform == client.venue for price in prices)
        assert all(price.yes_bid < price.yes_ask for price in prices)


async def test_a_closed_socket_is_stale_and_mends(
    sim: SimServer, venue: str, stack: AsyncExitStack
) -> None:
    """With no patience for doubts, each market is told to be stale, and live again afterwards."""
    client = await stack.enter_async_context(client_of(sim, venue, stale_grace_s=0.0))
    ids = ids_of(sim, venue)
    kept = Kept()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(client.stream_prices(ids, on_price=kept))
        await kept.until(lambda: all(kept.status(market) == "live" for market in ids))
        sim.faults.refuse_handshakes(venue, count=1)  # type: ignore[arg-type]
        assert sim.faults.close_sockets(venue) == 1  # type: ignore[arg-type]
        await kept.until(lambda: all(kept.status(market) == "stale" for market in ids))
        stale = [prices[-1] for prices in kept.prices.values()]
        assert all(top_of(price) == (0, 0, 10_000, 0) for price in stale)
        sim.pause()
        await sim.drained()
        await kept.until(lambda: all(kept.is_true(sim, market) for market in ids))
        task.cancel()


async def test_a_slow_consumer_gets_the_newest(client: Client, sim: SimServer) -> None:
    """While nobody looks, hundreds of changes become one price a market: the last."""
    ids = ids_of(sim, client.venue)
    stream = client.stream_prices(ids)
    async with aclosing(aiter(stream)) as prices:
        first = await anext(prices)
        assert first.market_id in ids
        await asyncio.sleep(0.6)
        sim.pause()
        await sim.drained()
        await asyncio.sleep(0.3)
        waiting: dict[str, list[MarketPrice]] = {}
        async for price in prices:
            waiting.setdefault(price.market_id, []).append(price)
            if len(waiting) == len(ids):
                break
    assert stream.conflated > 20
    for market, came in waiting.items():
        assert len(came) == 1
        assert top_of(came[0]) == sim.world.market(market).top()


async def test_leaving_the_loop_gives_up_the_connection(client: Client, sim: SimServer) -> None:
    async for price in client.stream_prices(ids_of(sim, client.venue)):
        assert price.status == "live"
        break
    gc.collect()
    async with asyncio.timeout(30):
        while sim.connections()[client.venue]:  # noqa: ASYNC110 - the simulation has no signal
            await asyncio.sleep(0.02)


async def test_cancelling_the_consumer_gives_up_the_connection(
    client: Client, sim: SimServer
) -> None:
    kept = Kept()
    async with asyncio.TaskGroup() as group:
        work = client.stream_prices(ids_of(sim, client.venue), on_price=kept)
        task = group.create_task(work)
        await kept.until(lambda: bool(kept.prices))
        task.cancel()
    assert task.cancelled()
    async with asyncio.timeout(30):
        while sim.connections()[client.venue]:  # noqa: ASYNC110 - the simulation has no signal
            await asyncio.sleep(0.02)


async def test_closing_the_client_ends_its_streams(sim: SimServer, venue: str) -> None:
    kept = Kept()
    async with asyncio.TaskGroup() as group:
        async with client_of(sim, venue) as client:
            work = client.stream_prices(ids_of(sim, venue), on_price=kept)
            task = group.create_task(work)
            await kept.until(lambda: bool(kept.prices))
        await asyncio.wait_for(task, 5)
    assert sim.connections()[venue] == 0


async def test_two_streams_side_by_side(client: Client, sim: SimServer) -> None:
    ids = ids_of(sim, client.venue)
    one, other = Kept(), Kept()
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(client.stream_prices(ids[:6], on_price=one)),
            group.create_task(client.stream_prices(ids[3:], on_price=other)),
        ]
        await one.until(lambda: len(one.prices) == 6)
        await other.until(lambda: len(other.prices) == 9)
        for task in tasks:
            task.cancel()
    assert set(one.prices) == set(ids[:6])
    assert set(other.prices) == set(ids[3:])


async def test_it_ends_when_every_market_has(client: Client, sim: SimServer) -> None:
    ids = ids_of(sim, client.venue)[:2]
    kept = Kept()
    async with asyncio.TaskGroup() as group:
        group.create_task(client.stream_prices(ids, on_price=kept))
        await kept.until(lambda: all(kept.status(market) == "live" for market in ids))
        for market in ids:
            sim.close_market(market)
    assert [kept.status(market) for market in ids] == ["closed", "closed"]


async def test_a_callback_may_wait_and_its_error_comes_out(client: Client, sim: SimServer) -> None:
    seen: list[MarketPrice] = []

    async def show(price: MarketPrice) -> None:
        await asyncio.sleep(0)
        seen.append(price)
        if len(seen) == 20:
            raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        await client.stream_prices(ids_of(sim, client.venue), on_price=show)
    assert len(seen) == 20


async def test_a_venue_that_refuses_us_is_an_error_of_the_loop(sim: SimServer) -> None:
    """Without a key Kalshi refuses the upgrade; nothing would ever come."""
    async with KalshiClient(ws_url=sim.kalshi_ws_url) as client:
        with pytest.raises(AuthenticationRejected, match="401"):
            await anext(aiter(client.stream_prices(sim.kalshi_tickers)))


async def test_no_rest_request_stands_before_a_price(
    client: Client, sim: SimServer, venue: str
) -> None:
    sim.faults.fail_rest(venue, 500)  # type: ignore[arg-type]
    async with aclosing(aiter(client.stream_prices(ids_of(sim, venue)))) as prices:
        assert (await anext(prices)).status == "live"
    assert sim.counters["fault_rest"] == 0


async def test_ids_that_cannot_be_are_refused_at_once(client: Client) -> None:
    with pytest.raises(NotFound, match=re.escape("'no id!'")):
        client.stream_prices(["no id!"])
    with pytest.raises(ValueError, match="no market ids"):
        client.stream_prices([])
    with pytest.raises(TypeError, match="list"):
        client.stream_prices("KXAAA")
