"""Recorded frames served again: as they were written, at their pace, and truth at the end."""

import gzip
import json
import math
import os
from decimal import Decimal
from pathlib import Path

import pytest

from arbees_feed.sim import Recording

T = "KXSIM-26NOV22-A"
MARKET = "0x00000000000000000000000000000000000000000000000000000000000000a1"
YES = "10000000000000000000000000000000000000000000000000000000000000000000000000011"
NO = "10000000000000000000000000000000000000000000000000000000000000000000000000012"

# Written by hand after the venues' documents.
KALSHI_LINES = [
    '{"type":"subscribed","id":1,"msg":{"channel":"orderbook_delta","sid":7}}',
    '{"type":"orderbook_snapshot","sid":7,"seq":40,"msg":{"market_ticker":"' + T + '",'
    '"market_id":"u","yes_dollars_fp":[["0.4700","10.00"]],"no_dollars_fp":[["0.5100","4.50"]]}}',
    '{"type":"orderbook_delta","sid":7,"seq":41,"msg":{"market_ticker":"' + T + '","market_id":"u",'
    '"price_dollars":"0.4800","delta_fp":"2.00","side":"yes","ts_ms":1795219200470,"new":1}}',
    '{"type":"ticker","sid":8,"msg":{"market_ticker":"' + T + '","yes_bid_dollars":"0.4800"}}',
    '{"type":"orderbook_delta","sid":7,"seq":43,"msg":{"market_ticker":"' + T + '","market_id":"u",'
    '"price_dollars":"0.5100","delta_fp":"-4.50","side":"no","ts_ms":1795219200970}}',
]
POLYMARKET_LINES = [
    '[{"market":"' + MARKET + '","asset_id":"' + YES + '","timestamp":"1791199970000","hash":"h",'
    '"bids":[{"price":"0.48","size":"100"}],"asks":[],"tick_size":"0.01","event_type":"book",'
    '"last_trade_price":""}]',
    '{"market":"' + MARKET + '", "price_changes":[{"asset_id":"' + NO + '", "price":"0.5",'
    '"size":"7.5","side":"BUY","hash":"h","best_bid":"0.5","best_ask":"0.52"}],'
    '"timestamp":"1791199970250","event_type":"price_change"}',
]


def written(path: Path, lines: list[str]) -> Path:
    """Write lines, gzipped if the name says so."""
    text = "\n".join(lines) + "\n"
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


@pytest.fixture(params=["frames.jsonl", "frames.jsonl.gz"])
def kalshi_recording(request, tmp_path):
    """A short Kalshi recording."""
    return Recording(venue="kalshi", path=written(tmp_path / request.param, KALSHI_LINES))


async def test_recorded_messages_come_verbatim_in_the_subscribers_sequence(
    open_sim, kalshi, kalshi_recording
):
    sim = await open_sim(kalshi_markets=0, recordings=(kalshi_recording,), replay_speed=math.inf)
    client = await kalshi(sim)
    await client.subscribe(["ticker"])
    await client.subscribe(["orderbook_delta"], market_tickers=[T])
    sim.resume()
    await sim.replayed()
    await client.settle()
    books = [f for f in client.frames if f["type"].startswith("orderbook_")]
    assert [f["seq"] for f in books] == [1, 2, 3]
    assert [f["msg"] for f in books] == [
        json.loads(line)["msg"] for line in KALSHI_LINES if '"type":"orderbook_' in line
    ]
    assert client.books[T] == {"yes": {Decimal("0.47"): 10, Decimal("0.48"): 2}, "no": {}}
    assert T in client.tickers
    assert sim.world.market(T).top() == (4800, 2_000_000, 10_000, 0)


async def test_a_late_comer_gets_the_book_as_it_is_by_then(open_sim, kalshi, kalshi_recording):
    sim = await open_sim(
        paused=False, kalshi_markets=0, recordings=(kalshi_recording,), replay_speed=math.inf
    )
    first = await kalshi(sim)
    await first.subscribe(["orderbook_delta"], market_tickers=[T])
    await sim.replayed()
    await first.settle()
    late = await kalshi(sim)
    await late.subscribe(["orderbook_delta"], market_tickers=[T])
    assert late.books == first.books


async def test_polymarket_frames_come_verbatim_and_amount_to_one_book(
    open_sim, polymarket, tmp_path
):
    recording = Recording(venue="polymarket", path=written(tmp_path / "p.jsonl", POLYMARKET_LINES))
    sim = await open_sim(polymarket_markets=0, recordings=(recording,), replay_speed=math.inf)
    client = await polymarket(sim)
    assert await client.begin([YES, NO]) == []
    sim.resume()
    await sim.replayed()
    assert await client.settle() == POLYMARKET_LINES
    assert sim.world.market(YES).top() == (4800, 100_000_000, 5000, 7_500_000)


@pytest.mark.parametrize(("unit", "name"), [(1, "ms"), (1_000_000, "ns")])
async def test_the_pace_is_that_of_the_times_of_receipt(open_sim, kalshi, tmp_path, unit, name):
    base = 1_795_219_200_000
    times = [str((base + offset) * unit) for offset in (0, 0, 0, 200, 400)]
    recording = Recording(
        venue="kalshi",
        path=written(tmp_path / "f.jsonl", KALSHI_LINES),
        times=written(tmp_path / f"f.recv_{name}.gz", times),
    )
    sim = await open_sim(paused=False, kalshi_markets=0, recordings=(recording,), replay_speed=4.0)
    client = await kalshi(sim)
    await client.subscribe(["orderbook_delta"], market_tickers=[T])
    while len(client.books.get(T, {}).get("no", {1: 1})):
        await client.receive()
    stamps = [f["sending_ts_ms"] for f in client.frames if f["type"].startswith("orderbook_")]
    assert 80 <= stamps[-1] - stamps[0] <= 10_000


@pytest.mark.parametrize(
    ("venue", "name", "times"),
    [
        (
            "kalshi",
            "kalshi/kxbtc15m/rv600_preflight_pairing_20260515T023653Z.jsonl.gz",
            "kalshi/kxbtc15m/rv600_preflight_pairing_20260515T023653Z.recv_ns.gz",
        ),
        ("kalshi", "kalshi/cockpit_ws_orderbook_stream_20260807.jsonl", None),
        ("polymarket", "polymarket/predxt_20260228_merged_by_timestamp.jsonl", None),
    ],
)
async def test_real_recordings_end_at_the_truth(open_sim, connect, venue, name, times):
    corpus = Path(os.environ.get("ARBEES_CORPUS", ""))
    if not (corpus / name).is_file():
        pytest.skip("no recordings: set ARBEES_CORPUS")
    recording = Recording(venue=venue, path=corpus / name, times=times and corpus / times)
    sim = await open_sim(
        kalshi_markets=0, polymarket_markets=0, recordings=(recording,), replay_speed=math.inf
    )
    client = await connect[venue](sim)
    if venue == "kalshi":
        await client.subscribe(["orderbook_delta"], market_tickers=sim.kalshi_tickers)
    else:
        market = sim.world.market(sim.polymarket_tokens[0])
        await client.begin([market.id, market.other_id])
    sim.resume()
    await sim.replayed()
    await client.settle()
    for market in sim.world.all_markets():
        bid, _, ask, _ = market.top()
        if venue == "kalshi":
            book = client.books[market.id]
            assert max(book["yes"], default=0) * 10_000 == bid
            assert (1 - max(book["no"], default=0)) * 10_000 == ask
        else:
            assert Decimal(max(client.books[market.id]["bids"], key=Decimal)) * 10_000 == bid
            assert Decimal(min(client.books[market.other_id]["asks"], key=Decimal)) * 10_000 == (
                10_000 - bid
            )
