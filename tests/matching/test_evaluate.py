"""Scores of labelled pairs: what counts as found, wrong and turned."""

import pytest

from arbees_feed.matching.evaluate import judge_rows, report, wilson_low
from arbees_feed.matching.labelled import Row, is_tuning, row_of

KALSHI = {"ticker": "KXHOUSERACE-TX27-26-R", "event_ticker": "KXHOUSERACE-TX27-26",
          "title": "Will Republican win the House race for TX-27?"}  # fmt: skip


def row(label: str, question: str, tag: str = "a") -> Row:
    """Return a labelled row about a district."""
    theirs = {"condition_id": "0x1", "question": question, "end_date": "2026-11-03"}
    return row_of({"id": "1", "kalshi": KALSHI, "polymarket": theirs, "label": label,
                   "category": "house", "tags": [tag], "group": "g"})  # fmt: skip


RIGHT = "Will the Republican Party win the TX-27 House seat?"
OTHER = "Will the Democratic Party win the TX-27 House seat?"


def test_scores_count_found_missed_wrong_turned_and_unsure() -> None:
    rows = [
        row("same", RIGHT), row("same", OTHER), row("inverted", RIGHT), row("different", OTHER),
        row("different", RIGHT, "b"), row("unsure", RIGHT),
    ]  # fmt: skip
    made = report(judge_rows(rows))
    score = made.by_category["house"]
    assert (score.positives, score.found, score.turned) == (3, 2, 1)
    assert (score.negatives, score.wrong, score.unsure) == (2, 1, 1)
    assert (score.precision, score.recall) == (pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert made.by_tag["b"].wrong == 1
    assert made.total == score
    assert made.grades["same", "same_question"] == 1


@pytest.mark.parametrize(
    ("right", "total", "low"), [(0, 0, 0.0), (8, 10, 0.4902), (381, 381, 0.99)]
)
def test_the_lower_bound_is_wilsons(right: int, total: int, low: float) -> None:
    """Values from Wilson (1927) as tabled by Brown, Cai and DasGupta (2001)."""
    assert wilson_low(right, total) == pytest.approx(low, abs=1e-4)


def test_a_group_is_in_one_part_for_good() -> None:
    assert [is_tuning(group) for group in ("a", "b", "c", "d")] == [False, True, False, True]
    share = sum(is_tuning(str(number)) for number in range(2000)) / 2000
    assert share == pytest.approx(0.6, abs=0.04)


def test_a_row_that_lacks_a_field_is_named() -> None:
    with pytest.raises(ValueError, match="row 5 has no 'label'"):
        row_of({"id": 5, "kalshi": KALSHI, "polymarket": {"question": RIGHT}})
