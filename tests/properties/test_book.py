"""The book against dictionaries of Decimals, over legal and illegal streams."""

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st
from support.naive import Level, NaiveBook

from arbees_feed.core.book import BookState, OrderBook
from arbees_feed.core.model import ONE_CONTRACT, ONE_DOLLAR, Side

# Few prices, so that levels meet; the edges of the range, and what lies beyond.
GOOD = st.sampled_from([1, 100, 4_700, 4_701, 4_800, 5_200, 9_900, 9_999])
ANY_PRICE = GOOD | GOOD | GOOD | st.sampled_from([0, ONE_DOLLAR, -100, ONE_DOLLAR + 1, 2**40])
SIZES = st.sampled_from([1, 10_000, 30_000, ONE_CONTRACT, 219_217_767, 10**15])
ANY_SIZE = SIZES | SIZES | st.just(0) | SIZES.map(lambda size: -size)
SIDES = st.sampled_from(list(Side))
LEGAL = st.dictionaries(GOOD, SIZES, max_size=6).map(lambda held: list(held.items()))
ILLEGAL = st.lists(st.tuples(ANY_PRICE, ANY_SIZE), max_size=6)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("load"), LEGAL, LEGAL),
        st.tuples(st.just("load"), LEGAL, LEGAL),
        st.tuples(st.just("load"), ILLEGAL, LEGAL),
        st.tuples(st.just("load"), LEGAL, ILLEGAL),
        st.tuples(st.just("set"), SIDES, ANY_PRICE, ANY_SIZE),
        st.tuples(st.just("set"), SIDES, GOOD, SIZES),
        st.tuples(st.just("set"), SIDES, GOOD, SIZES),
        st.tuples(st.just("change"), SIDES, ANY_PRICE, ANY_SIZE),
        st.tuples(st.just("change"), SIDES, GOOD, SIZES),
        st.tuples(st.just("remove"), SIDES, GOOD),
        st.tuples(st.just("take all"), SIDES, GOOD),
    ),
    max_size=60,
)


def apply(book: OrderBook, model: NaiveBook, step: tuple[object, ...]) -> bool:
    """Do the same to both; return what the book says of its top."""
    match step:
        case "load", list(bids), list(asks):
            book.load(bids, asks)
            model.load(bids, asks)
            return True
        case "set", Side() as side, int(price), int(size):
            model.put(side, price, size, relative=False)
            return book.set(side, price, size)
        case "change", Side() as side, int(price), int(change):
            model.put(side, price, change, relative=True)
            return book.change(side, price, change)
        case "remove", Side() as side, int(price):
            model.put(side, price, 0, relative=False)
            return book.set(side, price, 0)
        case "take all", Side() as side, int(price):
            held = model.sides[side].get(Decimal(price) / ONE_DOLLAR, Decimal(0))
            change = -int(held * ONE_CONTRACT)
            model.put(side, price, change, relative=True)
            return book.change(side, price, change)
        case _:
            raise AssertionError(step)


@settings(max_examples=400, deadline=None)
@given(STEPS)
def test_a_book_is_its_naive_model_after_every_step(steps: list[tuple[object, ...]]) -> None:
    """Same levels, same top, and LOST exactly when something impossible was told."""
    book, model = OrderBook(), NaiveBook()
    for step in steps:
        before = book.top()
        touched = apply(book, model, step)
        assert book.state is model.state
        assert book.top() == model.top()
        assert book.depth(99) == model.levels()
        assert touched or book.top() == before, "a new top that nobody was told of"
        for ladder in (book.bids, book.asks):
            assert ladder.keys == sorted(ladder.sizes)


@settings(max_examples=100, deadline=None)
@given(STEPS, LEGAL, LEGAL)
def test_a_snapshot_mends_whatever_came_before(
    steps: list[tuple[object, ...]], bids: list[Level], asks: list[Level]
) -> None:
    book, model, fresh = OrderBook(), NaiveBook(), OrderBook()
    for step in steps:
        apply(book, model, step)
    book.load(bids, asks)
    fresh.load(bids, asks)
    assert (book.state, book.reason, book.depth(99)) == (BookState.LIVE, "", fresh.depth(99))


@given(STEPS)
def test_a_lost_book_keeps_its_levels_as_evidence_and_takes_no_more(
    steps: list[tuple[object, ...]],
) -> None:
    book, model = OrderBook(), NaiveBook()
    book.load([(4_700, 5)], [])
    book.lose("gap")
    model.load([(4_700, 5)], [])
    model.state = BookState.LOST
    for step in steps:
        if step[0] != "load":
            assert not apply(book, model, step)
    assert (book.reason, book.depth(9)) == ("gap", ([(4_700, 5)], []))
