"""Recorded Polymarket sessions under the checks that the feed runs: every state verifies."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.quotes import collecting_table
from support.recordings import corpus, frames
from support.reliability import record

from arbees_feed.core.model import MarketId
from arbees_feed.core.venue import DecoderOptions
from arbees_feed.venues import VENUES
from arbees_feed.venues.polymarket.decoder import PolymarketDecoder

pytestmark = pytest.mark.timeout(120)

GRACE_S = 2.0
CRONOS = [1776323400, 1776324300, 1776326100, 1776327000, 1776327600, 1776329100]
SESSIONS = [
    *(f"cronos_btc5m_books/btc-updown-5m-{start}.jsonl.gz" for start in CRONOS),
    "predxt_20260228_merged_by_timestamp.jsonl",
    "predxt_20260228_book.jsonl",
    "nautilus_rs_crossing_burst_20260929_first36.jsonl",
    "ahsan909k_btc5m_session_start_20260612.jsonl",
]
OF_2025_09_AND_LATER = [
    *SESSIONS,
    "predxt_20260228_price_change.jsonl",
    "predxt_20260228_last_trade_price.jsonl",
    "ahsan909k_btc5m_singletons_20260612.jsonl",
    "nautilus_rs_docs_style_singletons.jsonl",
]


def objects(frame: bytes) -> list[dict[str, Any]]:
    decoded = json.loads(frame)
    return decoded if isinstance(decoded, list) else [decoded]


class Replay:
    """A recording at the pace of its venue times, with the caller's policy for suspicions."""

    def __init__(self, tokens: Iterable[MarketId]) -> None:
        self.now_s = 0.0
        self.decoder = PolymarketDecoder(DecoderOptions())
        self.table, _ = collecting_table()
        self.resyncs: list[str] = []
        self.suspected_s: dict[MarketId, float] = {}
        self.wrong: list[MarketId] = []
        self.right = self.undecided = 0
        self.decoder.tick(self.now_s)
        self.decoder.start(sorted(tokens))
        self.decoder.outbox.clear()

    def resync(self, market: MarketId, reason: str) -> None:
        self.resyncs.append(f"{market}: {reason}")

    def wait_until(self, now_s: float) -> None:
        while self.now_s + 0.25 <= now_s:
            self.now_s += 0.25
            self.table.apply(self.decoder.tick(self.now_s), self, 1)
            for market, since_s in list(self.suspected_s.items()):
                if self.now_s - since_s >= GRACE_S:
                    del self.suspected_s[market]
                    if self.judge(market) is False:
                        self.wrong.append(market)

    def receive(self, frame: bytes) -> None:
        self.table.apply(self.decoder.receive(frame), self, 1)
        for market in self.table:
            verdict = self.judge(market.id)
            self.right += verdict is True
            self.undecided += verdict is None
            if verdict is False:
                self.suspected_s.setdefault(market.id, self.now_s)

    def judge(self, market_id: MarketId) -> bool | None:
        market = self.table.get(market_id)
        assert market is not None
        assert market.book is not None
        return self.decoder.verify(market_id, market.book)


@pytest.mark.parametrize("name", SESSIONS)
def test_every_recorded_state_verifies_and_nothing_is_suspected(name: str) -> None:
    """A state that does not verify is in the middle of a batch, and the next one does."""
    recorded = list(frames(corpus() / "polymarket" / name))
    told = [o for frame in recorded for o in objects(frame)]
    # A token without an opening book can't be judged: one recording has such a second one.
    tokens = {MarketId(o["asset_id"]) for o in told if "tick_size" in o}
    replay = Replay(tokens)
    begun_ms = min(int(o["timestamp"]) for o in told)
    for frame in recorded:
        replay.wait_until(max(int(o["timestamp"]) - begun_ms for o in objects(frame)) / 1000)
        replay.receive(frame)
    replay.wait_until(replay.now_s + 5)
    stats = replay.decoder.stats
    record(
        "recordings",
        recording=name,
        frames=len(recorded),
        hashes_right=replay.right,
        in_a_batch=replay.undecided,
        wrong=len(replay.wrong),
        false_suspicions=len(replay.resyncs) + stats.resyncs,
    )
    assert [replay.judge(token) for token in tokens] == [True] * len(tokens)
    assert replay.wrong == []
    assert replay.right >= 0.85 * (replay.right + replay.undecided)
    assert (stats.hashes_wrong, stats.mirror_breaks, stats.off_grid) == (0, 0, 0)
    assert (stats.resyncs, stats.malformed, replay.table.stats.books_lost) == (0, 0, 0)
    assert replay.resyncs == []


def names(value: Any, path: str = "") -> Iterator[str]:
    """Yield the path of every name in a body."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield path + key
            yield from names(inner, f"{path}{key}.")
    elif isinstance(value, list):
        for inner in value:
            yield from names(inner, path)


def test_no_field_of_a_recording_is_unknown() -> None:
    known = VENUES["polymarket"].known_fields
    seen: dict[str, set[str]] = {kind: set() for kind in known}
    for name in OF_2025_09_AND_LATER:
        for frame in frames(corpus() / "polymarket" / Path(name)):
            for body in objects(frame):
                if "event_type" in body:  # one line is of another service, RTDS
                    seen[body["event_type"]].update(names(body))
    assert {
        kind: fields - known[kind] for kind, fields in seen.items() if fields - known[kind]
    } == {}
    assert all(seen[kind] for kind in known if kind != "tick_size_change")
