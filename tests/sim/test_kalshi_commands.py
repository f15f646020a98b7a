"""Kalshi's commands: each answer, each error code, each sequence number."""

import pytest

ALL = ["orderbook_delta", "ticker", "trade", "market_lifecycle_v2"]


async def test_each_channel_is_answered_with_a_sid_of_its_own(open_sim, kalshi):
    sim = await open_sim()
    client = await kalshi(sim)
    await client.subscribe(ALL, market_tickers=sim.kalshi_tickers)
    acks = [frame for frame in client.frames if frame["type"] == "subscribed"]
    assert [(ack["msg"]["channel"], ack["msg"]["sid"]) for ack in acks] == [
        (channel, sid) for sid, channel in enumerate(ALL, 1)
    ]
    assert len({ack["id"] for ack in acks}) == 1
    assert all("sending_ts_ms" in frame for frame in client.frames)


async def test_a_book_subscription_is_acknowledged_then_sends_snapshots_from_seq_1(
    open_sim, kalshi
):
    sim = await open_sim()
    client = await kalshi(sim)
    frames = await client.subscribe(["orderbook_delta"], market_tickers=sim.kalshi_tickers)
    assert [f["type"] for f in frames] == ["subscribed"] + ["orderbook_snapshot"] * 4
    assert [f["seq"] for f in frames[1:]] == [1, 2, 3, 4]
    assert [f["msg"]["market_ticker"] for f in frames[1:]] == sim.kalshi_tickers


async def test_unknown_tickers_are_ignored_silently(open_sim, kalshi):
    sim = await open_sim()
    client = await kalshi(sim)
    frames = await client.subscribe(
        ["orderbook_delta"], market_tickers=["KXNONE-1", sim.kalshi_tickers[0]]
    )
    assert [f["type"] for f in frames] == ["subscribed", "orderbook_snapshot"]


async def test_subscribing_again_merges_and_repeats_no_snapshot(open_sim, kalshi):
    sim = await open_sim()
    first, second, *_ = sim.kalshi_tickers
    client = await kalshi(sim)
    await client.subscribe(["orderbook_delta"], market_tickers=[first])
    frames = await client.subscribe(["orderbook_delta"], market_tickers=[first, second])
    assert [f["type"] for f in frames] == ["ok", "orderbook_snapshot"]
    assert frames[0]["msg"]["market_tickers"] == sorted([first, second])
    assert (frames[0]["sid"], frames[0]["seq"]) == (1, 2)
    assert frames[1]["msg"]["market_ticker"] == second
    again = await client.subscribe(["orderbook_delta"], market_tickers=[first])
    assert [f["type"] for f in again] == ["ok"]
    assert not client.gaps


async def test_markets_are_added_and_deleted_in_sequence(open_sim, kalshi):
    sim = await open_sim()
    first, second, *_ = sim.kalshi_tickers
    client = await kalshi(sim)
    await client.subscribe(["orderbook_delta"], market_tickers=[first])
    await client.command(
        "update_subscription", sid=1, action="add_markets", market_tickers=[second]
    )
    added = await client.settle()
    assert [f["type"] for f in added] == ["ok", "orderbook_snapshot"]
    await client.command(
        "update_subscription", sids=[1], action="delete_markets", market_tickers=[first]
    )
    deleted = await client.settle()
    assert [f["msg"] for f in deleted] == [{"market_tickers": [second]}]
    sim.step(200)
    frames = await client.settle()
    assert {f["msg"]["market_ticker"] for f in frames} == {second}
    assert not client.gaps


async def test_ticker_lists_are_left_out_of_ok_on_request(open_sim, kalshi):
    sim = await open_sim()
    client = await kalshi(sim)
    await client.subscribe(
        ["orderbook_delta"], market_tickers=sim.kalshi_tickers[:1], skip_ticker_ack=True
    )
    frames = await client.subscribe(
        ["orderbook_delta"], market_tickers=sim.kalshi_tickers[1:], skip_ticker_ack=True
    )
    assert frames[0]["type"] == "ok"
    assert frames[0]["msg"] == {}


async def test_get_snapshot_answers_in_sequence_with_the_command_id(open_sim, kalshi):
    sim = await open_sim()
    first, other, *_ = sim.kalshi_tickers
    client = await kalshi(sim)
    await client.subscribe(["orderbook_delta"], market_tickers=[first])
    sim.step(50)
    ident = await client.command(
        "update_subscription", sid=1, action="get_snapshot", market_tickers=[first, other, "KXNO"]
    )
    frames = [f for f in await client.settle() if f.get("id") == ident]
    assert [f["type"] for f in frames] == ["orderbook_snapshot"] * 2
    assert not client.gaps
    sim.step(300)
    later = await client.settle()
    assert {f["msg"]["market_ticker"] for f in later} == {first}


async def test_unsubscribe_is_in_sequence_and_final(open_sim, kalshi):
    sim = await open_sim()
    client = await kalshi(sim)
    await client.subscribe(["orderbook_delta"], market_tickers=sim.kalshi_tickers)
    await client.command("unsubscribe", sids=[1])
    (frame,) = await client.settle()
    assert frame["type"] == "unsubscribed"
    assert (frame["sid"], frame["seq"]) == (1, 5)
    sim.step(100)
    assert await client.settle() == []
    frames = await client.subscribe(["orderbook_delta"], market_tickers=sim.kalshi_tickers[:1])
    assert frames[0]["msg"]["sid"] == 2
    assert frames[1]["seq"] == 1


async def test_list_subscriptions_names_channels_and_sids(open_sim, kalshi):
    sim = await open_sim()
    client = await kalshi(sim)
    await client.subscribe(["ticker", "trade"])
    assert client.frames[-1]["msg"] == [
        {"channel": "ticker", "sid": 1},
        {"channel": "trade", "sid": 2},
    ]


@pytest.mark.parametrize(
    ("code", "command"),
    [
        (2, {"cmd": "subscribe"}),
        (3, {"cmd": "subscribe", "params": {}}),
        (4, {"cmd": "unsubscribe", "params": {}}),
        (5, {"cmd": "frobnicate", "params": {}}),
        (7, {"cmd": "unsubscribe", "params": {"sids": [99]}}),
        (7, {"cmd": "update_subscription", "params": {"sid": 99, "action": "add_markets"}}),
        (8, {"cmd": "subscribe", "params": {"channels": ["ticker_v2"]}}),
        (11, {"cmd": "subscribe", "params": {"channels": "ticker"}}),
        (
            11,
            {
                "cmd": "subscribe",
                "params": {"channels": ["trade"], "market_ticker": "A", "market_tickers": ["B"]},
            },
        ),
        (12, {"cmd": "update_subscription", "params": {"sids": [1, 2], "action": "add_markets"}}),
        (12, {"cmd": "update_subscription", "params": {"action": "add_markets"}}),
        (14, {"cmd": "subscribe", "params": {"channels": ["orderbook_delta"]}}),
    ],
)
async def test_wrong_commands_get_the_documented_code(open_sim, kalshi, code, command):
    client = await kalshi(await open_sim())
    await client.ws.send_json({"id": 5, **command})
    frame = await client.receive()
    assert (frame["type"], frame["id"], frame["msg"]["code"]) == ("error", 5, code)
    assert "sid" not in frame


@pytest.mark.parametrize(
    ("code", "params"),
    [
        (13, {"action": "explode", "market_tickers": ["A"]}),
        (14, {"action": "add_markets"}),
        (15, {"market_tickers": ["A"]}),
    ],
)
async def test_errors_of_a_subscription_are_in_its_sequence(open_sim, kalshi, code, params):
    sim = await open_sim()
    client = await kalshi(sim)
    await client.subscribe(["orderbook_delta"], market_tickers=sim.kalshi_tickers)
    ident = await client.command("update_subscription", sid=1, **params)
    frame = await client.until(id=ident)
    assert (frame["msg"]["code"], frame["sid"], frame["seq"]) == (code, 1, 5)


async def test_a_snapshot_of_a_ticker_channel_is_not_supported(open_sim, kalshi):
    sim = await open_sim()
    client = await kalshi(sim)
    await client.subscribe(["ticker"])
    ident = await client.command(
        "update_subscription", sid=1, action="get_snapshot", market_tickers=sim.kalshi_tickers
    )
    assert (await client.until(id=ident))["msg"]["code"] == 13


async def test_what_is_not_json_gets_code_1_without_an_id(open_sim, kalshi):
    client = await kalshi(await open_sim())
    await client.ws.send_str("hello")
    frame = await client.receive()
    assert frame["msg"] == {"code": 1, "msg": "Unable to process message"}
    assert "id" not in frame


async def test_good_channels_are_opened_beside_an_unknown_one(open_sim, kalshi):
    client = await kalshi(await open_sim())
    frames = await client.subscribe(["ticker", "nonsense", "trade"])
    assert [f["type"] for f in frames] == ["subscribed", "error", "subscribed"]


async def test_too_many_markets_are_refused_with_code_26(open_sim, kalshi):
    sim = await open_sim(market_limit=2)
    client = await kalshi(sim)
    await client.subscribe(["orderbook_delta"], market_tickers=sim.kalshi_tickers[:2])
    frames = await client.subscribe(["orderbook_delta"], market_tickers=sim.kalshi_tickers[2:])
    assert frames[0]["msg"]["code"] == 26
    assert frames[0]["sid"] == 1
    assert not client.gaps
