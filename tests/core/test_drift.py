"""The sentinels: what a venue says that it did not say before, and what it says no more."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.recordings import corpus, frames

from arbees_feed.core.drift import (
    JUDGED,
    LEARNT_FROM,
    OPENING,
    OTHER,
    DriftSentinel,
    MalformedShare,
    ZeroWatch,
    degraded,
)
from arbees_feed.venues import VENUES

KNOWN = {
    "ticker": frozenset({"sid", "msg.market_ticker", "msg.bid", "msg.note?", "msg.facts.*"}),
    "price_change": frozenset({"price_changes.price", "price_changes.size", "market"}),
}


def frame(**fields: Any) -> bytes:
    return json.dumps({"type": "ticker", **fields}).encode()


def ticker(**body: Any) -> bytes:
    return frame(sid=1, msg={"market_ticker": "M", "bid": "0.5", **body})


def without_bid() -> bytes:
    return frame(sid=1, msg={"market_ticker": "M"})


def looking(*seen: bytes, kind_key: str = "type") -> DriftSentinel:
    sentinel = DriftSentinel(KNOWN, kind_key)
    for one in seen:
        sentinel.look(one)
    return sentinel


# -- unknown fields --------------------------------------------------------------------------------


def test_a_frame_as_it_is_known_says_nothing() -> None:
    sentinel = looking(ticker(note="x", facts={"any": {"thing": 1}}))
    assert (sentinel.looked_at, dict(sentinel.unknown), sentinel.reasons()) == (1, {}, [])


def test_new_fields_are_counted_by_kind_and_path() -> None:
    sentinel = looking(ticker(foo=1), ticker(foo=2), frame(sid=1, seq=3, msg={"a": {"b": []}}))
    assert sentinel.unknown == {
        ("ticker", "msg.foo"): 2,
        ("ticker", "seq"): 1,
        ("ticker", "msg.a"): 1,
        ("ticker", "msg.a.b"): 1,
    }
    assert sentinel.reasons() == [
        "unknown field ticker.msg.foo, ticker.seq, ticker.msg.a, ticker.msg.a.b"
    ]


def test_arrays_are_transparent_around_frames_and_in_them() -> None:
    change = {"event_type": "price_change", "price_changes": [{"price": "1"}, {"new": [[1, 2]]}]}
    sentinel = looking(json.dumps([change, change]).encode(), kind_key="event_type")
    assert sentinel.unknown == {("price_change", "price_changes.new"): 2}


@pytest.mark.parametrize(
    "seen",
    [
        b"PONG",
        b"",
        b"7",
        b"[]",
        b"[[1]]",
        b"{}",
        b'{"type":7}',
        b'{"type":"brand_new","x":1}',
        b"\xff\xfe",
        b'{"type":"ticker","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"type":"ticker","x":"' + b"y" * 300_000 + b'"}',
    ],
)
def test_what_is_no_frame_of_a_known_kind_or_huge_is_passed_over(seen: bytes) -> None:
    assert looking(seen).reasons() == []


def test_a_hostile_frame_takes_bounded_room_and_no_control_characters() -> None:
    names = {f"\x1b[2J{number}{'x' * 5_000}": {"deep": 1} for number in range(30)}
    deep: dict[str, Any] = {}
    for _ in range(100):
        deep = {"d": deep}
    sentinel = looking(
        ticker(**names), ticker(deep=deep), *(ticker(**{f"n{i}": i}) for i in range(500))
    )
    assert len(sentinel.unknown) <= 65
    assert sentinel.unknown[OTHER] > 400
    assert all(len(path) < 7 * 41 and path.isprintable() for _, path in sentinel.unknown)
    assert len(sentinel.reasons()[0]) < 1_000


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()))
def test_no_frame_raises(seen: bytes) -> None:
    looking(seen, b'{"type":"ticker","msg":%s}' % (seen or b"0"))


# -- missing fields --------------------------------------------------------------------------------


def test_a_field_that_goes_is_missing_once_most_samples_lack_it_and_until_it_is_back() -> None:
    sentinel = looking(*[ticker()] * (LEARNT_FROM + JUDGED))
    for _ in range(JUDGED // 2):
        sentinel.look(without_bid())
    assert sentinel.missing() == []
    sentinel.look(without_bid())
    assert sentinel.missing() == [("ticker", "msg.bid")]
    assert sentinel.reasons() == ["ticker.msg.bid missing"]
    sentinel.look(ticker())
    for _ in range(JUDGED // 2):
        sentinel.look(ticker())
    assert sentinel.reasons() == []


def test_fields_that_may_be_absent_are_not_missed() -> None:
    sentinel = looking(*[ticker(note="n")] * LEARNT_FROM, *[ticker()] * JUDGED)
    assert sentinel.missing() == []


def test_a_field_that_came_now_and_then_is_not_expected() -> None:
    mixed = [ticker() if number % 10 else without_bid() for number in range(LEARNT_FROM)]
    assert looking(*mixed, *[without_bid()] * JUDGED).missing() == []


def test_nothing_is_learnt_from_the_opening_frames_of_a_connection() -> None:
    sentinel = DriftSentinel(KNOWN, "type")
    for _ in range(LEARNT_FROM):
        sentinel.look(ticker(), opening=True)
    for _ in range(LEARNT_FROM + JUDGED):
        sentinel.look(without_bid())
    assert sentinel.missing() == []


def test_the_first_frames_are_due_and_then_one_in_so_many() -> None:
    sentinel = DriftSentinel(KNOWN, "type", sample_every=100)
    due = [count for count in range(1, 501) if sentinel.due(count)]
    assert due == [*range(1, OPENING + 1), 100, 200, 300, 400, 500]


# -- all prices zero -------------------------------------------------------------------------------


class Venue:
    """Updates of many markets, so many a second, and the time."""

    def __init__(self, markets: int = 200, a_second: int = 100) -> None:
        self.watch = ZeroWatch()
        self.names = [f"M{number}" for number in range(markets)]
        self.a_second = a_second
        self.now_s = 1_000.0
        self.turn = 0
        self.said: str | None = None

    def run(self, seconds: float, empty: float = 0.0) -> None:
        """Let time pass; *empty* of the updates have no price."""
        for _ in range(round(seconds * 10)):
            for _ in range(self.a_second // 10):
                self.turn += 1
                gone = (self.turn * 7919) % 1000 < empty * 1000
                self.watch.add(self.names[self.turn % len(self.names)], gone)
            self.now_s += 0.1
            self.said = self.watch.tick(self.now_s)


def test_a_venue_whose_prices_all_go_is_suspected_at_once_then_found_then_normal_again() -> None:
    venue = Venue()
    venue.run(30)
    assert (venue.said, venue.watch.suspicious) == (None, False)
    venue.run(1, empty=1.0)
    assert venue.watch.suspicious
    venue.run(10, empty=0.97)
    assert venue.said == "all prices zero"
    assert venue.watch.suspicious
    venue.run(120, empty=1.0)
    assert venue.said == "all prices zero"
    venue.run(11, empty=0.02)
    assert (venue.said, venue.watch.suspicious) == (None, False)


@pytest.mark.parametrize("a_second", [10, 100, 1_000])
def test_in_a_burst_no_more_than_a_handful_pass_before_suspicion(a_second: int) -> None:
    venue = Venue(a_second=a_second)
    venue.run(30)
    passed = 0
    for name in venue.names:
        venue.watch.add(name, empty=True)
        passed += not venue.watch.suspicious
    assert passed == 20


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.85])
def test_many_that_end_are_not_all(share: float) -> None:
    venue = Venue()
    venue.run(30)
    venue.run(60, empty=share)
    assert venue.said is None


def test_a_dozen_markets_that_end_together_prove_nothing() -> None:
    venue = Venue(markets=19)
    venue.run(30)
    venue.run(60, empty=1.0)
    assert (venue.said, venue.watch.suspicious) == (None, False)


def test_a_hundred_markets_that_end_once_amid_the_others_are_soon_forgotten() -> None:
    venue = Venue(markets=2_000, a_second=500)
    venue.run(30)
    for name in venue.names[:100]:
        venue.watch.add(name, empty=True)
    venue.run(5)
    assert (venue.said, venue.watch.suspicious) == (None, False)


def test_what_was_always_empty_is_normal() -> None:
    venue = Venue()
    venue.run(60, empty=1.0)
    assert venue.said is None


def test_a_quiet_night_is_no_reason_not_to_notice() -> None:
    venue = Venue()
    venue.run(30)
    venue.a_second = 0
    venue.run(600)
    venue.a_second = 100
    venue.run(11, empty=1.0)
    assert venue.said == "all prices zero"


def test_silence_ends_no_verdict() -> None:
    venue = Venue()
    venue.run(30)
    venue.run(12, empty=1.0)
    venue.a_second = 0
    venue.run(100)
    assert venue.said == "all prices zero"


# -- malformed frames ------------------------------------------------------------------------------


def test_malformed_frames_count_by_their_share_of_the_last_ones() -> None:
    share = MalformedShare()
    assert share.tick(1_000, 0) is None
    assert share.tick(1_100, 5) is None
    assert share.tick(1_200, 68) == "34 % of frames malformed"
    assert share.tick(1_300, 68) == "32 % of frames malformed"
    assert share.tick(1_500, 68) is None


def test_a_handful_of_frames_proves_nothing() -> None:
    share = MalformedShare()
    assert share.tick(19, 19) is None
    assert share.tick(20, 20) == "100 % of frames malformed"


def test_the_memory_of_shares_is_bounded() -> None:
    share = MalformedShare()
    for frames_ in range(100_000):
        share.tick(frames_, 0)
    assert sys.getsizeof(share._marks) < 10_000


def test_reasons_become_one_text() -> None:
    assert degraded(None, None) == degraded() == ""
    parts = [*looking(ticker(foo=1)).reasons(), None, "34 % of frames malformed"]
    assert degraded(*parts) == ("degraded: unknown field ticker.msg.foo; 34 % of frames malformed")


# -- recordings ------------------------------------------------------------------------------------

OLD = ("oldschema", "legacy", "ssmd_production", "nautilus_py_price_change.jsonl")
"""Recordings with frames of before the schemas of today."""


def sampled(path: Path, venue: str) -> DriftSentinel:
    """Look at one frame in sixteen of a recording, and at its first ones."""
    sentinel = DriftSentinel(VENUES[venue].known_fields, KIND_KEYS[venue])
    for count, one in enumerate(frames(path), start=1):
        opening = count <= OPENING
        if opening or not count % 16:
            sentinel.look(one, opening=opening)
    return sentinel


KIND_KEYS = {"kalshi": "type", "polymarket": "event_type"}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("venue", VENUES)
def test_recordings_of_today_have_no_drift_and_older_ones_have(venue: str) -> None:
    looked_at = 0
    for path in sorted((corpus() / venue).rglob("*.jsonl*")):
        if "rest" not in path.parts and "recv" not in path.name:
            sentinel = sampled(path, venue)
            looked_at += sentinel.looked_at
            if not any(part in path.name for part in OLD):
                assert sentinel.reasons() == [], path.name
            elif "mxgordon" not in path.name:  # other kinds of the same time
                assert sentinel.reasons()[0].startswith("unknown field"), path.name
    assert looked_at > 1_000
