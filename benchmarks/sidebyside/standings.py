"""The tables: in a terminal, as JSON, and for the document."""

import os
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from loopback import report
from rich.console import Console
from rich.table import Table

from sidebyside.results import Result, middle

HEADS = ("client", "ends at", "CPU a frame", "frames/s", "events a frame", "memory", "checks")
PACE_HEADS = ("client", "ends at", "p50", "p99", "p99.9", "CPU a frame")
NOTES = (
    "CPU is that of the client's own process, all its threads, from the socket to where it ends;"
    " Redis is another process. Median of {rounds} rounds in turns, after one to warm up, with the"
    " least and the most. Every client reads the same frames from a venue of its own, each in its"
    " best configuration: uvloop, queues that do not overflow, orjson where it can be given one.",
    "They end in the user's code, which does no more than count. The daemon ends at a subscriber,"
    " with each price set, published and acknowledged by Redis. Fewer events than frames are"
    " changes of a best price only (the daemon, nautilus_trader), or the newest book in place of"
    " each (ccxt). kalshi-sdk with best prices is played a tenth of the frames; the daemon plays"
    " Polymarket before the others, as its questions to REST are answered from the session's end.",
)


def told(results: Sequence[Result]) -> dict[str, Any]:
    """Return everything for machines."""
    return {"machine": report.machine(), "peers": [result.told() for result in results]}


def show(results: Sequence[Result]) -> None:
    """Print a table for each contest."""
    console = Console(width=None if os.isatty(1) else 170)
    for title, heads, rows in _tables(results):
        table = Table(*heads, title=title)
        for row in rows:
            table.add_row(*row)
        console.print(table)


def lines(results: Sequence[Result], told: Mapping[str, Any]) -> list[str]:
    """Return the lines of the document."""
    rounds = max((len(result.rounds or result.paces) for result in results), default=0)
    text = [line for note in NOTES for line in (note.format(rounds=rounds), "")]
    for title, heads, rows in _tables(results):
        cells = [[cell.replace("|", "/") for cell in row] for row in rows]
        text += [f"**{title}**", "", *report.table(heads, cells), ""]
    return [*text, f"Measured on {report.machine_line(told)}."]


def _tables(
    results: Iterable[Result],
) -> Iterable[tuple[str, Sequence[str], Sequence[Sequence[str]]]]:
    for title, some in groupby(results, lambda result: result.contest):
        contest = list(some)
        if any(result.paces for result in contest):
            yield title, PACE_HEADS, [_delays(result) for result in contest]
        else:
            yield title, HEADS, [_costs(result) for result in contest]


def _costs(result: Result) -> Sequence[str]:
    if not result.rounds or result.reason:
        return (_name(result), result.ends_at, "none", "", "", "", result.reason)
    costs, once = [play.cpu_us for play in result.rounds], middle(result.rounds)
    return (
        _name(result),
        result.ends_at,
        f"{once['cpu_us']:.1f} µs ({min(costs):.1f} to {max(costs):.1f})",
        f"{once['per_s']:,.0f}",
        f"{once['events']:.2f}",
        f"{result.rss_mb:.0f} MB",
        result.checks + (f"; it complained: {result.trouble}" if result.trouble else ""),
    )


def _delays(result: Result) -> Sequence[str]:
    if not result.paces or result.reason:
        return (_name(result), result.ends_at, "none", "", "", result.reason)
    once = middle(result.paces)
    delays = [f"{once[name]:.3f} ms" for name in ("p50_ms", "p99_ms", "p999_ms")]
    return (_name(result), result.ends_at, *delays, f"{once['cpu_us']:.0f} µs")


def _name(result: Result) -> str:
    return f"{result.name} {result.version} (Python {result.python})"
