"""Ranges of numbers, from words to one canonical text. Pure.

`[4.5,inf)`, `(-inf,3.9]`, `[4.2,4.2]`: a square bracket includes its bound. Numbers are written
plainly: no exponent, no trailing zeros.
"""

import re
from decimal import Decimal
from functools import lru_cache
from typing import Final

_DIGITS = r"[-+]?(?:[0-9]{1,15}(?:\.[0-9]{1,10})?|\.[0-9]{1,10})"
_NUMBER = rf"[$]?({_DIGITS}) ?(k|m|b|bn|t|million|billion|trillion|thousand)?\b ?"
_PLAIN: Final = re.compile(_DIGITS)
_UNIT = r"(?:%|percent|bps?|basis points|points?|goals?|runs?|cuts?|times|cases|million|years?)?"
_N = _NUMBER + _UNIT
_SCALE: Final = {
    "k": 3, "thousand": 3, "m": 6, "million": 6, "b": 9, "bn": 9, "billion": 9, "t": 12,
    "trillion": 12,
}  # fmt: skip
# The words, and which brackets they open: low bound, high bound.
_FORMS: Final = (
    (re.compile(rf"between {_N} ?(?:and|to|-) ?{_N}"), "[]"),
    (re.compile(rf"{_N} ?(?:to|-) ?{_N}"), "[]"),
    (re.compile(rf"(?:above|over|more than|greater than|higher than|exceed|>) ?{_N}"), "("),
    (re.compile(rf"(?:at least|>=|no less than) ?{_N}"), "["),
    (re.compile(rf"{_N} ?(?:or more|or higher|or above|or greater|\+)"), "["),
    (re.compile(rf"(?:below|under|less than|fewer than|lower than|<) ?{_N}"), ")"),
    (re.compile(rf"(?:at most|<=|no more than) ?{_N}"), "]"),
    (re.compile(rf"{_N} ?(?:or less|or lower|or below|or fewer)"), "]"),
    (re.compile(rf"(?:exactly )?{_N}"), "=="),
)


@lru_cache(maxsize=1 << 14)
def parse_range(words: str) -> str:
    """Return the range that folded *words* name ("above 4.2%"), or an empty text."""
    if words == "no":
        return "[0,0]"
    for form, brackets in _FORMS:
        found = form.fullmatch(words.strip())
        if found:
            return _written(brackets, list(found.groups()))
    return ""


def _written(brackets: str, groups: list[str | None]) -> str:
    first = _value(groups[0], groups[1] or (groups[3] if len(groups) > 2 else None))  # noqa: PLR2004
    if brackets == "[]":
        return f"[{plain(first)},{plain(_value(groups[2], groups[3]))}]"
    if brackets == "==":
        return f"[{plain(first)},{plain(first)}]"
    if brackets in "([":
        return f"{brackets}{plain(first)},inf)"
    return f"(-inf,{plain(first)}{brackets}"


def _value(digits: str | None, scale: str | None) -> Decimal:
    return Decimal(digits or "0") * Decimal(10) ** _SCALE.get(scale or "", 0)


def plain(number: Decimal) -> str:
    """Return *number* without exponent, trailing zeros and minus zero."""
    text = format(number, "f")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text


class Range:
    """A range read back from its text."""

    __slots__ = ("high", "high_in", "low", "low_in")

    def __init__(self, text: str) -> None:
        low, high = text[1:-1].split(",")
        self.low = None if low == "-inf" else Decimal(low)
        self.high = None if high == "inf" else Decimal(high)
        self.low_in = text[0] == "["
        self.high_in = text[-1] == "]"

    def text(self) -> str:
        """Return the canonical text."""
        low = "-inf" if self.low is None else plain(self.low)
        high = "inf" if self.high is None else plain(self.high)
        return f"{'[' if self.low_in else '('}{low},{high}{']' if self.high_in else ')'}"


@lru_cache(maxsize=1 << 14)
def on_grid(text: str, step: str) -> str:
    """Return the range with bounds that are reached, for a number that moves in *step* only.

    Above 4.2 in steps of 0.1 is at least 4.3. Bounds off the grid move onto it.
    """
    found, grid = Range(text), Decimal(step)
    if found.low is not None:
        found.low, found.low_in = _step_up(found.low, grid, inclusive=found.low_in), True
    if found.high is not None:
        found.high = -_step_up(-found.high, grid, inclusive=found.high_in)
        found.high_in = True
    return found.text()


def _step_up(bound: Decimal, grid: Decimal, *, inclusive: bool) -> Decimal:
    steps = bound / grid
    whole = steps.to_integral_value(rounding="ROUND_CEILING")
    if whole == steps and not inclusive:
        whole += 1
    return whole * grid


@lru_cache(maxsize=1 << 14)
def complement(text: str) -> str:
    """Return the other half of the line, or an empty text for a range with two ends or none."""
    found = Range(text)
    if (found.low is None) == (found.high is None):
        return ""
    found.low, found.high = found.high, found.low
    found.low_in, found.high_in = not found.high_in, not found.low_in
    if found.low is None:
        found.low_in = False
    if found.high is None:
        found.high_in = False
    return found.text()


def are_halves(one: str, other: str, step: str = "") -> bool:
    """Return whether a number is always in one of two ranges, and never in both.

    Args:
        step: what the number moves in, as in "0.1", or an empty text: at least 4.4 and at most 4.3
            are halves in steps of 0.1 alone.
    """
    rest = complement(one)
    if rest and step:
        return on_grid(rest, step) == on_grid(other, step)
    return rest != "" and rest == other


CENT: Final = Decimal("0.01")
"""Bounds that differ by no more are one bound with a known conflict: above 61,999.99 and 62,000."""
FINE: Final = 1000
"""From here on it matters little whether a bound itself is inside: one in a thousand."""


@lru_cache(maxsize=1 << 14)
def nearly(one: str, other: str) -> bool:
    """Return whether two wide ranges differ at a bound alone: in or out, or by a cent."""
    first, second = Range(one), Range(other)
    pairs = ((first.low, second.low), (first.high, second.high))
    return all(_near(a, b) for a, b in pairs) and _fine(first)


def _near(one: Decimal | None, other: Decimal | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) <= CENT


def _fine(found: Range) -> bool:
    """Return whether a step of one is small beside the bounds: 4,000 cases, 62,000 dollars."""
    bounds = [abs(b) for b in (found.low, found.high) if b is not None]
    return found.low != found.high and all(bound >= FINE for bound in bounds)


def number(text: str) -> Decimal | None:
    """Return the number that *text* writes, or None.

    An exponent is none of ours: `1e999999999` is short to write and a gigabyte in full.
    """
    bare = text.replace(",", "").replace("$", "").strip()
    return Decimal(bare) if _PLAIN.fullmatch(bare) else None
