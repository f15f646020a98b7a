"""Wordings with placeholders, from data to one look-up: which wording is this text? Pure."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

from arbees_feed.matching.anchors import Anchored
from arbees_feed.matching.placeholders import PLACEHOLDERS, Pairs, resolve
from arbees_feed.matching.tables import data

_FIELD: Final = re.compile(r"\{(\w+)\}")
_VERBS: Final[Mapping[str, tuple[str, ...]]] = {
    "champion": ("will (the )?{{subject}} (win|be) (the )?{0}", "if {{subject}} wins (the )?{0}.*"),
    "award": ("will (the )?{{subject}} (win|be) (the )?{0}", "if {{subject}} wins (the )?{0}.*"),
    "qualifies": (
        "will (the )?{{subject}} (make|reach|qualify for) (the )?{0}",
        "if {{subject}} qualifies for (the )?{0}.*",
    ),
}


class Template:
    """One wording: a compiled pattern and what it means."""

    __slots__ = ("fields", "means", "pattern")

    def __init__(self, text: str, means: Pairs) -> None:
        self.fields = tuple(dict.fromkeys(_FIELD.findall(text)))
        self.pattern = re.compile(_FIELD.sub(_group, text))
        self.means = means

    def read(self, words: str, hint: str) -> Pairs | None:
        """Return the slots that *words* tell, or None where the wording is another."""
        found = self.pattern.fullmatch(words)
        if not found:
            return None
        pairs = list(self.means)
        for field in self.fields:
            told = resolve(field, found[field], hint)
            if told is None:
                return None
            pairs.extend(told)
        return tuple(pairs)


def _group(found: re.Match[str]) -> str:
    return f"(?P<{found[1]}>{PLACEHOLDERS[found[1]]})"


@cache
def wordings() -> Anchored[Template]:
    """Return all wordings: those of the data, and those made for each competition."""
    return Anchored([*_told(), *_of_competitions()])


def _told() -> Iterator[tuple[str, Template]]:
    for row in data("templates")["template"]:
        means = (("kind", row["kind"]), *_facts(row.get("set", {})))
        for text in row["match"]:
            yield text, Template(text, means)


def _facts(row: Mapping[str, str]) -> Pairs:
    return tuple(row.items())


def _of_competitions() -> Iterator[tuple[str, Template]]:
    for name, row in data("competitions").items():
        means = (("kind", row["kind"]), ("competition", name))
        for phrase in row["phrases"]:
            for verb in _VERBS.get(row["kind"], ()):
                text = verb.format(phrase)
                yield text, Template(text, means)


def read(words: str, hint: str = "") -> Pairs:
    """Return the slots that folded *words* tell by the one wording that fits; () for none.

    Two wordings that read the same text differently are an ambiguity: nothing is told.

    Args:
        hint: a day near the end of the market (YYYY-MM-DD), for dates without a year.
    """
    readings: list[Pairs] = []
    for template in wordings().fitting(words):
        told = template.read(words, hint)
        if told is not None and told not in readings:
            readings.append(told)
    return _one(readings)


def _one(readings: list[Pairs]) -> Pairs:
    if len(readings) > 1:
        kinds: set[Any] = {dict(reading).get("kind") for reading in readings}
        competitions = {dict(reading).get("competition") for reading in readings}
        if len(kinds) > 1 or len(competitions) > 1:
            return ()
    return readings[0] if readings else ()
