"""What decoders count, and what a venue's record promises."""

import re

import pytest

from arbees_feed.core.venue import Credentials, DecoderStats
from arbees_feed.venues import VENUES
from arbees_feed.venues.kalshi.auth import signed_headers


def test_unknown_kinds_are_counted_by_name() -> None:
    stats = DecoderStats()
    for kind in ("new_thing", "new_thing", "other_thing"):
        stats.unknown(kind)
    assert stats.unknown_kinds == 3
    assert stats.unknown_kind_names == {"new_thing": 2, "other_thing": 1}


def test_a_flood_of_unknown_kinds_does_not_fill_the_memory() -> None:
    stats = DecoderStats()
    for number in range(1_000):
        stats.unknown(f"kind {number}")
    stats.unknown("x" * 1_000_000)
    stats.unknown("kind 3")
    assert stats.unknown_kinds == 1_002
    assert len(stats.unknown_kind_names) == 33
    assert stats.unknown_kind_names["kind 3"] == 2
    assert sum(stats.unknown_kind_names.values()) == 1_002
    assert max(len(name) for name in stats.unknown_kind_names) <= 40


def test_the_counts_of_several_decoders_add_up() -> None:
    total = DecoderStats(frames=1, gaps=2, last_problem="old")
    total.unknown("a")
    other = DecoderStats(frames=10, duplicates=3, last_problem="new")
    other.unknown("a")
    other.unknown("b")
    total.add(other)
    total.add(DecoderStats())
    assert (total.frames, total.gaps, total.duplicates, total.unknown_kinds) == (11, 2, 3, 3)
    assert total.unknown_kind_names == {"a": 2, "b": 1}
    assert total.last_problem == "new"


def test_credentials_do_not_print_their_secret() -> None:
    credentials = Credentials("key-1", lambda _: b"signature")
    assert repr(credentials) == str(credentials) == "Credentials(***)"
    assert "key-1" not in f"{credentials}"


def test_kalshi_signs_milliseconds_method_and_path() -> None:
    signed: list[bytes] = []

    def sign(text: bytes) -> bytes:
        signed.append(text)
        return b"\x00\xff"

    headers = signed_headers(Credentials("key-1", sign), "/trade-api/ws/v2", 1_795_219_200_456)
    assert signed == [b"1795219200456GET/trade-api/ws/v2"]
    assert headers == {
        "KALSHI-ACCESS-KEY": "key-1",
        "KALSHI-ACCESS-TIMESTAMP": "1795219200456",
        "KALSHI-ACCESS-SIGNATURE": "AP8=",
    }


def test_without_credentials_nothing_is_signed() -> None:
    assert signed_headers(None, "/", 1) == {}
    assert VENUES["polymarket"].handshake_headers(Credentials("k", lambda _: b""), "/", 1) == {}


@pytest.mark.parametrize("name", VENUES)
def test_a_venue_is_recorded_under_its_own_name(name: str) -> None:
    spec = VENUES[name]
    assert spec.name == name
    assert spec.markets_per_socket > 0
    assert spec.silence_timeout_s >= 20


@pytest.mark.parametrize(
    ("venue", "market", "fits"),
    [
        ("kalshi", "KXGOLD15M-26AUG102300-00", True),
        ("kalshi", "KXBTC-26NOV21-T91249.99", True),
        ("kalshi", "kx lower", False),
        ("kalshi", "", False),
        ("polymarket", "1" * 77, True),
        ("polymarket", "0xabc", False),
        ("polymarket", "", False),
    ],
)
def test_market_ids_have_the_form_of_their_venue(venue: str, market: str, *, fits: bool) -> None:
    assert bool(re.fullmatch(VENUES[venue].market_form, market)) is fits
