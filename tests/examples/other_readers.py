"""The readers of examples/readers as processes, and what they print."""

import asyncio
import itertools
import json
import re
import shutil
import subprocess
import sys
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "readers"
FIELDS = ["market_id", "status", "yes_bid", "yes_ask", "session", "seq"]

Line = dict[str, Any]


@dataclass(frozen=True)
class Language:
    """A reader in one language: how it is run, and what it needs on this machine."""

    name: str
    tool: str
    program: Path
    needs: Path | None = None
    install: str = ""

    def missing(self) -> str:
        """Return what this machine lacks, and the command that brings it; empty if nothing."""
        if shutil.which(self.tool) is None:
            return f"{Path(self.tool).name} is not installed"
        if self.needs is not None and not self.needs.exists():
            return f"{self.needs.relative_to(ROOT)} is not there: run `{self.install}`"
        return ""


LANGUAGES = [
    Language("python", sys.executable, FOLDER / "python" / "read_prices.py"),
    Language(
        "node",
        "node",
        FOLDER / "node" / "read_prices.js",
        needs=FOLDER / "node" / "node_modules" / "redis",
        install="npm ci --prefix examples/readers/node",
    ),
]


class Running:
    """A reader that runs: the prices it has printed, and what it has said."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.lines: list[Line] = []
        self.notes: list[str] = []
        self.newest: dict[str, Line] = {}
        self._changed = asyncio.Event()

    async def read_lines(self) -> None:
        """Keep each price that is printed."""
        assert self.process.stdout is not None
        async for text in self.process.stdout:
            line = json.loads(text)
            self.lines.append(line)
            self.newest[line["market_id"]] = line
            self._changed.set()

    async def read_notes(self) -> None:
        """Keep what is said of the connection."""
        assert self.process.stderr is not None
        async for text in self.process.stderr:
            self.notes.append(text.decode().rstrip())
            self._changed.set()

    async def until(self, condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
        """Return once *condition* holds, looked at whenever something is printed."""
        try:
            async with asyncio.timeout(timeout_s):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            told = [*Counter(self.statuses()).items(), *self.notes[-10:]]
            raise AssertionError(f"not in {timeout_s:g} s: {self.joins()} joins, {told}") from None

    def statuses(self) -> list[str]:
        """Return the status that each market has now."""
        return [line["status"] for line in self.newest.values()]

    def joins(self) -> int:
        """Return how often it has joined."""
        return self.notes.count("joined")

    def lost(self) -> int:
        """Return how many prices it says that it has lost."""
        return sum(int(n) for note in self.notes for n in re.findall(r"^lost (\d+)$", note))

    def of(self, market: str) -> list[Line]:
        """Return what was printed of a market."""
        return [line for line in self.lines if line["market_id"] == market]

    def holes(self) -> int:
        """Return how many seqs are missing between the prices of each market. None steps back."""
        missing = 0
        for market in self.newest:
            lines = self.of(market)
            for before, after in itertools.pairwise(lines):
                if after["session"] == before["session"]:
                    assert after["seq"] >= before["seq"], (before, after)
                    missing += max(0, after["seq"] - before["seq"] - 1)
                else:
                    assert int(after["session"]) > int(before["session"])
        return missing


@asynccontextmanager
async def reader(language: Language, url: str, *markets: str) -> AsyncIterator[Running]:
    """Run a reader while the block runs."""
    process = await asyncio.create_subprocess_exec(
        language.tool, str(language.program), "--url", url, *markets,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    running = Running(process)
    async with asyncio.TaskGroup() as group:
        group.create_task(running.read_lines())
        group.create_task(running.read_notes())
        try:
            yield running
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
