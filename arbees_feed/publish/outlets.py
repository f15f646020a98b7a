"""All outlets: of markets that are fed, and for a while of those that are not any more."""

import random
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from arbees_feed.core.model import MarketId, Status
from arbees_feed.core.wire import Names
from arbees_feed.publish.outlet import Outlet, Writer

Key = tuple[str, MarketId]
"""(platform, market)."""

SEQS_KEPT = 100_000
"""Markets that were let go and had not ended, whose last `seq` is remembered: some 25 MB."""


class Outlets:
    """Opens outlets and retires them.

    A market that comes back while Redis still has its keys gets its old outlet: its `seq` goes on,
    and the end that was set for its keys is taken back. One that comes back later goes on counting
    all the same: a reader may have been there all the time, and drops what it takes for old.
    """

    def __init__(self, names: Names, writer: Writer, phases: int) -> None:
        self._names = names
        self._writer = writer
        self._phases = phases
        self._opened = 0
        self._open: dict[Key, Outlet] = {}
        self._retired: dict[Key, tuple[float, Outlet]] = {}
        self._seqs: dict[Key, int] = {}
        """The last `seq` of markets that are forgotten but for that; the oldest first."""

    def __contains__(self, key: Key) -> bool:
        """Tell whether there is anything to write of a market, or was a while ago."""
        outlet = self._open.get(key)
        return key in self._retired if outlet is None else outlet.quote is not None

    def opener(self, platform: str) -> Callable[[MarketId], Outlet]:
        """Return the function that opens the outlets of a venue's markets."""

        def open_outlet(market: MarketId) -> Outlet:
            key = (platform, market)
            outlet = self._open.get(key)
            if outlet is None:
                outlet = self._open[key] = self._revived(key) or self._new(key)
            return outlet

        return open_outlet

    def retire(self, key: Key, after_s: float, now_s: float) -> Outlet | None:
        """Take an outlet out of use; return it if Redis has, or will have, something of it."""
        outlet = self._open.pop(key, None)
        if outlet is None or outlet.quote is None:
            return None
        outlet.retire_s = max(1, round(after_s))
        self._retired[key] = (now_s + outlet.retire_s, outlet)
        return outlet

    def forget_expired(self, now_s: float) -> None:
        """Let retired outlets go whose keys have gone."""
        for key in [key for key, (gone_s, _) in self._retired.items() if gone_s <= now_s]:
            _, outlet = self._retired.pop(key)
            if outlet.quote is None or outlet.quote.status is not Status.CLOSED:
                self._seqs[key] = outlet.seq
        for key in list(islice(self._seqs, max(0, len(self._seqs) - SEQS_KEPT))):
            del self._seqs[key]

    def sample(self, most: int) -> Sequence[Outlet]:
        """Return up to *most* outlets in use, at random."""
        outlets = list(self._open.values())
        return random.sample(outlets, min(most, len(outlets)))

    def written(self) -> Iterator[Outlet]:
        """Yield all outlets of which something was written that Redis should still have."""
        for outlet in self._open.values():
            if outlet.sent is not None:
                yield outlet
        for _, outlet in self._retired.values():
            if outlet.sent is not None:
                yield outlet

    def _new(self, key: Key) -> Outlet:
        platform, market = key
        phase = self._opened % self._phases
        self._opened += 1
        outlet = Outlet(market, platform, self._names, self._writer, phase)
        outlet.seq = self._seqs.pop(key, 0)
        return outlet

    def _revived(self, key: Key) -> Outlet | None:
        _, outlet = self._retired.pop(key, (0.0, None))
        if outlet is not None:
            outlet.retire_s = 0
            outlet.listed = outlet.kept = False
        return outlet
