"""Delays between attempts."""

from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from arbees_feed.core.backoff import Backoff


def test_the_bound_doubles_up_to_the_cap() -> None:
    delays = Backoff(first_s=0.25, factor=2.0, cap_s=3.0, floor_s=0.0).delays(lambda: 1.0)
    assert list(islice(delays, 6)) == [0.25, 0.5, 1.0, 2.0, 3.0, 3.0]


def test_the_floor_keeps_a_lucky_draw_from_hammering() -> None:
    assert list(islice(Backoff(floor_s=0.05).delays(lambda: 0.0), 3)) == [0.05, 0.05, 0.05]


def test_each_row_of_failures_begins_anew() -> None:
    backoff = Backoff()
    first = list(islice(backoff.delays(lambda: 0.5), 3))
    assert list(islice(backoff.delays(lambda: 0.5), 3)) == first


def test_a_long_outage_does_not_overflow() -> None:
    *_, last = islice(Backoff().delays(lambda: 1.0), 5_000)
    assert last == 30.0


@given(st.floats(0, 1, exclude_max=True), st.integers(1, 40))
def test_jitter_is_full_and_stays_under_the_bound(draw: float, count: int) -> None:
    backoff = Backoff()
    for number, delay_s in enumerate(islice(backoff.delays(lambda: draw), count)):
        bound_s = min(backoff.cap_s, backoff.first_s * backoff.factor**number)
        assert backoff.floor_s <= delay_s <= max(bound_s, backoff.floor_s)
