"""What a reader handed over, against what was published. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from loopback.follower import Handed
from loopback.report import Row
from loopback.witness import Truth


@dataclass
class Tally:
    """What was wrong with the prices that one reader handed over, or several."""

    prices: int = 0
    untrue: int = 0
    """Not the bytes that were published under this market, session and seq."""
    unwitnessed: int = 0
    """Nobody can say: the witness was cut off too."""
    back: int = 0
    """Older than what came before of the same market."""
    live_after_newer: int = 0
    """Live, of an older session than another price of its venue."""
    marks: int = 0
    """Taken back by the reader itself."""
    missing: Counter[str] = field(default_factory=Counter)
    """Holes by market, counted by seq."""

    @property
    def is_sound(self) -> bool:
        """Whether all was true and in order; holes are another question."""
        return not (self.untrue or self.back or self.live_after_newer)

    def add(self, other: "Tally") -> None:
        """Add what another reader got."""
        self.prices += other.prices
        self.untrue += other.untrue
        self.unwitnessed += other.unwitnessed
        self.back += other.back
        self.live_after_newer += other.live_after_newer
        self.marks += other.marks
        self.missing += other.missing


def judge(
    log: Iterable[Handed], truth: Truth, first: Mapping[str, tuple[int, int]] | None = None
) -> Tally:
    """Compare what one reader handed over with what was published.

    *first*: (session, seq) of what it knew when it had joined, and so has to hand over.
    """
    tally = Tally()
    before = {market: (session, seq - 1) for market, (session, seq) in (first or {}).items()}
    sessions: dict[bool, int] = {}
    for price in log:
        tally.prices += 1
        stamp, known = (price.session, price.seq), before.get(price.market)
        is_true = truth.is_true(price.session, price.market, price.seq, price.crc)
        is_unheard = truth.is_hole(price.session, price.market, price.seq)
        is_mark = price.status == "stale" and not is_true
        tally.marks += is_mark
        if price.status == "live":
            venue = price.market.isdecimal()  # Polymarket's ids are numbers, Kalshi's are not
            tally.live_after_newer += price.session < sessions.get(venue, 0)
            sessions[venue] = max(sessions.get(venue, 0), price.session)
        # What a reader takes back keeps the stamp of a price that there was.
        was_there = truth.at_ns(price.session, price.market, price.seq) is not None
        tally.untrue += not (is_true or is_unheard or (is_mark and was_there))
        tally.unwitnessed += is_unheard
        if known is not None:
            tally.back += stamp < known
            begins = known[1] if known[0] == price.session else 0
            # What was taken back, or is live again, is the same price: no hole.
            tally.missing[price.market] += max(0, price.seq - begins - 1)
        before[price.market] = stamp
    tally.missing = +tally.missing
    return tally


def overdue_ms(log: Sequence[Handed], truth: Truth) -> list[float]:
    """Return for each price for how long a newer one of its market had been published."""
    waits = []
    for price in log:
        newer_ns = truth.at_ns(price.session, price.market, price.seq + 1)
        late_ns = price.at_ns - newer_ns if newer_ns is not None else 0
        waits.append(max(0, late_ns) / 1e6)
    return waits


def percentile(values: Sequence[float], percent: float) -> float:
    """Return what so many per cent of the values did not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def kept_promise(
    section: str, what: str, goal: str, measured: str, *, passed: bool, **values: float
) -> Row:
    """Return the row of a promise."""
    return Row(section, what, goal, measured, bool(passed), values)


def differing(ours: Mapping[str, object], theirs: Mapping[str, object]) -> list[str]:
    """Return the keys under which two mappings differ."""
    return [key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key)]
