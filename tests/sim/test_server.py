"""The server as a whole: life, death, ports, and many markets."""

import asyncio
import json
import socket
import time

import pytest

from arbees_feed.sim import SimConfig, SimServer, serve
from arbees_feed.sim.shared import rfc3339


async def test_serve_runs_until_cancelled(http):
    ready: asyncio.Future[SimServer] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(serve(SimConfig(), on_ready=ready.set_result))
        sim = await ready
        async with http.get(f"{sim.clob_url}/ok") as response:
            assert await response.json() == "OK"
        task.cancel()
    with pytest.raises(OSError, match="Connect call failed"):
        await http.get(f"{sim.clob_url}/ok")


async def test_a_taken_port_stops_the_start_and_frees_the_other():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = socket.create_server(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        with pytest.raises(OSError, match="in use"):
            async with SimServer(kalshi_port=port, polymarket_port=taken.getsockname()[1]):
                pass
        socket.create_server(("127.0.0.1", port)).close()


async def test_clients_are_told_that_the_server_goes_away(stack, kalshi, http):
    async with SimServer(SimConfig(rate=1.0)) as sim:
        client = await kalshi(sim)
    message = await client.ws.receive()
    assert message.data == 1001


async def test_pause_stops_the_markets_and_nothing_else(open_sim, kalshi, polymarket):
    sim = await open_sim(paused=False)
    ours, theirs = await kalshi(sim), await polymarket(sim)
    await ours.subscribe(["orderbook_delta"], market_tickers=sim.kalshi_tickers)
    await theirs.begin(sim.polymarket_tokens)
    await ours.until(type="orderbook_delta")
    sim.pause()
    await sim.drained()
    await ours.settle()
    await theirs.settle()
    assert await ours.settle() == []
    assert await theirs.settle() == []
    sim.resume()
    assert await ours.until(type="orderbook_delta")


async def test_ten_thousand_markets_start_quickly_and_fit_one_subscription(open_sim, kalshi):
    began = time.monotonic()
    sim = await open_sim(kalshi_markets=10_000, polymarket_markets=0, depth=3)
    client = await kalshi(sim)
    await client.subscribe(["orderbook_delta"], market_tickers=sim.kalshi_tickers)
    assert len(client.books) == 10_000
    assert time.monotonic() - began < 20


async def test_two_simulations_with_one_seed_name_the_same_things(open_sim):
    one, other = await open_sim(seed=8), await open_sim(seed=8)
    assert one.polymarket_tokens == other.polymarket_tokens
    assert one.kalshi_tickers == other.kalshi_tickers
    assert one.credentials == other.credentials


async def test_stale_changes_follow_the_opening_books_and_join_by_hash(open_sim, polymarket):
    sim = await open_sim(kalshi_markets=0, polymarket_markets=1, stale_changes=3, trade_share=0.0)
    token = sim.polymarket_tokens[0]
    first = await polymarket(sim)
    await first.begin([token])
    sim.step(20)
    await first.settle()
    late = await polymarket(sim)
    (book,) = await late.begin([token])
    stale = [json.loads(text) for text in await late.settle()]
    assert len(stale) == 3
    hashes = [
        entry["hash"]
        for change in stale
        for entry in change["price_changes"]
        if entry["asset_id"] == token
    ]
    assert hashes[-1] == book["hash"]
    sim.step(5)
    await late.settle()
    await first.settle()
    assert late.texts[-1] == first.texts[-1]


async def test_changes_can_come_twice(open_sim, polymarket):
    sim = await open_sim(kalshi_markets=0, duplicate_share=1.0, trade_share=0.0)
    client = await polymarket(sim)
    await client.begin(sim.polymarket_tokens)
    sim.step(10)
    texts = [text for text in await client.settle() if '"price_change"' in text]
    assert texts[::2] == texts[1::2]


async def test_an_idle_polymarket_socket_is_cut_without_a_close_frame(open_sim, polymarket):
    sim = await open_sim(idle_timeout_s=0.05)
    client = await polymarket(sim)
    await client.ws.receive()
    assert client.ws.close_code == 1006
    assert sim.counters["polymarket_idle_cuts"] == 1


async def test_too_many_tokens_on_a_socket_are_met_with_silence(open_sim, polymarket):
    sim = await open_sim(asset_limit=3)
    client = await polymarket(sim)
    await client.ws.send_json({"type": "market", "assets_ids": sim.polymarket_tokens})
    sim.step(100)
    assert await client.settle() == []


async def test_commands_can_be_ignored_or_refused(open_sim, kalshi):
    sim = await open_sim()
    client = await kalshi(sim)
    sim.faults.ignore_commands("kalshi")
    await client.command("subscribe", channels=["ticker"])
    await client.settle()
    assert client.frames[-1]["msg"] == []
    sim.faults.fail_commands(18)
    ident = await client.command("subscribe", channels=["ticker"])
    frame = await client.until(id=ident)
    assert frame["msg"] == {"code": 18, "msg": "Command timeout"}
    await client.settle()
    assert sim.counters["fault_failed_commands"] == 1


async def test_the_ticker_channel_takes_market_ids(open_sim, kalshi):
    sim = await open_sim()
    market = sim.world.market(sim.kalshi_tickers[1])
    client = await kalshi(sim)
    frames = await client.subscribe(
        ["ticker"], market_ids=[market.other_id, "nobody"], send_initial_snapshot=True
    )
    assert [f["msg"].get("market_ticker") for f in frames] == [None, market.id]


def test_times_have_as_many_decimals_as_they_need():
    assert rfc3339(1_795_219_200_000) == "2026-11-21T00:00:00Z"
    assert rfc3339(1_795_219_200_470) == "2026-11-21T00:00:00.47Z"
