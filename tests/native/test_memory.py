"""Compiled code keeps no object longer than it should, and none shorter."""

import gc
import sys
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import msgspec
import pytest
from support import kalshi
from support.native import needs_compiled
from support.outlets import FakeClock, Outlets, RecordingLink, table_over
from support.twoprices import outlet_of
from support.ways import Wire

from arbees_feed.core.book import LIVE, Ladder, OrderBook
from arbees_feed.core.model import MarketId, Quote, Source, Status
from arbees_feed.core.sequence import SequenceTracker
from arbees_feed.core.venue import DecoderOptions
from arbees_feed.feed.market import Market
from arbees_feed.feed.markets import MarketTable
from arbees_feed.feed.session import Session
from arbees_feed.native import compiled
from arbees_feed.publish.outlet import Outlet
from arbees_feed.publish.payloads import price_commands
from arbees_feed.venues.kalshi.decoder import KalshiDecoder

pytestmark = needs_compiled

M = MarketId("KXAAA")
TIMES = 5_000
FEW = TIMES // 5
"""Blocks and references that come and go with the interpreter itself."""
QUOTE = Quote(4_700, 333_000_000, 4_900, 80_000_000, 4_800, Status.LIVE, Source.BOOK, 11, 12)


def grown(work: Callable[[], object], times: int = TIMES) -> int:
    """Return how many blocks of memory doing something many times leaves over, at the least.

    The interpreter's own lists of free objects fill the first time.
    """

    def once() -> int:
        gc.collect()
        before = sys.getallocatedblocks()
        for _ in range(times):
            work()
        gc.collect()
        return sys.getallocatedblocks() - before

    return min(once() for _ in range(3))


def references(parts: Sequence[object]) -> list[int]:
    """Return how often each is referred to."""
    return [sys.getrefcount(part) for part in parts]


def assert_unchanged(after: list[int], before: list[int]) -> None:
    """Assert that no call, of three times TIMES, has kept or lost a reference."""
    assert max(abs(a - b) for a, b in zip(after, before, strict=True)) < TIMES


class Books:
    """A market whose one bid goes up, down, away and comes again."""

    def __init__(self) -> None:
        assert compiled is not None
        self.link, self.kept, self.fails = object(), [b""], False
        self.tracker = SequenceTracker()
        self.market = Market(M, None)  # type: ignore[arg-type]
        self.market.book, self.market.book_link = OrderBook(), self.link  # type: ignore[assignment]
        self.market.book.load([(4_700, 1_000_000)], [])
        self.deltas = compiled.Deltas({1: self.tracker}, SequenceTracker)
        markets = {M: self.market}
        self.levels = compiled.Levels(markets, self.settle, LIVE, Market, OrderBook, Ladder)
        changes = ("1.00", "2.00", "-1.00", "-2.00")
        self.frames = [
            kalshi.encoded(kalshi.delta(seq, M, price, change))
            for seq, (price, change) in enumerate(
                ((price, change) for price in ("0.4800", "0.4600") for change in changes), start=1
            )
        ]

    def settle(self, market: Market, recv_ns: int) -> None:
        if self.fails:
            raise ValueError(market.id, recv_ns)

    def run(self, frames: list[bytes]) -> int:
        self.tracker.last = self.market.changes = 0
        keep = self.kept.__contains__
        return self.levels.run(self.deltas, self.link, keep, frames, 0, len(frames), 10**18)

    def parts(self) -> list[object]:
        book = self.market.book
        assert book is not None
        held = [self.market, book, book.bids, book.bids.keys, book.bids.sizes, self.tracker]
        return [*held, self.deltas, self.levels, self.link, self.frames, *self.frames, None, LIVE]


def handled(books: Books) -> None:
    assert books.run(books.frames) == len(books.frames)


def declined(books: Books) -> None:
    assert books.run([b'{"type":"orderbook_delta","sid":1', *books.frames]) == 0
    assert books.run(books.frames[1:]) == 0


def failed(books: Books) -> None:
    books.fails = True
    with pytest.raises(ValueError, match="KXAAA"):
        books.run(books.frames)
    books.fails = False
    assert books.market.book is not None
    books.market.book.bids.remove(4_800)


def wrong(books: Books) -> None:
    books.tracker.last = 0
    with pytest.raises(TypeError):
        books.levels.run(books.deltas, books.link, None, books.frames, 0, None, 1)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        books.levels.run(books.deltas, books.link, 7, books.frames, 0, 1, 1)  # type: ignore[arg-type]
    books.market.book.bids.remove(4_800)  # type: ignore[union-attr]


@pytest.mark.parametrize("work", [handled, declined, failed, wrong])
def test_frames_leave_nothing_behind(work: Callable[[Books], None]) -> None:
    books = Books()
    work(books)
    counts = references(books.parts())
    assert grown(lambda: work(books)) < FEW
    assert_unchanged(references(books.parts()), counts)


PRICES: list[tuple[Any, Any]] = [
    (lambda: outlet_of(M), QUOTE),
    (lambda: outlet_of("é" * 40), QUOTE),
    (lambda: outlet_of("x" * 300), QUOTE),
    (lambda: outlet_of(M), msgspec.structs.replace(QUOTE, bid_size=2**60)),
    (lambda: outlet_of(M), msgspec.structs.replace(QUOTE, bid=10_001)),
    (lambda: None, QUOTE),
]


@pytest.mark.parametrize(("make", "quote"), PRICES)
def test_prices_leave_nothing_behind(make: Callable[[], Outlet], quote: Quote) -> None:
    commands, outlet = price_commands(7), make()
    now_ns = 1_795_219_200_480_000_000

    def work() -> None:
        with suppress(AttributeError, IndexError):
            commands(outlet, quote, 12_345, now_ns)

    parts = [outlet, quote, commands, now_ns, QUOTE.status, QUOTE.source, Outlet, Quote]
    counts = references(parts)
    assert grown(work) < FEW
    assert_unchanged(references(parts), counts)


def test_what_is_made_and_refused_leaves_nothing_behind() -> None:
    def work() -> None:
        assert compiled is not None
        Books()
        compiled.Prices(Outlet, Quote, 7, str)
        for make in (compiled.Deltas, compiled.Levels, compiled.Prices):
            with pytest.raises(TypeError):
                make()  # type: ignore[call-arg]
        with pytest.raises(AttributeError):
            compiled.Deltas({}, object)  # type: ignore[type-var]
        deltas = compiled.Deltas({}, SequenceTracker)
        with pytest.raises(TypeError):
            deltas.__init__({}, SequenceTracker)  # type: ignore[misc]

    types = [Market, OrderBook, Ladder, SequenceTracker, Outlet, Quote, LIVE, str]
    work()
    counts = references(types)
    assert grown(work, TIMES // 2) < FEW
    assert_unchanged(references(types), counts)


# -- garbage ---------------------------------------------------------------------------------------


@contextmanager
def uncollected() -> Iterator[None]:
    """Keep the garbage collector away while the block runs."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def ended_session(table: MarketTable) -> "weakref.ref[Session]":
    """Feed a connection frames of both kinds, end it, and let it go as its owner does."""
    wire, decoder = Wire(), KalshiDecoder(DecoderOptions())
    session = Session(wire, decoder, table, silence_timeout_s=30.0, monotonic=FakeClock())
    opening = [kalshi.subscribed(), kalshi.snapshot(1, M, {"0.4800": "3.00"})]
    changes = [kalshi.delta(seq, M, "0.4800", "1.00") for seq in range(2, 40)]
    decoder.start([M])
    receiving: Any = session._receive()
    receiving.send(None)
    receiving.send([kalshi.encoded(frame) for frame in (*opening, *changes)])
    receiving.close()
    assert decoder.deltas is not None
    assert decoder.deltas.ts_ns > 0
    assert session._shortcut is not None
    table.lose(session, "done")
    session.dismantle()
    return weakref.ref(session)


def test_a_dismantled_session_is_freed_without_the_garbage_collector() -> None:
    table = table_over(Outlets(), FakeClock())
    with uncollected():
        ended = ended_session(table)
        table.apply((), RecordingLink(), 1)  # a table remembers who spoke last
        assert ended() is None
    assert len(table) == 1


def test_a_table_that_is_dropped_is_collected_with_all_its_parts() -> None:
    table = table_over(Outlets(), FakeClock())
    ended_session(table)
    dropped = weakref.ref(table)
    del table
    gc.collect()
    assert dropped() is None


class Held:
    """Something that can be watched."""


def test_cycles_through_every_part_are_collected() -> None:
    assert compiled is not None

    def deltas(held: Held) -> None:
        trackers: dict[Any, Any] = {0: held}
        trackers[1] = compiled.Deltas(trackers, SequenceTracker)

    def levels(held: Held) -> None:
        markets: dict[Any, Any] = {0: held}
        markets[1] = compiled.Levels(
            markets, markets.get, markets.__class__, Market, OrderBook, Ladder
        )

    def live(held: Held) -> None:
        held.levels = compiled.Levels({}, print, held, Market, OrderBook, Ladder)  # type: ignore[attr-defined]

    def prices(held: Held) -> None:
        held.commands = compiled.Prices(Outlet, Quote, 7, lambda *_: held).commands  # type: ignore[attr-defined, arg-type, return-value]

    for tie in (deltas, levels, live, prices):
        held = Held()
        tie(held)
        watched = weakref.ref(held)
        del held
        gc.collect()
        assert watched() is None, tie.__name__
