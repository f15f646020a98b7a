"""Plain questions: what stays of their words, and whether the outcome belongs to them."""

import pytest

from arbees_feed.matching.placeholders import Pairs
from arbees_feed.matching.propositions import is_condition, names_the_outcome, proposition


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            "will it rain in oslo before 2028",
            (("kind", "proposition"), ("text", "it rain oslo"), ("end", "2027-12-31")),
        ),
        (
            "will the 2027 rain reach oslo",
            (("kind", "proposition_dated"), ("text", "2027 rain reach oslo")),
        ),
        (
            "will it rain more than -1.5 times",
            (("kind", "proposition"), ("text", "it rain more than -1.5 times")),
        ),
        (
            "will covid-19 cost >=$5b or 4-5% of gdp 100+ times",
            (
                ("kind", "proposition"),
                ("text", "covid 19 cost >= 5b or 4-5 gdp 100+ times"),
            ),
        ),
        ("will it rain", ()),  # too few words to be a question in full
        ("who will win the rain cup", ()),
        ("sample: 7+ goals in oslo", ()),
        ("will candidate x rain on oslo", ()),
    ],
)
def test_the_words_that_carry_meaning_stay_in_their_order(words: str, told: Pairs) -> None:
    assert proposition(words, "") == told


@pytest.mark.parametrize(
    ("outcome", "named"),
    [
        ("", True),
        ("Yes", True),
        ("Oslo", True),
        ("Bergen", False),
        ("os", False),
        ("Rome", False),
        ("Paris", False),
        ("Other", False),
    ],
)
def test_a_title_without_the_outcome_is_no_question(outcome: str, *, named: bool) -> None:
    title = "will it rain or snow in oslo and on other days in rome or paris"
    assert names_the_outcome(title, outcome) is named


@pytest.mark.parametrize(
    ("outcome", "adds"),
    [
        ("before july 1", True),
        ("by 2028", True),
        ("after august", True),
        ("in oslo", True),
        ("oslo", False),
        ("beforehand", False),
        ("", False),
    ],
)
def test_an_outcome_may_add_to_the_question(outcome: str, *, adds: bool) -> None:
    assert is_condition(outcome) is adds
