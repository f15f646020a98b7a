"""Windows and days as titles, rules and tickers write them."""

import pytest

from arbees_feed.matching.dates import (
    eastern,
    find_window,
    named_day,
    ticker_day,
    ticker_month,
)


@pytest.mark.parametrize(
    ("words", "hint", "start", "end"),
    [
        ("before jan 1 2027", "", "", "2026-12-31"),
        ("before 2027", "", "", "2026-12-31"),
        ("before jan 2027", "", "", "2026-12-31"),
        ("by december 31 2026", "", "", "2026-12-31"),
        ("by the end of 2026", "", "", "2026-12-31"),
        ("before mar 3 2026", "", "", "2026-03-02"),
        ("by march 2 2026", "", "", "2026-03-02"),
        ("in 2026", "", "2026-01-01", "2026-12-31"),
        ("in february 2028", "", "2028-02-01", "2028-02-29"),
        ("by june 30", "2026-06-30", "", "2026-06-30"),
        ("before jan 1", "2027-01-01", "", "2026-12-31"),
        ("on or before march 2 2026", "", "", "2026-03-02"),
        ("in december 2026", "", "2026-12-01", "2026-12-31"),
        ("by the end of december", "2026-12-31", "", "2026-12-31"),
        ("by december 31", "2027-01-02", "", "2026-12-31"),
        ("by january 1", "2026-12-31", "", "2027-01-01"),
        ("before mar 3", "2026-03-02", "", "2026-03-02"),
        ("by june 30", "2026-07-03", "", "2026-06-30"),
        ("by december 31 2026 11:59 pm et", "", "", "2026-12-31"),
        ("before december 31 2026 at 11:59pm edt", "", "", "2026-12-31"),
        ("before jan 1 2027 12:00 am est", "", "", "2026-12-31"),
        ("before jan 1 2027 12 am", "", "", "2026-12-31"),
        ("prior to jan 1 2027", "", "", "2026-12-31"),
        ("prior to january 2027", "", "", "2026-12-31"),
        ("prior to january 1", "2026-12-31", "", "2026-12-31"),
        ("no later than 5 pm et on jan 20 2027", "", "", "2027-01-20 17:00"),
        ("not later than jan 20 2027", "", "", "2027-01-20"),
        ("by jan 20 2027 12 pm et", "", "", "2027-01-20 12:00"),
        ("before jan 20 2027 at 9:30 am", "", "", "2027-01-20 09:30"),
        ("by jan 20 2027 11:59 pm pt", "", "", "2027-01-20 23:59 pt"),
        ("by jan 20 11:59 pm utc", "2027-01-21", "", "2027-01-20 23:59 utc"),
        ("by december 31 2026 10 americans", "", "", "2026-12-31"),
        ("by december 31 2026 11:59 pm ethereum", "", "", "2026-12-31"),
    ],
)
def test_a_window_ends_on_its_last_day(words: str, hint: str, start: str, end: str) -> None:
    found = find_window(f"will it rain {words}", hint)
    assert found is not None
    assert (found.start, found.end) == (start, end)


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("by june 30", ""),
        ("by june 30", "2026-07-04"),
        ("before july 4", "2026-07-07"),
        ("before feb 31 2026", ""),
        ("whenever", ""),
        ("by june 2026", "2026-06-20"),
    ],
)
def test_a_year_that_nobody_tells_is_not_made_up(words: str, hint: str) -> None:
    assert find_window(words, hint) is None


def test_days_are_those_of_us_eastern() -> None:
    assert eastern("2026-01-12T01:30:00Z") == ("2026-01-11", "20:30")
    assert eastern("2026-07-02T16:00:00Z") == ("2026-07-02", "12:00")
    assert eastern("soon") == ("", "")
    assert eastern("0001-01-01T00:00:00Z") == ("", "")


def test_tickers_tell_days_and_months() -> None:
    assert ticker_day("26MAY101335COLPHI") == "2026-05-10"
    assert ticker_day("26FEB30AB") == ""
    assert ticker_month("26MAR") == "2026-03"
    assert ticker_month("26DEC31") == ticker_month("26ABC") == ""


def test_a_day_without_a_year_lies_near_the_end() -> None:
    assert named_day("july", 2, "", "2026-07-03T00:00:00Z") == "2026-07-02"
    assert named_day("jan", 1, "", "2025-12-31") == "2026-01-01"
    assert named_day("july", 2, "", "2026-09-03") == ""
    assert named_day("feb", 30, "2026", "") == ""
