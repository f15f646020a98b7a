"""A program that follows prices with our reader, in its own process, and notes what it gets."""

import asyncio
import logging
import threading
import time
import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection as Pipe
from typing import Any, NamedTuple

import msgspec

from arbees_feed.core.wire import MarketPrice
from arbees_feed.reader import PriceReader, SyncPriceReader
from loopback.witness import answer


class Handed(NamedTuple):
    """A price as a reader handed it over; *at_ns* is monotonic."""

    at_ns: int
    market: str
    session: int
    seq: int
    status: str
    crc: int


@dataclass(frozen=True)
class Habit:
    """How a program reads: with or without a loop, and what it does with each price."""

    name: str
    """What `CLIENT LIST` shows."""
    options: Mapping[str, Any] = field(default_factory=dict)
    is_sync: bool = False
    rest_s: float = 0.0
    """How long the program is busy with each price."""
    computes: bool = False
    """Whether it blocks its thread meanwhile, rather than awaiting."""


def crc_of(price: MarketPrice) -> int:
    """Return a price's check sum: that of the published bytes, if every field is the same."""
    return zlib.crc32(price.to_msgpack())


def handed(price: MarketPrice) -> Handed:
    """Return what is to be kept of a price that comes now."""
    now_ns = time.monotonic_ns()
    stamp = (price.market_id, price.session, price.seq, price.status)
    return Handed(now_ns, *stamp, crc_of(price))


class Follower:
    """Notes prices; answers questions from another thread than it is written to."""

    def __init__(self, reader: PriceReader | SyncPriceReader) -> None:
        self._reader = reader
        self._first = {market: (p.session, p.seq) for market, p in dict(reader.book).items()}
        self._log: list[Handed] = []
        self._losses: Counter[str] = Counter()
        self._told_missed = 0
        self._lags: list[tuple[float, float]] = []

    def note(self, price: MarketPrice) -> None:
        """Take a price that was handed over just now."""
        lag_s = (time.time_ns() - price.ts_pub_ns) / 1e9
        self._log.append(handed(price))
        self._lags.append((self._reader.stats.lag_s, lag_s))
        if self._reader.stats.missed != self._told_missed:
            self._told_missed = self._reader.stats.missed
            self._losses.update(self._reader.take_losses())

    def take(self) -> list[Handed]:
        """Return what was handed over since this was asked last."""
        log, self._log = self._log, []
        return log

    def lags(self) -> list[tuple[float, float]]:
        """Return (what the reader told, what it was) in s since this was asked last."""
        lags, self._lags = self._lags, []
        return lags

    def stats(self) -> dict[str, Any]:
        """Return the reader's counters."""
        return msgspec.structs.asdict(self._reader.stats)

    def losses(self) -> dict[str, int]:
        """Return what the reader told of missed prices, by market."""
        return dict(self._losses)

    def first(self) -> dict[str, tuple[int, int]]:
        """Return (session, seq) of each market when the reader had joined."""
        return self._first

    def newest(self) -> dict[str, tuple[int, int, str]]:
        """Return (seq, check sum, status) of each market in the reader's book."""
        book = dict(self._reader.book)
        return {market: (p.seq, crc_of(p), p.status) for market, p in book.items()}


def serve(pipe: Pipe, url: str, habit: Habit) -> None:
    """Follow prices until the process is ended."""
    logging.getLogger("arbees_feed.reader").addHandler(logging.NullHandler())  # faults are wanted
    if habit.is_sync:
        _follow_in_a_script(pipe, url, habit)
    else:
        asyncio.run(_follow(pipe, url, habit))


async def _follow(pipe: Pipe, url: str, habit: Habit) -> None:
    async with PriceReader(url, client_name=habit.name, **habit.options) as reader:
        follower = _begun(pipe, reader)
        async for price in reader:
            follower.note(price)
            if habit.computes:
                time.sleep(habit.rest_s)  # noqa: ASYNC251 - a program that computes
            elif habit.rest_s:
                await asyncio.sleep(habit.rest_s)


def _follow_in_a_script(pipe: Pipe, url: str, habit: Habit) -> None:
    with SyncPriceReader(url, client_name=habit.name, **habit.options) as reader:
        follower = _begun(pipe, reader)
        for price in reader:
            follower.note(price)
            if habit.rest_s:
                time.sleep(habit.rest_s)


def _begun(pipe: Pipe, reader: PriceReader | SyncPriceReader) -> Follower:
    follower = Follower(reader)
    pipe.send(None)
    threading.Thread(target=answer, args=(pipe, follower), daemon=True).start()
    return follower
