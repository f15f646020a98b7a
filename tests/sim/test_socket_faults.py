"""Silence and slowness on open sockets, and handshakes that hang."""

import asyncio
import json
import time

import aiohttp
import pytest
from support.sim_books import decimals, kalshi_truth, truth

from arbees_feed.sim import SimConfig, SimServer
from arbees_feed.sim.throttle import Throttle

VENUES = ["kalshi", "polymarket"]
BLINK_S = 0.05


async def hears_nothing(client):
    """Tell whether nothing at all comes for a moment."""
    try:
        await asyncio.wait_for(client.ws.receive(), BLINK_S)
    except TimeoutError:
        return True
    return False


async def follow(client, sim, venue):
    """Subscribe to all markets, without waiting for an answer."""
    if venue == "kalshi":
        await client.command(
            "subscribe", channels=["orderbook_delta"], market_tickers=sim.kalshi_tickers
        )
    else:
        await client.ws.send_json({"type": "market", "assets_ids": sim.polymarket_tokens})


async def one_frame(client):
    """Read the next frame."""
    return json.loads((await client.ws.receive()).data)


# Black holes.


@pytest.mark.parametrize("venue", VENUES)
async def test_a_black_hole_sends_nothing_and_stays_open(open_sim, connect, venue):
    sim = await open_sim(ping_interval_s=0.01, idle_timeout_s=0.05)
    client = await connect[venue](sim, autoping=False, heartbeat=None)
    await follow(client, sim, venue)
    await client.ws.receive()
    assert sim.faults.black_hole(venue, new_sockets=False) == 1
    await sim.drained()
    while not await hears_nothing(client):
        pass
    sim.step(200)
    sim.faults.send_text(venue, "hello")
    await client.ws.send_str("PING")
    await client.ws.ping(b"are you there?")
    await follow(client, sim, venue)
    assert await hears_nothing(client)
    assert not client.ws.closed
    assert sim.connections()[venue] == 1
    assert sim.counters["fault_black_holes"] == 1


@pytest.mark.parametrize("venue", VENUES)
async def test_a_socket_that_is_no_hole_answers_pings(open_sim, connect, venue):
    sim = await open_sim(ping_interval_s=60)
    client = await connect[venue](sim, autoping=False)
    await client.ws.ping(b"are you there?")
    message = await client.ws.receive()
    assert (message.type, bytes(message.data)) == (aiohttp.WSMsgType.PONG, b"are you there?")


@pytest.mark.parametrize("venue", VENUES)
async def test_a_hole_does_not_answer_a_close_and_goes_with_its_client(open_sim, connect, venue):
    sim = await open_sim()
    client = await connect[venue](sim, timeout=aiohttp.ClientWSTimeout(ws_close=BLINK_S))
    sim.faults.black_hole(venue)
    await client.ws.close()
    assert client.ws.close_code == 1006
    (left,) = sim.sockets(venue)
    await left.gone()


@pytest.mark.parametrize("venue", VENUES)
async def test_new_sockets_fall_into_the_hole_until_it_ends_and_old_ones_stay(
    open_sim, connect, venue
):
    sim = await open_sim()
    sim.faults.black_hole(venue)
    inside = await connect[venue](sim)
    await follow(inside, sim, venue)
    assert await hears_nothing(inside)
    await sim.faults.end("black_hole", venue)
    outside = await connect[venue](sim)
    await follow(outside, sim, venue)
    assert await one_frame(outside)
    assert await hears_nothing(inside)
    assert sim.faults.abort_sockets(venue) == 2


async def test_the_simulation_ends_although_a_socket_is_a_hole(polymarket):
    async with SimServer(SimConfig(rate=1.0)) as sim:
        client = await polymarket(sim)
        sim.faults.black_hole("polymarket")
        began_s = time.monotonic()
    assert time.monotonic() - began_s < 5
    assert (await client.ws.receive()).type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)


# Handshakes.


@pytest.mark.parametrize("venue", VENUES)
async def test_handshakes_hang_until_the_fault_ends(open_sim, connect, venue):
    sim = await open_sim()
    sim.faults.slow_handshake(venue)
    connecting = asyncio.ensure_future(connect[venue](sim))
    async with asyncio.timeout(30):
        while not sim.counters["fault_slow_handshakes"]:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(BLINK_S)
    assert not connecting.done()
    assert sim.counters["fault_slow_handshakes"] == 1
    await sim.faults.end("slow_handshake", venue)
    client = await connecting
    await follow(client, sim, venue)
    assert await one_frame(client)


async def test_only_so_many_handshakes_are_slow_and_only_for_so_long(open_sim, polymarket):
    sim = await open_sim()
    sim.faults.slow_handshake("polymarket", 0.1, count=1)
    began_s = time.monotonic()
    await polymarket(sim)
    assert time.monotonic() - began_s >= 0.1
    sim.faults.slow_handshake("polymarket", 60, count=0)
    await asyncio.wait_for(polymarket(sim), 5)


async def test_a_client_that_gives_up_a_handshake_leaves_nothing_behind(open_sim, polymarket):
    sim = await open_sim()
    sim.faults.slow_handshake("polymarket")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(polymarket(sim), BLINK_S)
    sim.faults.clear()
    client = await polymarket(sim)
    assert len(await client.begin(sim.polymarket_tokens)) == 4
    assert sim.connections()["polymarket"] == 1


async def test_the_simulation_ends_although_a_handshake_hangs(polymarket):
    async with SimServer(SimConfig(rate=1.0)) as sim:
        sim.faults.slow_handshake("polymarket")
        connecting = asyncio.ensure_future(polymarket(sim))
        await asyncio.sleep(BLINK_S)
        began_s = time.monotonic()
    assert time.monotonic() - began_s < 5
    with pytest.raises(aiohttp.ClientError):
        await connecting


# Freezes and omissions.


async def test_a_frozen_market_gives_no_snapshot_unless_it_answers(open_sim, kalshi):
    sim = await open_sim(polymarket_markets=0)
    ticker = sim.kalshi_tickers[0]
    client = await kalshi(sim)
    await client.subscribe(["orderbook_delta"], market_tickers=sim.kalshi_tickers)
    snapshot = {"sid": 1, "action": "get_snapshot", "market_tickers": [ticker]}
    sim.faults.freeze(market=ticker)
    await client.command("update_subscription", **snapshot)
    assert await client.settle() == []
    sim.faults.freeze(market=ticker, answers=True)
    sim.step(300)
    await client.settle()
    await client.command("update_subscription", **snapshot)
    (answer,) = await client.settle()
    assert answer["type"] == "orderbook_snapshot"
    assert client.books[ticker] == kalshi_truth(sim.world.market(ticker))
    sim.step(300)
    heard = {f["msg"]["market_ticker"] for f in await client.settle()}
    assert heard == set(sim.kalshi_tickers) - {ticker}
    assert not client.gaps


async def test_a_frozen_venue_can_answer_subscriptions_with_books_and_no_changes(
    open_sim, polymarket
):
    sim = await open_sim()
    old = await polymarket(sim)
    await old.begin(sim.polymarket_tokens)
    sim.faults.freeze("polymarket", answers=True)
    new = await polymarket(sim)
    assert len(await new.begin(sim.polymarket_tokens)) == len(sim.polymarket_tokens)
    await old.operation("unsubscribe", sim.polymarket_tokens)
    await old.operation("subscribe", sim.polymarket_tokens)
    assert len(json.loads(await old.receive())) == len(sim.polymarket_tokens)
    sim.step(300)
    for client in (old, new):
        assert await client.settle() == []


async def test_an_omitted_kalshi_market_is_silent_on_old_subscriptions_only(open_sim, kalshi):
    sim = await open_sim(polymarket_markets=0, kalshi_markets=3)
    ticker, *siblings = sim.kalshi_tickers
    market = sim.world.market(ticker)
    old = await kalshi(sim)
    await old.subscribe(["orderbook_delta", "ticker"], market_tickers=sim.kalshi_tickers)
    assert sim.faults.omit_market(ticker) == 1
    new = await kalshi(sim)
    await new.subscribe(["orderbook_delta"], market_tickers=sim.kalshi_tickers)
    sim.step(300)
    await sim.drained()
    await new.settle()
    frames = await old.settle()
    deltas = {f["msg"]["market_ticker"] for f in frames if f["type"] == "orderbook_delta"}
    assert deltas == set(siblings)
    assert ticker in {f["msg"]["market_ticker"] for f in frames if f["type"] == "ticker"}
    assert not old.gaps
    assert new.books[ticker] == kalshi_truth(market) != old.books[ticker]
    # A question is answered, and does not mend it; leaving and joining does.
    await old.command("update_subscription", sid=1, action="get_snapshot", market_tickers=[ticker])
    await old.settle()
    assert old.books[ticker] == kalshi_truth(market)
    sim.step(200)
    await old.settle()
    assert old.books[ticker] != kalshi_truth(market)
    for action in ("delete_markets", "add_markets"):
        await old.command("update_subscription", sid=1, action=action, market_tickers=[ticker])
    await old.settle()
    sim.step(200)
    await old.settle()
    assert old.books[ticker] == kalshi_truth(market)
    assert sim.counters["fault_omissions"] == 1


async def test_an_omitted_polymarket_market_is_silent_until_it_is_subscribed_anew(
    open_sim, polymarket
):
    sim = await open_sim(kalshi_markets=0, polymarket_markets=3)
    token, *siblings = sim.polymarket_tokens
    market = sim.world.market(token)
    client = await polymarket(sim)
    await client.begin(sim.polymarket_tokens, custom_feature_enabled=True)
    client.messages.clear()
    sim.faults.omit_market(token)
    sim.step(300)
    await sim.drained()
    await client.settle()
    heard = {message["market"] for message in client.messages}
    assert heard == {sim.world.market(sibling).condition_id for sibling in siblings}
    await client.operation("unsubscribe", [token])
    await client.operation("subscribe", [token])
    await client.settle()
    sim.step(300)
    await client.settle()
    assert decimals(client.books[token]) == truth(market, token)


@pytest.mark.parametrize("venue", VENUES)
async def test_an_omission_ends_with_a_whole_book(open_sim, connect, venue):
    sim = await open_sim(kalshi_markets=1, polymarket_markets=1)
    client = await connect[venue](sim)
    await follow(client, sim, venue)
    market = next(sim.world.markets(venue))
    await client.settle()
    sim.faults.omit_market(market.id)
    sim.step(50)
    assert await client.settle() == []
    await sim.faults.end("omit_market", market=market.id)
    await client.settle()
    sim.step(50)
    await client.settle()
    if venue == "kalshi":
        assert client.books[market.id] == kalshi_truth(market)
    else:
        assert decimals(client.books[market.id]) == truth(market, market.id)


async def test_the_end_of_a_venues_freeze_leaves_a_markets_freeze_alone(open_sim, polymarket):
    sim = await open_sim(kalshi_markets=0, polymarket_markets=2)
    frozen, other = sim.polymarket_tokens
    client = await polymarket(sim)
    await client.begin([frozen, other])
    sim.faults.freeze("polymarket")
    sim.faults.freeze(market=frozen)
    await sim.faults.end("freeze", "polymarket")
    await client.settle()
    client.messages.clear()
    sim.step(200)
    await client.settle()
    assert {m["market"] for m in client.messages} == {sim.world.market(other).condition_id}
    sim.faults.clear()
    await client.settle()
    sim.step(100)
    await client.settle()
    assert decimals(client.books[frozen]) == truth(sim.world.market(frozen), frozen)


# Lag.


@pytest.mark.parametrize("venue", VENUES)
async def test_frames_come_later_and_later_with_honest_times(open_sim, connect, venue):
    sim = await open_sim(kalshi_markets=1, polymarket_markets=1, trade_share=0.0)
    client = await connect[venue](sim)
    await follow(client, sim, venue)
    await client.settle()
    assert sim.faults.lag(venue, 0.4, growth=2.0) == 1

    async def move():
        while True:
            sim.step(2)
            await asyncio.sleep(0.01)

    moving = asyncio.ensure_future(move())
    ages_ms = []
    while len(ages_ms) < 60:
        frame = await one_frame(client)
        if frame.get("type", frame.get("event_type")) in ("orderbook_delta", "price_change"):
            told_ms = frame["msg"]["ts_ms"] if venue == "kalshi" else int(frame["timestamp"])
            ages_ms.append(time.time_ns() // 1_000_000 - told_ms)
    moving.cancel()
    assert ages_ms[-1] > ages_ms[0] + 100
    assert max(ages_ms) < 5000


async def test_a_new_socket_does_not_lag_and_an_ended_one_gets_all_at_once(open_sim, kalshi):
    sim = await open_sim(polymarket_markets=0)
    old = await kalshi(sim)
    await old.subscribe(["orderbook_delta"], market_tickers=sim.kalshi_tickers)
    sim.faults.lag("kalshi", 60, growth=100_000.0)
    await asyncio.sleep(0.01)
    sim.step(100)
    assert await hears_nothing(old)
    new = await kalshi(sim)
    await new.subscribe(["orderbook_delta"], market_tickers=sim.kalshi_tickers)
    sim.faults.lag("kalshi", 0)
    await old.settle()
    assert not old.gaps
    assert old.books == new.books
    assert sim.counters["fault_lags"] == 1


async def test_a_lagging_socket_is_a_slow_consumer_in_the_end(open_sim, polymarket):
    sim = await open_sim(send_buffer_limit=20_000)
    client = await polymarket(sim)
    await client.begin(sim.polymarket_tokens)
    sim.faults.lag("polymarket", 60, growth=100_000.0)
    await asyncio.sleep(0.01)
    while not sim.counters["polymarket_slow_consumers"]:
        sim.step(100)


async def test_a_throttle_keeps_the_order_and_forgets_on_demand():
    written = []
    throttle = Throttle(written.append, longest_s=0.02, growth=10.0)
    for number in range(5):
        throttle.put(bytes([number]))
    assert throttle.waiting == 5
    await asyncio.sleep(0.1)  # twice as long as the last one may wait
    assert throttle.waiting == 0
    assert b"".join(written) == bytes(range(5))
    throttle.put(b"x")
    throttle.forget()
    await asyncio.sleep(0.05)
    assert b"x" not in written
