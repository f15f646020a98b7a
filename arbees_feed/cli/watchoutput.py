"""Lines on stdout that never hold up whoever reads prices, however slowly they are taken.

What a pipe takes at once is written at once. When it is full, a thread waits for it: the reader
goes on hearing heartbeats, conflating or counting what it has to give up.
"""

import asyncio
import os
import queue
import select
import threading
from collections.abc import Iterable
from typing import Final, TextIO

from arbees_feed.cli.output import ReaderGone
from arbees_feed.core.text import escaped

AT_ONCE: Final = 4096
"""A pipe that takes anything takes so many bytes (PIPE_BUF)."""

TAB: Final = "\t"

_Written = asyncio.Future[None]


class Output:
    """Writes lines to *stdout*, in order."""

    def __init__(self, stdout: TextIO) -> None:
        self._fd = stdout.fileno()
        self._encoding = stdout.encoding or "utf-8"
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLOUT)
        self._loop = asyncio.get_running_loop()
        self._work: queue.SimpleQueue[tuple[bytes, _Written]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    async def write(self, lines: Iterable[str]) -> None:
        """Write lines; returns when they were taken.

        Characters that cannot be seen are written out: they must not act on a terminal.

        Raises:
            ReaderGone: nobody reads.
        """
        text = "".join(f"{escaped(line, keep=TAB)}\n" for line in lines)
        data = text.encode(self._encoding, errors="backslashreplace")
        try:
            if len(data) <= AT_ONCE and self._poll.poll(0):
                _write_all(self._fd, data)
            else:
                await self._write_in_thread(data)
        except OSError:
            raise ReaderGone from None

    async def _write_in_thread(self, data: bytes) -> None:
        if self._thread is None:
            # Not one of the loop's own: the end of the program would wait for those.
            self._thread = threading.Thread(target=self._run, name="stdout", daemon=True)
            self._thread.start()
        written: _Written = self._loop.create_future()
        self._work.put((data, written))
        await written

    def _run(self) -> None:
        while True:
            data, written = self._work.get()
            error: OSError | None = None
            try:
                _write_all(self._fd, data)
            except OSError as exc:
                error = exc
            try:
                self._loop.call_soon_threadsafe(_settle, written, error)
            except RuntimeError:
                return  # the loop has ended meanwhile


def _settle(written: _Written, error: OSError | None) -> None:
    if written.done():
        return
    if error is None:
        written.set_result(None)
    else:
        written.set_exception(error)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
