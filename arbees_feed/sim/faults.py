"""What can go wrong at a venue, on demand. `FaultState` is asked by the venues and REST; `Faults`
(in `control.py`) sets it."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import TypeVar

from aiohttp import web

from arbees_feed.sim.config import Venue

T = TypeVar("T")


@dataclass(slots=True)
class HandshakeRefusal:
    """How WebSocket handshakes are refused, and until when."""

    status: int
    headers: dict[str, str]
    until_ms: int | None
    left: int | None


@dataclass(slots=True)
class RestFault:
    """What happens to REST requests whose path begins with a prefix."""

    venue: Venue
    prefix: str
    left: int
    delay_s: float = 0.0
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    content_type: str = "application/json"
    lost: bool = False
    """The request is carried out, and the connection cut before it is answered."""


@dataclass(slots=True)
class FaultState:
    """The faults in force."""

    clock_ms: Callable[[], int]
    counters: Counter[str]
    drops: Counter[str] = field(default_factory=Counter)
    duplicates: Counter[str] = field(default_factory=Counter)
    frozen_markets: set[str] = field(default_factory=set)
    frozen_venues: set[Venue] = field(default_factory=set)
    handshakes: dict[Venue, HandshakeRefusal] = field(default_factory=dict)
    ignored_commands: Counter[Venue] = field(default_factory=Counter)
    failing_commands: Counter[int] = field(default_factory=Counter)
    rest: list[RestFault] = field(default_factory=list)

    def times_to_send(self, market_id: str) -> int:
        """Return how often the next book frame of a market is sent: 0, 1 or 2 times."""
        if not self.drops and not self.duplicates:
            return 1
        if _used_up(self.drops, market_id):
            self.counters["fault_dropped_frames"] += 1
            return 0
        if _used_up(self.duplicates, market_id):
            self.counters["fault_duplicated_frames"] += 1
            return 2
        return 1

    def refused_handshake(self, venue: Venue) -> web.Response | None:
        """Return the refusal in force for a venue's handshakes."""
        refusal = self.handshakes.get(venue)
        if refusal is None:
            return None
        over = refusal.until_ms is not None and self.clock_ms() >= refusal.until_ms
        if over or refusal.left == 0:
            del self.handshakes[venue]
            return None
        if refusal.left is not None:
            refusal.left -= 1
        self.counters["fault_refused_handshakes"] += 1
        body = {"error": "refused by the simulation"}
        return web.json_response(body, status=refusal.status, headers=refusal.headers)

    def ignores_command(self, venue: Venue) -> bool:
        """Tell whether the next command of a client gets no answer and has no effect."""
        if not _used_up(self.ignored_commands, venue):
            return False
        self.counters["fault_ignored_commands"] += 1
        return True

    def command_error(self) -> int | None:
        """Return the error code that the next Kalshi command gets, None to carry it out."""
        code = next(iter(self.failing_commands), None)
        if code is not None:
            _used_up(self.failing_commands, code)
            self.counters["fault_failed_commands"] += 1
        return code

    def rest_fault(self, venue: Venue, path: str) -> RestFault | None:
        """Return the fault that hits this request, and use it up once."""
        for fault in self.rest:
            if fault.venue == venue and path.startswith(fault.prefix):
                fault.left -= 1
                if not fault.left:
                    self.rest.remove(fault)
                self.counters["fault_rest"] += 1
                return fault
        return None


def retry_after(value: float | str | None, *, as_date: bool, now_ms: int) -> dict[str, str]:
    """Return the header, in seconds or as an HTTP date; none without a value."""
    if value is None:
        return {}
    if as_date:
        return {"Retry-After": formatdate(now_ms / 1000 + float(value), usegmt=True)}
    return {"Retry-After": f"{value}"}


def _used_up(counter: Counter[T], key: T) -> bool:
    """Count one off, if any is left."""
    if key not in counter:
        return False
    counter[key] -= 1
    if counter[key] <= 0:
        del counter[key]
    return True
