"""The words by which a market is found. Pure.

Case, accents and widths are folded, so that `Sao Paulo` finds `São Paulo`. Words that nearly every
title has are left out: their sets would be the biggest and tell nothing.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping

INDEXED = (
    "title",
    "subtitle",
    "event_title",
    "category",
    "outcome_yes",
    "outcome_no",
    "event_id",
)
"""The fields of a market's hash that are searched, besides its id."""

STOP_WORDS = frozenset(
    (
        "a", "an", "and", "at", "be", "by", "for", "from", "in", "is", "it", "no", "of", "on",
        "or", "the", "this", "to", "will", "with", "yes",
    )
)  # fmt: skip
LONGEST_WORD = 32
MOST_WORDS = 64
_LONGEST_NUMBER = 12
"""A longer one is a token id: nobody types it, and it is nobody's prefix."""

_ascii_words = re.compile(r"[a-z0-9]+").findall
_words = re.compile(r"[^\W_]+").findall
_possessive = re.compile(r"['\u2019]s\b")


def words_of(text: str) -> list[str]:
    """Return the words of *text* in order, folded; stop words are among them."""
    folded = text.casefold()
    if "s" in folded:
        folded = _possessive.sub("", folded)
    if folded.isascii():
        found = _ascii_words(folded)
    else:
        split = unicodedata.normalize("NFKD", folded)
        found = _words("".join(char for char in split if not unicodedata.combining(char)))
    return [word[:LONGEST_WORD] for word in found]


def telling(words: Iterable[str]) -> list[str]:
    """Return the words that say something, each once."""
    return [word for word in dict.fromkeys(words) if word not in STOP_WORDS]


def market_words(market: str, fields: Mapping[str, str]) -> list[str]:
    """Return the words under which *market* with these fields of its hash is found."""
    texts = [market, *(fields.get(name, "") for name in INDEXED)]
    found = telling(word for text in dict.fromkeys(texts) for word in words_of(text))
    return [word for word in found if not _is_id(word)][:MOST_WORDS]


def _is_id(word: str) -> bool:
    return len(word) > _LONGEST_NUMBER and word.isdecimal()
