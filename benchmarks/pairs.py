"""How long `arbees-feed match run` takes over two whole venues, and what the feed notices of it.

    python benchmarks/pairs.py [--kalshi 100000] [--polymarket 50000] [--new 200] [--together]

Markets of the listings' forms (see benchmarks/matching.py for where they come from) are written to
a real server as enrichment writes them. A venue plays frames, the daemon runs, and the command runs
beside it as users run it. What is printed: how long its first pass took and its processor time, its
peak memory; from frame to subscriber, with the command at work, idle, and stopped in turns; and of
markets that are listed anew how long it took from the word on `feed:meta` to the first message of
their pair.
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loopback import beside, report
from loopback.processes import bench


def main() -> int:
    """Measure; exit 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kalshi", type=int, default=100_000)
    parser.add_argument("--polymarket", type=int, default=50_000)
    parser.add_argument("--new", type=int, default=200, help="markets that are listed anew")
    parser.add_argument(
        "--together", action="store_true", help="in one session, where it is told apart by priority"
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a window")
    parser.add_argument("--rounds", type=int, default=8, help="windows of each kind, at most")
    parser.add_argument("--json", type=Path, default=report.RESULTS / "pairs.json")
    parser.add_argument("--write-docs", action="store_true", help="put the table into the document")
    given = parser.parse_args()
    options = beside.Options(
        given.kalshi, given.polymarket, given.new, given.together, given.seconds, given.rounds
    )
    with bench() as run:
        rows = beside.pairs(run, options)
    report.show(rows)
    told = report.told(rows)
    report.save(told, given.json)
    if given.write_docs:
        write_docs(told)
    return int(any(row.passed is False for row in rows))


def write_docs(told: Mapping[str, Any]) -> None:
    """Put the table into the document."""
    columns = ("what", "goal", "measured", "verdict")
    rows = [[row[name] for name in columns] for row in told["results"]]
    lines = report.table(("what", "goal", "measured", ""), rows)
    report.put([*lines, "", f"Measured on: {report.machine_line(told)}."], "pairs")


if __name__ == "__main__":
    sys.exit(main())
