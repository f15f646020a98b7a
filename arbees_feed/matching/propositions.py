"""Plain questions of no known form: the words that carry meaning, and a window. Pure.

Two such questions are one only if the same words stand in the same order. That finds little and
errs rarely; similar words are never enough (see docs/matching.md).
"""

import re
from functools import cache
from typing import Final

from arbees_feed.matching.dates import find_window
from arbees_feed.matching.placeholders import Pairs
from arbees_feed.matching.tables import data, entity
from arbees_feed.matching.words import name_key

_YEAR: Final = re.compile(r"\b20\d\d\b")
# Signs and figures carry the question: "below -1" is not "below 1", nor "4.5" the same as "4-5".
_WORD: Final = re.compile(
    r"[<>]=?|[€£¥]|(?<![a-z0-9])-?\.?[0-9][a-z0-9]*(?:[.:/-][a-z0-9]+)*\+?|[a-z0-9]+"
)
_OPEN: Final = re.compile(
    r"^(who|what|which|how|when|where|why)\b|\bplaceholder\b|^duplicate\b|_{2,}"
)
_PLACEHOLDER: Final = re.compile(r"\b(player|person|candidate|company|team|driver) [a-z]{1,2}\b")
# A player's figures in a game whose day the title does not tell.
_PROP: Final = re.compile(r"^[^:]+: (\d+\+|over|under|anytime)|:.*\bo/u\b|^spread\b| vs ")


@cache
def _same_words() -> tuple[tuple[str, str], ...]:
    return tuple(data("names")["proposition"]["same"].items())


def proposition(words: str, hint: str) -> Pairs:
    """Return the slots of the question that folded *words* ask, or () if they ask none in full."""
    if _OPEN.search(words) or _PROP.search(words) or _PLACEHOLDER.search(words):
        return ()
    window = find_window(words, hint)
    rest = words if window is None else f"{words[: window.span[0]]} {words[window.span[1] :]}"
    text = _meaning(rest)
    if len(text.split()) < data("names")["proposition"]["least_words"]:
        return ()
    if window is not None:
        return (("kind", "proposition"), ("text", text), *window.pairs())
    kind = "proposition_dated" if _YEAR.search(text) else "proposition"
    return (("kind", kind), ("text", text))


def _meaning(words: str) -> str:
    for phrase, short in _same_words():
        words = words.replace(phrase, short)
    stop = data("names")["proposition"]["stop"]
    return " ".join(word for word in _WORD.findall(words) if word not in stop)


def names_the_outcome(words: str, outcome: str) -> bool:
    """Return whether the folded title *words* already tell the outcome.

    A title such as "Which cities ...?" with the outcome "Chicago" is no question in itself, nor is
    "... in Chicago or Oslo?".
    """
    key, title = name_key(outcome), f" {name_key(words)} "
    if not key or key in ("yes", "no"):
        return True
    if f" {key} or " in title or f" or {key} " in title:
        return False
    return f" {key} " in title and entity("person", key) != ""


def is_condition(outcome: str) -> bool:
    """Return whether a folded outcome adds to the title's question: "before July 1"."""
    return outcome.partition(" ")[0] in ("before", "by", "in", "on", "during", "after")
