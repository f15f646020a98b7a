"""How large a machine must be, worked out of what was measured. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

HEADROOM = 0.5
"""Share of a core that is planned with: bursts, the other half."""
REDIS_KB_A_MARKET = 4.5
"""Price, text, metadata and search index; measured on 4,000 simulated markets."""
NEEDED = frozenset(("cpu", "relay", "polymarket", "scale", "memory"))


@dataclass(frozen=True)
class Load:
    """What a venue or a part of it brings; assumptions, named in the document."""

    what: str
    markets: int
    books: int
    frames_per_s: float
    kind: str


LOADS = (
    Load("one busy Kalshi series: 20 books at the highest rate recorded", 20, 20, 2_900, "book"),
    Load("all of Kalshi by ticker: 100,000 markets", 100_000, 0, 500, "ticker"),
    Load("the same, in a burst of ten times the mean", 100_000, 0, 5_000, "ticker"),
    Load("Polymarket, the 200 most traded", 200, 200, 1_000, "pair"),
    Load("all of Polymarket: 30,000 books", 30_000, 30_000, 3_000, "pair"),
)


def _values(told: Mapping[str, Any], section: str, what: str) -> Mapping[str, float]:
    """Return the values of the first row of a section whose name begins so."""
    for row in told["results"]:
        if row["section"] == section and row["what"].startswith(what):
            values: Mapping[str, float] = row["values"]
            return values
    raise LookupError(f"nothing measured: {section}, {what}")


def _ticker_us(told: Mapping[str, Any]) -> float:
    """Return the cost of a ticker among 100,000 markets that are all busy: the worst case."""
    (curve,) = (row["curve"] for row in told["results"] if "all are busy" in row["what"])
    return float(curve[-1][1])


def costs_us(told: Mapping[str, Any]) -> Mapping[str, float]:
    """Return the CPU of a frame by its kind, in µs."""
    return {
        "book": _values(told, "cpu", "every frame")["µs"],
        "pair": _values(told, "polymarket", "")["µs"],
        "ticker": _ticker_us(told),
    }


def waking_us(told: Mapping[str, Any]) -> float:
    """Return what a frame costs more where it comes alone, and wakes the process, in µs."""
    alone = _values(told, "relay", "over a bare relay, recorded frames at 4,000/s")["feed"]
    return alone - _values(told, "cpu", "a Kalshi book frame")["µs"]


def lines(told: Mapping[str, Any]) -> Sequence[Sequence[str]]:
    """Return the rows of the table.

    What is followed, frames a second, CPU of a frame alone and in a crowd, share of a core, frames
    a second that half a core takes, memory of the daemon and of Redis.
    """
    return list(_rows(told))


def _rows(told: Mapping[str, Any]) -> Iterator[Sequence[str]]:
    cost_us, waking = costs_us(told), waking_us(told)
    markets = _values(told, "memory", "100,000 markets")
    books = _values(told, "memory", "10,000 books")
    for load in LOADS:
        us = cost_us[load.kind]
        share = load.frames_per_s * (us + waking) / 1e6
        kb = (load.markets - load.books) * markets["kB a market"] + load.books * books["kB a book"]
        yield (
            load.what,
            f"{load.frames_per_s:,.0f}",
            f"{us + waking:.0f} µs",
            f"{us:.1f} µs",
            f"{share:.1%}",
            f"{HEADROOM * 1e6 / us:,.0f}",
            f"{markets['MB with 20'] + kb / 1e3:,.0f} MB",
            f"{load.markets * REDIS_KB_A_MARKET / 1e3:,.1f} MB",
        )
