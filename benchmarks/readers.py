"""What the reader promises, shown: against the daemon, real servers and real faults, on loopback.

    python benchmarks/readers.py [--only join,kills,...] [--quick] [--json FILE] [--write-docs]

What was published is noted by a subscriber of its own, which uses redis-py and msgpack only; what
readers hand over is compared with it byte for byte. Exit 1 if a promise is broken. `--quick` does
less of everything, in seconds a section.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from loopback import dying, joining, losing, report, slow, throughput
from loopback.report import Row
from loopback.scene import Options
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

SECTIONS: Mapping[str, Callable[[Options], Sequence[Row]]] = {
    "join": joining.join,
    "kills": losing.kills,
    "overflow": losing.overflow,
    "failover": losing.failovers,
    "killed": dying.killed,
    "slow": slow.slow,
    "throughput": throughput.throughput,
}
DOCUMENT = Path(__file__).parents[1] / "docs" / "reader.md"
MARKERS = "proofs"
QUICK = Options(joins=40, kills=5, rounds=1, seconds=3.0, messages=20_000, rate=2_000.0, slack=2.0)
HEADS = ("section", "promise", "goal", "measured", "")


def run(wanted: Sequence[str], options: Options) -> list[Row]:
    """Carry out sections; one that can't be measured has failed."""
    rows: list[Row] = []
    columns = (TextColumn("{task.description:<10}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as progress:
        for name in wanted:
            task = progress.add_task(name, total=None)

            def said(done: int, of: int, task: object = task) -> None:
                progress.update(task, completed=done, total=of)  # type: ignore[arg-type]

            began_s = time.monotonic()
            try:
                rows += SECTIONS[name](replace(options, said=said))
            except (EOFError, OSError) as exc:
                # Late, or a process has died. The other sections are worth having.
                told = f"{type(exc).__name__}: {exc}"
                rows.append(Row(name, report.UNMEASURED, "", told, passed=False))
            progress.update(task, total=1, completed=1)
            progress.console.print(f"{name}: {time.monotonic() - began_s:.0f} s")
    return rows


def show(rows: Sequence[Row]) -> None:
    """Print the table."""
    table = Table(*HEADS, title="Readers")
    colours = {True: "green", False: "red", None: "white"}
    for row in rows:
        cells = (row.section, row.what, row.goal, row.measured)
        table.add_row(*cells, f"[{colours[row.passed]}]{row.verdict}")
    Console(width=None if os.isatty(1) else 170).print(table)


def write_docs(rows: Sequence[Row], told: Mapping[str, object]) -> None:
    """Put the table between the markers of the document."""
    cells = [(row.section, row.what, row.goal, row.measured, row.verdict) for row in rows]
    lines = report.table(HEADS, [*cells, ("", "measured on", "", report.machine_line(told), "")])
    report.put(lines, MARKERS, DOCUMENT)


def main() -> int:
    """Show what is asked for; exit 1 if a promise is broken."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections, with commas")
    parser.add_argument("--quick", action="store_true", help="less of everything")
    parser.add_argument("--json", type=Path, help="write figures, versions and machine elsewhere")
    parser.add_argument("--write-docs", action="store_true", help="put the table into reader.md")
    for name in ("joins", "kills", "rounds", "messages"):
        parser.add_argument(f"--{name}", type=int)
    for name in ("seconds", "rate"):
        parser.add_argument(f"--{name}", type=float)
    arguments = parser.parse_args()
    wanted = arguments.only.split(",")
    if unknown := set(wanted) - SECTIONS.keys():
        parser.error(f"no such section: {', '.join(sorted(unknown))}")
    named = ("joins", "kills", "rounds", "messages", "seconds", "rate")
    given = {name: getattr(arguments, name) for name in named}
    options = replace(
        QUICK if arguments.quick else Options(),
        **{name: value for name, value in given.items() if value is not None},
    )
    rows = run(wanted, options)
    show(rows)
    told = report.told(rows)
    name = "readers" if wanted == list(SECTIONS) else f"readers-{'-'.join(wanted)}"
    report.save(told, arguments.json or report.RESULTS / f"{name}.json")
    if arguments.write_docs:
        write_docs(rows, told)
    return int(any(row.passed is False for row in rows))


if __name__ == "__main__":
    sys.exit(main())
