"""How one slot of two frames comes out."""

import pytest

from arbees_feed.matching.compare import compare
from arbees_feed.matching.frame import Frame, Slot


def outcomes(slot: str, ours: str, theirs: str, **both: str) -> dict[str, str]:
    """Return how each slot comes out where the venues tell *slot* so, and *both* alike."""
    told = [
        tuple(
            Slot(name, value, "title") for name, value in {**both, slot: mine}.items() if value
        )
        for mine in (ours, theirs)
    ]  # fmt: skip
    frames = Frame("kalshi", "K", "", told[0]), Frame("polymarket", "1", "", told[1])
    return {reason.slot: reason.outcome for reason in compare(*frames)}


@pytest.mark.parametrize(
    ("ours", "theirs", "outcome"),
    [
        ("19:10", "19:10", "agrees"),
        ("19:10", "18:50", "agrees"),
        ("18:40", "19:10", "agrees"),
        ("18:39", "19:10", "differs"),
        ("13:10", "19:10", "differs"),
        ("19:10", "", "only kalshi"),
        ("", "19:10", "only polymarket"),
    ],
)
def test_a_game_starts_within_half_an_hour_on_both_venues(
    ours: str, theirs: str, outcome: str
) -> None:
    assert outcomes("time", ours, theirs) == {"time": outcome}


YEAR = "2026-12-31"


@pytest.mark.parametrize(
    ("ours", "theirs", "end", "outcome"),
    [
        ("issuance", "issuance 2026-03-01", YEAR, "nearly"),
        ("issuance 2026-02-01", "issuance 2026-03-01", YEAR, "nearly"),
        ("issuance 2025-12-01", "2026-01-01", YEAR, "nearly"),
        ("issuance 2026-01-01", "2026-01-01", YEAR, "nearly"),
        ("2026-01-01", "issuance 2026-01-02", YEAR, "unsettled"),
        ("issuance", "2026-03-01", YEAR, "unsettled"),
        ("issuance 2026-02-01", "", YEAR, "nearly"),
        ("", "issuance 2026-02-01", YEAR, "nearly"),
        ("2026-01-01", "2026-02-01", YEAR, "differs"),
        ("2026-01-01", "", YEAR, "only kalshi"),
        ("", "2026-01-01", YEAR, "only polymarket"),
        # Of a month's window what comes before matters more.
        ("issuance 2025-12-01", "2026-01-01", "2026-01-31", "unsettled"),
        ("issuance 2025-12-01", "", "2026-01-31", "nearly"),
        ("issuance 2025-12-01", "2026-01-01", "2026-12-31 12:00", "unsettled"),
    ],
)
def test_a_window_that_opens_at_the_issue_is_nearly_a_year(
    ours: str, theirs: str, end: str, outcome: str
) -> None:
    assert outcomes("start", ours, theirs, end=end) == {"start": outcome, "end": "agrees"}


@pytest.mark.parametrize(
    ("ours", "theirs", "outcome"),
    [("women", "women", "agrees"), ("women", "", "only kalshi"), ("women", "youth", "differs")],
)
def test_another_contest_of_the_name_is_another_one(ours: str, theirs: str, outcome: str) -> None:
    assert outcomes("variant", ours, theirs) == {"variant": outcome}


def test_what_is_only_for_polarity_is_not_compared() -> None:
    assert outcomes("against", "nba:bkn", "nba:mem") == {}


@pytest.mark.parametrize(
    ("ours", "theirs", "outcome"),
    [
        ("2026-12-31 ?", "2026-12-31", "unsettled"),
        ("2026-12-31 ?", "2026-12-31 ?", "unsettled"),
        ("2026-12-31 ?", "2026-12-30", "differs"),
        ("2026-12-31 ?", "2026-12-31 12:00", "differs"),
        ("2026-12-31 17:00 local ?", "2026-12-31 17:00", "differs"),
        ("2026-12-31 ?", "", "only kalshi"),
    ],
)
def test_an_end_that_may_be_another_settles_nothing(ours: str, theirs: str, outcome: str) -> None:
    assert outcomes("end", ours, theirs) == {"end": outcome}
