"""The user's own list of pairs: what a person has decided always wins.

A CSV file with a header line: `action,kalshi,polymarket,polarity,note`.

- `confirm`: the two ask the same question; polarity may be left out where the matcher tells it.
- `add`: the same, of two that the matcher would not bring together; the polarity must be there.
- `forbid`: these are never a pair; with one id left out, that market is in no pair at all.

`kalshi` is a ticker. `polymarket` is a YES token id, a condition id (0x…) or a slug. Lines that are
empty or begin with `#` are skipped.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec

from arbees_feed.core.text import is_name
from arbees_feed.errors import SettingsError
from arbees_feed.pairs.price import INVERTED, SAME

COLUMNS: Final = ("action", "kalshi", "polymarket", "polarity", "note")
_NEEDED: Final = 3
_LONGEST_FILE: Final = 20_000_000
_LONGEST_LINE: Final = 10_000
_SHOWN: Final = 100


class Action(StrEnum):
    """What a line says."""

    CONFIRM = "confirm"
    ADD = "add"
    FORBID = "forbid"


class Rule(msgspec.Struct, frozen=True):
    """One line of the file."""

    line: int
    action: Action
    kalshi: str
    polymarket: str
    polarity: str = ""
    note: str = ""

    @property
    def pair(self) -> tuple[str, str]:
        """Return both ids, as they are written."""
        return self.kalshi, self.polymarket


class Mapping(msgspec.Struct, frozen=True):
    """What a file says, and what is wrong with it: one text for each line that is left out."""

    rules: tuple[Rule, ...] = ()
    errors: tuple[str, ...] = ()


NO_MAPPING: Final = Mapping()


def read_mapping(path: Path) -> Mapping:
    """Read a file; lines with errors are left out and named.

    Raises:
        SettingsError: there is no such file, it is no text, or its header is not that of a mapping.
    """
    try:
        with path.open("rb") as file:
            # Not by its size: a device or a pipe has none.
            data = file.read(_LONGEST_FILE + 1)
        if len(data) > _LONGEST_FILE:
            raise SettingsError(f"{path}: a mapping has at most {_LONGEST_FILE:,} bytes")
        text = data.decode("utf-8-sig")
    except OSError as exc:
        raise SettingsError(f"{path}: cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise SettingsError(f"{path}: not UTF-8 text at byte {exc.start}") from exc
    # Not `splitlines`: an editor counts no lines at form feeds and the separators of Unicode.
    return parse_mapping(io.StringIO(text, newline=None), str(path))


def parse_mapping(lines: Iterable[str], name: str) -> Mapping:
    """Return what *lines* say; *name* begins each error.

    Raises:
        SettingsError: the first line is no header of a mapping.
    """
    lines_left = _said(lines)
    header = _header(next(lines_left, (1, ""))[1])
    if header[:_NEEDED] != list(COLUMNS[:_NEEDED]) or not set(header) <= set(COLUMNS):
        raise SettingsError(f"{name}:1: the first line must be {','.join(COLUMNS)}")
    rules: list[Rule] = []
    errors: list[tuple[int, str]] = []
    for number, line in lines_left:
        try:
            rules.append(_rule(number, header, _values(line)))
        except ValueError as exc:
            errors.append((number, str(exc)))
    settled, conflicts = _settled(rules)
    told = [f"{name}:{line}: {error}" for line, error in sorted(errors + conflicts)]
    return Mapping(tuple(settled), tuple(told))


def _said(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Yield the number and the text of each line that says something."""
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, line


def _header(line: str) -> list[str]:
    try:
        return [column.strip().lower() for column in _values(line)]
    except ValueError:
        return []


def _values(line: str) -> list[str]:
    """Return the values of a line.

    Raises:
        ValueError: it is none of a CSV file, or too long.
    """
    if len(line) > _LONGEST_LINE:
        raise ValueError(f"a line has at most {_LONGEST_LINE:,} characters")
    try:
        return next(csv.reader([line]), [])
    except csv.Error as exc:
        raise ValueError(str(exc)) from exc


def _rule(number: int, header: list[str], values: list[str]) -> Rule:
    if len(values) > len(header):
        raise ValueError(f"{len(values)} values, but {len(header)} columns")
    said = dict(zip(header, (value.strip() for value in values), strict=False))
    action = _action(said.get("action", ""))
    rule = Rule(
        number,
        action,
        said.get("kalshi", ""),
        said.get("polymarket", ""),
        said.get("polarity", "").lower(),
        said.get("note", ""),
    )
    _check(rule)
    return rule


def _action(text: str) -> Action:
    try:
        return Action(text.lower())
    except ValueError:
        raise ValueError(f"unknown action {_shown(text)}: confirm, add or forbid") from None


def _check(rule: Rule) -> None:
    for column, value in (("kalshi", rule.kalshi), ("polymarket", rule.polymarket)):
        if value and not is_name(value):
            raise ValueError(f"{column} {_shown(value)} is no id")
        if not value and rule.action is not Action.FORBID:
            raise ValueError(f"{rule.action} needs an id in column {column}")
    if not rule.kalshi and not rule.polymarket:
        raise ValueError("forbid needs an id")
    if rule.polarity not in {"", SAME, INVERTED}:
        raise ValueError(f"polarity {_shown(rule.polarity)}: same, inverted or nothing")
    if rule.action is Action.ADD and not rule.polarity:
        raise ValueError("add needs a polarity: same or inverted")


def _shown(value: str) -> str:
    return repr(value if len(value) <= _SHOWN else f"{value[:_SHOWN]}…")


def _settled(rules: list[Rule]) -> tuple[list[Rule], list[tuple[int, str]]]:
    """Return the rules that hold, and what is wrong with the others, by line.

    Where two lines contradict each other, what can cost nothing holds: forbid, or neither.
    """
    held: dict[tuple[str, str], Rule] = {}
    errors = []
    for rule in sorted(rules, key=lambda rule: rule.action is not Action.FORBID):
        other = _opponent(held, rule)
        if other is None:
            held[rule.pair] = rule
            continue
        errors.append((rule.line, _quarrel(rule, other)))
        if _polarities_differ(rule, other):
            # Nobody can tell which one is right. It stays here, without effect, for a third line.
            held[rule.pair] = msgspec.structs.replace(other, action=Action.FORBID)
    return sorted(held.values(), key=lambda rule: rule.line), errors


def _opponent(held: dict[tuple[str, str], Rule], rule: Rule) -> Rule | None:
    """Return the rule that leaves no room for this one."""
    wide = (held.get((rule.kalshi, "")), held.get(("", rule.polymarket)))
    return held.get(rule.pair) or next((other for other in wide if other is not None), None)


def _quarrel(rule: Rule, other: Rule) -> str:
    if _polarities_differ(rule, other):
        return f"polarity {rule.polarity}, but line {other.line} has {other.polarity}: left out"
    if rule.pair == other.pair and rule.action is other.action:
        return f"the same pair as in line {other.line}"
    if other.action is Action.FORBID:
        return f"{rule.action} of what line {other.line} forbids"
    return f"the same pair as in line {other.line}, where it says {other.action}"


def _polarities_differ(rule: Rule, other: Rule) -> bool:
    return (
        Action.FORBID not in {rule.action, other.action}
        and bool(rule.polarity and other.polarity)
        and rule.polarity != other.polarity
    )
