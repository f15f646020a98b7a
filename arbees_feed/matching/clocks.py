"""The hour of a deadline, as it stands beside its day: "11:59 pm et", "17:00 utc", "noon". Pure.

What may be read in two ways is told as unsure: midnight is the start or the end of the day it is
named with, "9:30" a morning or an evening, and local time anywhere.
"""

import re
from functools import lru_cache
from typing import Final, NamedTuple

# Each piece is a pattern of folded text: "utc -5", "us pacific", "standard".
_OFFSET = r"(?: ?[-+]? ?\d{1,2}(?::?\d\d)?)?"
_REGION = r"(?:us )?(?:eastern|central|mountain|pacific)"
_SEASON = r"(?: (?:standard|daylight|summer))?"
# Zones that are nothing else, even where no hour stands before them ("10 pt" may be points).
_PLAIN_ZONE = (
    rf"(?:e[sd]?t|[cmp][sd]t|(?:utc|gmt){_OFFSET}|"
    rf"(?:{_REGION}|local|greenwich mean|coordinated universal|new york){_SEASON} time)\b"
)
# "london time", but not "at which time".
_NO_PLACE = r"(?!(?:a|an|and|any|at|by|each|for|if|in|no|of|on|or|same|such|that|the|this|which) )"
_ZONE = (
    rf"(?:{_PLAIN_ZONE}|(?:[cmp]t|z|[ce]es?t|bst|ist|jst|kst|msk|hkt|sgt|ae[sd]t|nz[sd]t|hst|"
    rf"ak[sd]t|brt|trt|aoe)\b|(?:{_NO_PLACE}[a-z]+ ){{1,2}}(?:(?:standard|daylight|summer) )?"
    rf"time\b|{_REGION}{_SEASON}\b)"
)
_HALF = r"(?P<hour>\d{1,2})(?:[:.](?P<minute>\d\d)(?::\d\d)?)? ?(?P<half>[ap])m\b"
_WORD = r"(?: \(?(?P<word>noon|midnight)\b\)?)?"
_ALONE = r"(?:12(?::00)? )?(?P<alone>noon|midnight)\b"
_DAY_LONG = r"(?P<long_hour>\d{1,2}):(?P<long_minute>\d\d)(?::\d\d)?(?![:\d])(?: (?:hours|hrs)\b)?"
_TIGHT = r"(?P<tight_hour>\d\d)\.?(?P<tight_minute>\d\d)(?: (?:hours|hrs))?"
_LONE = r"(?P<lone>\d{1,2})(?: oclock)?"
_TIME = (
    rf"\(?(?:(?:{_HALF}{_WORD}|{_ALONE}|{_DAY_LONG})(?:\)? ?\(?(?P<zone>{_ZONE}))?|"
    rf"(?:{_TIGHT}|{_LONE}) (?P<number_zone>{_PLAIN_ZONE}))\)?"
)
_ZONE_ALONE = rf"\(?(?P<only_zone>{_PLAIN_ZONE})\)?|\((?P<only_region>[cmp]t|{_REGION})\)"
_PHRASE: Final = re.compile(rf"(?:(?:at|by|before) )?{_TIME}|{_ZONE_ALONE}")


def _unnamed(pattern: str) -> str:
    return re.sub(r"\(\?P<\w+>", "(?:", pattern)


CLOCK: Final = rf"(?: (?P<clock>{_unnamed(_PHRASE.pattern)}))?"
"""An hour, or a zone alone, that may follow a day."""
LEAD: Final = rf"(?: (?P<lead>{_unnamed(_TIME)})(?: on)?)?"
"""An hour that may stand before a day: "by 5 pm et on january 20"."""
SPOKEN: Final = _unnamed(_PHRASE.pattern)
"""An hour or a plain zone anywhere in a text."""

_ZONES: Final = {
    "et": "", "est": "", "edt": "", "eastern": "", "eastern standard": "", "eastern daylight": "",
    "new york": "", "central": "ct", "central standard": "cst", "central daylight": "cdt",
    "mountain": "mt", "mountain standard": "mst", "mountain daylight": "mdt", "pacific": "pt",
    "pacific standard": "pst", "pacific daylight": "pdt", "z": "utc", "universal": "utc",
    "coordinated universal": "utc", "greenwich mean": "gmt",
}  # fmt: skip
# "12 am midnight" may mean either end of the day, "11:59 pm midnight" only one.
_WORDS: Final = {"12:00": "noon", "23:59": "midnight"}
_NOON: Final = 12
_LAST_HOUR: Final = 23
_LAST_MINUTE: Final = 59


class Clock(NamedTuple):
    """What stands beside a day.

    `hour` is `HH:MM`, `23:59` for the end of the day, or empty where none is read; `zone` is empty
    for US Eastern. What is not sure can be read in another way too.
    """

    hour: str = ""
    zone: str = ""
    sure: bool = True


NO_CLOCK: Final = Clock()


@lru_cache(maxsize=1 << 10)
def read_clock(words: str) -> Clock:
    """Return what *words*, found by `CLOCK` or `LEAD` or both, tell beside a day."""
    if not words:
        return NO_CLOCK
    found = _PHRASE.fullmatch(words)
    if found is None:
        return Clock(sure=False)
    told = found.groupdict(default="")
    zone = _zone(told["zone"] + told["number_zone"] + told["only_zone"] + told["only_region"])
    hour, sure = _hour(told)
    return Clock(hour, zone, sure and not zone.endswith("local"))


def _zone(words: str) -> str:
    bare = words.replace(" ", "") if words.startswith(("utc", "gmt")) else words
    bare = bare.removesuffix(" time").removeprefix("us ")
    return _ZONES.get(bare, bare)


def _hour(told: dict[str, str]) -> tuple[str, bool]:
    """Return the hour, and whether it can be no other; an empty text if it is not known at all."""
    if told["half"]:
        hour = _of_half(int(told["hour"]), int(told["minute"] or 0), told["half"])
        return hour, bool(hour) and told["word"] in ("", _WORDS.get(hour))
    if told["alone"]:
        return ("12:00", True) if told["alone"] == "noon" else ("", False)
    if told["lone"]:
        return "", False
    digits = told["long_hour"] + told["tight_hour"]
    if not digits:
        return "", True
    hour = _of_day(digits, int(told["long_minute"] + told["tight_minute"]))
    return hour, bool(hour)


def _of_half(hour: int, minute: int, half: str) -> str:
    """Return the hour of `11:59 pm`, or an empty text where there is none such ("13 am")."""
    if minute > _LAST_MINUTE or hour > (_LAST_HOUR if half == "p" else _NOON):
        return ""
    return f"{hour % _NOON + (_NOON if half == 'p' else 0):02d}:{minute:02d}"


def _of_day(digits: str, minute: int) -> str:
    """Return the hour of `23:59`, or an empty text if it may be one of twelve hours (`9:30`)."""
    if (digits, minute) == ("24", 0):
        return "23:59"
    hour = int(digits)
    of_twelve = 0 < hour <= _NOON and not digits.startswith("0")
    known = not of_twelve and hour <= _LAST_HOUR and minute <= _LAST_MINUTE
    return f"{hour:02d}:{minute:02d}" if known else ""
