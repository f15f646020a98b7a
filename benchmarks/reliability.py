"""The tables of docs/reliability.md, made anew from the tests that measure them.

    python benchmarks/reliability.py [--workers 2] [--log FILE]

Runs the tests of faults and storms (about ten minutes; recordings only with ARBEES_CORPUS set),
which write down what they measure, and puts the figures between the markers of the document.
With `--log`, the rows of an earlier run are shown instead. A table without rows stays as it is.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "reliability.md"
RECORDER = "support.reliability"
UNITS = {"s": "s", "ms": "ms", "mb": "MB", "pct": "%"}

Row = Mapping[str, Any]


def tests() -> list[str]:
    """Return the test files that record figures, by themselves or through what they import."""
    modules = {
        f"support.{path.stem}"
        for path in (ROOT / "tests" / "support").glob("*.py")
        if RECORDER in path.read_text()
    } | {RECORDER}
    found = [
        path
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        if any(re.search(rf"from {module} import", path.read_text()) for module in modules)
    ]
    return [str(path.relative_to(ROOT)) for path in found]


def run(log: Path, workers: int) -> int:
    """Run them; return pytest's exit code."""
    command = [sys.executable, "-m", "pytest", "-q", "-m", "", "-n", str(workers)]
    environ = os.environ | {"FEED_RELIABILITY_LOG": str(log)}
    return subprocess.run([*command, *tests()], cwd=ROOT, env=environ, check=False).returncode


def read(log: Path) -> dict[str, list[Row]]:
    """Return the rows of each table, sorted by their first two columns."""
    tables: dict[str, list[Row]] = defaultdict(list)
    for line in log.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        tables[row.pop("table")].append(row)
    for rows in tables.values():
        rows.sort(key=lambda row: [str(value) for value in list(row.values())[:2]])
    return tables


def heading(key: str) -> str:
    """Return a column's title: `recovery_s` is "recovery, s"."""
    name, _, unit = key.rpartition("_")
    words = f"{name}, {UNITS[unit]}" if name and unit in UNITS else key
    return words.replace("_", " ")


def cell(value: object) -> str:
    """Return a value as it is read."""
    if value is None or value == "":
        return ""
    return f"{value:,}".replace(",", " ") if isinstance(value, int) else str(value)


def table(rows: Sequence[Row]) -> str:
    """Return rows as Markdown; a column is there if any row has it."""
    keys = list(dict.fromkeys(key for row in rows for key in row))
    lines = [[heading(key) for key in keys], ["---"] * len(keys)]
    lines += [[cell(row.get(key)) for key in keys] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def processor(lines: Iterable[str]) -> str:
    """Return the name of the processor, as Linux tells it."""
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def measured() -> str:
    """Say when and on what the figures were measured."""
    told = Path("/proc/cpuinfo")
    name = processor(told.read_text().splitlines() if told.exists() else [])
    return (
        f"Measured on {datetime.now(UTC):%Y-%m-%d} on {os.cpu_count()} cores ({name}), "
        f"{platform.system()},\nPython {platform.python_version()}; venues, Redis, feed and judge "
        "shared them."
    )


def put(text: str, name: str, content: str) -> str:
    """Put content between the markers of *name*.

    Raises:
        LookupError: the document has no such markers.
    """
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    if not pattern.search(text):
        raise LookupError(f"{DOCUMENT.name} has no markers for {name!r}")
    return pattern.sub(lambda found: f"{found[1]}{content}\n{found[2]}", text)


def main() -> int:
    """Measure, and write the document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--log", type=Path, help="rows of an earlier run")
    arguments = parser.parse_args()
    code = 0
    with tempfile.TemporaryDirectory() as folder:
        log = arguments.log or Path(folder) / "rows.jsonl"
        if arguments.log is None:
            code = run(log, arguments.workers)
        tables = read(log)
    text = DOCUMENT.read_text(encoding="utf-8")
    for name, rows in tables.items():
        text = put(text, name, table(rows))
    DOCUMENT.write_text(put(text, "measured", measured()), encoding="utf-8")
    for name, rows in tables.items():
        print(f"{name}: {len(rows)} rows")
    return code


if __name__ == "__main__":
    sys.exit(main())
