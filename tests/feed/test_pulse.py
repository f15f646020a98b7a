"""What the silence of a connection means."""

from arbees_feed.core.model import Liveness
from arbees_feed.feed.age import GROWN_MS, TOO_OLD_MS, WINDOW_S, MessageAge
from arbees_feed.feed.pulse import ASK_AGAIN_S, ASK_AT_LEAST_S, ASK_AT_MOST_S, UNPROVEN_S, Pulse


def beating(every_s: float, seconds: float) -> tuple[Pulse, float]:
    """Return a pulse that has had data at this pace for so long, and the time."""
    pulse, now_s = Pulse(0.0), 0.0
    while now_s < seconds:
        now_s += every_s
        pulse.data(now_s)
    return pulse, now_s


def first_question_s(pulse: Pulse, now_s: float) -> float:
    """Return after how long a silence is looked into."""
    began_s = now_s
    while not pulse.should_ask(now_s):
        now_s += 0.25
    return now_s - began_s


def test_the_silence_of_a_busy_connection_is_looked_into_within_seconds() -> None:
    pulse, now_s = beating(0.25, 120)
    assert first_question_s(pulse, now_s) == ASK_AT_LEAST_S


def test_a_connection_that_pauses_now_and_then_gets_more_patience() -> None:
    pulse, now_s = beating(1.5, 300)
    assert first_question_s(pulse, now_s) == 6.0


def test_the_silence_of_any_connection_is_looked_into_after_ten_seconds() -> None:
    pulse, now_s = beating(45.0, 900)
    assert first_question_s(pulse, now_s) == ASK_AT_MOST_S
    assert first_question_s(Pulse(0.0), 0.0) < ASK_AT_MOST_S


def test_a_good_answer_proves_it_quiet_and_is_asked_for_again() -> None:
    pulse, now_s = beating(45.0, 900)
    for _ in range(20):
        now_s += first_question_s(pulse, now_s)
        pulse.answered(now_s + 0.1)
        assert pulse.state(now_s + 0.1) is Liveness.QUIET
        assert not pulse.is_unproven(now_s)
    assert now_s > 1_000


def test_a_question_that_comes_to_nothing_is_asked_again() -> None:
    pulse = Pulse(0.0)
    assert pulse.should_ask(ASK_AT_MOST_S)
    assert not pulse.should_ask(ASK_AT_MOST_S + ASK_AGAIN_S - 0.1)
    assert pulse.should_ask(ASK_AT_MOST_S + ASK_AGAIN_S)


def test_silence_of_which_nothing_can_be_learnt_is_unproven_after_a_minute() -> None:
    pulse = Pulse(0.0)
    pulse.should_ask(ASK_AT_MOST_S)
    assert not pulse.is_unproven(UNPROVEN_S)
    assert pulse.is_unproven(UNPROVEN_S + 0.1)


def test_data_ends_every_suspicion() -> None:
    pulse = Pulse(0.0)
    pulse.suspicion = "no answer"
    assert pulse.state(1.0) is Liveness.SUSPECT
    pulse.data(2.0)
    assert pulse.state(2.0) is Liveness.LIVE


def test_an_unusual_silence_does_not_make_the_next_one_usual_for_ever() -> None:
    pulse, now_s = beating(0.25, 60)
    pulse.data(now_s + 8.0)
    now_s += 8.0
    assert first_question_s(pulse, now_s) == ASK_AT_MOST_S
    for _ in range(200):
        now_s += 0.25
        pulse.data(now_s)
    assert first_question_s(pulse, now_s) < 3.0


# -- the age of data ----------------------------------------------------------------------------


def aged(*samples: tuple[float, float]) -> MessageAge:
    """Return the age after windows of (least age in ms) each."""
    age, now_s = MessageAge(), 0.0
    for least_ms, spread_ms in samples:
        for step in range(5):
            age.add(least_ms + spread_ms * step, now_s + step)
        now_s += WINDOW_S
    age.add(samples[-1][0], now_s)
    return age


def test_a_constant_difference_of_clocks_is_no_growth() -> None:
    for offset_ms in (-3_000.0, 0.0, 40.0, 90_000.0):
        age = aged(*[(offset_ms, 10.0)] * 10)
        assert not age.has_grown
        assert age.newest_ms == offset_ms


def test_a_single_old_window_is_no_alarm() -> None:
    assert not aged((40.0, 0.0), (40.0, 0.0), (6_000.0, 0.0), (40.0, 0.0)).has_grown
    assert not aged((40.0, 0.0), (40.0, 0.0), (6_000.0, 0.0)).has_grown


def test_frames_that_queue_up_are_an_alarm_and_then_too_old() -> None:
    grown = aged((40.0, 0.0), (40.0 + GROWN_MS + 10, 0.0), (40.0 + GROWN_MS + 20, 0.0))
    assert grown.has_grown
    assert not grown.is_too_old
    assert aged((40.0, 0.0), (8_000.0, 0.0), (TOO_OLD_MS + 50, 0.0)).is_too_old


def test_old_snapshots_among_fresh_changes_do_not_count() -> None:
    assert not aged(*[(40.0, 2_000.0)] * 6).has_grown
