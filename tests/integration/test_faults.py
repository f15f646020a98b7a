"""Every fault of the simulated venues: noticed in time, told, mended, and no wrong price.

Real servers: Redis, both venues, the whole feed. A judge subscribes as any reader does and compares
each price with what was true.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from support.faulty import NO_AUDIT, Fault, Stage, check, play
from support.feed import url_of, valkey

from arbees_feed.sim.garbage import MISSHAPEN, NOISE

VENUES = ("kalshi", "polymarket")
FAULTS: list[Fault] = []
AUDIT = {"trust.audit_per_minute": "10000", "trust.probes_per_s": "1000"}
"""Faults that are not met as promised yet, and why."""


def at(venue: str, name: str, inject: Callable[[Stage], Any], **more: Any) -> None:
    """Add a fault of one venue."""
    FAULTS.append(Fault(name=name, venue=venue, inject=inject, **more))


def both(name: str, inject: Callable[[Stage], Any], **more: Any) -> None:
    """Add a fault of each venue."""
    for venue in VENUES:
        at(venue, name, inject, **more)


def batched(faults: list[Fault], size: int) -> list[list[Fault]]:
    """Return them in lists of so many, of about the same length together."""
    count = -(-len(faults) // size)
    return [faults[number::count] for number in range(count)]


def unnoticed(**more: Any) -> dict[str, Any]:
    """Return what is promised when there is nothing to mend: readers are told nothing."""
    return {"seen_s": None, "mends_s": 0.0, "stale": False, "keeps": True} | more


both("nothing", lambda _: None, one=False, **unnoticed())

# -- frames ----------------------------------------------------------------------------------------


def dropped(s: Stage) -> None:
    s.sim.faults.drop_frames(s.market)


def twice(s: Stage) -> None:
    s.sim.faults.duplicate_frames(s.market, count=5)


def swapped(s: Stage) -> None:
    s.sim.faults.reorder_frames(s.market)


def reset(s: Stage) -> None:
    assert s.sim.faults.reset_sequence() > 0


def wrong_hashes(s: Stage) -> None:
    s.sim.faults.wrong_hash(s.market, count=60)


LOST, TWICE, SWAPPED = (f"fault_{name}_frames" for name in ("dropped", "duplicated", "reordered"))

at("kalshi", "one frame dropped", dropped, struck=LOST, keeps=True)
# A later change of the same level heals it, and often before anything shows that it was lost.
at("polymarket", "one frame dropped", dropped, seen_s=None, mends_s=15, lie_s=15, struck=LOST)
both(
    "the last frame dropped",
    dropped,
    seen_s=30,
    mends_s=35,
    lie_s=35,
    struck=LOST,
    still=True,
    warm_s=20,
)
at("kalshi", "frames come twice", twice, mends_s=0, stale=False, struck=TWICE)
at("polymarket", "frames come twice", twice, struck=TWICE, **unnoticed())
at("kalshi", "two frames swapped", swapped, struck=SWAPPED, keeps=True)
# Two changes of one venue time, swapped: their order is told by nothing, and soon does not matter.
at("polymarket", "two frames swapped", swapped, seen_s=None, lie_s=1, struck=SWAPPED, keeps=True)
at("kalshi", "sequence reset", reset, one=False)
at("polymarket", "wrong hash", wrong_hashes, struck="fault_wrong_hashes", **unnoticed())


# -- what is said is false -------------------------------------------------------------------------


async def audited(s: Stage, *, deep: bool) -> None:
    """The audit comes once a minute; here, each second, so that a test can wait for it."""
    s.sim.faults.corrupt_level(s.market, deep=deep)
    loop = asyncio.get_running_loop()
    for number in range(1, 8):
        loop.call_later(number, setattr, s.venue.feed.prober, "_audit_due_s", 1.0)


for deep in (False, True):
    at(
        "kalshi",
        f"a {'deep level left out' if deep else 'level told wrong'}, audited each second",
        lambda s, deep=deep: audited(s, deep=deep),
        seen_s=8,
        mends_s=10,
        lie_s=8,
        settings=AUDIT,
        struck="fault_omitted_levels" if deep else "fault_corrupted_levels",
    )
# Where nothing moves, a comparison with REST may come first: it takes the connection for frozen.
at(
    "polymarket",
    "a level told wrong, found by its hash",
    lambda s: s.sim.faults.corrupt_level(s.market),
    seen_s=8,
    mends_s=15,
    lie_s=10,
    struck="fault_corrupted_levels",
    still=True,
)
# A later change of the level heals it, often before a look at the hash.
at(
    "polymarket",
    "a deep level left out",
    lambda s: s.sim.faults.corrupt_level(s.market, deep=True),
    seen_s=None,
    mends_s=15,
    lie_s=10,
    keeps=True,
    struck="fault_omitted_levels",
)
both("crossed for a moment", lambda s: s.sim.faults.cross(s.market), **unnoticed())
both(
    "crossed by an order that is not there",
    lambda s: s.sim.faults.cross(s.market, lasting=True),
    mends_s=8,
    lie_s=2,
)

# -- garbage ---------------------------------------------------------------------------------------

for kind in sorted(NOISE):
    both(
        f"noise: {kind}",
        lambda s, kind=kind: s.sim.faults.garbage(s.fault.venue, kind),
        one=False,
        mends_s=5,
    )
both(
    "misshapen book: extra_field",
    lambda s: s.sim.faults.garbage(s.fault.venue, "extra_field", s.market),
    **unnoticed(),
)
for kind in sorted(MISSHAPEN.difference({"extra_field"})):
    both(
        f"misshapen book: {kind}",
        lambda s, kind=kind: s.sim.faults.garbage(s.fault.venue, kind, s.market),
        mends_s=8,
    )
for kind in ("rename", "drop", "zeros"):
    both(
        f"drift: {kind}",
        lambda s, kind=kind: s.sim.faults.drift(s.fault.venue, kind),
        one=False,
        seen_s=5,
        lasts_s=5,
        mends_s=20,
    )
both("drift: extra", lambda s: s.sim.faults.drift(s.fault.venue, "extra"), **unnoticed(lasts_s=3))

# -- the answers of Kalshi -------------------------------------------------------------------------


def failing(s: Stage, code: int, *, carried_out: bool = False) -> None:
    """The gap makes the feed ask for a snapshot, and that is what fails."""
    s.sim.faults.fail_commands(code, count=1, carried_out=carried_out)
    s.sim.faults.drop_frames(s.market)


def full(s: Stage) -> None:
    s.sim.faults.fail_commands(26, count=1)
    s.sim.faults.abort_sockets("kalshi")


def ignored(s: Stage) -> None:
    s.sim.faults.ignore_commands("kalshi")
    s.sim.faults.drop_frames(s.market)


for code in (10, 25):
    at(
        "kalshi",
        f"error {code} ends subscriptions",
        lambda s, code=code: s.sim.faults.end_subscriptions(code),
        one=False,
    )
for code in (18, 27):
    at("kalshi", f"error {code} to a command", lambda s, code=code: failing(s, code), struck=LOST)
at("kalshi", "error 18, yet done", lambda s: failing(s, 18, carried_out=True), struck=LOST)
at("kalshi", "error 26 after a cut", full, one=False, mends_s=10)
at("kalshi", "a command without answer", ignored, struck=LOST, mends_s=10)

# -- connections -----------------------------------------------------------------------------------


def refused(s: Stage, **how: Any) -> None:
    s.sim.faults.refuse_handshakes(s.fault.venue, **how)
    s.sim.faults.close_sockets(s.fault.venue)


def slow(s: Stage) -> None:
    s.sim.faults.slow_handshake(s.fault.venue, seconds=3.0, count=1)
    s.sim.faults.abort_sockets(s.fault.venue)


async def deaf(s: Stage) -> None:
    """Connections kept from REST calls are good for a handshake each, until none is left."""
    await s.sim.faults.stop_accepting(s.fault.venue)
    for _ in range(20):
        s.sim.faults.abort_sockets(s.fault.venue)
        await asyncio.sleep(0.1)
    await s.sim.faults.start_accepting(s.fault.venue)


both("closed with 1001", lambda s: s.sim.faults.close_sockets(s.fault.venue), one=False)
both("closed with 1008", lambda s: s.sim.faults.close_sockets(s.fault.venue, 1008), one=False)
both("cut", lambda s: s.sim.faults.abort_sockets(s.fault.venue), one=False)
both("503 for 2 s", lambda s: refused(s, status=503, for_s=2.0), one=False, mends_s=10, stale=True)
both(
    "429, Retry-After 3 s",
    lambda s: refused(s, status=429, retry_after_s=3, count=1),
    one=False,
    mends_s=8,
    stale=True,
)
both(
    "429, Retry-After as a date",
    lambda s: refused(s, status=429, retry_after_s=3, as_date=True, count=1),
    one=False,
    mends_s=8,
    stale=True,
)
both("a handshake of 3 s", slow, one=False, mends_s=8, stale=True)
both("nothing listens for 2 s", deaf, one=False, mends_s=15)

# -- silence ---------------------------------------------------------------------------------------


def frozen(s: Stage, **how: Any) -> None:
    s.sim.faults.freeze(s.fault.venue, **how)


def frozen_market(s: Stage, **how: Any) -> None:
    s.sim.faults.freeze(market=s.market, **how)


QUIET = {"markets": 1, "rate": 2.0}

both(
    "frozen; a new socket is not",
    lambda s: frozen(s, new_sockets=False),
    one=False,
    seen_s=10,
    mends_s=20,
)
both("frozen altogether", frozen, one=False, seen_s=10, lasts_s=8, mends_s=30, stale=True)
both(
    "frozen, and questions answered",
    lambda s: frozen(s, answers=True),
    one=False,
    seen_s=10,
    lasts_s=3,
    mends_s=30,
)
both(
    "one quiet market, frozen",
    lambda s: frozen(s, new_sockets=False),
    one=False,
    seen_s=30,
    mends_s=45,
    **QUIET,
)
both(
    "one market frozen",
    frozen_market,
    seen_s=30,
    keeps=True,
    lasts_s=12,
    mends_s=30,
    warm_s=20,
)
both(
    "one market frozen, and questions answered",
    lambda s: frozen_market(s, answers=True),
    seen_s=30,
    keeps=True,
    warm_s=20,
    lasts_s=3,
    mends_s=30,
)
both(
    "one market left out",
    lambda s: s.sim.faults.omit_market(s.market),
    seen_s=30,
    keeps=True,
    warm_s=20,
    mends_s=45,
    lie_s=30,
)
both(
    "black hole; a new socket is none",
    lambda s: s.sim.faults.black_hole(s.fault.venue, new_sockets=False),
    one=False,
    seen_s=10,
    mends_s=20,
)
both(
    "black hole, new sockets too",
    lambda s: s.sim.faults.black_hole(s.fault.venue),
    one=False,
    seen_s=10,
    lasts_s=8,
    mends_s=45,
    stale=True,
)
both(
    "ever later, up to 8 s",
    lambda s: s.sim.faults.lag(s.fault.venue, 8.0, growth=1.0),
    one=False,
    seen_s=30,
    mends_s=45,
    late_s=9,
)

# -- markets and clocks ----------------------------------------------------------------------------

at(
    "polymarket",
    "another tick",
    lambda s: s.sim.faults.change_tick(s.market, "0.001"),
    **unnoticed(),
)
for hour in (3_600.0, -3_600.0):
    both(
        f"the venue's clock {'ahead' if hour > 0 else 'behind'} by an hour",
        lambda s, hour=hour: s.sim.faults.time_jump(s.fault.venue, hour),
        one=False,
        **unnoticed(lasts_s=4, mends_s=8),
    )
both("end of life", lambda s: s.sim.close_market(s.market), seen_s=3, stale=False, mends_s=0)

# -- REST ------------------------------------------------------------------------------------------


def away(s: Stage) -> None:
    """Nothing of the stream is left for a while, and REST is asked meanwhile."""
    s.sim.faults.refuse_handshakes(s.fault.venue, status=503, for_s=1.5)
    s.sim.faults.close_sockets(s.fault.venue)


def away_with_ghosts(s: Stage) -> None:
    s.sim.faults.ghost_rest(s.fault.venue)
    away(s)


async def away_with_an_old_cache(s: Stage) -> None:
    s.sim.faults.stale_rest(s.fault.venue, 20.0)
    await asyncio.sleep(2.0)
    away(s)


both("REST shows ghosts after a cut", away_with_ghosts, one=False, lasts_s=6, mends_s=20)
both(
    "REST is 20 s old after a cut",
    away_with_an_old_cache,
    one=False,
    seen_s=4,
    lasts_s=6,
    mends_s=20,
)
for name, inject in (
    ("tickers only: REST shows ghosts after a cut", away_with_ghosts),
    ("tickers only: REST is 20 s old after a cut", away_with_an_old_cache),
):
    at(
        "kalshi",
        name,
        inject,
        one=False,
        seen_s=4,
        lasts_s=6,
        mends_s=20,
        settings=dict(NO_AUDIT) | {"kalshi.markets": ""},
    )


IN_EVERY_RUN = frozenset(
    {
        "nothing",
        "one frame dropped",
        "sequence reset",
        "wrong hash",
        "a level told wrong, found by its hash",
        "crossed by an order that is not there",
        "noise: truncated",
        "misshapen book: nulls",
        "drift: zeros",
        "error 25 ends subscriptions",
        "cut",
    }
)
"""One of each sort; the rest is `slow` for their number, and `make reliability` tries them all."""
QUICK = [fault for fault in FAULTS if not fault.is_slow]
SLOW = sorted((fault for fault in FAULTS if fault not in QUICK), key=lambda f: (f.warm_s, f.name))


def case(fault: Fault) -> Any:
    """Return a parameter, `slow` unless it stands for its sort in every run."""
    marks = [] if fault.name in IN_EVERY_RUN else [pytest.mark.slow]
    return pytest.param(fault, id=str(fault), marks=marks)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("fault", [case(fault) for fault in QUICK])
async def test_fault(fault: Fault, redis_url: str) -> None:
    check(fault, await play(fault, redis_url))


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("faults", batched(SLOW, 3), ids=lambda some: ", ".join(map(str, some)))
async def test_slow_faults(faults: list[Fault]) -> None:
    """Most of their time is waiting: some at a time, each with servers of its own."""
    async with asyncio.TaskGroup() as group:
        for fault in faults:
            group.create_task(alone(fault), name=str(fault))


async def alone(fault: Fault) -> None:
    """Play a fault beside others."""
    with valkey() as server:
        found = await play(fault, url_of(server))
    try:
        check(fault, found)
    except AssertionError as failed:
        raise AssertionError(f"{fault}: {failed}") from failed
