"""A venue's feed: its connections, which market is on which, and its state as a whole."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec

from arbees_feed.core.model import MarketId, VenueState
from arbees_feed.core.sharding import assign
from arbees_feed.core.venue import DecoderOptions, DecoderStats, VenueSpec
from arbees_feed.errors import FeedError
from arbees_feed.feed.markets import MarketTable
from arbees_feed.feed.session import Connection, Session

CHECK_S = 0.1

Dial = Callable[[], AbstractAsyncContextManager[Connection]]


class Runnable(Protocol):
    """What the one retry loop keeps running."""

    @property
    def name(self) -> str:
        """The name in logs."""

    async def run(self) -> None:
        """Work until failure."""


KeepRunning = Callable[[Runnable], Awaitable[None]]


class FeedStats(msgspec.Struct):
    """Counted over the life of the process."""

    connects: int = 0
    losses: int = 0
    last_loss: str = ""


class VenueLink:
    """One connection's place: its markets stay while sockets and decoders come and go."""

    def __init__(self, feed: "VenueFeed", number: int, options: DecoderOptions) -> None:
        self.name = f"{feed.spec.name}-{number}"
        self.markets: dict[MarketId, None] = {}
        self.session: Session | None = None
        self._feed = feed
        self._options = options
        self.stats: DecoderStats | None = None

    async def run(self) -> None:
        """Hold one connection until it ends.

        Raises:
            FeedError: always; what ended it.
        """
        feed = self._feed
        async with feed.dial() as connection:
            decoder = feed.spec.new_decoder(self._options)
            self.stats = decoder.stats
            self.session = Session(
                connection, decoder, feed.table, silence_timeout_s=feed.spec.silence_timeout_s
            )
            feed.connected()
            reason = "stopped"
            try:
                await self.session.run(list(self.markets))
            except FeedError as exc:
                reason = str(exc)
                raise
            finally:
                feed.lost(self, reason)
                self.session = self.stats = None

    def add(self, markets: Sequence[MarketId]) -> None:
        """Carry further markets from now on."""
        self.markets.update(dict.fromkeys(markets))
        if self.session is not None:
            self.session.add(markets)

    def remove(self, markets: Iterable[MarketId]) -> None:
        """Carry these no more."""
        leaving = [market for market in markets if market in self.markets]
        for market in leaving:
            del self.markets[market]
        if self.session is not None and leaving:
            self.session.remove(leaving)


class VenueFeed:
    """Holds the connections of one venue; each is kept running on its own."""

    def __init__(
        self,
        spec: VenueSpec,
        options: DecoderOptions,
        table: MarketTable,
        dial: Dial,
        keep_running: KeepRunning,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.spec = spec
        self.table = table
        self.dial = dial
        self.name = f"{spec.name}-feed"
        self.stats = FeedStats()
        self._past = DecoderStats()
        self.links: list[VenueLink] = []
        self.reason = "starting"
        self._options = options
        self._keep_running = keep_running
        self._sleep = sleep
        self._started: asyncio.TaskGroup | None = None
        # The lead carries what is there once for the whole venue, even without any market.
        if options.tickers or options.lifecycle:
            self._new_link()

    # -- which markets -----------------------------------------------------------------------------

    def want(self, markets: Iterable[MarketId]) -> None:
        """Carry full books of these markets from now on, on as few connections as limits allow."""
        places = [set(link.markets) for link in self.links]
        for number, added in assign(markets, places, self.spec.markets_per_socket):
            while number >= len(self.links):
                self._new_link()
            self.links[number].add(added)

    def drop(self, markets: Iterable[MarketId]) -> None:
        """Carry these no more, and tell readers that nobody watches them."""
        leaving = list(markets)
        for link in self.links:
            link.remove(leaving)
        for market in leaving:
            self.table.drop(market, time.time_ns())

    def _new_link(self) -> None:
        options = self._options if not self.links else DecoderOptions()
        link = VenueLink(self, len(self.links), options)
        self.links.append(link)
        if self._started is not None:
            self._started.create_task(self._run_link(link), name=link.name)

    # -- life --------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Run all connections, and show as stale what does not mend in time."""
        async with asyncio.TaskGroup() as group:
            self._started = group
            try:
                for link in self.links:
                    group.create_task(self._run_link(link), name=link.name)
                await self._check()
            finally:
                self._started = None

    async def _run_link(self, link: VenueLink) -> None:
        await self._keep_running(link)

    async def _check(self) -> None:
        table = self.table
        while True:
            await self._sleep(CHECK_S)
            table.check(time.monotonic(), time.time_ns())
            self._remove_ended()

    def _remove_ended(self) -> None:
        table = self.table
        if table.ended:
            ended, table.ended = table.ended, []
            for link in self.links:
                link.remove(ended)

    def connected(self) -> None:
        """A connection is open."""
        self.stats.connects += 1

    def lost(self, link: VenueLink, reason: str) -> None:
        """A connection has ended: nothing that came over it is believed any more."""
        self.stats.losses += 1
        self.stats.last_loss = self.reason = f"{link.name}: {reason}"
        if link.stats is not None:
            self._past.add(link.stats)
        if link.session is not None:
            self.table.lose(link.session, reason)
        # Now, lest the next connection asks for markets whose end closed this one.
        self._remove_ended()

    # -- state -------------------------------------------------------------------------------------

    @property
    def open_links(self) -> int:
        """How many connections are open now."""
        return sum(link.session is not None for link in self.links)

    def state(self) -> tuple[VenueState, str]:
        """Return the venue's state as readers should take it, and why."""
        if self.table.live and self.open_links:
            down = len(self.links) - self.open_links
            return VenueState.LIVE, f"{down} of {len(self.links)} connections down" if down else ""
        if self.open_links:
            return VenueState.CONNECTING if not len(self.table) else VenueState.STALE, (
                "connected, no live price yet" if not len(self.table) else "no live price"
            )
        state = VenueState.STALE if len(self.table) else VenueState.CONNECTING
        return state, self.reason

    def decoded(self) -> DecoderStats:
        """Return the sum of what all decoders counted, past and present."""
        total = DecoderStats()
        total.add(self._past)
        for link in self.links:
            if link.stats is not None:
                total.add(link.stats)
        return total
