"""Do two frames ask the same question? A grade, a polarity and the reasons. Pure.

Every slot that a kind requires must be told on both sides and agree. What is told on one side alone
is never taken for granted: such a pair is probable at most.
"""

from functools import cache
from typing import Any, Final, Literal

import msgspec

from arbees_feed.matching.compare import compare
from arbees_feed.matching.frame import Frame
from arbees_feed.matching.people import compare_names
from arbees_feed.matching.ranges import are_halves
from arbees_feed.matching.reasons import Outcome, Reason
from arbees_feed.matching.tables import data
from arbees_feed.matching.words import code_tail, name_tails

Grade = Literal["identical", "same_question", "probable", "related", "different"]
Polarity = Literal["same", "inverted", "unknown"]

CONFIRMED: Final = ("identical", "same_question")
AMBIGUOUS: Final = "ambiguous"

# How surely it is the same question, by what was measured on the labelled pairs of the tuning part
# (docs/matching.md): lower 95 % bounds of precision, rounded down. That of `identical` is the bound
# of all confirmed pairs, for it asks for all that `same_question` does, and more.
_CONFIDENCE: Final[dict[str, float]] = {
    "identical": 0.995, "same_question": 0.99, "probable": 0.45, "related": 0.1, "different": 0.01,
}  # fmt: skip
# What YES pays on. Without it two markets of one event are no more than that.
_OUTCOMES: Final = frozenset({"subject", "party", "range", "text"})
# The names of the known differences that are left where a slot nearly agrees.
_NEARLY: Final = {"range": "boundary", "subject": "outcome_by_code", "start": "window_start"}


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What two frames are to each other.

    `confidence`, from 0 to 1, is how surely it is the same question, as measured of its grade;
    within `probable` it only orders, the less the more is open. `conflicts` name known differences
    of settlement (docs/matching.md lists them).
    """

    grade: Grade
    polarity: Polarity
    confidence: float
    reasons: tuple[Reason, ...]
    conflicts: tuple[str, ...] = ()

    @property
    def confirmed(self) -> bool:
        """Return whether this is a pair to rely on."""
        return self.grade in CONFIRMED


class Spec:
    """How a kind is judged; see `data/kinds.toml`."""

    __slots__ = ("block", "conflicts", "noted", "required", "step", "tolerated")

    def __init__(self, row: dict[str, Any]) -> None:
        self.required = frozenset(row["required"])
        self.tolerated: dict[str, str] = row.get("tolerated", {})
        self.noted: dict[str, str] = {"source": "settlement_source", **row.get("noted", {})}
        self.block = tuple(row["block"])
        self.step: str = row.get("step", "")
        self.conflicts = tuple(row.get("conflicts", ()))


@cache
def _specs() -> dict[str, Spec]:
    return {kind: Spec(row) for kind, row in data("kinds").items()}


def spec_of(kind: str) -> Spec | None:
    """Return how *kind* is judged; None for a kind that matches nothing."""
    return _specs().get(kind)


def judge(kalshi: Frame, polymarket: Frame) -> Verdict:
    """Return what the frames of two venues are to each other."""
    reasons = compare(kalshi, polymarket)
    spec = spec_of(kalshi.get("kind"))
    if spec is None or kalshi.get("kind") != polymarket.get("kind"):
        return Verdict("different", "unknown", _CONFIDENCE["different"], reasons)
    polarity, turned = _polarity(kalshi, polymarket)
    reasons = tuple(_agreeing(one) if one.slot == turned else one for one in reasons)
    conflicts = _conflicts(spec, reasons, kalshi, polymarket)
    grade = _grade(spec, reasons, polarity)
    if grade == "identical" and (kalshi.clashes or polymarket.clashes):
        grade = "probable"
    elif grade == "identical" and conflicts:
        grade = "same_question"
    shown: Polarity = polarity if grade in (*CONFIRMED, "probable") else "unknown"
    clashes = len(kalshi.clashes) + len(polymarket.clashes)
    return Verdict(grade, shown, _confidence(grade, reasons, clashes), reasons, conflicts)


def refused(verdict: Verdict) -> Verdict:
    """Return *verdict* as it is where another market fits as well: probable, and no more."""
    return msgspec.structs.replace(
        verdict,
        grade="probable",
        confidence=_CONFIDENCE["probable"],
        conflicts=(*verdict.conflicts, AMBIGUOUS),
    )


def _confidence(grade: Grade, reasons: tuple[Reason, ...], clashes: int) -> float:
    if grade != "probable":
        return _CONFIDENCE[grade]
    opens = clashes + sum(_is_open(one.outcome) for one in reasons)
    return round(_CONFIDENCE[grade] / max(1, opens), 3)


def _polarity(kalshi: Frame, polymarket: Frame) -> tuple[Polarity, str]:
    """Return how YES of one stands to YES of the other, and the slot that turns it."""
    ours, theirs = kalshi.get("subject"), polymarket.get("subject")
    if ours and theirs and compare_names(ours, theirs) == "differs":
        swapped = ours == polymarket.get("against") and theirs == kalshi.get("against")
        return ("inverted", "subject") if swapped else ("unknown", "")
    left, right = kalshi.get("range"), polymarket.get("range")
    if left and right and are_halves(left, right, _step(kalshi)):
        return "inverted", "range"
    return "same", ""


def _step(frame: Frame) -> str:
    """Return the step in which the number in question moves, or an empty text where none is known.

    It is the same for both: a frame of another kind or indicator is no match anyhow.
    """
    spec = spec_of(frame.get("kind"))
    step: str = data("economics")["grids"].get(frame.get("indicator"), "")
    return step or (spec.step if spec else "")


def _agreeing(reason: Reason) -> Reason:
    return msgspec.structs.replace(reason, outcome="agrees")


def _grade(spec: Spec, reasons: tuple[Reason, ...], polarity: Polarity) -> Grade:
    """Return the grade by slots alone; "identical" stands for both grades of confirmed pairs."""
    by_slot = {reason.slot: reason.outcome for reason in reasons}
    differing = {name for name, outcome in by_slot.items() if outcome == "differs"}
    if differing - spec.noted.keys() or polarity == "unknown":
        return "different" if differing & set(spec.block) - {"subject"} else "related"
    missing = {name for name in spec.required if by_slot.get(name) not in ("agrees", "nearly")}
    if any(_is_untold(by_slot.get(name)) for name in missing & _OUTCOMES):
        return "related"
    loose = {name for name, outcome in by_slot.items() if _is_open(outcome)}
    tolerated = {name for name in spec.tolerated if by_slot.get(name) != "unsettled"}
    return "probable" if missing or loose - spec.noted.keys() - tolerated else "identical"


def _is_untold(outcome: Outcome | None) -> bool:
    return outcome is None or outcome.startswith("only")


def _is_open(outcome: Outcome) -> bool:
    return outcome.startswith("only") or outcome == "unsettled"


def _conflicts(
    spec: Spec, reasons: tuple[Reason, ...], kalshi: Frame, polymarket: Frame
) -> tuple[str, ...]:
    found = dict.fromkeys(spec.conflicts)
    for reason in reasons:
        if reason.outcome == "nearly":
            found[_NEARLY[reason.slot]] = None
        elif reason.outcome != "agrees" and not _untold_source(reason):
            found[spec.noted.get(reason.slot) or spec.tolerated.get(reason.slot, "")] = None
    found.update(dict.fromkeys(sorted({*kalshi.caveats} ^ {*polymarket.caveats})))
    league = kalshi.get("league") or polymarket.get("league")
    found.update(dict.fromkeys(data("leagues").get(league, {}).get("conflicts", ())))
    return tuple(name for name in found if name)


def _untold_source(reason: Reason) -> bool:
    return reason.slot == "source" and reason.outcome.startswith("only")


def block_keys(frame: Frame) -> tuple[str, ...]:
    """Return the keys under which candidates of *frame* stand; () if it can match nothing.

    Two frames of one question share a key. It takes several where a name may be written in several
    ways.
    """
    spec = spec_of(frame.get("kind"))
    if spec is None:
        return ()
    named = "subject" in spec.block
    values = [frame.get(name) for name in spec.block if name != "subject"]
    if not all(values):
        return ()
    key = "|".join((frame.get("kind"), *values))
    return tuple(f"{key}|{tail}" for tail in _tails(frame)) if named else (key,)


def _tails(frame: Frame) -> tuple[str, ...]:
    """Return what stands for the outcome; first names and gaps are written in several ways."""
    subject = frame.get("subject")
    if not subject:
        code = frame.get("code")
        return (code_tail(code),) if code else ()
    return (subject,) if ":" in subject else name_tails(subject)
