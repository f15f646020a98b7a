"""Verdicts on sequence numbers."""

from hypothesis import given
from hypothesis import strategies as st

from arbees_feed.core.sequence import SequenceTracker, Verdict


def verdicts(*numbers: int) -> list[Verdict]:
    tracker = SequenceTracker()
    return [tracker.observe(number) for number in numbers]


def test_a_counter_begins_anywhere() -> None:
    assert verdicts(4711, 4712) == [Verdict.NEXT, Verdict.NEXT]


def test_a_hole_is_told_once() -> None:
    assert verdicts(1, 4, 5, 6) == [Verdict.NEXT, Verdict.GAP, Verdict.NEXT, Verdict.NEXT]


def test_the_same_number_again_is_a_duplicate() -> None:
    assert verdicts(1, 2, 2, 2, 3)[1:] == [
        Verdict.NEXT,
        Verdict.DUPLICATE,
        Verdict.DUPLICATE,
        Verdict.NEXT,
    ]


def test_a_lower_number_is_a_restart_and_not_dropped_for_ever() -> None:
    """Taken for old duplicates, a restarted counter would freeze all prices in silence."""
    assert verdicts(100, 1, 2, 3) == [Verdict.NEXT, Verdict.RESET, Verdict.NEXT, Verdict.NEXT]


def test_a_straggler_costs_a_reset_and_a_gap() -> None:
    assert verdicts(1, 3, 2, 4) == [Verdict.NEXT, Verdict.GAP, Verdict.RESET, Verdict.GAP]


@given(st.integers(0, 10**12), st.integers(1, 50))
def test_a_whole_stream_raises_nothing(first: int, count: int) -> None:
    assert set(verdicts(*range(first, first + count))) == {Verdict.NEXT}


@given(st.integers(3, 30), st.data())
def test_any_one_number_left_out_is_one_gap(count: int, data: st.DataObject) -> None:
    numbers = list(range(count))
    numbers.remove(data.draw(st.integers(1, count - 2)))
    assert verdicts(*numbers).count(Verdict.GAP) == 1


@given(st.lists(st.integers(-5, 5), max_size=30))
def test_the_tracker_stands_at_the_number_it_saw_last(numbers: list[int]) -> None:
    tracker = SequenceTracker()
    for number in numbers:
        tracker.observe(number)
        assert tracker.last == number
