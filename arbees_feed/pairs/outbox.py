"""What waits to be written of pairs: the newest of each, numbered when it goes out.

One writer, so that what is said of a pair leaves in order. What Redis did not take waits for the
next try, replaced by what is newer: memory is bounded by the number of pairs.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

import msgspec

from arbees_feed.pairs.ledger import Changes
from arbees_feed.pairs.price import LIVE, PairPrice
from arbees_feed.pairs.store import PairStore

NUMBERS_KEPT: Final = 200_000

T = TypeVar("T")


class Outbox:
    """Writes prices and records of pairs; a service."""

    name = "pairs-outbox"

    def __init__(self, store: PairStore, *, session: int, now_ns: Callable[[], int]) -> None:
        """*session* is when this process has started, in nanoseconds."""
        self.session = session
        self.published = 0
        """How many prices Redis has taken."""
        self._store = store
        self._now_ns = now_ns
        self._prices: dict[str, PairPrice] = {}
        self._changes = Changes()
        self._seqs: dict[str, int] = {}
        self._wake = asyncio.Event()

    def put(self, prices: Iterable[PairPrice | None]) -> None:
        """Take prices to publish."""
        for price in prices:
            if price is not None:
                self._prices[price.pair_id] = price
        if self._prices:
            self._wake.set()

    def write(self, changes: Changes) -> None:
        """Take pairs to write and to remove."""
        self._changes.add(changes)
        self._wake.set()

    def is_newest(self, last: PairPrice | None, pair_id: str) -> bool:
        """Return whether *last* is what was published last of a pair, or that is still to come."""
        if last is None:
            return pair_id not in self._seqs
        return (last.session, last.seq) >= (self.session, self._seqs.get(pair_id, 0))

    @property
    def waiting(self) -> int:
        """How much waits for Redis."""
        return len(self._prices) + len(self._changes.put) + len(self._changes.retired)

    async def run(self) -> None:
        """Write what comes, until cancelled.

        Raises:
            RedisUnavailable: Redis did not take it; run again to try again.
        """
        while True:
            self._wake.clear()
            await self.flush()
            await self._wake.wait()

    async def flush(self) -> None:
        """Write what waits; records ahead of prices: who reads a price can look up what it is.

        Raises:
            RedisUnavailable: Redis did not take it; it still waits.
        """
        await self._write_changes()
        await self._publish()

    async def _write_changes(self) -> None:
        put, retired = dict(self._changes.put), dict(self._changes.retired)
        await self._store.write([pair.record for pair in put.values()])
        await self._store.remove({pair: record.markets for pair, (record, _) in retired.items()})
        _forget(self._changes.put, put)
        _forget(self._changes.retired, retired)

    async def _publish(self) -> None:
        # A pair found while records were written has none yet: its quote goes with the next ones.
        unwritten = self._changes.put
        prices = {
            pair: price
            for pair, price in self._prices.items()
            if price.status != LIVE or pair not in unwritten
        }
        await self._store.publish([self._numbered(price) for price in prices.values()])
        self.published += len(prices)
        _forget(self._prices, prices)

    def _numbered(self, price: PairPrice) -> PairPrice:
        # At the end again: what goes first, if there are too many, is what was silent for longest.
        self._seqs[price.pair_id] = seq = self._seqs.pop(price.pair_id, 0) + 1
        if len(self._seqs) > NUMBERS_KEPT:
            del self._seqs[next(iter(self._seqs))]
        return msgspec.structs.replace(
            price, session=self.session, seq=seq, ts_pub_ns=self._now_ns()
        )


def _forget(waiting: dict[str, T], written: dict[str, T]) -> None:
    """Take what was written out of what waits, unless something newer has come."""
    for name, value in written.items():
        if waiting.get(name) is value:
            del waiting[name]
