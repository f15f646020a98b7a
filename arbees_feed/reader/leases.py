"""Leases in `feed:watch:<venue>`: what is to be written, and when. Pure.

A member of that sorted set has one score, the end of the lease, whoever asked for it. So a lease is
only ever prolonged (`ZADD GT`), and at the end it is cut short rather than removed: readers that
want the market too have renewed it by then.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

RENEWALS: Final = 10
"""A lease is renewed so often before it would end."""


class Leases:
    """The leases of one reader."""

    def __init__(self, watch: Mapping[str, Sequence[str]], lease_s: float) -> None:
        self._watch = watch
        self._lease_s = lease_s
        self._written: dict[tuple[str, str], float] = {}
        self._due_s = 0.0

    def due(self, now_s: float) -> bool:
        """Return whether leases are to be renewed; *now_s* is monotonic."""
        return bool(self._watch) and now_s >= self._due_s

    def renew_now(self) -> None:
        """Renew at the next opportunity: Redis may have lost them."""
        self._due_s = 0.0

    def renewals(self, now_s: float, unix_s: float) -> Iterator[tuple[str, dict[str, float]]]:
        """Yield (venue, ends by market) to be written with `ZADD GT`."""
        self._due_s = now_s + self._lease_s / RENEWALS
        end_s = round(unix_s + self._lease_s, 3)
        for venue, markets in self._watch.items():
            self._written.update({(venue, market): end_s for market in markets})
            yield venue, dict.fromkeys(markets, end_s)

    def held(self) -> Mapping[str, Sequence[str]]:
        """Return the markets by venue for which a lease was written."""
        return self._watch if self._written else {}

    def cut(
        self, venue: str, scores: Mapping[str, float | None], unix_s: float
    ) -> dict[str, float]:
        """Return the ends to be written at the close, of those leases that are ours alone.

        *scores* are the ends as they are now. One that is not what we wrote is another reader's,
        which is longer. By the new end, readers of the same kind have renewed theirs.
        """
        end_s = round(unix_s + self._lease_s / RENEWALS * 1.5, 3)
        return {
            market: end_s
            for market, score in scores.items()
            if score is not None and score == self._written.get((venue, market)) and score > end_s
        }
