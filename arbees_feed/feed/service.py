"""A venue's feed: its connections, which market is on which, and its state as a whole."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from typing import Protocol

import msgspec
import structlog

from arbees_feed.core.book import LIVE
from arbees_feed.core.events import NoBook, Refused, TopOfBook
from arbees_feed.core.model import Liveness, MarketId, VenueState
from arbees_feed.core.sharding import assign
from arbees_feed.core.venue import DecoderOptions, DecoderStats, VenueSpec
from arbees_feed.feed.flight import FlightRecorder
from arbees_feed.feed.link import Dial, VenueLink
from arbees_feed.feed.markets import MarketTable
from arbees_feed.feed.prober import OnIncident, ProbeHooks, ProbeOptions, Prober
from arbees_feed.feed.sentinels import Sentinels
from arbees_feed.feed.session import Session
from arbees_feed.feed.stages import Stages

_log = structlog.get_logger("arbees_feed.feed")

CHECK_S = 0.1
PROGRESS_S = 2.0
TAKE_NOTHING = 2
"""So many connections that take no market at all show that the venue takes no more."""
TRY_AGAIN_S = 60.0
"""After so long a venue that takes no more markets is asked again."""
SETTLE_S = 2.0
"""How long a fresh ticker channel may take to speak of a market before REST is asked."""


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
    max_age_s: float = 0.0
    """A connection is replaced, with an overlap, at this age; 0: never."""
    probes: ProbeOptions = ProbeOptions()


NewFlight = Callable[[str, DecoderOptions, Collection[MarketId], int], FlightRecorder | None]
"""(connection, what it carries, its markets, how many connections there are) -> a recorder"""


class FeedHooks(msgspec.Struct, frozen=True):
    """Who hears of what happens to markets and connections; none may raise or wait."""

    on_left: OnLeft = lambda _markets, _ended: None
    on_unknown: Callable[[NoBook], None] = lambda _: None
    on_incident: OnIncident = lambda *_: None
    on_checked: Callable[[], None] = lambda: None
    """Called ten times a second, between frames."""
    new_flight: NewFlight = lambda *_: None


class FeedStats(msgspec.Struct):
    """Counted over the life of the process."""

    connects: int = 0
    losses: int = 0
    last_loss: str = ""


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
        hooks: FeedHooks = FeedHooks(),  # noqa: B008 - frozen
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.spec = spec
        self._capacity = carriage.capacity
        self._max_age_s = carriage.max_age_s
        self._hooks = hooks
        self._on_left = hooks.on_left
        self._wanted: dict[str, set[MarketId]] = {}
        self._turned_away: dict[MarketId, None] = {}
        self._try_again_s = 0.0
        self._is_full = False
        self.table = table
        self.dial = dial
        self.name = f"{spec.name}-feed"
        self.stats = FeedStats()
        self.stages = Stages()
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
        self.sentinels = Sentinels(spec, table.zeros, self.decoded)
        probe_hooks = ProbeHooks(self._suspect, hooks.on_unknown, hooks.on_incident)
        self.prober = Prober(table, self._carried, carriage.probes, probe_hooks)
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
            if number >= len(self.links) and self._is_full:
                self._turn_away(added)
                continue
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

    def wanted_by(self, market: MarketId) -> list[str]:
        """Return who wants the full book of a market."""
        return sorted(by for by, wanted in self._wanted.items() if market in wanted)

    def refused(self, event: Refused, session: object) -> None:
        """A connection carries no more: its rest goes to others, and it takes no new ones.

        When two take nothing at all, no third would: what does not fit waits (`_try_again`).
        """
        for link in self.links:
            if link.session is session:
                link.full(event.markets)
        if sum(not link.capacity for link in self.links) >= TAKE_NOTHING:
            self._is_full = True
        self._place(event.markets)

    def _turn_away(self, markets: Iterable[MarketId]) -> None:
        before = len(self._turned_away)
        self._turned_away.update(dict.fromkeys(markets))
        if not before:
            self._try_again_s = time.monotonic() + TRY_AGAIN_S
        if (waiting := len(self._turned_away)) > before:
            _log.warning("the venue takes no more", venue=self.spec.name, waiting=waiting)

    def _try_again(self) -> None:
        """Ask for what was turned away and is still wanted, on one connection that took nothing."""
        waiting, self._turned_away = self._turned_away, {}
        scout = next((link for link in self.links if not link.capacity), None)
        if scout is not None:
            scout.capacity = self._capacity
        self._is_full = scout is not None
        self._place(market for market in waiting if self.wanted_by(market))

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
        """Run all connections, and show as stale what does not mend in time.

        When it ends, whatever for, nothing is left live: nobody would look after it.
        """
        try:
            async with asyncio.TaskGroup() as group:
                self._started = group
                try:
                    for link in self.links:
                        group.create_task(self._run_link(link), name=link.name)
                    await self._check()
                finally:
                    self._started = None
        finally:
            self.table.stop(time.time_ns())

    async def _run_link(self, link: VenueLink) -> None:
        await self._keep_running(link)

    async def _check(self) -> None:
        table = self.table
        while True:
            await self._sleep(CHECK_S)
            now_s = time.monotonic()
            now_ns = time.time_ns()
            table.check(now_s, now_ns)
            self.prober.step(now_s, now_ns)
            self.sentinels.tick(now_s)
            self._hooks.on_checked()
            self._remove_ended()
            if self._turned_away and now_s >= self._try_again_s:
                self._try_again()
            if now_s >= self._progress_due_s:
                self._progress_due_s = now_s + PROGRESS_S
                self._progress()

    def _progress(self) -> None:
        """Count the books that are there, and say how far filling them has got."""
        before, self.books_live = self.books_live, self._count_books()
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

    def _count_books(self) -> int:
        markets = (self.table.get(market) for link in self.links for market in link.markets)
        books = (market.book for market in markets if market is not None)
        return sum(book is not None and book.state is LIVE for book in books)

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

    def lost(self, link: VenueLink, session: Session, reason: str) -> None:
        """A connection has ended: nothing that came over it is believed any more."""
        self.stats.losses += 1
        self.stats.last_loss = self.reason = f"{link.name}: {reason}"
        self._hooks.on_incident("disconnect", session, MarketId(""), reason)
        self.table.lose(session, reason)
        # Now, lest the next connection asks for markets whose end closed this one.
        self._remove_ended()

    def closed(self, stats: DecoderStats) -> None:
        """A connection is no more; this is what it counted."""
        self._past.add(stats)

    # -- how alive connections are -----------------------------------------------------------------

    def new_flight(self, link: VenueLink, options: DecoderOptions) -> FlightRecorder | None:
        """Return a recorder for a new connection, or None if nothing is kept."""
        return self._hooks.new_flight(link.name, options, link.markets.keys(), len(self.links))

    def silent(self, link: VenueLink, session: Session) -> None:
        """A connection is silent for unusually long: is it quiet, or frozen?"""
        self.prober.ask_canaries(session, link.markets)

    def watched(self, link: VenueLink, session: Session, now_s: float) -> None:
        """Replace a connection that is old, or on which data grows old."""
        age = session.age
        if age.has_grown is not age.alarmed:
            age.alarmed = age.has_grown
            if age.alarmed:
                _log.warning(
                    "data grows old on the way",
                    connection=link.name,
                    by_s=round(age.grown_ms / 1000, 1),
                )
        if age.is_too_old:
            link.relieve(f"data is {age.grown_ms / 1000:.1f} s older than it was at best")
        elif self._max_age_s and now_s - link.opened_s > self._max_age_s:
            link.relieve("age", planned=True)

    def _suspect(self, session: Session, reason: str) -> None:
        for link in self.links:
            if link.session is session:
                link.relieve(reason)

    def _carried(self) -> list[tuple[Session, list[MarketId]]]:
        return [
            (link.session, list(link.markets)) for link in self.links if link.session is not None
        ]

    def liveness(self) -> dict[Liveness, int]:
        """Count the open connections by what is known of their data."""
        counts: dict[Liveness, int] = {}
        for session, _ in self._carried():
            state = session.liveness()
            counts[state] = counts.get(state, 0) + 1
        return counts

    @property
    def grown_ms(self) -> float:
        """How much older than at its best data is on the worst connection."""
        return max((session.age.grown_ms for session, _ in self._carried()), default=0.0)

    @property
    def reliefs(self) -> int:
        """How often a connection took over from another without a hole."""
        return sum(link.reliefs for link in self.links)

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
        wrong = self.sentinels
        if self.table.live and self.open_links:
            down = len(self.links) - self.open_links
            said = [f"{down} of {len(self.links)} connections down"] if down else []
            state = VenueState.STALE if wrong.prices_fail else VenueState.LIVE
            return state, "; ".join([wrong.reason, *said] if wrong.reason else said)
        state = VenueState.STALE if len(self.table) else VenueState.CONNECTING
        if not self.open_links:
            return state, self.reason
        told = "no live price" if len(self.table) else "connected, no live price yet"
        return state, wrong.reason or told

    def decoded(self) -> DecoderStats:
        """Return the sum of what all decoders counted, past and present."""
        total = DecoderStats()
        total.add(self._past)
        for link in self.links:
            for session in link.sessions():
                total.add(session.stats)
        return total
