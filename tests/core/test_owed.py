"""Snapshots that were asked for and have not come."""

import pytest

from arbees_feed.core.model import MarketId
from arbees_feed.core.owed import OwedSnapshots, Patience
from arbees_feed.errors import ProtocolViolation

A, B = MarketId("A"), MarketId("B")
PATIENCE = Patience(answer_timeout_s=5.0, attempts=3, spacing_s=1.0, given_up_retry_s=60.0)


def owed() -> OwedSnapshots:
    return OwedSnapshots(PATIENCE)


def test_what_was_asked_for_is_owed_until_it_arrives() -> None:
    debts = owed()
    debts.expect([A, B], 0.0)
    debts.arrived(A)
    assert (A in debts, B in debts, len(debts)) == (False, True, 1)


def test_nothing_is_late_within_the_time_of_an_answer() -> None:
    debts = owed()
    debts.expect([A], 0.0)
    assert debts.late(4.9) == ([], [])
    assert debts.late(5.0) == ([A], [])
    assert debts.late(5.1) == ([], [])


def test_an_unknown_market_is_given_up_with_one_notice_and_asked_for_slowly() -> None:
    debts = owed()
    debts.expect([A], 0.0)
    asked, told = [], []
    for second in range(300):
        again, given_up = debts.late(float(second))
        asked += [second] * len(again)
        told += [second] * len(given_up)
    assert asked == [5, 10, 15, 75, 135, 195, 255]
    assert told == [15]


def test_a_book_that_there_was_must_come_again() -> None:
    debts = owed()
    assert debts.request([A], 100.0) == ([A], 1)
    assert debts.late(105.0) == ([A], [])
    assert debts.late(110.0) == ([A], [])
    with pytest.raises(ProtocolViolation, match="no snapshot of A after 3 requests"):
        debts.late(115.0)


def test_a_market_is_asked_for_once_until_the_answer() -> None:
    debts = owed()
    assert debts.request([A], 100.0) == ([A], 1)
    assert debts.request([A], 100.5) == ([], 0)
    assert debts.request([A], 103.0) == ([], 0)


def test_a_book_that_goes_wrong_at_once_again_waits_its_turn() -> None:
    debts = owed()
    debts.request([A], 100.0)
    debts.arrived(A)
    assert debts.request([A], 100.3) == ([], 1)
    assert A in debts
    assert debts.late(100.3) == ([A], [])


def test_spacing_over_it_is_asked_for_at_once() -> None:
    debts = owed()
    debts.request([A], 100.0)
    debts.arrived(A)
    assert debts.request([A], 101.0) == ([A], 1)


def test_one_named_twice_is_asked_for_once() -> None:
    assert owed().request([A, A], 100.0) == ([A], 1)


def test_an_unreadable_answer_does_not_end_the_connection() -> None:
    debts = owed()
    debts.request([A], 100.0)
    debts.unusable(A)
    told = [debts.late(float(second))[1] for second in range(100, 130)]
    assert told.count([A]) == 1


def test_a_refused_request_is_late_when_it_is_said_to_be() -> None:
    debts = owed()
    debts.request([A], 100.0)
    debts.postpone([A, B], 101.0)
    assert debts.late(100.9) == ([], [])
    assert debts.late(101.0) == ([A], [])
    assert B not in debts


def test_nothing_is_expected_of_a_market_that_has_left() -> None:
    debts = owed()
    debts.request([A], 100.0)
    debts.forget(A)
    assert debts.late(200.0) == ([], [])
    assert debts.request([A], 100.1) == ([A], 1)  # and its spacing is forgotten too


def test_nothing_is_expected_of_a_subscription_that_is_gone() -> None:
    debts = owed()
    debts.expect([A, B], 0.0)
    debts.clear()
    assert len(debts) == 0
    assert debts.late(99.0) == ([], [])
