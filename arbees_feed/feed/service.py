"""A venue's feed: its connections, which market is on which, and its state as a whole."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec
import structlog

from arbees_feed.core.events import Refused, TopOfBook
from arbees_feed.core.model import MarketId, VenueState
from arbees_feed.core.sharding import assign
from arbees_feed.core.venue import DecoderOptions, DecoderStats, VenueSpec
from arbees_feed.errors import FeedError
from arbees_feed.feed.markets import MarketTable
from arbees_feed.feed.session import Connection, Session

_log = structlog.get_logger("arbees_feed.feed")

CHECK_S = 0.1
BUSY_MARKETS = 20
PROGRESS_S = 2.0
SETTLE_S = 2.0
"""How long a fresh ticker channel may take to speak of a market before REST is asked."""

Dial = Callable[[], AbstractAsyncContextManager[Connection]]


class Runnable(Protocol):
    """What the one retry loop keeps running."""

    @property
    def name(self) -> str:
        """The name in logs."""

    async def run(self) -> None:
        """Work until failure."""


OnLeft = Callable[[Sequence[MarketId], bool], None]
"""(markets that are followed no more, whether they have ended)"""

KeepRunning = Callable[[Runnable], Awaitable[None]]


class Carriage(msgspec.Struct, frozen=True):
    """What connections carry: the first one *options* too, each one *capacity* full books."""

    options: DecoderOptions
    capacity: int


class FeedStats(msgspec.Struct):
    """Counted over the life of the process."""

    connects: int = 0
    losses: int = 0
    last_loss: str = ""


class VenueLink:
    """One connection's place: its markets stay while sockets and decoders come and go."""

    def __init__(
        self, feed: "VenueFeed", number: int, options: DecoderOptions, capacity: int
    ) -> None:
        self.name = f"{feed.spec.name}-{number}"
        self.markets: dict[MarketId, None] = {}
        self.session: Session | None = None
        self.opened_s = 0.0
        self._feed = feed
        self.capacity = capacity
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
                connection,
                decoder,
                feed.table,
                silence_timeout_s=feed.spec.silence_timeout_s,
                is_busy=self._is_busy,
            )
            self.opened_s = time.monotonic()
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

    def _is_busy(self) -> bool:
        """Tell whether so many markets are on this connection that some would always move."""
        carried = len(self._feed.table) if self._options.tickers else len(self.markets)
        return carried >= BUSY_MARKETS

    def full(self, refused: Iterable[MarketId]) -> None:
        """The venue takes no more on this connection than it has without these."""
        for market in refused:
            self.markets.pop(market, None)
        self.capacity = len(self.markets)

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
        carriage: Carriage,
        table: MarketTable,
        dial: Dial,
        keep_running: KeepRunning,
        *,
        on_left: OnLeft = lambda _markets, _ended: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.spec = spec
        self._capacity = carriage.capacity
        self._on_left = on_left
        self._wanted: dict[str, set[MarketId]] = {}
        self.table = table
        self.dial = dial
        self.name = f"{spec.name}-feed"
        self.stats = FeedStats()
        self._past = DecoderStats()
        self.links: list[VenueLink] = []
        self.reason = "starting"
        self._options = options = carriage.options
        self._keep_running = keep_running
        self._sleep = sleep
        self._started: asyncio.TaskGroup | None = None
        self.books_live = 0
        """How many full books were in step when last counted."""
        self._progress_due_s = 0.0
        # The lead carries what is there once for the whole venue, even without any market.
        if options.tickers or options.lifecycle:
            self._new_link()

    # -- which markets -----------------------------------------------------------------------------

    def want(self, markets: Iterable[MarketId], by: str = "universe") -> None:
        """Carry full books of these markets from now on, on as few connections as limits allow.

        *by* names who wants them; a market is carried once, however many do.
        """
        wanted = list(markets)
        self._wanted.setdefault(by, set()).update(wanted)
        self._place(wanted)

    def _place(self, markets: Iterable[MarketId]) -> None:
        places = [set(link.markets) for link in self.links]
        limits = [link.capacity for link in self.links]
        for number, added in assign(markets, places, self._capacity, limits):
            while number >= len(self.links):
                self._new_link()
            self.links[number].add(added)

    def drop(self, markets: Iterable[MarketId], by: str = "universe") -> None:
        """Carry these no more, unless somebody else wants them; readers are told."""
        leaving = set(markets)
        self._wanted.get(by, set()).difference_update(leaving)
        for others in self._wanted.values():
            leaving -= others
        for link in self.links:
            link.remove(leaving)
        now_ns = time.time_ns()
        unwatched = [market for market in leaving if not self.table.release(market, now_ns)]
        self._leave(unwatched, ended=False)

    def refused(self, event: Refused, session: object) -> None:
        """A connection carries no more: its rest goes to others, and it takes no new ones."""
        for link in self.links:
            if link.session is session:
                link.full(event.markets)
        self._place(event.markets)

    def _new_link(self) -> None:
        options = self._options if not self.links else DecoderOptions()
        link = VenueLink(self, len(self.links), options, self._capacity)
        self.links.append(link)
        if self._started is not None:
            self._started.create_task(self._run_link(link), name=link.name)

    def _leave(self, markets: Sequence[MarketId], *, ended: bool) -> None:
        for market in markets:
            self.table.forget(market)
        if markets:
            self._on_left(markets, ended)

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
            now_s = time.monotonic()
            table.check(now_s, time.time_ns())
            self._remove_ended()
            if now_s >= self._progress_due_s:
                self._progress_due_s = now_s + PROGRESS_S
                self._progress()

    def _progress(self) -> None:
        """Count the books that are there, and say how far filling them has got."""
        before, self.books_live = self.books_live, self.table.books_live()
        if self.books_live == self.books_wanted:
            if before != self.books_live:
                _log.info("books filled", venue=self.spec.name, books=self.books_live)
        elif abs(self.books_live - before) > self.books_wanted // 100:
            _log.info(
                "filling books",
                venue=self.spec.name,
                books=self.books_live,
                wanted=self.books_wanted,
            )

    @property
    def books_wanted(self) -> int:
        """How many full books are to be carried."""
        return sum(len(link.markets) for link in self.links)

    def _remove_ended(self) -> None:
        """Unsubscribe and forget markets that have ended."""
        table = self.table
        if not table.ended:
            return
        ended, table.ended = table.ended, []
        for link in self.links:
            link.remove(ended)
        for wanted in self._wanted.values():
            wanted.difference_update(ended)
        self._leave(ended, ended=True)

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

    # -- after a reconnect ------------------------------------------------------------------------

    def is_settled(self) -> bool:
        """Whether the ticker channel has had time to speak of what moves."""
        if not self.links or self.links[0].session is None:
            return False
        return time.monotonic() >= self.links[0].opened_s + SETTLE_S

    def take_tops(self, tops: Sequence[TopOfBook]) -> int:
        """Take REST answers for silent markets; they hold as long as the ticker connection."""
        if self.links and (session := self.links[0].session) is not None:
            return self.table.refresh(tops, session, time.time_ns())
        return 0

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
