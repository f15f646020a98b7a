"""Every block and every command of the documents is run, or checked as far as it can be here.

`support.documents` says what a mark before a block means, `support.pasting` what stands in.
"""

import asyncio
import json
import re
import shutil
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.command_lines import problem_with, problem_with_module, problem_with_program
from support.documents import (
    MARKS,
    ROOT,
    Block,
    all_blocks,
    blocks_of,
    commands_in_text,
    documents,
    lines_like_commands,
    shell_lines,
)
from support.pasting import PATIENCE_S, Place

from arbees_feed.config import load_settings

ENOUGH_LINES = 8
SHOWN_URL = "redis://127.0.0.1:"
BLOCKS = all_blocks()
COMMANDS = [
    pytest.param(command, id=f"{path.relative_to(ROOT)}:{line}")
    for path in documents()
    for line, command in commands_in_text(path)
]
WITHOUT_RUNNING = {"toml", "json", "yaml", "text", ""}
"""Languages of blocks that are read, not run."""

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]


def of(*languages: str) -> list[Any]:
    """Return the blocks in these languages; those that are not run are told with the reason."""
    return [
        pytest.param(block, id=block.name, marks=not_run(block))
        for block in BLOCKS
        if block.language in languages
    ]


def not_run(block: Block) -> list[pytest.MarkDecorator]:
    reason = block.marks.get("skip")
    return [] if reason is None else [pytest.mark.skip(reason=reason)]


def before(block: Block) -> list[Block]:
    """Return the blocks of the same document that stand before this one."""
    return blocks_of(ROOT / block.document)[: block.number]


# --- what there may be ---


async def test_no_block_is_of_an_unknown_language() -> None:
    known = {"python", "sh", *WITHOUT_RUNNING, *RUNNERS}
    assert [block.name for block in BLOCKS if block.language not in known] == []


async def test_no_command_hides_in_a_block_that_is_not_run() -> None:
    hidden = {
        block.name: lines_like_commands(block.text)
        for block in BLOCKS
        if block.language in WITHOUT_RUNNING
    }
    assert {name: lines for name, lines in hidden.items() if lines} == {}


async def test_marks_are_known_and_what_is_not_run_says_why() -> None:
    assert {mark for block in BLOCKS for mark in block.marks} <= MARKS
    reasons = [block.marks["skip"] for block in BLOCKS if "skip" in block.marks]
    assert all(len(reason.split()) > 2 for reason in reasons), "a reason has more words"
    assert len(reasons) <= 2, "what is shown is run"


# --- programs ---


def program_of(block: Block) -> str:
    """Return the whole program that a block is a part of."""
    if "inside" not in block.marks:
        return block.text
    outer = next(found for found in reversed(before(block)) if found.language == "python")
    *_, last = (line for line in outer.text.splitlines() if line.strip())
    indent = last[: len(last) - len(last.lstrip())]
    return f"{program_of(outer)}\n{textwrap.indent(block.text, indent)}"


@pytest.mark.parametrize("block", of("python"))
async def test_python(place: Place, block: Block) -> None:
    path = place.folder / "snippet.py"
    path.write_text(place.here(program_of(block)))
    runner = str(ROOT / "tests" / "support" / "snippet.py")
    lines = await lines_of([sys.executable, "-u", runner, str(path)], place)
    if SHOWN_URL in block.text:
        assert any("live" in line for line in lines), lines
    if "prints" in block.marks:
        promised = re.findall(r"^\s*print\(.*\)  # (.+)$", block.text, re.MULTILINE)
        assert lines == promised


async def lines_of(command: list[str], place: Place) -> list[str]:
    """Run a program until it ends, or has printed enough; return what it printed.

    A program that fails, or says anything on stderr, fails the test.
    """
    process = await asyncio.create_subprocess_exec(
        *command, cwd=place.folder, env=place.environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    lines: list[str] = []
    try:
        async with asyncio.timeout(PATIENCE_S):
            async for line in process.stdout:
                lines.append(line.decode().rstrip("\n"))
                if len(lines) == ENOUGH_LINES:
                    break
            else:
                await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
        _, said = await process.communicate()
    assert process.returncode == 0 or len(lines) == ENOUGH_LINES, said.decode()
    assert said.decode() == ""
    return lines


# --- commands ---


@pytest.mark.parametrize("block", of("sh"))
async def test_commands(place: Place, block: Block) -> None:
    await prepare(place, block)
    printed = []
    for line in shell_lines(block.text):
        missing = [tool for tool in ("jq", "curl", "node") if re.search(rf"(^|\| ){tool} ", line)]
        missing = [tool for tool in missing if shutil.which(tool) is None]
        if missing:
            pytest.skip(f"{missing[0]} is not installed: {line}")
        done = await place.paste(f"{line} {block.marks.get('add', '')}".strip())
        assert done.code == 0, f"{line}: {done.printed}"
        assert done.printed.strip() or not line.startswith("redis-cli"), f"{line} finds nothing"
        printed.append(done.printed)
    shown = blocks_of(ROOT / block.document)[block.number + 1 :][:1]
    if shown and "output" in shown[0].marks:
        compare(shown[0].text, "\n".join(printed))


async def prepare(place: Place, block: Block) -> None:
    """Bring about what blocks before this one have left: files, folder and variables."""
    for earlier in before(block):
        if "file" in earlier.marks:
            (place.folder / earlier.marks["file"]).write_text(place.here(earlier.text))
        if earlier.language == "sh":
            for line in shell_lines(earlier.text):
                if re.fullmatch(r"[A-Z_]+=\$\(.*\)", line):
                    await place.paste(line)


def compare(shown: str, printed: str) -> None:
    """Check that each line that is shown was printed, but for figures, ids and spaces."""
    there = {shape(line) for line in printed.splitlines()}
    missing = [line for line in shown.splitlines() if line != "…" and shape(line) not in there]
    assert missing == [], printed


def shape(line: str) -> str:
    """Return a line without what differs from run to run."""
    return re.sub(r"[\d.,:]*\d", "0", " ".join(line.split()))


@pytest.mark.parametrize("command", COMMANDS)
async def test_commands_in_the_text(place: Place, command: str) -> None:
    """Questions are asked; the rest is looked at, since the text says when to do it."""
    for placeholder, real in placeholders(place).items():
        command = re.sub(placeholder, real, command)
    command = place.here(re.sub(r"^(?:[A-Z_]+=\S+ )*", "", command))
    words = command.split()
    asks = words[0] == "curl" and "http" in command and shutil.which("curl")
    if words[0] == "redis-cli" or asks:
        done = await place.paste(command)
        assert done.code == 0, done.printed
        return
    if words[0] == "arbees-feed":
        problem: str | None = problem_with_program(words[1:])
    elif words[:2] == ["python", "-m"]:
        problem = problem_with_module(words[2])
    elif words[0] == "python" and not words[1].startswith("benchmarks/"):
        problem = "" if (ROOT / words[1]).is_file() else f"no script {words[1]}"
    else:
        problem = problem_with(command)
    assert not problem


def placeholders(place: Place) -> dict[str, str]:
    """Return what stands for the names in capitals and brackets of the text."""
    return {
        r"<venue>": "kalshi",
        r"\bMARKET\b": place.environment["A_MARKET"],
        r"\bFILE\b": str(place.folder / "my.toml"),
        r"\bNAME\b": "freeze",
        r"\[URL\]": "",
    }


# --- data ---


def read_settings(text: str, folder: Path) -> None:
    (folder / "shown.toml").write_text(text)
    load_settings(folder / "shown.toml", {}, environ={}, venue_needed=False)


RUNNERS: dict[str, Callable[[str, Path], object]] = {
    "toml": read_settings,
    "json": lambda text, _: json.loads(text),
    "yaml": lambda text, _: yaml.safe_load(text),
}


@pytest.mark.parametrize("block", of(*RUNNERS))
async def test_data_can_be_read(block: Block, tmp_path: Path) -> None:
    RUNNERS[block.language](block.text, tmp_path)
