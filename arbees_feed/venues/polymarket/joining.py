"""Where a token's opening book and the changes that follow it meet."""

from typing import Final

import msgspec

from arbees_feed.core.events import Event
from arbees_feed.venues.polymarket.messages import Change


class Join(msgspec.Struct):
    """An opening book behind which older changes may still be queued.

    The queue ends with the change whose hash is the book's (recorded in June 2026: seven older
    changes). Those of an earlier time are plainly older; those of the book's own millisecond wait
    here until the hash, a later time or two ticks decide.
    """

    at_ms: int
    hash: str
    held: list[Event] = []
    newest: Change | None = None
    """The last change that waits."""
    ticks: int = 0


JOIN_TICKS: Final = 2
