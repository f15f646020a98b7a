"""Our book beside the venue's own answer."""

from arbees_feed.core.book import OrderBook
from arbees_feed.core.events import BookTold, Levels
from arbees_feed.core.model import ONE_CONTRACT, MarketId
from arbees_feed.feed.compare import Verdict, compare, difference, top_of

M = MarketId("KXAAA")
S = 1_000_000_000
BIDS: Levels = [(4_800, 3 * ONE_CONTRACT), (4_700, 5 * ONE_CONTRACT)]
ASKS: Levels = [(5_200, 7 * ONE_CONTRACT)]


def book() -> OrderBook:
    ours = OrderBook()
    ours.load(BIDS, ASKS)
    return ours


def told(
    ts_ns: int = 0, bids: Levels = BIDS, asks: Levels = ASKS, *, in_step: bool = False
) -> BookTold:
    return BookTold(M, bids, asks, ts_ns, in_step)


def test_equal_levels_agree_whatever_their_order_and_the_times() -> None:
    assert compare(book(), 5 * S, told(9 * S, list(reversed(BIDS)))) is Verdict.AGREES
    assert compare(book(), 5 * S, told(2 * S)) is Verdict.AGREES


def test_another_level_at_the_same_time_differs() -> None:
    other = [(4_800, 3 * ONE_CONTRACT), (4_700, 6 * ONE_CONTRACT)]
    assert compare(book(), 5 * S, told(5 * S, other)) is Verdict.DIFFERS


def test_an_answer_in_step_differs_whatever_the_times() -> None:
    assert compare(book(), 5 * S, told(9 * S, [], in_step=True)) is Verdict.DIFFERS


def test_an_older_answer_is_behind_us_and_a_newer_one_ahead() -> None:
    assert compare(book(), 5 * S, told(4 * S, [])) is Verdict.AHEAD
    assert compare(book(), 5 * S, told(6 * S, [])) is Verdict.BEHIND


def test_without_a_time_only_levels_count() -> None:
    assert compare(book(), 5 * S, told(0, [])) is Verdict.DIFFERS
    assert compare(book(), 0, told(4 * S, [])) is Verdict.DIFFERS


def test_the_difference_is_told_by_level_best_first_and_not_at_length() -> None:
    other = told(0, [(4_800, 4 * ONE_CONTRACT)], [])
    assert difference(book(), other) == (
        "bid 0.4800: 3 here, 4 there, bid 0.4700: 5 here, 0 there, ask 0.5200: 7 here, 0 there"
    )
    deep = told(0, [(price, ONE_CONTRACT) for price in range(100, 110)], [])
    assert difference(book(), deep).endswith(", 10 more")


def test_the_top_of_an_answer_is_that_of_a_book() -> None:
    assert top_of(told()) == book().top()
    assert top_of(told(0, [], [])) == OrderBook().top()
