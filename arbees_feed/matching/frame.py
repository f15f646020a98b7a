"""A market as slots, each with where it was read. Pure data.

A slot's value is canonical text, so that two venues that mean the same write the same: days are
`2026-11-22` (US Eastern), ranges `[4.5,inf)`, entities the ids of our tables, people folded names.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

import msgspec

from arbees_feed.matching.people import compare_names

SLOTS: Final = (
    "kind", "league", "competition", "variant", "season", "period", "participants", "day", "time",
    "subject", "against", "code", "ways", "range", "start", "end", "instant", "office", "place",
    "party", "indicator", "stage", "text", "source",
)  # fmt: skip
"""Every slot there is, in the order in which reasons are told.

`variant` tells apart what has one name (a women's cup, a special election); `subject` is what YES
pays on; `against` the only other outcome; `code` an outcome known by its code alone; `stage` the
round, group or rank; `text` the folded words of a plain proposition.
"""


class Slot(msgspec.Struct, frozen=True, gc=False):
    """One fact: its name, its canonical value and where it was read ("title", "ticker", ...)."""

    name: str
    value: str
    source: str


class Frame(msgspec.Struct, frozen=True, gc=False):
    """What one market asks. No `kind` slot: the text was not understood, it matches nothing."""

    venue: str
    market_id: str
    event_id: str
    slots: tuple[Slot, ...]
    clashes: tuple[str, ...] = ()
    """Slots that two sources of the same venue fill differently."""
    caveats: tuple[str, ...] = ()
    """What the rules say beside the question, by the names of `data/caveats.toml`."""

    def slot(self, name: str) -> Slot | None:
        """Return the slot called *name*, or None."""
        for slot in self.slots:
            if slot.name == name:
                return slot
        return None

    def get(self, name: str) -> str:
        """Return the value of *name*, or an empty text."""
        found = self.slot(name)
        return found.value if found else ""


# The same fact stands in thousands of frames; one object serves them all.
@lru_cache(maxsize=1 << 17)
def slot_of(name: str, value: str, source: str) -> Slot:
    """Return the slot, shared among frames."""
    return Slot(name, value, source)


def _clash(name: str, one: str, other: str) -> bool:
    if name == "subject":
        return compare_names(one, other) == "differs"
    return one != other


class Builder:
    """Collects readings of one market; the first source of a slot wins, others must agree.

    Read in order of trust: rules, then titles, then codes. A reading marked *weak* fills only what
    nothing else has told and never contradicts.
    """

    def __init__(self) -> None:
        self._values: dict[str, tuple[str, str]] = {}
        self._weak: dict[str, tuple[str, str]] = {}
        self._clashes: list[str] = []

    def put(self, name: str, value: str, source: str) -> None:
        """Note that *source* says *name* is *value*; empty values say nothing."""
        if not value:
            return
        held = self._values.setdefault(name, (value, source))
        if _clash(name, held[0], value) and name not in self._clashes:
            self._clashes.append(name)

    def put_weak(self, name: str, value: str, source: str) -> None:
        """Note a guess that counts only where nothing else speaks."""
        if value:
            self._weak.setdefault(name, (value, source))

    def put_all(self, reading: Iterable[tuple[str, str]], source: str) -> None:
        """Note all pairs of *reading*."""
        for name, value in reading:
            self.put(name, value, source)

    def get(self, name: str) -> str:
        """Return what is known of *name* so far."""
        return (self._values.get(name) or self._weak.get(name) or ("", ""))[0]

    def source(self, name: str) -> str:
        """Return where *name* was read."""
        return (self._values.get(name) or self._weak.get(name) or ("", ""))[1]

    def replace(self, name: str, value: str) -> None:
        """Write *value* for *name* in canonical form; an empty value forgets the slot."""
        source = self.source(name)
        self._weak.pop(name, None)
        self._values.pop(name, None)
        if value:
            self._values[name] = (value, source)

    def frame(
        self, venue: str, market_id: str, event_id: str, caveats: tuple[str, ...] = ()
    ) -> Frame:
        """Return the frame of what was noted."""
        held = {**self._weak, **self._values}
        slots = tuple(slot_of(name, *held[name]) for name in SLOTS if name in held)
        return Frame(venue, market_id, event_id, slots, tuple(self._clashes), caveats)
