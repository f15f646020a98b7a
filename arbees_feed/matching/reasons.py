"""How one slot of two frames came out, and how a reader is told. Pure."""

from typing import Literal

import msgspec

Outcome = Literal["agrees", "nearly", "unsettled", "differs", "only kalshi", "only polymarket"]
"""`nearly`: one and the same but for a known conflict. `unsettled`: told, but not decided by it."""


class Reason(msgspec.Struct, frozen=True, gc=False):
    """How one slot came out."""

    slot: str
    outcome: Outcome
    kalshi: str = ""
    kalshi_source: str = ""
    polymarket: str = ""
    polymarket_source: str = ""

    def text(self) -> str:
        """Return the reason in one line: `day agrees: 2026-11-22 (ticker) = 2026-11-22 (rules)`."""
        left = f"{self.kalshi or '-'} ({self.kalshi_source})" if self.kalshi else "-"
        right = f"{self.polymarket or '-'} ({self.polymarket_source})" if self.polymarket else "-"
        return f"{self.slot} {self.outcome}: {left} | {right}"
