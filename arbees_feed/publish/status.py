"""The state of the feed itself, so that readers can tell a quiet market from a dead feed."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Protocol

import structlog

from arbees_feed.core.model import VenueState
from arbees_feed.core.text import clean
from arbees_feed.core.wire import Names, encode_map
from arbees_feed.publish import resp

_log = structlog.get_logger("arbees_feed.status")

HEARTBEAT_S = 1.0
LOOK_S = 0.1
_REASON_CHARS = 500
_FIELD_CHARS = 2_000
LIFETIME_S = 10
"""`feed:venue:<venue>` is gone so long after the daemon died."""


class Reporter(Protocol):
    """A venue, as the status board sees it."""

    @property
    def venue(self) -> str:
        """The venue's name."""

    def state(self) -> tuple[VenueState, str]:
        """Return the state now and the reason for it."""

    def fields(self) -> Mapping[str, str]:
        """Return counters and facts for `feed:venue:<venue>`, as text."""


Send = Callable[[Sequence[bytes]], bool]


class StatusBoard:
    """Publishes venue states on change and once a second; a service."""

    name = "status"

    def __init__(
        self,
        reporters: Sequence[Reporter],
        send: Send,
        names: Names,
        session: int,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        may_begin: Callable[[str], bool] = lambda _: True,
    ) -> None:
        """Be ready to run; nothing is told of a venue before *may_begin* says so once."""
        self._reporters = reporters
        self._send = send
        self._names = names
        self._session = session
        self._sleep = sleep
        self._monotonic = monotonic
        self._may_begin = may_begin
        self._told: dict[str, tuple[VenueState, str]] = {}

    async def run(self) -> None:
        """Look ten times a second for changes; a heartbeat goes out each second anyway."""
        due_s = 0.0
        while True:
            now_s = self._monotonic()
            if now_s >= due_s:
                due_s = now_s + HEARTBEAT_S
                for reporter in self._begun():
                    self._tell(reporter, *reporter.state())
            else:
                self._tell_changes()
            await self._sleep(LOOK_S)

    def _begun(self) -> Iterator[Reporter]:
        for reporter in self._reporters:
            if reporter.venue in self._told or self._may_begin(reporter.venue):
                yield reporter

    def _tell_changes(self) -> None:
        for reporter in self._begun():
            state, reason = reporter.state()
            told = self._told.get(reporter.venue)
            if told is None or told[0] is not state:
                self._tell(reporter, state, reason)

    def _tell(self, reporter: Reporter, state: VenueState, reason: str) -> None:
        venue, reason = reporter.venue, clean(reason, _REASON_CHARS)
        before = self._told.get(venue)
        if before is None or before[0] is not state:
            _log.info("venue state", venue=venue, state=state.value, reason=reason)
        self._told[venue] = (state, reason)
        now_ns = time.time_ns()
        message = {
            "venue": venue,
            "state": state.value,
            "reason": reason,
            "session": self._session,
            "ts_ns": now_ns,
        }
        key = self._names.venue(venue)
        fields = {
            "venue": venue,
            "state": state.value,
            "reason": reason,
            "session": str(self._session),
            "updated_at": resp.rfc3339(now_ns),
            **{name: clean(text, _FIELD_CHARS) for name, text in reporter.fields().items()},
        }
        self._send(
            [
                # Together or not at all: a server that is out of memory refuses HSET and takes
                # EXPIRE, and would keep alive what says that `:last` is to be believed.
                resp.command("MULTI"),
                resp.command("HSET", key, *(word for pair in fields.items() for word in pair)),
                resp.command("EXPIRE", key, LIFETIME_S),
                resp.command("EXEC"),
                resp.command("PUBLISH", self._names.status(), encode_map(message)),
            ]
        )

    def say_stopped(self, reason: str) -> None:
        """Tell readers that nobody feeds these venues any more, and take their keys away."""
        for reporter in self._reporters:
            self._tell(reporter, VenueState.STOPPED, reason)
            self._send([resp.command("DEL", self._names.venue(reporter.venue))])
