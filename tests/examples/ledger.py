"""What was planted for a shard and what it found: the verdict."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from planting import Expected, told

MAX_AGE_S = 1.5
"""`limits.max_age_s` of the shard that is judged."""


@dataclass
class Ledger:
    """What was planted, and what came of it."""

    planted: list[Expected] = field(default_factory=list)
    worthless: int = 0
    """Levels that were set and make no opportunity."""
    waits_ms: list[float] = field(default_factory=list)
    """From setting a level until the shard has told of it."""
    doubts: list[tuple[str, int, int]] = field(default_factory=list)
    """(venue, from, to) in Unix ns: its prices were in doubt, and the shard had said so."""
    rows: list[dict[str, str]] = field(default_factory=list)
    """Of the CSV file."""
    entries: list[dict[str, str]] = field(default_factory=list)
    """Of the stream."""

    @property
    def missed(self) -> Counter[Expected]:
        """What was planted and not found."""
        return Counter(self.planted) - Counter(map(told, self.rows))

    @property
    def false(self) -> Counter[Expected]:
        """What was found and not planted, or twice."""
        return Counter(map(told, self.rows)) - Counter(self.planted)

    @property
    def on_stale(self) -> list[dict[str, str]]:
        """What was found on a price in doubt, or older than allowed."""
        return [row for row in self.rows if any(self._stale(row, leg) for leg in legs_of(row))]

    def _stale(self, row: dict[str, str], leg: str) -> bool:
        found_ns = round(datetime.fromisoformat(row["found_at"]).timestamp() * 1e9)
        return float(row[f"{leg}_age_s"]) > MAX_AGE_S or any(
            venue == row[f"{leg}_platform"] and begun <= found_ns <= ended
            for venue, begun, ended in self.doubts
        )

    @property
    def passed(self) -> bool:
        """Whether all that was planted was found, nothing else, and both outputs agree."""
        wrong = self.missed or self.false or self.on_stale or self.rows != self.entries
        return bool(self.planted) and bool(self.doubts) and not wrong

    def report(self) -> str:
        """Return the figures for people."""
        found = Counter(self.planted) & Counter(map(told, self.rows))
        kinds = Counter(each.kind for each in found.elements())
        waits = sorted(self.waits_ms) or [0.0]
        lines = [
            ("opportunities planted", f"{len(self.planted)}"),
            ("  found", f"{found.total()} ({kinds['model']} model, {kinds['cross']} cross)"),
            ("  missed", f"{self.missed.total()}"),
            ("levels planted that are worth nothing", f"{self.worthless}"),
            ("  found though not there, or twice", f"{self.false.total()}"),
            ("times that prices were in doubt", f"{len(self.doubts)}"),
            ("  found on a stale price", f"{len(self.on_stale)}"),
            (
                "from a venue's change to the decision",
                f"median {waits[len(waits) // 2]:.1f} ms,"
                f" 99 % within {waits[len(waits) * 99 // 100]:.1f} ms",
            ),
            (
                "rows of the CSV file and of the stream",
                f"{len(self.rows)} and {len(self.entries)}"
                f"{', the same' if self.rows == self.entries else ', NOT the same'}",
            ),
        ]
        return "\n".join(f"{what:39}{value}" for what, value in lines)


def legs_of(row: dict[str, str]) -> list[str]:
    """Return which legs a row has."""
    return [leg for leg in ("leg1", "leg2") if row[f"{leg}_market"]]
