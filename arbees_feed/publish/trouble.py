"""What is wrong with Redis: counted by kind, told once, and gone when it is over."""

from collections import Counter
from collections.abc import Callable, Sequence

import structlog

from arbees_feed.publish.pipe import Refusal

_log = structlog.get_logger("arbees_feed.publisher")

Say = Callable[..., object]

FADES_S = 1.5
"""Without an error for so long all is well again: something is written each second."""

TELL_EVERY_S = 60.0
"""The same kind of error is logged once in so long while it lasts."""

_MOST_KINDS = 32
_KIND_LENGTH = 24
_TEXT_LENGTH = 200
_OTHER = "OTHER"
_CONSEQUENCE = "EXECABORT"  # of the error of a command inside, which was told by itself


class Trouble:
    """Takes errors; says what is wrong now."""

    def __init__(self, warn: Say = _log.warning, info: Say = _log.info) -> None:
        self.kinds: Counter[str] = Counter()
        """Error replies by their first word: OOM, READONLY, BUSY, ... (bounded)."""
        self.last_error = ""
        self._warn = warn
        self._info = info
        self._away = "no connection was made yet"
        self._last_s = float("-inf")
        self._told_s: dict[str, float] = {}
        self._untold: Counter[str] = Counter()

    def refused(self, errors: Sequence[Refusal], now_s: float) -> None:
        """Take error replies; the first of a kind is logged, further ones are counted."""
        self._last_s = now_s
        for _, text in errors:
            if text.startswith(_CONSEQUENCE):
                continue
            self.last_error = text[:_TEXT_LENGTH]
            kind = self._kind_of(text)
            self.kinds[kind] += 1
            self._untold[kind] += 1
            if now_s - self._told_s.get(kind, float("-inf")) >= TELL_EVERY_S:
                self._told_s[kind] = now_s
                count = self._untold.pop(kind)
                self._warn("redis refuses", kind=kind, error=text[:_TEXT_LENGTH], count=count)

    def lost(self, reason: str) -> None:
        """Take the reason why there is no connection."""
        self._away = reason[:_TEXT_LENGTH]

    def connected(self) -> None:
        """There is a connection again."""
        self._away = ""

    def text(self, now_s: float) -> str:
        """Return what is wrong now in words, or nothing."""
        if self._away:
            return f"not connected: {self._away}"
        return self.last_error if now_s - self._last_s < FADES_S else ""

    def look(self, now_s: float) -> None:
        """Say when it is over; call about once a second."""
        if self._told_s and not self.text(now_s):
            self._info("redis takes everything again", refused=self.kinds.total())
            # What comes back later is news.
            self._told_s.clear()
            self._untold.clear()

    def _kind_of(self, text: str) -> str:
        word = text.partition(" ")[0]
        if not (word.isascii() and word.isalnum() and word.isupper()) or len(word) > _KIND_LENGTH:
            return _OTHER
        return word if word in self.kinds or len(self.kinds) < _MOST_KINDS else _OTHER
