"""The reader for scripts without an event loop.

The reader runs on a loop in a thread of its own, so that heartbeats are heard, leases renewed and
prices conflated while the script does something else, and the socket never fills up. Prices cross
to the caller's thread in batches; one that was overtaken meanwhile gives way to the newest.

Rejected: reading the socket in the caller's thread. A script that computes for a minute would lose
its connection, its leases and its knowledge of dead feeds.
"""

import asyncio
import time
from collections import deque
from collections.abc import Coroutine, Iterator, Mapping
from concurrent.futures import (
    FIRST_COMPLETED,
    CancelledError,
    Future,
    ThreadPoolExecutor,
    wait,
)
from contextlib import suppress
from typing import Any, Final, Self, TypeVar

from arbees_feed.core.wire import MarketPrice
from arbees_feed.reader.liveness import VenueLife
from arbees_feed.reader.service import PriceReader
from arbees_feed.reader.stats import ReaderStats

BATCH: Final = 256
"""Prices that cross to the caller's thread at once, at most."""
BATCH_S: Final = 0.01
"""About as long as a script is to be busy with a batch: what waits in its thread grows old."""


T = TypeVar("T")


class SyncPriceReader:
    """Follows prices in Redis: `with` it, and `for` over it."""

    def __init__(self, url: str = "redis://127.0.0.1:6379/0", **options: Any) -> None:
        """Say what to follow, in the arguments of `PriceReader`.

        Raises:
            SettingsError: the URL or another argument is malformed; the message names it.
        """
        self._reader = PriceReader(url, **options)
        self._every = bool(options.get("every"))
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="arbees-feed-reader")
        self._begun: Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[None]]] = Future()
        self._entered: Future[asyncio.AbstractEventLoop] = Future()
        self._life: Future[None] | None = None
        self._stop = asyncio.Event()
        self._coming: Future[list[MarketPrice]] | None = None
        self._prices: deque[MarketPrice] = deque()
        self._batch_size = 1
        self._crossed_s = 0.0
        # What was handed over last, so that the newest of a market comes once.
        self._given: dict[str, MarketPrice] = {}

    @property
    def book(self) -> Mapping[str, MarketPrice]:
        """The newest price of each market, as it is to be believed now; a view, read-only.

        It changes all the time: take `dict(reader.book)` to walk through it.
        """
        return self._reader.book

    @property
    def venues(self) -> Mapping[str, VenueLife]:
        """What is known of the feed of each venue."""
        return self._reader.venues

    @property
    def stats(self) -> ReaderStats:
        """The reader's counters."""
        return self._reader.stats

    @property
    def trouble(self) -> str:
        """Why there is no connection to Redis now; empty while there is one."""
        return self._reader.trouble

    # -- prices ------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[MarketPrice]:
        """Iterate over prices for as long as the block lasts."""
        return self

    def __next__(self) -> MarketPrice:
        """Wait for the next price and return it."""
        try:
            while (price := self.take(None)) is None:
                pass
        except (CancelledError, StopAsyncIteration):
            raise StopIteration from None  # closed meanwhile, by another thread
        return price

    def take(self, timeout_s: float | None) -> MarketPrice | None:
        """Return the next price; None if there is none within *timeout_s* (None: wait for ever)."""
        while True:
            while self._prices:
                if (price := self._newest(self._prices.popleft())) is not None:
                    return price
            try:
                self._prices.extend(self._batch().result(timeout_s))
            except TimeoutError:
                return None  # what comes for it is taken by the next call
            self._coming, self._crossed_s = None, time.monotonic()

    def take_losses(self) -> Mapping[str, int]:
        """Return how many prices were missed by market since this was asked last."""
        return self._call(self._take_losses()).result()

    async def _take_losses(self) -> Mapping[str, int]:
        return self._reader.take_losses()

    def follow(self, *markets: str) -> None:
        """Follow more markets; see `PriceReader.follow`."""
        self._call(self._reader.follow(*markets)).result()

    def unfollow(self, *markets: str) -> None:
        """Follow markets no more; see `PriceReader.unfollow`."""
        self._call(self._reader.unfollow(*markets)).result()

    def _call(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        if self._life is None or self._life.done():
            work.close()
            state = "entered first" if self._life is None else "used within its block"
            raise RuntimeError(f"a reader is to be {state}: with SyncPriceReader(…)")
        return asyncio.run_coroutine_threadsafe(work, self._entered.result())

    def _batch(self) -> Future[list[MarketPrice]]:
        if self._coming is None:
            was_quick = time.monotonic() - self._crossed_s < BATCH_S
            size = self._batch_size * 2 if was_quick else self._batch_size // 2
            self._batch_size = min(max(size, 1), BATCH)
            self._coming = self._call(self._reader.batch(self._batch_size))
        return self._coming

    def _newest(self, price: MarketPrice) -> MarketPrice | None:
        """Return what is to be handed over for *price*, unless it was already."""
        if self._every:
            return price
        market = price.market_id
        newest = self._reader.book.get(market, price)
        if newest is self._given.get(market):
            return None
        self._given[market] = newest
        return newest

    # -- life --------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        """Connect and join: afterwards `book` has what Redis knows.

        Raises:
            RedisUnavailable: Redis did not answer within `start_timeout_s`.
            AuthenticationRejected: Redis refuses the credentials, or this user may not read.
        """
        self._life = self._threads.submit(asyncio.run, self._live())
        either: set[Future[Any]] = {self._entered, self._life}
        try:
            wait(either, return_when=FIRST_COMPLETED)
        finally:
            # Also when the script is interrupted: it may have waited for Redis, and for ever.
            if not self._entered.done():
                self._abandon()
        if not self._entered.done():
            self._life.result()
        return self

    def _abandon(self) -> None:
        loop, task = self._begun.result()
        with suppress(RuntimeError):  # closed: it has ended by itself
            loop.call_soon_threadsafe(task.cancel)
        self._threads.shutdown()

    async def _live(self) -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine that runs has one
        self._begun.set_result((loop, task))
        async with self._reader:
            self._entered.set_result(asyncio.get_running_loop())
            await self._stop.wait()

    def __exit__(self, *_exc_info: object) -> None:
        """End the leases and the connection."""
        if self._life is None or not self._entered.done():
            return
        if not self._life.done():
            self._entered.result().call_soon_threadsafe(self._stop.set)
        try:
            self._life.result()
        finally:
            self._threads.shutdown()
