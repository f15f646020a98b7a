"""Kalshi's books under losses, repetitions, late frames and restarted counters, beside the truth.

A small venue with one subscription keeps its books in plain dictionaries. Its frames wait on a
wire, so that answers come after whatever was sent before them. After each frame that arrives, no
book may be LIVE and differ from what the newest frame that has arrived is from.
"""

import copy
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from support import kalshi
from support.outlets import FakeClock, Outlets, RecordingLink, table_over

from arbees_feed.core.book import BookState, OrderBook
from arbees_feed.core.events import BookTold, Event
from arbees_feed.core.model import ONE_CONTRACT, ONE_DOLLAR, MarketId
from arbees_feed.core.venue import DecoderOptions
from arbees_feed.errors import ProtocolViolation
from arbees_feed.venues.kalshi.decoder import KalshiDecoder

MARKETS = [MarketId("KXAAA-26NOV21-T1"), MarketId("KXBBB-26NOV21-T2"), MarketId("KXCCC-26NOV21-T3")]
SIDES = ["yes", "no"]
# A counter that restarts at the number it had, or one above, can't be told from one that did not.
EPOCH = 1_000_000

Levels = dict[int, int]
Books = dict[MarketId, dict[str, Levels]]


class Venue:
    """Tells its frames in order; each comes with the books at its time."""

    def __init__(self, *, names_commands: bool) -> None:
        self._names_commands = names_commands
        self.books: Books = {market: {"yes": {40: 5}, "no": {50: 7}} for market in MARKETS}
        self.connected()

    def connected(self) -> None:
        self.members: set[str] = set()
        self.wire: deque[tuple[int, dict[str, Any], Books]] = deque()
        self.seq = 9 * EPOCH
        self._told = 0

    def _tell(self, frame: dict[str, Any]) -> None:
        self._told += 1
        self.wire.append((self._told, frame, copy.deepcopy(self.books)))

    def _next(self) -> int:
        self.seq += 1
        return self.seq

    def restart(self) -> None:
        """Count from a lower number on."""
        self.seq = max(0, self.seq // EPOCH - 1) * EPOCH

    def change(self, number: int) -> None:
        """Change one level of one market."""
        market, side = MARKETS[number % 3], SIDES[number // 3 % 2]
        cents, size = 40 + number // 6 % 4, number // 24 % 5
        levels = self.books[market][side]
        change = size - levels.pop(cents, 0)
        if size:
            levels[cents] = size
        if change and market in self.members:
            frame = kalshi.delta(self._next(), market, f"{cents / 100:.4f}", f"{change}.00", side)
            self._tell(frame)

    def _snapshot(self, market: MarketId, number: int = 0) -> None:
        sides = [
            {f"{cents / 100:.4f}": f"{size}.00" for cents, size in self.books[market][side].items()}
            for side in SIDES
        ]
        frame = kalshi.snapshot(self._next(), market, *sides)
        self._tell(frame | ({"id": number} if number and self._names_commands else {}))

    def answer(self, command: bytes) -> None:
        asked = msgspec.json.decode(command)
        number, params = asked["id"], asked["params"]
        named = params["market_tickers"]
        fresh = [ticker for ticker in named if ticker not in self.members]
        action = params.get("action", asked["cmd"])
        if action == "subscribe":
            self._tell(kalshi.subscribed(1, "orderbook_delta", number))
        elif action == "get_snapshot":
            for ticker in named:
                self._snapshot(ticker, number)
            return
        else:
            self._tell(kalshi.ok(self._next(), 1, number))
        if action == "delete_markets":
            self.members.difference_update(named)
            return
        self.members.update(fresh)
        for ticker in fresh:
            self._snapshot(ticker)


def truth_of(books: Books, market: MarketId) -> tuple[Levels, Levels]:
    """Return both sides in the integers of a book's ladders."""
    yes, no = (
        {cents * ONE_DOLLAR // 100: size * ONE_CONTRACT for cents, size in side.items()}
        for side in books[market].values()
    )
    return yes, no


def sizes_of(book: OrderBook) -> tuple[Levels, Levels]:
    return book.bids.sizes, book.asks.sizes


class Driver:
    """The decoder, a table and a clock at the other end of the wire; reconnects when it must."""

    def __init__(self, *, names_commands: bool) -> None:
        self.venue = Venue(names_commands=names_commands)
        self.clock = FakeClock()
        self.table = table_over(Outlets(), self.clock)
        self.wanted = set(MARKETS)
        self.told = 0
        self.violations: list[str] = []
        self.connect()

    def connect(self) -> None:
        self.venue.connected()
        self.newest, self.truth = 0, copy.deepcopy(self.venue.books)
        self.decoder = KalshiDecoder(DecoderOptions())
        self.link = RecordingLink(self.decoder)
        self.decoder.tick(self.clock.now_s)
        self.decoder.start(sorted(self.wanted))
        self.send()

    def reconnect(self, violation: ProtocolViolation) -> None:
        self.violations.append(str(violation))
        self.table.lose(self.link, str(violation))
        self.connect()

    def send(self) -> None:
        while self.decoder.outbox:
            self.venue.answer(self.decoder.outbox.pop(0))

    def deliver(self, times: int = 1) -> None:
        if not self.venue.wire:
            return
        index, frame, books = self.venue.wire.popleft()
        for _ in range(times):
            self.receive(index, frame, books)

    def receive(self, index: int, frame: dict[str, Any], books: Books) -> None:
        if "seq" in frame and index > self.newest:
            self.newest, self.truth = index, books
        events = self.decoder.receive(kalshi.encoded(frame))
        self.apply(events, books)
        self.send()

    def apply(self, events: Sequence[Event], books: Books) -> None:
        for event in events:
            if isinstance(event, BookTold):
                self.judge(event, books)
            else:
                self.table.apply([event], self.link, 1)
        for market in self.table:
            if market.book is not None and market.book.state is BookState.LIVE:
                assert sizes_of(market.book) == truth_of(self.truth, market.id), market.id

    def judge(self, told: BookTold, books: Books) -> None:
        """An answer is from the moment of its frame, and never accuses a book that is right."""
        self.told += 1
        answer = OrderBook()
        answer.load(told.bids, told.asks)
        assert sizes_of(answer) == truth_of(books, told.market)
        market = self.table.get(told.market)
        assert market is not None
        assert market.book is not None
        assert market.book.state is BookState.LIVE
        assert sizes_of(market.book) == sizes_of(answer)

    def wait(self, seconds: float) -> None:
        self.clock.now_s += seconds
        try:
            events = self.decoder.tick(self.clock.now_s)
        except ProtocolViolation as violation:
            self.reconnect(violation)
            return
        self.apply(events, self.truth)
        self.send()

    def leave(self, market: MarketId) -> None:
        self.wanted.discard(market)
        self.decoder.remove([market])
        self.table.release(market, 1)
        self.send()

    def join(self, market: MarketId) -> None:
        self.wanted.add(market)
        self.decoder.add([market])
        self.send()

    def find_wrong(self, market: MarketId) -> None:
        """As the table does that doubts a book, rightly or not."""
        if (found := self.table.get(market)) is not None and found.book is not None:
            found.book.lose("doubted")
            self.decoder.resync(market, "doubted")
            self.send()

    def swap(self) -> None:
        """Let the next frame come after the one that follows it.

        Not one from before a restart after one from behind it: its number looks like a gap, and
        what it holds like the newest. That takes a venue which restarts and reorders at once.
        """
        wire = self.venue.wire
        if len(wire) > 1:
            first, second = (frame.get("seq", 0) // EPOCH for _, frame, _ in (wire[0], wire[1]))
            if first == second or 0 in (first, second):
                wire[0], wire[1] = wire[1], wire[0]

    def do(self, what: str, number: int) -> None:
        market = MARKETS[number % 3]
        steps: dict[str, Callable[[], object]] = {
            "change": lambda: self.venue.change(number),
            "arrive": self.deliver,
            "twice": lambda: self.deliver(2),
            "lose": lambda: self.deliver(0),
            "late": self.swap,
            "restart": self.venue.restart,
            "probe": lambda: self.probe([market, MARKETS[0]]),
            "wrong": lambda: self.find_wrong(market),
            "wait": lambda: self.wait(number / 50),
            "leave": lambda: self.leave(market),
            "join": lambda: self.join(market),
        }
        steps[what]()

    def probe(self, markets: list[MarketId]) -> None:
        self.decoder.probe(markets)
        self.send()

    def heal(self) -> None:
        """Nothing goes wrong for some minutes."""
        for market in MARKETS:
            self.join(market)
        for second in range(200):
            self.venue.change(7 * second)
            while self.venue.wire:
                self.deliver()
            self.wait(1.0)
        while self.venue.wire:
            self.deliver()


def steps(*kinds: str) -> st.SearchStrategy[list[tuple[str, int]]]:
    usual = ["change"] * 4 + ["arrive"] * 8
    return st.lists(st.tuples(st.sampled_from([*usual, *kinds]), st.integers(0, 119)), max_size=80)


FAULTS = ["lose", "twice", "late", "restart", "wait", "wait", "wrong", "probe", "probe"]


def assert_no_book_is_wrong(what: list[tuple[str, int]], *, names_commands: bool) -> None:
    driver = Driver(names_commands=names_commands)
    for kind, number in what:
        driver.do(kind, number)
    driver.heal()
    for market_id in MARKETS:
        market = driver.table.get(market_id)
        assert market is not None
        assert market.book is not None
        assert market.book.state is BookState.LIVE
        assert sizes_of(market.book) == truth_of(driver.venue.books, market_id)


@settings(max_examples=300, deadline=None)
@given(steps(*FAULTS, "leave", "join"))
def test_no_book_is_live_and_wrong_and_all_are_right_in_the_end(
    what: list[tuple[str, int]],
) -> None:
    assert_no_book_is_wrong(what, names_commands=True)


@settings(max_examples=150, deadline=None)
@given(steps(*FAULTS))
def test_the_same_holds_where_snapshots_name_no_command(what: list[tuple[str, int]]) -> None:
    assert_no_book_is_wrong(what, names_commands=False)


@settings(max_examples=100, deadline=None)
@given(steps("probe", "probe", "wait"))
def test_without_faults_every_question_is_answered_and_nothing_is_lost(
    what: list[tuple[str, int]],
) -> None:
    driver = Driver(names_commands=True)
    while driver.venue.wire:
        driver.deliver()
    for kind, number in what:
        driver.do(kind, number)
    driver.heal()
    asked = sum(len({MARKETS[n % 3], MARKETS[0]}) for kind, n in what if kind == "probe")
    stats = driver.decoder.stats
    assert (driver.told, stats.gaps, stats.resets, stats.resyncs) == (asked, 0, 0, 0)
    assert driver.violations == []
