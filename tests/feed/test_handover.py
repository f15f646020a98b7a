"""Make before break: no hole, no step back in time, nothing twice."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.outlets import FakeClock, Outlets, RecordingLink, table_over

from arbees_feed.core.events import (
    BookLost,
    BookSnapshot,
    Event,
    LevelChanged,
    Levels,
    LevelSet,
    TickerLost,
    TopOfBook,
    Trade,
)
from arbees_feed.core.model import ONE_CONTRACT, MarketId, Side, Status
from arbees_feed.feed.handover import STANDOFF_S, STILL_S
from arbees_feed.feed.market import Market, MarketsConfig

S = 1_000_000_000
M, N = MarketId("KX-0"), MarketId("KX-1")
BIDS: Levels = [(4_800, 3 * ONE_CONTRACT)]
ASKS: Levels = [(5_200, 7 * ONE_CONTRACT)]


class Stage:
    """A table that two connections feed."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.outlets = Outlets()
        self.table = table_over(self.outlets, self.clock, MarketsConfig(trades=True))
        self.old, self.new = RecordingLink(), RecordingLink()
        self.say(self.old, BookSnapshot(M, BIDS, ASKS, 0), change(4_700, 1, 10 * S))
        self.handover = self.table.handovers.begin(self.old, self.new)

    def say(self, link: RecordingLink, *events: Event) -> None:
        self.table.apply(events, link, 1)

    def advance(self, seconds: float = 0.0) -> bool:
        self.clock.now_s += seconds
        return self.table.handovers.advance(self.handover, self.clock.now_s, 1)

    def market(self, market: MarketId = M) -> Market:
        found = self.table.get(market)
        assert found is not None
        return found

    def shown(self) -> list[tuple[int, int, Status]]:
        return [(q.bid, q.bid_size // ONE_CONTRACT, q.status) for q in self.outlets[M].quotes]


def change(price: int, by: int, ts_ns: int, market: MarketId = M) -> LevelChanged:
    return LevelChanged(market, Side.BID, price, by * ONE_CONTRACT, ts_ns)


def trade(ident: str, ts_ns: int = 11 * S) -> Trade:
    return Trade(M, 4_900, ONE_CONTRACT, "buy", ident, ts_ns)


FULL: Levels = [*BIDS, (4_700, ONE_CONTRACT)]


def test_equal_books_at_rest_change_over_and_readers_see_nothing() -> None:
    stage = Stage()
    assert not stage.advance()
    stage.say(stage.new, BookSnapshot(M, FULL, ASKS, 0))
    assert not stage.advance()
    assert stage.advance(STILL_S)
    assert stage.market().book_link is stage.new
    assert stage.shown() == [(4_800, 3, Status.LIVE)]


def test_a_book_that_equals_a_later_state_by_chance_is_not_taken_for_it() -> None:
    stage = Stage()
    stage.say(stage.new, BookSnapshot(M, FULL, ASKS, 0))
    stage.say(stage.old, change(4_800, 2, 11 * S))
    stage.say(stage.old, change(4_800, -2, 12 * S))
    assert not stage.advance()
    stage.say(stage.new, change(4_800, 2, 11 * S))
    assert not stage.advance()
    stage.say(stage.new, change(4_800, -2, 12 * S))
    assert stage.advance()
    assert [size for _, size, _ in stage.shown()] == [3, 5, 3]


def test_the_old_connection_goes_on_feeding_readers_meanwhile() -> None:
    stage = Stage()
    stage.say(stage.new, BookSnapshot(M, [], [], 0))
    stage.say(stage.old, change(4_800, 2, 11 * S))
    assert not stage.advance()
    assert stage.shown()[-1] == (4_800, 5, Status.LIVE)


def test_a_new_book_that_lags_waits_until_it_has_caught_up() -> None:
    stage = Stage()
    stage.say(stage.new, BookSnapshot(M, FULL, ASKS, 0))
    stage.say(stage.old, change(4_800, 2, 11 * S), change(4_800, 1, 12 * S))
    stage.say(stage.new, change(4_800, 2, 11 * S))
    assert not stage.advance()
    stage.say(stage.new, change(4_800, 1, 12 * S))
    assert stage.advance()
    assert [size for _, size, _ in stage.shown()] == [3, 6]


def test_a_new_book_that_is_ahead_takes_over_and_the_laggard_is_not_heard_any_more() -> None:
    stage = Stage()
    stage.say(stage.new, BookSnapshot(M, FULL, ASKS, 0), change(4_800, 2, 11 * S))
    assert stage.advance()
    stage.say(stage.old, change(4_800, 2, 11 * S))
    assert [size for _, size, _ in stage.shown()] == [3, 5]


def test_books_that_differ_and_stand_still_are_settled_by_the_newer_snapshot() -> None:
    stage = Stage()
    stage.say(stage.new, BookSnapshot(M, [(4_600, ONE_CONTRACT)], ASKS, 0))
    assert not stage.advance()
    assert not stage.advance(STANDOFF_S - 0.1)
    assert stage.advance(0.2)
    assert stage.shown()[-1] == (4_600, 1, Status.LIVE)


def test_a_suspected_book_that_does_not_move_gives_way_at_once() -> None:
    stage = Stage()
    stage.table.handovers.abandon(stage.handover)
    stage.handover = stage.table.handovers.begin(stage.old, stage.new, planned=False)
    stage.say(stage.new, BookSnapshot(M, [(4_600, ONE_CONTRACT)], ASKS, 0))
    assert stage.advance()
    assert stage.shown()[-1] == (4_600, 1, Status.LIVE)


def test_a_doubtful_old_book_gives_way_to_a_sound_one() -> None:
    stage = Stage()
    stage.say(stage.old, BookLost(M, "gap"))
    stage.say(stage.new, BookSnapshot(M, BIDS, ASKS, 0))
    stage.advance()
    assert stage.market().book_link is stage.new
    assert stage.shown()[-1][2] is Status.LIVE


@pytest.mark.parametrize(
    "unsound",
    [
        BookLost(M, "gap"),
        LevelSet(M, Side.BID, 5_300, ONE_CONTRACT, 12 * S),  # crossed
        change(4_700, -9, 12 * S),  # below zero
    ],
)
def test_an_unsound_new_book_does_not_take_over(unsound: Event) -> None:
    stage = Stage()
    stage.say(stage.new, BookSnapshot(M, FULL, ASKS, 0), unsound)
    assert not stage.advance(2 * STANDOFF_S)
    assert stage.market().book_link is stage.old


def test_a_market_that_only_the_new_connection_has_is_shown_at_once() -> None:
    stage = Stage()
    stage.say(stage.new, BookSnapshot(N, BIDS, ASKS, 0), change(4_800, 1, 11 * S, N))
    assert [q.bid_size // ONE_CONTRACT for q in stage.outlets[N].quotes] == [4]


def test_when_the_old_connection_fails_what_is_in_step_takes_over() -> None:
    stage = Stage()
    stage.say(stage.new, BookSnapshot(M, FULL, ASKS, 0))
    stage.table.handovers.finish(stage.handover, 1, old_is_sound=False)
    stage.table.lose(stage.old, "cut")
    stage.say(stage.new, change(4_800, 1, 13 * S))
    assert [(size, status) for _, size, status in stage.shown()] == [
        (3, Status.LIVE),
        (4, Status.LIVE),
    ]


def test_what_comes_to_nothing_leaves_the_old_connection_in_place() -> None:
    stage = Stage()
    stage.say(stage.new, BookSnapshot(M, [], [], 0), BookSnapshot(N, BIDS, ASKS, 0))
    stage.table.handovers.abandon(stage.handover)
    stage.table.lose(stage.new, "refused")
    stage.say(stage.old, change(4_800, 2, 11 * S))
    assert stage.shown()[-1] == (4_800, 5, Status.LIVE)
    assert not stage.market(N).has_source()


# -- tickers and trades -------------------------------------------------------------------------


def quoted(ts_ns: int) -> TopOfBook:
    return TopOfBook(N, 4_000, ONE_CONTRACT, 4_100, ONE_CONTRACT, None, ts_ns)


@pytest.mark.parametrize(("sound", "statuses"), [(True, ["live"]), (False, ["live", "stale"])])
def test_tickers_of_a_sound_connection_hold_on_and_those_of_a_failed_one_do_not(
    sound: bool,  # noqa: FBT001
    statuses: list[str],
) -> None:
    stage = Stage()
    stage.say(stage.old, quoted(5 * S))
    stage.table.handovers.finish(stage.handover, 1, old_is_sound=sound)
    stage.table.lose(stage.old, "replaced")
    stage.clock.now_s += 2.0
    stage.table.check(stage.clock.now_s, 1)
    assert [q.status for q in stage.outlets[N].quotes] == statuses


def test_the_new_connection_takes_nothing_away_while_it_is_new() -> None:
    stage = Stage()
    stage.say(stage.old, quoted(5 * S))
    stage.say(stage.new, TickerLost(N, "malformed"))
    assert stage.market(N).has_source()
    stage.say(stage.new, quoted(6 * S))
    stage.table.handovers.abandon(stage.handover)
    stage.table.lose(stage.new, "refused")
    assert stage.market(N).has_source()


def test_each_trade_is_shown_once_whoever_tells_it_first() -> None:
    stage = Stage()
    stage.say(stage.old, trade("a"))
    stage.say(stage.new, trade("a"), trade("b"), trade("c"))
    stage.say(stage.old, trade("b"))
    stage.say(stage.new, trade("b"))
    untold = stage.table.handovers.finish(stage.handover, 1, old_is_sound=True)
    stage.say(stage.new, *untold)
    assert [t.trade_id for t in stage.outlets[M].trades] == ["a", "b", "c"]


# -- any interleaving ---------------------------------------------------------------------------


@given(
    st.lists(st.sampled_from([-2, -1, 1, 2, 3]), min_size=1, max_size=30),
    st.lists(st.sampled_from(["old", "new", "look"]), max_size=120),
)
def test_however_two_connections_interleave_readers_see_each_state_once_and_in_order(
    changes: list[int], turns: list[str]
) -> None:
    stage = Stage()
    size, stream = 3, []
    for number, wanted in enumerate(changes):
        by = wanted if size + wanted > 0 else 1
        size += by
        stream.append(change(4_800, by, (11 + number) * S))
    told = {"old": iter(stream), "new": iter(stream)}
    truth = list(itertools.accumulate([c.change for c in stream], initial=3 * ONE_CONTRACT))
    stage.say(stage.new, BookSnapshot(M, FULL, ASKS, 0))
    for turn in turns:
        if turn == "look":
            stage.advance()
        elif (event := next(told[turn], None)) is not None:
            stage.say(stage.old if turn == "old" else stage.new, event)
    for turn, event in [(t, e) for t in ("old", "new") for e in told[t]]:
        stage.say(stage.old if turn == "old" else stage.new, event)
    stage.advance()
    assert stage.advance(STILL_S)
    assert stage.market().book_link is stage.new
    quotes = stage.outlets[M].quotes
    assert [q.ts_event_ns for q in quotes] == sorted(q.ts_event_ns for q in quotes)
    states = iter(truth)
    assert all(quote.bid_size in states for quote in quotes)  # in this order, some left out
    assert quotes[-1].bid_size == truth[-1]
    assert all(quote.status is Status.LIVE for quote in quotes)
