"""Games: which teams meet, and how titles word what is asked of them. Pure."""

import re
from collections.abc import Mapping
from decimal import Decimal
from functools import cache, lru_cache
from typing import Any, Final

from arbees_feed.matching.anchors import Anchored
from arbees_feed.matching.placeholders import Pairs
from arbees_feed.matching.ranges import plain
from arbees_feed.matching.tables import Names, data, entity, table
from arbees_feed.matching.words import fold_title, name_key

_FIELDS: Final[Mapping[str, str]] = {
    "a": r"(?P<a>.+?)", "b": r"(?P<b>.+?)", "x": r"(?P<x>.+?)",
    "line": r"(?P<line>\d{1,6}(?:\.\d{1,3})?)",
    "handicap": r"(?P<handicap>[-+]\d{1,6}(?:\.\d{1,3})?)",
    "iso": r"(?P<iso>20\d\d-\d\d-\d\d)", "map": r"(?P<map>\d)", "game": r"(?P<game>[a-z0-9 ]+)",
}  # fmt: skip
LONGEST_CODES: Final = 20
"""Two codes of teams, or one and a line, are shorter by far."""
_VERSUS: Final = re.compile(r"^(.+?) (vs|at|v|@) (.+)$")


@cache
def leagues() -> dict[str, dict[str, Any]]:
    """Return the leagues of `data/leagues.toml` by their ids."""
    skipped = ("suffixes", "market_types", "open_drop")
    return {name: row for name, row in data("leagues").items() if name not in skipped}


@cache
def game_series() -> dict[str, tuple[str, dict[str, Any]]]:
    """Return league and suffix row by Kalshi's series ticker ("KXNBAGAME")."""
    return {
        f"KX{prefix}{suffix}": (league, row)
        for league, facts in leagues().items()
        for prefix in facts["series"]
        for suffix, row in data("leagues")["suffixes"].items()
    }


class Form:
    """One wording of a question about a game."""

    __slots__ = ("literals", "pattern", "row")

    def __init__(self, text: str, row: dict[str, Any]) -> None:
        bare = text.replace("({handicap})", r"\({handicap}\)")
        self.pattern = re.compile(re.sub(r"\{(\w+)\}", lambda found: _FIELDS[found[1]], bare))
        self.literals = len(re.sub(r"\{\w+\}", "", text))
        self.row = row


@cache
def forms(venue: str) -> Anchored[Form]:
    """Return the wordings that *venue* uses, the most particular first."""
    rows = data("games")["form"]
    told = [row for row in rows if row.get("venue", venue) == venue]
    made = [(text, Form(text, row)) for row in told for text in row["match"]]
    # The plain "a vs b" fits every longer wording too: the most particular one is tried first.
    return Anchored(sorted(made, key=lambda entry: -entry[1].literals))


def match_form(venue: str, words: str) -> tuple[dict[str, Any], dict[str, str]] | None:
    """Return the row of the wording that fits folded *words*, and what its fields hold."""
    for form in forms(venue).fitting(words):
        found = form.pattern.fullmatch(words)
        if found:
            return form.row, found.groupdict()
    return None


def versus(words: str) -> tuple[str, str]:
    """Return the two sides of folded "a vs b: ..." or "a at b - more markets", or empty texts."""
    head = words.partition(":")[0].partition(" - ")[0]
    found = _VERSUS.match(head.strip())
    if not found:
        return "", ""
    return found[1].strip(), _without_tail(found[3].strip())


@cache
def _tails() -> tuple[str, ...]:
    return tuple(sorted(data("games")["tails"], key=len, reverse=True))


def _without_tail(words: str) -> str:
    for tail in _tails():
        if words.endswith(f" {tail}"):
            return words.removesuffix(f" {tail}")
    return words


@cache
def names_of(league: str) -> tuple[str, ...]:
    """Return the tables of teams that play in *league*."""
    return tuple(leagues()[league]["teams"])


@lru_cache(maxsize=1 << 10)
def league_titled(words: str) -> str:
    """Return the league that titles begin with ("counter strike"), or an empty text."""
    found = [name for name, row in leagues().items() if words in row.get("titles", ())]
    return found[0] if found else ""


@cache
def _merged(league: str) -> Names:
    made = Names()
    for name in names_of(league):
        made.update(table(name))
    return made


def team(league: str, words: str) -> str:
    """Return the id of the team that *words* name in *league*, or an empty text."""
    if leagues()[league].get("open"):
        return _open_team(words)
    found = {entity(name, words) for name in names_of(league)} - {""}
    return found.pop() if len(found) == 1 else ""


def _open_team(words: str) -> str:
    """Return an id made of the name itself, for leagues whose teams come and go."""
    key = name_key(words)
    kept = [word for word in key.split() if word not in data("leagues")["open_drop"]["words"]]
    return f"name:{'_'.join(kept or key.split())}" if key else ""


def team_of_code(league: str, code: str) -> str:
    """Return the id of the team of *code* in a ticker of *league*, or an empty text."""
    return _merged(league).codes.get(code.upper(), "")


def split_codes(league: str, glued: str) -> tuple[str, str]:
    """Return the teams of two codes written without a gap; empty texts if that is ambiguous."""
    known = _merged(league).codes
    glued = glued[:LONGEST_CODES]
    cuts = [
        (known[glued[:n]], known[glued[n:]])
        for n in range(2, len(glued) - 1)
        if known.get(glued[:n]) and known.get(glued[n:])
    ]
    return cuts[0] if len(set(cuts)) == 1 else ("", "")


def pair_of(one: str, other: str) -> Pairs:
    """Return the participants, in one order whoever is named first."""
    if not one or not other or one == other:
        return ()
    return (("participants", " ".join(sorted((one, other)))),)


def of_two(number: str) -> Pairs:
    """Return the slot that tells the games of a double-header apart."""
    return (("stage", f"game {number}"),)


def over(line: Decimal) -> str:
    """Return the range above *line*."""
    return f"({plain(line)},inf)"


def folded_sides(text: str) -> tuple[str, str]:
    """Return the two sides named in a title."""
    return versus(fold_title(text))
