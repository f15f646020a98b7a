"""How each slot of two frames comes out. Pure."""

from typing import Final

from arbees_feed.matching.dates import ISSUANCE, UNSURE
from arbees_feed.matching.frame import SLOTS, Frame, Slot
from arbees_feed.matching.people import codes_fit, compare_names
from arbees_feed.matching.ranges import nearly
from arbees_feed.matching.reasons import Outcome, Reason

SAME_START_MIN: Final = 30
"""Venues write a start time some minutes apart; games of a double-header lie further apart."""

# Not compared by themselves: `against` is for polarity, `code` stands in for a subject.
_ASIDE: Final = ("against", "code")
_NOTHING: Final = Slot("", "", "")


def compare(kalshi: Frame, polymarket: Frame) -> tuple[Reason, ...]:
    """Return how the slots that at least one side tells came out, in the order of `SLOTS`."""
    reasons: list[Reason] = []
    for name in SLOTS:
        left, right = kalshi.slot(name) or _NOTHING, polymarket.slot(name) or _NOTHING
        if name == "subject" and not (left.value and right.value):
            reasons.extend(_by_code(kalshi, polymarket))
        elif (left.value or right.value) and name not in _ASIDE:
            outcome = _outcome(name, left.value, right.value)
            reasons.append(
                Reason(name, outcome, left.value, left.source, right.value, right.source)
            )
    return _settled_starts(tuple(reasons), kalshi.get("end"))


def _by_code(kalshi: Frame, polymarket: Frame) -> tuple[Reason, ...]:
    """Compare outcomes of which a side tells only a code ("wyncla"); () where nothing is told."""
    ours = kalshi.slot("subject") or kalshi.slot("code")
    theirs = polymarket.slot("subject") or polymarket.slot("code")
    if ours and theirs:
        outcome: Outcome = "nearly" if codes_fit(ours.value, theirs.value) else "differs"
        return (
            Reason("subject", outcome, ours.value, ours.source, theirs.value, theirs.source),
        )  # fmt: skip
    if ours:
        return (Reason("subject", "only kalshi", kalshi=ours.value, kalshi_source=ours.source),)
    if theirs:
        return (Reason("subject", "only polymarket", "", "", theirs.value, theirs.source),)
    return ()


def _outcome(name: str, left: str, right: str) -> Outcome:
    if name == "end" and UNSURE in left + right:
        return _unsure_ends(left, right)
    if left == right:
        return "agrees"
    if name == "start":
        return _starts(left, right)
    return _told(name, left, right)


def _told(name: str, left: str, right: str) -> Outcome:
    """Return how two values stand that are not one text, or of which one is missing."""
    if not (left and right):
        return "only kalshi" if left else "only polymarket"
    return _different(name, left, right)


def _different(name: str, left: str, right: str) -> Outcome:
    """Return how two values that are not the same text stand to each other."""
    match name:
        case "range":
            return "nearly" if nearly(left, right) else "differs"
        case "subject":
            return compare_names(left, right)
        case "time":
            return "agrees" if _minutes_apart(left, right) <= SAME_START_MIN else "differs"
        case _:
            return "differs"


def _unsure_ends(left: str, right: str) -> Outcome:
    """Return how two ends stand of which one at least can be read in another way.

    Even the same words twice settle nothing: "by Dec 31, midnight" and "before Jan 1, midnight".
    """
    if left.removesuffix(UNSURE) == right.removesuffix(UNSURE):
        return "unsettled"
    return _told("end", left, right)


def _starts(left: str, right: str) -> Outcome:
    """Return how two different starts of a window stand.

    "In 2026" is one question with "before 2027, after issuance" for markets that live in 2026,
    unless the issue is known to come later: what happened between is in one window alone. Where a
    title tells no start and no rules were read, the start is not known.
    """
    if left.startswith(ISSUANCE):
        return _issued(left, right)
    if right.startswith(ISSUANCE):
        return _issued(right, left)
    if left and right:
        return "differs"
    return "only kalshi" if left else "only polymarket"


def _issued(issuance: str, other: str) -> Outcome:
    if not other or other.startswith(ISSUANCE):
        return "nearly"
    day = issuance.removeprefix(ISSUANCE).strip()
    return "nearly" if other.endswith("-01-01") and day <= other else "unsettled"


def _settled_starts(reasons: tuple[Reason, ...], end: str) -> tuple[Reason, ...]:
    """Return *reasons* with a start left open where the window is shorter than a year.

    What a month's window misses at its start matters too much to be called a small difference.
    """
    if end.endswith("-12-31"):
        return reasons
    return tuple(
        Reason("start", "unsettled", one.kalshi, one.kalshi_source, one.polymarket,
               one.polymarket_source)
        if one.slot == "start" and one.outcome == "nearly" and one.kalshi and one.polymarket
        else one
        for one in reasons
    )  # fmt: skip


def _minutes_apart(one: str, other: str) -> int:
    minutes = [int(clock[:2]) * 60 + int(clock[3:]) for clock in (one, other)]
    return abs(minutes[0] - minutes[1])
