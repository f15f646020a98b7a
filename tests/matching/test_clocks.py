"""Hours and zones beside a day, as deadlines write them (folded)."""

import pytest

from arbees_feed.matching.clocks import Clock, read_clock
from arbees_feed.matching.dates import UNSURE, find_window

END_OF_DAY = Clock("23:59")
FIVE = Clock("17:00")


@pytest.mark.parametrize(
    ("words", "clock"),
    [
        ("11:59 pm et", END_OF_DAY),
        ("at 11:59:59 pm eastern standard time", END_OF_DAY),
        ("11.59 pm us eastern time", END_OF_DAY),
        ("11:59 pm midnight", END_OF_DAY),
        ("23:59", END_OF_DAY),
        ("23:59:59 et", END_OF_DAY),
        ("2359 et", END_OF_DAY),
        ("24:00", END_OF_DAY),
        ("5 pm eastern", FIVE),
        ("(5 pm et)", FIVE),
        ("by 5pm (et)", FIVE),
        ("17:00 new york time", FIVE),
        ("17.00 et", FIVE),
        ("1700 hours et", FIVE),
        ("17:00 hours", FIVE),
        ("09:30 et", Clock("09:30")),
        ("9:30 am et", Clock("09:30")),
        ("00:00 et", Clock("00:00")),
        ("noon", Clock("12:00")),
        ("12 noon eastern", Clock("12:00")),
        ("12:00 pm (noon) pt", Clock("12:00", "pt")),
        ("noon pacific time", Clock("12:00", "pt")),
        ("5 pm (pt)", Clock("17:00", "pt")),
        ("5 pm pacific", Clock("17:00", "pt")),
        ("5 pm pacific standard time", Clock("17:00", "pst")),
        ("5 pm central", Clock("17:00", "ct")),
        ("5 pm mountain time", Clock("17:00", "mt")),
        ("17:00z", Clock("17:00", "utc")),
        ("17:00 coordinated universal time", Clock("17:00", "utc")),
        ("17:00 gmt", Clock("17:00", "gmt")),
        ("17:00 utc-5", Clock("17:00", "utc-5")),
        ("17:00 utc +5:30", Clock("17:00", "utc+5:30")),
        ("5 pm cet", Clock("17:00", "cet")),
        ("5 pm eastern european time", Clock("17:00", "eastern european")),
        ("5 pm hong kong time", Clock("17:00", "hong kong")),
        ("(et)", Clock()),
        ("pacific time", Clock("", "pt")),
        ("(pt)", Clock("", "pt")),
        ("utc", Clock("", "utc")),
    ],
)
def test_an_hour_and_its_zone_are_read_together(words: str, clock: Clock) -> None:
    assert read_clock(words) == clock


@pytest.mark.parametrize(
    ("words", "hour"),
    [
        ("midnight", ""),
        ("at midnight et", ""),
        ("12:00 midnight", ""),
        ("12:00 am midnight", "00:00"),
        ("12 pm midnight", "12:00"),
        ("11:59 pm noon", "23:59"),
        ("9:30 et", ""),
        ("12:00", ""),
        ("5 et", ""),
        ("25:10", ""),
        ("24:01", ""),
        ("13 am", ""),
        ("5:75 pm", ""),
        ("5 pm local time", "17:00"),
        ("17:00 local time", "17:00"),
        ("5 pm their local time", "17:00"),
        ("local time", ""),
        ("5 pm et (pt)", ""),
    ],
)
def test_what_may_be_another_hour_is_unsure(words: str, hour: str) -> None:
    told = read_clock(words)
    assert (told.hour, told.sure) == (hour, False)


@pytest.mark.parametrize(
    "words",
    ["10 americans", "10 pt more", "3 times", "24 h volume", "24 hours after", "1700 hours flown",
     "central bank", "pacific islanders", "mt everest", "10:1 split", "for the first time"],
)  # fmt: skip
def test_other_words_behind_a_day_are_no_hour(words: str) -> None:
    found = find_window(f"will it rain by december 31 2026 {words}")
    assert found is not None
    assert (found.end, found.span[1]) == ("2026-12-31", len("will it rain by december 31 2026"))


@pytest.mark.parametrize(
    ("words", "end"),
    [
        ("by jan 20 2027 23:59", "2027-01-20"),
        ("by jan 20 2027 (et)", "2027-01-20"),
        ("by jan 20 2027 est", "2027-01-20"),
        ("by jan 20 2027 11:59 pm eastern time", "2027-01-20"),
        ("before jan 21 2027 00:00 et", "2027-01-20"),
        ("by 11:59 pm et on jan 20 2027", "2027-01-20"),
        ("by 17:00 et on jan 20 2027", "2027-01-20 17:00"),
        ("before noon on jan 20 2027", "2027-01-20 12:00"),
        ("by 5 pm jan 20 2027 (pt)", "2027-01-20 17:00 pt"),
        # The end of a day elsewhere is one instant, however it is told.
        ("by jan 20 2027 11:59 pm pacific", "2027-01-20 23:59 pt"),
        ("by jan 20 2027 (pt)", "2027-01-20 23:59 pt"),
        ("by jan 20 2027 pacific time", "2027-01-20 23:59 pt"),
        ("before jan 21 2027 pacific time", "2027-01-20 23:59 pt"),
        ("before jan 21 2027 12:00 am pt", "2027-01-20 23:59 pt"),
        ("before jan 21 2027 utc", "2027-01-20 23:59 utc"),
        # A deadline strictly before a day's own hour keeps the day.
        ("before jan 21 2027 11:59 pm et", "2027-01-21"),
        # Only "before" tells which end of the day its first hour is.
        ("by jan 21 2027 12:00 am et", f"2027-01-20{UNSURE}"),
        ("by 12 am on jan 21 2027", f"2027-01-20{UNSURE}"),
        ("by jan 21 2027 0:00 et", f"2027-01-20{UNSURE}"),
        ("through jan 21 2027 12 am", f"2027-01-20{UNSURE}"),
        ("on or before jan 21 2027 00:00", f"2027-01-20{UNSURE}"),
        ("prior to jan 21 2027 00:00", "2027-01-20"),
        ("by jan 20 2027 at midnight", f"2027-01-20{UNSURE}"),
        ("before jan 21 2027 at midnight", f"2027-01-20{UNSURE}"),
        ("by midnight et on jan 20 2027", f"2027-01-20{UNSURE}"),
        ("by jan 20 2027 9:30 et", f"2027-01-20{UNSURE}"),
        ("by jan 20 2027 5 pm local time", f"2027-01-20 17:00 local{UNSURE}"),
    ],
)
def test_a_window_ends_at_its_hour(words: str, end: str) -> None:
    found = find_window(f"will it rain {words}")
    assert found is not None
    assert (found.end, found.span[1]) == (end, len(f"will it rain {words}"))
