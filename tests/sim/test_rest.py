"""REST of both venues: shapes, filters, pages, errors."""

import json
from decimal import Decimal

import pytest

from arbees_feed.sim.shared import wall_clock_ms


async def get(http, url, expect=200, **params):
    """Return the JSON body."""
    async with http.get(url, params=params) as response:
        assert response.status == expect, await response.text()
        return await response.json()


async def pages(http, url, *, items, cursor_in, cursor_out, **params):
    """Follow cursors to the end."""
    found, cursor = [], ""
    while True:
        body = await get(http, url, **params, **({cursor_in: cursor} if cursor else {}))
        found += body[items]
        cursor = body.get(cursor_out)
        if not cursor:
            return found


async def test_kalshi_markets_are_paged_and_filtered(open_sim, http):
    sim = await open_sim(kalshi_markets=9)
    url = f"{sim.kalshi_rest_url}/markets"
    found = await pages(
        http, url, items="markets", cursor_in="cursor", cursor_out="cursor", limit=4
    )
    assert [market["ticker"] for market in found] == sim.kalshi_tickers
    one = found[0]
    body = await get(http, url, tickers=",".join(sim.kalshi_tickers[:2]))
    assert len(body["markets"]) == 2
    body = await get(http, url, event_ticker=one["event_ticker"], status="open")
    assert {m["event_ticker"] for m in body["markets"]} == {one["event_ticker"]}
    assert (await get(http, url, status="settled"))["markets"] == []
    await get(http, url, expect=400, status="finalized")
    await get(http, url, expect=400, limit=1001)


async def test_a_kalshi_market_tells_its_top_of_book(open_sim, http):
    sim = await open_sim()
    sim.step(200)
    ticker = sim.kalshi_tickers[0]
    market = (await get(http, f"{sim.kalshi_rest_url}/markets/{ticker}"))["market"]
    bid, bid_size, ask, _ = sim.world.market(ticker).top()
    assert Decimal(market["yes_bid_dollars"]) * 10_000 == bid
    assert Decimal(market["yes_ask_dollars"]) * 10_000 == ask
    assert Decimal(market["no_ask_dollars"]) == 1 - Decimal(market["yes_bid_dollars"])
    assert Decimal(market["yes_bid_size_fp"]) * 1_000_000 == bid_size
    assert market["price_ranges"][0]["start"] == "0.0000"
    assert (await get(http, f"{sim.kalshi_rest_url}/markets/KXNO", expect=404))["code"]


async def test_kalshi_events_nest_their_markets_on_request(open_sim, http):
    sim = await open_sim(kalshi_markets=9)
    url = f"{sim.kalshi_rest_url}/events"
    found = await pages(
        http, url, items="events", cursor_in="cursor", cursor_out="cursor", limit=2,
        with_nested_markets="true", status="open",
    )  # fmt: skip
    assert [m["ticker"] for event in found for m in event["markets"]] == sim.kalshi_tickers
    body = await get(http, f"{url}/{found[0]['event_ticker']}")
    assert "markets" not in body["event"]
    assert body["markets"][0]["ticker"] == sim.kalshi_tickers[0]
    series = await get(http, f"{sim.kalshi_rest_url}/series/{found[0]['series_ticker']}")
    assert series["series"]["ticker"] == found[0]["series_ticker"]
    everything = await get(http, f"{sim.kalshi_rest_url}/series", category="Sports")
    assert {one["category"] for one in everything["series"]} == {"Sports"}


async def test_kalshi_lists_only_what_has_changed_since_the_time_asked_for(open_sim, http):
    sim = await open_sim(settle_delay_s=3600.0)
    ended = sim.world.market(sim.kalshi_tickers[0])
    rest = sim.kalshi_rest_url
    now_s = wall_clock_ms() // 1000

    async def since(unix_s):
        asked = {"min_updated_ts": unix_s, "limit": 200}
        markets = await get(http, f"{rest}/markets", mve_filter="exclude", **asked)
        events = await get(http, f"{rest}/events", with_nested_markets="true", **asked)
        tickers = {market["ticker"] for market in markets["markets"]}
        return tickers, {event["event_ticker"] for event in events["events"]}

    assert await since(now_s) == (set(), set())
    sim.close_market(ended.id)
    opened = sim.open_market("kalshi")
    assert await since(now_s) == ({ended.id, opened.id}, {ended.event.id, opened.event.id})
    assert await since(now_s + 3600) == (set(), set())
    everything, _ = await since(0)
    assert everything == {market.id for market in sim.world.markets("kalshi")}


async def test_kalshi_orderbooks_are_both_sides_best_last(open_sim, http):
    sim = await open_sim()
    first, second, *_ = sim.kalshi_tickers
    base = f"{sim.kalshi_rest_url}/markets"
    market = sim.world.market(first)
    book = (await get(http, f"{base}/{first}/orderbook"))["orderbook_fp"]
    assert Decimal(book["yes_dollars"][-1][0]) * 10_000 == market.best_bid()
    assert 10_000 - Decimal(book["no_dollars"][-1][0]) * 10_000 == market.best_ask()
    shallow = (await get(http, f"{base}/{first}/orderbook", depth=2))["orderbook_fp"]
    assert shallow["yes_dollars"] == book["yes_dollars"][-2:]
    async with http.get(f"{base}/orderbooks?tickers={first}&tickers={second}&tickers=KXNO") as got:
        books = (await got.json())["orderbooks"]
    assert [one["ticker"] for one in books] == [first, second]
    await get(http, f"{base}/orderbooks", expect=400)


async def test_kalshi_trades_and_candles(open_sim, http):
    sim = await open_sim(kalshi_markets=2, polymarket_markets=0, trade_share=0.5)
    sim.step(200)
    ticker = sim.kalshi_tickers[0]
    market = sim.world.market(ticker)
    body = await get(http, f"{sim.kalshi_rest_url}/markets/trades", ticker=ticker, limit=1000)
    assert len(body["trades"]) == len(market.trades)
    now = wall_clock_ms() // 1000
    url = f"{sim.kalshi_rest_url}/series/{market.event.series}/markets/{ticker}/candlesticks"
    body = await get(http, url, start_ts=now - 120, end_ts=now + 60, period_interval=1)
    volume = sum(Decimal(candle["volume_fp"]) for candle in body["candlesticks"])
    assert volume * 1_000_000 == sum(trade.size for trade in market.trades)
    assert body["candlesticks"][0]["yes_bid"].keys() == {
        "open_dollars", "low_dollars", "high_dollars", "close_dollars",
    }  # fmt: skip
    await get(http, url, expect=400, start_ts=0, end_ts=now, period_interval=1)


async def test_orders_are_signed_recorded_and_repeatable(open_sim, http):
    sim = await open_sim()
    path = "/trade-api/v2/portfolio/events/orders"
    url = f"{sim.kalshi_rest_url}/portfolio/events/orders"
    ticker = sim.kalshi_tickers[0]
    _, _, ask, _ = sim.world.market(ticker).top()
    order = {
        "ticker": ticker, "client_order_id": "a-1", "side": "bid", "count": "1.00",
        "price": f"{ask / 10_000:.4f}", "time_in_force": "immediate_or_cancel",
    }  # fmt: skip
    async with http.post(url, json=order) as response:
        assert response.status == 401
    headers = sim.credentials.headers("POST", path, wall_clock_ms())
    answers = []
    for _ in range(2):
        async with http.post(url, json=order, headers=headers) as response:
            assert response.status == 201
            answers.append(await response.json())
    assert answers[0] == answers[1]
    assert answers[0]["fill_count"] == "1.00"
    (recorded,) = sim.orders
    assert (recorded.repeats, recorded.filled) == (1, 1_000_000)
    async with http.post(url, json=order | {"price": "2"}, headers=headers) as response:
        assert response.status == 201  # the same client_order_id: the first answer again
    resting = order | {"client_order_id": "a-2", "price": "0.0100",
                       "time_in_force": "good_till_canceled"}  # fmt: skip
    async with http.post(url, json=resting, headers=headers) as response:
        order_id = (await response.json())["order_id"]
    headers = sim.credentials.headers("DELETE", f"{path}/{order_id}", wall_clock_ms())
    async with http.delete(f"{url}/{order_id}", headers=headers) as response:
        assert (await response.json())["reduced_by"] == "1.00"
    assert [o.canceled for o in sim.orders] == [False, True]


@pytest.mark.parametrize(
    ("spoil", "status"),
    [
        ({"side": "yes"}, 400),
        ({"time_in_force": "forever"}, 400),
        ({"price": "much"}, 400),
        ({"count": "0"}, 400),
        ({"count": "0.0000001"}, 400),
        ({"ticker": "KXNO"}, 404),
    ],
)
async def test_wrong_orders_are_refused(open_sim, http, spoil, status):
    sim = await open_sim()
    order = {
        "ticker": sim.kalshi_tickers[0], "side": "ask", "count": "2.00", "price": "0.5000",
        "time_in_force": "fill_or_kill",
    } | spoil  # fmt: skip
    path = "/trade-api/v2/portfolio/events/orders"
    headers = sim.credentials.headers("POST", path, wall_clock_ms())
    url = f"{sim.kalshi_rest_url}/portfolio/events/orders"
    async with http.post(url, json=order, headers=headers) as response:
        assert response.status == status
    async with http.post(url, data="{", headers=headers) as response:
        assert response.status == 400
    assert sim.orders == []


async def test_account_limits_need_a_signature_and_public_data_a_right_one_if_any(open_sim, http):
    sim = await open_sim()
    url = f"{sim.kalshi_rest_url}/account/limits"
    await get(http, url, expect=401)
    headers = sim.credentials.headers("GET", "/trade-api/v2/account/limits", wall_clock_ms())
    async with http.get(url, headers=headers) as response:
        assert (await response.json())["read"]["refill_rate"] == 200
    async with http.get(f"{sim.kalshi_rest_url}/exchange/status", headers=headers) as response:
        assert response.status == 401
    assert (await get(http, f"{sim.kalshi_rest_url}/exchange/status"))["exchange_active"]


async def test_gamma_keyset_pages_by_volume(open_sim, http):
    sim = await open_sim(polymarket_markets=9)
    url = f"{sim.gamma_url}/markets/keyset"
    found = await pages(
        http, url, items="markets", cursor_in="after_cursor", cursor_out="next_cursor",
        limit=4, order="volumeNum", ascending="false", closed="false",
    )  # fmt: skip
    volumes = [market["volumeNum"] for market in found]
    assert volumes == sorted(volumes, reverse=True)
    assert len(found) == 9
    await get(http, url, expect=422, offset=5)
    await get(http, url, expect=422, limit=101)
    await get(http, url, expect=422, order="nonsense")


@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_gamma_lists_are_json_in_strings_but_position_ids_are_not(open_sim, http, version):
    sim = await open_sim(v2_share=0.0 if version == "v1" else 1.0)
    body = await get(http, f"{sim.gamma_url}/markets/keyset")
    for market in body["markets"]:
        assert market["version"] == version
        assert len(json.loads(market["outcomes"])) == 2
        listed = json.loads(market["clobTokenIds"]) if version == "v1" else market["positionIds"]
        truth = sim.world.market(listed[0])
        assert listed == [truth.id, truth.other_id]
        assert market["conditionId"] == truth.condition_id


async def test_gamma_finds_markets_and_events_by_what_names_them(open_sim, http):
    sim = await open_sim(polymarket_markets=9)
    market = sim.world.market(sim.polymarket_tokens[4])
    markets, events = f"{sim.gamma_url}/markets/keyset", f"{sim.gamma_url}/events/keyset"
    for params in (
        {"slug": market.slug},
        {"condition_ids": market.condition_id},
        {"clob_token_ids": market.id},
        {"clob_token_ids": market.other_id},
        {"id": str(market.number)},
    ):
        body = await get(http, markets, **params)
        assert [one["slug"] for one in body["markets"]] == [market.slug]
    by_slug = await get(http, f"{sim.gamma_url}/markets/slug/{market.slug}")
    assert by_slug["id"] == str(market.number)
    event = await get(http, f"{sim.gamma_url}/events/slug/{market.event.slug}")
    assert market.slug in [one["slug"] for one in event["markets"]]
    tag = event["tags"][0]
    body = await get(http, events, tag_slug=tag["slug"], closed="false")
    assert all(tag in one["tags"] for one in body["events"])
    assert await get(http, f"{sim.gamma_url}/tags")
    found = await get(http, f"{sim.gamma_url}/public-search", q=market.title)
    assert found["events"]
    await get(http, f"{sim.gamma_url}/markets/slug/nothing", expect=404)


async def test_gamma_legacy_pages_by_offset(open_sim, http):
    sim = await open_sim(polymarket_markets=5)
    body = await get(http, f"{sim.gamma_url}/markets", limit=2, offset=4)
    assert len(body) == 1
    assert await get(http, f"{sim.gamma_url}/events", limit=1)


async def test_clob_answers_agree_with_the_truth(open_sim, http):
    sim = await open_sim(kalshi_markets=0, trade_share=0.3)
    sim.step(300)
    market = sim.world.market(sim.polymarket_tokens[0])
    bid, _, ask, _ = market.top()
    base, mine = sim.clob_url, {"token_id": market.id}
    book = await get(http, f"{base}/book", **mine)
    assert Decimal(book["bids"][-1]["price"]) * 10_000 == bid
    assert Decimal(book["asks"][-1]["price"]) * 10_000 == ask
    mirror = await get(http, f"{base}/book", token_id=market.other_id)
    assert Decimal(mirror["bids"][-1]["price"]) == 1 - Decimal(book["asks"][-1]["price"])
    assert mirror["last_trade_price"] == book["last_trade_price"]
    spread = await get(http, f"{base}/spread", **mine)
    assert Decimal(spread["spread"]) * 10_000 == ask - bid
    price = await get(http, f"{base}/price", side="BUY", **mine)
    assert Decimal(price["price"]) * 10_000 == bid
    assert "mid" in await get(http, f"{base}/midpoint", **mine)
    last = await get(http, f"{base}/last-trade-price", **mine)
    assert Decimal(last["price"]) * 10_000 == market.last_trade
    tick = await get(http, f"{base}/tick-size", **mine)
    assert tick["minimum_tick_size"] * 10_000 == pytest.approx(market.grid.tick)
    assert (await get(http, f"{base}/neg-risk", **mine))["neg_risk"] is market.neg_risk
    history = await get(http, f"{base}/prices-history", market=market.id, interval="1h")
    assert len(history["history"]) == len(market.trades)
    assert abs(await get(http, f"{base}/time") - wall_clock_ms() // 1000) <= 5
    assert await get(http, f"{base}/ok") == "OK"


async def test_clob_books_leave_out_the_unknown_and_refuse_too_many(open_sim, http):
    sim = await open_sim()
    tokens = [*sim.polymarket_tokens, "5"]
    url = f"{sim.clob_url}/books"
    async with http.post(url, json=[{"token_id": token} for token in tokens]) as response:
        books = await response.json()
    assert [book["asset_id"] for book in books] == sim.polymarket_tokens
    for path in ("midpoints", "spreads", "prices"):
        wanted = [{"token_id": token} for token in tokens]
        async with http.post(f"{sim.clob_url}/{path}", json=wanted) as response:
            assert list(await response.json()) == sim.polymarket_tokens
    async with http.post(url, json=[{"token_id": "5"}] * 501) as response:
        assert response.status == 400
        assert await response.json() == {"error": "Payload exceeds the limit"}
    await get(http, f"{sim.clob_url}/book", expect=404, token_id="5")  # noqa: S106 (no secret)
    await get(http, f"{sim.clob_url}/book", expect=400, token_id="x")  # noqa: S106 (no secret)


async def test_an_untraded_market_has_a_placeholder_price(open_sim, http):
    sim = await open_sim()
    token = {"token_id": sim.polymarket_tokens[0]}
    last = await get(http, f"{sim.clob_url}/last-trade-price", **token)
    assert last == {"price": "0.5", "side": ""}
