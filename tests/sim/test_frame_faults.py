"""Frames that are swapped, renumbered, false or unreadable, as clients meet them."""

import json
from decimal import Decimal

import aiohttp
import pytest
from support.sim_books import decimals, kalshi_truth, rehash, truth

from arbees_feed.sim.garbage import DEPTH, HUGE_FRAME_BYTES, MISSHAPEN, NOISE
from arbees_feed.sim.money import PRICE_SCALE

CALM = {"trade_share": 0.0, "empty_share": 0.0}
PRICE = Decimal(1) / PRICE_SCALE


@pytest.fixture
async def one_kalshi(open_sim, kalshi):
    """A simulation of one Kalshi market, and a client with its book."""
    sim = await open_sim(kalshi_markets=1, polymarket_markets=0, **CALM)
    client = await kalshi(sim)
    await client.subscribe(["orderbook_delta"], market_tickers=sim.kalshi_tickers)
    return sim, client, sim.world.market(sim.kalshi_tickers[0])


@pytest.fixture
async def one_polymarket(open_sim, polymarket):
    """A simulation of one Polymarket market, and a client with both of its books."""
    sim = await open_sim(kalshi_markets=0, polymarket_markets=1, **CALM)
    client = await polymarket(sim)
    market = sim.world.market(sim.polymarket_tokens[0])
    await client.begin([market.id, market.other_id])
    return sim, client, market


def deltas(frames):
    """Return the deltas among frames."""
    return [frame for frame in frames if frame["type"] == "orderbook_delta"]


# Order and numbers.


async def test_two_kalshi_frames_swap_places_and_keep_their_numbers(one_kalshi):
    sim, client, market = one_kalshi
    sim.faults.reorder_frames(market.id)
    sim.step(1)
    assert await client.settle() == []
    sim.step(10)
    frames = deltas(await client.settle())
    assert [frame["seq"] for frame in frames][:3] == [3, 2, 4]
    assert client.books[market.id] == kalshi_truth(market)
    assert sim.counters["fault_reordered_frames"] == 1


async def test_three_pairs_swap_places(one_kalshi):
    sim, client, market = one_kalshi
    sim.faults.reorder_frames(market.id, 3)
    sim.step(20)
    sequence = [frame["seq"] for frame in deltas(await client.settle())]
    assert sequence[:7] == [3, 2, 5, 4, 7, 6, 8]


async def test_two_polymarket_frames_swap_places(one_polymarket):
    sim, client, market = one_polymarket
    sim.faults.reorder_frames(market.id)
    hashes = []
    for _ in range(2):
        sim.step(1)
        hashes.append(sim._polymarket.texts(market).hash(market.id))
    await client.settle()
    told = [
        entry["hash"]
        for message in client.of("price_change")
        for entry in message["price_changes"]
        if entry["asset_id"] == market.id
    ]
    assert told.index(hashes[1]) < told.index(hashes[0])


async def test_a_frame_that_nothing_overtook_comes_when_the_fault_ends(one_kalshi):
    sim, client, market = one_kalshi
    sim.faults.reorder_frames(market.id, 5)
    sim.step(1)
    assert await client.settle() == []
    await sim.faults.end("reorder_frames", market=market.id)
    first = deltas(await client.settle())
    assert [frame["seq"] for frame in first] == list(range(2, 2 + len(first)))
    sim.step(10)
    await client.settle()
    assert not client.gaps
    assert client.books[market.id] == kalshi_truth(market)


async def test_a_sequence_falls_back_to_one_and_goes_on(one_kalshi):
    sim, client, market = one_kalshi
    sim.step(5)
    await client.settle()
    assert sim.faults.reset_sequence() == 1
    sim.step(5)
    sequence = [frame["seq"] for frame in deltas(await client.settle())]
    assert sequence == list(range(1, len(sequence) + 1))
    assert client.books[market.id] == kalshi_truth(market)
    with pytest.raises(ValueError, match="no sequence numbers"):
        sim.faults.reset_sequence("polymarket")
    assert sim.counters["fault_sequence_resets"] == 1


# False levels and hashes.


async def test_a_corrupted_kalshi_level_is_wrong_by_a_contract_and_in_sequence(one_kalshi):
    sim, client, market = one_kalshi
    sim.faults.corrupt_level(market.id)
    while not sim.counters["fault_corrupted_levels"]:
        sim.step(1)
    await client.settle()
    assert not client.gaps
    ours, true = client.books[market.id], kalshi_truth(market)
    wrong = [
        size - true[side].get(price, 0)
        for side, levels in ours.items()
        for price, size in levels.items()
        if size != true[side].get(price, 0)
    ]
    assert wrong == [1]


async def test_a_corrupted_polymarket_level_has_the_hash_and_the_best_prices_of_the_truth(
    one_polymarket,
):
    sim, client, market = one_polymarket
    sim.faults.corrupt_level(market.id)
    while not sim.counters["fault_corrupted_levels"]:
        sim.step(1)
    await client.settle()
    stated = client.stated[market.id]
    bid, _, ask, _ = market.top()
    assert (Decimal(stated["best_bid"]), Decimal(stated["best_ask"])) == (bid * PRICE, ask * PRICE)
    assert stated["hash"] == sim._polymarket.texts(market).hash(market.id)
    assert stated["hash"] != rehash(
        client.books[market.id],
        market=market,
        token=market.id,
        timestamp=stated["timestamp"],
        last="",
    )
    assert decimals(client.books[market.id]) != truth(market, market.id)


@pytest.mark.parametrize("venue", ["kalshi", "polymarket"])
async def test_a_level_behind_the_best_can_be_left_out_and_nothing_else_tells(
    open_sim, connect, venue
):
    sim = await open_sim(kalshi_markets=1, polymarket_markets=1, seed=3, **CALM)
    client = await connect[venue](sim)
    market = next(sim.world.markets(venue))
    if venue == "kalshi":
        await client.subscribe(["orderbook_delta"], market_tickers=[market.id])
    else:
        await client.begin([market.id])
    sim.faults.corrupt_level(market.id, deep=True)
    while not sim.counters["fault_omitted_levels"]:
        sim.step(1)
    await client.settle()
    if venue == "kalshi":
        assert not client.gaps
        ours, true = client.books[market.id], kalshi_truth(market)
        assert max(ours["yes"]) == max(true["yes"])
        assert max(ours["no"]) == max(true["no"])
    else:
        ours, true = decimals(client.books[market.id]), truth(market, market.id)
        assert max(ours["bids"]) == max(true["bids"])
        assert min(ours["asks"]) == min(true["asks"])
    assert ours != true


async def test_wrong_hashes_come_with_right_books(one_polymarket):
    sim, client, market = one_polymarket
    sim.faults.wrong_hash(market.id, 2)
    right = []
    for _ in range(4):
        sim.step(1)
        await client.settle()
        stated = client.stated[market.id]
        right.append(stated["hash"] == sim._polymarket.texts(market).hash(market.id))
        assert len(stated["hash"]) == 40
        assert decimals(client.books[market.id]) == truth(market, market.id)
    assert right[0] is False
    assert right[-1] is True
    assert sim.counters["fault_wrong_hashes"] == 2


async def test_books_have_wrong_hashes_too(open_sim, polymarket):
    sim = await open_sim(kalshi_markets=0, polymarket_markets=1)
    market = sim.world.market(sim.polymarket_tokens[0])
    sim.faults.wrong_hash(market.id, 2)
    client = await polymarket(sim)
    (opening,) = await client.begin([market.id])
    true = sim._polymarket.texts(market).hash(market.id)
    assert opening["hash"] != true
    sim._polymarket.resync(market)
    await client.settle()
    assert client.of("book")[-1]["hash"] != true
    sim._polymarket.resync(market)
    await client.settle()
    assert client.of("book")[-1]["hash"] == true


# Garbage.


async def followed(sim, connect, venue):
    """Return a client that follows all markets of a venue."""
    client = await connect[venue](sim)
    if venue == "kalshi":
        await client.subscribe(["orderbook_delta"], market_tickers=sim.kalshi_tickers)
    else:
        await client.begin(sim.polymarket_tokens)
    return client


def is_json(data):
    """Tell whether a frame is JSON as its specification has it: no NaN."""

    def refuse(name):
        raise ValueError(name)

    try:
        json.loads(data, parse_constant=refuse)
    except (ValueError, RecursionError):
        return False
    return True


@pytest.mark.parametrize("venue", ["kalshi", "polymarket"])
@pytest.mark.parametrize("kind", sorted(NOISE))
async def test_noise_comes_between_good_frames(open_sim, connect, venue, kind):
    sim = await open_sim()
    client = await followed(sim, connect, venue)
    assert sim.faults.garbage(venue, kind) == 1
    assert sim.counters["fault_garbage"] == 1
    message = await client.ws.receive()
    match kind:
        case "binary":
            assert message.type is aiohttp.WSMsgType.BINARY
        case "empty":
            assert message.data == ""
        case "nested":
            assert message.data == "[" * DEPTH + "]" * DEPTH
        case "invalid_utf8":
            assert message.type is aiohttp.WSMsgType.ERROR
        case "huge_frame":
            # Larger than any client accepts by default.
            assert (message.type, message.data.code) == (aiohttp.WSMsgType.ERROR, 1009)
            assert HUGE_FRAME_BYTES > 4 * 2**22
        case "truncated":
            assert not is_json(message.data)
        case "unknown_kind" | "arrays":
            assert is_json(message.data)
        case _:
            pytest.fail(f"what does a client meet with {kind}?")


@pytest.mark.parametrize("kind", sorted(MISSHAPEN))
async def test_a_misshapen_message_takes_a_number_and_is_not_the_book(one_kalshi, kind):
    sim, client, market = one_kalshi
    assert sim.faults.garbage("kalshi", kind, market.id) == 1
    message = await client.ws.receive()
    assert is_json(message.data) == (kind != "nan")
    frame = json.loads(message.data)
    assert (frame["type"], frame["seq"]) == ("orderbook_snapshot", 2)
    assert frame["msg"]["market_ticker"] == market.id
    levels = frame["msg"].get("yes_dollars_fp")
    match kind:
        case "extra_field":
            assert "model_hint" in frame["msg"]
            assert all(isinstance(text, str) for pair in levels for text in pair)
        case "renamed_field":
            assert levels is None
            assert "yes_dollars_fp_v2" in frame["msg"]
        case "nulls":
            assert levels[0] == [None, None]
        case "huge_number":
            assert len(levels[0][0]) == 5000
        case "nan" | "wrong_types":
            assert not any(isinstance(text, str) for pair in levels for text in pair)
        case _:
            pytest.fail(f"what does a client meet with {kind}?")


@pytest.mark.parametrize("kind", sorted(MISSHAPEN))
async def test_a_misshapen_polymarket_book_is_still_one_of_its_market(one_polymarket, kind):
    sim, client, market = one_polymarket
    assert sim.faults.garbage("polymarket", kind) == 1
    message = json.loads((await client.ws.receive()).data)
    assert (message["event_type"], message["asset_id"]) == ("book", market.id)
    good = json.loads(sim._polymarket.whole_books(market)[0][1])
    assert message != good
    assert (message.keys() == good.keys()) == (kind not in ("extra_field", "renamed_field"))


async def test_unknown_garbage_is_refused(open_sim):
    sim = await open_sim()
    with pytest.raises(ValueError, match="garbage is one of arrays, binary"):
        sim.faults.garbage("kalshi", "rubbish")


# Drift.


async def next_book_changes(client):
    """Return the raw book changes up to now."""
    texts = []
    await client.ws.send_str("PING")
    while (text := (await client.ws.receive()).data) != "PONG":
        texts.append(json.loads(text))
    return [message for message in texts if message["event_type"] == "price_change"]


@pytest.mark.parametrize("kind", ["rename", "extra", "zeros", "drop"])
async def test_polymarkets_messages_drift_until_it_ends(one_polymarket, kind):
    sim, client, _ = one_polymarket
    sim.faults.drift("polymarket", kind)
    sim.step(5)
    changes = await next_book_changes(client)
    assert len(changes) >= 5
    for entry in (entry for change in changes for entry in change["price_changes"]):
        match kind:
            case "rename":
                assert "size" not in entry
                assert Decimal(entry["size_v2"]) >= 0
            case "extra":
                assert entry["model_hint"] == "new"
                assert "size" in entry
            case "zeros":
                assert {entry[k] for k in ("price", "best_bid", "best_ask")} == {"0.0000"}
                assert entry["size"] == "0.00"
            case "drop":
                assert "size" not in entry
                assert "price" in entry
    await sim.faults.end("drift", "polymarket")
    sim.step(2)
    for change in await next_book_changes(client):
        assert "size" in change["price_changes"][0]
        assert change["price_changes"][0]["price"] != "0.0000"


async def test_one_type_of_kalshis_messages_can_drift_alone(one_kalshi):
    sim, client, market = one_kalshi
    sim.faults.drift("kalshi", "drop", "price_dollars", "orderbook_delta")
    sim.step(1)
    delta = json.loads((await client.ws.receive()).data)
    assert delta["seq"] == 2
    assert "price_dollars" not in delta["msg"]
    sim.faults.drift("kalshi", "zeros", message="orderbook_snapshot")
    sim.step(1)
    assert "price_dollars" in json.loads((await client.ws.receive()).data)["msg"]
    sim.faults.thaw(market=market.id)
    while (frame := json.loads((await client.ws.receive()).data))["type"] != "orderbook_snapshot":
        pass
    assert {tuple(level) for level in frame["msg"]["yes_dollars_fp"]} == {("0.0000", "0.00")}
    assert frame["msg"]["market_ticker"] == market.id


async def test_a_socket_opened_during_a_drift_has_it_too(open_sim, polymarket):
    sim = await open_sim(kalshi_markets=0)
    sim.faults.drift("polymarket", "rename", "bids")
    client = await polymarket(sim)
    await client.ws.send_json({"type": "market", "assets_ids": sim.polymarket_tokens})
    books = json.loads((await client.ws.receive()).data)
    assert all("bids_v2" in book and "asks" in book for book in books)
    sim.faults.clear()
    other = await polymarket(sim)
    assert all("bids" in book for book in await other.begin(sim.polymarket_tokens))


# Commands.


@pytest.mark.parametrize("code", [10, 25])
async def test_a_terminal_error_ends_a_subscription_in_sequence(one_kalshi, code):
    sim, client, market = one_kalshi
    sim.faults.end_subscriptions(code)
    error = await client.receive()
    assert (error["type"], error["sid"], error["seq"], error["msg"]["code"]) == (
        "error",
        1,
        2,
        code,
    )
    assert error["msg"]["msg"]
    sim.step(5)
    assert await client.settle() == []
    frames = await client.subscribe(["orderbook_delta"], market_tickers=[market.id])
    assert [frame["type"] for frame in frames] == ["subscribed", "orderbook_snapshot"]


@pytest.mark.parametrize("code", [18, 26, 27])
async def test_a_refused_command_has_no_effect_and_the_next_one_has(open_sim, kalshi, code):
    sim = await open_sim(kalshi_markets=1)
    client = await kalshi(sim)
    sim.faults.fail_commands(code)
    ident = await client.command(
        "subscribe", channels=["orderbook_delta"], market_tickers=sim.kalshi_tickers
    )
    error = await client.receive()
    assert (error["type"], error["id"], error["msg"]["code"]) == ("error", ident, code)
    assert error["msg"]["msg"]
    sim.step(5)
    assert await client.settle() == []
    frames = await client.subscribe(["orderbook_delta"], market_tickers=sim.kalshi_tickers)
    assert [frame["type"] for frame in frames] == ["subscribed", "orderbook_snapshot"]
    assert sim.counters["fault_failed_commands"] == 1


async def test_a_command_that_timed_out_may_have_been_carried_out(open_sim, kalshi):
    sim = await open_sim(kalshi_markets=1)
    client = await kalshi(sim)
    sim.faults.fail_commands(18, carried_out=True)
    await client.command(
        "subscribe", channels=["orderbook_delta"], market_tickers=sim.kalshi_tickers
    )
    assert (await client.until(type="error"))["msg"]["code"] == 18
    assert client.kinds() == ["orderbook_snapshot", "error"]
    sim.step(50)
    assert deltas(await client.settle())
    assert not client.gaps


async def test_pending_command_faults_can_be_ended(open_sim, kalshi):
    sim = await open_sim(kalshi_markets=1)
    client = await kalshi(sim)
    sim.faults.fail_commands(27, 100)
    sim.faults.ignore_commands("kalshi", 100)
    await sim.faults.end("fail_commands")
    await sim.faults.end("ignore_commands", "kalshi")
    frames = await client.subscribe(["orderbook_delta"], market_tickers=sim.kalshi_tickers)
    assert frames[0]["type"] == "subscribed"


async def test_frame_faults_of_one_market_end_alone(open_sim, kalshi):
    sim = await open_sim(kalshi_markets=2, polymarket_markets=0, **CALM)
    one, other = sim.kalshi_tickers
    client = await kalshi(sim)
    await client.subscribe(["orderbook_delta"], market_tickers=[one, other])
    sim.faults.drop_frames(one, 10_000)
    sim.faults.drop_frames(other, 10_000)
    await sim.faults.end("drop_frames", market=one)
    sim.step(100)
    assert {f["msg"]["market_ticker"] for f in await client.settle()} == {one}
    await sim.faults.end("drop_frames", "polymarket")
    sim.step(100)
    assert {f["msg"]["market_ticker"] for f in await client.settle()} == {one}
    await sim.faults.end("drop_frames", "kalshi")
    sim.step(100)
    assert {f["msg"]["market_ticker"] for f in await client.settle()} == {one, other}
