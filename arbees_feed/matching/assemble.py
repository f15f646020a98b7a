"""From readings of several sources to one frame. Pure.

A reading is what one source (rules, title, ticker, ...) tells. Names become the ids of our tables
here, because only all readings together say which table: "Cleveland" is a team of the league that
the ticker names.
"""

from collections.abc import Sequence
from functools import cache
from typing import Final

from arbees_feed.matching.dates import UNSURE, Window
from arbees_feed.matching.deadlines import tells_another_hour
from arbees_feed.matching.frame import Builder, Frame
from arbees_feed.matching.placeholders import Pairs
from arbees_feed.matching.ranges import on_grid
from arbees_feed.matching.tables import PERSON, country, data, entity
from arbees_feed.matching.variants import by_itself, countries, variants

Reading = tuple[str, Pairs]
"""A source ("title") and what it tells."""

# Told by placeholders for this module alone; no slots of a frame.
_HELPERS: Final = ("bps", "move", "month", "lone_year")


@cache
def _caveats() -> tuple[tuple[str, tuple[str, ...]], ...]:
    rows = data("caveats").items()
    return tuple((name, tuple(row["says"])) for name, row in rows if name != "sources")


@cache
def _sources() -> tuple[tuple[str, tuple[str, ...]], ...]:
    rows = data("caveats")["sources"].items()
    return tuple((name, tuple(says)) for name, says in rows)


class Readings:
    """All readings of one market, in order of trust, and guesses for what nobody tells."""

    def __init__(self) -> None:
        self.told: list[Reading] = []
        self.weak: list[Reading] = []
        self.caveats: tuple[str, ...] = ()
        self.names: Sequence[str] = ()
        """Titles and slugs of the market and its event."""
        self.rules = ""
        self.unsure_end = False

    def tell(self, source: str, pairs: Pairs) -> None:
        """Add what *source* tells, if anything."""
        if pairs:
            self.told.append((source, pairs))

    def guess(self, source: str, pairs: Pairs) -> None:
        """Add what counts only where nothing else speaks."""
        if pairs:
            self.weak.append((source, pairs))

    def note_rules(self, rules: str) -> None:
        """Note what folded *rules* say beside the question."""
        found = (name for name, phrases in _caveats() if any(one in rules for one in phrases))
        self.caveats = tuple(found)
        named = [name for name, says in _sources() if any(one in rules for one in says)]
        if len(named) == 1:
            self.guess("rules", (("source", named[0]),))

    def note_texts(self, names: Sequence[str], rules: str) -> None:
        """Note titles, slugs and folded rules, for what they tell beside the question."""
        self.names, self.rules = names, rules

    def doubt_end(self, words: str, window: Window | None) -> None:
        """Make the end unsure if *words*, of which *window* was read, tell another hour."""
        end = self.find("end")
        self.unsure_end |= bool(end) and tells_another_hour(words, window, end)

    def find(self, name: str) -> str:
        """Return the first value told for *name*."""
        for _source, pairs in (*self.told, *self.weak):
            for slot, value in pairs:
                if slot == name and value:
                    return value
        return ""

    def frame(self, venue: str, market_id: str, event_id: str) -> Frame:
        """Return the frame of all readings."""
        table = self._table()
        builder = Builder()
        for source, pairs in self.told:
            builder.put_all(_named(_composed(pairs), table), source)
        for source, pairs in self.weak:
            for name, value in _named(_composed(pairs), table):
                builder.put_weak(name, value, source)
        _finish(builder, self)
        return builder.frame(venue, market_id, event_id, self.caveats)

    def _table(self) -> str:
        """Return the table in which this market's subject is a name."""
        row = data("competitions").get(self.find("competition"), {})
        if self.find("kind").startswith("golf"):
            return PERSON
        return str(row.get("entity", PERSON))


def _composed(pairs: Pairs) -> Pairs:
    """Join what two placeholders tell of one slot: "cut" and "25 bps" are a range of -25."""
    told = dict(pairs)
    bps = told.get("bps")
    if not bps or "move" not in told:
        return pairs
    return (*pairs, ("range", _change(told["move"], bps)))


def _change(move: str, bps: str) -> str:
    size = int(bps.strip(">+"))
    sign = -1 if move == "cut" else 1
    if not bps.startswith(">") and not bps.endswith("+"):
        return f"[{sign * size},{sign * size}]"
    # The Fed moves in quarters: more than 25 is at least 50.
    least = sign * (size + (25 if bps.startswith(">") else 0))
    return f"[{least},inf)" if sign > 0 else f"(-inf,{least}]"


def _named(pairs: Pairs, table: str) -> list[tuple[str, str]]:
    """Return *pairs* with the names of subjects as ids, without what is no slot."""
    named = []
    for name, value in pairs:
        if name in _HELPERS:
            continue
        if name == "subject" and ":" not in value and value != "draw":
            named.append((name, entity(table, value)))
        else:
            named.append((name, value))
    return named


def _finish(builder: Builder, readings: Readings) -> None:
    """Write what depends on several slots in its canonical form."""
    if builder.get("kind") == "act":
        # Trump visits countries and states: one id for "United Kingdom" and "UK".
        found = country(builder.get("subject"))
        if found:
            builder.replace("subject", f"country:{found}")
    _tell_apart(builder, readings)
    end = builder.get("end")
    if readings.unsure_end and not end.endswith(UNSURE):
        builder.replace("end", f"{end}{UNSURE}")
    grid = data("economics")["grids"].get(builder.get("indicator"))
    if grid and builder.get("range"):
        builder.replace("range", on_grid(builder.get("range"), grid))
    if builder.get("kind") == "price_at":
        _instant(builder)
    open_primaries = data("places")["primary_may_not_nominate"]["codes"]
    if builder.get("stage") == "primary" and builder.get("place")[:2] in open_primaries:
        builder.replace("kind", "primary_winner")
    row = data("competitions").get(builder.get("competition"), {})
    if row.get("lone_year") == "ambiguous" and builder.source("season") == "title":
        builder.replace("season", "" if readings.find("lone_year") else builder.get("season"))


def _tell_apart(builder: Builder, readings: Readings) -> None:
    """Write what tells questions apart that are worded alike: variants, and another country."""
    own = by_itself(builder.get("league"), builder.get("competition"))
    told = own | variants(readings.names, readings.rules)
    builder.put("variant", " ".join(sorted(told)), "texts")
    if builder.get("kind") in ("figure", "count"):
        # "Monthly inflation in January" is Argentina's where the event says so.
        for one in sorted(countries(readings.names, readings.rules)):
            builder.put("place", one if one == "us" else f"country {one}", "texts")


def _instant(builder: Builder) -> None:
    day, time = builder.get("day"), builder.get("time")
    if day and time:
        builder.put("instant", f"{day} {time} ET", builder.source("day"))
    builder.replace("day", "")
    builder.replace("time", "")
