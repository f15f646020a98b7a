"""What is rare and legal: another tick, crossed books, wrong clocks, old and ghostly REST."""

import time
from decimal import Decimal

import pytest
from support.sim_books import decimals, kalshi_truth, rehash, truth

from arbees_feed.sim import SimConfig, SimServer
from arbees_feed.sim.money import PRICE_SCALE

CALM = {"trade_share": 0.0, "empty_share": 0.0}


async def get(http, url, **params):
    """Return the JSON of an answer."""
    async with http.get(url, params=params) as response:
        assert response.status == 200
        return await response.json()


def rest_book(answer):
    """Return a REST book of Polymarket as a folded one."""
    return {s: {level["price"]: level["size"] for level in answer[s]} for s in ("bids", "asks")}


def rest_kalshi(answer):
    """Return a REST book of Kalshi as a folded one."""
    return {
        side: {Decimal(p): Decimal(s) for p, s in answer[f"{side}_dollars"]}
        for side in ("yes", "no")
    }


def now_ms():
    """Return the time."""
    return time.time_ns() // 1_000_000


# Ticks.


@pytest.mark.parametrize("tick", ["0.1", "0.05", 0.01, "0.001", "0.0001"])
async def test_a_tick_is_announced_and_all_prices_are_on_the_new_grid(open_sim, polymarket, tick):
    sim = await open_sim(kalshi_markets=0, polymarket_markets=6, seed=9, **CALM)
    client = await polymarket(sim)
    markets = [sim.world.market(token) for token in sim.polymarket_tokens]
    await client.begin([token for market in markets for token in (market.id, market.other_id)])
    for market in markets:
        sim.faults.change_tick(market.id, tick)
    await client.settle()
    told = {message["asset_id"]: message for message in client.of("tick_size_change")}
    for market in markets:
        assert Decimal(told[market.id]["new_tick_size"]) == Decimal(str(tick))
        assert market.other_id in told
        for token in (market.id, market.other_id):
            book = decimals(client.books[token])
            assert book == truth(market, token)
            prices = [*book["bids"], *book["asks"]]
            assert all(price % Decimal(str(tick)) == 0 for price in prices)
            assert not book["bids"] or not book["asks"] or max(book["bids"]) < min(book["asks"])
    assert sim.counters["fault_tick_changes"] == len(markets)
    sim.step(300)
    await client.settle()
    for market in markets:
        assert {*market.yes_bids, *market.yes_asks} <= set(market.grid.prices)
        assert decimals(client.books[market.id]) == truth(market, market.id)


@pytest.mark.parametrize("tick", ["0.03", "0", "-0.01", "0.00005"])
async def test_an_impossible_tick_is_refused(open_sim, tick):
    sim = await open_sim()
    with pytest.raises(ValueError, match="no tick"):
        sim.faults.change_tick(sim.polymarket_tokens[0], tick)
    with pytest.raises(ValueError, match="only Polymarket"):
        sim.faults.change_tick(sim.kalshi_tickers[0], "0.01")


# Crosses.


def best(book, venue):
    """Return the best bid and ask of a folded YES book."""
    if venue == "kalshi":
        return max(book["yes"], default=0), 1 - max(book["no"], default=0)
    bids, asks = decimals(book)["bids"], decimals(book)["asks"]
    return max(bids, default=0), min(asks, default=1)


async def crossed_states(sim, client, venue, market, frames):
    """Read frames; return whether the book was crossed after each, and the venue times."""
    crossed, times = [], set()
    for _ in range(frames):
        await client.receive()
        bid, ask = best(client.books[market.id], venue)
        crossed.append(bid >= ask)
        frame = client.frames[-1]["msg"] if venue == "kalshi" else client.messages[-1]
        times.add(frame["ts_ms"] if venue == "kalshi" else frame["timestamp"])
    return crossed, times


async def prepared(open_sim, connect, venue):
    """Return a simulation of one market for each venue, and a client that follows one."""
    sim = await open_sim(kalshi_markets=1, polymarket_markets=1, **CALM)
    client = await connect[venue](sim)
    market = next(sim.world.markets(venue))
    if venue == "kalshi":
        await client.subscribe(["orderbook_delta"], market_tickers=[market.id])
    else:
        await client.begin([market.id])
    return sim, client, market


@pytest.mark.parametrize("venue", ["kalshi", "polymarket"])
async def test_a_transient_cross_is_over_within_one_venue_time(open_sim, connect, venue):
    sim, client, market = await prepared(open_sim, connect, venue)
    before = sim.counters["changes"]
    sim.faults.cross(market.id)
    frames = sim.counters["changes"] - before
    crossed, times = await crossed_states(sim, client, venue, market, frames)
    assert crossed[0]
    assert not crossed[-1]
    assert len(times) == 1
    assert market.best_bid() < market.best_ask()


@pytest.mark.parametrize("venue", ["kalshi", "polymarket"])
async def test_a_lasting_cross_stays_until_a_whole_book_comes(open_sim, connect, venue):
    sim, client, market = await prepared(open_sim, connect, venue)
    top = market.top()
    sim.faults.cross(market.id, lasting=True)
    await client.settle()
    assert market.top() == top
    bid, ask = best(client.books[market.id], venue)
    assert bid == ask == Decimal(top[2]) / PRICE_SCALE
    await sim.faults.end("cross", market=market.id)
    await client.settle()
    if venue == "kalshi":
        assert not client.gaps
        assert client.books[market.id] == kalshi_truth(market)
    else:
        stated = client.stated[market.id]
        assert Decimal(stated["best_bid"]) * PRICE_SCALE == top[0]
        assert decimals(client.books[market.id]) == truth(market, market.id)
    assert sim.counters["fault_crosses"] == 1


async def test_an_empty_book_cannot_be_crossed(open_sim):
    sim = await open_sim()
    ticker = sim.kalshi_tickers[0]
    sim.close_market(ticker)
    for lasting in (False, True):
        with pytest.raises(ValueError, match="nothing to cross"):
            sim.faults.cross(ticker, lasting=lasting)


# Clocks.


@pytest.mark.parametrize("seconds", [3600, -3600])
@pytest.mark.parametrize("venue", ["kalshi", "polymarket"])
async def test_a_venues_clock_jumps_and_comes_back(open_sim, connect, http, venue, seconds):
    sim, client, market = await prepared(open_sim, connect, venue)

    async def stamps():
        sim.step(20)
        seen = len(client.frames if venue == "kalshi" else client.messages)
        await client.settle()
        if venue == "polymarket":
            return {int(m["timestamp"]) for m in client.messages[seen:]}
        deltas = [f for f in client.frames[seen:] if f["type"] == "orderbook_delta"]
        return {f["msg"]["ts_ms"] for f in deltas} | {f["sending_ts_ms"] for f in deltas}

    sim.faults.time_jump(venue, seconds)
    assert all(abs(told - now_ms() - 1000 * seconds) < 5000 for told in await stamps())
    if venue == "polymarket":
        answer = await get(http, f"{sim.clob_url}/book", token_id=market.id)
        assert int(answer["timestamp"]) == market.ts_ms
        told = rehash(
            rest_book(answer),
            market=market,
            token=market.id,
            timestamp=answer["timestamp"],
            last="",
        )
        assert answer["hash"] == told
    await sim.faults.end("time_jump", venue)
    assert all(abs(told - now_ms()) < 5000 for told in await stamps())
    assert sim.counters["fault_time_jumps"] == 1


async def test_the_other_venues_clock_stays_right(open_sim):
    sim = await open_sim()
    sim.faults.time_jump("kalshi", 3600)
    sim.step(500)
    for token in sim.polymarket_tokens:
        assert abs(sim.world.market(token).ts_ms - now_ms()) < 5000


# REST.


async def test_rest_tells_the_truth_of_what_the_stream_keeps_back(open_sim, http, connect):
    sim = await open_sim(kalshi_markets=2, polymarket_markets=2, seed=6)
    for venue in ("kalshi", "polymarket"):
        client = await connect[venue](sim)
        if venue == "kalshi":
            await client.subscribe(["orderbook_delta"], market_tickers=sim.kalshi_tickers)
        else:
            await client.begin(sim.polymarket_tokens)
        first, second = sim.market_ids[venue]
        sim.faults.freeze(market=first)
        sim.faults.omit_market(second)
    sim.step(400)
    url = f"{sim.kalshi_rest_url}/markets/orderbooks"
    books = await get(http, url, tickers=sim.kalshi_tickers)
    told = {book["ticker"]: rest_kalshi(book["orderbook_fp"]) for book in books["orderbooks"]}
    assert told == {t: kalshi_truth(sim.world.market(t)) for t in sim.kalshi_tickers}
    asked = [{"token_id": token} for token in sim.polymarket_tokens]
    async with http.post(f"{sim.clob_url}/books", json=asked) as response:
        for answer in await response.json():
            market = sim.world.market(answer["asset_id"])
            assert decimals(rest_book(answer)) == truth(market, market.id)
            assert int(answer["timestamp"]) == market.ts_ms
            assert answer["hash"] == rehash(
                rest_book(answer),
                market=market,
                token=market.id,
                timestamp=str(market.ts_ms),
                last=answer["last_trade_price"],
            )


@pytest.fixture
async def clocked(stack):
    """A simulation whose clock is set by hand, and that clock."""
    clock = {"ms": now_ms()}
    sim = SimServer(
        SimConfig(kalshi_markets=2, polymarket_markets=2, clock_skew_limit_s=1e9),
        clock_ms=lambda: clock["ms"],
    )
    sim.pause()
    return await stack.enter_async_context(sim), clock


async def test_stale_rest_is_so_many_seconds_behind(clocked, http):
    sim, clock = clocked
    token, ticker = sim.polymarket_tokens[0], sim.kalshi_tickers[0]
    yes, kalshi = sim.world.market(token), sim.world.market(ticker)
    for venue in ("kalshi", "polymarket"):
        sim.faults.stale_rest(venue, 10)
    was = []
    for _ in range(30):
        was.append((truth(yes, token), yes.ts_ms, kalshi_truth(kalshi)))
        clock["ms"] += 1000
        sim.step(20)
    # Thirty seconds have passed: REST shows the state at the end of the twentieth.
    book = await get(http, f"{sim.clob_url}/book", token_id=token)
    assert (decimals(rest_book(book)), int(book["timestamp"])) == was[20][:2]
    assert book["hash"] == rehash(
        rest_book(book),
        market=yes,
        token=token,
        timestamp=book["timestamp"],
        last=book["last_trade_price"],
        tick=book["tick_size"],
    )
    url = f"{sim.kalshi_rest_url}/markets/{ticker}/orderbook"
    told = rest_kalshi((await get(http, url))["orderbook_fp"])
    assert told == was[20][2] != kalshi_truth(kalshi)
    clock["ms"] += 10_000
    assert rest_kalshi((await get(http, url))["orderbook_fp"]) == kalshi_truth(kalshi)
    sim.step(50)
    await sim.faults.end("stale_rest")
    assert rest_kalshi((await get(http, url))["orderbook_fp"]) == kalshi_truth(kalshi)
    assert sim.counters["fault_stale_rests"] == 2


async def test_a_cache_can_leave_signed_requests_alone(clocked, http):
    sim, clock = clocked
    ticker = sim.kalshi_tickers[0]
    path = f"/trade-api/v2/markets/{ticker}/orderbook"
    sim.faults.stale_rest("kalshi", 15, unsigned_only=True)
    before = kalshi_truth(sim.world.market(ticker))
    sim.step(300)
    url = f"{sim.kalshi_rest_url}/markets/{ticker}/orderbook"
    assert rest_kalshi((await get(http, url))["orderbook_fp"]) == before
    headers = sim.credentials.headers("GET", path, clock["ms"])
    async with http.get(url, headers=headers) as response:
        answer = await response.json()
    assert rest_kalshi(answer["orderbook_fp"]) == kalshi_truth(sim.world.market(ticker)) != before


async def test_a_ghost_book_is_wide_old_and_hashed(open_sim, http):
    sim = await open_sim()
    token, ticker = sim.polymarket_tokens[0], sim.kalshi_tickers[0]
    sim.faults.ghost_rest("polymarket")
    sim.faults.ghost_rest("kalshi")
    book = await get(http, f"{sim.clob_url}/book", token_id=token)
    assert [list(rest_book(book)[side]) for side in ("bids", "asks")] == [["0.01"], ["0.99"]]
    assert int(book["timestamp"]) < now_ms() - 3_000_000
    market = sim.world.market(token)
    assert book["hash"] == rehash(
        rest_book(book), market=market, token=token, timestamp=book["timestamp"], last=""
    )
    url = f"{sim.kalshi_rest_url}/markets/{ticker}/orderbook"
    assert list(rest_kalshi((await get(http, url))["orderbook_fp"])["yes"]) == [Decimal("0.01")]
    sim.faults.clear()
    book = await get(http, f"{sim.clob_url}/book", token_id=token)
    assert decimals(rest_book(book)) == truth(market, token)
    assert sim.counters["fault_ghost_rests"] == 2


async def test_rest_faults_end_by_name(open_sim, http):
    sim = await open_sim()
    sim.faults.fail_rest("polymarket", 500)
    sim.faults.fail_rest("kalshi", 500)
    sim.faults.html_rest("polymarket", 502)
    await sim.faults.end("fail_rest", "polymarket")
    async with http.get(f"{sim.clob_url}/time") as response:
        assert response.status == 502
    await sim.faults.end("html_rest")
    async with http.get(f"{sim.clob_url}/time") as response:
        assert response.status == 200
    async with http.get(f"{sim.kalshi_rest_url}/markets") as response:
        assert response.status == 500
