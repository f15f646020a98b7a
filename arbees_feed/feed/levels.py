"""Plain changes of levels in compiled code, if there is any: the same books, the same quotes."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from arbees_feed.core.book import LIVE, Ladder, OrderBook
from arbees_feed.core.model import MarketId
from arbees_feed.feed.market import Link, Market
from arbees_feed.native import compiled

if TYPE_CHECKING:
    from arbees_feed.native._compiled import Deltas, Levels

Keep = Callable[[tuple[int, bytes]], None]
"""Takes a frame with the Unix ns at which it was read."""


class Shortcut(NamedTuple):
    """The way of one connection's plain changes, past decoder and events."""

    apply: Callable[[Sequence[bytes], int, int, int], int]
    """(frames, first, last, Unix ns at which they were read) -> how many were applied.

    The next one is for the decoder; of it, nothing was touched.
    """
    deltas: "Deltas"


class PlainLevels:
    """Changes the books of *markets*; *settle* hears where a best level changed.

    *heard* is told of the connection, and the time, once frames of it were applied.
    """

    def __init__(
        self,
        markets: dict[MarketId, Market],
        settle: Callable[[Market, int], None],
        heard: Callable[[Link, int], None],
        *,
        use: bool,
    ) -> None:
        self._heard = heard
        self._levels: Levels[Market] | None = None
        if use and compiled is not None:
            self._levels = compiled.Levels(markets, settle, LIVE, Market, OrderBook, Ladder)

    def shortcut(self, deltas: "Deltas | None", link: Link, keep: Keep | None) -> Shortcut | None:
        """Return the way of a connection's plain changes in compiled code, if there is any.

        Each frame that goes this way is handed to *keep*.
        """
        if self._levels is None or deltas is None:
            return None
        heard, run = self._heard, partial(self._levels.run, deltas, link, keep)

        def apply(frames: Sequence[bytes], first: int, last: int, recv_ns: int) -> int:
            done = run(frames, first, last, recv_ns)
            if done:
                heard(link, recv_ns)
            return done

        return Shortcut(apply, deltas)
