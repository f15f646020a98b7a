"""Scores of labelled pairs: what counts as found, wrong and turned."""

from pathlib import Path

import pytest

from arbees_feed.matching.evaluate import CLAIMED, Judged, judge_rows, report, wilson_low
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


def test_a_label_that_is_none_is_named() -> None:
    """It would count as a pair that is different."""
    with pytest.raises(ValueError, match="row 5: label 'smae' is none of same, inverted"):
        row_of({"id": 5, "kalshi": KALSHI, "polymarket": {"question": RIGHT}, "label": "smae"})


def test_fields_of_another_type_are_taken_as_text() -> None:
    theirs = {"question": 7, "outcomes": [1, 0], "slug": 3}
    odd = row_of({"id": 5, "kalshi": {"ticker": 1, "title": None}, "polymarket": theirs,
                  "label": "same", "tags": [2], "category": None, "group": 4})  # fmt: skip
    (judged,) = judge_rows([odd])
    assert not judged.confirmed
    assert (odd.category, odd.tags, odd.polymarket.outcomes) == ("", ("2",), ("1", "0"))


def test_a_pair_whose_markets_never_meet_is_not_found() -> None:
    (met,) = judge_rows([row("same", RIGHT)])
    apart = Judged(met.row, met.verdict, met=False)
    assert (met.confirmed, apart.confirmed) == (True, False)
    assert report([apart]).total.found == 0
    assert report([apart]).by_grade["same_question"].found == 0


def test_a_grade_counts_as_if_it_alone_were_taken_for_a_pair() -> None:
    made = report(judge_rows([row("same", RIGHT), row("different", RIGHT), row("same", OTHER)]))
    alone = made.by_grade["same_question"]
    assert (alone.positives, alone.found, alone.negatives, alone.wrong) == (2, 1, 1, 1)
    assert (made.by_grade["identical"].found, made.by_grade["identical"].wrong) == (0, 0)


def test_the_document_names_the_categories_that_are_claimed() -> None:
    lines = (Path(__file__).parents[2] / "docs/matching.md").read_text().splitlines()
    named = {line.split("|")[1].strip() for line in lines if line.endswith("| yes |")}
    assert named == CLAIMED
