"""The `Retry-After` header, whatever a server puts into it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbees_feed.core.retryafter import LONGEST_S, parse_retry_after

NOW_S = 1_793_000_000.0  # Mon, 26 Oct 2026 07:33:20 GMT


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 3 ", 3.0),
        ("1.5", 1.5),
        ("999999999999", LONGEST_S),
        ("Mon, 26 Oct 2026 07:33:50 GMT", 30.0),
        ("Mon, 26 Oct 2026 07:33:50", 30.0),
        ("Mon, 26 Oct 2026 09:33:50 +0200", 30.0),
        ("Monday, 26-Oct-26 07:33:50 GMT", 30.0),
        ("Mon Oct 26 07:33:50 2026", 30.0),
        ("Mon, 26 Oct 2020 07:33:50 GMT", 0.0),
        ("Mon, 26 Oct 2099 07:33:50 GMT", LONGEST_S),
        ("Mon, 99 Oct 2026 07:33:50 GMT", None),
        (None, None),
        ("", None),
        ("-5", None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("1.2.3", None),
        (".", None),
        ("²", None),
        ("9" * 400, LONGEST_S),
    ],
)
def test_seconds_and_dates_are_read(value: str | None, expected: float | None) -> None:
    assert parse_retry_after(value, NOW_S) == expected


@given(st.text(max_size=40))
def test_no_text_breaks_it(value: str) -> None:
    wait_s = parse_retry_after(value, NOW_S)
    assert wait_s is None or 0.0 <= wait_s <= LONGEST_S
