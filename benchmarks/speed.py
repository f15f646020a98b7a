"""How fast is the feed? Every goal with its measurement, in real processes on loopback.

    python benchmarks/speed.py [--only cpu,relay] [--json FILE] [--write-docs] [--tree DIR]

Figures, versions and the machine go into build/bench/speed.json too (with --only, into a file named
after the sections).

A venue that costs little plays frames over a WebSocket, the daemon runs with all checks on, Valkey
is a process of its own, and so is the subscriber. With ARBEES_CORPUS set, recorded frames are
played where the goal speaks of them. docs/performance.md tells what each figure means.
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from loopback import report, sections, sizes, splitting
from loopback.report import Row

SECTIONS: Mapping[str, Callable[[sections.Options], Sequence[Row]]] = {
    "cpu": sections.cpu,
    "relay": sections.relay,
    "polymarket": sections.polymarket,
    "latency": sections.latency,
    "burst": sections.burst,
    "scale": sizes.scale,
    "memory": sizes.memory,
    "start": sizes.start,
    "idle": sizes.idle,
    "processes": splitting.processes,
}

USUAL = [name for name in SECTIONS if name != "processes"]
"""Those that goals speak of; together they take less than five minutes."""


def _place(wanted: Sequence[str]) -> Path:
    """Return where figures go: those of some sections don't overwrite those of all."""
    name = "speed" if wanted == USUAL else f"speed-{'-'.join(wanted)}"
    return report.RESULTS / f"{name}.json"


def main() -> int:
    """Measure what is asked for; exit 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default=",".join(USUAL), help="sections, with commas")
    parser.add_argument("--json", type=Path, help="write figures, versions and machine elsewhere")
    parser.add_argument(
        "--write-docs", action="store_true", help="put the tables into docs/performance.md"
    )
    parser.add_argument("--tree", default="", help="measure the daemon of another source tree")
    parser.add_argument("--rounds", type=int, default=3, help="more of them: a quieter median")
    arguments = parser.parse_args()
    wanted = arguments.only.split(",")
    if unknown := set(wanted) - SECTIONS.keys():
        parser.error(f"no such section: {', '.join(sorted(unknown))}")
    options = sections.Options(arguments.rounds, arguments.tree)
    rows: list[Row] = []
    for name in wanted:
        began_s = time.monotonic()
        try:
            rows += SECTIONS[name](options)
        except TimeoutError as late:
            # The other sections took minutes, and are worth having.
            rows.append(Row(name, report.UNMEASURED, "", str(late), passed=False))
        print(f"{name}: {time.monotonic() - began_s:.0f} s", file=sys.stderr, flush=True)
    report.show(rows)
    told = report.told(rows)
    report.save(told, arguments.json or _place(wanted))
    if arguments.write_docs:
        report.write_docs(told)
    return int(any(row.passed is False for row in rows))


if __name__ == "__main__":
    sys.exit(main())
