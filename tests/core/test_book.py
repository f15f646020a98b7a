"""The local order book, alone and against a model that searches naively."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arbees_feed.core.book import BookState, OrderBook
from arbees_feed.core.model import ONE_DOLLAR, Lots, Side, Ticks

CONTRACT = 1_000_000
HUNDREDTH = CONTRACT // 100


def live_book(
    bids: list[tuple[Ticks, Lots]] | None = None, asks: list[tuple[Ticks, Lots]] | None = None
) -> OrderBook:
    book = OrderBook()
    book.load(bids or [], asks or [])
    assert book.state is BookState.LIVE
    return book


# -- states ------------------------------------------------------------------------------------


def test_a_fresh_book_is_empty_and_says_why() -> None:
    book = OrderBook()
    assert (book.state, book.reason) == (BookState.EMPTY, "no snapshot yet")
    assert book.top() == (0, 0, ONE_DOLLAR, 0)


def test_nothing_applies_before_the_first_snapshot() -> None:
    book = OrderBook()
    assert book.change(Side.BID, 4_800, CONTRACT) is False
    assert book.set(Side.ASK, 5_200, CONTRACT) is False
    book.load([], [])
    assert book.depth(9) == ([], [])


def test_nothing_applies_to_a_lost_book() -> None:
    book = live_book([(4_800, CONTRACT)])
    book.lose("gap")
    assert book.change(Side.BID, 4_800, CONTRACT) is False
    assert book.set(Side.BID, 4_900, CONTRACT) is False
    assert (book.state, book.reason) == (BookState.LOST, "gap")
    assert book.top()[:2] == (4_800, CONTRACT)


def test_a_snapshot_makes_a_lost_book_live_again() -> None:
    book = live_book([(4_800, CONTRACT)])
    book.lose("gap")
    book.load([(4_700, CONTRACT)], [])
    assert (book.state, book.reason) == (BookState.LIVE, "")


def test_an_empty_book_can_not_be_lost() -> None:
    book = OrderBook()
    book.lose("gap")
    assert book.state is BookState.EMPTY


def test_the_first_reason_of_a_loss_is_kept() -> None:
    book = live_book()
    book.lose("gap")
    book.lose("disconnected")
    assert book.reason == "gap"


# -- snapshots ---------------------------------------------------------------------------------


def test_a_snapshot_replaces_every_level() -> None:
    book = live_book([(4_800, CONTRACT)], [(5_200, CONTRACT)])
    book.load([(1_000, 2 * CONTRACT)], [])
    assert book.depth(9) == ([(1_000, 2 * CONTRACT)], [])


def test_an_empty_snapshot_clears_the_book_and_keeps_it_live() -> None:
    book = live_book([(4_800, CONTRACT)], [(5_200, CONTRACT)])
    book.load([], [])
    assert book.state is BookState.LIVE
    assert book.top() == (0, 0, ONE_DOLLAR, 0)


def test_the_order_of_levels_in_a_snapshot_does_not_matter() -> None:
    book = live_book(
        [(4_700, 1), (4_900, 3), (4_800, 2)],
        [(5_200, 2), (5_100, 1), (5_300, 3)],
    )
    assert book.top() == (4_900, 3, 5_100, 1)
    assert book.depth(2) == ([(4_900, 3), (4_800, 2)], [(5_100, 1), (5_200, 2)])


def test_a_level_of_size_zero_in_a_snapshot_is_no_level() -> None:
    assert live_book([(4_800, 0)], [(ONE_DOLLAR, 0)]).depth(9) == ([], [])


@pytest.mark.parametrize(
    "levels",
    [
        [(4_800, -1)],
        [(4_800, 1), (4_800, 1)],
        [(0, 1)],
        [(ONE_DOLLAR, 1)],
        [(-1, 1)],
        [(ONE_DOLLAR + 1, 1)],
    ],
    ids=["negative", "twice", "at 0", "at 1 dollar", "below 0", "above 1 dollar"],
)
@pytest.mark.parametrize("side", list(Side))
def test_an_absurd_snapshot_is_not_believed(side: Side, levels: list[tuple[Ticks, Lots]]) -> None:
    book = OrderBook()
    book.load(*((levels, []) if side is Side.BID else ([], levels)))
    assert book.state is BookState.LOST
    assert "snapshot holds" in book.reason


# -- changes -----------------------------------------------------------------------------------


def test_a_change_is_a_signed_increment() -> None:
    book = live_book([(4_800, 3 * CONTRACT)])
    assert book.change(Side.BID, 4_800, 2 * CONTRACT)
    assert book.change(Side.BID, 4_800, -4 * CONTRACT)
    assert book.top()[:2] == (4_800, CONTRACT)


def test_setting_is_absolute_and_may_be_repeated() -> None:
    book = live_book([(4_800, 3 * CONTRACT)])
    for _ in range(2):
        assert book.set(Side.BID, 4_800, 2 * CONTRACT)
    assert book.top()[:2] == (4_800, 2 * CONTRACT)


def test_a_level_that_reaches_zero_is_gone_and_the_next_is_best() -> None:
    book = live_book([(4_700, 1), (4_800, 2)], [(5_100, 3), (5_200, 4)])
    assert book.change(Side.BID, 4_800, -2)
    assert book.set(Side.ASK, 5_100, 0)
    assert book.top() == (4_700, 1, 5_200, 4)


def test_a_level_below_zero_proves_a_lost_change() -> None:
    book = live_book([(4_800, 2)])
    assert book.change(Side.BID, 4_800, -3)
    assert (book.state, book.reason) == (BookState.LOST, "size -1 at price 4800")


def test_taking_from_a_level_that_is_not_there_proves_a_lost_change() -> None:
    book = live_book()
    assert book.change(Side.ASK, 5_200, -1)
    assert book.state is BookState.LOST


@pytest.mark.parametrize("price", [0, ONE_DOLLAR, -100, ONE_DOLLAR + 100])
@pytest.mark.parametrize("side", list(Side))
def test_a_level_outside_the_open_range_is_not_believed(side: Side, price: Ticks) -> None:
    changed, set_ = live_book(), live_book()
    assert changed.change(side, price, 1)
    assert set_.set(side, price, 1)
    assert changed.state is set_.state is BookState.LOST


def test_removing_what_is_not_there_is_harmless() -> None:
    book = live_book([(4_800, 1)])
    assert book.set(Side.BID, 4_700, 0) is False
    assert book.change(Side.ASK, 5_200, 0) is False
    assert book.set(Side.BID, 0, 0) is False
    assert book.depth(9) == ([(4_800, 1)], [])


def test_a_change_below_the_top_touches_no_top() -> None:
    book = live_book([(4_700, 1), (4_800, 1)], [(5_200, 1), (5_300, 1)])
    assert book.change(Side.BID, 4_700, 5) is False
    assert book.change(Side.ASK, 5_300, -1) is False
    assert book.set(Side.BID, 4_600, 1) is False
    assert book.change(Side.BID, 4_800, 1) is True
    assert book.change(Side.ASK, 5_100, 1) is True


@pytest.mark.parametrize("tick", [1, 10, 50, 100], ids=["0.0001", "0.001", "0.005", "0.01"])
def test_fine_ticks_and_hundredths_of_a_contract_leave_no_ghost_levels(tick: Ticks) -> None:
    book = live_book()
    prices = range(tick, ONE_DOLLAR, max(tick, 37 * tick))
    for price in prices:
        for _ in range(3):
            book.change(Side.BID, price, HUNDREDTH)
            book.change(Side.ASK, price, 10 * HUNDREDTH)
    for price in prices:
        book.change(Side.BID, price, -3 * HUNDREDTH)
        book.change(Side.ASK, price, -30 * HUNDREDTH)
    assert book.state is BookState.LIVE
    assert book.depth(10_000) == ([], [])
    assert book.bids.sizes == book.asks.sizes == {}


def test_a_crossed_book_is_kept_as_told() -> None:
    """Venues pass through such states; whoever shows prices judges."""
    book = live_book([(4_800, 1)], [(5_200, 1)])
    book.set(Side.BID, 5_300, 1)
    assert (book.state, book.top()) == (BookState.LIVE, (5_300, 1, 5_200, 1))


# -- against a naive model ---------------------------------------------------------------------


class NaiveBook:
    """Two dicts of prices, searched anew each time."""

    def __init__(self) -> None:
        self.state = "empty"
        self.sides: dict[Side, dict[Ticks, Lots]] = {Side.BID: {}, Side.ASK: {}}

    def load(self, bids: dict[Ticks, Lots], asks: dict[Ticks, Lots]) -> None:
        self.state = "live"
        self.sides = {Side.BID: dict(bids), Side.ASK: dict(asks)}

    def put(self, side: Side, price: Ticks, size: Lots) -> None:
        if self.state != "live":
            return
        if size < 0:
            self.state = "lost"
        elif size == 0:
            self.sides[side].pop(price, None)
        else:
            self.sides[side][price] = size

    def change(self, side: Side, price: Ticks, change: Lots) -> None:
        self.put(side, price, self.sides[side].get(price, 0) + change)

    def top(self) -> tuple[Ticks, Lots, Ticks, Lots]:
        bids, asks = self.sides[Side.BID], self.sides[Side.ASK]
        bid, ask = max(bids, default=0), min(asks, default=ONE_DOLLAR)
        return bid, bids.get(bid, 0), ask, asks.get(ask, 0)


PRICES = st.integers(1, 12).map(lambda step: step * 833)
SIDES = st.sampled_from(list(Side))
LEVELS = st.dictionaries(PRICES, st.integers(1, 9), max_size=6)
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("load"), LEVELS, LEVELS),
        st.tuples(st.just("set"), SIDES, PRICES, st.integers(0, 9)),
        st.tuples(st.just("set"), SIDES, PRICES, st.integers(0, 9)),
        st.tuples(st.just("change"), SIDES, PRICES, st.integers(-4, 9)),
        st.tuples(st.just("change"), SIDES, PRICES, st.integers(-4, 9)),
        st.tuples(st.just("lose")),
    ),
    max_size=40,
)


@settings(max_examples=300, deadline=None)
@given(OPERATIONS)
def test_the_best_prices_equal_a_naive_search_after_any_operations(
    operations: list[tuple[object, ...]],
) -> None:
    book, model = OrderBook(), NaiveBook()
    for name, *arguments in operations:
        before = book.top()
        touched = True
        if name == "load":
            bids, asks = arguments
            book.load(bids.items(), asks.items())
            model.load(bids, asks)
        elif name == "lose":
            book.lose("asked to")
            model.state = "lost" if model.state == "live" else model.state
        elif name == "set":
            touched = book.set(*arguments)
            model.put(*arguments)
        else:
            touched = book.change(*arguments)
            model.change(*arguments)
        assert book.state.value == model.state
        if model.state != "empty":
            assert book.top() == model.top()
        assert touched or book.top() == before


@settings(max_examples=60, deadline=None)
@given(OPERATIONS, st.integers(1, 20))
def test_depth_is_the_sorted_model(operations: list[tuple[object, ...]], levels: int) -> None:
    book, model = OrderBook(), NaiveBook()
    book.load([], [])
    model.load({}, {})
    for name, *arguments in operations:
        if name == "set":
            book.set(*arguments)
            model.put(*arguments)
    bids = sorted(model.sides[Side.BID].items(), reverse=True)[:levels]
    asks = sorted(model.sides[Side.ASK].items())[:levels]
    assert book.depth(levels) == (bids, asks)


@given(LEVELS, st.lists(st.tuples(SIDES, PRICES, st.integers(0, 9)), max_size=20))
def test_absolute_changes_applied_twice_give_the_same_book_as_once(
    bids: dict[Ticks, Lots], changes: list[tuple[Side, Ticks, Lots]]
) -> None:
    once, twice = live_book(list(bids.items())), live_book(list(bids.items()))
    for side, price, size in changes:
        once.set(side, price, size)
        twice.set(side, price, size)
        twice.set(side, price, size)
    assert once.depth(99) == twice.depth(99)
