"""Prices to Redis: encoded at once, written once a wake-up of the loop, never awaited.

While Redis keeps up, every quote is its own message, in order. While it does not (replies
outstanding or late, socket buffer full, no connection), the newest quote per market waits in
`_dirty`, so memory is bounded by the number of markets; afterwards they are written in the order in
which the markets changed. What was written but not acknowledged is written again after a reconnect.

Rejected: `await redis.publish()` per message (about 80 µs of CPU against 3), redis-py pipelines
(twice the cost of writing the bytes), a queue of messages with a bound (drops the newest or the
oldest, where the right one to keep is the newest of each market).
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from arbees_feed.core.events import Trade
from arbees_feed.core.histogram import LatencyHistogram
from arbees_feed.core.model import STATUS_LIVE, MarketId, Quote
from arbees_feed.core.wire import Names
from arbees_feed.errors import AuthenticationRejected, RedisUnavailable
from arbees_feed.publish import resp
from arbees_feed.publish.batches import Batch, Draft, Kind, Unacknowledged
from arbees_feed.publish.depths import Depths
from arbees_feed.publish.mirror import MIRROR_PHASES, TRIED_AT_ONCE, WRITTEN_AT_ONCE, Mirrors
from arbees_feed.publish.outlet import Outlet
from arbees_feed.publish.outlets import Outlets
from arbees_feed.publish.payloads import price_commands, trade_payload
from arbees_feed.publish.pipe import Dial, Pipe, Refusal
from arbees_feed.publish.refused import Refused
from arbees_feed.publish.stats import PublisherStats
from arbees_feed.publish.trouble import Trouble
from arbees_feed.publish.waiting import Waiting
from arbees_feed.publish.window import Window

DRAIN_AT_ONCE = 2_000
"""Waiting markets written in one go, so that frames are read in between."""
TRY_EVERY_PHASES = 5
"""Tenths of a second from one try to the next."""
LATE_S = 0.25
"""A write without reply for so long: prices are conflated until Redis answers."""


class Publisher:
    """Writes the quotes of all venues over one Redis connection.

    `run` holds one connection until it is lost; the supervisor calls it again.
    """

    name = "publisher"

    def __init__(  # noqa: PLR0913 - each of these is a decision of the composition root
        self,
        dial: Dial,
        names: Names,
        *,
        session: int,
        depth: int = 0,
        io_timeout_s: float = 2.0,
        call_soon: Callable[[Callable[[], None]], object],
        on_new_server: Callable[[], None] = lambda: None,
        use_compiled: bool = True,
    ) -> None:
        self._dial = dial
        self._names = names
        self._session = session
        self._io_timeout_s = io_timeout_s
        self._call_soon = call_soon
        self._on_new_server = on_new_server
        self.outlets = Outlets(names, self, MIRROR_PHASES)
        self._pipe: Pipe | None = None
        self._server_id = ""
        self.flowing = False
        self._scheduled = False
        self._draft = Draft()
        self._commands = price_commands(session, use_compiled=use_compiled)
        self.written = Unacknowledged()
        self._window = Window()
        self._replied_s = 0.0
        self._dirty = Waiting()
        self._depths = Depths(depth, session)
        self._mirrors = Mirrors(names, session)
        self._refused = Refused(session, self._mirrors)
        self._phase = 0
        self._settled: asyncio.Event | None = None
        self.stats = PublisherStats()
        self.trouble = Trouble()
        self.publish_latency = LatencyHistogram()
        """Frame read from the socket to message encoded."""
        self.reply_latency = LatencyHistogram()
        """Batch handed to the socket to its last reply."""

    # -- what the feed sees ----------------------------------------------------------------------

    def opener(self, platform: str) -> Callable[[MarketId], Outlet]:
        """Return the function that opens the outlets of a venue's markets."""
        return self.outlets.opener(platform)

    def knows(self, platform: str, market: MarketId) -> bool:
        """Tell whether this process has something to write of a market, or had a while ago."""
        return (platform, market) in self.outlets

    def retire(self, platform: str, market: MarketId, after_s: float) -> None:
        """Forget a market; its keys expire *after_s* seconds after its last price was written."""
        outlet = self.outlets.retire((platform, market), after_s, time.monotonic())
        if outlet is None or outlet.sent is None:
            return
        if self.flowing and outlet.sent is outlet.quote:
            self._write_mirrors([outlet])
        else:
            self._mirrors.again(outlet)

    def write_again(self, outlets: Iterable[Outlet]) -> None:
        """Write these markets once more: Redis may know nothing of them."""
        for outlet in outlets:
            outlet.redo, outlet.listed, outlet.kept = True, False, False
            self._dirty.add(outlet)
        self._call_soon(self._drain)

    def write_all_again(self) -> None:
        """Write everything once more: this is another Redis, or it was emptied."""
        self.write_again(self.outlets.written())
        self._on_new_server()

    @property
    def connected(self) -> bool:
        """Whether a Redis connection is open."""
        return self._pipe is not None

    @property
    def waiting(self) -> int:
        """How many markets have a newer price than Redis was told or has kept."""
        return len({*self._dirty, *self._refused.lasts})

    @property
    def problem(self) -> str:
        """What is wrong with Redis now, in words; empty while it takes everything in time."""
        now_s = time.monotonic()
        if text := self.trouble.text(now_s):
            return text
        if behind := self._dirty.behind(now_s):
            return f"slow: {behind}"
        lag_s = self.written.lag_s(now_s)
        return f"slow: no reply for {lag_s:.1f} s" if lag_s > LATE_S else ""

    @property
    def idle(self) -> bool:
        """Whether all prices are written and acknowledged."""
        return not (self._dirty or self._refused.lasts or self._draft.parts or self.written)

    # -- quotes in -------------------------------------------------------------------------------

    def emit(self, outlet: Outlet, quote: Quote) -> None:
        """Encode and queue a quote now."""
        now_ns = time.time_ns()
        outlet.seq = seq = outlet.seq + 1
        draft = self._draft
        draft.outlets.append(outlet)
        draft.starts.append(draft.commands)
        draft.commands += 2
        draft.parts.append(self._commands(outlet, quote, seq, now_ns))
        outlet.sent, outlet.pub_ns, outlet.redo = quote, now_ns, False
        self.stats.published += 1
        if quote.status is STATUS_LIVE:
            self.publish_latency.observe_ns(now_ns - quote.ts_recv_ns)
        self._mirrors.due[outlet.phase][outlet] = None
        if not outlet.listed and not outlet.retire_s:
            outlet.listed = True
            draft.add(resp.command("SADD", self._names.markets(outlet.platform), outlet.market))
        if not self._scheduled:
            self._scheduled = True
            self._call_soon(self._flush)

    def hold(self, outlet: Outlet) -> None:
        """Let a quote wait; one that waited already is replaced."""
        self.stats.conflated += not self._dirty.add(outlet)

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
        self._depths.note(outlet)
        self._schedule()

    def send(self, commands: Sequence[bytes]) -> bool:
        """Queue status and heartbeats; False if Redis is away, or too far behind for them."""
        now_s = time.monotonic()
        late = self.written.lag_s(now_s) > self._io_timeout_s or self._dirty.behind(now_s)
        if self._pipe is None or late:
            return False
        for command in commands:
            self._draft.add(command)
        self._schedule()
        return True

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._call_soon(self._flush)

    # -- bytes out -------------------------------------------------------------------------------

    def _flush(self) -> None:
        self._scheduled = False
        if self._depths:
            self.stats.depths += self._depths.put_in(self._draft, flowing=self.flowing)
        self._write(Kind.PRICES)

    def _write(self, kind: Kind) -> None:
        pipe, draft = self._pipe, self._draft
        if pipe is None or not draft.parts:
            return
        data = b"".join(draft.parts)
        self.written.add(kind, draft, time.monotonic())
        draft.clear()
        self.stats.bytes += len(data)
        self.stats.batches += 1
        pipe.write(data)
        if pipe.paused or self.written.commands > self._window.limit:
            self.flowing = False

    def replies(self, count: int, errors: Sequence[Refusal]) -> None:
        """Take replies off the batches they belong to; what was refused is written again."""
        self._replied_s = now_s = time.monotonic()
        if errors:
            self.trouble.refused(errors, now_s)
            self.stats.redis_errors = self.trouble.kinds.total()
        for batch in self.written.answered(count, errors):
            took_ns = int((now_s - batch.written_s) * 1e9)
            self.reply_latency.observe_ns(took_ns)
            self._window.answered(took_ns)
            if batch.refused is not None or self._refused:
                self._judge(batch)
        room = self.written.commands < self._window.limit // 2
        if not self.flowing and room and self.written.lag_s(now_s) < LATE_S:
            self._drain()
        if self._settled is not None:
            self._settle(self._settled)

    def resumed(self) -> None:
        """The socket takes bytes again."""
        self._drain()

    def _drain(self) -> None:
        """Write markets that wait; when none is left, quotes flow again."""
        pipe = self._pipe
        if pipe is None or pipe.paused or self._refused.prices:
            return
        room = min(DRAIN_AT_ONCE, (self._window.limit - self.written.commands) // 2)
        self._write_waiting(room)
        self.flowing = not self._dirty
        if self._dirty and room > 0:
            self._call_soon(self._drain)

    def _write_waiting(self, most: int) -> None:
        for outlet in self._dirty.take(most):
            self._refused.lasts.pop(outlet, None)
            quote = outlet.quote
            if quote is not None and (quote is not outlet.sent or outlet.redo):
                self.emit(outlet, quote)

    # -- what Redis refused ----------------------------------------------------------------------

    def _judge(self, batch: Batch) -> None:
        self.write_again(self._refused.judge(batch))
        if self._refused.prices:
            self.flowing = False
        if batch.kind is Kind.LASTS and batch.refused is None:
            self._rewrite_lasts(DRAIN_AT_ONCE)

    def _try_again(self) -> None:
        """Write a little of what was refused; if it is taken, the rest follows at once."""
        if self._refused.prices:
            self._refused.prices = bool(self._dirty)
            self._write_waiting(TRIED_AT_ONCE)
            self._drain()
        self._rewrite_lasts(TRIED_AT_ONCE)

    def _rewrite_lasts(self, most: int) -> None:
        if self._refused.lasts and self._pipe is not None and not self._pipe.paused:
            self._flush()
            self.stats.rewritten += self._refused.put_lasts_in(self._draft, most, self._dirty)
            self._write(Kind.LASTS)

    # -- time and connections --------------------------------------------------------------------

    def tick(self, now_s: float) -> None:
        """Do what is due; call ten times a second."""
        self._phase = (self._phase + 1) % MIRROR_PHASES
        if self._phase == 0:
            self.trouble.look(now_s)
            self.outlets.forget_expired(now_s)
        pipe = self._pipe
        if pipe is None:
            return
        lag_s = self.written.lag_s(now_s)
        # Silence is judged, not age: over a slow link replies are late, and come.
        if min(lag_s, now_s - self._replied_s) > self._io_timeout_s:
            pipe.abort(f"no reply in {self._io_timeout_s:g} s")
            return
        if lag_s > LATE_S:
            self.flowing = False
        if self._phase % TRY_EVERY_PHASES == 0:
            self._try_again()
        self._write_phase(self._phase, len(self._mirrors.due[self._phase]))

    def _write_phase(self, phase: int, due: int, at_once: int = WRITTEN_AT_ONCE) -> None:
        """Write *due* hashes of a phase, so many at once, so that frames are read in between."""
        if self._pipe is None or self._pipe.paused or self._refused.prices:
            return
        outlets = self._mirrors.take(phase, min(due, at_once), flowing=self.flowing)
        if outlets:
            self._write_mirrors(outlets)
        if len(outlets) == at_once:
            self._call_soon(partial(self._write_phase, phase, due - at_once))

    def _write_mirrors(self, outlets: Sequence[Outlet]) -> None:
        self._flush()
        self._mirrors.put_in(self._draft, outlets)
        self.stats.mirrored += len(outlets)
        self._write(Kind.MIRRORS)

    async def finish(self, timeout_s: float) -> bool:
        """Write what waits, mirrors included; return whether all of it was acknowledged in time."""
        self._settled = asyncio.Event()
        self._settle(self._settled)
        try:
            async with asyncio.timeout(timeout_s):
                await self._settled.wait()
        except TimeoutError:
            return False
        return True

    def _settle(self, settled: asyncio.Event) -> None:
        if not self._mirrors.refused:  # else the clock tries, a few at a time
            for phase in range(MIRROR_PHASES):
                due = len(self._mirrors.due[phase])
                self._write_phase(phase, due, at_once=due + 1)
        if self.idle and not self._mirrors:
            settled.set()

    async def run(self) -> None:
        """Hold one connection until it is lost.

        Raises:
            RedisUnavailable: when the connection ends or none can be made.
            AuthenticationRejected: the server has never let us in.
        """
        try:
            async with self._dial(self) as pipe:
                self._attach(pipe)
                try:
                    await pipe.lost()
                finally:
                    self._detach()
        except (RedisUnavailable, AuthenticationRejected) as exc:
            self.trouble.lost(str(exc))
            if self.stats.connects and isinstance(exc, AuthenticationRejected):
                # It has let us in before: somebody is changing passwords, and every second counts.
                raise RedisUnavailable(str(exc)) from exc
            raise

    def _attach(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self._refused.prices = self._mirrors.refused = False
        self.trouble.connected()
        self.stats.connects += 1
        if not pipe.server_id or pipe.server_id != self._server_id:
            if self.stats.connects > 1:
                # Another server, or this one restarted: it may know nothing of what was written.
                self.write_all_again()
            self._server_id = pipe.server_id
        self._drain()
        self._rewrite_lasts(DRAIN_AT_ONCE)

    def _detach(self) -> None:
        self._pipe, self.flowing = None, False
        for batch in self.written.take_all():
            self._take_back(batch.kind, batch.outlets)
        self._take_back(Kind.PRICES, self._draft.outlets)
        self._draft.clear()

    def _take_back(self, kind: Kind, outlets: Iterable[Outlet]) -> None:
        if kind is Kind.PRICES:
            self.write_again(outlets)
            return
        for outlet in outlets:
            if kind is Kind.LASTS:
                self._refused.lasts[outlet] = None
            else:
                self._mirrors.again(outlet)
