"""Commands of documents as somebody pastes them, line by line, in a folder like the project's.

They run for real: against a feed on simulated venues, its Redis, and a second Redis for what feeds.
Stand-ins are few: `redis-cli` is one that is always there, addresses and ids shown in documents
become those of the test, and what a test can't do (containers, other machines, hours of measuring)
is checked as far as it can be without doing it (`support.command_lines`).
"""

import asyncio
import os
import re
import shlex
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from support import redis_cli
from support.command_lines import problem_with
from support.documents import ROOT

PATIENCE_S = 90.0
LINKED = ("Makefile", "arbees_feed", "benchmarks", "config", "docs", "pyproject.toml", "tests")
WRITTEN_TO = ("examples",)
"""Folders that commands are run in."""
GOES_ON = {
    r"arbees-feed run\b": r'live"|\blive\b',
    r"arbees-feed match run\b": r"cross_pairs",
    r"arbees-feed sim\b": r"ws://",
    r"arbees-feed (demo|watch|top)\b(?!.*--(once|seconds|count|help))": r"live",
    r"arbees-feed record\b": r".",
    r"redis-cli .*SUBSCRIBE\b": r'"p?message"|^p?message$',
    r"redis-cli .*MONITOR\b": r"^OK$",
    r"redis-cli .*--latency": r".",
    r"python -m game_shard games": r"started|waiting",
    r"(python|node|go run) \w*\.(py|js|mjs|go)\b": r"live",
}
"""Commands that go on until Ctrl-C, and what they have printed by the time it is pressed."""
ENDED_BY_CTRL_C = frozenset({0, 130, -signal.SIGINT})

_ASSIGNMENT = re.compile(r"([A-Z_]+)=\$\(.*\)")


@dataclass(frozen=True)
class Done:
    """What became of a line."""

    code: int
    printed: str


@dataclass
class Place:
    """A folder like the project's, with what documents speak of in it, and a shell."""

    folder: Path
    environment: dict[str, str]
    shown: Mapping[str, str] = field(default_factory=dict)
    """What stands in documents in place of what is known here only: text to text."""

    async def paste(self, line: str) -> Done:
        """Run a line of a document.

        Raises:
            AssertionError: the line is wrong, or did not come to an end or to what it promises.
        """
        line = self.here(line)
        # Examples are packages beside each other, and their documents say to start from there.
        package = re.match(r"python -m (\w+)", line)
        is_example = package is not None and (ROOT / "examples" / package[1]).is_dir()
        inside = "examples" if is_example else "."
        if (problem := problem_with(line)) is not None:
            return Done(1 if problem else 0, problem)
        assignment = _ASSIGNMENT.fullmatch(line)
        if assignment:
            done = await self._run(f'{line}; printf "%s" "${assignment[1]}"', None, inside)
            self.environment[assignment[1]] = done.printed
            return done
        ready = next((told for form, told in GOES_ON.items() if re.search(form, line)), None)
        return await self._run(line, ready, inside)

    def here(self, text: str) -> str:
        """Return *text* with what documents show in place of what is real here."""
        for shown, real in self.shown.items():
            text = text.replace(shown, real)
        return text

    async def _run(self, line: str, ready: str | None, inside: str) -> Done:
        process = await asyncio.create_subprocess_exec(
            "bash", "-c", f"set -o pipefail; {line}",
            cwd=self.folder / inside, env=self.environment, start_new_session=True,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said: list[str] = []
        try:
            async with asyncio.timeout(PATIENCE_S):
                code = await self._read(process, said, ready)
        except TimeoutError:
            raise AssertionError(f"{line}: goes on after {''.join(said)[-2000:]}") from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.communicate()
        return Done(0 if ready and code in ENDED_BY_CTRL_C else code, "".join(said))

    async def _read(
        self, process: asyncio.subprocess.Process, said: list[str], ready: str | None
    ) -> int:
        """Keep what is printed; press Ctrl-C once it is what was waited for."""
        assert process.stdout is not None
        async for line in process.stdout:
            said.append(line.decode(errors="replace"))
            if ready and re.search(ready, said[-1]):
                ready = None
                os.killpg(process.pid, signal.SIGINT)
        assert not ready, f"ended before it had printed {ready}: {''.join(said)[-2000:]}"
        return await process.wait()


def furnish(folder: Path, redis_port: int) -> dict[str, str]:
    """Make a folder like the project's with the commands of documents on its PATH.

    Return the environment of a shell there. Nothing that is written there reaches the project.
    """
    for name in LINKED:
        (folder / name).symlink_to(ROOT / name)
    for name in WRITTEN_TO:
        (folder / name).mkdir()
        for path in (ROOT / name).iterdir():
            (folder / name / path.name).symlink_to(path)
    commands = folder / ".commands"
    commands.mkdir()
    stand_in = redis_cli.install(commands).rename(commands / "stand-in")
    # An error reply ends a line here, so that no document can show a refused command.
    _script(commands / "redis-cli", f'exec {shlex.quote(str(stand_in))} -e -p {redis_port} "$@"')
    _script(commands / "python", f'exec {shlex.quote(sys.executable)} "$@"')
    # What feeds gets a Redis of its own: the one that is read from has its feed.
    second = 'export ARBEES_REDIS__URL="$SECOND_REDIS" ARBEES_HTTP__PORT=0'
    feeding = f'case "$1" in run|record|check) {second};; esac'
    program = f'exec {shlex.quote(sys.executable)} -m arbees_feed "$@"'
    _script(commands / "arbees-feed", f"{feeding}\n{program}")
    return {**os.environ, "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}"}


def _script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
