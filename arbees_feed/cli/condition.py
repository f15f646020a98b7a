"""What a person is told of a venue: its state in one word, and why. No I/O."""

from typing import Final

from arbees_feed.reader import VenueLife

GONE: Final = "GONE"
"""A venue whose feed says nothing any more; its prices are stale."""
STOPPED: Final = "stopped"
NOT_THERE: Final = (GONE, STOPPED)
WAITING: Final = "waiting"


def condition_of(life: VenueLife | None, now_s: float) -> tuple[str, str]:
    """Return a venue's state in one word, and the reason; *now_s* is monotonic."""
    if life is None:
        return WAITING, ""
    if life.alive:
        return (life.state, life.reason) if life.state else (WAITING, "")
    if life.state == STOPPED:
        return STOPPED, life.reason
    if life.heard_s and life.session:
        return GONE, f"no heartbeat for {now_s - life.heard_s:.0f} s"
    return GONE, life.reason or "no feed runs"


def was_heard(life: VenueLife) -> bool:
    """Whether a feed of this venue was ever heard of."""
    return bool(life.session)
