"""Processes of ours that a command needs: started, watched, and gone when the command is.

Each has a session of its own, so that Ctrl-C in a terminal reaches the command alone and it can
stop them in order; whatever they started themselves is in the same process group.
"""

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NoReturn

from arbees_feed.errors import FatalError

START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 8.0
_OURS = "arbees-feed: "


class Child:
    """A running child process."""

    def __init__(self, title: str, process: Process, log: Path) -> None:
        self.title = title
        self.pid = process.pid
        self._process = process
        self._log = log

    async def lines(self, count: int) -> list[str]:
        """Return the first *count* lines that it prints.

        Raises:
            FatalError: it ended before, or takes too long.
        """
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        lines = []
        try:
            async with asyncio.timeout(START_TIMEOUT_S):
                for _ in range(count):
                    line = await self._process.stdout.readline()
                    if not line:
                        await self.ended()
                    lines.append(line.decode().strip())
        except TimeoutError:
            raise FatalError(f"{self.title} did not start in {START_TIMEOUT_S:g} s") from None
        return lines

    async def ended(self) -> NoReturn:
        """Wait for its end, which nobody asked for.

        Raises:
            FatalError: when it has ended; the message has its last words.
        """
        code = await self._process.wait()
        raise FatalError(f"{self.title} ended: {self._last_words() or _exit_text(code)}")

    def _last_words(self) -> str:
        try:
            lines = self._log.read_text(errors="replace").splitlines()
        except OSError:
            return ""
        words = [line for line in lines if line.strip()]
        said = [line for line in words if line.startswith(_OURS)] or words
        return said[-1].removeprefix(_OURS) if said else ""

    async def stop(self) -> None:
        """Ask it to stop by closing its standard input, and make sure of it after a while."""
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        self._process.stdin.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await self._process.wait()

    def kill(self) -> None:
        """End it and everything that it started, now; nothing happens if all are gone."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)


def _exit_text(code: int) -> str:
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"


@asynccontextmanager
async def child(
    title: str, arguments: Sequence[str], environment: Mapping[str, str], log: Path
) -> AsyncIterator[Child]:
    """Run a command of ours as a child process while the block runs.

    What it says on stderr goes to the file *log*.
    """
    with log.open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "arbees_feed.cli.child",
            *arguments,
            stdin=PIPE,
            stdout=PIPE,
            stderr=stderr,
            env=dict(environment),
            start_new_session=True,
        )
    running = Child(title, process, log)
    try:
        yield running
    except asyncio.CancelledError:
        running.kill()  # the second signal: no time for a stop in order
        raise
    finally:
        await running.stop()
        running.kill()
        with contextlib.suppress(ProcessLookupError):
            await process.wait()
