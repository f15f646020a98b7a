"""Polymarket's market channel: its words, its frames, its hashes, its end of life."""

import json
from decimal import Decimal

import aiohttp
import pytest
from support.sim_books import decimals, rehash, truth

from arbees_feed.sim.money import PRICE_SCALE


def both_tokens(sim):
    """Return the tokens of all markets."""
    markets = [sim.world.market(token) for token in sim.polymarket_tokens]
    return [token for market in markets for token in (market.id, market.other_id)]


async def test_the_opening_frame_is_one_array_with_a_book_of_each_known_token(open_sim, polymarket):
    sim = await open_sim()
    tokens = both_tokens(sim)
    books = await (await polymarket(sim)).begin([*tokens, "123"])
    assert [book["asset_id"] for book in books] == tokens
    assert list(books[0]) == [
        "market", "asset_id", "timestamp", "hash", "bids", "asks", "tick_size", "event_type",
        "last_trade_price",
    ]  # fmt: skip
    assert books[0]["last_trade_price"] == ""


async def test_nothing_known_is_an_empty_array(open_sim, polymarket):
    client = await polymarket(await open_sim())
    assert await client.begin(["1"]) == []
    client = await polymarket(await open_sim())
    assert await client.begin([]) == []


async def test_the_initial_dump_can_be_declined(open_sim, polymarket):
    sim = await open_sim()
    client = await polymarket(sim)
    await client.ws.send_json(
        {"type": "market", "assets_ids": sim.polymarket_tokens, "initial_dump": False}
    )
    assert await client.settle() == []


@pytest.mark.parametrize(
    "second",
    [{"type": "market", "assets_ids": []}, {"operation": "explode"}, {"assets_ids": 5}, []],
)
async def test_a_second_first_frame_is_an_invalid_operation(open_sim, polymarket, second):
    sim = await open_sim()
    client = await polymarket(sim)
    await client.begin(sim.polymarket_tokens)
    await client.ws.send_json(second)
    assert await client.receive() == "INVALID OPERATION"


async def test_tokens_are_added_with_their_books_and_known_ones_are_rejected(open_sim, polymarket):
    sim = await open_sim()
    first, second, *_ = sim.polymarket_tokens
    client = await polymarket(sim)
    await client.begin([first])
    await client.operation("subscribe", [first, second])
    assert [book["asset_id"] for book in json.loads(await client.receive())] == [second]
    await client.operation("subscribe", [first])
    assert await client.receive() == "NO NEW ASSETS"


async def test_an_unsubscribed_market_is_silent_and_can_be_opened_afresh(open_sim, polymarket):
    sim = await open_sim()
    first, second, *_ = sim.polymarket_tokens
    client = await polymarket(sim)
    await client.begin([first, second])
    await client.operation("unsubscribe", [first])
    await client.settle()
    sim.step(300)
    await sim.drained()
    await client.settle()
    condition = sim.world.market(first).condition_id
    assert {m["market"] for m in client.of("price_change")} == {
        sim.world.market(second).condition_id
    }
    await client.operation("subscribe", [first])
    assert json.loads(await client.receive())[0]["market"] == condition


async def test_twenty_folded_markets_equal_the_truth_on_both_tokens(open_sim, polymarket):
    sim = await open_sim(
        paused=False, polymarket_markets=20, cross_share=0.05, empty_share=0.02, seed=5, rate=9000.0
    )
    client = await polymarket(sim)
    await client.begin(both_tokens(sim))
    while len(client.texts) < 2500:
        await client.receive()
    sim.pause()
    await sim.drained()
    await client.settle()
    assert len(client.books) == 40
    for token in sim.polymarket_tokens:
        market = sim.world.market(token)
        for one in (market.id, market.other_id):
            assert decimals(client.books[one]) == truth(market, one)


async def test_changes_come_as_mirrored_pairs_with_the_top_after_them(open_sim, polymarket):
    sim = await open_sim()
    client = await polymarket(sim)
    await client.begin(sim.polymarket_tokens)
    sim.step(300)
    await client.settle()
    for message in client.of("price_change"):
        one, other = message["price_changes"]
        assert Decimal(one["price"]) + Decimal(other["price"]) == 1
        assert one["size"] == other["size"]
        assert {one["side"], other["side"]} == {"BUY", "SELL"}
        assert Decimal(one["best_bid"]) == 1 - Decimal(other["best_ask"])
    for token in sim.polymarket_tokens:
        if token in client.stated:
            bid, _, ask, _ = sim.world.market(token).top()
            stated = client.stated[token]
            assert Decimal(stated["best_bid"]) * PRICE_SCALE == bid
            assert Decimal(stated["best_ask"]) * PRICE_SCALE == ask


async def test_hashes_are_those_of_the_folded_books(open_sim, polymarket):
    """Every opening hash, and the hash at the end of each batch, computed from what was folded."""
    sim = await open_sim(cross_share=0.1)
    client = await polymarket(sim)
    tokens = both_tokens(sim)
    for book in await client.begin(tokens):
        market = sim.world.market(
            book["asset_id"] if sim.world.find(book["asset_id"]) else _yes_of(sim, book)
        )
        assert book["hash"] == rehash(
            client.books[book["asset_id"]],
            market=market,
            token=book["asset_id"],
            timestamp=book["timestamp"],
            last="",
        )
    checked = 0
    for _ in range(150):
        start = len(client.messages)
        sim.step()
        await client.settle()
        last = [m for m in client.messages[start:] if m["event_type"] == "price_change"][-1:]
        for message in last:
            for entry in message["price_changes"]:
                market = sim.world.market(_yes_of(sim, message))
                printed = market.printed_price
                assert entry["hash"] == rehash(
                    client.books[entry["asset_id"]],
                    market=market,
                    token=entry["asset_id"],
                    timestamp=message["timestamp"],
                    last="" if printed is None else _three_decimals(printed),
                )
                checked += 1
    assert checked > 100


def _yes_of(sim, message):
    return next(
        t for t in sim.polymarket_tokens if sim.world.market(t).condition_id == message["market"]
    )


def _three_decimals(price):
    text = f"{price / PRICE_SCALE:.4f}"
    return text.removesuffix("0")


async def test_a_trade_is_a_change_then_both_books_then_later_the_trade(open_sim, polymarket):
    sim = await open_sim(trade_share=1.0, empty_share=0.0)
    client = await polymarket(sim)
    await client.begin(both_tokens(sim))
    while not client.of("price_change"):
        sim.step()
        await client.settle()
    kinds = [m["event_type"] for m in client.messages[8:]]
    assert kinds[:3] == ["price_change", "book", "book"]
    change, yes, no = client.messages[8:11]
    hashes = {entry["asset_id"]: entry["hash"] for entry in change["price_changes"]}
    for book in (yes, no):
        assert book["hash"] == hashes[book["asset_id"]]
        assert book["timestamp"] == change["timestamp"]
        assert "tick_size" not in book
        assert "last_trade_price" not in book
    await sim.drained()
    await client.settle()
    trade = client.of("last_trade_price")[0]
    assert 31 <= int(trade["timestamp"]) - int(change["timestamp"]) <= 43
    assert {trade["side"]} <= {"BUY", "SELL"}
    assert trade["transaction_hash"].startswith("0x")


async def test_custom_features_are_sent_only_to_those_who_asked(open_sim, polymarket):
    sim = await open_sim()
    plain, custom = await polymarket(sim), await polymarket(sim)
    await plain.begin(sim.polymarket_tokens)
    await custom.begin(sim.polymarket_tokens, custom_feature_enabled=True)
    sim.step(200)
    market = sim.open_market("polymarket")
    await plain.settle()
    await custom.settle()
    assert not plain.of("best_bid_ask")
    assert not plain.of("new_market")
    assert custom.of("best_bid_ask")
    (news,) = custom.of("new_market")
    assert news["clob_token_ids"] == [market.id, market.other_id]
    assert news["condition_id"] == market.condition_id
    await custom.operation("subscribe", [market.id])
    assert json.loads(await custom.receive())[0]["asset_id"] == market.id


async def test_the_custom_flag_is_applied_even_to_a_rejected_subscribe(open_sim, polymarket):
    sim = await open_sim()
    client = await polymarket(sim)
    await client.begin(sim.polymarket_tokens)
    await client.operation("subscribe", sim.polymarket_tokens, custom_feature_enabled=True)
    assert await client.receive() == "NO NEW ASSETS"
    sim.open_market("polymarket")
    await client.settle()
    assert client.of("new_market")


async def test_a_market_ends_with_zero_sizes_then_its_outcome_then_404(open_sim, polymarket, http):
    sim = await open_sim(settle_delay_s=0.02)
    first, second, *_ = sim.polymarket_tokens
    market = sim.world.market(first)
    client = await polymarket(sim)
    await client.begin([first, market.other_id, second], custom_feature_enabled=True)
    sim.close_market(first)
    while not client.of("market_resolved"):
        await client.receive()
    assert client.books[first] == {"bids": {}, "asks": {}}
    assert client.books[market.other_id] == {"bids": {}, "asks": {}}
    assert (client.stated[first]["best_bid"], client.stated[first]["best_ask"]) == ("0", "1")
    (resolved,) = client.of("market_resolved")
    assert resolved["winning_asset_id"] in (market.id, market.other_id)
    async with http.get(f"{sim.clob_url}/book", params={"token_id": first}) as response:
        assert response.status == 404
    async with http.get(f"{sim.gamma_url}/markets/slug/{market.slug}") as response:
        body = await response.json()
    assert body["closed"]
    assert sorted(json.loads(body["outcomePrices"])) == ["0", "1"]


async def test_a_socket_whose_markets_are_all_resolved_is_closed(open_sim, polymarket):
    sim = await open_sim(settle_delay_s=0.01)
    client = await polymarket(sim)
    await client.begin(sim.polymarket_tokens[:1])
    sim.close_market(sim.polymarket_tokens[0])
    while (message := await client.ws.receive()).type is aiohttp.WSMsgType.TEXT:
        pass
    assert message.type is aiohttp.WSMsgType.CLOSE
    assert (message.data, message.extra) == (1000, "all subscribed assets resolved")


async def test_near_the_ends_the_tick_becomes_finer(open_sim, polymarket):
    sim = await open_sim(kalshi_markets=0, polymarket_markets=6, seed=3)
    client = await polymarket(sim)
    await client.begin(both_tokens(sim))
    coarse = [t for t in sim.polymarket_tokens if sim.world.market(t).grid.tick == 100]
    for token in coarse:
        sim.world.market(token).fair = 9700.0
    while not client.of("tick_size_change"):
        sim.step(20)
        await client.settle()
    change = client.of("tick_size_change")[0]
    assert (change["old_tick_size"], change["new_tick_size"]) == ("0.01", "0.001")
