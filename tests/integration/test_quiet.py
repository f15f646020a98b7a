"""Quiet is not frozen: ten quiet minutes raise no alarm, and a frozen connection is found in time.

Minutes pass by a clock that the test moves; decoders, session and prober are the real ones, and a
scripted venue answers pings, PING and questions truthfully. The last test is on real servers.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
from support.connection import ScriptedConnection, Ticks, idle
from support.faulty import Fault, stage_for
from support.judge import Lookout
from support.outlets import FakeClock, Outlets, table_over
from support.reliability import record
from support.worlds import KalshiWorld, PolymarketWorld, World

from arbees_feed.core.events import BookTold
from arbees_feed.core.model import MarketId, Status
from arbees_feed.core.venue import DecoderOptions
from arbees_feed.feed.market import Hooks, Market
from arbees_feed.feed.prober import ProbeHooks, ProbeOptions, Prober
from arbees_feed.feed.session import Session
from arbees_feed.venues import VENUES

PING_S = 10.0
"""So often Kalshi sends a ping; Polymarket answers ours, sent as often."""
WORLDS: dict[str, type[World]] = {"kalshi": KalshiWorld, "polymarket": PolymarketWorld}


class QuietVenue:
    """A connection to a venue where nothing moves, and all that watches over it."""

    def __init__(self, venue: str, markets: int) -> None:
        self.spec = VENUES[venue]
        self.clock = FakeClock()
        self.world = WORLDS[venue](seed=5)
        self.world.connected()
        self.markets = self.world.markets = list(self.world.markets[:markets])
        self.outlets = Outlets()
        self.table = table_over(self.outlets, self.clock, hooks=Hooks(on_told=self._told))
        self.connection = ScriptedConnection(self.clock)
        self.ticks = Ticks(self._advance)
        self.frozen = False
        self.alarms: list[str] = []
        self.questions = 0
        self.session = Session(
            self.connection,
            self.spec.new_decoder(DecoderOptions()),
            self.table,
            silence_timeout_s=self.spec.silence_timeout_s,
            watcher=self,
            sleep=self.ticks.sleep,
            monotonic=self.clock,
        )
        self.prober = Prober(
            self.table,
            lambda: [(self.session, self.markets)],
            ProbeOptions(),
            ProbeHooks(
                on_suspect=lambda _, reason: self.alarms.append(reason),
                on_incident=lambda kind, _, market, reason: self.alarms.append(
                    f"{kind} {market} {reason}"
                ),
            ),
            random.Random(1),
        )
        self._told_of_life_s = self.clock.now_s

    def _advance(self, seconds: float) -> None:
        self.clock.now_s += seconds

    def _told(self, market: Market, told: BookTold) -> bool:
        return self.prober.on_told(market, told)

    # What a session asks of its watcher.

    def is_busy(self) -> bool:
        return False

    def ask(self, session: Session) -> None:
        self.prober.ask_canaries(session, self.markets)

    def tick(self, session: Session, now_s: float) -> None:
        del session, now_s

    def sample(self, frame: bytes, *, opening: bool) -> None:
        del frame, opening

    # The venue's half.

    def _answer(self) -> None:
        """Answer what was sent; frozen, a venue still answers PING and sends pings."""
        sent, self.connection.sent = self.connection.sent, []
        for command in sent:
            if command == b"PING":
                self.connection.feed(b"PONG")
            elif not self.frozen:
                for frame in self.world.answer(command):
                    self.connection.feed(msgspec.json.encode(frame))
        if self.spec.name == "kalshi" and self.clock.now_s >= self._told_of_life_s + PING_S:
            self._told_of_life_s = self.connection.last_life_s = self.clock.now_s

    def _answer_rest(self) -> None:
        """REST tells the truth, frozen or not."""
        asked = self.prober.take_rest()
        if asked:
            self.questions += len(asked)
            self.prober.answered(asked, [self._book(market) for market in asked])

    def _book(self, market: MarketId) -> BookTold:
        bids, asks = (
            [(price, size * 10_000) for price, size in side.items()]
            for side in self.world.levels[market]
        )
        mirrored = [(10_000 - price, size) for price, size in asks]
        told = [(10_000 - price, size) for price, size in mirrored]
        return BookTold(market, bids, told, self.world.clock_ms * 1_000_000, in_step=False)

    # Time.

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        """Hold the connection while the block runs."""
        task = asyncio.create_task(self.session.run(self.markets))
        try:
            await idle()
            await self.pass_time(1.0)
            assert self.statuses() == {Status.LIVE}
            yield task
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def pass_time(self, seconds: float) -> None:
        """Let time pass, in ticks of the session."""
        until_s = self.clock.now_s + seconds
        while self.clock.now_s < until_s and not self.session.is_failing:
            self._answer()
            await idle()
            await self.ticks.tick()
            self.prober.step(self.clock.now_s, int(self.clock.now_s * 1e9))
            self.table.check(self.clock.now_s, int(self.clock.now_s * 1e9))
            self._answer_rest()

    async def move(self) -> None:
        """Let one level change, and be told unless the venue is frozen."""
        frame = self.world.step()
        if not self.frozen:
            self.connection.feed(msgspec.json.encode(frame))
            await idle()

    def statuses(self) -> set[Status]:
        """Return what readers were last told of each market."""
        return {self.outlets[market].quotes[-1].status for market in self.markets}


@pytest.mark.parametrize("markets", [1, 2])
@pytest.mark.parametrize("venue", WORLDS)
async def test_ten_quiet_minutes_raise_no_alarm(venue: str, markets: int) -> None:
    stage = QuietVenue(venue, markets)
    async with stage.running() as task:
        for _ in range(5):
            await stage.move()
            await stage.pass_time(2.0)
        told = sum(len(outlet.quotes) for outlet in stage.outlets.values())
        await stage.pass_time(600.0)
        assert not task.done()
        assert not stage.session.is_failing
        assert stage.alarms == []
        assert stage.statuses() == {Status.LIVE}
        assert sum(len(outlet.quotes) for outlet in stage.outlets.values()) == told
        assert stage.prober.stats.agreed >= 20
        assert stage.prober.stats.differed == stage.prober.stats.unanswered == 0
        record(
            "quiet",
            venue=venue,
            markets=markets,
            minutes=10,
            questions=stage.prober.stats.asked,
            alarms=len(stage.alarms),
        )


@pytest.mark.parametrize("venue", WORLDS)
async def test_a_frozen_connection_of_one_quiet_market_is_found_within_30_s(venue: str) -> None:
    """It moves once in 8 s, and goes on moving at the venue; nothing of it comes any more."""
    stage = QuietVenue(venue, 1)
    async with stage.running():
        while stage.clock.now_s < 1_300.0:
            await stage.move()
            await stage.pass_time(8.0)
        assert stage.alarms == []
        stage.frozen = True
        began_s = stage.clock.now_s
        while not stage.session.is_failing:
            await stage.move()
            await stage.pass_time(8.0)
            assert stage.clock.now_s - began_s <= 30.0
        took_s = stage.clock.now_s - began_s
        record("quiet", venue=venue, markets=1, frozen_found_s=took_s)


@pytest.mark.timeout(90)
async def test_thirty_quiet_seconds_on_real_servers(redis_url: str) -> None:
    fault = Fault(name="nothing moves for 30 s", venue="kalshi", inject=lambda _: None)
    async with stage_for(fault, redis_url) as stage:
        await stage.settle()
        lookouts = [Lookout(venue) for venue in stage.venues.values()]
        async with asyncio.TaskGroup() as group:
            watching = [group.create_task(lookout.run()) for lookout in lookouts]
            await asyncio.sleep(30.0)
            for task in watching:
                task.cancel()
        assert [lookout.seen for lookout in lookouts] == [[], []]
        told = [one for messages in stage.judge.told.values() for one in messages]
        assert {one.status for one in told} == {"live"}
        asked = [venue.feed.prober.stats.agreed for venue in stage.venues.values()]
        assert min(asked) > 0
