"""Raw frames to disk, as they were read: a tap on every connection, and the files behind it.

One gzip file for each venue, one JSON object a line:
`{"received_ns": …, "venue": …, "connection": …, "frame": "…"}`, and with `closed` in place of
`frame` when a connection has ended. Compression and writing happen in a thread; a frame costs the
feed one encoding.
"""

import asyncio
import gzip
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import cast

import msgspec

from arbees_feed.cli.waiting import stopped_within
from arbees_feed.errors import ConnectionLost, FatalError
from arbees_feed.feed.session import Connection

WRITE_EVERY_S = 0.5
MOST_WAITING_BYTES = 256 << 20
_LEVEL = 3


class Frame(msgspec.Struct, frozen=True, gc=False):
    """A line of a tape: a frame."""

    received_ns: int
    venue: str
    connection: str
    frame: str


class End(msgspec.Struct, frozen=True, gc=False):
    """A line of a tape: a connection is over."""

    received_ns: int
    venue: str
    connection: str
    closed: str


_encode = msgspec.json.Encoder().encode


class TappedConnection:
    """A connection whose frames go to the tape as well."""

    def __init__(self, connection: Connection, tape: "Tape", venue: str, name: str) -> None:
        self._connection = connection
        self._tape = tape
        self._venue = venue
        self._name = name

    @property
    def received_ns(self) -> int:
        """Unix ns at which the frames last returned were read from the socket."""
        return self._connection.received_ns

    @property
    def last_life_s(self) -> float:
        """Monotonic time of the last frame of any kind."""
        return self._connection.last_life_s

    @property
    def close_reason(self) -> str:
        """The reason of the venue's close frame."""
        return self._connection.close_reason

    async def receive(self) -> Sequence[bytes]:
        """Return the frames that come next, one at least, or raise ConnectionLost."""
        try:
            frames = await self._connection.receive()
        except ConnectionLost as exc:
            self._end(str(exc))
            raise
        except asyncio.CancelledError:
            self._end("")
            raise
        for frame in frames:
            self._tape.add(
                Frame(self.received_ns, self._venue, self._name, frame.decode(errors="replace"))
            )
        return frames

    async def send(self, frame: bytes) -> None:
        """Send a text frame, or raise ConnectionLost."""
        await self._connection.send(frame)

    def _end(self, reason: str) -> None:
        self._tape.add(End(self.received_ns, self._venue, self._name, reason))


class Tape:
    """The files of one recording."""

    def __init__(self, folder: Path, started: datetime) -> None:
        """Make the folder.

        Raises:
            FatalError: it can't be made.
        """
        self.frames: Counter[str] = Counter()
        self.connections: Counter[str] = Counter()
        self._started = f"{started:%Y%m%dT%H%M%SZ}"
        self._folder = folder
        self._waiting: dict[str, list[bytes]] = {}
        self._waiting_bytes = 0
        self._files: dict[str, gzip.GzipFile] = {}
        self._failure: FatalError | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise FatalError(f"cannot record to {folder}: {exc.strerror}") from exc

    def tap(self, venue: str, connection: Connection) -> Connection:
        """Return *connection* with its frames going here too."""
        self.connections[venue] += 1
        name = f"{venue}-{self.connections[venue]}"
        # Its times can only be read, which is all that a session does.
        return cast(Connection, TappedConnection(connection, self, venue, name))

    def add(self, line: Frame | End) -> None:
        """Take a line; it is on disk within a second."""
        if self._failure is not None:
            return
        data = _encode(line)
        self._waiting.setdefault(line.venue, []).append(data)
        self._waiting_bytes += len(data)
        self.frames[line.venue] += isinstance(line, Frame)

    def path(self, venue: str) -> Path:
        """Return the file of a venue."""
        return self._folder / f"{venue}-{self._started}.jsonl.gz"

    async def run(self, stop: asyncio.Event, finished: asyncio.Event) -> None:
        """Write until *finished*; sets *stop* when nothing can be written any more."""
        with ExitStack() as files:
            try:
                while not await stopped_within(finished, WRITE_EVERY_S):
                    await self._flush(files)
                await self._flush(files)
            except OSError as exc:
                reason = exc.strerror or str(exc)
                self._failure = FatalError(f"cannot record to {self._folder}: {reason}")
                stop.set()

    def check(self) -> None:
        """Say what went wrong.

        Raises:
            FatalError: the recording is not whole.
        """
        if self._failure is not None:
            raise self._failure

    async def _flush(self, files: ExitStack) -> None:
        if self._waiting_bytes > MOST_WAITING_BYTES:
            raise OSError("the disk is slower than the venues")
        waiting, self._waiting, self._waiting_bytes = self._waiting, {}, 0
        if waiting:
            await asyncio.to_thread(self._write, waiting, files)

    def _write(self, waiting: dict[str, list[bytes]], files: ExitStack) -> None:
        for venue, lines in waiting.items():
            file = self._files.get(venue)
            if file is None:
                file = gzip.GzipFile(self.path(venue), "wb", compresslevel=_LEVEL)
                self._files[venue] = files.enter_context(file)
            file.write(b"\n".join(lines) + b"\n")
            file.flush()  # a recording that is killed can be read up to here

    def summary(self) -> Iterator[str]:
        """Yield a line for each file."""
        for venue, count in sorted(self.frames.items()):
            yield (
                f"{self.path(venue)}: {count:,} frames of {self.connections[venue]} connections, "
                f"{self.path(venue).stat().st_size:,} bytes"
            )
