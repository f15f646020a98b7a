"""The judge of published prices, by hand-made histories: it must see what is wrong."""

from typing import Any

import pytest
from support.judge import NS, Record, Span, Told, Truth, longest_s, mended_s

from arbees_feed.sim.history import TimedTop

A, B, C = (4_000, 1, 5_000, 1), (4_100, 1, 5_000, 1), (4_200, 1, 5_000, 1)
TRUTH = Truth([TimedTop(0, *A), TimedTop(10 * NS, *B), TimedTop(20 * NS, *A)])
"""A until 10 s, then B until 20 s, then A again."""


def told(at_s: float, top: tuple[int, int, int, int] = A, status: str = "live") -> Told:
    at_ns = int(at_s * NS)
    bid, bid_size, ask, ask_size = top
    message: dict[str, Any] = {
        "yes_bid": bid / 10_000,
        "yes_bid_size": bid_size / 1_000_000,
        "yes_ask": ask / 10_000,
        "yes_ask_size": ask_size / 1_000_000,
        "status": status,
        "source": "book",
        "ts_recv_ns": at_ns,
        "ts_pub_ns": at_ns,
    }
    return Told(at_ns, message)


@pytest.mark.parametrize(
    ("price", "is_wrong"),
    [
        (told(5, A), False),
        (told(5, B), True),
        (told(10.2, A), False),
        (told(10.3, A), True),
        (told(15, C), True),
        (told(15, C, "stale"), False),
        (told(25, A), False),
    ],
)
def test_a_live_price_is_wrong_if_it_was_not_true_just_before(
    price: Told,
    is_wrong: bool,  # noqa: FBT001 - a parameter of the cases above
) -> None:
    assert Record([price], TRUTH).wrong() == ([price] if is_wrong else [])


def test_frames_that_are_known_to_be_late_are_judged_by_the_truth_of_then() -> None:
    late = told(15, A)
    assert Record([late], TRUTH).wrong(late_ns=6 * NS) == []


def test_exposure_lasts_from_the_change_to_the_message_that_ends_it() -> None:
    record = Record([told(1, A), told(13, B), told(14, status="stale"), told(25, A)], TRUTH)
    assert list(record.exposures(30 * NS)) == [Span(10 * NS, 13 * NS)]
    assert longest_s(record.exposures(30 * NS)) == 3.0
    assert longest_s(record.exposures(30 * NS), since_ns=14 * NS) == 0.0


def test_a_price_that_is_never_replaced_is_exposed_until_it_is_true_again() -> None:
    assert list(Record([told(1, A)], TRUTH).exposures(30 * NS)) == [Span(10 * NS, 20 * NS)]
    assert list(Record([told(1, B)], TRUTH).exposures(30 * NS)) == [
        Span(1 * NS, 10 * NS),
        Span(20 * NS, 30 * NS),
    ]


def test_recovery_is_the_end_of_the_last_stale_or_untrue_price() -> None:
    record = Record([told(1, A), told(12, status="stale"), told(17, B), told(20.2, A)], TRUTH)
    assert mended_s([record], 10 * NS, 30 * NS) == 7.0
    assert mended_s([Record([told(1, A), told(10.4, B)], TRUTH)], 10 * NS, 19 * NS) == 0.0
    assert record.first("stale", 10 * NS) == 12 * NS
    assert record.first("stale", 13 * NS) is None
