"""What goes wrong when: seeded schedules of faults. Pure; `rehearsal.py` plays them.

for step in storm(seed=7, markets=sim.market_ids, count=500): ...
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count as counting
from random import Random
from typing import Any, NamedTuple

from arbees_feed.sim.config import KALSHI, POLYMARKET, VENUES, Venue
from arbees_feed.sim.garbage import MISSHAPEN, NOISE

Markets = Mapping[Venue, Sequence[str]]
Arguments = dict[str, Any]

END = "end"
STORM = "storm"
LONGEST_SHARE = 0.6  # of the time between two faults: each is over before the next
SHORTEST_SHARE = 0.2
LIFE_S = (2, 8)
TICKS = ("0.01", "0.001", "0.005", "0.0025")


class Step(NamedTuple):
    """One move: what to call after so many seconds, and with what.

    `action` is a method of the simulation's faults, or of the simulation.
    """

    at_s: float
    action: str
    arguments: Arguments

    @property
    def fault(self) -> str:
        """Return which fault it begins or ends."""
        return str(self.arguments["fault"]) if self.action == END else self.action


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault, and what `end` needs to end it; None when it is over at once."""

    action: str
    arguments: Arguments
    target: Arguments | None = None

    def steps(self, at_s: float, hold_s: float) -> list[Step]:
        """Return its beginning, and its end if it lasts."""
        begin = Step(at_s, self.action, self.arguments)
        if self.target is None:
            return [begin]
        return [begin, Step(at_s + hold_s, END, {"fault": self.action, **self.target})]


class Cast:
    """Whom a fault may hit, drawn at random."""

    def __init__(self, draw: Random, markets: Markets) -> None:
        self.draw = draw
        self._markets = markets

    def venue(self, *among: Venue) -> Venue:
        """Return a venue that has markets.

        Raises:
            ValueError: none of them has.
        """
        found = [venue for venue in among or VENUES if self._markets.get(venue)]
        if not found:
            raise ValueError(f"needs markets of {' or '.join(among or VENUES)}")
        return self.draw.choice(found)

    def market(self, *among: Venue) -> str:
        """Return a market."""
        return self.draw.choice(self._markets[self.venue(*among)])

    def likely(self) -> bool:
        """Toss a coin."""
        return self.draw.random() < 0.5  # noqa: PLR2004 (a coin)


Maker = Callable[[Cast], Fault]


def _of_venue(action: str, *among: Venue, **arguments: Any) -> Maker:
    """Make a fault of a venue that lasts."""

    def make(cast: Cast) -> Fault:
        target = {"venue": cast.venue(*among)}
        return Fault(action, {**target, **arguments}, target)

    return make


def _of_market(action: str, *among: Venue, most: int = 1, **arguments: Any) -> Maker:
    """Make a fault of a market that lasts, of up to so many frames."""

    def make(cast: Cast) -> Fault:
        target = {"market": cast.market(*among)}
        counted = {"count": cast.draw.randint(1, most)} if most > 1 else {}
        return Fault(action, {**target, **counted, **arguments}, target)

    return make


def _freeze(cast: Cast) -> Fault:
    target = {"venue": cast.venue()}
    return Fault("freeze", {**target, "new_sockets": cast.likely()}, target)


def _freeze_market(cast: Cast) -> Fault:
    target = {"market": cast.market()}
    return Fault("freeze", {**target, "answers": cast.likely()}, target)


def _close(cast: Cast) -> Fault:
    code, reason = cast.draw.choice(((1001, ""), (1006, ""), (1012, ""), (1013, "slow consumer")))
    venue = cast.venue()
    if code == 1006:  # noqa: PLR2004 (no close frame)
        return Fault("abort_sockets", {"venue": venue})
    return Fault("close_sockets", {"venue": venue, "code": code, "reason": reason})


def _refuse(cast: Cast) -> Fault:
    target = {"venue": cast.venue()}
    status, retry_after_s = cast.draw.choice(((429, 1), (503, None), (502, None), (503, 2)))
    return Fault(
        "refuse_handshakes", {**target, "status": status, "retry_after_s": retry_after_s}, target
    )


def _garbage(cast: Cast) -> Fault:
    kind = cast.draw.choice(sorted({*NOISE, *MISSHAPEN}))
    return Fault("garbage", {"venue": cast.venue(), "kind": kind})


def _drift(cast: Cast) -> Fault:
    target = {"venue": cast.venue()}
    kind = cast.draw.choice(("rename", "extra", "zeros", "drop"))
    return Fault("drift", {**target, "kind": kind}, target)


def _fail_rest(cast: Cast) -> Fault:
    target = {"venue": cast.venue()}
    status, retry_after_s = cast.draw.choice(((429, 1), (429, None), (500, None), (503, 2)))
    return Fault("fail_rest", {**target, "status": status, "retry_after_s": retry_after_s}, target)


def _change_tick(cast: Cast) -> Fault:
    market = cast.market(POLYMARKET)
    return Fault("change_tick", {"market": market, "tick": cast.draw.choice(TICKS)})


def _cross(cast: Cast) -> Fault:
    target = {"market": cast.market()}
    if cast.likely():
        return Fault("cross", target)
    return Fault("cross", {**target, "lasting": True}, target)


def _jump(cast: Cast) -> Fault:
    target = {"venue": cast.venue()}
    seconds = cast.draw.choice((-3600, -30, -2, 2, 30, 3600))
    return Fault("time_jump", {**target, "seconds": seconds}, target)


def _fail_commands(cast: Cast) -> Fault:
    target = {"venue": cast.venue(KALSHI)}
    code = cast.draw.choice((18, 26, 27))
    carried_out = code == 18 and cast.likely()  # noqa: PLR2004 (nobody knows, after 18)
    return Fault("fail_commands", {"code": code, "carried_out": carried_out}, target)


def _end_subscriptions(cast: Cast) -> Fault:
    cast.venue(KALSHI)
    return Fault("end_subscriptions", {"code": cast.draw.choice((10, 25))})


def _reset(cast: Cast) -> Fault:
    return Fault("reset_sequence", {"venue": cast.venue(KALSHI)})


def _open_market(cast: Cast) -> Fault:
    close_in_s = cast.draw.randint(*LIFE_S)
    return Fault("open_market", {"venue": cast.venue(), "close_in_s": close_in_s})


def _close_market(cast: Cast) -> Fault:
    return Fault("close_market", {"market_id": cast.market()})


@dataclass(frozen=True, slots=True)
class Scenario:
    """A rehearsal: one sentence about it, its faults in turn, how many at a time, how long each."""

    about: str
    makers: tuple[Maker, ...]
    at_a_time: int = 1
    longest_s: float = 15.0


SCENARIOS: Mapping[str, Scenario] = {
    "freeze": Scenario("A venue sends no data, while pings and answers go on.", (_freeze,)),
    "market-freeze": Scenario(
        "One market is silent, its siblings go on.", (_freeze_market, _of_market("omit_market"))
    ),
    "gap": Scenario("Book frames of a market are lost.", (_of_market("drop_frames", most=3),)),
    "dup": Scenario("Book frames come twice.", (_of_market("duplicate_frames", most=3),)),
    "reorder": Scenario(
        "Two book frames of a market swap places.", (_of_market("reorder_frames"),)
    ),
    "reset": Scenario("Kalshi's sequence numbers fall back to 1.", (_reset,)),
    "flap": Scenario(
        "Sockets are closed and cut, and new ones refused for a while.",
        (_close, _refuse, _close, _of_venue("stop_accepting")),
        at_a_time=3,
        longest_s=3.0,
    ),
    "black-hole": Scenario(
        "Sockets stay open and dead; new handshakes hang or end dead too.",
        (
            _of_venue("black_hole", new_sockets=False),
            _of_venue("black_hole", new_sockets=True),
            _of_venue("slow_handshake"),
        ),
    ),
    "garbage": Scenario("Frames come that no client expects.", (_garbage,), at_a_time=3),
    "drift": Scenario("Fields are renamed, added, left out, or all prices are zero.", (_drift,)),
    "slow": Scenario(
        "Frames come later and later; REST answers late.",
        (_of_venue("lag", seconds=8), _of_venue("delay_rest", seconds=5)),
    ),
    "rest-storm": Scenario(
        "REST fails, answers 429, HTML, old books or ghosts, or not at all.",
        (
            _fail_rest,
            _of_venue("html_rest"),
            _of_venue("stale_rest", seconds=10),
            _of_venue("ghost_rest"),
            _of_venue("lose_answers", count=5),
        ),
        at_a_time=2,
    ),
    "errors": Scenario(
        "Kalshi ends subscriptions and refuses commands; some get no answer.",
        (_end_subscriptions, _fail_commands, _of_venue("ignore_commands", count=2)),
    ),
    "wrong-hash": Scenario(
        "Polymarket's hashes are wrong, or right beside a wrong level.",
        (
            _of_market("wrong_hash", POLYMARKET, most=5),
            _of_market("corrupt_level", POLYMARKET, most=2),
            _of_market("corrupt_level", POLYMARKET, deep=True),
        ),
    ),
    "crossed": Scenario("A book is crossed for a moment, or until a whole one comes.", (_cross,)),
    "tick-change": Scenario("Polymarket gives a market another tick.", (_change_tick,)),
    "time-jump": Scenario("A venue's clock is wrong, ahead or behind.", (_jump,)),
    "end-of-life": Scenario("Markets open, and end.", (_open_market, _close_market)),
    STORM: Scenario("All of these at random; only new markets end.", ()),
}
STORMY: tuple[Maker, ...] = tuple(
    maker
    for scenario in SCENARIOS.values()
    for maker in scenario.makers
    if maker is not _close_market
)


def schedule(
    names: Sequence[str], markets: Markets, *, seed: int = 1, every_s: float = 20.0
) -> Iterator[Step]:
    """Return the endless schedule of some scenarios, one after the other.

    Every *every_s* seconds the next one begins; what it begins ends before the next.

    Raises:
        ValueError: there is no such scenario, or not the markets that it needs.
    """
    for name in names:
        if name not in SCENARIOS:
            raise ValueError(f"no scenario {name}; there are {', '.join(SCENARIOS)}")
        for maker in _makers(name, markets):
            maker(Cast(Random(seed), markets))
    return _endless(names, Cast(Random(f"schedule {seed}"), markets), markets, every_s)


def _endless(names: Sequence[str], cast: Cast, markets: Markets, every_s: float) -> Iterator[Step]:
    turns = {name: counting() for name in names}
    for round_number in counting(1):
        name = names[(round_number - 1) % len(names)]
        scenario, makers = SCENARIOS[name], _makers(name, markets)
        hold_s = min(scenario.longest_s, LONGEST_SHARE * every_s)
        steps: list[Step] = []
        for index in range(scenario.at_a_time):
            turn = next(turns[name])
            maker = cast.draw.choice(makers) if name == STORM else makers[turn % len(makers)]
            at_s = round_number * every_s + index * hold_s / scenario.at_a_time
            steps += maker(cast).steps(at_s, hold_s / scenario.at_a_time)
        yield from sorted(steps, key=_when)


def storm(
    seed: int,
    markets: Markets,
    count: int,
    *,
    every_s: float = 1.0,
    hold_s: float = 2.0,
) -> list[Step]:
    """Return *count* random faults over both venues, in order of time; what lasts also ends.

    One begins every *every_s* seconds on average and lasts up to *hold_s*, so several are in force
    at a time, but never two of a kind at one target. The same seed gives the same storm.
    """
    cast = Cast(Random(f"storm {seed}"), markets)
    makers = _makers(STORM, markets)
    ends: dict[str, float] = {}
    steps: list[Step] = []
    at_s, begun = 0.0, 0
    while begun < count:
        fault = cast.draw.choice(makers)(cast)
        key = f"{fault.action} {fault.target}"
        if ends.get(key, 0.0) > at_s:
            at_s += every_s / 10  # with few targets, all may be taken
            continue
        lasts_s = cast.draw.uniform(SHORTEST_SHARE, 1.0) * hold_s
        if fault.target is not None:
            ends[key] = at_s + lasts_s
        steps += fault.steps(at_s, lasts_s)
        begun += 1
        at_s += cast.draw.expovariate(1 / every_s)
    return sorted(steps, key=_when)


def _makers(name: str, markets: Markets) -> list[Maker]:
    """Return what makes the faults of a scenario; of a storm, as far as there are markets."""
    if name != STORM:
        return list(SCENARIOS[name].makers)
    possible: list[Maker] = []
    for maker in STORMY:
        try:
            maker(Cast(Random(0), markets))
        except ValueError:
            continue
        possible.append(maker)
    if not possible:
        raise ValueError("needs markets")
    return possible


def _when(step: Step) -> float:
    return step.at_s
