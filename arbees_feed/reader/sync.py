"""The reader for scripts without an event loop.

The reader runs on a loop in a thread of its own, so that heartbeats are heard, leases renewed and
prices conflated while the script does something else, and the socket never fills up. Prices cross
to the caller's thread in batches; one that was overtaken meanwhile gives way to the newest.

Rejected: reading the socket in the caller's thread. A script that computes for a minute would lose
its connection, its leases and its knowledge of dead feeds.
"""

import asyncio
from collections import deque
from collections.abc import Coroutine, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, Final, Self, TypeVar

from arbees_feed.core.wire import MarketPrice
from arbees_feed.reader.liveness import VenueLife
from arbees_feed.reader.service import PriceReader
from arbees_feed.reader.stats import ReaderStats

BATCH: Final = 256
"""Prices that cross to the caller's thread at once."""


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
        self._entered: Future[asyncio.AbstractEventLoop] = Future()
        self._life: Future[None] | None = None
        self._stop = asyncio.Event()
        self._coming: Future[list[MarketPrice]] | None = None
        self._prices: deque[MarketPrice] = deque()
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
        while (price := self.take(None)) is None:
            pass
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
            self._coming = None

    def follow(self, *markets: str) -> None:
        """Follow more markets; see `PriceReader.follow`."""
        self._call(self._reader.follow(*markets)).result()

    def unfollow(self, *markets: str) -> None:
        """Follow markets no more; see `PriceReader.unfollow`."""
        self._call(self._reader.unfollow(*markets)).result()

    def _call(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        if self._life is None:
            work.close()
            raise RuntimeError("a reader is to be entered first: with SyncPriceReader(…)")
        return asyncio.run_coroutine_threadsafe(work, self._entered.result())

    def _batch(self) -> Future[list[MarketPrice]]:
        if self._coming is None:
            self._coming = self._call(self._reader.batch(BATCH))
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
        wait(either, return_when=FIRST_COMPLETED)
        if not self._entered.done():
            self._threads.shutdown()
            self._life.result()
        return self

    async def _live(self) -> None:
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
