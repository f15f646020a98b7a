"""Recorded frames of both venues through the decoders and the market table.

What they are compared with is written here anew: dictionaries of Decimals, json and nothing of the
package. What is expected of each recording is what its index documents (no gap, no negative size,
crosses only within one venue time, reproducible hashes).
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.quotes import Shown, collecting_table
from support.recordings import corpus, frames
from support.reliability import record

from arbees_feed.core.book import BookState, OrderBook
from arbees_feed.core.model import MarketId, Status
from arbees_feed.core.venue import DecoderOptions
from arbees_feed.feed.markets import MarketTable
from arbees_feed.venues.kalshi.decoder import KalshiDecoder
from arbees_feed.venues.polymarket.bookhash import HashFacts, hashed_trade_price
from arbees_feed.venues.polymarket.decoder import PolymarketDecoder

pytestmark = pytest.mark.timeout(120)

KALSHI = [
    "cockpit_ws_orderbook_stream_20260807.jsonl",
    "shreyas_btc_hourly_20260418.jsonl",
    "kxbtc15m/particle_shadow_forward_20260511T053340Z-0dc86f34.jsonl.gz",
    "kxbtc15m/particle_shadow_forward_20260511T053741Z-long900.jsonl.gz",
    "kxbtc15m/rv600_forward_native_shadow_20260513T1259Z.jsonl.gz",
    "kxbtc15m/rv600_next_evidence_shadow_20260513T215130Z.jsonl.gz",
    "kxbtc15m/rv600_next_evidence_shadow_20260515T213152Z.jsonl.gz",
    "kxbtc15m/rv600_preflight_pairing_20260515T023653Z.jsonl.gz",
]
CRONOS = [1776323400, 1776324300, 1776326100, 1776327000, 1776327600, 1776329100]

NaiveSide = dict[Decimal, Decimal]


class NaiveKalshi:
    """Books as the venue's document says, in the plainest way there is."""

    def __init__(self) -> None:
        self.books: dict[str, dict[str, NaiveSide]] = {}

    def apply(self, message: dict[str, Any]) -> None:
        body = message.get("msg", {})
        if message["type"] == "orderbook_snapshot":
            self.books[body["market_ticker"]] = {
                side: {Decimal(p): Decimal(s) for p, s in body.get(f"{side}_dollars_fp", [])}
                for side in ("yes", "no")
            }
        elif message["type"] == "orderbook_delta":
            levels = self.books[body["market_ticker"]][body["side"]]
            price = Decimal(body["price_dollars"])
            size = levels.get(price, Decimal(0)) + Decimal(body["delta_fp"])
            assert size >= 0
            levels[price] = size
            if not size:
                del levels[price]


def in_decimals(book: OrderBook) -> dict[str, NaiveSide]:
    """Return our book in the form of the naive one."""

    def side(ladder: Any) -> NaiveSide:
        return {Decimal(k) / 10_000: Decimal(s) / 1_000_000 for k, s in ladder.sizes.items()}

    return {"yes": side(book.bids), "no": side(book.asks)}


def connections(path: Path) -> Iterator[list[bytes]]:
    """Split a recording where a channel is subscribed a second time: a new connection."""
    current: list[bytes] = []
    channels: set[str] = set()
    for frame in frames(path):
        if b'"subscribed"' in frame:
            channel = json.loads(frame)["msg"]["channel"]
            if channel in channels:
                yield current
                current, channels = [], set()
            channels.add(channel)
        current.append(frame)
    yield current


def tickers_of(recorded: Iterable[bytes]) -> list[MarketId]:
    """Return the markets whose books a recording holds."""
    bodies = [json.loads(f)["msg"] for f in recorded if b'"orderbook_snapshot"' in f]
    return sorted({MarketId(body["market_ticker"]) for body in bodies})


@pytest.mark.parametrize("name", KALSHI)
def test_kalshi_books_equal_an_independent_replay(name: str) -> None:
    """No gap, no unknown kind, no lost book; every book equals the naive one, level by level."""
    frames_read = 0
    for recorded in connections(corpus() / "kalshi" / name):
        table, shown = collecting_table()
        decoder = KalshiDecoder(DecoderOptions())
        decoder.start(tickers_of(recorded))
        naive = NaiveKalshi()
        link = NoLink()
        for number, frame in enumerate(recorded):
            table.apply(decoder.receive(frame), link, 1)
            naive.apply(json.loads(frame))
            if number % 500 == 0:
                assert_books_equal(table, naive)
        assert_books_equal(table, naive)
        stats = decoder.stats
        assert (stats.gaps, stats.duplicates, stats.resets, stats.resyncs) == (0, 0, 0, 0)
        assert (stats.unknown_kinds, stats.malformed) == (0, 0)
        assert table.stats.books_lost == 0
        assert_never_crossed(shown)
        assert link.resyncs == []
        frames_read += len(recorded)
    # All of it was just asserted; the table tells how much there was.
    record("recordings", recording=name, frames=frames_read, gaps=0, violations=0, wrong=0)


@pytest.mark.parametrize("name", KALSHI)
def test_kalshi_crosses_end_at_the_venue_time_at_which_they_began(name: str) -> None:
    """Publication waits for the rest of a change, and the rest always comes."""
    began: dict[str, int] = {}
    for recorded in connections(corpus() / "kalshi" / name):
        table, _shown = collecting_table()
        decoder = KalshiDecoder(DecoderOptions())
        decoder.start(tickers_of(recorded))
        for frame in recorded:
            table.apply(decoder.receive(frame), LINK, 1)
            message = json.loads(frame)
            if message["type"] != "orderbook_delta":
                continue
            body = message["msg"]
            ticker, ts_ms = body["market_ticker"], body.get("ts_ms", 0)
            market = table.get(ticker)
            assert market is not None
            assert market.book is not None
            bid, _, ask, _ = market.book.top()
            if bid >= ask:
                began.setdefault(ticker, ts_ms)
            elif ticker in began:
                assert began.pop(ticker) == ts_ms
    assert began == {}


def test_kalshi_market_that_closes_is_left_with_an_empty_book() -> None:
    """The gold recordings end with snapshots that have neither side."""
    path = corpus() / "kalshi/gold15m/KXGOLD15M-26AUG101900-00_2026-08-10.ndjson.gz"
    table, shown = collecting_table()
    decoder = KalshiDecoder(DecoderOptions())
    naive = NaiveKalshi()
    events = [json.loads(frame)["event"] for frame in frames(path)]
    ticker = next(e["msg"]["market_ticker"] for e in events if e["type"] == "orderbook_snapshot")
    decoder.start([ticker])
    begun = False
    books = [event for event in events if event["type"].startswith("orderbook")]
    for seq, event in enumerate(books, start=1):
        begun = begun or event["type"] == "orderbook_snapshot"
        if begun:  # the file begins within the day: deltas before the snapshot can't be applied
            # The subscription carried other markets too: only this one's frames were kept.
            renumbered = json.dumps({**event, "seq": seq}).encode()
            table.apply(decoder.receive(renumbered), LINK, 1)
            naive.apply(event)
    assert naive.books[ticker] == {"yes": {}, "no": {}}
    assert_books_equal(table, naive)
    assert shown[ticker][-1][:4] == (0, 0, 10_000, 0)
    assert table.stats.books_lost == 0
    assert_never_crossed(shown)


class NoLink:
    """A connection that only remembers what was asked of it."""

    def __init__(self) -> None:
        self.resyncs: list[str] = []

    def resync(self, market: MarketId, reason: str) -> None:
        self.resyncs.append(f"{market}: {reason}")


LINK = NoLink()
"""The one connection of a replay in which nothing may be asked for."""


def assert_books_equal(table: MarketTable, naive: NaiveKalshi) -> None:
    for ticker, expected in naive.books.items():
        market = table.get(MarketId(ticker))
        assert market is not None
        assert market.book is not None
        assert market.book.state is BookState.LIVE
        assert in_decimals(market.book) == expected


def assert_never_crossed(shown: Shown) -> None:
    for quotes in shown.values():
        assert all(q[0] < q[2] for q in quotes if q[5] is Status.LIVE)


# -- Polymarket ------------------------------------------------------------------------------------


def objects(frame: bytes) -> list[dict[str, Any]]:
    decoded = json.loads(frame)
    return decoded if isinstance(decoded, list) else [decoded]


def prices_near(known: str) -> Iterator[str]:
    """Yield last trade prices, the likeliest first: the last one known, then its neighbours."""
    yield known
    yield ""
    around = round(float(known or 0.5) * 1000)
    for ticks in sorted(range(1001), key=lambda ticks: abs(ticks - around)):
        yield f"{ticks / 1000:.3f}"


def some_in_every_run() -> list[Any]:
    """Return all of CRONOS; every other one is `slow`, for it takes seconds of hashing.

    The feed's own checks look at all of them in every run: test_polymarket_recordings.py.
    """
    slow = (pytest.param(start, marks=pytest.mark.slow) for start in CRONOS[1::2])
    return [*CRONOS[::2], *slow]


@pytest.mark.parametrize("start", some_in_every_run())
def test_polymarket_book_stream_reproduces_every_hash(start: int) -> None:
    """Each recorded book, taken through decoder and table, has the hash that the venue gave it."""
    path = corpus() / f"polymarket/cronos_btc5m_books/btc-updown-5m-{start}.jsonl.gz"
    table, shown = collecting_table()
    decoder = PolymarketDecoder(DecoderOptions())
    recorded = list(frames(path))
    decoder.start(tokens_of(recorded))
    last_trade: dict[str, str] = {}
    for frame in recorded:
        (told,) = objects(frame)
        table.apply(decoder.receive(frame), LINK, 1)
        token = told["asset_id"]
        last_trade[token] = told.get("last_trade_price", last_trade.get(token, ""))
        market = table.get(MarketId(token))
        assert market is not None
        assert market.book is not None
        found = None
        # Near the ends of the price range the grid becomes finer, ahead of any message.
        for tick_size in ("0.01", "0.001"):
            facts = HashFacts(told["market"], token, tick_size)
            found = found or hashed_trade_price(
                market.book, facts, told["timestamp"], told["hash"], prices_near(last_trade[token])
            )
        assert found is not None, f"hash {told['hash']} is not reproduced"
        last_trade[token] = found
    assert decoder.stats.stale_dropped == 0
    assert (decoder.stats.unknown_kinds, decoder.stats.malformed) == (0, 0)
    assert table.stats.books_lost == 0
    assert_never_crossed(shown)


@pytest.mark.parametrize(
    ("name", "tick_size"),
    [
        ("predxt_20260228_merged_by_timestamp.jsonl", "0.01"),
        ("nautilus_rs_crossing_burst_20260929_first36.jsonl", "0.001"),
        ("ahsan909k_btc5m_session_start_20260612.jsonl", "0.01"),
    ],
)
def test_polymarket_changes_end_in_books_with_the_hash_and_the_best_prices_told(
    name: str, tick_size: str
) -> None:
    """At the end of each batch (one token, time and hash) book, hash and best prices agree."""
    path = corpus() / "polymarket" / name
    table, shown = collecting_table()
    decoder = PolymarketDecoder(DecoderOptions())
    recorded = list(frames(path))
    # Subscribed were the tokens that have an opening book; others ride along in the changes.
    decoder.start(tokens_of(recorded))
    checks = 0
    queued = queued_before_joining(recorded)
    for frame, following in zip(recorded, [*recorded[1:], b"{}"], strict=True):
        table.apply(decoder.receive(frame), LINK, 1)
        for token, told in last_told(frame).items():
            market = table.get(MarketId(token))
            if market is None or market.book is None or not stays(told, following):
                continue
            if (token, told["hash"]) in queued:
                continue  # older than the opening book, which has it already
            if told["best"] is not None:
                bid, _, ask, _ = market.book.top()
                assert (bid, ask) == told["best"]
            facts = HashFacts(told["market"], token, tick_size)
            assert hashed_trade_price(
                market.book, facts, str(told["at"]), told["hash"], prices_near("0.500")
            ), f"{told}"
            checks += 1
    assert checks >= 10
    assert (decoder.stats.unknown_kinds, decoder.stats.malformed) == (0, 0)
    assert table.stats.books_lost == 0
    assert_never_crossed(shown)


def tokens_of(recorded: Iterable[bytes]) -> list[MarketId]:
    """Return the tokens whose books a recording holds."""
    books = (o for frame in recorded for o in objects(frame) if o["event_type"] == "book")
    return sorted({MarketId(book["asset_id"]) for book in books})


def queued_before_joining(recorded: Sequence[bytes]) -> set[tuple[str, str]]:
    """Return (token, hash) of changes that arrive after an opening book and are older than it."""
    opening = {t: told["hash"] for t, told in last_told(recorded[0]).items()}
    queued: set[tuple[str, str]] = set()
    for token, joined in opening.items():
        hashes = [last_told(f)[token]["hash"] for f in recorded[1:] if token in last_told(f)]
        if joined in hashes:
            queued |= {(token, earlier) for earlier in hashes[: hashes.index(joined)]}
    return queued


def last_told(frame: bytes) -> dict[str, dict[str, Any]]:
    """Return what a frame last says of each token: time, hash and best prices after it."""
    told: dict[str, dict[str, Any]] = {}
    for message in objects(frame):
        at = int(message.get("timestamp", 0))
        entries = message.get("price_changes", [])
        if message.get("event_type") == "book":
            entries = [message]
        for entry in entries:
            best = None
            if "best_bid" in entry:
                best = (ticks(entry["best_bid"]), ticks(entry["best_ask"]))
            told[entry["asset_id"]] = {
                "at": at, "hash": entry["hash"], "best": best, "market": message["market"],

            }  # fmt: skip
    return told


def stays(told: dict[str, Any], following: bytes) -> bool:
    """Tell whether the next frame does not belong to the same batch."""
    after = last_told(following) if following != b"{}" else {}
    return all((t["at"], t["hash"]) != (told["at"], told["hash"]) for t in after.values())


def ticks(text: str) -> int:
    return int(Decimal(text) * 10_000)


def test_polymarket_old_schema_still_replays() -> None:
    """Recordings from before September 2025 hold changes of one token, and no best prices."""
    counts: dict[str, int] = defaultdict(int)
    for path in sorted((corpus() / "polymarket").glob("polypy_test_server_*_oldschema.jsonl")):
        table, shown = collecting_table()
        decoder = PolymarketDecoder(DecoderOptions())
        recorded = list(frames(path))
        decoder.start(tokens_of(recorded))
        for frame in recorded:
            for message in objects(frame):
                counts[message["event_type"]] += 1
            table.apply(decoder.receive(frame), LINK, 1)
        assert (decoder.stats.unknown_kinds, decoder.stats.malformed) == (0, 0)
        assert_never_crossed(shown)
    assert counts["price_change"] >= 10


def test_every_other_recorded_kind_is_understood() -> None:
    """Single frames of each kind decode: nothing unknown, nothing malformed."""
    for name in ("ahsan909k_btc5m_singletons_20260612", "nautilus_rs_docs_style_singletons"):
        decoder = PolymarketDecoder(DecoderOptions(lifecycle=True))
        for frame in frames(corpus() / "polymarket" / f"{name}.jsonl"):
            if b"crypto_prices" not in frame:  # one line is of another service, RTDS
                decoder.receive(frame)
        assert (decoder.stats.unknown_kinds, decoder.stats.malformed) == (0, 0)
