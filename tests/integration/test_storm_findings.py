"""What storms have found, each in its smallest form."""

import asyncio
import gc
import weakref
from collections.abc import Sequence

import pytest
from support.connection import ScriptedConnection, Ticks, idle
from support.kalshi import delta, snapshot, subscribed
from support.kalshi import encoded as kalshi
from support.outlets import FakeClock, Outlets, RecordingLink, table_over
from support.polymarket import NO, T0_MS, YES, book, entry, price_change
from support.polymarket import encoded as polymarket
from support.probing import session_over

from arbees_feed.core.events import BookLost, BookSnapshot, BookTold, Event, TopOfBook
from arbees_feed.core.model import ONE_CONTRACT, MarketId
from arbees_feed.core.venue import DecoderOptions
from arbees_feed.errors import ConnectionLost, ProtocolViolation
from arbees_feed.feed.market import Hooks, MarketsConfig
from arbees_feed.feed.prober import ProbeOptions, Prober
from arbees_feed.feed.session import TICK_S, Session
from arbees_feed.sim import SimConfig, SimServer
from arbees_feed.supervisor import keep_running
from arbees_feed.venues import VENUES
from arbees_feed.venues.kalshi.decoder import KalshiDecoder
from arbees_feed.venues.polymarket.decoder import PolymarketDecoder

M = MarketId("KXAAA")
TOKEN = MarketId(YES)
S = 1_000_000_000


def kalshi_with_book() -> KalshiDecoder:
    decoder = KalshiDecoder(DecoderOptions())
    decoder.tick(1.0)
    decoder.start([M])
    decoder.receive(kalshi(subscribed()))
    decoder.receive(kalshi(snapshot(1, M, {"0.4800": "3.00"}, {"0.4800": "7.00"})))
    decoder.outbox.clear()
    return decoder


def polymarket_with_book(ts_ms: int = T0_MS) -> PolymarketDecoder:
    decoder = PolymarketDecoder(DecoderOptions())
    decoder.tick(1.0)
    decoder.start([TOKEN])
    decoder.receive(polymarket(book({"0.48": "30"}, {"0.52": "25"}, ts_ms=ts_ms)))
    decoder.outbox.clear()
    return decoder


def is_doubted(events: Sequence[Event], outbox: list[bytes]) -> bool:
    """Tell whether the book was given up, or is made anew."""
    return any(isinstance(event, BookLost) for event in events) or bool(outbox)


# -- an opening frame that had no effect -----------------------------------------------------------


def test_a_polymarket_socket_whose_opening_frame_was_lost_is_given_up() -> None:
    decoder = PolymarketDecoder(DecoderOptions())
    decoder.tick(0.0)
    decoder.start([TOKEN])
    decoder.outbox.clear()  # the venue never takes it
    with pytest.raises(ProtocolViolation, match="opening frame"):
        refuse_all(decoder, seconds=60)


def refuse_all(decoder: PolymarketDecoder, seconds: int) -> None:
    """Answer as the venue does while it has had no opening frame."""
    for quarter in range(4 * seconds):
        decoder.tick(quarter / 4)
        for frame in decoder.outbox:
            decoder.receive(b"PONG" if frame == b"PING" else b"INVALID OPERATION")
        decoder.outbox.clear()


async def test_what_a_venue_says_of_our_commands_is_no_data() -> None:
    clock = FakeClock()
    connection = ScriptedConnection(clock)
    ticks = Ticks(lambda _: None)
    session = Session(
        connection,
        PolymarketDecoder(DecoderOptions()),
        table_over(Outlets(), clock),
        silence_timeout_s=30.0,
        sleep=ticks.sleep,
        monotonic=clock,
    )
    task = asyncio.create_task(session.run([TOKEN]))
    await idle()
    connection.feed(b"SOMETHING UNHEARD OF")
    await idle()
    spoken = session.has_spoken
    task.cancel()
    await asyncio.wait([task])
    assert not spoken


async def test_a_connection_that_is_dead_from_the_start_is_ended_soon() -> None:
    clock = FakeClock()
    connection = ScriptedConnection(clock)

    def advance(seconds: float) -> None:
        clock.now_s += seconds

    ticks = Ticks(advance)
    spec = VENUES["polymarket"]
    session = Session(
        connection,
        spec.new_decoder(DecoderOptions()),
        table_over(Outlets(), clock),
        silence_timeout_s=spec.silence_timeout_s,
        sleep=ticks.sleep,
        monotonic=clock,
    )
    task = asyncio.create_task(session.run([TOKEN]))
    await ticks.tick(round(9.75 / TICK_S))
    assert not task.done()
    for _ in range(3):
        ticks._allowed.release()
    with pytest.raises(ConnectionLost, match="no frame of any kind"):
        await task


# -- changes that are dropped while their book stays live ------------------------------------------


@pytest.mark.parametrize("behind_ms", [1_500, 30_000])
def test_a_change_older_than_a_book_that_is_no_opening_book_any_more_is_not_dropped_in_silence(
    behind_ms: int,
) -> None:
    """The venue's clock was set back: all that follows looks old."""
    decoder = polymarket_with_book()
    for step in range(1, 21):
        decoder.tick(1.0 + step)
        change = entry("BUY", "0.48", str(30 + step), "0.48", "0.52")
        decoder.receive(polymarket(price_change(change, ts_ms=T0_MS + 1_000 * step)))
    decoder.outbox.clear()
    change = entry("BUY", "0.50", "40", "0.50", "0.52")
    told = decoder.receive(polymarket(price_change(change, ts_ms=T0_MS + 20_000 - behind_ms)))
    assert is_doubted(told, decoder.outbox)


def test_a_duplicate_that_comes_a_moment_late_is_no_doubt() -> None:
    decoder = polymarket_with_book()
    for step in range(1, 21):
        decoder.tick(1.0 + step)
        change = entry("BUY", "0.48", str(30 + step), "0.48", "0.52")
        decoder.receive(polymarket(price_change(change, ts_ms=T0_MS + 1_000 * step)))
    decoder.outbox.clear()
    change = entry("BUY", "0.48", "49", "0.48", "0.52")
    told = decoder.receive(polymarket(price_change(change, ts_ms=T0_MS + 19_880)))
    assert not is_doubted(told, decoder.outbox)


def test_an_opening_book_from_the_future_does_not_silence_its_token() -> None:
    """The last change before it was made while the venue's clock was 30 s ahead."""
    decoder = polymarket_with_book(T0_MS + 30_000)
    events: list[Event] = []
    for step in range(1, 21):
        events += decoder.tick(1.0 + step)
        change = entry("BUY", f"0.{30 + step // 2}", str(step), "0.48", "0.52")
        events += decoder.receive(polymarket(price_change(change, ts_ms=T0_MS + 1_000 * step)))
    assert is_doubted(events, [frame for frame in decoder.outbox if frame != b"PING"])


def test_a_book_from_the_future_is_compared_all_the_same() -> None:
    """Its time says nothing: it is ahead of our own clock."""
    clock = FakeClock()
    prober: Prober | None = None
    table = table_over(
        Outlets(),
        clock,
        MarketsConfig(stale_grace_s=1.0),
        hooks=Hooks(on_told=lambda market, told: prober.on_told(market, told) if prober else False),
    )
    session, decoder = session_over(table, clock, in_band=False)
    prober = Prober(table, lambda: [(session, [TOKEN])], ProbeOptions(100.0, 0))
    now_ns = int(clock.now_s * 1e9)
    ahead = BookSnapshot(TOKEN, [(4_800, ONE_CONTRACT)], [(5_200, ONE_CONTRACT)], now_ns + 900 * S)
    table.apply([ahead], session, now_ns)
    for _ in range(10 * 120):
        clock.now_s += 0.1
        now_ns = int(clock.now_s * 1e9)
        prober.step(clock.now_s, now_ns)
        if markets := prober.take_rest():
            levels = [(4_700, ONE_CONTRACT)], [(5_200, ONE_CONTRACT)]
            answer = BookTold(TOKEN, *levels, now_ns - S, in_step=False)
            prober.answered(markets, [answer])
    assert decoder.resyncs


def test_a_ticker_from_the_future_does_not_silence_its_market() -> None:
    """On one connection the later ticker is the newer one, whatever its time says."""
    link = RecordingLink()
    outlets = Outlets()
    table = table_over(outlets, FakeClock())
    now_ns = 1_000 * S

    def ticker(bid: int, ts_ns: int) -> TopOfBook:
        return TopOfBook(M, bid, ONE_CONTRACT, 5_200, ONE_CONTRACT, None, ts_ns)

    table.apply([ticker(4_800, now_ns + 30 * S)], link, now_ns)
    table.apply([ticker(4_700, now_ns + S)], link, now_ns + S)
    assert outlets[M].quotes[-1].bid == 4_700


# -- what has no meaning ---------------------------------------------------------------------------


def test_a_kalshi_snapshot_whose_sides_have_other_names_is_no_empty_book() -> None:
    decoder = kalshi_with_book()
    decoder.resync(M, "test")
    renamed = kalshi(snapshot(2, M, {"0.4800": "3.00"}, {"0.4800": "7.00"})).replace(
        b'_dollars_fp"', b'_dollars_fp_v2"'
    )
    events = decoder.receive(renamed)
    assert not any(isinstance(event, BookSnapshot) for event in events)


def test_a_kalshi_snapshot_of_neither_side_is_an_empty_book() -> None:
    decoder = kalshi_with_book()
    (event,) = decoder.receive(kalshi(snapshot(2, M)))
    assert isinstance(event, BookSnapshot)
    assert (event.bids, event.asks) == ([], [])


@pytest.mark.parametrize(
    ("price", "change"), [("0.0000", "0.00"), ("0.0000", "5.00"), ("1.0000", "5.00")]
)
def test_a_kalshi_delta_without_a_price_is_a_lost_change(price: str, change: str) -> None:
    decoder = kalshi_with_book()
    events = decoder.receive(kalshi(delta(2, M, price, change)))
    assert is_doubted(events, decoder.outbox)


def test_a_polymarket_change_without_a_price_is_a_lost_change() -> None:
    decoder = polymarket_with_book()
    zeros = [
        entry("BUY", "0.0000", "0.00", "0.0000", "0.0000"),
        entry("SELL", "0.0000", "0.00", "0.0000", "0.0000", NO),
    ]
    events = decoder.receive(polymarket(price_change(*zeros)))
    assert is_doubted(events, decoder.outbox)


def test_whole_books_of_zeros_are_no_empty_books() -> None:
    kalshi_decoder, polymarket_decoder = kalshi_with_book(), polymarket_with_book()
    kalshi_decoder.resync(M, "test")
    polymarket_decoder.resync(TOKEN, "test")
    zeros = {"0.0000": "0.00"}
    events = [
        *kalshi_decoder.receive(kalshi(snapshot(2, M, zeros, zeros))),
        *polymarket_decoder.receive(polymarket(book(zeros, zeros, ts_ms=T0_MS + 1))),
    ]
    assert not any(isinstance(event, BookSnapshot) for event in events)


# -- memory ----------------------------------------------------------------------------------------


class Failing:
    """A service whose connection brings what ends it, at the first run; the second is the last."""

    name = "failing"

    def __init__(self) -> None:
        self.sessions: list[weakref.ref[Session]] = []
        self.left = 0

    async def run(self) -> None:
        if self.sessions:
            self.left = sum(ref() is not None for ref in self.sessions)
            return
        clock = FakeClock()
        connection = ScriptedConnection(clock)
        connection.feed(b'{"type":"unheard_of"}')
        session = Session(
            connection,
            PolymarketDecoder(DecoderOptions()),
            table_over(Outlets(), clock),
            silence_timeout_s=30.0,
        )
        self.sessions.append(weakref.ref(session))
        await session.run([TOKEN])


async def at_once(_seconds: float) -> None:
    """Sleep not at all."""


async def test_a_failed_connection_is_freed_without_the_garbage_collector() -> None:
    """The daemon collects seldom, and a frame may have 64 MB."""
    service = Failing()
    gc.disable()
    try:
        await keep_running(service, sleep=at_once)
    finally:
        gc.enable()
    assert service.left == 0


# -- the simulated venues --------------------------------------------------------------------------


async def test_clearing_faults_sends_no_ticker_of_a_market_that_has_ended() -> None:
    async with SimServer(SimConfig(kalshi_markets=2, polymarket_markets=0)) as sim:
        ended = sim.kalshi_tickers[0]
        sim.pause()
        sim.close_market(ended)
        await sim.drained()
        sim.faults.clear()
        assert ended not in sim._kalshi._dirty
