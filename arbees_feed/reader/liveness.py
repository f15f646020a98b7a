"""What a reader knows of the feed of one venue. Pure: time is an argument."""

from typing import Final

import msgspec

STOPPED: Final = "stopped"

LIFETIME_S: Final = 10.0
"""`feed:venue:<venue>` is written to live so long, once a second: what is left of it tells when."""


class Beat(msgspec.Struct, frozen=True, gc=False):
    """A message of `feed:status`; unknown fields are ignored."""

    venue: str
    state: str
    session: int
    reason: str = ""


class VenueLife(msgspec.Struct):
    """The feed of one venue as this reader sees it."""

    venue: str
    session: int = 0
    """The newest session heard of: ns start time of the publishing process; 0: none yet."""
    state: str = ""
    """What the feed said last: `connecting`, `live`, `stale` or `stopped`; empty: nothing yet."""
    reason: str = ""
    """Why the state is so, in the feed's words; or why this reader believes nothing of it."""
    alive: bool = False
    """Whether its live prices are believed."""
    keyed: bool = False
    """Whether its key was there when `:last` was read; else no live `:last` is believed."""
    heard_s: float = 0.0
    """When a heartbeat came last, by the reader's monotonic clock."""

    def beats(self, session: int) -> bool:
        """Return whether the feed itself has named *session* as its own."""
        return session == self.session and bool(self.state)


decode_beat = msgspec.msgpack.Decoder(Beat).decode


def beat_age_s(ttl_ms: int) -> float:
    """Return how old a venue's key is, by what is left of its lifetime (PTTL, ms).

    No clocks are compared: Redis alone measures it.
    """
    return max(0.0, LIFETIME_S - ttl_ms / 1e3) if ttl_ms >= 0 else 0.0
