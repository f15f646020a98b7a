"""What can go wrong at a venue, on demand. `FaultState` is asked by the venues and REST; `Faults`
(in `control.py`) sets it."""

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Literal, TypeVar

from aiohttp import web

from arbees_feed.sim.config import Venue

FrameFault = Literal["drop", "duplicate", "reorder", "corrupt", "omit"]

COUNTED_AS: Mapping[FrameFault, str] = {
    "drop": "fault_dropped_frames",
    "duplicate": "fault_duplicated_frames",
    "reorder": "fault_reordered_frames",
    "corrupt": "fault_corrupted_levels",
    "omit": "fault_omitted_levels",
}
T = TypeVar("T")


@dataclass(slots=True)
class HandshakeRefusal:
    """How WebSocket handshakes are refused, and until when."""

    status: int
    headers: dict[str, str]
    until_ms: int | None
    left: int | None


@dataclass(slots=True)
class HandshakeDelay:
    """How long WebSocket handshakes wait, unless the fault ends."""

    seconds: float
    left: int
    over: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class CommandFault:
    """The error that the next Kalshi commands get, and whether they take effect all the same."""

    code: int
    left: int
    carried_out: bool


@dataclass(slots=True)
class RestFault:
    """What happens to REST requests whose path begins with a prefix."""

    name: str
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
    frames: dict[str, Counter[FrameFault]] = field(default_factory=dict)
    wrong_hashes: Counter[str] = field(default_factory=Counter)
    frozen_markets: dict[str, bool] = field(default_factory=dict)
    """Frozen markets, and whether questions about them are answered."""
    frozen_venues: dict[Venue, bool] = field(default_factory=dict)
    omitted_markets: set[str] = field(default_factory=set)
    holes: set[Venue] = field(default_factory=set)
    handshakes: dict[Venue, HandshakeRefusal] = field(default_factory=dict)
    handshake_delays: dict[Venue, HandshakeDelay] = field(default_factory=dict)
    ignored_commands: Counter[Venue] = field(default_factory=Counter)
    failing_commands: list[CommandFault] = field(default_factory=list)
    rest: list[RestFault] = field(default_factory=list)

    def frame_fault(self, market_id: str, *, grows: bool, is_deep: bool) -> FrameFault | None:
        """Return what befalls the next book frame of a market, and use it up once.

        Only a level that is there after the change can be told wrong, and only one that is not
        the best can be left out unnoticed.
        """
        fits = {"corrupt": grows, "omit": is_deep}
        waiting = self.frames.get(market_id)
        if waiting is None:
            return None
        fault = next((fault for fault in waiting if fits.get(fault, True)), None)
        if fault is not None:
            _used_up(waiting, fault)
            self.counters[COUNTED_AS[fault]] += 1
        return fault

    def tells_wrong_hash(self, market_id: str) -> bool:
        """Tell whether the next hashes of a market are wrong, and use it up once."""
        if not _used_up(self.wrong_hashes, market_id):
            return False
        self.counters["fault_wrong_hashes"] += 1
        return True

    async def handshake_due(self, venue: Venue) -> None:
        """Wait as long as a handshake with a venue has to."""
        delay = self.handshake_delays.get(venue)
        if delay is None or not delay.left:
            return
        delay.left -= 1
        self.counters["fault_slow_handshakes"] += 1
        try:
            async with asyncio.timeout(None if math.isinf(delay.seconds) else delay.seconds):
                await delay.over.wait()
        except TimeoutError:
            return

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

    def command_fault(self) -> CommandFault | None:
        """Return the error that the next Kalshi command gets, and use it up once."""
        if not self.failing_commands:
            return None
        fault = self.failing_commands[0]
        fault.left -= 1
        if not fault.left:
            del self.failing_commands[0]
        self.counters["fault_failed_commands"] += 1
        return fault

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
