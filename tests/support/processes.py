"""Commands as people run them: processes of their own, and what they leave behind."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from arbees_feed.config.environment import without_settings

COMMAND = [sys.executable, "-m", "arbees_feed"]
Run = Callable[..., subprocess.CompletedProcess[str]]


@dataclass(frozen=True)
class Feed:
    """A running feed with an embedded server, and the settings of its venues."""

    redis_url: str
    venues: dict[str, str]

    @property
    def here(self) -> list[str]:
        """The options of a command that reads from this feed."""
        return ["--set", f"redis.url={self.redis_url}"]

    def client(self) -> Any:
        """Return a Redis client."""
        return redis.Redis.from_url(self.redis_url)


def run_command(
    *arguments: str, env: dict[str, str] | None = None, timeout: float = 45.0
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        env={**without_settings(), **(env or {})},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


@contextmanager
def process(
    *arguments: str, env: dict[str, str] | None = None, **options: Any
) -> Iterator[subprocess.Popen[str]]:
    """Run a command in the background; it is stopped at the end of the block."""
    running = subprocess.Popen(
        [*COMMAND, *arguments],
        env={**without_settings(), **(env or {})},
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )
    try:
        yield running
    finally:
        if running.poll() is None:
            running.terminate()
        try:
            running.wait(timeout=40)
        finally:
            running.kill()
            if running.stdout:
                running.stdout.close()
            if running.stderr:
                running.stderr.close()


def first_lines(running: subprocess.Popen[str], count: int) -> list[str]:
    """Return the first lines that a process prints."""
    assert running.stdout is not None
    return [running.stdout.readline().strip() for _ in range(count)]


@contextmanager
def running_venues(folder: Path) -> Iterator[dict[str, str]]:
    """Serve simulated venues; yield the settings that lead to them."""
    key = f"--key-file={folder / 'kalshi.pem'}"
    with process("sim", "--kalshi-port=0", "--polymarket-port=0", "--rate=300", key) as sim:
        yield dict(line.split("=", 1) for line in first_lines(sim, 7))


def wait_for(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait until *condition* holds; processes give no event to wait for."""
    deadline_s = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline_s, "it did not come to pass"
        time.sleep(0.05)


class Mark:
    """An environment by which descendants of a process, and the files they leave, are found."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {"CLI_TEST_MARK": uuid.uuid4().hex, "TMPDIR": str(folder)}

    def processes(self) -> dict[int, str]:
        """Return the command lines of living processes with the mark."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if self._is_marked(folder):
                    line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    found[int(folder.name)] = line
            except OSError:
                continue
        return {pid: line for pid, line in found.items() if line}

    def _is_marked(self, process: Path) -> bool:
        wanted = f"CLI_TEST_MARK={self.env['CLI_TEST_MARK']}".encode()
        if wanted in (process / "environ").read_bytes():
            return True
        # Valkey writes its title over its environment, but runs in a temporary folder.
        return str((process / "cwd").readlink()).startswith(str(self.folder))

    def left(self) -> list[object]:
        """Return what is left: processes, and files."""
        return [*self.processes().values(), *self.folder.iterdir()]

    def kill(self) -> None:
        """End what should not be there any more."""
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
