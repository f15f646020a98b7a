"""The placeholders of wordings: what each may match, and which slots it tells. Pure."""

import re
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import Any, Final

from arbees_feed.matching.dates import (
    MONTH,
    find_window,
    month_number,
    named_day,
)
from arbees_feed.matching.ranges import parse_range
from arbees_feed.matching.tables import country, data, parties, states
from arbees_feed.matching.words import fold, name_key

Pairs = tuple[tuple[str, str], ...]
Resolver = Callable[[str, str], Pairs | None]

_MONTHS: Final = r"[a-z]{3,9}"
_NAMED_DAY: Final = re.compile(r"([a-z]{3,9}) (\d{1,2})(?: (20\d\d))?")
_HOUR: Final = re.compile(r"(\d{1,2})(?::(\d\d))? ?([ap])m e[sd]?t")
_DISTRICT: Final = re.compile(r"([a-z]{2})[- ]?(\d{1,2}|al)")
_QUARTER: Final = re.compile(r"q([1-4]) (20\d\d)")
_CHANGE: Final = re.compile(r"(>)?([0-9]{1,4})(\+)? ?(?:bps?|basis points)")
_ORDINALS: Final = {
    "1st": "1", "2nd": "2", "3rd": "3", "4th": "4", "first": "1", "second": "2", "third": "3",
    "fourth": "4",
}  # fmt: skip


def _any_of(words: list[str]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


@cache
def _assets() -> dict[str, str]:
    rows = data("economics")["assets"].items()
    return {alias: asset for asset, aliases in rows for alias in aliases}


@cache
def _moves() -> dict[str, str]:
    rows = data("economics")["moves"].items()
    return {word: move for move, words in rows for word in words}


PLACEHOLDERS: Final[Mapping[str, str]] = {
    "name": r".+?",
    "subject": r".+?",
    "city": r".+?",
    "country": r".+?",
    "competition": r".+?",
    "skip": r".*?",
    "party": _any_of(list(parties())),
    "state": _any_of(list(states())),
    "district": r"[a-z]{2}[- ]?(?:\d{1,2}|al)",
    "chamber": r"house|senate",
    "year": r"20\d\d",
    "term": r"20\d\d",
    "period_year": r"20\d\d",
    "season": r"20\d\d(?:[-/](?:20)?\d\d)?",
    "window": r"(?:before|by|in|during|on or before|through) .+?",
    "range": r".+?",
    "bps": r">?[0-9]{1,4}\+? ?(?:bps?|basis points)",
    "move": _any_of([w for words in data("economics")["moves"].values() for w in words]),
    "nochange": r"no change",
    "month_year": rf"{_MONTHS}(?: 20\d\d)?",
    "meeting_day": rf"{_MONTHS} \d{{1,2}} 20\d\d",
    "quarter": r"q[1-4] 20\d\d",
    "asset": _any_of([a for names in data("economics")["assets"].values() for a in names]),
    "day_words": rf"{_MONTHS} \d{{1,2}}(?: 20\d\d)?",
    "hour": r"(?:at )?\d{1,2}(?::\d\d)? ?[ap]m e[sd]?t",
    "goals": r"a goal|[0-9]{1,4}\+? ?goals?|.*? goals?",
    "group": r"group [a-l]",
    "round": r"round [1-4]",
    "top": r"top [0-9]{1,3}",
    "ordinal": _any_of([*_ORDINALS]),
}


def resolve(field: str, words: str | None, hint: str) -> Pairs | None:
    """Return the slots that *words* in place of *field* tell; None if they make no sense there.

    Words that an optional part would hold may be missing.
    """
    return _RESOLVERS[field](words.strip(), hint) if words else ()


def _nothing(_words: str, _hint: str) -> Pairs:
    return ()


def _subject(words: str, _hint: str) -> Pairs | None:
    """Return a person or whatever else is named; a party is no person."""
    bare = words.removeprefix("the ").removeprefix("a ")
    return (("subject", words),) if name_key(words) and bare not in parties() else None


def _slot(name: str, table: Callable[[], Mapping[str, str]]) -> Resolver:
    def told(words: str, _hint: str) -> Pairs | None:
        value = table().get(words)
        return ((name, value),) if value else None

    return told


def _kept(name: str) -> Resolver:
    def told(words: str, _hint: str) -> Pairs:
        return ((name, words),)

    return told


def _country(words: str, _hint: str) -> Pairs | None:
    found = country(words)
    return (("place", f"country {found}"),) if found else None


def _city(words: str, _hint: str) -> Pairs:
    return (("place", f"city {name_key(words)}"),)


def district(words: str) -> str:
    """Return the district as `ca-09`; the one district of a small state is number 1."""
    found = _DISTRICT.fullmatch(fold(words))
    if not found or found[1] not in data("places")["states"]:
        return ""
    number = 0 if found[2] == "al" else int(found[2])
    single = found[1] in data("places")["states_at_large"]["codes"]
    return f"{found[1]}-{1 if single and number == 0 else number:02d}"


def _district(words: str, _hint: str) -> Pairs | None:
    found = district(words)
    return (("place", found),) if found else None


def _chamber(words: str, _hint: str) -> Pairs:
    return (("office", words),)


def _term(words: str, _hint: str) -> Pairs:
    # A term begins in the January after its election.
    return (("season", str(int(words) - 1)),)


def season(words: str) -> str:
    """Return the year in which the season `2025-26` or `2026` ends."""
    first, _, last = words.replace("/", "-").partition("-")
    return first[: 4 - len(last)] + last if last else first


def _season(words: str, _hint: str) -> Pairs:
    spans = "-" in words or "/" in words
    return (("season", season(words)), *(() if spans else (("lone_year", "yes"),)))


def _window(words: str, hint: str) -> Pairs | None:
    found = find_window(words, hint)
    return tuple(found.pairs()) if found and found.span == (0, len(words)) else None


def _range(words: str, _hint: str) -> Pairs | None:
    found = parse_range(words)
    return (("range", found),) if found else None


def _bps(words: str, _hint: str) -> Pairs | None:
    found = _CHANGE.fullmatch(words)
    if not found:
        return None
    more, size, plus = found.groups()
    return (("bps", f"{'>' if more else ''}{size}{'+' if plus else ''}"),)


def _move(words: str, _hint: str) -> Pairs:
    return (("move", _moves()[words]),)


def _no_change(_words: str, _hint: str) -> Pairs:
    return (("range", "[0,0]"),)


def _month_year(words: str, hint: str) -> Pairs | None:
    found = MONTH.fullmatch(words)
    if not found:
        return None
    year = found[2] or _year_before(month_number(found[1]), hint)
    number = month_number(found[1])
    return (("period", f"{year}-{number:02d}"),) if year else (("month", f"{number:02d}"),)


def _year_before(month: int, hint: str) -> str:
    """Return the year of the last such month that was over by *hint*; figures come after it.

    Of *hint*'s own month nobody can tell: what comes in it are the figures of the month before.
    """
    if len(hint) < 7:  # noqa: PLR2004 (YYYY-MM)
        return ""
    year, ends = int(hint[:4]), int(hint[5:7])
    if month == ends:
        return ""
    return str(year if month < ends else year - 1)


def _meeting_day(words: str, _hint: str) -> Pairs | None:
    found = _NAMED_DAY.fullmatch(words)
    if not found or not month_number(found[1]):
        return None
    return (("period", f"{found[3]}-{month_number(found[1]):02d}"),)


def _quarter(words: str, _hint: str) -> Pairs | None:
    found = _QUARTER.fullmatch(words)
    return (("period", f"{found[2]}Q{found[1]}"),) if found else None


def _asset(words: str, _hint: str) -> Pairs:
    return (("indicator", f"{_assets()[words]} price"),)


def _day_words(words: str, hint: str) -> Pairs | None:
    found = _NAMED_DAY.fullmatch(words)
    if not found or not month_number(found[1]):
        return None
    day = named_day(found[1], int(found[2]), found[3] or "", hint)
    return (("day", day),) if day else ()


def _hour(words: str, _hint: str) -> Pairs | None:
    found = _HOUR.fullmatch(words.removeprefix("at "))
    if not found:
        return None
    hour = int(found[1]) % 12 + (12 if found[3] == "p" else 0)
    return (("time", f"{hour:02d}:{found[2] or '00'}"),)


def _goals(words: str, _hint: str) -> Pairs | None:
    if words == "a goal":
        return (("range", "[1,inf)"),)
    found = parse_range(words.replace("goals", "").replace("goal", "").strip())
    return (("range", found),) if found else None


def _stage(words: str, _hint: str) -> Pairs:
    return (("stage", words),)


def _ordinal(words: str, _hint: str) -> Pairs:
    return (("stage", f"round {_ORDINALS[words]}"),)


def _competition(words: str, _hint: str) -> Pairs | None:
    found = competition_named(words)
    return found or None


@lru_cache(maxsize=1 << 12)
def competition_named(words: str) -> Pairs:
    """Return the competition (and its season, where told) that folded *words* name as a whole."""
    for pattern, name in _competition_phrases():
        found = pattern.fullmatch(words.removeprefix("the "))
        if found:
            told: dict[str, Any] = found.groupdict()
            year = told.get("season")
            return (("competition", name), *((("season", season(year)),) if year else ()))
    return ()


@cache
def _competition_phrases() -> tuple[tuple[re.Pattern[str], str], ...]:
    year = rf"(?P<season>{PLACEHOLDERS['season']})"
    rows = data("competitions").items()
    return tuple(
        (re.compile(phrase.replace("{season}", year)), name)
        for name, row in rows
        for phrase in row["phrases"]
    )


_RESOLVERS: Final[Mapping[str, Resolver]] = {
    "name": _subject, "subject": _subject, "city": _city, "country": _country,
    "competition": _competition, "skip": _nothing, "party": _slot("party", parties),
    "state": _slot("place", states), "district": _district, "chamber": _chamber,
    "year": _kept("season"), "term": _term, "period_year": _kept("period"), "season": _season,
    "window": _window, "range": _range, "bps": _bps, "move": _move, "nochange": _no_change,
    "month_year": _month_year, "meeting_day": _meeting_day, "quarter": _quarter, "asset": _asset,
    "day_words": _day_words, "hour": _hour, "goals": _goals, "group": _stage, "round": _stage,
    "top": _stage, "ordinal": _ordinal,
}  # fmt: skip

__all__ = ["PLACEHOLDERS", "Pairs", "competition_named", "district", "resolve", "season"]
