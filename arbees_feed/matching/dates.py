"""Days, months and windows out of words. Pure; the clock is never asked.

Days are those of US Eastern, which both venues' rules speak of. A window is a start and an end day,
both inside: "before Jan 1, 2027" and "by December 31, 2026" end on the same day. An hour that is
not the end of a day stands behind its day: `2027-01-20 12:00`, `2027-01-20 23:59 pt`. Where it
can be read in two ways, a mark follows: `2026-12-31 ?`.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from arbees_feed.matching.clocks import CLOCK, LEAD, NO_CLOCK, Clock, read_clock

EASTERN: Final = ZoneInfo("America/New_York")

ISSUANCE: Final = "issuance"
"""A start that is the issue of the market; its day follows where it is known."""
UNSURE: Final = " ?"
"""Stands behind an end that can be read in another way than is told before it."""

_MONTHS: Final = (
    "jan",
    "feb",
    "mar",
    "apr",
    "may",
    "jun",
    "jul",
    "aug",
    "sep",
    "oct",
    "nov",
    "dec",
)
MONTH_NAMES: Final = (
    r"jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|"
    r"sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?"
)
"""The months, of folded words."""
_MONTH = rf"(?P<month>{MONTH_NAMES})"
_DAY = r"(?P<day>\d{1,2})(?!\d)(?:st|nd|rd|th)?"
_YEAR = r"(?P<year>20\d\d)"
_BEFORE = r"(?<!on or )\b(?P<word>before|prior to)"
_UNTIL = r"\b(?P<word>by|on or before|through|not? later than)"
_DAY_START: Final = "00:00"
_DAY_END: Final = "23:59"

MONTH: Final = re.compile(rf"{_MONTH}(?: {_YEAR})?")
_TICKER_DAY: Final = re.compile(r"(\d\d)([A-Z]{3})(\d\d)")
_TICKER_MONTH: Final = re.compile(r"(\d\d)([A-Z]{3})")
_ISO: Final = re.compile(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}")

# What the words say of the end, the most particular first.
_FORMS: Final = (
    re.compile(rf"{_BEFORE}{LEAD} {_MONTH} {_DAY}(?: {_YEAR})?{CLOCK}"),
    re.compile(rf"{_BEFORE} {_MONTH} {_YEAR}"),
    re.compile(rf"{_BEFORE} {_YEAR}"),
    re.compile(rf"{_UNTIL}{LEAD} {_MONTH} {_DAY}(?: {_YEAR})?{CLOCK}"),
    re.compile(rf"\b(?P<word>by) (?:the )?end of {_YEAR}"),
    re.compile(rf"\b(?P<word>by) (?:the )?end of {_MONTH}(?: {_YEAR})?"),
    re.compile(rf"\b(?P<word>in|during) {_MONTH}(?: {_YEAR})?(?! \d)"),
    re.compile(rf"\b(?P<word>in|during) {_YEAR}\b"),
)


class Window:
    """What a phrase says, with its place in the text."""

    __slots__ = ("end", "span", "start", "word")

    def __init__(self, word: str, start: str, end: str, span: tuple[int, int]) -> None:
        self.word, self.start, self.end, self.span = word, start, end, span

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Yield the slots."""
        if self.start:
            yield "start", self.start
        yield "end", self.end


def find_window(words: str, hint: str = "") -> Window | None:
    """Return the first window in folded *words*.

    Args:
        hint: a day of this century near the end (YYYY-MM-DD), or an empty text. It gives the year
            where the words give none, and must fall within three days of what they name; else they
            name no window.
    """
    for form in _FORMS:
        found = form.search(words)
        if found:
            made = _window(found, hint)
            if made:
                return made
    return None


def _window(found: re.Match[str], hint: str) -> Window | None:
    told = found.groupdict()
    word, day = told["word"].replace("prior to", "before"), int(told.get("day") or 0)
    month = month_number(told.get("month") or "")
    year = told.get("year") or _year_by_hint(month, day, word, hint)
    if not year:
        return None
    try:
        first, last = _bounds(int(year), month, day)
    except (ValueError, OverflowError):
        return None
    clock = _clock(told, word) if day else NO_CLOCK
    if not clock.hour and word == "before":
        last = first - timedelta(days=1)
    start = first.isoformat() if word in ("in", "during") else ""
    return Window(word, start, _end_at(last, clock), found.span())


def _clock(told: Mapping[str, str | None], word: str) -> Clock:
    """Return what stands before the day and behind it: "by 5 pm on january 20 (pt)".

    "Before 12 am" is the start of its day. "By" or "through" 12 am is often meant as the end.
    """
    clock = read_clock(" ".join(filter(None, (told["lead"], told["clock"]))))
    return clock._replace(sure=clock.sure and (clock.hour != _DAY_START or word == "before"))


def _end_at(day: date, clock: Clock) -> str:
    """Return the end of a window on *day* at *clock*: the last day, the hour if it is not whole."""
    if clock.hour == _DAY_START:
        day, clock = day - timedelta(days=1), clock._replace(hour="")
    return f"{day.isoformat()}{hour_of_end(clock)}{'' if clock.sure else UNSURE}"


def hour_of_end(clock: Clock) -> str:
    """Return what stands behind the day of an end at *clock*; nothing where the day is whole."""
    whole = clock.hour in ("", _DAY_END) and not clock.zone
    return "" if whole else f" {clock.hour or _DAY_END} {clock.zone}".rstrip()


def _bounds(year: int, month: int, day: int) -> tuple[date, date]:
    """Return the first and the last day of what is named: a day, a month or a year."""
    if day:
        return date(year, month, day), date(year, month, day)
    if month:
        return date(year, month, 1), _month_end(year, month)
    return date(year, 1, 1), date(year, 12, 31)


def _month_end(year: int, month: int) -> date:
    following = date(year + month // 12, month % 12 + 1, 1)
    return following - timedelta(days=1)


def _year_by_hint(month: int, day: int, word: str, hint: str) -> str:
    """Return the year in which the named day lies near *hint*, or an empty text."""
    near = _iso_day(hint)
    if near is None:
        return ""
    for year in (near.year - 1, near.year, near.year + 1):
        try:
            first, last = _bounds(year, month, day)
        except ValueError:
            continue
        end = first - timedelta(days=1) if word == "before" else last
        if abs((end - near).days) <= 3:  # noqa: PLR2004 (venues close a day or two about it)
            return str(year)
    return ""


def named_day(month: str, day: int, year: str, hint: str) -> str:
    """Return the day, its year from *hint* (a day within three of it) where none is told."""
    number = month_number(month)
    chosen = year or _year_by_hint(number, day, "on", hint)
    try:
        return date(int(chosen), number, day).isoformat() if chosen else ""
    except ValueError:
        return ""


def month_number(word: str) -> int:
    """Return 1 to 12 for the name of a month or its first three letters; 0 for other words."""
    short = word[:3].lower()
    return _MONTHS.index(short) + 1 if short in _MONTHS else 0


def ticker_day(code: str) -> str:
    """Return the day of `26MAY10`, or an empty text."""
    found = _TICKER_DAY.match(code)
    if not found:
        return ""
    year, month, day = found.groups()
    try:
        return date(2000 + int(year), month_number(month), int(day)).isoformat()
    except ValueError:
        return ""


def ticker_month(code: str) -> str:
    """Return the month of `26MAY` as `2026-05`, or an empty text."""
    found = _TICKER_MONTH.fullmatch(code)
    number = month_number(found[2]) if found else 0
    return f"20{found[1]}-{number:02d}" if found and number else ""


@lru_cache(maxsize=1 << 14)
def eastern(instant: str) -> tuple[str, str]:
    """Return day and HH:MM in US Eastern of an RFC 3339 time; empty texts if it is none."""
    try:
        moment = datetime.fromisoformat(instant)
    except ValueError:
        return "", ""
    zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    try:
        local = zoned.astimezone(EASTERN)
    except OverflowError:
        return "", ""
    return local.date().isoformat(), local.strftime("%H:%M")


def iso_day_in(text: str) -> str:
    """Return the first `2026-05-16` in *text*, or an empty text."""
    found = _ISO.search(text)
    return found[0] if found and _iso_day(found[0]) else ""


def day_of(time: str) -> str:
    """Return the day with which an RFC 3339 time of this century begins, or an empty text."""
    found = _ISO.match(time)
    return found[0] if found and _iso_day(found[0]) else ""


def _iso_day(text: str) -> date | None:
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None
