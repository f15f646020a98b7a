"""Prices on their way to a consumer who may be slow. Pure: time is an argument.

`Newest` keeps the newest price of each market; `Every` keeps all, up to a bound. Neither can grow
beyond it, and neither ever loses the newest price of a market.
"""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol

from arbees_feed.core.wire import MarketPrice
from arbees_feed.reader.stats import ReaderStats


class Outbox(Protocol):
    """Where prices wait to be asked for."""

    def put(self, market: str, price: MarketPrice) -> None:
        """Take a price that was published just now."""

    def put_known(self, market: str, price: MarketPrice) -> None:
        """Take a price whose age says nothing of this reader: of `:last`, or a `stale` of ours."""

    def take(self, now_ns: int) -> MarketPrice | None:
        """Return the next price, or None if none waits; *now_ns* is the Unix time in ns."""

    def __len__(self) -> int:
        """How many prices wait."""


class Newest:
    """The newest price of each market, in the order in which the markets changed first."""

    def __init__(self, stats: ReaderStats) -> None:
        self._stats = stats
        self._waiting: dict[str, MarketPrice] = {}
        self._known: set[str] = set()
        # The markets of this round, each once. Taking the first key off a dictionary again and
        # again would look at all that were taken before it.
        self._round: Iterator[str] = iter(())

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, market: str, price: MarketPrice) -> None:
        """Take a price that was published just now."""
        if market in self._waiting:
            self._stats.conflated += 1
            if self._known:
                self._known.discard(market)
        self._waiting[market] = price

    def put_known(self, market: str, price: MarketPrice) -> None:
        """Take a price whose age says nothing of this reader."""
        self.put(market, price)
        self._known.add(market)

    def take(self, now_ns: int) -> MarketPrice | None:
        """Return the next price, or None."""
        waiting = self._waiting
        if not waiting:
            return None
        market = next(self._round, None)
        if market is None:
            self._round = iter(list(waiting))
            market = next(self._round)
        price = waiting.pop(market)
        if market in self._known:
            self._known.discard(market)
        else:
            self._stats.note_lag(now_ns - price.ts_pub_ns)
        return price


class Every:
    """Every price in order; of those beyond *limit*, the newest of each market."""

    def __init__(
        self,
        stats: ReaderStats,
        limit: int,
        on_missed: Callable[[str, int], None],
    ) -> None:
        self._stats = stats
        self._limit = limit
        self._on_missed = on_missed
        self._queue: deque[tuple[str, MarketPrice, bool]] = deque()
        self._queued: dict[str, int] = {}
        # Pushed out of the queue, and newer than anything of their market that was handed over.
        self._pushed_out: dict[str, MarketPrice] = {}

    def __len__(self) -> int:
        return len(self._queue) + len(self._pushed_out)

    def put(self, market: str, price: MarketPrice) -> None:
        """Take a price that was published just now."""
        self._add(market, price, known=False)

    def put_known(self, market: str, price: MarketPrice) -> None:
        """Take a price whose age says nothing of this reader."""
        self._add(market, price, known=True)

    def _add(self, market: str, price: MarketPrice, *, known: bool) -> None:
        self._queue.append((market, price, known))
        self._queued[market] = self._queued.get(market, 0) + 1
        if len(self._queue) > self._limit:
            self._push_out()

    def _push_out(self) -> None:
        market, price, _ = self._pop()
        if market in self._queued:
            self._give_up(market)
            return
        if self._pushed_out.pop(market, None) is not None:
            self._give_up(market)
        self._pushed_out[market] = price

    def _pop(self) -> tuple[str, MarketPrice, bool]:
        market, price, known = self._queue.popleft()
        if left := self._queued[market] - 1:
            self._queued[market] = left
        else:
            del self._queued[market]
        return market, price, known

    def _give_up(self, market: str) -> None:
        self._stats.overflowed += 1
        self._on_missed(market, 1)

    def take(self, now_ns: int) -> MarketPrice | None:
        """Return the next price, or None."""
        if self._pushed_out:
            # Older than all of their market that is in the queue.
            return self._pushed_out.popitem()[1]
        if not self._queue:
            return None
        _, price, known = self._pop()
        if not known:
            self._stats.note_lag(now_ns - price.ts_pub_ns)
        return price
