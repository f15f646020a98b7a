"""Is one commit faster than another? Both daemons, the same harness, in turns.

    python benchmarks/compare.py REV_A REV_B [--only cpu] [--turns 4] [--rounds 3]

Each revision is checked out into a temporary folder (a git worktree); `.` is the source as it
lies here. The harness is that of this file, so it may be newer than both. A figure is the median
of the turns, its range is what noise does. Ranges of four turns each that do not overlap come about
by chance in 3 of 100 cases; a ratio whose ranges overlap, or of fewer turns, proves nothing, and
says so. Exit 1 if a measurement fails.
"""

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from loopback import report
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
HERE = "."
ENOUGH = 4
"""Turns of which the ranges tell a difference from noise."""

Key = tuple[str, str, str]
"""(section, what, name of the value)"""
Figures = Mapping[Key, Sequence[float]]


@contextlib.contextmanager
def checked_out(revision: str, folder: Path) -> Iterator[Path]:
    """Yield the folder of a revision's source."""
    if revision == HERE:
        yield ROOT
        return
    _git("worktree", "add", "--quiet", "--detach", str(folder), revision)
    try:
        _compile(folder)
        yield folder
    finally:
        _git("worktree", "remove", "--force", str(folder))


def _compile(folder: Path) -> None:
    """Build what a revision has in C, beside its sources; without a compiler it goes without."""
    command = [sys.executable, "-c", "import setuptools; setuptools.setup()"]
    command += ["--quiet", "build_ext", "--inplace"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"building {folder} failed: {done.stderr.strip()}")


def _git(*arguments: str) -> str:
    """Run git in this repository.

    Raises:
        SystemExit: git has refused; the message is its own.
    """
    done = subprocess.run(
        ["git", "-C", str(ROOT), *arguments],  # noqa: S607 - whatever git the developer has
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr.strip())
    return done.stdout.strip()


def measure(tree: Path, only: str, rounds: int) -> dict[Key, float]:
    """Run the harness once on a source tree and return its figures.

    Raises:
        SystemExit: it left no figures.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speed.json"
        command = [sys.executable, str(ROOT / "benchmarks" / "speed.py"), f"--rounds={rounds}"]
        command += [f"--tree={tree}", f"--json={path}"] + ([f"--only={only}"] if only else [])
        # A goal that is missed is no failure here, so the exit code is not asked.
        done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
        if not path.exists():
            raise SystemExit(f"measuring {tree} failed with exit code {done.returncode}")
        told = json.loads(path.read_text())
    return {
        (row["section"], row["what"], name): value
        for row in told["results"]
        for name, value in row["values"].items()
    }


def gathered(turns: Sequence[Mapping[Key, float]]) -> Figures:
    """Return each figure's values over all turns."""
    found: dict[Key, list[float]] = defaultdict(list)
    for turn in turns:
        for key, value in turn.items():
            found[key].append(value)
    return found


def compared(before: Figures, after: Figures) -> list[dict[str, Any]]:
    """Return a row for each figure that both have, in the order of the harness."""
    rows = []
    for key in (key for key in before if key in after):
        old, new = before[key], after[key]
        apart = max(old) < min(new) or max(new) < min(old)
        few = min(len(old), len(new)) < ENOUGH
        ratio = median(new) / median(old) if median(old) else float("nan")
        section, what, name = key
        rows.append(
            {
                "section": section,
                "what": what,
                "value": name,
                "before": list(old),
                "after": list(new),
                "ratio": ratio,
                "remark": "few turns" if few else "" if apart else "within noise",
            }
        )
    return rows


def show(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> None:
    """Print the table of ratios."""
    table = Table("section", "what", "value", *names, "ratio", "", title="In turns, medians")
    for row in rows:
        table.add_row(
            row["section"],
            row["what"],
            row["value"],
            _range(row["before"]),
            _range(row["after"]),
            f"{row['ratio']:.3f}",
            row["remark"],
        )
    Console(width=None if sys.stdout.isatty() else 170).print(table)


def _range(values: Sequence[float]) -> str:
    return f"{median(values):,.3f} ({min(values):,.3f} to {max(values):,.3f})"


def main() -> int:
    """Compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("before", metavar="REV_A")
    parser.add_argument("after", metavar="REV_B")
    parser.add_argument("--only", default="", help="sections of speed.py, with commas")
    parser.add_argument("--turns", type=int, default=ENOUGH)
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each section in a turn")
    parser.add_argument("--json", type=Path, default=report.RESULTS / "compare.json")
    arguments = parser.parse_args()
    revisions = (arguments.before, arguments.after)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        trees = [
            stack.enter_context(checked_out(revision, folder / side))
            for revision, side in zip(revisions, ("a", "b"), strict=True)
        ]
        turns: list[list[Mapping[Key, float]]] = [[], []]
        for number in range(arguments.turns):
            # The other one first in every second turn: a machine that slows down favours nobody.
            for side in (0, 1) if number % 2 == 0 else (1, 0):
                told = measure(trees[side], arguments.only, arguments.rounds)
                turns[side].append(told)
    rows = compared(*(gathered(side) for side in turns))
    show(rows, revisions)
    report.save({"machine": report.machine(), "revisions": revisions, "rows": rows}, arguments.json)
    return int(not rows)


if __name__ == "__main__":
    sys.exit(main())
