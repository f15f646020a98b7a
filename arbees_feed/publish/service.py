"""Prices to Redis: encoded at once, written once a wake-up of the loop, never awaited.

While Redis keeps up, every quote is its own message, in order. While it does not (replies
outstanding, socket buffer full, no connection), the newest quote per market waits in `_dirty`, so
memory is bounded by the number of markets; afterwards they are written in the order in which the
markets changed. What was written but not acknowledged is written again after a reconnect.

Rejected: `await redis.publish()` per message (about 80 µs of CPU against 3), redis-py pipelines
(twice the cost of writing the bytes), a queue of messages with a bound (drops the newest or the
oldest, where the right one to keep is the newest of each market).
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec

from arbees_feed.core.book import BookState
from arbees_feed.core.events import Trade
from arbees_feed.core.histogram import LatencyHistogram
from arbees_feed.core.model import MarketId, Quote, Status
from arbees_feed.core.wire import Names, encode_map, price_of
from arbees_feed.publish import resp
from arbees_feed.publish.batches import Unacknowledged
from arbees_feed.publish.outlet import Outlet
from arbees_feed.publish.payloads import depth_payload, trade_payload

MAX_OUTSTANDING = 20_000
"""Commands without a reply beyond which prices are conflated: some 20 ms of Redis time."""

DRAIN_AT_ONCE = 2_000
"""Waiting markets written in one go, so that frames are read in between."""

MIRROR_PHASES = 10
"""The `:quote` hash of a market is written in one tenth of each second, its own."""


class Pipe(Protocol):
    """An open connection that takes commands and counts their replies."""

    server_id: str
    paused: bool

    def write(self, data: bytes) -> None:
        """Hand bytes to the socket; never waits."""

    def abort(self, reason: str) -> None:
        """Give the connection up; `lost` then raises."""

    async def lost(self) -> None:
        """Wait for the end of the connection and raise RedisUnavailable."""


class PipeOwner(Protocol):
    """Who hears of replies."""

    def replies(self, count: int, errors: Sequence[str]) -> None:
        """Take the next *count* replies in order, and the texts of those that are errors."""

    def resumed(self) -> None:
        """The socket takes bytes again."""


Dial = Callable[[PipeOwner], AbstractAsyncContextManager[Pipe]]


class PublisherStats(msgspec.Struct):
    """Counted over the life of the process; plain integers, read by metrics."""

    published: int = 0
    conflated: int = 0
    mirrored: int = 0
    trades: int = 0
    trades_dropped: int = 0
    depths: int = 0
    bytes: int = 0
    batches: int = 0
    redis_errors: int = 0
    connects: int = 0
    last_error: str = ""


class Publisher:
    """Writes the quotes of all venues over one Redis connection.

    `run` holds one connection until it is lost; the supervisor calls it again.
    """

    name = "publisher"

    def __init__(  # each of these is a decision of the composition root
        self,
        dial: Dial,
        names: Names,
        *,
        session: int,
        depth: int = 0,
        io_timeout_s: float = 2.0,
        call_soon: Callable[[Callable[[], None]], object],
        on_new_server: Callable[[], None] = lambda: None,
    ) -> None:
        self._dial = dial
        self._names = names
        self._session = session
        self._depth = depth
        self._io_timeout_s = io_timeout_s
        self._call_soon = call_soon
        self._on_new_server = on_new_server
        self._outlets: dict[tuple[str, MarketId], Outlet] = {}
        self._pipe: Pipe | None = None
        self._server_id = ""
        self.flowing = False
        self._scheduled = False
        self._parts: list[bytes] = []
        self._commands = 0
        self._batch: list[Outlet] = []
        self._written = Unacknowledged()
        self._dirty: dict[Outlet, None] = {}
        self._redo: dict[Outlet, None] = {}
        self._depths: dict[Outlet, None] = {}
        self._mirror: list[dict[Outlet, None]] = [{} for _ in range(MIRROR_PHASES)]
        self._phase = 0
        self._settled: asyncio.Event | None = None
        self.stats = PublisherStats()
        self.publish_latency = LatencyHistogram()
        """Frame read from the socket to message encoded."""
        self.reply_latency = LatencyHistogram()
        """Batch handed to the socket to its last reply."""

    # -- what the feed sees ----------------------------------------------------------------------

    def opener(self, platform: str) -> Callable[[MarketId], Outlet]:
        """Return the function that opens the outlets of a venue's markets."""

        def open_outlet(market: MarketId) -> Outlet:
            key = (platform, market)
            outlet = self._outlets.get(key)
            if outlet is None:
                phase = len(self._outlets) % MIRROR_PHASES
                outlet = Outlet(market, platform, self._names, self, phase)
                self._outlets[key] = outlet
            return outlet

        return open_outlet

    def retire(self, platform: str, market: MarketId, after_s: float) -> None:
        """Forget a market; its keys expire *after_s* seconds after its last price was written."""
        outlet = self._outlets.pop((platform, market), None)
        if outlet is None or outlet.quote is None:
            return
        outlet.retire_s = max(1, round(after_s))
        if outlet.sent is outlet.quote:
            self._expire(outlet)
            self._schedule()

    def _expire(self, outlet: Outlet) -> None:
        self._queue(resp.command("SREM", self._names.markets(outlet.platform), outlet.market))
        for key in (outlet.last_key, outlet.quote_key):
            self._queue(resp.command("EXPIRE", key, outlet.retire_s))

    @property
    def connected(self) -> bool:
        """Whether a Redis connection is open."""
        return self._pipe is not None

    @property
    def waiting(self) -> int:
        """How many markets have a newer price than was written."""
        return len(self._dirty) + len(self._redo)

    @property
    def idle(self) -> bool:
        """Whether all is written and acknowledged."""
        return not (self._dirty or self._redo or self._parts or self._written)

    # -- quotes in -------------------------------------------------------------------------------

    def emit(self, outlet: Outlet, quote: Quote) -> None:
        """Encode and queue a quote now."""
        now_ns = time.time_ns()
        outlet.seq = seq = outlet.seq + 1
        price = price_of(quote, outlet.market, outlet.platform, self._session, seq, now_ns)
        self._parts.append(
            resp.twice_with_payload(outlet.last_start, outlet.price_start, encode_map(price))
        )
        self._commands += 2
        self._batch.append(outlet)
        outlet.sent, outlet.pub_ns, outlet.redo = quote, now_ns, False
        self.stats.published += 1
        if quote.status is Status.LIVE:
            self.publish_latency.observe_ns(now_ns - quote.ts_recv_ns)
        self._mirror[outlet.phase][outlet] = None
        if outlet.retire_s:
            self._expire(outlet)
        elif not outlet.listed:
            outlet.listed = True
            self._queue(resp.command("SADD", self._names.markets(outlet.platform), outlet.market))
        if not self._scheduled:
            self._scheduled = True
            self._call_soon(self._flush)

    def hold(self, outlet: Outlet) -> None:
        """Let a quote wait; one that waited already is replaced."""
        if outlet in self._dirty:
            self.stats.conflated += 1
        else:
            self._dirty[outlet] = None

    def emit_trade(self, outlet: Outlet, trade: Trade, recv_ns: int) -> None:
        """Encode and queue a trade; trades don't wait, as nothing can stand for them."""
        if not self.flowing:
            self.stats.trades_dropped += 1
            return
        self.stats.trades += 1
        payload = trade_payload(trade, outlet.platform, self._session, recv_ns)
        self.send([resp.with_payload(outlet.trade_start, payload)])

    def note_depth(self, outlet: Outlet) -> None:
        """Remember a changed book until the end of this wake-up."""
        self._depths[outlet] = None
        self._schedule()

    def send(self, commands: Sequence[bytes]) -> bool:
        """Queue further commands (status, heartbeats); False if there is no connection."""
        if self._pipe is None:
            return False
        for command in commands:
            self._queue(command)
        self._schedule()
        return True

    def _queue(self, command: bytes) -> None:
        self._parts.append(command)
        self._commands += 1

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._call_soon(self._flush)

    # -- bytes out -------------------------------------------------------------------------------

    def _flush(self) -> None:
        self._scheduled = False
        if self._depths:
            self._queue_depths()
        pipe = self._pipe
        if pipe is None or not self._parts:
            return
        data = b"".join(self._parts)
        self._written.add(self._commands, self._batch, time.monotonic())
        self._parts, self._batch, self._commands = [], [], 0
        self.stats.bytes += len(data)
        self.stats.batches += 1
        pipe.write(data)
        if pipe.paused or self._written.commands > MAX_OUTSTANDING:
            self.flowing = False

    def _queue_depths(self) -> None:
        outlets, self._depths = self._depths, {}
        for outlet in outlets:
            if outlet.depth is None or not self.flowing:
                continue
            book, ts_event_ns, recv_ns = outlet.depth
            if book.state is not BookState.LIVE:
                continue
            self.stats.depths += 1
            times = (ts_event_ns, recv_ns)
            payload = depth_payload(
                book, self._depth, outlet.market, outlet.platform, self._session, times
            )
            self._queue(resp.with_payload(outlet.book_start, payload))

    def replies(self, count: int, errors: Sequence[str]) -> None:
        """Take replies off the batches they belong to; what failed is written again later."""
        if errors:
            self.stats.redis_errors += len(errors)
            self.stats.last_error = errors[-1]
        for batch in self._written.answered(count, failed=bool(errors)):
            self.reply_latency.observe_ns(int((time.monotonic() - batch.written_s) * 1e9))
            if batch.failed:
                self._redo.update(dict.fromkeys(batch.outlets))
        if not self.flowing and self._written.commands < MAX_OUTSTANDING // 2:
            self._drain()
        if self._settled is not None and self.idle:
            self._settled.set()

    def resumed(self) -> None:
        """The socket takes bytes again."""
        self._drain()

    def _drain(self) -> None:
        """Write markets that wait; when none is left, quotes flow again."""
        pipe = self._pipe
        if pipe is None or pipe.paused:
            return
        room = min(DRAIN_AT_ONCE, (MAX_OUTSTANDING - self._written.commands) // 2)
        for outlet in list(self._dirty)[: max(0, room)]:
            del self._dirty[outlet]
            quote = outlet.quote
            if quote is not None and (quote is not outlet.sent or outlet.redo):
                self.emit(outlet, quote)
        self.flowing = not self._dirty
        if self._dirty and room > 0:
            self._call_soon(self._drain)

    # -- time and connections --------------------------------------------------------------------

    def tick(self, now_s: float) -> None:
        """Do what is due; call ten times a second."""
        oldest_s = self._written.oldest_s()
        if oldest_s is not None and now_s - oldest_s > self._io_timeout_s:
            if self._pipe is not None:
                self._pipe.abort(f"no reply in {self._io_timeout_s:g} s")
            return
        self._write_mirror()
        # Once a second: a server that refuses writes (out of memory) is not asked in a hot loop.
        if self._redo and self._pipe is not None and self._phase == 0:
            self._requeue(self._redo)
            self._redo = {}
            self._drain()

    def _write_mirror(self) -> None:
        self._phase = (self._phase + 1) % MIRROR_PHASES
        if not self.flowing:
            return
        outlets, self._mirror[self._phase] = self._mirror[self._phase], {}
        for outlet in outlets:
            if outlet.sent is None:
                continue
            self.stats.mirrored += 1
            fields = resp.quote_fields(
                outlet.sent, outlet.market, outlet.platform, self._session, outlet.seq,
                outlet.pub_ns,
            )  # fmt: skip
            self._queue(resp.command("HSET", outlet.quote_key, *fields))
            if outlet.retire_s:
                self._queue(resp.command("EXPIRE", outlet.quote_key, outlet.retire_s))
        if outlets:
            self._schedule()

    async def finish(self, timeout_s: float) -> bool:
        """Write what waits, mirrors included; return whether all of it was acknowledged in time."""
        for _ in range(MIRROR_PHASES):
            self._write_mirror()
        self._settled = asyncio.Event()
        if self.idle:
            return True
        try:
            async with asyncio.timeout(timeout_s):
                await self._settled.wait()
        except TimeoutError:
            return False
        return True

    async def run(self) -> None:
        """Hold one connection until it is lost.

        Raises:
            RedisUnavailable: always, when the connection ends or none can be made.
        """
        async with self._dial(self) as pipe:
            self._attach(pipe)
            try:
                await pipe.lost()
            finally:
                self._detach()

    def _attach(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self.stats.connects += 1
        if pipe.server_id != self._server_id:
            if self._server_id:
                # Another server, or this one restarted: it may know nothing of what was written.
                self._relist()
                self._on_new_server()
            self._server_id = pipe.server_id
        self._drain()

    def _relist(self) -> None:
        written = {outlet: None for outlet in self._outlets.values() if outlet.sent is not None}
        for outlet in written:
            outlet.listed = False
        self._requeue(written)

    def _requeue(self, outlets: dict[Outlet, None]) -> None:
        for outlet in outlets:
            outlet.redo = True
            self._dirty[outlet] = None

    def _detach(self) -> None:
        self._pipe, self.flowing = None, False
        self._requeue(dict.fromkeys([*self._written.take_all(), *self._batch]))
        self._parts, self._batch, self._commands = [], [], 0
