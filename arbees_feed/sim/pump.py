"""The beat of a simulation: how fast things happen."""

import asyncio
import math
import random
from collections.abc import Mapping

from arbees_feed.sim.config import SimConfig, Venue
from arbees_feed.sim.flow import Flow
from arbees_feed.sim.kalshi_feed import KalshiFeed
from arbees_feed.sim.polymarket_feed import PolymarketFeed
from arbees_feed.sim.shared import Shared
from arbees_feed.sim.timing import delay
from arbees_feed.sim.world import Group

Feed = KalshiFeed | PolymarketFeed

TICK_S = 0.01
BATCH = 512
LONGEST_STALL_S = 0.25
BURST_SHARE = 1 / 11
BURST_FACTOR = 4.0
CALM_FACTOR = (1 - BURST_SHARE * BURST_FACTOR) / (1 - BURST_SHARE)
BURST_LENGTH_S = 0.3


class Pump:
    """Makes things happen at the configured rate and passes them to the venues."""

    def __init__(
        self,
        config: SimConfig,
        flow: Flow,
        feeds: Mapping[Venue, Feed],
        shared: Shared,
    ) -> None:
        self._rate = config.rate
        self._bursts = config.bursts
        self._flow = flow
        self._feeds = feeds
        self._counters = shared.counters
        self._past = shared.past
        self._random = random.Random(f"pump {config.seed}")
        self._burst_ends_s = 0.0
        self.going = asyncio.Event()
        self.going.set()

    @property
    def paused(self) -> bool:
        """Tell whether nothing happens."""
        return not self.going.is_set()

    def pause(self) -> None:
        """Let nothing happen from now on."""
        self.going.clear()

    def resume(self) -> None:
        """Let things happen again."""
        self.going.set()

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            await self.going.wait()
            if math.isinf(self._rate):
                await self._run_flat_out()
            else:
                await self._run_paced()

    def publish(self, group: Group) -> None:
        """Tell a venue's clients what happened."""
        self._counters["changes"] += len(group.changes)
        self._counters["groups"] += 1
        self._past[group.market.venue].note(group)
        self._feeds[group.market.venue].publish(group)

    def flush(self) -> None:
        """Hand all queued frames to the transports."""
        for feed in self._feeds.values():
            feed.flush()

    async def _run_flat_out(self) -> None:
        """As fast as the slowest reader allows."""
        while not self.paused:
            self._make(BATCH)
            for feed in self._feeds.values():
                await feed.drain()
            await delay(0)

    async def _run_paced(self) -> None:
        loop = asyncio.get_running_loop()
        last_s, owed = loop.time(), 0.0
        while not self.paused:
            await delay(TICK_S)
            if self.paused:
                return
            now_s = loop.time()
            owed += self._rate * self._pace(now_s) * min(now_s - last_s, LONGEST_STALL_S)
            last_s = now_s
            while owed >= 1 and not self.paused:
                owed -= self._make(min(int(owed), BATCH))
                await delay(0)

    def _make(self, wanted: int) -> int:
        """Make that many changes happen; return how many did."""
        made = 0
        for _ in range(2 * wanted):
            group = self._flow.step()
            if group is not None:
                self.publish(group)
                made += len(group.changes)
            if made >= wanted:
                break
        self.flush()
        return max(made, 1)

    def _pace(self, now_s: float) -> float:
        """Return by how much to speed up or slow down: live games come in bursts."""
        if not self._bursts:
            return 1.0
        if now_s < self._burst_ends_s:
            return BURST_FACTOR
        calm_s = BURST_LENGTH_S * (1 - BURST_SHARE) / BURST_SHARE
        if self._random.random() < TICK_S / calm_s:
            self._burst_ends_s = now_s + BURST_LENGTH_S
        return CALM_FACTOR
