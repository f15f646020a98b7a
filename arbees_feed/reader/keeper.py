"""Keeps a reader connected: one session after the other, with a backoff, until it is closed."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

from arbees_feed.core.backoff import Backoff
from arbees_feed.errors import FatalError, FeedError, RedisUnavailable
from arbees_feed.reader.retired import Retired
from arbees_feed.reader.session import Session
from arbees_feed.reader.state import PriceState

_log = logging.getLogger("arbees_feed.reader")

TICK_S: Final = 0.1
HEALTHY_S: Final = 1.0
"""A session that lasted so long after its join earns the first delay back."""
BACKOFF: Final = Backoff(first_s=0.05, cap_s=1.0, floor_s=0.01)


class Keeper:
    """The connection of a reader, and the clock of its state."""

    def __init__(
        self,
        state: PriceState,
        new_session: Callable[[], Session],
        retired: Retired,
        on_change: Callable[[], None],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        rand: Callable[[], float] = random.random,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.session: Session | None = None
        self.trouble = ""
        """Why there is no connection now; empty while there is one."""
        self.refused: FatalError | None = None
        """Redis has never let us in, and never will: there is nothing to wait for."""
        self.settled = asyncio.Event()
        """Set once the first session has joined, or was refused."""
        self._state = state
        self._new_session = new_session
        self._retired = retired
        self._on_change = on_change
        self._sleep = sleep
        self._rand = rand
        self._monotonic = monotonic
        self._joined_s: float | None = None

    async def run(self) -> None:
        """Run sessions until cancelled, or until Redis refuses the first of them."""
        delays = self._delays()
        while True:
            try:
                await self._run_session()
            except FatalError as exc:
                if not self._state.stats.joins:
                    self.refused = exc
                    self.settled.set()
                    return
                self._note(exc)
            except RedisUnavailable as exc:
                self._note(exc)
            if self._joined_s is not None and self._monotonic() - self._joined_s >= HEALTHY_S:
                delays = self._delays()
            await self._sleep(next(delays))

    def _delays(self) -> Iterator[float]:
        return BACKOFF.delays(self._rand)

    async def _run_session(self) -> None:
        self._joined_s = None
        self.session = session = self._new_session()
        try:
            await session.run(self._joined)
        finally:
            self.session = None
            self._state.lost()

    def _joined(self) -> None:
        stats = self._state.stats
        self._joined_s = self._monotonic()
        stats.joins += 1
        if self.trouble:
            _log.info("redis answers again")
        stats.reconnects = stats.joins - 1
        self.trouble = ""
        self.settled.set()

    def _note(self, error: FeedError) -> None:
        self._state.stats.failures += 1
        if not self.trouble:
            # One line an outage: each attempt in it fails alike.
            _log.warning("connection lost or not made: %s", error)
        self.trouble = str(error)

    async def tick(self) -> None:
        """Tell the state and the session the time, until cancelled."""
        while True:
            await self._sleep(TICK_S)
            now_s = self._monotonic()
            if self.session is not None:
                self.session.tick(now_s)
            self._state.tick(now_s)
            for market in self._retired.due(self._state.book, now_s):
                self._state.shown.forget(market)
            self._on_change()
