"""How good are the verdicts on labelled pairs? By category and by trap, with intervals. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator
from math import sqrt
from typing import Final

import msgspec

from arbees_feed.matching.judge import Verdict, judge
from arbees_feed.matching.kalshi import parse_kalshi
from arbees_feed.matching.labelled import Row
from arbees_feed.matching.polymarket import parse_polymarket

_Z95: Final = 1.959964
_POSITIVE: Final = ("same", "inverted")


class Judged(msgspec.Struct, frozen=True):
    """A labelled pair and what the matcher says of it."""

    row: Row
    verdict: Verdict

    @property
    def is_right(self) -> bool:
        """Return whether a confirmed pair is one, whichever way round."""
        return self.row.label in _POSITIVE

    @property
    def is_turned(self) -> bool:
        """Return whether a confirmed pair is one with the wrong polarity."""
        return self.is_right and self.verdict.polarity != self.row.label


class Score(msgspec.Struct):
    """Counts of one category, trap or part. Rows labelled unsure count for nothing but `unsure`."""

    positives: int = 0
    found: int = 0
    wrong: int = 0
    turned: int = 0
    negatives: int = 0
    unsure: int = 0
    """Confirmed pairs of which the label says that the text does not settle it."""

    def add(self, judged: Judged) -> None:
        """Count *judged*."""
        confirmed = judged.verdict.confirmed
        if judged.row.label == "unsure":
            self.unsure += confirmed
        elif judged.is_right:
            self.positives += 1
            self.found += confirmed
            self.turned += confirmed and judged.is_turned
        else:
            self.negatives += 1
            self.wrong += confirmed

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


def wilson_low(right: int, total: int) -> float:
    """Return the lower end of the 95 % Wilson interval of *right* in *total*."""
    if not total:
        return 0.0
    rate, z2 = right / total, _Z95 * _Z95
    middle = rate + z2 / (2 * total)
    spread = _Z95 * sqrt(rate * (1 - rate) / total + z2 / (4 * total * total))
    return (middle - spread) / (1 + z2 / total)


def judge_rows(rows: Iterable[Row]) -> Iterator[Judged]:
    """Yield the verdict on each row, by parsing both sides anew."""
    for row in rows:
        verdict = judge(parse_kalshi(row.kalshi), parse_polymarket(row.polymarket))
        yield Judged(row, verdict)


class Report(msgspec.Struct):
    """Scores in all, by category and by trap (tag), and the counts of grades by label."""

    total: Score
    by_category: dict[str, Score]
    by_tag: dict[str, Score]
    grades: Counter[tuple[str, str]]


def report(judged: Iterable[Judged]) -> Report:
    """Return the scores of *judged*."""
    made = Report(Score(), {}, {}, Counter())
    for one in judged:
        made.total.add(one)
        made.by_category.setdefault(one.row.category, Score()).add(one)
        for tag in one.row.tags:
            made.by_tag.setdefault(tag, Score()).add(one)
        made.grades[one.row.label, one.verdict.grade] += 1
    return made
