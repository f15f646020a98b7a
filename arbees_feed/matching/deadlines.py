"""Hours and zones that rules tell beside the window that was read. Pure.

The grammar of windows knows some ways to write a deadline, and venues know more: "by 5 PM ET on
Wednesday, January 20", "before 2027 UTC", "by market close". An hour that was not understood must
not pass for the end of the day.
"""

import re
from typing import Final

from arbees_feed.matching.clocks import NO_CLOCK, SPOKEN, read_clock
from arbees_feed.matching.dates import MONTH_NAMES, UNSURE, Window, hour_of_end

# What stands for a day and for an hour while the rest is looked through.
_DAY = "@"
_HOUR = "#"
_DAYS: Final = re.compile(
    rf"\b(?:(?<!:)\d{{1,2}}(?:st|nd|rd|th)? (?:of )?)?(?:{MONTH_NAMES})\b"
    r"(?: \d{1,2}(?:st|nd|rd|th)?(?!\d|[:.]\d| ?[ap]m\b))?(?: 20\d\d\b)?|\b20\d\d\b(?!:)"
)
_CLOCK: Final = re.compile(rf"(?<![a-z0-9$:.])(?:{SPOKEN})")
_HOURS = (
    r"(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirty) [ap]m\b|"
    rf"\d ?[ap]m\b|\d:\d\d|\b\d?\dh\d\d\b|\d\.\d\d {_HOUR}|"
    r"\b\d{4} (?:hours|hrs)\b|\boclock\b|\bmid ?day\b|\b(?:sunrise|sunset|dusk|nightfall)\b|"
    r"\bin the (?:morning|afternoon|evening)\b|\bthe (?:morning|afternoon|evening) of\b"
)
_CLOSES = (
    r"\b(?:market|trading) clos(?:e|ing)\b|\bclosing bell\b|\bcob\b|"
    r"\b(?:close|end) of (?:the )?(?:\w+ )?(?:trading|business|markets?)\b"
)
# Too short to be zones but behind a day or an hour: "10 pt" may be points, "mt" a mountain.
_BARE_ZONE = (
    rf"(?:[{_DAY}{_HOUR}] |\b(?:day|month|year|end|eod|times?|times? (?:(?:are|is) )?in) |/)"
    r"[(\[]?(?:us )?"
    r"(?:[cmp]t|z|[cew]es?t|bst|ist|jst|kst|msk|hkt|sgt|ae[sd]t|nz[sd]t|hst|ak[sd]t|brt|trt|aoe|"
    r"ict|pht|wib|gst|pkt|wat|sast|clt|cot|myt|npt|idt|a[sd]t|n[sd]t|central|mountain|pacific|"
    r"local)\b"
)
# "Kyiv time" and "at that time" differ by their first word alone.
_NO_PLACES = (
    "a|additional|all|an|and|another|any|are|at|by|each|enough|every|extra|first|for|full|given|"
    "half|her|his|if|in|is|its|jail|last|less|long|more|much|next|no|of|on|one|or|over|part|period|"
    "prime|prison|real|same|screen|second|short|some|such|than|that|the|their|third|this|to|what|"
    "which|with"
)
_PLACE_TIME = (
    rf"\b(?!(?:{_NO_PLACES}|eastern|york) )[a-z]+ (?:(?:standard|daylight|summer) )?"
    rf"time(?: ?zone)?\b(?! (?:magazine|person))|\baustralian (?:eastern|{_HOUR})"
)
_UNREAD: Final = re.compile("|".join((_HOURS, _CLOSES, _BARE_ZONE, _PLACE_TIME)))


def tells_another_hour(words: str, window: Window | None, end: str) -> bool:
    """Return whether folded *words* tell an hour or a zone that is not that of *end*.

    Args:
        window: what was read in *words*; it is not looked at again.
        end: the end of the window as it will be told, with its hour.
    """
    rest = words
    if window is not None:
        first, last = window.span
        rest = f"{words[:first]}{_DAY}{words[last:]}"
    rest = _DAYS.sub(_DAY, rest)
    hour = end.removesuffix(UNSURE)[len("YYYY-MM-DD") :]
    for found in _CLOCK.finditer(rest):
        clock = read_clock(found[0])
        if clock != NO_CLOCK and (not clock.sure or hour_of_end(clock) != hour):
            return True
    return _UNREAD.search(_CLOCK.sub(_HOUR, rest)) is not None
