"""The words by which markets are found."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbees_feed.enrich.words import LONGEST_WORD, MOST_WORDS, market_words, telling, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Will the Chiefs win?", ["will", "the", "chiefs", "win"]),
        ("São Paulo \u2013 Montréal", ["sao", "paulo", "montreal"]),
        ("STRASSE Straße ﬁnal \uff26\uff55\uff4c\uff4c", ["strasse", "strasse", "final", "full"]),
        ("Seattle's D\u2019Angelo's 100.5+", ["seattle", "d", "angelo", "100", "5"]),
        ("KXNFLGAME-26NOV22KCBUF-KC", ["kxnflgame", "26nov22kcbuf", "kc"]),
        ("Москва 東京 🏈", ["москва", "東京"]),
        ("_under_score_", ["under", "score"]),
        ("", []),
    ],
)
def test_words_are_folded(text: str, words: list[str]) -> None:
    assert words_of(text) == words


@given(st.text())
def test_a_word_is_found_however_it_is_typed(text: str) -> None:
    for word in words_of(text):
        assert 0 < len(word) <= LONGEST_WORD
        assert words_of(word.upper().casefold())


def test_words_that_say_nothing_are_left_out() -> None:
    assert telling(["will", "the", "chiefs", "win", "chiefs"]) == ["chiefs", "win"]


def test_a_market_is_found_by_title_event_outcome_category_and_ticker() -> None:
    fields = {
        "title": "Will A win?",
        "event_title": "B at C",
        "outcome_yes": "Yes",
        "category": "Sports",
        "event_id": "KXG-1",
        "rules_primary": "not this",
    }
    assert market_words("KXG-1-A", fields) == ["kxg", "1", "win", "b", "c", "sports"]


def test_token_ids_are_no_words_and_words_are_bounded() -> None:
    assert market_words("1" * 77, {"title": "X 2026"}) == ["x", "2026"]
    many = " ".join(f"w{number}" for number in range(1000))
    assert len(market_words("A", {"title": many})) == MOST_WORDS
