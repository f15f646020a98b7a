"""What `watch` says beside its lines: feeds and Redis that go and come, and what was missed."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from arbees_feed.cli.condition import NOT_THERE, WAITING, condition_of, was_heard
from arbees_feed.core.wire import MarketPrice
from arbees_feed.reader import PriceReader

LOOK_S: Final = 0.5
MISSED_EVERY_S: Final = 5.0
"""A consumer that is too slow all the time is told so this often."""


class News:
    """Says a change once."""

    def __init__(
        self,
        reader: PriceReader,
        say: Callable[[str], None],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reader = reader
        self._say = say
        self._sleep = sleep
        self._monotonic = monotonic
        self._platforms: set[str] = set()
        self._said: dict[str, str] = {}
        self._failures = 0
        self._is_away = False
        self._missed: dict[str, int] = {}
        self._overflowed = 0
        self._missed_due_s = float("-inf")

    def note(self, prices: Iterable[MarketPrice]) -> None:
        """Note whose prices were printed."""
        self._platforms.update(price.platform for price in prices)

    async def tell(self) -> None:
        """Say what changes, until cancelled."""
        while True:
            await self._sleep(LOOK_S)
            self.look()

    def look(self) -> None:
        """Say what has changed since the last look."""
        now_s = self._monotonic()
        self._tell_redis()
        self._tell_venues(now_s)
        for market, missed in self._reader.take_losses().items():
            self._missed[market] = self._missed.get(market, 0) + missed
        if self._missed and now_s >= self._missed_due_s:
            self._missed_due_s = now_s + MISSED_EVERY_S
            self._tell_missed()

    def last_words(self) -> None:
        """Say what is left to be said at the end."""
        self._missed_due_s = float("-inf")
        self.look()

    def _tell_redis(self) -> None:
        trouble, failures = self._reader.trouble, self._reader.stats.failures
        was_away, self._is_away = self._is_away, bool(trouble)
        is_new, self._failures = failures > self._failures, failures
        if trouble and not was_away:
            self._say(f"redis: {trouble.removeprefix('redis: ')}; trying again")
        elif was_away and not trouble:
            self._say("redis answers again")
        elif is_new and not trouble:
            self._say("redis: the connection was lost, and made again")

    def _tell_venues(self, now_s: float) -> None:
        """Say it when a venue's state changes; at the start only what is wrong."""
        for venue, life in list(self._reader.venues.items()):
            if not was_heard(life) and venue not in self._platforms:
                continue
            word, reason = condition_of(life, now_s)
            if word == WAITING:
                continue
            before = self._said.get(venue, "live")
            self._said[venue] = word
            if word != before:
                advice = "; its prices are stale" if word in NOT_THERE else ""
                self._say(f"{venue} is {word}{f': {reason}' if reason else ''}{advice}")

    def _tell_missed(self) -> None:
        missed, self._missed = self._missed, {}
        overflowed = self._reader.stats.overflowed
        slow, self._overflowed = overflowed - self._overflowed, overflowed
        why = f" ({slow:,} of them came faster than lines are taken)" if slow else ""
        count = sum(missed.values())
        self._say(f"missed {count:,} prices of {len(missed):,} markets{why}; the newest follow")
