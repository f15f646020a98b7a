"""Text from outside: what is seen stays, what is not seen goes."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbees_feed.core.text import clean, escaped, is_name

ANSI = "\x1b]0;owned\x07\x1b[2J\x1b[31mRED\x1b[0m"
BIDI = "safe\u202eevil\u2066x\u2069\u200f"
any_text = st.text(st.characters(codec=None), max_size=300)
"""Halves of surrogate pairs included."""


def hidden(text: str) -> list[str]:
    """Return what acts on a terminal or is not seen; the two joiners of emoji are allowed."""
    found = [c for c in text if unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"}]
    marks = {0x61C, 0x200B, 0x200E, 0x200F, 0xFEFF, *range(0x202A, 0x202F), *range(0x2060, 0x2070)}
    return found + [c for c in text if ord(c) in marks or 0xE0000 <= ord(c) < 0xE0080]


@pytest.mark.parametrize(
    "text",
    [
        "Will it rain?",
        "São Paulo, 25 °C",
        "東京",
        "é",
        "\U0001f469\u200d\U0001f467 win",
        "\u0645\u06cc\u200c\u062e\u0648",
        "a\xa0b",
    ],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert clean(text, 100) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (ANSI, "]0;owned[2J[31mRED[0m"),
        (BIDI, "safeevilx"),
        ("one\r\ntwo\tthree\u2028four", "one two three four"),
        ("nul\x00 c1\x9b31m del\x7f", "nul c131m del"),
        ("half \ud800 pair", "half  pair"),
        ("tag\U000e0041\U000e0042", "tag"),
        ("", ""),
    ],
)
def test_what_is_not_seen_goes(text: str, expected: str) -> None:
    assert clean(text, 100) == expected


def test_a_long_text_is_cut_and_says_so() -> None:
    assert clean("x" * 10, 10) == "x" * 10
    assert clean("x" * 11, 10) == "x" * 9 + "…"
    assert clean("x" * 50_000_000, 10) == "x" * 9 + "…"
    assert clean("\x00" * 50 + "end", 10) == "…"


@given(any_text, st.integers(1, 200))
def test_nothing_hidden_is_left_and_the_bound_holds(text: str, limit: int) -> None:
    shown = clean(text, limit)
    assert hidden(shown) == []
    assert len(shown) <= limit
    assert clean(shown, limit) == shown
    shown.encode()


@given(any_text)
def test_what_is_written_out_can_be_seen_and_read_back(text: str) -> None:
    shown = escaped(text)
    assert hidden(shown) == []
    quoted = json.dumps(text, ensure_ascii=False)
    assert json.loads(escaped(quoted)) == text


def test_some_may_be_kept_and_a_long_text_tells_how_much_more_there_was() -> None:
    assert escaped("a\tb\x1b", keep="\t") == "a\tb\\u001b"
    assert escaped("x" * 1_500, 10) == "x" * 10 + "… (1,490 more)"


@pytest.mark.parametrize("name", ["KXNFLGAME-26DEC09KCDET-KC", "5" * 78, "M1", "KX-T99.99_x"])
def test_names_of_markets_pass(name: str) -> None:
    assert is_name(name)


@pytest.mark.parametrize(
    "name",
    ["", "a:b", "a b", "a\n", "é", "-a", "../x", "a" * 129, "a\x00", "x*", "{a}", "a/b", "a\u202e"],
)
def test_what_would_change_a_key_does_not(name: str) -> None:
    assert not is_name(name)
