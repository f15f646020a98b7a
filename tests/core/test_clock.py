"""How far a venue's clock is off, told by dates in whole seconds."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbees_feed.core.clock import TRUST, ClockOffset, date_of

NOW_S = 1_795_219_200.0  # Sat, 21 Nov 2026 00:00:00 GMT


def answer(clock: ClockOffset, sent_s: float, offset_s: float, way_s: float = 0.1) -> None:
    """Let an answer come that was made half way, by a clock that is off by *offset_s*."""
    made_s = sent_s + way_s / 2 + offset_s
    clock.add(math.floor(made_s), sent_s, sent_s + way_s)


def test_nothing_is_known_before_any_answer() -> None:
    clock = ClockOffset()
    assert (clock.offset_s, clock.uncertainty_s, clock.excess_s()) == (None, None, 0.0)


def test_one_answer_bounds_the_offset_to_a_second_and_its_way() -> None:
    clock = ClockOffset()
    clock.add(NOW_S, NOW_S + 0.5, NOW_S + 0.7)
    assert clock.offset_s == pytest.approx(-0.1)
    assert clock.uncertainty_s == pytest.approx(0.6)


@given(
    offset_s=st.floats(-30.0, 30.0),
    gaps=st.lists(st.floats(0.01, 5.0), min_size=60, max_size=60),
    way_s=st.floats(0.001, 0.2),
)
def test_the_true_offset_is_always_within_the_bounds(
    offset_s: float, gaps: list[float], way_s: float
) -> None:
    clock, sent_s = ClockOffset(), NOW_S
    for gap_s in gaps:
        sent_s += gap_s
        answer(clock, sent_s, offset_s, way_s)
        assert clock.offset_s is not None
        assert clock.uncertainty_s is not None
        assert abs(clock.offset_s - offset_s) <= clock.uncertainty_s + 1e-6
        assert clock.uncertainty_s <= 0.5 + way_s + 1e-6


def answered(offset_s: float, seconds: float, *, drift: float = 0.0) -> ClockOffset:
    """Return a clock after an answer every three seconds or so."""
    rng, clock, sent_s = random.Random(5), ClockOffset(), NOW_S
    while sent_s < NOW_S + seconds:
        sent_s += rng.uniform(1.0, 5.0)
        answer(clock, sent_s, offset_s + drift * (sent_s - NOW_S), 0.04)
    return clock


def test_many_answers_tell_it_to_a_tenth_of_a_second() -> None:
    clock = answered(2.34, 180.0)
    assert clock.offset_s == pytest.approx(2.34, abs=0.1)
    assert clock.uncertainty_s is not None
    assert clock.uncertainty_s < 0.1


def test_a_drift_is_followed() -> None:
    clock = answered(0.0, 3_600.0, drift=2e-4)
    assert clock.offset_s == pytest.approx(0.72, abs=0.1)


def test_what_is_old_is_less_certain() -> None:
    """By a millisecond for each second without an answer that tells more."""
    clock = answered(0.0, 180.0)
    assert clock.uncertainty_s is not None
    before_s = clock.uncertainty_s
    # As wide as can be: it tells nothing but that time has passed.
    clock.add(NOW_S + 1_200.0, NOW_S + 1_100.0, NOW_S + 1_300.0)
    assert clock.uncertainty_s == pytest.approx(before_s + 1.12, abs=0.02)


def test_a_step_of_either_clock_is_followed_and_one_wrong_answer_is_not() -> None:
    clock = answered(0.0, 180.0)
    later_s = NOW_S + 200.0
    answer(clock, later_s, -900.0)
    assert clock.offset_s == pytest.approx(0.0, abs=0.2)
    for second in range(2 * TRUST):
        answer(clock, later_s + second * 1.1, 40.0)
    assert clock.offset_s == pytest.approx(40.0, abs=0.5)


def test_an_answer_over_a_step_of_our_own_clock_is_left_out() -> None:
    clock = ClockOffset()
    clock.add(NOW_S, NOW_S + 1.0, NOW_S)
    assert clock.answers == 0
    assert clock.offset_s is None


@pytest.mark.parametrize(("offset_s", "excess_s"), [(0.0, 0.0), (6.5, 6.5), (-6.5, 6.5)])
def test_the_excess_is_what_is_certain(offset_s: float, excess_s: float) -> None:
    clock = answered(offset_s, 180.0)
    assert clock.excess_s() == pytest.approx(excess_s, abs=0.2)
    assert clock.excess_s() <= abs(offset_s) + 1e-6


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Date": "Sat, 21 Nov 2026 00:00:00 GMT"}, NOW_S),
        ({"Date": "Sat, 21 Nov 2026 01:00:00 +0100"}, NOW_S),
        ({"Date": "Sat, 21 Nov 2026 00:00:00", "Age": "0"}, NOW_S),
        ({"Date": "Sat, 21 Nov 2026 00:00:00 GMT", "Age": "7"}, None),
        ({"Date": "Sat, 21 Nov 2026 00:00:00 GMT", "X-Cache": "Hit from cloudfront"}, None),
        ({"Date": "Sat, 21 Nov 2026 00:00:00 GMT", "X-Cache": "Miss from cloudfront"}, NOW_S),
        ({"Date": "Sat, 21 Nov 2026 00:00:00 GMT", "CF-Cache-Status": "HIT"}, None),
        ({"Date": "Sat, 21 Nov 2026 00:00:00 GMT", "CF-Cache-Status": "DYNAMIC"}, NOW_S),
        ({"Date": "Sat, 99 Nov 2026 00:00:00 GMT"}, None),
        ({"Date": "9" * 500}, None),
        ({"Date": "Sat, 21 Nov 2026 00:00:00 GMT", "Age": "soon"}, None),
        ({}, None),
    ],
)
def test_only_a_date_of_the_answer_itself_counts(
    headers: dict[str, str], expected: float | None
) -> None:
    assert date_of(headers) == expected
