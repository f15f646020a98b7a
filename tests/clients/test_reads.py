"""Every read of both clients, against simulated venues that know the truth."""

import asyncio
from contextlib import AsyncExitStack, aclosing
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from support.clients import FAST, Client, client_of, ids_of, now

from arbees_feed.clients import (
    ClientOptions,
    KalshiClient,
    NotFound,
    PolymarketClient,
    VenueClient,
)
from arbees_feed.config import load_settings
from arbees_feed.errors import RequestFailed
from arbees_feed.sim import Market, SimServer

NOBODY = {"kalshi": "KXNOBODY-26NOV22-X", "polymarket": "77777777"}


def market_in(sim: SimServer, venue: str) -> Market:
    return sim.world.market(ids_of(sim, venue)[3])


def decimals(levels: dict[int, int], *, best_first: bool) -> list[tuple[Decimal, Decimal]]:
    return [
        (Decimal(price) / 10_000, Decimal(levels[price]) / 1_000_000)
        for price in sorted(levels, reverse=best_first)
    ]


async def settled(market: Market) -> None:
    async with asyncio.timeout(30):
        while market.status != "finalized":  # noqa: ASYNC110 - the simulation has no signal for it
            await asyncio.sleep(0.05)


def test_both_clients_have_one_shape(sim: SimServer) -> None:
    """The assignments are for the type checker as well."""
    clients: list[VenueClient] = [client_of(sim, "kalshi"), client_of(sim, "polymarket")]
    assert [client.venue for client in clients] == ["kalshi", "polymarket"]


async def test_all_open_markets_are_listed_once(client: Client, sim: SimServer) -> None:
    found = [market async for market in client.get_markets()]
    assert sorted(market.market_id for market in found) == sorted(ids_of(sim, client.venue))
    for market in found:
        truth = sim.world.market(market.market_id)
        assert (market.title, market.event_id, market.status) == (
            truth.title,
            truth.event.id,
            "open",
        )


async def test_markets_of_one_event_and_a_limit(client: Client, sim: SimServer) -> None:
    event = market_in(sim, client.venue).event
    name = event.id if client.venue == "kalshi" else event.slug
    found = [market.market_id async for market in client.get_markets(event=name)]
    assert sorted(found) == sorted(market.id for market in event.markets)
    assert len([market async for market in client.get_markets(limit=5)]) == 5


async def test_ended_markets_are_listed_by_their_status(client: Client, sim: SimServer) -> None:
    ended = market_in(sim, client.venue)
    sim.close_market(ended.id)
    await settled(ended)
    found = [market.market_id async for market in client.get_markets(status="settled")]
    assert found == [ended.id]
    still_open = [market.market_id async for market in client.get_markets()]
    assert ended.id not in still_open
    assert len(still_open) == 11


async def test_filters_by_what_only_one_venue_has(sim: SimServer, stack: AsyncExitStack) -> None:
    kalshi = await stack.enter_async_context(client_of(sim, "kalshi"))
    polymarket = await stack.enter_async_context(client_of(sim, "polymarket"))
    series = market_in(sim, "kalshi").event.series
    found = [market async for market in kalshi.get_markets(series=series)]
    assert {market.extras["series_ticker"] for market in found} == {series}
    tag = next(iter(market_in(sim, "polymarket").event.tags)).lower().replace(" ", "-")
    assert [market async for market in polymarket.get_markets(tag=tag)]
    with pytest.raises(ValueError, match="by tag"):
        await anext(kalshi.get_markets(tag="nba"))
    with pytest.raises(ValueError, match="series"):
        await anext(polymarket.get_markets(series="nba"))


async def test_an_event_without_markets_is_an_empty_listing(client: Client) -> None:
    assert [market async for market in client.get_markets(event="NO-SUCH-EVENT")] == []


async def test_search_finds_words_of_titles(client: Client, sim: SimServer) -> None:
    wanted = market_in(sim, client.venue)
    found = [market async for market in client.search_markets(wanted.title.upper())]
    assert wanted.id in [market.market_id for market in found]
    assert len(found) < 12
    first = [market async for market in client.search_markets(wanted.title, limit=1)]
    assert len(first) == 1
    assert [market async for market in client.search_markets("xyzzy nothing")] == []


async def test_a_market_with_what_its_event_adds(client: Client, sim: SimServer) -> None:
    truth = market_in(sim, client.venue)
    market = await client.get_market(truth.id)
    assert (market.market_id, market.platform) == (truth.id, client.venue)
    assert (market.title, market.event_title) == (truth.title, truth.event.title)
    assert market.category


async def test_the_orderbook_is_the_true_one_in_yes_terms(client: Client, sim: SimServer) -> None:
    truth = market_in(sim, client.venue)
    book = await client.get_orderbook(truth.id)
    assert list(book.bids) == decimals(truth.yes_bids, best_first=True)
    assert list(book.asks) == decimals(truth.yes_asks, best_first=False)
    assert book.best_bid is not None
    assert book.best_ask is not None
    assert book.best_bid.price < book.best_ask.price
    top = await client.get_orderbook(truth.id, depth=2)
    assert (top.bids, top.asks) == (book.bids[:2], book.asks[:2])
    assert (await client.get_orderbook(truth.id, depth=500)).bids == book.bids
    with pytest.raises(ValueError, match="depth"):
        await client.get_orderbook(truth.id, depth=0)


async def test_trades_newest_first_in_yes_terms(client: Client, sim: SimServer) -> None:
    truth = market_in(sim, client.venue)
    trades = [trade async for trade in client.get_trades(truth.id)]
    told = [(t.price * 10_000, t.size * 1_000_000, t.taker) for t in trades]
    real = [(t.price, t.size, "buy" if t.taker == "bid" else "sell") for t in truth.trades]
    assert len(told) > 5
    assert sorted(told) == sorted(real)
    assert [t.ts_ns for t in trades] == sorted((t.ts_ns for t in trades), reverse=True)
    later = [trade async for trade in client.get_trades(truth.id, since=now())]
    assert later == []
    earlier = client.get_trades(truth.id, until=now() - timedelta(hours=1))
    assert [trade async for trade in earlier] == []
    between = client.get_trades(truth.id, since=now() - timedelta(hours=1), until=now())
    assert len([trade async for trade in between]) == len(trades)


async def test_candles_hold_the_trades_of_their_period(client: Client, sim: SimServer) -> None:
    truth = market_in(sim, client.venue)
    start, end = now() - timedelta(minutes=30), now() + timedelta(minutes=2)
    found = [candle async for candle in client.get_price_history(truth.id, start, end, "1m")]
    traded = [candle for candle in found if candle.close is not None]
    prices = [Decimal(trade.price) / 10_000 for trade in truth.trades]
    assert max(candle.high for candle in traded if candle.high is not None) == max(prices)
    assert min(candle.low for candle in traded if candle.low is not None) == min(prices)
    assert all(candle.end_ns - candle.start_ns == 60_000_000_000 for candle in found)
    ends = [candle.end_ns for candle in found]
    assert ends == sorted(set(ends))
    assert int(start.timestamp() * 1e9) < ends[0]
    assert ends[-1] <= int(end.timestamp() * 1e9)
    volumes = [candle.volume for candle in traded if candle.volume is not None]
    if client.venue == "kalshi":
        assert sum(volumes) == sum(Decimal(t.size) for t in truth.trades) / 1_000_000
    else:
        assert volumes == []


async def test_a_long_history_is_asked_for_in_parts(client: Client, sim: SimServer) -> None:
    """Ninety days of minutes: more than either venue hands out at once."""
    truth = market_in(sim, client.venue)
    before = sim.counters[f"{client.venue}_rest_requests"]
    history = client.get_price_history(truth.id, now() - timedelta(days=20), now(), "1m")
    ends = [candle.end_ns async for candle in history]
    assert ends == sorted(set(ends))
    assert sim.counters[f"{client.venue}_rest_requests"] - before > 2


async def test_a_no_token_is_answered_in_yes_terms(sim: SimServer, stack: AsyncExitStack) -> None:
    client = await stack.enter_async_context(client_of(sim, "polymarket"))
    truth = market_in(sim, "polymarket")
    assert (await client.get_market(truth.other_id)).market_id == truth.id
    book = await client.get_orderbook(truth.other_id)
    assert book.market_id == truth.id
    assert list(book.bids) == decimals(truth.yes_bids, best_first=True)


async def test_what_does_not_exist_is_not_found(client: Client) -> None:
    nobody = NOBODY[client.venue]
    start, end = now() - timedelta(hours=1), now()
    asked: list[Any] = [
        client.get_market(nobody),
        client.get_orderbook(nobody),
        anext(client.get_price_history(nobody, start, end)),
        client.get_market("nonsense?!"),
        client.get_orderbook("nonsense?!"),
    ]
    for question in asked:
        with pytest.raises(NotFound, match=r"[Kk]alshi|[Pp]olymarket"):
            await question
    if client.venue == "polymarket":
        with pytest.raises(NotFound):
            await anext(client.get_trades(nobody))
    else:  # Kalshi lists the trades of an unknown market: there are none.
        assert [trade async for trade in client.get_trades(nobody)] == []


async def test_a_settled_market_has_no_book_at_polymarket(
    sim: SimServer, stack: AsyncExitStack
) -> None:
    client = await stack.enter_async_context(client_of(sim, "polymarket"))
    ended = market_in(sim, "polymarket")
    sim.close_market(ended.id)
    with pytest.raises(NotFound, match="settled"):
        await client.get_orderbook(ended.id)


async def test_a_429_is_waited_out_when_the_venue_says_how_long(
    client: Client, sim: SimServer, venue: str
) -> None:
    sim.faults.fail_rest(venue, 429, count=1, retry_after_s=0.2)
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    assert await client.get_market(ids_of(sim, venue)[0])
    assert loop.time() - began_s >= 0.2


async def test_a_429_for_too_long_is_told_with_its_time(
    client: Client, sim: SimServer, venue: str
) -> None:
    sim.faults.fail_rest(venue, 429, count=1, retry_after_s=60)
    with pytest.raises(RequestFailed) as caught:
        await client.get_market(ids_of(sim, venue)[0])
    assert (caught.value.status, caught.value.retry_after_s) == (429, 60)


async def test_an_outage_is_an_error_at_once(client: Client, sim: SimServer, venue: str) -> None:
    sim.faults.html_rest(venue, 502, count=1)
    with pytest.raises(RequestFailed, match="502") as caught:
        await client.get_market(ids_of(sim, venue)[0])
    assert caught.value.status == 502


async def test_a_slow_answer_can_be_cancelled(client: Client, sim: SimServer, venue: str) -> None:
    sim.faults.delay_rest(venue, 3.0, count=1)
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await client.get_market(ids_of(sim, venue)[0])
    assert loop.time() - began_s < 2.5
    assert await client.get_market(ids_of(sim, venue)[0])


async def test_a_listing_may_be_left_at_any_time(client: Client) -> None:
    async with aclosing(client.get_markets()) as markets:
        first = await anext(markets)
    assert first.market_id
    async for market in client.get_markets():
        assert market.market_id == first.market_id
        break


async def test_a_closed_client_says_so(sim: SimServer, venue: str) -> None:
    client = client_of(sim, venue)
    with pytest.raises(RuntimeError, match="async with"):
        await client.get_market(ids_of(sim, venue)[0])
    for _ in range(2):  # and it may be opened again
        async with client:
            assert await client.get_market(ids_of(sim, venue)[0])


async def test_clients_from_the_daemons_settings(sim: SimServer) -> None:
    settings = load_settings(
        None,
        {
            "kalshi.rest_url": sim.kalshi_rest_url,
            "kalshi.ws_url": sim.kalshi_ws_url,
            "kalshi.api_key_id": sim.credentials.api_key_id,
            "kalshi.private_key_pem": sim.credentials.private_key_pem,
            "polymarket.gamma_url": sim.gamma_url,
            "polymarket.clob_url": sim.clob_url,
            "polymarket.ws_url": sim.polymarket_ws_url,
        },
        environ={},
    )
    options: ClientOptions = FAST
    async with (
        KalshiClient.from_settings(settings, options=options) as kalshi,
        PolymarketClient.from_settings(settings, options=options) as polymarket,
    ):
        assert await kalshi.get_orderbook(sim.kalshi_tickers[0])
        assert await polymarket.get_orderbook(sim.polymarket_tokens[0])
