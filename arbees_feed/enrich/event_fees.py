"""Fees of single events: looked up anew once the stream says that they have changed.

REST lags behind the stream, and pages of a listing that is under way may be older still, so an
event is looked at soon, a little later, and once more when no cache can have the old answer.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing

import structlog

from arbees_feed.core.text import is_name
from arbees_feed.core.venue import Catalogue, Found
from arbees_feed.enrich.checked import checked
from arbees_feed.enrich.crawl import Fetcher, crawl, is_worth_repeating
from arbees_feed.enrich.timing import REAL_TIME, Timing
from arbees_feed.errors import AuthenticationRejected, RequestFailed

_log = structlog.get_logger("arbees_feed.enrich")

LOOKS_S = (0.5, 5.0, 30.0)
"""After the news; all news of an event until the first of them is one piece of news."""
FAILURES_IN_A_ROW = 3
"""After so many of one event only the looks that are planned are left: failures of one address may
stop all requests to its like, which the listings need."""
EVENTS_KEPT = 100
"""A look is a request, so that more than these are found sooner by a full listing."""
LISTING_AFTER_S = 20.0
"""By then no cache has an answer from before the news."""
LISTINGS_APART_S = 300.0
"""A flood of news is no reason to list without end."""
_IDLE_S = 3600.0


class Looks:
    """Which event is to be looked at when. Pure."""

    def __init__(self, after_s: Sequence[float] = LOOKS_S) -> None:
        """Plan looks so many seconds after each piece of news, in ascending order."""
        self._after_s = after_s
        self._due_s: dict[str, list[float]] = {}
        self._failures: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._due_s)

    def plan(self, event: str, now_s: float) -> None:
        """Look at *event* from now on; a look that is due sooner stays so."""
        planned = [now_s + after_s for after_s in self._after_s]
        known = self._due_s.get(event, planned)
        self._due_s[event] = [min(known[0], planned[0]), *planned[1:]]

    def failed(self, event: str, now_s: float) -> None:
        """Look at *event* again, after all others that are due, unless it fails time and again."""
        failures = self._failures.get(event, 0) + 1
        if failures < FAILURES_IN_A_ROW:
            self._due_s[event] = [now_s, *self._due_s.get(event, ())]
        if event in self._due_s:
            self._failures[event] = failures
        else:
            self.answered(event)

    def answered(self, event: str) -> None:
        """Take note that the row of failed looks at *event*, if any, has ended."""
        self._failures.pop(event, None)

    def take(self, now_s: float) -> str | None:
        """Return the event whose look has been due longest, or None; that look is no more."""
        event = min(self._due_s, key=self._first_s, default=None)
        if event is None or self._first_s(event) > now_s:
            return None
        left = [due_s for due_s in self._due_s.pop(event) if due_s > now_s]
        if left:
            self._due_s[event] = left
        return event

    def next_s(self) -> float:
        """Return when the next look is due; infinite: there is none."""
        return min(map(self._first_s, self._due_s), default=float("inf"))

    def clear(self) -> None:
        """Look at none of them."""
        self._due_s.clear()
        self._failures.clear()

    def _first_s(self, event: str) -> float:
        return self._due_s[event][0]


class Relists:
    """When a full listing is to tell what no look will. Pure."""

    def __init__(self) -> None:
        self._due_s = float("inf")
        self._made_s = self._wanted_s = float("-inf")

    def want(self, now_s: float) -> bool:
        """Plan one, late enough for news of now; return whether none was planned."""
        is_first = self._due_s == float("inf")
        earliest_s = self._made_s + LISTINGS_APART_S
        self._due_s = min(self._due_s, max(now_s + LISTING_AFTER_S, earliest_s))
        self._wanted_s = now_s
        return is_first

    def take(self, now_s: float) -> bool:
        """Return whether one is due; it is not any more then."""
        if now_s < self._due_s:
            return False
        self._due_s, self._made_s = float("inf"), now_s
        if now_s < self._wanted_s + LISTING_AFTER_S:
            # A cache may keep the newest of the news from this one.
            self.want(self._wanted_s)
        return True

    def next_s(self) -> float:
        """Return when the next one is due; infinite: there is none."""
        return self._due_s


class EventFees:
    """Looks at the events that it is told of; a service."""

    def __init__(
        self,
        catalogue: Catalogue,
        fetcher: Fetcher,
        *,
        correct: Callable[[Found], None],
        relist: Callable[[], None],
        timing: Timing = REAL_TIME,
    ) -> None:
        """Be ready to run.

        *correct* takes an event and its markets as they are now; *relist* is called instead when
        too many events have changed to look at each.
        """
        self._catalogue = checked(catalogue)
        self._fetcher = fetcher
        self._correct = correct
        self._relist = relist
        self._timing = timing
        self._looks = Looks()
        self._relists = Relists()
        self._wake = asyncio.Event()

    def changed(self, event: str) -> None:
        """Take note that the fees of *event* have changed; never waits."""
        if not is_name(event):
            return
        now_s = self._timing.monotonic()
        self._looks.plan(event, now_s)
        if len(self._looks) > EVENTS_KEPT:
            self._looks.clear()
            if self._relists.want(now_s):
                _log.info("fees of many events have changed: a full listing follows")
        self._wake.set()

    async def run(self) -> None:
        """Look whenever it is time, until cancelled.

        Raises:
            RetryableError: a request failed or its answer can't be read; run again to go on.
            AuthenticationRejected: the venue refuses us.
        """
        while True:
            now_s = self._timing.monotonic()
            if self._relists.take(now_s):
                self._relist()
            elif (event := self._looks.take(now_s)) is not None:
                await self._look(event)
            else:
                wait_s = min(self._looks.next_s(), self._relists.next_s()) - now_s
                await self._timing.wait(self._wake, min(wait_s, _IDLE_S))
                self._wake.clear()

    async def _look(self, event: str) -> None:
        may_pass = False
        try:
            async with aclosing(crawl(self._catalogue.fees([event]), self._fetcher)) as findings:
                async for found in findings:
                    self._correct(found)
        except RequestFailed as exc:
            may_pass = is_worth_repeating(exc)
            raise
        except AuthenticationRejected:
            # A person may repair the key meanwhile.
            may_pass = True
            raise
        finally:
            if may_pass:
                self._looks.failed(event, self._timing.monotonic())
            else:
                self._looks.answered(event)
