"""What a Kalshi client is sent, and that it amounts to the truth."""

import math
from collections import Counter
from decimal import Decimal

import pytest

from arbees_feed.sim.money import PRICE_SCALE, SIZE_SCALE

LAST_STATUS = "finalized"


def truth(market):
    """Return the true book as Kalshi tells it: bids of both sides."""
    return {
        "yes": {
            Decimal(p) / PRICE_SCALE: Decimal(s) / SIZE_SCALE for p, s in market.yes_bids.items()
        },
        "no": {
            1 - Decimal(p) / PRICE_SCALE: Decimal(s) / SIZE_SCALE
            for p, s in market.yes_asks.items()
        },
    }


async def test_twenty_folded_books_equal_the_truth(open_sim, kalshi):
    sim = await open_sim(
        paused=False, kalshi_markets=20, cross_share=0.05, empty_share=0.02, seed=5, rate=20_000.0
    )
    client = await kalshi(sim)
    await client.subscribe(["orderbook_delta"], market_tickers=sim.kalshi_tickers)
    while len(client.frames) < 3000:
        await client.receive()
    sim.pause()
    await sim.drained()
    await client.settle()
    assert not client.gaps
    assert len(client.books) == 20
    for ticker, book in client.books.items():
        assert book == truth(sim.world.market(ticker))


async def test_flat_out_is_as_fast_as_the_reader_and_loses_nothing(open_sim, kalshi):
    sim = await open_sim(paused=False, rate=math.inf, send_buffer_limit=2_000_000)
    client = await kalshi(sim)
    await client.subscribe(["orderbook_delta"], market_tickers=sim.kalshi_tickers)
    while len(client.frames) < 5000:
        await client.receive()
    sim.pause()
    await sim.drained()
    await client.settle()
    assert not client.gaps
    assert not sim.counters["kalshi_slow_consumers"]
    for ticker, book in client.books.items():
        assert book == truth(sim.world.market(ticker))


@pytest.mark.parametrize("use_yes_price", [False, True])
async def test_no_prices_are_on_the_scale_asked_for(open_sim, kalshi, use_yes_price):
    sim = await open_sim()
    client = await kalshi(sim)
    await client.subscribe(
        ["orderbook_delta"], market_tickers=sim.kalshi_tickers, use_yes_price=use_yes_price
    )
    sim.step(300)
    await client.settle()
    for ticker, book in client.books.items():
        no = truth(sim.world.market(ticker))["no"]
        assert book["no"] == ({1 - p: s for p, s in no.items()} if use_yes_price else no)


async def test_deltas_are_written_as_documented(open_sim, kalshi):
    sim = await open_sim(trade_share=0.0)
    client = await kalshi(sim)
    await client.subscribe(["orderbook_delta"], market_tickers=sim.kalshi_tickers)
    sim.step(20)
    deltas = [f for f in await client.settle() if f["type"] == "orderbook_delta"]
    msg = deltas[0]["msg"]
    assert list(msg) == [
        "market_ticker", "market_id", "price_dollars", "delta_fp", "side", "ts", "ts_ms",
    ]  # fmt: skip
    assert len(msg["price_dollars"]) == len("0.4800")
    assert msg["delta_fp"].partition(".")[2].isdecimal()
    assert len(msg["delta_fp"].partition(".")[2]) == 2
    assert any(f["msg"]["delta_fp"].startswith("-") for f in deltas)


async def test_an_empty_side_is_an_absent_key(open_sim, kalshi):
    sim = await open_sim(empty_share=1.0, trade_share=0.0)
    sim.step(4)
    client = await kalshi(sim)
    await client.subscribe(["orderbook_delta"], market_tickers=sim.kalshi_tickers)
    for frame in client.frames:
        if frame["type"] == "orderbook_snapshot":
            market = sim.world.market(frame["msg"]["market_ticker"])
            assert ("yes_dollars_fp" in frame["msg"]) == bool(market.yes_bids)
            assert ("no_dollars_fp" in frame["msg"]) == bool(market.yes_asks)
    assert any(not sim.world.market(t).yes_bids for t in sim.kalshi_tickers)


async def test_snapshot_levels_are_ascending_with_the_best_last(open_sim, kalshi):
    sim = await open_sim()
    client = await kalshi(sim)
    (_, frame) = await client.subscribe(["orderbook_delta"], market_ticker=sim.kalshi_tickers[0])
    for side in ("yes_dollars_fp", "no_dollars_fp"):
        prices = [price for price, _ in frame["msg"][side]]
        assert prices == sorted(prices)


async def test_crosses_are_transient_and_end_at_the_same_venue_time(open_sim, kalshi):
    sim = await open_sim(cross_share=1.0, trade_share=0.0, empty_share=0.0)
    client = await kalshi(sim)
    await client.subscribe(["orderbook_delta"], market_tickers=sim.kalshi_tickers)
    sim.step(50)
    crossed_at: dict[str, int] = {}
    crosses = 0
    while len(client.frames) < 100:
        frame = await client.receive()
        if frame["type"] != "orderbook_delta":
            continue
        ticker, ts_ms = frame["msg"]["market_ticker"], frame["msg"]["ts_ms"]
        book = client.books[ticker]
        if max(book["yes"], default=0) + max(book["no"], default=0) >= 1:
            crosses += 1
            assert crossed_at.setdefault(ticker, ts_ms) == ts_ms
        else:
            crossed_at.pop(ticker, None)
    assert crosses


async def test_a_trade_follows_the_change_it_caused(open_sim, kalshi):
    sim = await open_sim(trade_share=1.0, empty_share=0.0)
    client = await kalshi(sim)
    await client.subscribe(["orderbook_delta", "trade"], market_tickers=sim.kalshi_tickers)
    sim.step(30)
    await client.settle()
    delta = None
    for frame in client.frames:
        if frame["type"] == "orderbook_delta":
            delta = frame["msg"]
        elif frame["type"] == "trade":
            trade = frame["msg"]
            maker = "no" if trade["taker_book_side"] == "bid" else "yes"
            assert (delta["side"], delta["ts_ms"]) == (maker, trade["ts_ms"])
            assert delta["price_dollars"] == trade[f"{maker}_price_dollars"]
            assert Decimal(delta["delta_fp"]) == -Decimal(trade["count_fp"])
            assert Decimal(trade["yes_price_dollars"]) + Decimal(trade["no_price_dollars"]) == 1
    assert Counter(client.kinds())["trade"] >= 10


async def test_tickers_of_all_markets_come_without_seq_and_end_at_the_truth(open_sim, kalshi):
    sim = await open_sim()
    client = await kalshi(sim)
    await client.subscribe(["ticker"])
    sim.step(400)
    await sim.drained()
    await client.settle()
    assert set(client.tickers) == set(sim.kalshi_tickers)
    for ticker, msg in client.tickers.items():
        bid, bid_size, ask, ask_size = sim.world.market(ticker).top()
        assert Decimal(msg["yes_bid_dollars"]) * PRICE_SCALE == bid
        assert Decimal(msg["yes_ask_dollars"]) * PRICE_SCALE == ask
        assert Decimal(msg["yes_bid_size_fp"]) * SIZE_SCALE == bid_size
        assert Decimal(msg["yes_ask_size_fp"]) * SIZE_SCALE == ask_size
    assert all("seq" not in f for f in client.frames if f["type"] == "ticker")


async def test_named_tickers_can_start_with_their_present_state(open_sim, kalshi):
    sim = await open_sim()
    client = await kalshi(sim)
    frames = await client.subscribe(
        ["ticker"], market_tickers=sim.kalshi_tickers[:2], send_initial_snapshot=True
    )
    assert [f["type"] for f in frames] == ["subscribed", "ticker", "ticker"]


async def test_the_ticker_is_slower_than_the_book(open_sim, kalshi):
    sim = await open_sim(paused=False, ticker_interval_s=0.05)
    client = await kalshi(sim)
    await client.subscribe(["ticker", "orderbook_delta"], market_tickers=sim.kalshi_tickers)
    while client.kinds().count("ticker") < 8:
        await client.receive()
    assert client.kinds().count("orderbook_delta") > 2 * client.kinds().count("ticker")


async def test_a_closing_market_is_cleared_by_an_empty_snapshot_then_settled(open_sim, kalshi):
    sim = await open_sim(settle_delay_s=0.02)
    ticker = sim.kalshi_tickers[0]
    client = await kalshi(sim)
    await client.subscribe(
        ["orderbook_delta", "market_lifecycle_v2"], market_tickers=sim.kalshi_tickers
    )
    sim.close_market(ticker)
    cleared = await client.until(type="orderbook_snapshot")
    assert set(cleared["msg"]) == {"market_ticker", "market_id"}
    determined = await client.until(type="market_lifecycle_v2")
    assert determined["msg"]["event_type"] == "determined"
    assert determined["msg"]["result"] in ("yes", "no")
    settled = await client.until(type="market_lifecycle_v2")
    assert settled["msg"]["event_type"] == "settled"
    assert client.kinds().count("orderbook_delta") == 0
    assert not client.gaps
    assert sim.world.market(ticker).status == LAST_STATUS


async def test_a_market_ends_by_itself_at_its_close_time(open_sim, kalshi):
    sim = await open_sim(settle_delay_s=0.01)
    client = await kalshi(sim)
    await client.subscribe(["market_lifecycle_v2"])
    market = sim.open_market("kalshi", close_in_s=0.05)
    created = await client.until(type="market_lifecycle_v2")
    assert created["msg"]["event_type"] == "created"
    assert created["msg"]["additional_metadata"]["event_ticker"] == market.event.id
    assert client.kinds().count("event_lifecycle") == 1
    assert (await client.until(type="market_lifecycle_v2"))["msg"]["event_type"] == "determined"
    assert not client.gaps


async def test_the_server_pings_with_its_heartbeat(open_sim, http):
    import aiohttp  # noqa: PLC0415 (only here)

    from arbees_feed.sim.shared import wall_clock_ms  # noqa: PLC0415 (only here)

    sim = await open_sim(ping_interval_s=0.02)
    headers = sim.credentials.headers("GET", "/trade-api/ws/v2", wall_clock_ms())
    async with http.ws_connect(sim.kalshi_ws_url, headers=headers, autoping=False) as ws:
        message = await ws.receive()
        assert (message.type, bytes(message.data)) == (aiohttp.WSMsgType.PING, b"heartbeat")
