"""One run of `top`: what is read, what was chosen, and the lines that come of both."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

from arbees_feed.cli.facts import POLICY, Facts
from arbees_feed.cli.prices import AT_ONCE, Intake, entered, reader_of, url_to_read
from arbees_feed.cli.topdepth import Depth
from arbees_feed.cli.topkeys import Keys
from arbees_feed.cli.toplines import Line, Moment
from arbees_feed.cli.toplist import RERANK_S, listed
from arbees_feed.cli.toppairfacts import PairFacts, Wanted
from arbees_feed.cli.topreport import json_line
from arbees_feed.cli.topscreen import screen_lines
from arbees_feed.cli.topstate import TopState
from arbees_feed.cli.topterminal import Terminal
from arbees_feed.cli.topview import View
from arbees_feed.cli.waiting import stopped_within
from arbees_feed.config import Settings, redact_url
from arbees_feed.core.wire import MarketPrice
from arbees_feed.supervisor import keep_running

REDRAW_S: Final = 0.25
BURST_S: Final = 0.03
"""Keys that come within this are shown together."""
_SETTLING_S: Final = 6
"""For so long after a start the list is made anew each second: it does not know much yet."""
AHEAD: Final = 100
"""So many markets of the list are prepared for the screen: titles, and where prices have been."""
WARM_S: Final = 2
"""So many seconds of listening it takes to tell rates."""
PAUSE_S: Final = 0.7
"""For so long the reader conflates; then all that has changed is taken at once."""
FIRST_S: Final = 0.3
"""Then each price is looked at as it comes, for its age: until each venue had one, or so long …"""
MORE_S: Final = 0.03
"""… and those of so long after that."""


class Session:
    """Keeps the state filled from Redis, and lists, draws and reports it."""

    def __init__(
        self,
        settings: Settings,
        view: View,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        time_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        reader = self.reader = reader_of(settings.redis)
        self.view = view
        self.state = TopState(reader.book, reader.venues, reader.stats, monotonic())
        self._source = redact_url(url_to_read(settings.redis))
        self._facts = Facts(
            settings.redis, self.state, venues=reader.venues, untitled=self._take_untitled
        )
        self._shown_pairs: Sequence[str] = ()
        self._depth = Depth(settings.redis, self.state.on_book)
        self._pairs = PairFacts(settings.redis, self.state.pairs)
        if view.shows_pairs:
            self._look_at_pairs(())
        self._sleep = sleep
        self._monotonic = monotonic
        self._time_ns = time_ns
        self._listed_s = float("-inf")
        self._listed_for: object = None
        self._shown: Sequence[str] = ()
        self._untitled: list[str] = []

    # -- reading -----------------------------------------------------------------------------------

    async def follow(self) -> None:
        """Read until cancelled, over as many connections as it takes.

        Raises:
            AuthenticationRejected: Redis does not let us read prices.
        """
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read())
            for service in (self._facts, self._depth, self._pairs):
                group.create_task(
                    keep_running(service, policy=POLICY, on_failure=self._note_failure)
                )

    def _note_failure(self, service: str, error: Exception, _delay_s: float) -> None:
        if service == self._facts.name:
            self.state.no_facts = str(error)
        elif service == self._pairs.name:
            self.state.pairs.trouble = str(error)

    async def _read(self) -> None:
        async with entered(self.reader):
            intake = Intake(self.reader)
            while True:
                while self.reader.waiting:
                    self._take((await intake.next())[0])
                    await asyncio.sleep(0)  # what has come meanwhile has waited for us
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(FIRST_S) as end:
                        await self._listen(intake, end)
                await self._sleep(PAUSE_S)

    async def _listen(self, intake: Intake, end: asyncio.Timeout) -> None:
        """Take prices as they come, and how old they are."""
        loop, first = asyncio.get_running_loop(), True
        while True:
            prices, may_be_old = await intake.next()
            if not may_be_old:
                # The first of a venue has waited longest.
                for price in {price.platform: price for price in reversed(prices)}.values():
                    self.state.arrived(price, self._time_ns())
            self._take(prices)
            if first and self.state.lags_known:
                end.reschedule(loop.time() + MORE_S)
                first = False

    def _take(self, prices: Iterable[MarketPrice]) -> None:
        self.state.take(prices, self.reader.take_losses(), self._monotonic())

    def _take_untitled(self) -> Sequence[str]:
        wanted, self._untitled = self._untitled, []
        return wanted

    def tick(self) -> None:
        """Keep averages and the list; call several times a second."""
        now_s = self._monotonic()
        self.state.tick(now_s, self.reader.trouble.removeprefix("redis: "))
        self._list(now_s)

    # -- showing -----------------------------------------------------------------------------------

    def _list(self, now_s: float) -> None:
        view, state = self.view, self.state
        if view.stirred:
            self._facts.seek(view.text)
        # What was joined or found since the last list is in none yet.
        of: object = (state.stats.joins, state.found, len(state.markets) * (not view.place.listed))
        if view.shows_pairs:
            of = (state.pairs.is_whole, len(state.pairs.known) * (not view.place.listed))
        settling = state.warm_s < _SETTLING_S
        # What a search has found does not depend on the time; what pairs are worth does.
        due = now_s - self._listed_s >= (1.0 if settling else RERANK_S)
        due = due and not (view.held or (view.text and not view.shows_pairs))
        if not (due or view.stirred or of != self._listed_for):
            return
        self._listed_for = of
        self.relist()
        if not settling:
            view.place.keep()

    def relist(self) -> None:
        """Put the list in the order of this moment."""
        view, now_s = self.view, self._monotonic()
        self._listed_s = now_s
        view.stirred = False
        if view.shows_pairs:
            view.pairs.listed = self.state.pairs.listed(view.text)
        else:
            view.markets.listed = listed(self.state, view.sort, view.text, now_s)

    def lines(self, width: int, height: int, *, keys: bool) -> list[Line]:
        """Draw the screen, and ask for what is missing on it."""
        now_s, view = self._monotonic(), self.view
        moment = Moment(now_s, self._time_ns(), width, height, self._source, keys)
        lines = screen_lines(self.state, view, moment)
        deep = view.selected() if view.shows_detail else None
        if view.shows_pairs:
            self._depth.look_at(None)
            self._look_at_pairs(view.pairs.window(view.pairs.rows), deep)
            return lines
        self._look(view.markets.window(view.markets.rows), now_s)
        if (selected := view.selected()) is not None:
            self.state.follow([selected])
        self._depth.look_at(deep)
        self._pairs.look_at(Wanted(market=deep))
        return lines

    def report(self, rows: int) -> str:
        """Return one JSON object of what is known, and ask for what is missing in it."""
        now_s = self._monotonic()
        if self.view.shows_pairs:
            self._look_at_pairs(self.view.pairs.listed[:rows])
        self._look(self.view.markets.listed[:rows], now_s)
        return json_line(self.state, self.view, now_s, self._time_ns(), rows)

    def _look(self, shown: Sequence[str], now_s: float) -> None:
        """Note what is shown, and ask for titles; so too for what may be shown next."""
        self._shown = shown
        first = self.view.markets.first
        near = [*self.view.markets.listed[first : first + AHEAD], *shown]
        self.state.follow(near)
        if wanted := self.state.untitled(near, now_s):
            self._untitled = [*self._untitled, *wanted][-AT_ONCE:]
            self._facts.ask()

    def _look_at_pairs(self, shown: Sequence[str], deep: str | None = None) -> None:
        """Ask for these pairs, and for what is known of one that is shown in depth."""
        self._shown_pairs = shown
        self._pairs.look_at(Wanted(listing=True, shown=tuple(shown), pair=deep))

    def is_warm(self) -> bool:
        """Whether enough was heard to tell rates from."""
        return self.state.warm_s >= WARM_S

    def is_titled(self) -> bool:
        """Whether the titles of all that was drawn last are known."""
        if self.view.shows_pairs:
            return self.state.pairs.is_whole and not self.state.pairs.untitled(self._shown_pairs)
        markets = (self.state.market(market_id) for market_id in self._shown)
        return all(market is None or market.meta for market in markets)

    # -- with a terminal ---------------------------------------------------------------------------

    async def show(
        self, terminal: Terminal, keyboard: "Keyboard", wake: asyncio.Event, stop: asyncio.Event
    ) -> None:
        """Draw a few times a second, and at once when a key was pressed or the size has changed."""
        while not stop.is_set() and not self.view.done:
            wake.clear()
            self.tick()
            size = terminal.size()
            if self.view.redraw:
                self.view.redraw = False
                terminal.painter.forget()
            await terminal.show(self.lines(*size, keys=terminal.has_keys), size)
            if not await stopped_within(wake, REDRAW_S):
                keyboard.rest()
            await stopped_within(stop, BURST_S)


class Keyboard:
    """Hands what is typed to a view, and wakes whoever draws it."""

    def __init__(self, view: View, wake: asyncio.Event) -> None:
        self._view = view
        self._wake = wake
        self._keys = Keys()

    def typed(self, data: bytes) -> None:
        """Take what came from the terminal."""
        for key in self._keys.feed(data):
            self._view.press(key)
        self._wake.set()

    def rest(self) -> None:
        """Nothing came for a while: what looked like the start of a sequence was a key."""
        for key in self._keys.flush():
            self._view.press(key)
            self._wake.set()
