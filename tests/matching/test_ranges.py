"""Words of numbers, and what is left of them on a grid."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbees_feed.matching.ranges import (
    Range,
    are_halves,
    complement,
    nearly,
    on_grid,
    parse_range,
    plain,
)


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


@pytest.mark.parametrize(
    ("one", "other", "step"),
    [
        ("(4.3,inf)", "(-inf,4.3]", ""),
        ("[4.4,inf)", "(-inf,4.3]", "0.1"),
        ("[4.4,inf)", "(-inf,4.4)", "0.1"),
        ("(4.3,inf)", "(-inf,4.4)", "0.1"),
        ("[4.5,inf)", "(-inf,4.25]", "0.25"),
        ("[3,inf)", "(-inf,2]", "1"),
        ("(2.5,inf)", "(-inf,2]", "1"),
        ("[-0.1,inf)", "(-inf,-0.2]", "0.1"),
    ],
)
def test_halves_leave_nothing_out_and_share_nothing(one: str, other: str, step: str) -> None:
    assert are_halves(one, other, step)
    assert are_halves(other, one, step)


@pytest.mark.parametrize(
    ("one", "other", "step"),
    [
        ("[4.4,inf)", "(-inf,4.3]", ""),
        ("[4.4,inf)", "(-inf,4.3]", "0.01"),
        ("(4.3,inf)", "(-inf,4.3)", "0.1"),
        ("[4.4,inf)", "(-inf,4.4]", "0.1"),
        ("[4.4,inf)", "(-inf,4.2]", "0.1"),
        ("[4.4,inf)", "[4.4,inf)", "0.1"),
        ("[4.4,inf)", "[4.3,4.3]", "0.1"),
        ("[4.3,4.3]", "[4.3,4.3]", "0.1"),
        ("[4.3,4.4]", "(-inf,4.2]", "0.1"),
    ],
)
def test_what_overlaps_or_leaves_a_gap_is_no_half(one: str, other: str, step: str) -> None:
    assert not are_halves(one, other, step)
    assert not are_halves(other, one, step)


HALF = st.sampled_from(["({},inf)", "[{},inf)", "(-inf,{})", "(-inf,{}]"])


def holds(told: str, number: Decimal) -> bool:
    """Return whether *number* is in the range."""
    found = Range(told)
    above = found.low is None or number > found.low or (found.low_in and number == found.low)
    return above and (
        found.high is None or number < found.high or (found.high_in and number == found.high)
    )


@given(st.integers(-40, 40), st.integers(-40, 40), HALF, HALF, st.sampled_from(["0.1", "0.25"]))
def test_halves_are_those_of_which_each_step_is_in_one(
    first: int, second: int, form: str, other_form: str, step: str
) -> None:
    """Bounds lie on steps and between them; all steps about them are tried."""
    one = form.format(plain(first * Decimal("0.05")))
    other = other_form.format(plain(second * Decimal("0.05")))
    steps = [place * Decimal(step) for place in range(-30, 31)]
    assert are_halves(one, other, step) == all(
        holds(one, number) != holds(other, number) for number in steps
    )


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
