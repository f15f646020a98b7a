"""The table of markets over random streams on several connections: what it may never show.

The model keeps a naive book for every market and connection, and knows nothing of doubts, graces
and hand-overs: whatever is shown as live must be the book of the connection it is said to be of, as
that connection has told it, or a ticker that is still to be believed.
"""

from collections import defaultdict
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from support.conversation import JudgingOutlet, check_price
from support.naive import NaiveBook
from support.outlets import FakeClock, RecordingLink

from arbees_feed.core.book import BookState
from arbees_feed.core.events import (
    BookLost,
    BookSnapshot,
    Event,
    LevelChanged,
    LevelSet,
    TickerLost,
    TopOfBook,
    TopTold,
    Trade,
    TradingChanged,
)
from arbees_feed.core.model import MarketId, Quote, Side, Source, Status
from arbees_feed.feed.handover import Handover
from arbees_feed.feed.market import MarketsConfig
from arbees_feed.feed.markets import MarketTable

GRACE_S = 1.0
MARKETS = [MarketId("A"), MarketId("B"), MarketId("C")]
LINKS = 3


class Told(NaiveBook):
    """A market's book as one connection tells it."""

    agrees = True


class Scene:
    """A table, its naive model, and a judge of every quote."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.now_ns = 1
        self.links = [RecordingLink() for _ in range(LINKS)]
        self.books: dict[tuple[MarketId, RecordingLink], Told] = defaultdict(Told)
        self.tickers: list[tuple[RecordingLink, TopOfBook]] = []
        self.quotes: dict[MarketId, list[Quote]] = defaultdict(list)
        self.handover: Handover | None = None
        config = MarketsConfig(stale_grace_s=GRACE_S, trades=True, depth=True)
        self.table = MarketTable(self._outlet, config, monotonic=self.clock)

    def _outlet(self, market: MarketId) -> JudgingOutlet:
        return JudgingOutlet(lambda quote: self._judge(market, quote))

    def _judge(self, market: MarketId, quote: Quote) -> None:
        self.quotes[market].append(quote)
        check_price(quote, market, "kalshi")
        if quote.status is not Status.LIVE:
            return
        shown = (quote.bid, quote.bid_size, quote.ask, quote.ask_size)
        if quote.source is not Source.BOOK:
            told = [top for _, top in self.tickers if top.market == market]
            assert shown in [(t.bid, t.bid_size, t.ask, t.ask_size) for t in told]
            return
        row = self.table.get(market)
        assert row is not None
        assert isinstance(row.book_link, RecordingLink)
        model = self.books[market, row.book_link]
        assert model.state is BookState.LIVE
        assert model.agrees
        assert shown == model.top()

    # -- what can happen ---------------------------------------------------------------------------

    def frame(self, link: RecordingLink, events: Sequence[Event]) -> None:
        for event in events:
            self._learn(link, event)
        self.now_ns += 1
        self.table.apply(events, link, self.now_ns)

    def _learn(self, link: RecordingLink, event: Event) -> None:
        match event:
            case BookSnapshot(market, bids, asks):
                self.books[market, link].load(bids, asks)
                self.books[market, link].agrees = True
            case LevelSet(market, side, price, size):
                self.books[market, link].put(side, price, size, relative=False)
            case LevelChanged(market, side, price, change):
                self.books[market, link].put(side, price, change, relative=True)
            case TopTold(market, bid, ask) if self.books[market, link].state is BookState.LIVE:
                top = self.books[market, link].top()
                agrees = bid in (None, top[0]) and ask in (None, top[2])
                self.books[market, link].agrees = agrees
            case BookLost(market):
                self.books[market, link].state = BookState.LOST
            case TopOfBook():
                self.tickers.append((link, event))
            case TickerLost(market) if not self.table.handovers.is_new(link):
                self.tickers = [told for told in self.tickers if told[1].market != market]

    def lose(self, number: int) -> None:
        """A connection ends, and another takes its place."""
        link, self.links[number] = self.links[number], RecordingLink()
        if self.handover is not None and link in (self.handover.old, self.handover.new):
            self._end_handover(done=link is self.handover.old, sound=False)
        self._forget(link)
        self.table.lose(link, "gone")

    def _forget(self, link: RecordingLink) -> None:
        self.books = defaultdict(Told, {k: v for k, v in self.books.items() if k[1] is not link})
        self.tickers = [told for told in self.tickers if told[0] is not link]

    def hand_over(self, number: int) -> None:
        """A connection gets a successor, or the one under way goes on."""
        if self.handover is None:
            old, new = self.links[number], RecordingLink()
            self.handover = self.table.handovers.begin(old, new)
            self.links.append(new)
            return
        if self.table.handovers.advance(self.handover, self.clock.now_s, self.now_ns):
            old_place = self.links.index(self._as_link(self.handover.old))
            self._end_handover(done=True, sound=True)
            self.lose(old_place)

    def _end_handover(self, *, done: bool, sound: bool) -> None:
        """The new connection takes over (*done*), or comes to nothing."""
        handover, self.handover = self.handover, None
        assert handover is not None
        gone, stays = self._as_link(handover.old), self._as_link(handover.new)
        if not done:
            gone, stays = stays, gone
        if sound or not done:
            self.tickers = [(stays if link is gone else link, top) for link, top in self.tickers]
        if done:
            self.table.handovers.finish(handover, self.now_ns, old_is_sound=sound)
        else:
            self.table.handovers.abandon(handover)

    @staticmethod
    def _as_link(link: object) -> RecordingLink:
        assert isinstance(link, RecordingLink)
        return link

    def wait(self, seconds: float) -> None:
        self.clock.now_s += seconds
        self.now_ns += 1
        self.table.check(self.clock.now_s, self.now_ns)

    def rest(self, number: int, top: TopOfBook) -> None:
        self.tickers.append((self.links[number], top))
        self.table.refresh([top], self.links[number], self.now_ns)

    def do(self, step: tuple[object, ...]) -> None:
        match step:
            case "frame", int(number), list(events):
                self.frame(self.links[number % len(self.links)], events)
            case "lose", int(number):
                self.lose(number % len(self.links))
            case "hand over", int(number):
                self.hand_over(number % len(self.links))
            case "wait", float(seconds):
                self.wait(seconds)
            case "rest", int(number), TopOfBook() as top:
                self.rest(number % len(self.links), top)
            case "release", str(market):
                if not self.table.release(MarketId(market), self.now_ns):
                    self.table.forget(MarketId(market))
            case _:
                raise AssertionError(step)

    def is_live(self, market: MarketId) -> bool:
        quotes = self.quotes[market]
        return bool(quotes) and quotes[-1].status is Status.LIVE


markets = st.sampled_from(MARKETS)
sides = st.sampled_from(list(Side))
prices = st.sampled_from([4_600, 4_700, 4_800, 5_200, 5_300, 5_400])
odd_prices = prices | st.sampled_from([0, 1, 10_000, 9_999, -5, 20_000])
sizes = st.integers(1, 4)
times = st.integers(0, 30)
low = st.dictionaries(st.sampled_from([4_600, 4_700, 4_800]), sizes, max_size=3)
high = st.dictionaries(st.sampled_from([5_200, 5_300, 5_400]), sizes, max_size=3)
level_lists = low.map(lambda held: list(held.items())), high.map(lambda held: list(held.items()))
crossed = st.tuples(prices, sizes).map(lambda level: [level])
good_snapshots = st.builds(BookSnapshot, markets, level_lists[0], level_lists[1], times)
ticks = st.sampled_from([(0, 0), (4_600, 2), (4_700, 3)])


def _top(market: MarketId, bid: tuple[int, int], ask: tuple[int, int], ts_ns: int) -> TopOfBook:
    return TopOfBook(market, *bid, *ask, None, ts_ns)


tops = st.builds(
    _top, markets, ticks, st.sampled_from([(10_000, 0), (5_300, 1), (4_650, 1)]), times
)
events = st.one_of(
    good_snapshots,
    good_snapshots,
    good_snapshots,
    st.builds(BookSnapshot, markets, crossed, crossed, times),
    st.builds(BookSnapshot, markets, st.just([(4_700, -1)]), level_lists[1], times),
    st.builds(LevelSet, markets, sides, odd_prices, st.integers(-1, 4), times),
    st.builds(LevelSet, markets, sides, prices, sizes, times),
    st.builds(LevelSet, markets, sides, prices, st.integers(0, 2), times),
    st.builds(LevelChanged, markets, sides, prices, st.integers(-3, 4), times),
    st.builds(LevelChanged, markets, sides, odd_prices, st.integers(-3, 4), times),
    st.builds(TopTold, markets, st.none() | prices, st.none() | prices, times),
    st.builds(BookLost, markets, st.just("gap")),
    tops,
    st.builds(TickerLost, markets, st.just("malformed")),
    st.builds(Trade, markets, prices, sizes, st.just("buy"), st.just("t"), times),
    st.builds(TradingChanged, markets, st.sampled_from(["open", "paused", "paused"]), times),
)
closing = st.builds(TradingChanged, markets, st.just("closed"), times)
numbers = st.integers(0, LINKS)
frames = st.tuples(st.just("frame"), numbers, st.lists(events, min_size=1, max_size=4))
steps = st.one_of(
    frames,
    frames,
    frames,
    frames,
    st.tuples(st.just("wait"), st.sampled_from([0.1, 0.6, 1.1, 4.0, 11.0])),
    st.tuples(st.just("lose"), numbers),
    st.tuples(st.just("hand over"), numbers),
    st.tuples(st.just("rest"), numbers, tops),
    st.tuples(st.just("release"), markets),
    st.tuples(st.just("frame"), numbers, st.lists(closing, min_size=1, max_size=1)),
)


@settings(max_examples=600, deadline=None)
@given(st.lists(steps, max_size=60))
def test_nothing_is_shown_as_live_that_no_connection_tells(told: list[tuple[object, ...]]) -> None:
    scene = Scene()
    for step in told:
        scene.do(step)
        assert scene.table.live == sum(row.is_shown_live for row in scene.table)


@settings(max_examples=300, deadline=None)
@given(st.lists(steps, max_size=40))
def test_a_lost_market_is_told_to_be_stale_once_and_in_time(told: list[tuple[object, ...]]) -> None:
    """When every connection is gone, each live price has one stale message within the grace.

    So may others have that say what readers do not know: a closed market has opened again, or a
    paused one has another last price.
    """
    scene = Scene()
    for step in told:
        scene.do(step)
    for number in range(len(scene.links)):
        scene.lose(number)
    before = {market: len(scene.quotes[market]) for market in MARKETS}
    scene.wait(GRACE_S)
    for market in MARKETS:
        said = [(quote.status, quote.last_price) for quote in scene.quotes[market]]
        known, since = said[: before[market]], said[before[market] :]
        assert [status for status, _ in since] in ([], [Status.STALE])
        assert since or not known or known[-1][0] is not Status.LIVE
        assert known or not since
        assert not since or known[-1:] != since, "it was said before"
        assert not scene.is_live(market)
    shown = {market: len(scene.quotes[market]) for market in MARKETS}
    for _ in range(30):
        scene.wait(1.0)
    assert {market: len(scene.quotes[market]) for market in MARKETS} == shown


@settings(max_examples=200, deadline=None)
@given(st.lists(steps, max_size=40))
def test_a_good_snapshot_brings_any_open_market_back(told: list[tuple[object, ...]]) -> None:
    """Whatever was told before: on a fresh connection a market is live again at once."""
    scene = Scene()
    for step in told:
        scene.do(step)
    for number in range(len(scene.links)):
        scene.lose(number)
    for market in MARKETS:
        row = scene.table.get(market)
        if row is not None and row.phase != "open":
            continue
        book = BookSnapshot(market, [(4_700, 5)], [(5_200, 4)], 100)
        scene.frame(scene.links[0], [book])
        assert scene.is_live(market)
        quote = scene.quotes[market][-1]
        assert (quote.bid, quote.bid_size, quote.ask, quote.ask_size) == (4_700, 5, 5_200, 4)


both = st.sampled_from([0, LINKS])
"""The first connection, and its successor."""
unsound = good_snapshots.flatmap(
    lambda book: st.sampled_from(
        [
            [book, TopTold(book.market, 4_599, 5_401, 30)],
            [book, BookLost(book.market, "gap")],
            [book, LevelSet(book.market, Side.BID, 9_000, 1, 30)],
        ]
    )
)
changing_over = st.one_of(
    st.tuples(st.just("frame"), both, unsound),
    st.tuples(st.just("frame"), both, st.lists(events, min_size=1, max_size=3)),
    st.tuples(st.just("frame"), both, st.lists(events, min_size=1, max_size=3)),
    st.tuples(st.just("hand over"), st.just(0)),
    st.tuples(st.just("wait"), st.sampled_from([0.6, 4.0])),
)


@settings(max_examples=500, deadline=None)
@given(
    st.lists(good_snapshots, min_size=1, max_size=3),
    st.lists(changing_over, max_size=25),
    st.sampled_from(["nothing", "old lost", "new lost"]),
)
def test_a_market_changes_over_to_what_its_new_connection_tells(
    before: list[BookSnapshot], told: list[tuple[object, ...]], end: str
) -> None:
    scene = Scene()
    scene.frame(scene.links[0], before)
    scene.hand_over(0)
    for step in told:
        scene.do(step)
    if end != "nothing":
        scene.lose(0 if end == "old lost" else LINKS)
    scene.wait(GRACE_S)
