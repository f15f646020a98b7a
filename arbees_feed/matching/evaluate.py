"""How good are the verdicts on labelled pairs? By category and by trap, with intervals. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator
from math import sqrt
from typing import Final, get_args

import msgspec

from arbees_feed.matching.judge import Grade, Verdict, judge
from arbees_feed.matching.kalshi import parse_kalshi
from arbees_feed.matching.labelled import Row, is_tuning
from arbees_feed.matching.matches import KEPT, Matches
from arbees_feed.matching.polymarket import parse_polymarket

CLAIMED: Final = frozenset({
    "economics/jobs", "elections/governor", "elections/house", "elections/senate", "sports/f1",
    "sports/golf", "sports/mlb", "sports/nba", "sports/ncaaf", "sports/nfl", "sports/nhl",
    "sports/soccer", "sports/wnba",
})  # fmt: skip
"""Categories of which most pairs are found; docs/matching.md has the table of all."""

_Z95: Final = 1.959964
_POSITIVE: Final = ("same", "inverted")


class Judged(msgspec.Struct, frozen=True):
    """A labelled pair and what the matcher says of it."""

    row: Row
    verdict: Verdict
    met: bool = True
    """Whether one market is among the candidates of the other: without it nobody sees the pair."""

    @property
    def confirmed(self) -> bool:
        """Return whether the service would tell this pair."""
        return self.met and self.verdict.confirmed

    @property
    def is_right(self) -> bool:
        """Return whether a confirmed pair is one, whichever way round."""
        return self.row.label in _POSITIVE

    @property
    def is_turned(self) -> bool:
        """Return whether a confirmed pair is one with the wrong polarity."""
        return self.is_right and self.verdict.polarity != self.row.label


class Score(msgspec.Struct):
    """Counts of one category, trap, grade or part; rows labelled unsure are only `unsure`."""

    positives: int = 0
    found: int = 0
    wrong: int = 0
    turned: int = 0
    negatives: int = 0
    unsure: int = 0
    """Confirmed pairs of which the label says that the text does not settle it."""

    def add(self, judged: Judged, *, taken: bool) -> None:
        """Count *judged*; *taken* says whether it is taken for a pair."""
        if judged.row.label == "unsure":
            self.unsure += taken
        elif judged.is_right:
            self.positives += 1
            self.found += taken
            self.turned += taken and judged.is_turned
        else:
            self.negatives += 1
            self.wrong += taken

    @property
    def precision(self) -> float:
        """Return the part of confirmed pairs that are pairs; 1.0 where none was confirmed."""
        return self.found / (self.found + self.wrong) if self.found + self.wrong else 1.0

    @property
    def precision_low(self) -> float:
        """Return the lower 95 % bound of the precision (Wilson); 0.0 where none was confirmed."""
        return wilson_low(self.found, self.found + self.wrong)

    @property
    def recall(self) -> float:
        """Return the part of pairs that are confirmed; 1.0 where there are none."""
        return self.found / self.positives if self.positives else 1.0

    @property
    def recall_low(self) -> float:
        """Return the lower 95 % bound of the recall (Wilson); 0.0 where there are no pairs."""
        return wilson_low(self.found, self.positives)


def wilson_low(right: int, total: int) -> float:
    """Return the lower end of the 95 % Wilson interval of *right* in *total*."""
    if not total:
        return 0.0
    rate, z2 = right / total, _Z95 * _Z95
    middle = rate + z2 / (2 * total)
    spread = _Z95 * sqrt(rate * (1 - rate) / total + z2 / (4 * total * total))
    return max(0.0, (middle - spread) / (1 + z2 / total))


def judge_rows(rows: Iterable[Row]) -> Iterator[Judged]:
    """Yield the verdict on each row, by parsing both sides anew.

    Each row's two markets are brought together as the service does it, alone in the world: rivals
    can only take pairs away, and rows do not tell which markets there were beside.
    """
    for row in rows:
        ours, theirs = parse_kalshi(row.kalshi), parse_polymarket(row.polymarket)
        matches = Matches()
        matches.put(ours)
        matches.put(theirs)
        match = matches.get((ours.market_id, theirs.market_id))
        yield Judged(row, match.verdict if match else judge(ours, theirs), met=match is not None)


class Report(msgspec.Struct):
    """Scores in all, by category, trap (tag) and part; and of what each grade holds."""

    total: Score
    by_category: dict[str, Score]
    by_tag: dict[str, Score]
    by_part: dict[str, Score]
    by_grade: dict[str, Score]
    """As if this grade alone were taken for a pair: how much of it is one."""
    grades: Counter[tuple[str, str]]
    """Rows by label and grade."""


def report(judged: Iterable[Judged]) -> Report:
    """Return the scores of *judged*."""
    by_grade = {grade: Score() for grade in get_args(Grade) if grade in KEPT}
    made = Report(Score(), {}, {}, {}, by_grade, Counter())
    for one in judged:
        part = "tuning" if is_tuning(one.row.group) else "untouched"
        for scores, name in (
            (made.by_category, one.row.category),
            (made.by_part, part),
            *((made.by_tag, tag) for tag in one.row.tags),
        ):
            scores.setdefault(name, Score()).add(one, taken=one.confirmed)
        for grade, score in by_grade.items():
            score.add(one, taken=one.met and one.verdict.grade == grade)
        made.total.add(one, taken=one.confirmed)
        made.grades[one.row.label, one.verdict.grade] += 1
    return made
