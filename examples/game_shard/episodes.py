"""Which verdicts are news: one opportunity for each state, not one for each message. Pure.

An opportunity opens when it is first seen and lasts until trusted prices show that it is gone.
While it lasts, new sizes, small moves and repeated messages say nothing new. Prices that can't be
trusted do not end it, they suspend it: when they come back as they were, it is the same one. An
offer that is trusted and too small, or none at all, ends it.
"""

from typing import Literal

from game_shard.signals import EMPTY, TOO_SMALL, Key, Verdict

News = Literal["found", "gone", "refused", ""]


class Episodes:
    """Remembers what is open, and what was refused and why."""

    def __init__(self) -> None:
        self._open: dict[Key, tuple[object, ...]] = {}
        self._refused: dict[Key, str] = {}

    def news_in(self, verdict: Verdict) -> News:
        """Return what *verdict* tells that was not known; empty: nothing."""
        key, found = verdict.key, verdict.opportunity
        if verdict.refused:
            known = self._refused.get(key)
            self._refused[key] = verdict.refused
            if verdict.refused in (EMPTY, TOO_SMALL) and self._open.pop(key, None) is not None:
                return "gone"
            return "" if known == verdict.refused else "refused"
        was_suspended = self._refused.pop(key, None) is not None
        if found is None:
            return "gone" if self._open.pop(key, None) is not None else ""
        before = self._open.get(key)
        self._open[key] = found.fingerprint
        is_new = before is None or (was_suspended and before != found.fingerprint)
        return "found" if is_new else ""
