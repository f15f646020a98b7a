"""The truth about what was published: a bare redis-py subscriber to all prices, in its own process.

It shares no code with our reader: redis-py reads, the plain msgpack package decodes.
"""

import contextlib
import threading
import time
import zlib
from array import array
from collections.abc import Iterable, Mapping
from multiprocessing.connection import Connection as Pipe
from typing import Any

import msgpack
from redis import Redis
from redis.exceptions import RedisError

Key = tuple[int, str]
"""(session, market id)"""


class Record:
    """What was published of one market in one session, in order of arrival."""

    def __init__(self) -> None:
        self.seqs = array("Q")
        self.crcs = array("Q")
        self.at_ns = array("Q")
        """When the witness had it, monotonic."""


class Truth:
    """All records of one witness or more."""

    def __init__(self, told: Iterable[Mapping[Key, Record]]) -> None:
        self._crcs: dict[tuple[int, str, int], int] = {}
        self._at_ns: dict[tuple[int, str, int], int] = {}
        self._ends: dict[Key, tuple[int, int]] = {}
        for records in told:
            for (session, market), record in records.items():
                first, last = self._ends.get((session, market), (record.seqs[0], 0))
                ends = min(first, *record.seqs), max(last, *record.seqs)
                self._ends[session, market] = ends
                for seq, crc, at_ns in zip(record.seqs, record.crcs, record.at_ns, strict=True):
                    self._crcs[session, market, seq] = crc
                    self._at_ns.setdefault((session, market, seq), at_ns)

    def __len__(self) -> int:
        return len(self._crcs)

    def is_true(self, session: int, market: str, seq: int, crc: int) -> bool:
        """Return whether these very bytes were published."""
        return self._crcs.get((session, market, seq)) == crc

    def at_ns(self, session: int, market: str, seq: int) -> int | None:
        """Return when a price arrived, monotonic; None: it has not."""
        return self._at_ns.get((session, market, seq))

    def is_hole(self, session: int, market: str, seq: int) -> bool:
        """Return whether a price was not heard, but older and newer ones of its market were."""
        first, last = self._ends.get((session, market), (1, 0))
        return first <= seq <= last and (session, market, seq) not in self._crcs

    def holes(self) -> int:
        """Return how many prices the witness itself has lost, or the publisher never sent."""
        return sum(last - first + 1 for first, last in self._ends.values()) - len(self)


class Witness:
    """Keeps what it hears until it is asked for."""

    def __init__(self, url: str) -> None:
        # Written to by the reading thread alone.
        self._records: dict[Key, Record] = {}
        self._url = url
        self._pubsub = self._subscribed()

    def _subscribed(self) -> Any:
        pubsub = Redis.from_url(self._url).pubsub()
        pubsub.psubscribe("market:*:price")
        pubsub.get_message(timeout=5.0)
        return pubsub

    def listen(self) -> None:
        """Note every message; after a failover, of the same server."""
        while True:
            try:
                for message in self._pubsub.listen():
                    if message["type"] == "pmessage":
                        self._note(message["data"])
            except RedisError:
                # Sentinel ends all connections of a server that it makes the master.
                with contextlib.suppress(RedisError):
                    self._pubsub = self._subscribed()
            time.sleep(0.01)

    def _note(self, data: bytes) -> None:
        price = msgpack.unpackb(data)
        key = (price["session"], price["market_id"])
        record = self._records.get(key) or self._records.setdefault(key, Record())
        record.seqs.append(price["seq"])
        record.crcs.append(zlib.crc32(data))
        record.at_ns.append(time.monotonic_ns())

    def count(self) -> int:
        """Return how many prices were heard."""
        return sum(len(record.seqs) for record in list(self._records.values()))

    def take(self) -> dict[Key, Record]:
        """Return all that was heard."""
        return self._records


def serve(pipe: Pipe, url: str) -> None:
    """Listen until the pipe closes."""
    witness = Witness(url)
    threading.Thread(target=witness.listen, daemon=True).start()
    pipe.send(None)
    answer(pipe, witness)


def answer(pipe: Pipe, target: object) -> None:
    """Carry out (name of a method, arguments) from the pipe until it closes."""
    while True:
        try:
            name, given = pipe.recv()
        except (EOFError, OSError):
            return
        pipe.send(getattr(target, name)(*given))
