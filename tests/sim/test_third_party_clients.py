"""Clients that other people wrote, unchanged, read the simulated venues and see the truth.

They are installed with the dependency group `clients`; where one is missing, its tests are skipped.
"""

import asyncio
import dataclasses
from decimal import Decimal
from typing import Any

import pytest

SETUP = "install the dependency group `clients`"
PRICE = Decimal(10_000)
SIZE = Decimal(1_000_000)


def need(module: str) -> Any:
    """Import a client, or skip the test where it is not installed, or only half there.

    (kalshi-python-async 3.2.0, all that installs on Python 3.11, forgets to require urllib3.)
    """
    return pytest.importorskip(module, reason=f"{module}: {SETUP}", exc_type=ImportError)


def scaled(levels: dict[int, int], *, mirror: bool = False) -> dict[Decimal, Decimal]:
    """Return true levels in decimals, on the other leg's scale if mirrored."""
    return {(1 - p / PRICE if mirror else p / PRICE): s / SIZE for p, s in levels.items()}


def polymarket_client(sim):
    """Return the official client, told only where the venue is."""
    environments = need("polymarket._internal.environment")
    config = dataclasses.replace(
        environments.PRODUCTION_CONFIG,
        gamma_url=sim.gamma_url,
        clob_url=sim.clob_url,
        clob_market_ws_url=sim.polymarket_ws_url,
    )
    environment = environments.create_environment(name="sim", config=config)
    return need("polymarket").AsyncPublicClient(environment)


async def test_polymarket_client_lists_and_reads_markets(open_sim):
    sim = await open_sim(polymarket_markets=9, v2_share=0.4)
    sim.step(300)
    async with polymarket_client(sim) as client:
        page = await client.list_markets(closed=False, page_size=5).first_page()
        assert len(page.items) == 5
        for token in sim.polymarket_tokens:
            market = sim.world.market(token)
            book = await client.get_order_book(asset_id=token)
            assert {level.price: level.size for level in book.bids} == scaled(market.yes_bids)
            assert {level.price: level.size for level in book.asks} == scaled(market.yes_asks)
            assert book.condition_id == market.condition_id
        found = await client.get_market(slug=sim.world.market(sim.polymarket_tokens[0]).slug)
        assert found.question == sim.world.market(sim.polymarket_tokens[0]).title


async def test_polymarket_client_folds_the_stream_to_the_truth(open_sim):
    spec = need("polymarket.streams").MarketSpec
    sim = await open_sim(polymarket_markets=6, trade_share=0.2)
    tokens = sim.polymarket_tokens
    books: dict[str, dict[str, dict[Decimal, Decimal]]] = {}
    kinds: set[str] = set()
    async with (
        polymarket_client(sim) as client,
        await client.subscribe(spec(asset_ids=tokens, custom_feature_enabled=True)) as handle,
    ):

        async def fold(until: str) -> None:
            async for event in handle:
                kinds.add(event.type)
                fold_event(books, event)
                if event.type == until:
                    return

        await fold("book")
        for _ in range(40):
            sim.step(10)
            await sim.drained()
        sim.open_market("polymarket")
        await fold("new_market")
    assert handle.dropped == 0
    for token in tokens:
        market = sim.world.market(token)
        assert books[token]["BUY"] == scaled(market.yes_bids)
        assert books[token]["SELL"] == scaled(market.yes_asks)
    assert {"book", "price_change", "last_trade_price", "best_bid_ask"} <= kinds


def fold_event(books, event):
    """Apply an event of the official client."""
    payload = event.payload
    if event.type == "book":
        books[payload.asset_id] = {
            "BUY": {level.price: level.size for level in payload.bids},
            "SELL": {level.price: level.size for level in payload.asks},
        }
    elif event.type == "price_change":
        for change in payload.price_changes:
            if change.asset_id in books:
                levels = books[change.asset_id][change.side]
                levels[change.price] = change.size
                if not change.size:
                    del levels[change.price]


def kalshi_sdk(sim):
    """Return (auth, config) of the third-party SDK."""
    sdk = need("kalshi")
    # This SDK knows RSA keys only.
    key = sim.rsa_credentials
    config = sdk.KalshiConfig(
        base_url=sim.kalshi_rest_url, ws_base_url=sim.kalshi_ws_url, ws_close_timeout=0.5
    )
    return sdk.KalshiAuth.from_pem(key.api_key_id, key.private_key_pem), config


async def test_kalshi_sdk_folds_the_stream_to_the_truth(open_sim):
    # It requires both sides in a snapshot: an empty side would be an error to it.
    sim = await open_sim(kalshi_markets=6, polymarket_markets=0, empty_share=0.0)
    auth, config = kalshi_sdk(sim)
    async with need("kalshi.ws").KalshiWebSocket(auth, config).connect() as ws:
        stream = await ws.subscribe_orderbook_delta(tickers=sim.kalshi_tickers)
        sim.step(300)
        await sim.drained()
        snapshots = {}
        deltas = 0
        async for message in stream:
            if message.type == "orderbook_snapshot":
                snapshots[message.msg.market_ticker] = message.msg
            else:
                deltas += 1
            if deltas == sim.counters["changes"]:
                break
    for ticker in sim.kalshi_tickers:
        market = sim.world.market(ticker)
        assert snapshots[ticker].yes == scaled(market.yes_bids)
        assert snapshots[ticker].no == scaled(market.yes_asks, mirror=True)


async def test_kalshi_sdk_reads_rest(open_sim):
    sim = await open_sim(kalshi_markets=5)
    auth, config = kalshi_sdk(sim)
    async with need("kalshi").AsyncKalshiClient(auth=auth, config=config) as client:
        # Not its market lists: version 22.4.0 wants `liquidity_dollars`, gone since 2026-10-01.
        book = await client.markets.orderbook(sim.kalshi_tickers[0])
        market = sim.world.market(sim.kalshi_tickers[0])
        assert {level.price: level.quantity for level in book.yes} == scaled(market.yes_bids)
        status = await client.exchange.status()
        assert status.exchange_active


@pytest.mark.parametrize("kind", ["ed25519_credentials", "rsa_credentials"])
async def test_kalshi_python_async_reads_rest(open_sim, kind):
    official = need("kalshi_python_async")
    sim = await open_sim(kalshi_markets=5)
    sim.step(100)
    key = getattr(sim, kind)
    async with official.ApiClient(official.Configuration(host=sim.kalshi_rest_url)) as api:
        api.kalshi_auth = official.KalshiAuth(key.api_key_id, key.private_key_pem)
        markets = official.MarketApi(api)
        listed = await markets.get_markets(limit=3)
        assert [market.ticker for market in listed.markets] == sim.kalshi_tickers[:3]
        assert listed.cursor
        ticker = sim.kalshi_tickers[0]
        market = sim.world.market(ticker)
        one = (await markets.get_market(ticker=ticker)).market
        assert Decimal(str(one.yes_bid_dollars)) == market.best_bid() / PRICE
        book = (await markets.get_market_orderbook(ticker=ticker)).orderbook_fp
        told = {Decimal(price): Decimal(size) for price, size in book.yes_dollars}
        assert told == scaled(market.yes_bids)
        events = await official.EventsApi(api).get_events(with_nested_markets=True)
        assert [m.ticker for event in events.events for m in event.markets] == sim.kalshi_tickers
        series = await markets.get_series(series_ticker=market.event.series)
        assert series.series.ticker == market.event.series
        assert (await official.ExchangeApi(api).get_exchange_status()).exchange_active
        trades = await markets.get_trades(ticker=ticker)
        assert len(trades.trades) == len(market.trades)
        limits = await official.AccountApi(api).get_account_api_limits()
        assert limits.read.refill_rate


async def test_the_clients_above_do_not_hide_a_hanging_simulation(open_sim):
    """A simulation with nobody connected drains at once."""
    sim = await open_sim()
    sim.step(50)
    async with asyncio.timeout(1):
        await sim.drained()
