"""Words of titles, folded so that two spellings of one thing are one text. Pure."""

import re
import unicodedata
from functools import lru_cache
from typing import Final

from arbees_feed.matching.listing import TEXT_READ

_LETTERS: Final = str.maketrans({
    "ø": "o", "ł": "l", "ß": "ss", "đ": "d", "æ": "ae", "œ": "oe", "\u0131": "i", "ð": "d",
    "þ": "th", "\u2018": "", "\u2019": "", "'": "", "`": "", "“": " ", "”": " ", '"': " ",
    "®": "", "™": "", "*": "", "\u2010": "-", "\u2011": "-", "\u2013": "-", "\u2014": "-",
    "\u2212": "-", "≥": " >=", "≤": " <=", ",": "", "?": " ", "!": " ", "…": " ", "_": " ",
    "\u00a0": " ",
})  # fmt: skip
_DOT: Final = re.compile(r"\.(?!\d)")
_INITIALS: Final = re.compile(r"\b([a-z])\.(?=[a-z]\b)")
# A hyphen stays where it stands for a minus, a range or a code ("(-1.5)", "2025-26", "ok-05").
_HYPHEN: Final = re.compile(r"(?<=[a-z])-(?=[a-z])|(?<=[0-9])-(?=[a-z])|-(?=\s)|(?<=\s)-(?=[a-z])")
_SPACES: Final = re.compile(r"\s+")
_NOT_NAME: Final = re.compile(r"[^a-z0-9]+")
_TAIL: Final = 3
_SUFFIXES: Final = frozenset({"jr", "sr", "ii", "iii", "iv"})


@lru_cache(maxsize=1 << 14)
def fold(text: str) -> str:
    """Return *text* in lower-case ASCII with the punctuation that carries no meaning taken out.

    `Will the U.S. "win" São Paulo-2025?` becomes `will the us win sao paulo-2025`.
    """
    plain = text if text.isascii() else _plain(text)
    plain = plain.lower().translate(_LETTERS)
    plain = _DOT.sub("", _INITIALS.sub(r"\1", plain))
    plain = _HYPHEN.sub(" ", plain)
    return _SPACES.sub(" ", plain).strip()


def fold_title(text: str) -> str:
    """Return a folded title, the part that is read; what is longer is no question."""
    return fold_start(text, TEXT_READ)


def fold_start(text: str, most: int) -> str:
    """Return the folded beginning of *text*: *most* characters of it, and no more afterwards.

    Folding may lengthen a text: one Arabic ligature stands for eighteen letters.
    """
    return fold(text[:most])[:most]


def _plain(text: str) -> str:
    marked = unicodedata.normalize("NFKD", text.translate(_LETTERS))
    bare = "".join(c for c in marked if not unicodedata.combining(c))
    return bare.lower().translate(_LETTERS)


@lru_cache(maxsize=1 << 16)
def name_key(text: str) -> str:
    """Return the folded words of a name: letters and figures alone, without an article."""
    words = _NOT_NAME.sub(" ", fold(text)).split()
    return " ".join(words[1:] if len(words) > 1 and words[0] == "the" else words)


def without_suffix(name: str) -> tuple[str, str]:
    """Return a folded name without its Jr. or III, and that suffix; son and father are two."""
    head, _, last = name.rpartition(" ")
    return (head, last) if head and last in _SUFFIXES else (name, "")


@lru_cache(maxsize=1 << 14)
def name_codes(name: str) -> frozenset[str]:
    """Return the codes of a person's folded *name*: three letters of first and family name each.

    `wyncla` for "wyndham clark", `sunim` for "sungjae im"; of a double family name either part.
    """
    first, *others = without_suffix(name)[0].split()
    return frozenset(first[:3] + word[:3] for word in others) or frozenset({first[:6]})


def codes_agree(short: str, long: str) -> bool:
    """Return whether `wcla` and `wyncla` stand for the same name."""
    pair = sorted((short, long), key=len)
    if len(pair[0]) != 4 or len(pair[1]) != 6:  # noqa: PLR2004 (1 + 3 and 3 + 3 letters)
        return short == long
    return pair[0][0] == pair[1][0] and pair[0][1:] == pair[1][3:]


def name_tails(name: str) -> tuple[str, ...]:
    """Return ends of a folded *name*: whatever `compare_names` takes for one person shares one.

    Either the family name is the same, or all letters are; and a code shares its last letters.
    """
    bare = without_suffix(name)[0]
    family, letters = bare.rpartition(" ")[2], bare.replace(" ", "")
    codes = {code_tail(code) for code in (*name_codes(name), letters)}
    return tuple(sorted({family[-_TAIL:], letters[-_TAIL:], *codes}))


def code_tail(code: str) -> str:
    """Return what codes of one person share: `wcla` and `wyncla` the `cla` of the family name."""
    return f"~{code[-_TAIL:]}"
