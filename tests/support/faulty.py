"""One fault on real servers, from a quiet start to the truth again, with a judge beside it."""

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import MappingProxyType

from arbees_feed.app.daemon import Daemon
from arbees_feed.app.venue import Venue
from arbees_feed.sim import SimConfig, SimServer
from arbees_feed.sim.world import Market
from support.feed import running, settings_for, settle
from support.judge import (
    NS,
    Judge,
    Lookout,
    Record,
    Span,
    Told,
    judging,
    longest_s,
    mended_s,
)
from support.patience import within
from support.reliability import record

NO_AUDIT: Mapping[str, str] = MappingProxyType({"trust.audit_per_minute": "0"})
"""What is found must not be found by the luck of the audit."""
SLOW_S = 10.0
WATCHED_S = 2.0
"""How long a fault is watched of which there is nothing to notice."""
STEADY_S = 1.0
"""So long must prices be true on end before a fault counts as mended."""
SPARE_S = within(0.25) - 0.25
"""So much later may all of it come where other tests run beside these."""
EXPOSED_AT_MOST_S = 1.0
"""For the venue that nothing befalls: transport, and two processors that do all of this at once."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What goes wrong, and what is promised of it; durations in seconds."""

    name: str
    venue: str
    inject: Callable[["Stage"], Awaitable[object] | object]
    one: bool = True
    """It befalls one market; else all of the venue."""
    seen_s: float | None = 2.0
    """The feed notices within so long; None: there is nothing to notice, or nothing to do."""
    lasts_s: float = 0.0
    """It is ended so long after it was noticed; 0: it is over by itself, or the feed ends it."""
    mends_s: float = 5.0
    """Readers have the truth again so long after it, or after its end if it lasts."""
    stale: bool | None = None
    """Whether subscribers must be told `stale` (True), must not be (False), or may be (None)."""
    lie_s: float = 0.0
    """For so long what the venue says is false, or left out, and nothing else it says shows it."""
    keeps: bool = False
    """The connection is sound, and must not be given up."""
    late_s: float = 0.0
    """How late the venue delivers, by the fault itself."""
    struck: str = ""
    """The simulator's counter that tells when it has happened, if not at once."""
    still: bool = False
    """Nothing moves any more once it has happened: no later change can heal or betray it."""
    settings: Mapping[str, str] = field(default_factory=lambda: NO_AUDIT)
    warm_s: float = 1.5
    """How long the feed may learn what is usual."""
    markets: int = 12
    rate: float = 240.0

    def __str__(self) -> str:
        return f"{self.venue}: {self.name}"

    @property
    def is_slow(self) -> bool:
        """Whether it takes much longer than others, nearly all of it waiting."""
        return self.warm_s > SLOW_S or (self.seen_s or 0.0) >= SLOW_S


class Stage:
    """Simulated venues, a feed, and a judge who subscribes to it."""

    def __init__(self, sim: SimServer, daemon: Daemon, judge: Judge, fault: Fault) -> None:
        self.sim = sim
        self.judge = judge
        self.fault = fault
        self.venues: dict[str, Venue] = {venue.venue: venue for venue in daemon.venues}
        self.lookouts = {name: Lookout(venue) for name, venue in self.venues.items()}
        self.market = ""
        """The market that the fault befalls, if it befalls one: the one that moves most."""

    @property
    def venue(self) -> Venue:
        """The one that the fault befalls."""
        return self.venues[self.fault.venue]

    def ids(self, venue: str) -> list[str]:
        """Return the markets of a venue."""
        return list(self.sim.kalshi_tickers if venue == "kalshi" else self.sim.polymarket_tokens)

    def hurt(self) -> list[Market]:
        """Return the markets that the fault befalls."""
        ids = [self.market] if self.fault.one else self.ids(self.fault.venue)
        return [self.sim.world.market(market) for market in ids]

    def others(self) -> list[Market]:
        """Return the markets of the other venue."""
        ids = [m for name in self.venues if name != self.fault.venue for m in self.ids(name)]
        return [self.sim.world.market(market) for market in ids]

    async def begin(self) -> int:
        """Let it happen; return when it has, Unix ns."""
        counters, name = self.sim.counters, self.fault.struck
        before, began_ns = counters[name], time.time_ns()
        done = self.fault.inject(self)
        if inspect.isawaitable(done):
            await done
        if self.fault.still:
            self.sim.pause()
        async with asyncio.timeout(30):
            while name and counters[name] == before:
                began_ns = time.time_ns()  # ahead of what it does: that may be told within the step
                if self.fault.still:
                    self.sim.step()
                await asyncio.sleep(0.002)
        return began_ns

    async def seen(self, since_ns: int, within_s: float | None) -> tuple[int, str] | None:
        """Return when the feed first showed that it knows, and by what; None: not in time.

        *within_s*: when it is to; None: there is nothing to notice, and this watches for a while.
        """
        lookout = self.lookouts[self.fault.venue]
        watched_s = WATCHED_S if within_s is None else within(within_s)
        while (sign := lookout.first(since_ns)) is None:
            if time.time_ns() > since_ns + watched_s * NS:
                return None
            await asyncio.sleep(0.01)
        return sign

    async def true_again(self, within_s: float) -> None:
        """Return once all that was hurt has been live and true for a while."""
        began_s = steady_s = time.monotonic()
        while time.monotonic() - steady_s < STEADY_S:
            untrue = [market.id for market in self.hurt() if not self.judge.is_true_now(market)]
            if untrue:
                steady_s = time.monotonic()
                assert steady_s - began_s < within(within_s) + 1.0, f"not mended: {untrue}"
            await asyncio.sleep(0.05)

    async def settle(self) -> None:
        """Stop the markets and wait until readers have the truth of every open one."""
        ids = [m for name in self.venues for m in self.ids(name)]
        open_ids = [m for m in ids if self.sim.world.market(m).status == "active"]
        await settle(self.sim, self.judge, open_ids)


@asynccontextmanager
async def stage_for(fault: Fault, redis_url: str) -> AsyncIterator[Stage]:
    """Set a stage, with prices that have been true for a while."""
    config = SimConfig(
        seed=11,
        kalshi_markets=fault.markets,
        polymarket_markets=fault.markets,
        rate=fault.rate,
        history_s=300.0,
    )
    async with (
        SimServer(config, kalshi_port=0, polymarket_port=0) as sim,
        judging(redis_url) as judge,
        running(settings_for(sim, redis_url, **fault.settings)) as (daemon, _),
    ):
        every = [*sim.kalshi_tickers, *sim.polymarket_tokens]
        await judge.until(lambda: judge.all_are("live", every))
        stage = Stage(sim, daemon, judge, fault)
        async with asyncio.TaskGroup() as group:
            lookouts = [group.create_task(one.run()) for one in stage.lookouts.values()]
            await asyncio.sleep(fault.warm_s)
            stage.market = max(stage.ids(fault.venue), key=lambda m: len(judge.told[m]))
            yield stage
            for lookout in lookouts:
                lookout.cancel()


@dataclass(kw_only=True)
class Findings:
    """What a fault did; times in seconds."""

    false_signs: list[str]
    losses: int
    seen_s: float | None
    sign: str
    stale_s: float | None
    mended_s: float
    exposed_s: float
    wrong: list[Told]
    wrong_afterwards: list[Told]
    """Those told later than the fault excuses."""
    live: int
    other_stale: int
    other_exposed_s: float
    other_wrong: list[Told]
    other_signs: list[str]


async def play(fault: Fault, redis_url: str) -> Findings:
    """Let a fault happen and return what was found; the row of the table is recorded."""
    async with stage_for(fault, redis_url) as stage:
        began_ns = await stage.begin()
        sign = await stage.seen(began_ns, fault.seen_s)
        since_ns = began_ns
        if fault.lasts_s:
            await asyncio.sleep(fault.lasts_s)
            stage.sim.faults.clear()
            since_ns = time.time_ns()
        await stage.true_again(fault.mends_s)
        await stage.settle()
        end_ns = time.time_ns()
    findings = judge_of(stage, sign, Span(began_ns, end_ns), since_ns)
    _record(fault, findings)
    return findings


def judge_of(stage: Stage, sign: tuple[int, str] | None, lasted: Span, since_ns: int) -> Findings:
    """Compare all that was told with the truth."""
    began_ns, end_ns = lasted
    hurt = stage.judge.records(stage.hurt(), end_ns)
    others = stage.judge.records(stage.others(), end_ns)
    stales = [at_ns for one in hurt if (at_ns := one.first("stale", began_ns))]
    late_ns = int((stage.fault.late_s + SPARE_S) * NS)
    lookout = stage.lookouts[stage.fault.venue]
    wrong = [price for one in hurt for price in one.wrong(late_ns)]
    excused = Span(began_ns, began_ns + int(within(stage.fault.lie_s) * NS))
    return Findings(
        false_signs=[name for at_ns, name in lookout.seen if at_ns < began_ns],
        losses=sum(name == "losses" for _, name in lookout.seen),
        seen_s=(sign[0] - began_ns) / NS if sign else None,
        sign=sign[1] if sign else "",
        stale_s=(min(stales) - began_ns) / NS if stales else None,
        mended_s=mended_s(hurt, since_ns, end_ns),
        exposed_s=_exposed_s(hurt, began_ns, end_ns),
        wrong=wrong,
        wrong_afterwards=[
            one
            for one in wrong
            if not excused.begin_ns <= one.message["ts_pub_ns"] < excused.end_ns
        ],
        live=sum(one.status == "live" for r in hurt for one in r.told),
        other_stale=sum(one.status == "stale" for r in others for one in r.told),
        other_exposed_s=_exposed_s(others, began_ns, end_ns),
        other_wrong=[price for one in others for price in one.wrong(int(SPARE_S * NS))],
        other_signs=[
            name
            for venue, one in stage.lookouts.items()
            if venue != stage.fault.venue
            for _, name in one.seen
        ],
    )


def _exposed_s(records: list[Record], since_ns: int, end_ns: int) -> float:
    return max((longest_s(one.exposures(end_ns), since_ns) for one in records), default=0.0)


def _record(fault: Fault, found: Findings) -> None:
    record(
        "faults",
        fault=fault.name,
        venue=fault.venue,
        detection_s=_rounded(found.seen_s),
        sign=found.sign,
        stale_s=_rounded(found.stale_s),
        lasted_s=fault.lasts_s,
        recovery_s=_rounded(found.mended_s),
        exposure_s=_rounded(found.exposed_s),
        live=found.live,
        wrong=len(found.wrong),
        false_suspicions=len(found.false_signs),
    )


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 2)


def check(fault: Fault, found: Findings) -> None:
    """What is promised of every fault, and of this one."""
    assert found.false_signs == []
    assert found.wrong_afterwards == []
    if fault.keeps:
        assert found.losses == 0, "a sound connection was given up"
    if fault.seen_s is not None:
        assert found.seen_s is not None, "never noticed"
        assert found.seen_s <= within(fault.seen_s)
    assert found.mended_s <= within(fault.mends_s)
    if fault.stale is not None:
        assert (found.stale_s is not None) is fault.stale
    assert (found.other_wrong, found.other_signs, found.other_stale) == ([], [], 0)
    assert found.other_exposed_s <= within(EXPOSED_AT_MOST_S)
