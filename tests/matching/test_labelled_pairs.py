"""The labelled pairs of both venues, where they are at hand: precision, polarity and traps.

They are not part of the project: `ARBEES_MATCHING` names their folder, or they lie in `matching`
beside the folder that `ARBEES_CORPUS` names.
"""

import gzip
import json
import os
from pathlib import Path

import pytest

from arbees_feed.matching.evaluate import CLAIMED, Report, judge_rows, report
from arbees_feed.matching.labelled import is_tuning, row_of


def pairs_file() -> Path:
    """Return the file of labelled pairs, or skip."""
    named = os.environ.get("ARBEES_MATCHING")
    corpus = os.environ.get("ARBEES_CORPUS")
    folder = Path(named) if named else Path(corpus).parent / "matching" if corpus else None
    if folder is None or not (folder / "pairs.jsonl.gz").exists():
        pytest.skip("no labelled pairs: set ARBEES_MATCHING")
    return folder / "pairs.jsonl.gz"


@pytest.fixture(scope="module", params=["tuning", "untouched"])
def scores(request: pytest.FixtureRequest) -> Report:
    with gzip.open(pairs_file(), "rt", encoding="utf-8") as lines:
        rows = [row_of(json.loads(line)) for line in lines]
    part = [row for row in rows if is_tuning(row.group) == (request.param == "tuning")]
    return report(judge_rows(part))


def test_confirmed_pairs_are_pairs(scores: Report) -> None:
    assert scores.total.precision_low >= 0.99
    assert scores.total.turned == 0


def test_no_trap_is_confirmed(scores: Report) -> None:
    assert {tag: score.wrong for tag, score in scores.by_tag.items() if score.wrong} == {}


@pytest.mark.parametrize("category", sorted(CLAIMED))
def test_most_pairs_of_claimed_categories_are_found(scores: Report, category: str) -> None:
    score = scores.by_category.get(category)
    if score is None or not score.positives:
        pytest.skip(f"this part has no pairs of {category}")
    assert score.recall >= 0.70
