"""The token bucket."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbees_feed.core.ratelimit import SLOWEST, Pace, PathRate, Rates, TokenBucket


def test_a_burst_goes_at_once_and_the_next_waits() -> None:
    bucket = TokenBucket(rate_per_s=2.0, burst=3.0)
    assert [bucket.take(0.0) for _ in range(5)] == [0.0, 0.0, 0.0, 0.5, 1.0]


def test_whoever_waits_has_reserved_a_place() -> None:
    bucket = TokenBucket(1.0, 1.0)
    bucket.take(0.0)
    assert bucket.take(0.0) == 1.0
    assert bucket.take(1.0) == 1.0


def test_a_long_rest_gains_no_more_than_a_burst() -> None:
    bucket = TokenBucket(1.0, 2.0)
    assert [bucket.take(1_000.0) for _ in range(3)] == [0.0, 0.0, 1.0]


def test_a_dear_request_costs_more() -> None:
    bucket = TokenBucket(10.0, 10.0)
    assert bucket.take(0.0, cost=10.0) == 0.0
    assert bucket.take(0.0, cost=5.0) == 0.5


@given(
    st.floats(0.5, 50),
    st.integers(1, 10),
    st.lists(st.floats(0, 3), min_size=1, max_size=60),
)
def test_no_more_than_the_rate_and_one_burst_pass(
    rate: float, burst: int, pauses_s: list[float]
) -> None:
    bucket = TokenBucket(rate, burst)
    now_s = 0.0
    acts_s = []
    for pause_s in pauses_s:
        now_s += pause_s
        acts_s.append(now_s + bucket.take(now_s))
    for end_s in acts_s:
        passed = sum(act_s <= end_s for act_s in acts_s)
        assert passed <= burst + rate * end_s + 1e-6
    assert acts_s == pytest.approx(sorted(acts_s))


def test_a_pause_holds_for_all_and_ends_without_a_burst() -> None:
    bucket = TokenBucket(2.0, 5.0)
    bucket.pause(10.0)
    assert [bucket.take(4.0), bucket.take(4.0)] == [6.5, 7.0]
    assert bucket.take(20.0) == 0.0


def test_a_pause_that_is_over_costs_nothing() -> None:
    bucket = TokenBucket(1.0, 2.0, now_s=5.0)
    bucket.pause(float("-inf"))
    bucket.pause(4.0)
    assert [bucket.take(5.0), bucket.take(5.0), bucket.take(5.0)] == [0.0, 0.0, 1.0]


def test_the_rate_of_a_path_holds_for_all_below_it() -> None:
    rates = Rates(1.0, 2.0, (PathRate("/book", 3.0, 4.0), PathRate("/books", 5.0, 6.0)))
    assert [rates.of(path).rate_per_s for path in ("/book", "/book/x", "/books", "/bookshop")] == [
        3.0,
        3.0,
        5.0,
        1.0,
    ]
    assert rates.of("/bookshop").path == ""


def test_pace_falls_with_refusals_and_slow_answers_and_recovers() -> None:
    pace = Pace(slow_s=2.0)
    assert [pace.refused(), pace.refused()] == [0, 1]
    assert pace.share == 0.25
    pace.answered(0.1)
    assert pace.share == pytest.approx(0.3)
    assert pace.refused() == 0
    pace.answered(5.0)
    assert pace.share == pytest.approx(0.1125)
    for _ in range(100):
        pace.answered(5.0)
    assert pace.share == SLOWEST
    for _ in range(100):
        pace.answered(0.1)
    assert pace.share == 1.0
