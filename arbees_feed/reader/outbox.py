"""Prices on their way to a consumer who may be slow. Pure: time is an argument.

`Newest` keeps the newest price of each market; `Every` keeps all, up to a bound. Neither can grow
beyond it, and neither ever loses the newest price of a market.
"""

from collections import deque
from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import Protocol

from arbees_feed.core.wire import MarketPrice
from arbees_feed.reader.stats import ReaderStats


class Outbox(Protocol):
    """Where prices wait to be asked for."""

    def put(self, market: str, price: MarketPrice) -> None:
        """Take a price that was published just now."""

    def put_known(self, market: str, price: MarketPrice) -> None:
        """Take a price whose age says nothing of this reader, as it is of `:last`."""

    def put_again(self, market: str, price: MarketPrice) -> None:
        """Take a price whose seq was handed over before: a `stale` of ours, or the price back."""

    def skip(self, market: str) -> None:
        """Take note of a published price that will not be handed over: its feed was silent."""

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

    def put_again(self, market: str, price: MarketPrice) -> None:
        """Take a price whose seq was handed over before."""
        self.put_known(market, price)

    def skip(self, market: str) -> None:  # noqa: ARG002 - which market, is of no interest here
        """Take note of a price that a newer one has replaced."""
        self._stats.conflated += 1

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


class _Kind(IntEnum):
    NEW = 0
    """Published just now."""
    KNOWN = 1
    """Of `:last`."""
    AGAIN = 2
    """Of a seq that was handed over before, so nothing is lost with it."""


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
        self._queue: deque[tuple[str, MarketPrice, _Kind]] = deque()
        self._queued: dict[str, int] = {}
        # Pushed out of the queue, and newer than anything of their market that was handed over.
        self._pushed_out: dict[str, tuple[MarketPrice, _Kind]] = {}

    def __len__(self) -> int:
        return len(self._queue) + len(self._pushed_out)

    def put(self, market: str, price: MarketPrice) -> None:
        """Take a price that was published just now."""
        self._add(market, price, _NEW)

    def put_known(self, market: str, price: MarketPrice) -> None:
        """Take a price whose age says nothing of this reader."""
        self._add(market, price, _Kind.KNOWN)

    def put_again(self, market: str, price: MarketPrice) -> None:
        """Take a price whose seq was handed over before."""
        self._add(market, price, _Kind.AGAIN)

    def skip(self, market: str) -> None:
        """Take note of a published price that will not be handed over."""
        self._on_missed(market, 1)

    def _add(self, market: str, price: MarketPrice, kind: _Kind) -> None:
        self._queue.append((market, price, kind))
        self._queued[market] = self._queued.get(market, 0) + 1
        if len(self._queue) > self._limit:
            self._push_out()

    def _push_out(self) -> None:
        market, price, kind = self._pop()
        if market in self._queued:
            self._give_up(market, kind)
            return
        if (older := self._pushed_out.pop(market, None)) is not None:
            self._give_up(market, older[1])
        self._pushed_out[market] = price, kind

    def _pop(self) -> tuple[str, MarketPrice, _Kind]:
        market, price, kind = self._queue.popleft()
        if left := self._queued[market] - 1:
            self._queued[market] = left
        else:
            del self._queued[market]
        return market, price, kind

    def _give_up(self, market: str, kind: _Kind) -> None:
        if kind is not _Kind.AGAIN:
            self._stats.overflowed += 1
            self._on_missed(market, 1)

    def take(self, now_ns: int) -> MarketPrice | None:
        """Return the next price, or None."""
        if self._pushed_out:
            # Older than all of their market that is in the queue.
            _, (price, kind) = self._pushed_out.popitem()
        elif self._queue:
            _, price, kind = self._pop()
        else:
            return None
        if kind is _NEW:
            self._stats.note_lag(now_ns - price.ts_pub_ns)
        return price


_NEW = _Kind.NEW  # an attribute of an enumeration costs a look-up
