"""Does a venue still speak as it used to? What is wrong is said loudly in the venue's state."""

from collections.abc import Callable

import structlog

from arbees_feed.core.drift import DriftSentinel, MalformedShare, ZeroWatch, degraded
from arbees_feed.core.venue import DecoderStats, VenueSpec

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
        self._told: set[str] = set()

    def look(self, frame: bytes, *, opening: bool) -> None:
        """Look at a frame in full."""
        self.drift.look(frame, opening=opening)

    def tick(self, now_s: float) -> None:
        """Judge; call about once a second.

        A new field alone degrades nothing: venues add some every few weeks, and decoders ignore
        them. It is logged and counted.
        """
        counted = self._counted()
        zeros = self._zeros.tick(now_s)
        malformed = self._malformed.tick(counted.frames, counted.malformed)
        missing = [f"{'.'.join(field)} missing" for field in self.drift.missing()]
        self.prices_fail = bool(zeros or malformed)
        self.reason = degraded(*missing[:3], zeros, malformed)
        for said in (*self.drift.reasons(), zeros, malformed and "frames malformed"):
            if said and said not in self._told:
                self._told.add(said)
                _log.warning("the venue speaks differently", venue=self._venue, change=said)
