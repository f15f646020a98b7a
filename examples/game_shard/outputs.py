"""Where opportunities go: a CSV file, and a Redis stream. Both have the same fields (README.md)."""

import asyncio
import csv
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self, TextIO

import structlog
from redis.exceptions import RedisError

from arbees_feed.reader import SettingsError
from game_shard.signals import Leg, Opportunity

STREAM: Final = "shard:opportunities"
STREAM_LENGTH: Final = 10_000
"""About so many entries are kept (`MAXLEN ~`)."""
WAITING_MOST: Final = 1_000
"""Opportunities that wait for Redis; more push out the oldest, which the CSV has."""
RETRY_S: Final = 0.5

_LEG = ("market", "platform", "side", "price", "available", "fee", "age_s", "recv_ns", "seq")
COLUMNS: Final = (
    "found_at",
    "kind",
    "game",
    "score",
    "remaining",
    "contracts",
    "worth",
    "edge",
    "profit",
    *(f"leg1_{name}" for name in _LEG),
    *(f"leg2_{name}" for name in _LEG),
)

_log = structlog.get_logger("game_shard")

Row = Mapping[str, str]


def row_of(found: Opportunity, now_ns: int) -> Row:
    """Return an opportunity as text, by column; columns of a leg that is not there are empty."""
    row = dict.fromkeys(COLUMNS, "")
    row |= {
        "found_at": datetime.fromtimestamp(now_ns / 1e9, UTC).isoformat(timespec="microseconds"),
        "kind": found.kind,
        "game": found.game_id,
        "score": f"{found.state.home}-{found.state.away}",
        "remaining": f"{found.state.remaining:.4f}",
        "contracts": f"{found.contracts:f}",
        "worth": f"{found.worth:.4f}",
        "edge": f"{found.edge:.6f}",
        "profit": f"{found.profit:.4f}",
    }
    for number, (leg, fee) in enumerate(zip(found.legs, found.fees, strict=True), start=1):
        row |= {f"leg{number}_{name}": value for name, value in _leg_fields(leg).items()}
        row[f"leg{number}_fee"] = f"{fee:f}"
    return row


def _leg_fields(leg: Leg) -> Row:
    return {
        "market": leg.market_id,
        "platform": leg.platform,
        "side": leg.side,
        "price": f"{leg.price:.4f}",
        "available": f"{leg.available:f}",
        "age_s": f"{leg.age_s:.3f}",
        "recv_ns": str(leg.recv_ns),
        "seq": str(leg.seq),
    }


class CsvFile:
    """Rows at the end of a file, each written at once. It is never rotated or cut."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: TextIO | None = None

    def __enter__(self) -> Self:
        """Open the file, and begin it with the columns if it is new.

        Raises:
            SettingsError: it can't be written, or holds something else.
        """
        header = ",".join(COLUMNS)
        try:
            file = self._path.open("a+", newline="", encoding="utf-8", buffering=1)
            file.seek(0)
            first = file.readline().rstrip("\r\n")
            if first and first != header:
                file.close()
                raise SettingsError(f"{self._path}: it has other columns; name another file")
        except OSError as exc:
            raise SettingsError(f"{self._path}: {exc.strerror}") from exc
        self._file = file
        if not first:
            file.write(header + "\n")
        return self

    def write(self, row: Row) -> None:
        """Append a row; it is in the file when this returns."""
        assert self._file is not None, "a CsvFile is to be entered first"  # noqa: S101
        csv.DictWriter(self._file, COLUMNS, lineterminator="\n").writerow(row)

    def __exit__(self, *_exc_info: object) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


class Stream:
    """Rows on their way to a Redis stream. An outage of Redis holds up nothing else."""

    def __init__(self, client: Any, key_prefix: str = "") -> None:
        self._client = client
        self._name = key_prefix + STREAM
        self._rows: deque[Row] = deque()
        self._more = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._closed = False
        self.dropped = 0
        self.written = 0

    def put(self, row: Row) -> None:
        """Take a row; with too many in waiting the oldest is dropped and counted."""
        if len(self._rows) >= WAITING_MOST:
            del self._rows[1]  # the first may be on its way
            self.dropped += 1
        self._rows.append(row)
        self._more.set()
        self._empty.clear()

    async def run(self) -> None:
        """Write rows in order, each until Redis takes it; runs until it is cancelled."""
        failing = False
        while not self._closed:
            await self._more.wait()
            self._more.clear()
            while self._rows and not self._closed:
                row = self._rows[0]
                try:
                    await self._client.xadd(self._name, row, maxlen=STREAM_LENGTH, approximate=True)
                except (RedisError, OSError) as exc:
                    if not failing:  # one line an outage
                        _log.warning("stream not written", error=str(exc))
                    failing = True
                    await asyncio.sleep(RETRY_S)
                    continue
                failing = False
                self._rows.popleft()
                self.written += 1
            self._empty.set()

    async def drained(self, timeout_s: float) -> None:
        """Wait until all rows are written, but not longer than that: it is the end."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._empty.wait()
        except TimeoutError:
            self.dropped += len(self._rows)
        # Beside a cancellation, which a request of redis-py may swallow on Python 3.11.
        self._closed = True
