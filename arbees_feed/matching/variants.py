"""What titles leave out: which of several contests of one name, or which country's figure. Pure."""

import re
from collections.abc import Iterable
from functools import cache
from typing import Final

from arbees_feed.matching.tables import data, table
from arbees_feed.matching.words import name_key

_WORDS: Final = re.compile(r"[a-z0-9]+")


@cache
def _phrases(where: str) -> tuple[tuple[str, str], ...]:
    rows = data("variants").items()
    return tuple((f" {phrase} ", name) for name, row in rows for phrase in row[where])


@cache
def _countries() -> tuple[tuple[str, str], ...]:
    names = table("countries").words.items()
    return tuple((f" {name} ", member.removeprefix("country:")) for name, member in names)


def variants(titles: Iterable[str], rules: str) -> frozenset[str]:
    """Return the variants that titles or slugs of a market name, or its folded *rules*."""
    named, ruled = _joined(titles), f" {rules} "
    found = {name for phrase, name in _phrases("says") if phrase in named}
    found.update(name for phrase, name in _phrases("in_rules") if phrase in ruled)
    return frozenset(found)


def by_itself(league: str, competition: str) -> frozenset[str]:
    """Return the variant that a league or a competition is, whatever texts call it."""
    rows = data("leagues").get(league, {}), data("competitions").get(competition, {})
    return frozenset(row["variant"] for row in rows if "variant" in row)


def countries(titles: Iterable[str], rules: str) -> frozenset[str]:
    """Return the ids of the countries that titles, slugs or folded *rules* name."""
    words = f"{_joined(titles)}| {' '.join(_WORDS.findall(rules))} "
    return frozenset(member for phrase, member in _countries() if phrase in words)


def _joined(titles: Iterable[str]) -> str:
    return f" {' | '.join(name_key(text) for text in titles)} "
