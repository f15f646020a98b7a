"""Prices, sizes and titles in the room there is."""

import pytest

from arbees_feed.cli.text import age, amount, dollars, ms, shortened, title_of


@pytest.mark.parametrize(
    ("price", "text"),
    [(0.47, "0.47  "), (0.5, "0.50  "), (0.471, "0.471 "), (0.0004, "0.0004"), (None, "-   ")],
)
def test_decimal_points_stand_below_each_other(price: float | None, text: str) -> None:
    assert dollars(price) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0.0, ""),
        (0.5, "0.50"),
        (18.0, "18"),
        (1234.5, "1,234"),
        (99_999.0, "99,999"),
        (1_234_567.0, "1.235M"),
        (2.5e9, "2.5G"),
    ],
)
def test_sizes_fit_six_characters(size: float, text: str) -> None:
    assert amount(size) == text
    assert len(text) <= 6


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "now"), (5.9, "5s"), (61, "1m"), (7_300, "2h"), (90_000, "1d")]
)
def test_ages_are_short(seconds: float, text: str) -> None:
    assert age(seconds) == text


def test_durations_have_three_digits() -> None:
    assert [ms(value) for value in (None, 0.512, 12.34, 123.4)] == ["-", "0.51", "12.3", "123"]


@pytest.mark.parametrize("width", range(5, 45))
def test_a_cut_title_fits_and_keeps_its_number_and_its_end(width: int) -> None:
    for title in (
        "Ethereum price above 145 thousand dollars?",
        "Bitcoin price up or down above 214 thousand dollars?",
        "Pro Basketball Total Points above 136 points?",
        "9" * 78,
    ):
        cut = shortened(title, width)
        assert len(cut) <= width
        if len(title) > width:
            assert "…" in cut
        if width >= 20 and "above" in title:
            assert {word for word in title.split() if word.isdigit()} <= set(
                cut.replace("…", " ").split()
            )


def test_the_outcome_stays_when_the_event_is_cut() -> None:
    meta = {
        "title": "Will San Francisco win the San Francisco at Philadelphia game?",
        "event_title": "San Francisco at Philadelphia",
        "outcome_yes": "San Francisco",
    }
    assert title_of("X", meta, 80) == meta["title"]
    assert title_of("X", meta, 50) == "San Francisco at Philadelphia: San Francisco"
    assert title_of("X", meta, 31).endswith(": San Francisco")
    assert title_of("X", {}, 10) == "X"


def test_a_title_that_says_little_gets_its_event() -> None:
    meta = {"title": "Will Avery Brooks win?", "event_title": "Governor of California"}
    assert title_of("X", meta, 60) == "Governor of California: Will Avery Brooks win?"
    assert title_of("X", meta, 30) == "Will Avery Brooks win?"


HOSTILE = "\x1b[2J\x1b]52;c;cm0=\x07Rain\u202e?\r\n"


@pytest.mark.parametrize("width", [10, 40, 200])
@pytest.mark.parametrize(
    "meta",
    [
        {"title": HOSTILE},
        {"event_title": HOSTILE, "outcome_yes": HOSTILE},
        {"title": HOSTILE * 100_000, "event_title": HOSTILE},
        {},
    ],
)
def test_no_title_acts_on_the_terminal(meta: dict[str, str], width: int) -> None:
    title = title_of(HOSTILE, meta, width)
    assert title
    assert title.isprintable()
    assert len(title) <= width
    assert shortened(HOSTILE, width).isprintable()
