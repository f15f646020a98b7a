"""The circuit breaker, moved through its states by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbees_feed.core.breaker import Breaker, BreakerOptions, BreakerState

OPTIONS = BreakerOptions(failures=3, cool_s=10.0, cool_cap_s=25.0)


def opened(at_s: float = 0.0) -> Breaker:
    """Return a breaker that has just opened."""
    breaker = Breaker(OPTIONS)
    for _ in range(3):
        assert breaker.enter(at_s) == 0.0
        breaker.failed(at_s)
    return breaker


def test_it_is_closed_until_enough_failures_came_in_a_row() -> None:
    breaker = Breaker(OPTIONS)
    for _ in range(5):
        breaker.failed(0.0)
        breaker.failed(0.0)
        breaker.succeeded()
    assert (breaker.state, breaker.opened, breaker.enter(0.0)) == (BreakerState.CLOSED, 0, 0.0)


def test_open_it_lets_nobody_pass_and_says_how_long() -> None:
    breaker = opened(at_s=100.0)
    assert breaker.state is BreakerState.OPEN
    assert [breaker.enter(100.0), breaker.enter(104.0)] == [10.0, 6.0]
    assert breaker.opened == 1


def test_after_the_rest_one_may_try() -> None:
    breaker = opened()
    assert breaker.wait_s(10.0) == 0.0
    assert breaker.state is BreakerState.OPEN
    assert breaker.enter(10.0) == 0.0
    assert breaker.state is BreakerState.HALF_OPEN
    assert breaker.enter(10.0) > 0.0


def test_a_trial_that_works_closes_it() -> None:
    breaker = opened()
    breaker.enter(10.0)
    breaker.succeeded()
    assert breaker.state is BreakerState.CLOSED
    breaker.failed(11.0)
    assert breaker.enter(11.0) == 0.0


def test_a_trial_that_fails_makes_the_rest_longer_up_to_a_limit() -> None:
    breaker = opened()
    now_s, rests = 0.0, []
    for _ in range(3):
        now_s += breaker.wait_s(now_s)
        assert breaker.enter(now_s) == 0.0
        breaker.failed(now_s)
        rests.append(breaker.wait_s(now_s))
    assert rests == [20.0, 25.0, 25.0]
    assert breaker.opened == 4
    breaker.enter(now_s + 25.0)
    breaker.succeeded()
    for _ in range(3):
        breaker.failed(now_s)
    assert breaker.wait_s(now_s) == 10.0


def test_a_trial_that_was_given_up_leaves_the_next_one_to_try() -> None:
    breaker = opened()
    breaker.enter(10.0)
    breaker.gave_up()
    assert breaker.enter(10.0) == 0.0
    assert breaker.state is BreakerState.HALF_OPEN
    closed = Breaker(OPTIONS)
    closed.gave_up()
    assert closed.state is BreakerState.CLOSED


def test_failures_of_those_who_were_on_their_way_change_nothing() -> None:
    """They had passed before it opened: the rest neither starts anew nor grows."""
    breaker = opened()
    breaker.failed(5.0)
    assert (breaker.wait_s(5.0), breaker.opened) == (5.0, 1)


def test_the_states_are_the_numbers_of_a_metric() -> None:
    assert [int(state) for state in (BreakerState.CLOSED, 1, 2)] == [0, 1, 2]


@given(st.lists(st.tuples(st.floats(0, 30), st.sampled_from(["ok", "bad", "gone"])), max_size=60))
def test_whatever_happens_somebody_may_try_again(steps: list[tuple[float, str]]) -> None:
    breaker = Breaker(OPTIONS)
    now_s = 0.0
    for pause_s, outcome in steps:
        now_s += pause_s
        if breaker.enter(now_s) > 0.0:
            continue
        {
            "ok": breaker.succeeded,
            "bad": lambda: breaker.failed(now_s),  # noqa: B023 (called at once)
            "gone": breaker.gave_up,
        }[outcome]()
    rounding_s = 1e-9
    assert breaker.wait_s(now_s) <= OPTIONS.cool_cap_s + rounding_s
    assert breaker.enter(now_s + OPTIONS.cool_cap_s + rounding_s) == 0.0


@pytest.mark.parametrize("state", list(BreakerState))
def test_wait_and_enter_agree_when_nobody_tries(state: BreakerState) -> None:
    breaker = opened() if state else Breaker(OPTIONS)
    if state is BreakerState.HALF_OPEN:
        breaker.enter(10.0)
    assert breaker.wait_s(5.0) == breaker.enter(5.0)
