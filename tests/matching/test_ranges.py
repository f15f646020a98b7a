"""Words of numbers, and what is left of them on a grid."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbees_feed.matching.ranges import Range, complement, nearly, on_grid, parse_range, plain


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("above 4.20%", "(4.2,inf)"),
        ("more than 125000", "(125000,inf)"),
        ("at least 5", "[5,inf)"),
        ("7+", "[7,inf)"),
        ("3 or more", "[3,inf)"),
        ("below 2.5", "(-inf,2.5)"),
        ("<=3.9%", "(-inf,3.9]"),
        ("between 1.5% and 2.0%", "[1.5,2]"),
        ("between 50k and 100k", "[50000,100000]"),
        ("exactly 4.3%", "[4.3,4.3]"),
        ("-0.2%", "[-0.2,-0.2]"),
        ("no", "[0,0]"),
        ("about 5", ""),
        ("", ""),
    ],
)
def test_words_tell_a_range_or_nothing(words: str, told: str) -> None:
    assert parse_range(words) == told


@pytest.mark.parametrize(
    ("told", "step", "reached"),
    [
        ("(4.2,inf)", "0.1", "[4.3,inf)"),
        ("[4.3,inf)", "0.1", "[4.3,inf)"),
        ("(4.25,inf)", "0.25", "[4.5,inf)"),
        ("(-inf,3.9)", "0.1", "(-inf,3.8]"),
        ("(-inf,3.9]", "0.1", "(-inf,3.9]"),
        ("(4.25,inf)", "0.1", "[4.3,inf)"),
    ],
)
def test_on_a_grid_strict_and_inclusive_bounds_become_one(
    told: str, step: str, reached: str
) -> None:
    assert on_grid(told, step) == reached


bounds = st.decimals(-9999, 9999, places=2)


@given(bounds, st.sampled_from(["({},inf)", "[{},inf)", "(-inf,{})", "(-inf,{}]"]))
def test_the_complement_of_a_complement_is_the_range(bound: Decimal, form: str) -> None:
    told = form.format(plain(bound))
    assert complement(complement(told)) == told
    assert complement(told) != told


@given(bounds, bounds)
def test_a_range_of_two_ends_has_no_complement(low: Decimal, high: Decimal) -> None:
    assert complement(f"[{plain(low)},{plain(high)}]") == ""


@given(bounds, st.sampled_from("[("), st.sampled_from("])"))
def test_text_and_range_are_one(bound: Decimal, opening: str, closing: str) -> None:
    told = f"{opening}{plain(bound)},{plain(bound + 1)}{closing}"
    assert Range(told).text() == told


def test_a_bound_matters_less_where_a_step_is_small_beside_it() -> None:
    assert nearly("(61999.99,inf)", "(62000,inf)")
    assert nearly("(4000,inf)", "[4000,inf)")
    assert not nearly("(4,inf)", "[4,inf)")
    assert not nearly("(62000,inf)", "(62050,inf)")
    assert not nearly("(4000,inf)", "(-inf,4000)")
