"""Does a venue still speak as it used to? What is wrong is said loudly in the venue's state."""

from collections.abc import Callable
from typing import Final

import structlog

from arbees_feed.core.drift import DriftSentinel, MalformedShare, ZeroWatch, degraded
from arbees_feed.core.venue import DecoderStats, VenueSpec

FIELDS_S: Final = 1.0

_log = structlog.get_logger("arbees_feed.feed")


class Sentinels:
    """Those of one venue; `look` sees a few frames in full, `tick` judges."""

    def __init__(
        self, spec: VenueSpec, zeros: ZeroWatch, counted: Callable[[], DecoderStats]
    ) -> None:
        self.drift = DriftSentinel(spec.known_fields, spec.kind_key)
        self.reason = ""
        """What is wrong, for the venue's state; empty: nothing."""
        self.prices_fail = False
        """Whether what is wrong concerns the prices themselves."""
        self._venue = spec.name
        self._zeros = zeros
        self._malformed = MalformedShare()
        self._counted = counted
        self._missing: list[str] = []
        self._fields_due_s = 0.0
        self._told: set[str] = set()

    def look(self, frame: bytes, *, opening: bool) -> None:
        """Look at a frame in full."""
        self.drift.look(frame, opening=opening)

    def tick(self, now_s: float) -> None:
        """Judge; call several times a second. Fields are judged once a second.

        A new field alone degrades nothing: venues add some every few weeks, and decoders ignore
        them. It is logged and counted.
        """
        counted = self._counted()
        zeros = self._zeros.tick(now_s)
        malformed = self._malformed.tick(counted.frames, counted.malformed)
        if now_s >= self._fields_due_s:
            self._fields_due_s = now_s + FIELDS_S
            self._missing = [f"{'.'.join(field)} missing" for field in self.drift.missing()][:3]
            self._say(*self.drift.reasons())
        self.prices_fail = bool(zeros or malformed)
        self.reason = degraded(*self._missing, zeros, malformed)
        self._say(zeros, malformed and "frames malformed")

    def _say(self, *changes: str | None) -> None:
        for said in changes:
            if said and said not in self._told:
                self._told.add(said)
                _log.warning("the venue speaks differently", venue=self._venue, change=said)
