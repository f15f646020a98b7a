"""Each fault, seen from outside: what a client meets, and that it is counted."""

import email.utils
import time

import aiohttp
import pytest

from arbees_feed.sim import SimConfig, SimServer
from arbees_feed.sim.shared import wall_clock_ms

WS_PATH = "/trade-api/ws/v2"


async def act(http, base, action, **body):
    """Use the HTTP control."""
    async with http.post(f"{base}/sim/{action}", json=body) as response:
        return response.status, await response.json()


async def next_close(client):
    """Read up to the end of a connection."""
    while (message := await client.ws.receive()).type is aiohttp.WSMsgType.TEXT:
        pass
    return message


async def test_a_dropped_kalshi_frame_leaves_a_gap_in_the_sequence(open_sim, kalshi):
    sim = await open_sim(kalshi_markets=1, polymarket_markets=0)
    ticker = sim.kalshi_tickers[0]
    client = await kalshi(sim)
    await client.subscribe(["orderbook_delta"], market_tickers=[ticker])
    sim.faults.drop_frames(ticker, 2)
    sim.step(10)
    frames = [f for f in client.frames + await client.settle() if f["type"] == "orderbook_delta"]
    assert frames[0]["seq"] == 4
    assert len(client.gaps) == 1
    assert sim.counters["fault_dropped_frames"] == 2


async def test_a_dropped_polymarket_change_leaves_a_wrong_book(open_sim, polymarket):
    sim = await open_sim(kalshi_markets=0, polymarket_markets=1)
    token = sim.polymarket_tokens[0]
    client = await polymarket(sim)
    await client.begin([token])
    sim.faults.drop_frames(token)
    sim.step(1)
    await client.settle()
    assert not client.of("price_change")
    assert sim.counters["fault_dropped_frames"] == 1


async def test_a_duplicated_frame_comes_twice_with_one_number(open_sim, kalshi):
    sim = await open_sim(kalshi_markets=1, polymarket_markets=0)
    ticker = sim.kalshi_tickers[0]
    client = await kalshi(sim)
    await client.command("subscribe", channels=["orderbook_delta"], market_tickers=[ticker])
    await client.until(type="orderbook_snapshot")
    sim.faults.duplicate_frames(ticker)
    sim.step(2)
    first = (await client.ws.receive()).json()
    second = (await client.ws.receive()).json()
    third = (await client.ws.receive()).json()
    assert [first["seq"], second["seq"], third["seq"]] == [2, 2, 3]
    assert first["msg"] == second["msg"]


@pytest.mark.parametrize("venue", ["kalshi", "polymarket"])
async def test_sockets_are_closed_with_a_code(open_sim, connect, venue):
    sim = await open_sim()
    client = await connect[venue](sim)
    assert sim.faults.close_sockets(venue, 1013, "slow consumer: send buffer full") == 1
    message = await next_close(client)
    assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1013)


@pytest.mark.parametrize("venue", ["kalshi", "polymarket"])
async def test_sockets_are_cut_without_a_word(open_sim, connect, venue):
    sim = await open_sim()
    client = await connect[venue](sim)
    assert sim.faults.abort_sockets(venue) == 1
    message = await next_close(client)
    assert message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
    assert client.ws.close_code == 1006


async def test_a_frozen_kalshi_answers_but_sends_no_data_until_thawed(open_sim, kalshi):
    sim = await open_sim()
    client = await kalshi(sim)
    await client.subscribe(["orderbook_delta", "ticker"], market_tickers=sim.kalshi_tickers)
    sim.faults.freeze("kalshi")
    sim.step(100)
    await sim.drained()
    assert await client.settle() == []
    late = await kalshi(sim)
    frames = await late.subscribe(["orderbook_delta"], market_tickers=sim.kalshi_tickers)
    assert [f["type"] for f in frames] == ["subscribed"]
    sim.faults.thaw("kalshi")
    await sim.drained()
    for one in (client, late):
        await one.settle()
        assert not one.gaps
        assert set(one.books) == set(sim.kalshi_tickers)
    sim.step(100)
    await client.settle()
    await late.settle()
    assert client.books == late.books


async def test_a_frozen_polymarket_answers_pings_only(open_sim, polymarket):
    sim = await open_sim()
    client = await polymarket(sim)
    await client.begin(sim.polymarket_tokens)
    sim.faults.freeze("polymarket")
    sim.step(100)
    await sim.drained()
    assert await client.settle() == []
    sim.faults.thaw("polymarket")
    assert all('"event_type":"book"' in text for text in await client.settle())
    assert len(client.of("book")) == 2 * len(sim.polymarket_tokens)


async def test_a_freeze_of_the_old_sockets_is_mended_by_a_new_one(open_sim, polymarket):
    sim = await open_sim()
    old = await polymarket(sim)
    await old.begin(sim.polymarket_tokens)
    sim.faults.freeze("polymarket", new_sockets=False)
    new = await polymarket(sim)
    assert await new.begin(sim.polymarket_tokens)
    sim.step(100)
    assert await old.settle() == []
    assert await new.settle()


async def test_one_market_can_be_frozen_alone(open_sim, kalshi):
    sim = await open_sim()
    first, *others = sim.kalshi_tickers
    client = await kalshi(sim)
    await client.subscribe(["orderbook_delta"], market_tickers=sim.kalshi_tickers)
    sim.faults.freeze(market=first)
    sim.step(400)
    heard = {f["msg"]["market_ticker"] for f in await client.settle()}
    assert heard == set(others)
    assert not client.gaps
    sim.faults.thaw(market=first)
    (fresh,) = await client.settle()
    assert (fresh["type"], fresh["msg"]["market_ticker"]) == ("orderbook_snapshot", first)


async def test_any_text_and_bytes_can_be_sent(open_sim, polymarket):
    sim = await open_sim()
    client = await polymarket(sim)
    await client.begin(sim.polymarket_tokens)
    assert sim.faults.send_text("polymarket", "{broken") == 1
    assert (await client.ws.receive()).data == "{broken"
    sim.faults.send_bytes("polymarket", b"\xff\x00")
    message = await client.ws.receive()
    assert (message.type, message.data) == (aiohttp.WSMsgType.BINARY, b"\xff\x00")


async def test_kalshi_can_end_a_subscription_for_good(open_sim, kalshi):
    sim = await open_sim()
    client = await kalshi(sim)
    await client.subscribe(["orderbook_delta"], market_tickers=sim.kalshi_tickers)
    assert sim.faults.end_subscriptions(25) == 1
    frame = await client.receive()
    assert (frame["type"], frame["sid"], frame["msg"]["code"]) == ("error", 1, 25)
    assert not client.gaps
    frames = await client.subscribe(["orderbook_delta"], market_tickers=sim.kalshi_tickers)
    assert frames[0]["msg"]["sid"] == 2


async def test_handshakes_are_refused_a_number_of_times(open_sim, http):
    sim = await open_sim()
    sim.faults.refuse_handshakes("polymarket", 429, retry_after_s=7, count=2)
    for _ in range(2):
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await http.ws_connect(sim.polymarket_ws_url)
        assert caught.value.status == 429
        assert caught.value.headers["Retry-After"] == "7"
    async with http.ws_connect(sim.polymarket_ws_url) as ws:
        assert not ws.closed
    assert sim.counters["fault_refused_handshakes"] == 2


async def test_a_refusal_can_name_a_date_and_end_by_time(open_sim, http):
    sim = await open_sim()
    sim.faults.refuse_handshakes("kalshi", 503, retry_after_s=90, as_date=True, for_s=0.0)
    headers = sim.credentials.headers("GET", WS_PATH, wall_clock_ms())
    async with http.ws_connect(sim.kalshi_ws_url, headers=headers) as ws:
        assert not ws.closed
    sim.faults.refuse_handshakes("kalshi", 503, retry_after_s=90, as_date=True)
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await http.ws_connect(sim.kalshi_ws_url, headers=headers)
    at = email.utils.parsedate_to_datetime(caught.value.headers["Retry-After"])
    assert 85 < at.timestamp() - wall_clock_ms() / 1000 < 95


async def test_a_port_can_be_deaf_for_a_while(open_sim, polymarket, http):
    sim = await open_sim()
    client = await polymarket(sim)
    await client.begin(sim.polymarket_tokens)
    url = f"{sim.clob_url}/time"
    await sim.faults.stop_accepting("polymarket")
    async with aiohttp.ClientSession() as other:
        with pytest.raises(aiohttp.ClientConnectorError):
            await other.get(url)
    sim.step(50)
    assert await client.settle()
    await sim.faults.start_accepting("polymarket")
    async with http.get(url) as response:
        assert response.status == 200


async def test_rest_errors_hit_a_prefix_a_number_of_times(open_sim, http):
    sim = await open_sim()
    url = f"{sim.kalshi_rest_url}/markets"
    sim.faults.fail_rest("kalshi", 429, prefix="/trade-api/v2/markets", count=1, retry_after_s=3)
    async with http.get(f"{sim.kalshi_rest_url}/exchange/status") as response:
        assert response.status == 200
    async with http.get(url) as response:
        assert (response.status, response.headers["Retry-After"]) == (429, "3")
        assert await response.json() == {"error": "too many requests"}
    async with http.get(url) as response:
        assert response.status == 200
    sim.faults.fail_rest("kalshi", 429, count=1)
    async with http.get(url) as response:
        assert "Retry-After" not in response.headers


async def test_rest_can_answer_with_a_page_of_html_or_late(open_sim, http):
    sim = await open_sim()
    sim.faults.html_rest("polymarket", count=1)
    async with http.get(f"{sim.gamma_url}/markets/keyset") as response:
        assert (response.status, response.content_type) == (502, "text/html")
    sim.faults.delay_rest("polymarket", 30, prefix="/events")
    impatient = aiohttp.ClientTimeout(total=0.05)
    with pytest.raises(TimeoutError):
        await http.get(f"{sim.gamma_url}/events", timeout=impatient)
    sim.faults.clear()
    async with http.get(f"{sim.gamma_url}/events") as response:
        assert response.status == 200


@pytest.mark.parametrize("port", ["clob_url", "kalshi_rest_url"])
async def test_the_controls_work_over_http_on_both_ports(open_sim, http, kalshi, port):
    sim = await open_sim()
    base = getattr(sim, port).removesuffix("/trade-api/v2")
    client = await kalshi(sim)
    await client.subscribe(["orderbook_delta"], market_tickers=sim.kalshi_tickers)
    assert await act(http, base, "step", changes=5) == (200, {"ok": True, "result": None})
    assert await client.settle()
    status, body = await act(http, base, "open_market", venue="kalshi")
    assert status == 200
    assert body["result"] in sim.kalshi_tickers
    await act(http, base, "close_market", market_id=body["result"])
    await act(http, base, "drained")
    await act(http, base, "resume")
    assert not sim.paused
    await act(http, base, "pause")
    async with http.get(f"{base}/sim/state") as response:
        state = await response.json()
    ticker = sim.kalshi_tickers[0]
    bid, bid_size, ask, ask_size = sim.world.market(ticker).top()
    told = state["markets"][ticker]
    assert [told[k] for k in ("bid", "bid_size", "ask", "ask_size")] == [
        bid, bid_size, ask, ask_size,
    ]  # fmt: skip
    assert state["paused"]
    assert state["connections"] == {"kalshi": 1, "polymarket": 0}
    assert (await act(http, base, "abort_sockets", venue="kalshi"))[1]["result"] == 1


@pytest.mark.parametrize(
    ("action", "body", "status"),
    [("explode", {}, 404), ("freeze", {"what": 1}, 400), ("close_market", {"market_id": "X"}, 400)],
)
async def test_wrong_controls_are_refused(open_sim, http, action, body, status):
    sim = await open_sim()
    assert (await act(http, sim.clob_url, action, **body))[0] == status


async def test_kalshi_ends_the_subscription_of_a_client_that_does_not_read(open_sim, kalshi):
    sim = await open_sim(send_buffer_limit=20_000, polymarket_markets=0)
    client = await kalshi(sim)
    await client.subscribe(["orderbook_delta"], market_tickers=sim.kalshi_tickers)
    client.ws._conn.transport.pause_reading()
    while not sim.counters["kalshi_slow_consumers"]:
        sim.step(2000)
    client.ws._conn.transport.resume_reading()
    error = await client.until(type="error")
    assert (error["sid"], error["msg"]["code"]) == (1, 25)
    assert not client.gaps


async def test_the_end_does_not_wait_for_a_client_that_does_not_read(open_sim, polymarket, http):
    async with SimServer(SimConfig(rate=1.0)) as sim:
        sim.pause()
        client = await polymarket(sim)
        await client.begin(sim.polymarket_tokens)
        client.ws._conn.transport.pause_reading()
        while sim.sockets("polymarket")[0].unread < 100_000:
            sim.step(2000)
        began_s = time.monotonic()
    assert time.monotonic() - began_s < 10
    client.ws._conn.transport.resume_reading()


async def test_a_client_that_does_not_read_is_dropped(open_sim, polymarket):
    sim = await open_sim(send_buffer_limit=20_000, polymarket_markets=4)
    client = await polymarket(sim)
    await client.begin(sim.polymarket_tokens)
    client.ws._conn.transport.pause_reading()
    while not sim.counters["polymarket_slow_consumers"]:
        sim.step(2000)
    client.ws._conn.transport.resume_reading()
    message = await next_close(client)
    assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
