"""One connection from its first subscription to its last frame."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
from support.connection import ScriptedConnection, Ticks, idle
from support.kalshi import delta, snapshot, subscribed
from support.kalshi import encoded as kalshi
from support.outlets import FakeClock, Outlets, table_over
from support.polymarket import YES, book
from support.polymarket import encoded as polymarket

from arbees_feed.core.drift import OPENING
from arbees_feed.core.model import ONE_CONTRACT, MarketId, Status
from arbees_feed.core.venue import DecoderOptions
from arbees_feed.errors import ConnectionLost, ProtocolViolation
from arbees_feed.feed.session import TICK_S, Session
from arbees_feed.venues import VENUES

M, N = MarketId("KXAAA"), MarketId("KXBBB")


class Stage:
    """A session of a venue over a scripted connection."""

    def __init__(self, venue: str = "kalshi") -> None:
        self.clock = FakeClock()
        self.outlets = Outlets()
        self.table = table_over(self.outlets, self.clock)
        self.connection = ScriptedConnection(self.clock)
        self.ticks = Ticks(self._advance)
        self.session = Session(
            self.connection,
            VENUES[venue].new_decoder(DecoderOptions()),
            self.table,
            silence_timeout_s=30.0,
            sleep=self.ticks.sleep,
            monotonic=self.clock,
        )

    def _advance(self, seconds: float) -> None:
        self.clock.now_s += seconds

    @asynccontextmanager
    async def running(self, *markets: MarketId) -> AsyncIterator[asyncio.Task[None]]:
        task = asyncio.create_task(self.session.run(markets))
        try:
            await idle()
            yield task
        finally:
            task.cancel()
            await asyncio.wait([task])

    def actions(self) -> list[str]:
        """Return what was sent, by action or command, and forget it."""
        sent = [msgspec.json.decode(frame) for frame in self.connection.sent if frame != b"PING"]
        self.connection.sent.clear()
        return [
            frame.get("params", frame).get("action")
            or frame.get("cmd")
            or frame.get("operation", "opening")
            for frame in sent
        ]


async def test_it_subscribes_first_and_shows_what_comes() -> None:
    stage = Stage()
    async with stage.running(M):
        assert stage.actions() == ["subscribe"]
        stage.connection.feed(kalshi(subscribed()), kalshi(snapshot(1, M, {"0.4800": "3.00"})))
        await idle()
        (quote,) = stage.outlets[M].quotes
        assert (quote.bid, quote.status, quote.ts_recv_ns) == (4_800, Status.LIVE, 7)


async def test_frames_read_in_one_go_are_handled_in_order_and_some_are_timed() -> None:
    stage = Stage()
    async with stage.running(M):
        changes = [delta(seq, M, "0.4800", "1.00") for seq in range(2, 602)]
        opening = snapshot(1, M, {"0.4800": "3.00"})
        stage.connection.feed_together(*map(kalshi, [subscribed(), opening, *changes]))
        await idle()
        quotes = stage.outlets[M].quotes
        assert [quote.bid_size for quote in quotes] == [n * ONE_CONTRACT for n in range(3, 604)]
    timed = OPENING + (602 // 256 - OPENING // 256)
    assert stage.session.stages.decode.count == timed
    assert stage.session.stages.apply.count == timed - 1, "the confirmation makes no event"


async def test_what_a_frame_makes_necessary_is_sent_before_the_next_is_read() -> None:
    stage = Stage()
    async with stage.running(M):
        stage.connection.feed(kalshi(subscribed()), kalshi(snapshot(1, M)))
        await stage.ticks.tick(8)
        stage.actions()
        stage.connection.feed(kalshi(delta(5, M, "0.4800", "1.00")))
        await idle()
        assert stage.actions() == ["get_snapshot"]


async def test_what_the_table_asks_for_is_sent() -> None:
    stage = Stage()
    async with stage.running(M):
        stage.connection.feed(kalshi(subscribed()), kalshi(snapshot(1, M)))
        await stage.ticks.tick(8)
        stage.actions()
        stage.connection.feed(kalshi(delta(2, M, "0.4800", "-1.00")))
        await idle()
        assert stage.actions() == ["get_snapshot"]


async def test_markets_come_and_go_within_a_tick() -> None:
    stage = Stage()
    async with stage.running(M):
        stage.connection.feed(kalshi(subscribed()), kalshi(snapshot(1, M)))
        await idle()
        stage.actions()
        stage.session.add([N])
        stage.session.remove([M])
        await stage.ticks.tick()
        assert stage.actions() == ["add_markets", "delete_markets"]


async def test_keep_alive_goes_by_time() -> None:
    stage = Stage("polymarket")
    async with stage.running(MarketId(YES)):
        stage.connection.feed(polymarket([book({}, {})]))
        await stage.ticks.tick(int(20 / TICK_S) + 1)
        assert stage.connection.sent[1:] == [b"PING"] * 3
        assert stage.connection.sent[0].startswith(b'{"type":"market"')


async def test_a_silent_connection_is_given_up() -> None:
    stage = Stage()
    async with stage.running(M) as task:
        stage.connection.feed(kalshi(subscribed()))
        await idle()
        await stage.ticks.tick(int(30 / TICK_S))
        assert not task.done()
        stage.ticks._allowed.release()
        with pytest.raises(ConnectionLost, match="no frame of any kind in 30 s"):
            await task


async def test_any_frame_is_life() -> None:
    stage = Stage("polymarket")
    async with stage.running() as task:
        for _ in range(5):
            stage.connection.feed(b"PONG")
            await idle()
            await stage.ticks.tick(int(25 / TICK_S))
        assert not task.done()


async def test_a_lost_connection_ends_it_with_that_error() -> None:
    stage = Stage()
    async with stage.running(M) as task:
        stage.connection.end("going away")
        with pytest.raises(ConnectionLost, match="going away"):
            await task


async def test_a_violation_ends_it_with_that_error() -> None:
    stage = Stage()
    async with stage.running(M) as task:
        stage.connection.feed(b"garbage")
        with pytest.raises(ProtocolViolation, match="unreadable frame"):
            await task


async def test_a_close_because_all_is_resolved_closes_the_markets() -> None:
    stage = Stage("polymarket")
    async with stage.running(MarketId(YES)) as task:
        stage.connection.feed(polymarket([book({"0.48": "1"}, {})]))
        stage.connection.end("all subscribed assets resolved")
        with pytest.raises(ConnectionLost):
            await task
    assert [quote.status for quote in stage.outlets[MarketId(YES)].quotes] == [
        Status.LIVE,
        Status.CLOSED,
    ]


async def test_stopping_a_session_is_no_failure_of_it() -> None:
    stage = Stage()
    async with stage.running(M) as task:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
