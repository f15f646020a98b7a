"""Bytes of a keyboard to names of keys. No I/O."""

import codecs
import re
from typing import Final

_LONGEST: Final = 64

_SEQUENCE: Final = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|O[ -~])")
_UNFINISHED: Final = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*|O)?")
_SEQUENCES: Final = {
    **dict.fromkeys(("\x1b[A", "\x1bOA"), "up"),
    **dict.fromkeys(("\x1b[B", "\x1bOB"), "down"),
    **dict.fromkeys(("\x1b[H", "\x1bOH", "\x1b[1~", "\x1b[7~"), "home"),
    **dict.fromkeys(("\x1b[F", "\x1bOF", "\x1b[4~", "\x1b[8~"), "end"),
    "\x1b[5~": "page up",
    "\x1b[6~": "page down",
}
_SINGLE: Final = {
    "\r": "enter",
    "\n": "enter",
    "\x7f": "backspace",
    "\x08": "backspace",
    "\x15": "clear",
    "\x17": "word",
    "\x0c": "redraw",
}


class Keys:
    """Makes keys of what a terminal sends, however it is cut into pieces.

    A key is a character, or a name of several letters such as `page up`. What means nothing here
    is dropped.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""

    def feed(self, data: bytes) -> list[str]:
        """Return the keys that are complete."""
        text = self._rest + self._decoder.decode(data)
        keys: list[str] = []
        at = 0
        while at < len(text):
            unfinished = _UNFINISHED.fullmatch(text, at)
            if unfinished and len(text) - at < _LONGEST:
                break
            found = _SEQUENCE.match(text, at)
            key = _SEQUENCES.get(found[0]) if found else _single(text[at])
            if key:
                keys.append(key)
            at = found.end() if found else at + 1
        self._rest = text[at:]
        return keys

    def flush(self) -> list[str]:
        """Return `escape` if that key was pressed: nothing has followed it for a while."""
        rest, self._rest = self._rest, ""
        return ["escape"] if rest == "\x1b" else []


def _single(character: str) -> str | None:
    if character == "\x1b":
        return "escape"
    return _SINGLE.get(character, character if character.isprintable() else None)
