"""What the project's documents show: fenced blocks, and commands within the text.

Before a block may stand `<!-- test: … -->` with words of `MARKS`, which say what a reader knows
from the text around it:

    <!-- test: inside -->             a Python block goes on inside the last block of the one before
    <!-- test: prints -->             what a `print` says in the comment behind it is what it prints
    <!-- test: output -->             the output of the `sh` block before; figures may differ
    <!-- test: file=my.toml -->       a file that later commands of the document read
    <!-- test: add="--once -v" -->    more arguments for each command of the block
    <!-- test: skip="why" -->         not run, for this reason
"""

import re
import shlex
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATTERNS = ("*.md", "docs/**/*.md", "examples/**/*.md", "arbees_feed/**/*.md", "benchmarks/*.md")
MARKS = frozenset({"inside", "prints", "output", "file", "add", "skip"})
COMMANDS = (
    "arbees-feed", "redis-cli", "make", "docker", "docker-compose", "python", "python3", "pip",
    "curl", "ssh", "node", "npm", "go", "promtool",
)  # fmt: skip

FENCE = re.compile(
    r"(?:^[ ]*<!-- test: (?P<marks>[^\n]*?) -->\n+)?"
    r"^(?P<indent>[ ]*)```(?P<language>[^\n`]*)\n(?P<text>.*?)^[ ]*```[ ]*$",
    re.MULTILINE | re.DOTALL,
)
_SPAN = re.compile(r"(?<!`)`([^`\n]+(?:\n[^`\n]+)?)`(?!`)")
_BEGINS_LIKE_A_COMMAND = re.compile(rf"(?:\$ )?(?:[A-Z_]+=\S+ )*(?:{'|'.join(COMMANDS)}) \S")


@dataclass(frozen=True)
class Block:
    """A fenced block, and where it stands."""

    document: str
    number: int
    line: int
    language: str
    marks: dict[str, str]
    text: str

    @property
    def name(self) -> str:
        """Its place, as editors and test runners write it."""
        return f"{self.document}:{self.line}"


def documents() -> list[Path]:
    """Return every document of the project; nothing that was built, installed or is hidden."""
    found = {path for pattern in PATTERNS for path in ROOT.glob(pattern)}
    return sorted(path for path in found if "node_modules" not in path.parts)


def blocks_of(path: Path) -> list[Block]:
    """Return the fenced blocks of a document, in order."""
    text = path.read_text()
    name = path.relative_to(ROOT).as_posix()
    return [
        Block(
            name,
            number,
            text.count("\n", 0, found.start("language")) + 1,
            found["language"].strip(),
            marks_of(found["marks"] or ""),
            textwrap.dedent(found["text"]),
        )
        for number, found in enumerate(FENCE.finditer(text))
    ]


def marks_of(text: str) -> dict[str, str]:
    """Read the words of a mark: `skip="no network" inside`."""
    pairs = (word.partition("=") for word in shlex.split(text))
    return {key: value for key, _, value in pairs}


def all_blocks() -> list[Block]:
    """Return the blocks of all documents."""
    return [block for path in documents() for block in blocks_of(path)]


def commands_in_text(path: Path) -> list[tuple[int, str]]:
    """Return commands that stand as code within the text, with their lines; fences left out."""
    text = FENCE.sub(lambda found: "\n" * found[0].count("\n"), path.read_text())
    return [
        (text.count("\n", 0, found.start()) + 1, command)
        for found in _SPAN.finditer(text)
        if _BEGINS_LIKE_A_COMMAND.match(command := " ".join(found[1].split()))
    ]


def lines_like_commands(text: str) -> list[str]:
    """Return lines of a block that somebody would paste into a shell."""
    return [line for line in text.splitlines() if _BEGINS_LIKE_A_COMMAND.match(line)]


def shell_lines(text: str) -> list[str]:
    """Return the commands of a block: comments left out, continued lines joined."""
    lines = text.replace("\\\n", " ").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]
