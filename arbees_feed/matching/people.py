"""Are two names one person? Folded names and the codes that venues make of them. Pure."""

from arbees_feed.matching.reasons import Outcome
from arbees_feed.matching.tables import nicknames
from arbees_feed.matching.words import codes_agree, name_codes, without_suffix


def compare_names(one: str, other: str) -> Outcome:
    """Return whether two folded names (or ids of teams) are one.

    A short first name and a middle name on one side alone are no difference. A Jr. on one side
    alone is left open: it may be left out, or the other may be the father.
    """
    if one == other:
        return "agrees"
    if ":" in one or ":" in other:
        return "differs"
    (first, young), (second, old) = without_suffix(one), without_suffix(other)
    if not _same_name(first.split(), second.split()):
        return "differs"
    return "agrees" if young == old else "unsettled"


def _same_name(one: list[str], other: list[str]) -> bool:
    if "".join(one) == "".join(other):
        return True
    if min(len(one), len(other)) == 1 or one[-1] != other[-1]:
        return False
    short = nicknames()
    if short.get(one[0], one[0]) != short.get(other[0], other[0]):
        return False
    middles = one[1:-1], other[1:-1]
    return not all(middles) or middles[0] == middles[1]


def codes_fit(one: str, other: str) -> bool:
    """Return whether a code fits a name or another code.

    Beside a name a code of an initial and three letters is not enough: it fits too many.
    """
    if " " in one or " " in other:
        name, code = (one, other) if " " in one else (other, one)
        return code in name_codes(name)
    return codes_agree(one, other)
