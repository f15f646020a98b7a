"""Names that are one person's, and those that may not be."""

import pytest

from arbees_feed.matching.people import compare_names


@pytest.mark.parametrize(
    ("one", "other", "outcome"),
    [
        ("ann marlowe", "ann marlowe", "agrees"),
        ("mike marlowe", "michael marlowe", "agrees"),
        ("ann b marlowe", "ann marlowe", "agrees"),
        ("anne marie smith", "annemarie smith", "agrees"),
        ("ann b marlowe", "ann c marlowe", "differs"),
        ("ann marlowe", "anna marlowe", "differs"),
        ("ann marlowe jr", "ann marlowe", "unsettled"),
        ("ann marlowe jr", "ann marlowe jr", "agrees"),
        ("marlowe", "ann marlowe", "differs"),
        ("nba:lal", "nba:lac", "differs"),
    ],
)
def test_names_agree_differ_or_stay_open(one: str, other: str, outcome: str) -> None:
    assert compare_names(one, other) == outcome
    assert compare_names(other, one) == outcome
