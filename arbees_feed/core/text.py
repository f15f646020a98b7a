"""Text that comes from outside, made fit for keys, logs and terminals. Pure.

Titles, reasons and ids are written by others. In a terminal an escape sequence acts, in a log a
line break makes a second line, and a reader cannot see that a direction override turns a name
round. Ordinary text is told by one call and passes unchanged.
"""

import re
from typing import Final

ELLIPSIS: Final = "…"

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
"""What any venue may call a market or an event: it ends up in the names of Redis keys, whose
parts are separated by colons."""

# Controls, direction marks and overrides, zero-width spaces, tag characters (invisible text),
# halves of surrogate pairs and what is no character. The joiners (200C, 200D) stay: scripts and
# emoji are made with them.
_HIDDEN: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ufdd0-\ufdef\ufffe\uffff\ud800-\udfff\U000e0000-\U000e007f]"
)


def clean(text: str, limit: int) -> str:
    """Return *text* as one line of *limit* characters at most, without what cannot be seen.

    Line breaks and tabs become spaces; what is cut off is told by an ellipsis.
    """
    if text.isprintable() and len(text) <= limit:
        return text
    # Only so much is looked at: a text may be megabytes long.
    shown = " ".join(filter(None, text[: 2 * limit].splitlines()))
    if not shown.isprintable():
        shown = _HIDDEN.sub("", shown.replace("\t", " "))
    if len(shown) <= limit and len(text) <= 2 * limit:
        return shown
    return shown[: limit - 1] + ELLIPSIS


def escaped(text: str, limit: int | None = None, *, keep: str = "") -> str:
    r"""Return *text* with everything that cannot be seen written out, as in `\u001b`.

    That is how JSON writes it too, so a line of JSON keeps its meaning. The characters of *keep*
    stay; beyond *limit* characters, how many more there were is told.
    """
    rest = "" if limit is None or len(text) <= limit else f"{ELLIPSIS} ({len(text) - limit:,} more)"
    shown = text if limit is None else text[:limit]
    if shown.isprintable():
        return shown + rest
    return _HIDDEN.sub(lambda m: m[0] if m[0] in keep else _written_out(m[0]), shown) + rest


def is_name(text: str, form: re.Pattern[str] = NAME) -> bool:
    """Return whether *text* may be part of a key: nothing but a name of this *form*."""
    return form.fullmatch(text) is not None


def _written_out(character: str) -> str:
    code = ord(character)
    if code < 0x10000:  # noqa: PLR2004 - one unit of UTF-16
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
