"""Snapshots that were asked for and have not come."""

from itertools import pairwise

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
    assert debts.late(100.9) == ([], [])
    assert debts.late(101.0) == ([A], [])


def test_spacing_over_it_is_asked_for_at_once() -> None:
    debts = owed()
    debts.request([A], 100.0)
    debts.arrived(A)
    assert debts.request([A], 101.0) == ([A], 1)


def asked_each_time_it_goes_wrong(debts: OwedSnapshots, every_s: float, for_s: float) -> list[int]:
    """Return when A is asked for, if every answer comes at once and then A goes wrong again."""
    asked = []
    for second in range(int(for_s)):
        now_s = float(second)
        again = [*debts.late(now_s)[0]]
        if second % every_s == 0:
            again += debts.request([A], now_s)[0]
        if again:
            asked.append(second)
            debts.arrived(A)
    return asked


def test_a_market_that_goes_wrong_again_and_again_is_asked_for_more_and_more_seldom() -> None:
    asked = asked_each_time_it_goes_wrong(owed(), 1, 400)
    pauses = [after - before for before, after in pairwise(asked)]
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60]


def test_one_that_goes_wrong_now_and_then_is_asked_for_each_time_at_once() -> None:
    assert asked_each_time_it_goes_wrong(owed(), 15, 60) == [0, 15, 30, 45]


def test_what_was_good_for_minutes_begins_anew() -> None:
    debts = owed()
    last_s = asked_each_time_it_goes_wrong(debts, 1, 40)[-1]
    debts.arrived(A)
    assert debts.request([A], last_s + 100.0) == ([A], 1)  # its hold was over, and stays long
    debts.arrived(A)
    assert debts.request([A], last_s + 101.0) == ([], 1)
    debts.arrived(A)
    assert debts.request([A], last_s + 281.0) == ([A], 1)
    debts.arrived(A)
    assert debts.request([A], last_s + 282.0) == ([A], 1)


def test_who_is_on_hold_is_owed_until_its_turn_and_then_asked_as_often_as_others() -> None:
    debts = owed()
    for now_s in (0.0, 1.0, 3.0):
        assert debts.request([A], now_s) == ([A], 1)
        debts.arrived(A)
    assert debts.request([A], 3.5) == ([], 1)
    asked = [s / 2 for s in range(7, 30) if debts.late(s / 2)[0]]
    assert (asked, A in debts) == ([7.0, 12.0], True)


# -- what a whole connection may ask -----------------------------------------------------------

MANY = [MarketId(f"M{number}") for number in range(100)]
POOR = Patience(asks_per_s=10.0, burst=30.0)


def test_what_the_bucket_does_not_hold_waits_in_order() -> None:
    debts = OwedSnapshots(POOR)
    assert debts.request(MANY, 1_000.0) == (MANY[:30], 100)
    asked = list(MANY[:30])
    seconds = 0
    while len(asked) < 100:
        for market in asked:
            debts.arrived(market)
        seconds += 1
        again, _ = debts.late(1_000.0 + seconds)
        assert len(again) in {9, 10, 11}
        asked += again
    assert asked == MANY


def test_who_goes_wrong_while_others_wait_does_not_overtake_them() -> None:
    debts = OwedSnapshots(POOR)
    debts.request(MANY, 1_000.0)
    for market in MANY[:30]:
        debts.arrived(market)
    assert debts.request([A], 1_000.9) == ([], 1)
    assert debts.request([], 1_000.95) == ([], 0)
    assert debts.request([B], 1_000.99) == ([], 1)
    again: list[MarketId] = []
    for second in range(1, 20):
        again += debts.late(1_000.0 + second)[0]
        for market in again:
            debts.arrived(market)
    assert again == [*MANY[30:], A, B]


def test_those_that_were_not_asked_for_yet_come_before_those_that_were() -> None:
    debts = OwedSnapshots(POOR)
    debts.expect(MANY[:50], 1_000.0)
    debts.request(MANY[50:], 1_001.0)
    for market in MANY[50:80]:
        debts.arrived(market)
    again = [m for second in range(4, 8) for m in debts.late(1_001.0 + second)[0]]
    assert again[:20] == MANY[80:]
    assert again[20:] == MANY[: len(again) - 20]


def test_nobody_is_given_up_for_want_of_a_token() -> None:
    debts = OwedSnapshots(Patience(asks_per_s=0.1, burst=1.0))
    debts.request(MANY, 1_000.0)
    for second in range(600):
        for market in debts.late(1_000.0 + second)[0]:
            debts.arrived(market)
        debts.arrived(MANY[0])
    assert 30 <= len(debts) <= 45  # one each ten seconds, and none was given up


def test_a_venue_that_said_too_fast_is_asked_for_nothing_until_then_and_for_no_burst() -> None:
    debts = OwedSnapshots(POOR)
    debts.pause(1_005.0)
    assert debts.request(MANY, 1_000.0) == ([], 100)
    assert debts.late(1_004.9) == ([], [])
    assert len(debts.late(1_006.0)[0]) <= 11


def test_a_refusal_for_asking_too_fast_is_no_attempt() -> None:
    debts = owed()
    debts.request([A], 100.0)
    for second in range(101, 200, 2):
        debts.postpone([A], float(second), is_attempt=False)
        assert debts.late(float(second)) == ([A], [])
    debts.late(204.0)
    debts.late(209.0)
    with pytest.raises(ProtocolViolation, match="after 3 requests"):
        debts.late(214.0)


def test_the_last_attempt_is_known_as_such() -> None:
    debts = owed()
    debts.request([A], 100.0)
    seen = [(debts.late(float(s))[0], debts.is_last_attempt(A)) for s in (100, 105, 110)]
    assert seen == [([], False), ([A], False), ([A], True)]
    assert not debts.is_last_attempt(B)


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
