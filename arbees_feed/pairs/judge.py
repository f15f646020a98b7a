"""Metadata in, changes of pairs out: the work of the matcher that can wait.

All of it is done on one loop, in a thread of its own (aside.py). Whoever keeps pairs and their
prices hears of what has changed, and of nothing else.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import msgspec

from arbees_feed.pairs.ledger import Changes, Ledger
from arbees_feed.pairs.metadata import Meta
from arbees_feed.pairs.unreadable import Unreadable

WINDOW_S: Final = 10.0
"""How long work must have been under way before it is judged to be held back."""
LEAST_SHARE: Final = 0.1
"""Of a core; with less, standing back means standing still."""
REST_S: Final = 1e-6
"""As short as it gets, which under Linux is some 0.06 ms: as long as a price takes a process. With
rests of 0.02 ms, prices were no faster than with none."""
REST_AFTER_S: Final = 0.000_15
SAID_EVERY: Final = 1_000
"""Markets of the first look at all, after which it is said how many are known."""


class Told(msgspec.Struct, frozen=True):
    """What a look at some metadata has come to."""

    changes: Changes
    markets: int
    """How many markets are known now."""


class Keeper(Protocol):
    """Who keeps pairs and their prices."""

    async def take(self, told: Told) -> None:
        """Take what has changed."""

    async def scanned(self, told: Told, unknown: Sequence[tuple[int, str]]) -> None:
        """All metadata was looked at; *unknown* are lines and names of the user's file."""


class HeldBack(Exception):
    """Judging gets hardly any time of a processor."""


class Pace:
    """Lets others go first, until that leaves hardly any time of a processor."""

    def __init__(
        self,
        *,
        wall: Callable[[], float] = time.monotonic,
        cpu: Callable[[], float] = time.thread_time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._wall, self._cpu, self._sleep = wall, cpu, sleep
        self._wall_s = self._cpu_s = self._unrested_s = 0.0
        self._hurries = False

    def begin(self) -> tuple[float, float]:
        """Return the beginning of some work."""
        return self._wall(), self._cpu()

    def end(self, begun: tuple[float, float]) -> None:
        """Count work from *begun* until now."""
        took_s = self._wall() - begun[0]
        self._wall_s += took_s
        self._unrested_s += took_s
        self._cpu_s += self._cpu() - begun[1]

    def check(self) -> None:
        """Look whether work gets on.

        Raises:
            HeldBack: it had less than a tenth of a core, for ten seconds of work or more; told
                once, for there is nothing more to be done about it.
        """
        if self._hurries or self._wall_s < WINDOW_S:
            return
        share, self._wall_s, self._cpu_s = self._cpu_s / self._wall_s, 0.0, 0.0
        if share < LEAST_SHARE:
            self._hurries = True
            raise HeldBack(f"{share:.0%} of a processor")

    def rest(self) -> None:
        """After some work, give the processor away: whoever waits for it has it at once."""
        if self._unrested_s >= REST_AFTER_S and not self._hurries:
            self._unrested_s = 0.0
            self._sleep(REST_S)


class Judge:
    """Judges markets that are new or changed, and tells the keeper.

    Nothing is told until all markets have been read once: a rival may be still to come.
    """

    def __init__(
        self, ledger: Ledger, keeper: Keeper, unreadable: Unreadable, *, pace: Pace | None = None
    ) -> None:
        self._ledger = ledger
        self._keeper = keeper
        self._unreadable = unreadable
        self._pace = pace or Pace()
        self._waiting = Changes()
        """What is not told yet."""
        self._scanned = False
        self._said = 0
        """How many markets it was said that are known."""

    async def found(self, metas: Sequence[Meta]) -> None:
        """Judge markets that are new or changed.

        Raises:
            HeldBack: there is hardly any time of a processor for it; these were judged.
        """
        for meta in metas:
            begun = self._pace.begin()
            self._waiting.add(self._judged(meta))
            self._pace.end(begun)
            await self._tell()  # what is no pair any more does not wait for the next
            self._pace.rest()
        self._pace.check()

    def _judged(self, meta: Meta) -> Changes:
        try:
            return self._ledger.put(meta)
        except (ValueError, ArithmeticError, RecursionError) as exc:
            # What it was before must not be believed either.
            self._unreadable.note(meta.market_id, exc)
            return self._ledger.drop(meta.market_id, "what a venue says of it can't be read")

    async def gone(self, markets: Sequence[str]) -> None:
        """Retire the pairs of markets that are not there any more."""
        for market in markets:
            self._waiting.add(self._ledger.drop(market, "a market is not listed any more"))
        await self._tell()

    async def scanned(self) -> None:
        """Everything was looked at."""
        unknown = list(self._ledger.unknown())
        await self._keeper.scanned(self._told(), unknown)
        self._scanned = True

    async def _tell(self) -> None:
        if self._scanned:
            if self._waiting.put or self._waiting.retired:
                await self._keeper.take(self._told())
        elif self._ledger.markets - self._said >= SAID_EVERY:
            self._said = self._ledger.markets
            await self._keeper.take(Told(Changes(), self._said))

    def _told(self) -> Told:
        changes, self._waiting = self._waiting, Changes()
        return Told(changes, self._ledger.markets)
