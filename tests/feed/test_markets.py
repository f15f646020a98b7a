"""The table of markets: what is shown, what is held, and what is not believed."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.outlets import FakeClock, Outlets, RecordingLink, table_over

from arbees_feed.core.book import BookState
from arbees_feed.core.events import (
    BookLost,
    BookSnapshot,
    Event,
    LevelChanged,
    LevelSet,
    MarketListed,
    Notice,
    TickerLost,
    TopOfBook,
    TopTold,
    Trade,
    TradingChanged,
)
from arbees_feed.core.model import (
    ONE_DOLLAR,
    MarketId,
    MarketMeta,
    Quote,
    Side,
    Source,
    Status,
)
from arbees_feed.feed.market import Hooks, MarketsConfig
from arbees_feed.feed.markets import MarketTable
from arbees_feed.feed.showcase import AGAIN_S

M, N = MarketId("M"), MarketId("N")
BOOK = BookSnapshot(M, [(4_700, 5), (4_800, 3)], [(5_300, 6), (5_200, 4)], 100)
NOTHING = (0, 0, ONE_DOLLAR, 0)


class Scene:
    """A table with one clock, one link and outlets that remember."""

    def __init__(self, **config: Any) -> None:
        self.outlets = Outlets()
        self.clock = FakeClock()
        self.notices: list[str] = []
        self.table = table_over(
            self.outlets, self.clock, MarketsConfig(**config), self.notices.append
        )
        self.link = RecordingLink()

    def apply(self, *events: Event, link: RecordingLink | None = None) -> None:
        """One frame each."""
        for event in events:
            self.table.apply([event], link or self.link, 7)

    def frame(self, *events: Event) -> None:
        self.table.apply(events, self.link, 7)

    def wait(self, seconds: float) -> None:
        self.clock.now_s += seconds
        self.table.check(self.clock.now_s, 8)

    def quotes(self, market: MarketId = M) -> list[Quote]:
        return self.outlets[market].quotes

    def shown(self, market: MarketId = M) -> list[tuple[Any, ...]]:
        return [top_of(quote) for quote in self.quotes(market)]

    def statuses(self, market: MarketId = M) -> list[str]:
        return [quote.status.value for quote in self.quotes(market)]


def top_of(quote: Quote) -> tuple[int, int, int, int]:
    return quote.bid, quote.bid_size, quote.ask, quote.ask_size


def ticker_of(market: MarketId = M, **changes: Any) -> TopOfBook:
    facts: dict[str, Any] = {
        "bid": 4_600,
        "bid_size": 2,
        "ask": 5_400,
        "ask_size": 2,
        "last_price": None,
        "ts_ns": 200,
    }
    return TopOfBook(market, **(facts | changes))


def bid_set(price: int, size: int, ts_ns: int = 300) -> LevelSet:
    return LevelSet(M, Side.BID, price, size, ts_ns)


# -- what is shown -----------------------------------------------------------------------------


def test_a_snapshot_is_shown_with_its_source_and_times() -> None:
    scene = Scene()
    scene.apply(BOOK)
    assert scene.quotes() == [Quote(4_800, 3, 5_200, 4, None, Status.LIVE, Source.BOOK, 100, 7)]
    assert scene.table.live == 1


def test_nothing_applies_to_a_market_without_snapshot() -> None:
    scene = Scene()
    scene.apply(bid_set(4_900, 1), LevelChanged(M, Side.BID, 4_900, 1, 1), TopTold(M, 1, 2, 1))
    assert len(scene.table) == 0
    scene.apply(ticker_of())
    scene.apply(bid_set(4_900, 1))
    assert scene.shown() == [(4_600, 2, 5_400, 2)]


def test_an_unchanged_top_is_not_published() -> None:
    scene = Scene()
    scene.apply(BOOK, bid_set(4_800, 3), bid_set(4_700, 9), bid_set(4_600, 1), BOOK)
    assert len(scene.quotes()) == 1


@pytest.mark.parametrize(
    ("event", "top"),
    [
        (bid_set(4_900, 1), (4_900, 1, 5_200, 4)),
        (bid_set(4_800, 1), (4_800, 1, 5_200, 4)),
        (bid_set(4_800, 0), (4_700, 5, 5_200, 4)),
        (LevelSet(M, Side.ASK, 5_200, 0, 1), (4_800, 3, 5_300, 6)),
        (LevelChanged(M, Side.ASK, 5_200, -1, 1), (4_800, 3, 5_200, 3)),
    ],
)
def test_a_changed_top_is_published(event: Event, top: tuple[int, int, int, int]) -> None:
    scene = Scene()
    scene.apply(BOOK, event)
    assert scene.shown()[1:] == [top]


def test_an_empty_snapshot_is_shown_as_a_book_without_levels() -> None:
    scene = Scene()
    scene.apply(BOOK, BookSnapshot(M, [], [], 0))
    assert scene.shown()[-1] == NOTHING
    assert scene.statuses() == ["live", "live"]


def test_a_change_of_the_last_price_alone_is_published() -> None:
    scene = Scene()
    scene.apply(BOOK, Trade(M, 5_000, 1, "buy", "t", 101), Trade(M, 5_000, 9, "buy", "u", 102))
    assert [quote.last_price for quote in scene.quotes()] == [None, 5_000]
    assert scene.shown()[0] == scene.shown()[1]


def test_an_older_trade_does_not_bring_its_price_back() -> None:
    scene = Scene()
    scene.apply(BOOK, Trade(M, 5_000, 1, "", "t", 102), Trade(M, 4_000, 1, "", "u", 101))
    scene.apply(ticker_of(last_price=3_000, ts_ns=101))
    assert scene.quotes()[-1].last_price == 5_000


def test_a_frame_is_handled_whole_before_anything_is_shown() -> None:
    scene = Scene()
    scene.apply(BOOK)
    scene.frame(bid_set(5_200, 1), LevelSet(M, Side.ASK, 5_200, 0, 300), bid_set(5_100, 1))
    assert scene.shown()[1:] == [(5_200, 1, 5_300, 6)]
    assert scene.table.stats.held == 0


def test_trades_and_depth_go_out_where_they_are_wanted() -> None:
    scene, plain = Scene(trades=True, depth=True), Scene()
    for one in (scene, plain):
        one.apply(BOOK, bid_set(4_600, 1), Trade(M, 5_000, 1, "buy", "t", 101))
        one.apply(BookLost(M, "gap"), bid_set(4_600, 2))
    outlet = scene.outlets[M]
    assert (len(outlet.trades), outlet.depths) == (1, [(100, 7), (300, 7)])
    assert (plain.outlets[M].trades, plain.outlets[M].depths) == ([], [])


def test_notices_and_new_markets_are_handed_on() -> None:
    listed: list[MarketListed] = []
    notices: list[str] = []
    table = MarketTable(
        Outlets().__getitem__,
        MarketsConfig(),
        monotonic=FakeClock(),
        hooks=Hooks(on_listed=listed.append, on_notice=notices.append),
    )
    news = MarketListed(MarketMeta(M, "kalshi"))
    table.apply([news, Notice("hear")], RecordingLink(), 1)
    assert (listed, notices, len(table)) == ([news], ["hear"], 0)


def test_a_market_is_new_once() -> None:
    scene = Scene()
    scene.apply(BOOK, ticker_of(N), BOOK)
    assert scene.table.take_new() == [M, N]
    scene.apply(BOOK)
    assert scene.table.take_new() == []


# -- book and ticker ---------------------------------------------------------------------------


def test_the_book_wins_over_the_ticker() -> None:
    scene = Scene()
    scene.apply(BOOK, ticker_of(ts_ns=999))
    assert scene.shown() == [(4_800, 3, 5_200, 4)]


def test_a_ticker_that_contradicts_the_book_tells_its_last_price_with_the_next_change() -> None:
    """The book may have stopped: its top must not go out anew beside a price of now."""
    scene = Scene()
    scene.apply(BOOK, ticker_of(last_price=5_000, ts_ns=999))
    assert [quote.last_price for quote in scene.quotes()] == [None]
    scene.apply(LevelSet(M, Side.BID, 4_900, 1, 1_000))
    assert [quote.last_price for quote in scene.quotes()] == [None, 5_000]
    scene.apply(ticker_of(bid=4_900, ask=5_200, last_price=5_100, ts_ns=1_001))
    assert [quote.last_price for quote in scene.quotes()] == [None, 5_000, 5_100]


def test_the_ticker_carries_on_when_the_book_is_lost() -> None:
    scene = Scene()
    scene.apply(BOOK, ticker_of(ts_ns=150), BookLost(M, "gap"))
    assert scene.shown()[-1] == (4_600, 2, 5_400, 2)
    assert (scene.quotes()[-1].source, scene.quotes()[-1].ts_event_ns) == (Source.TICKER, 150)
    scene.apply(ticker_of(bid=4_500, ts_ns=160))
    assert scene.shown()[-1] == (4_500, 2, 5_400, 2)
    scene.apply(BOOK)
    assert scene.quotes()[-1].source is Source.BOOK


def test_a_ticker_older_than_the_lost_book_is_ignored() -> None:
    """The stored one and a late one alike: readers have seen newer prices."""
    scene = Scene()
    scene.apply(BOOK, ticker_of(ts_ns=150), bid_set(4_900, 1, 400), BookLost(M, "gap"))
    scene.apply(ticker_of(ts_ns=399))
    assert scene.shown()[-1] == (4_900, 1, 5_200, 4)
    scene.wait(1.1)
    assert scene.statuses()[-1] == "stale"
    scene.apply(ticker_of(ts_ns=400))
    assert scene.shown()[-1] == (4_600, 2, 5_400, 2)


def test_a_snapshot_without_time_does_not_make_old_tickers_young() -> None:
    scene = Scene()
    scene.apply(BOOK, bid_set(4_900, 1, 400), ticker_of(ts_ns=150))
    scene.apply(BookSnapshot(M, [(4_900, 1)], [(5_200, 4)], 0), BookLost(M, "gap"))
    assert [quote.source for quote in scene.quotes()] == [Source.BOOK] * 2


def test_changes_that_a_lost_book_ignores_do_not_make_the_ticker_old() -> None:
    scene = Scene()
    scene.apply(BOOK, BookLost(M, "gap"), bid_set(4_900, 1, 900), ticker_of(ts_ns=150))
    assert scene.shown()[-1] == (4_600, 2, 5_400, 2)


def test_an_older_ticker_of_another_connection_is_ignored() -> None:
    scene = Scene()
    scene.apply(ticker_of(ts_ns=200))
    scene.table.apply([ticker_of(bid=100, ts_ns=199)], RecordingLink(), 2)
    scene.table.apply([ticker_of(bid=200, ts_ns=200)], RecordingLink(), 3)
    assert [quote.bid for quote in scene.quotes()] == [4_600, 200]


def test_on_one_connection_the_later_ticker_is_the_newer_one() -> None:
    """Whatever its time says: the venue's clock may have been ahead."""
    scene = Scene()
    scene.apply(ticker_of(ts_ns=200), ticker_of(bid=100, ts_ns=199))
    assert scene.quotes()[-1].bid == 100


def test_a_ticker_without_time_is_believed() -> None:
    scene = Scene()
    scene.apply(ticker_of(ts_ns=200), ticker_of(bid=100, ts_ns=0))
    assert [quote.bid for quote in scene.quotes()] == [4_600, 100]


def test_a_ticker_that_could_not_be_read_is_no_longer_believed() -> None:
    scene = Scene()
    scene.apply(ticker_of(), TickerLost(M, "malformed"), TickerLost(N, "malformed"))
    scene.wait(1.1)
    assert scene.statuses() == ["live", "stale"]
    scene.apply(ticker_of(ts_ns=201))
    assert scene.statuses() == ["live", "stale", "live"]


def test_a_lost_ticker_costs_nothing_where_a_book_is() -> None:
    scene = Scene()
    scene.apply(BOOK, ticker_of(), TickerLost(M, "malformed"))
    scene.wait(5)
    assert scene.statuses() == ["live"]


# -- crossed books -----------------------------------------------------------------------------


@pytest.mark.parametrize("bid", [5_200, 5_300])
def test_a_crossed_or_locked_book_is_held_and_released(bid: int) -> None:
    scene = Scene()
    scene.apply(BOOK, bid_set(bid, 1))
    scene.wait(0.9)
    assert scene.shown() == [(4_800, 3, 5_200, 4)]
    scene.apply(LevelSet(M, Side.ASK, 5_200, 0, 300), LevelSet(M, Side.ASK, 5_300, 0, 300))
    assert scene.shown()[-1] == (bid, 1, ONE_DOLLAR, 0)
    scene.wait(5)
    assert scene.statuses()[-1] == "live"
    assert scene.link.resyncs == []


def test_a_book_crossed_too_long_is_one_stale_message_and_a_resync() -> None:
    scene = Scene()
    scene.apply(BOOK, bid_set(5_300, 1))
    for _ in range(30):
        scene.wait(0.1)
    scene.apply(bid_set(5_350, 1))
    scene.wait(30)
    assert scene.statuses() == ["live", "stale"]
    assert scene.shown()[-1] == NOTHING
    assert scene.link.resyncs == [(M, "crossed")]
    assert scene.table.get(M).book.state is BookState.LOST  # type: ignore[union-attr]
    scene.apply(BOOK)
    assert scene.statuses() == ["live", "stale", "live"]


def test_a_fresh_book_that_is_crossed_too_is_asked_for_again_slowly() -> None:
    scene = Scene()
    crossed = BookSnapshot(M, [(5_000, 1)], [(5_000, 1)], 0)
    scene.apply(BOOK, crossed)
    scene.wait(1.1)
    scene.apply(crossed)
    scene.wait(AGAIN_S - 0.1)
    assert len(scene.link.resyncs) == 1
    scene.wait(0.2)
    assert len(scene.link.resyncs) == 2
    assert scene.statuses() == ["live", "stale"]


def test_a_crossed_ticker_is_held() -> None:
    scene = Scene()
    scene.apply(ticker_of(), ticker_of(bid=5_400, ts_ns=201))
    assert len(scene.quotes()) == 1
    scene.apply(ticker_of(bid=5_300, ts_ns=202))
    assert [quote.bid for quote in scene.quotes()] == [4_600, 5_300]


def test_a_level_below_zero_while_crossed_is_asked_for() -> None:
    """The doubt about the cross must not hide that the book itself is wrong."""
    scene = Scene()
    scene.apply(BOOK, bid_set(5_300, 1), LevelChanged(M, Side.BID, 4_700, -6, 300))
    assert [reason for _, reason in scene.link.resyncs] == ["size -1 at price 4700"]


def test_an_absurd_snapshot_is_asked_for_again_whatever_else_is_in_doubt() -> None:
    scene = Scene()
    absurd = BookSnapshot(M, [(4_800, -1)], [], 0)
    scene.apply(BOOK, BookLost(M, "gap"), absurd)
    assert len(scene.link.resyncs) == 1
    scene.wait(5)
    scene.apply(absurd)
    assert len(scene.link.resyncs) == 2
    assert scene.statuses() == ["live", "stale"]


# -- what the venue says of the top ------------------------------------------------------------


def test_a_top_that_agrees_changes_nothing() -> None:
    scene = Scene()
    scene.apply(
        BOOK, TopTold(M, 4_800, 5_200, 1), TopTold(M, None, 5_200, 1), TopTold(M, 4_800, None, 1)
    )
    scene.wait(5)
    assert scene.statuses() == ["live"]


@pytest.mark.parametrize("told", [TopTold(M, 4_700, 5_200, 1), TopTold(M, 4_800, ONE_DOLLAR, 1)])
def test_a_top_that_disagrees_holds_the_price_and_leads_to_a_resync(told: TopTold) -> None:
    scene = Scene()
    scene.apply(BOOK, told, bid_set(4_900, 1))
    assert len(scene.quotes()) == 1
    scene.wait(1.1)
    assert scene.statuses() == ["live", "stale"]
    assert scene.link.resyncs == [(M, "top of book is not what the venue says")]
    scene.apply(BOOK)
    assert scene.statuses() == ["live", "stale", "live"]


def test_a_top_that_agrees_again_in_time_releases_the_price() -> None:
    scene = Scene()
    scene.apply(BOOK)
    scene.frame(bid_set(4_900, 1), TopTold(M, 4_950, 5_200, 1))
    assert len(scene.quotes()) == 1
    scene.frame(bid_set(4_950, 1), TopTold(M, 4_950, 5_200, 1))
    scene.wait(5)
    assert scene.shown() == [(4_800, 3, 5_200, 4), (4_950, 1, 5_200, 4)]
    assert scene.link.resyncs == []


def test_an_empty_book_agrees_with_0_and_1() -> None:
    scene = Scene()
    scene.apply(BookSnapshot(M, [], [], 1), TopTold(M, 0, ONE_DOLLAR, 1))
    scene.wait(5)
    assert scene.statuses() == ["live"]


# -- losses ------------------------------------------------------------------------------------


def test_a_lost_book_shows_nothing_new_and_one_stale_message_after_the_grace() -> None:
    scene = Scene()
    scene.apply(BOOK, BookLost(M, "gap"))
    scene.apply(bid_set(4_900, 1), LevelChanged(M, Side.BID, 4_900, 1, 1))
    scene.wait(0.9)
    assert scene.statuses() == ["live"]
    scene.wait(0.2)
    scene.wait(60)
    assert scene.statuses() == ["live", "stale"]
    assert scene.shown()[-1] == NOTHING
    assert scene.table.live == 0


def test_a_book_mended_within_the_grace_is_never_stale() -> None:
    scene = Scene()
    scene.apply(BOOK, BookLost(M, "gap"))
    scene.wait(0.9)
    scene.apply(BOOK)
    scene.wait(60)
    assert scene.statuses() == ["live"]


def test_a_second_loss_gets_a_grace_of_its_own() -> None:
    scene = Scene()
    scene.apply(BOOK, BookLost(M, "gap"))
    scene.wait(0.9)
    scene.apply(BOOK, BookLost(M, "gap"))
    scene.wait(0.9)
    assert scene.statuses() == ["live"]
    scene.wait(0.2)
    assert scene.statuses() == ["live", "stale"]


def test_without_grace_a_loss_is_stale_at_the_next_check() -> None:
    scene = Scene(stale_grace_s=0.0)
    scene.apply(BOOK, BookLost(M, "gap"))
    scene.wait(0)
    assert scene.statuses() == ["live", "stale"]


def test_live_again_after_stale_even_at_the_same_price() -> None:
    scene = Scene()
    scene.apply(BOOK, BookLost(M, "gap"))
    scene.wait(1.1)
    scene.apply(BOOK)
    assert scene.statuses() == ["live", "stale", "live"]
    assert scene.shown()[0] == scene.shown()[2]
    assert scene.table.live == 1


def test_a_market_never_shown_is_never_stale() -> None:
    scene = Scene()
    scene.apply(Trade(M, 5_000, 1, "", "t", 1))
    scene.wait(5)
    assert scene.quotes() == []


def test_a_level_below_zero_is_asked_for_at_once() -> None:
    scene = Scene()
    scene.apply(BOOK, LevelChanged(M, Side.BID, 4_800, -4, 300))
    assert scene.link.resyncs == [(M, "size -1 at price 4800")]
    assert scene.statuses() == ["live"]
    scene.wait(1.1)
    assert scene.statuses() == ["live", "stale"]


def test_a_loss_that_the_decoder_told_is_not_asked_for_twice() -> None:
    scene = Scene()
    scene.apply(BOOK, BookLost(M, "gap"))
    scene.wait(5)
    assert scene.link.resyncs == []


def test_a_lost_connection_loses_what_came_over_it_and_nothing_else() -> None:
    scene, other = Scene(), RecordingLink()
    scene.apply(BOOK)
    scene.apply(BookSnapshot(N, [(1, 1)], [], 1), link=other)
    scene.table.lose(scene.link, "closed")
    scene.wait(1.1)
    assert (scene.statuses(M), scene.statuses(N)) == (["live", "stale"], ["live"])


def test_a_book_on_a_lost_connection_gives_way_to_a_ticker_on_another_at_once() -> None:
    """A quiet market's next ticker may be hours away; its old price must not stay."""
    scene, other = Scene(), RecordingLink()
    scene.apply(BOOK)
    scene.apply(ticker_of(), link=other)
    scene.table.lose(scene.link, "closed")
    assert scene.shown()[-1] == (4_600, 2, 5_400, 2)
    scene.table.lose(other, "closed")
    scene.wait(1.1)
    assert scene.statuses() == ["live", "live", "stale"]


def test_a_book_on_a_lost_connection_does_not_give_way_to_an_older_ticker() -> None:
    scene, other = Scene(), RecordingLink()
    scene.apply(BOOK)
    scene.apply(ticker_of(ts_ns=99), link=other)
    scene.table.lose(scene.link, "closed")
    assert len(scene.quotes()) == 1
    scene.wait(1.1)
    assert scene.statuses() == ["live", "stale"]


def test_a_lost_ticker_connection_costs_nothing_where_a_book_is() -> None:
    scene, other = Scene(), RecordingLink()
    scene.apply(ticker_of(), link=other)
    scene.apply(BOOK)
    scene.table.lose(other, "closed")
    scene.wait(5)
    assert scene.statuses() == ["live", "live"]


def test_a_reconnection_within_the_grace_is_not_seen_by_readers() -> None:
    scene, again = Scene(), RecordingLink()
    scene.apply(BOOK)
    scene.table.lose(scene.link, "closed")
    scene.wait(0.5)
    scene.apply(BOOK, link=again)
    scene.wait(5)
    assert scene.statuses() == ["live"]
    scene.table.lose(scene.link, "closed long ago")
    scene.wait(5)
    assert scene.statuses() == ["live"]


def test_a_resync_goes_to_the_connection_that_carries_the_book_now() -> None:
    scene, again = Scene(), RecordingLink()
    scene.apply(BOOK)
    scene.apply(BOOK, link=again)
    scene.apply(LevelChanged(M, Side.BID, 4_800, -4, 300), link=again)
    assert (scene.link.resyncs, len(again.resyncs)) == ([], 1)


# -- trading -----------------------------------------------------------------------------------


def test_a_closed_market_carries_no_quote() -> None:
    scene = Scene()
    scene.apply(BOOK, Trade(M, 5_000, 1, "", "t", 101), TradingChanged(M, "closed", 500))
    last = scene.quotes()[-1]
    assert (top_of(last), last.status, last.last_price) == (NOTHING, Status.CLOSED, 5_000)
    assert last.ts_event_ns == 500
    assert (scene.table.ended, scene.table.live) == ([M], 0)


def test_nothing_brings_a_closed_market_back_by_itself() -> None:
    scene = Scene()
    scene.apply(BOOK, TradingChanged(M, "closed", 0), TradingChanged(M, "closed", 0))
    scene.apply(BOOK, bid_set(4_900, 1), ticker_of(ts_ns=999), Trade(M, 1, 1, "", "t", 999))
    scene.table.lose(scene.link, "closed")
    scene.wait(5)
    scene.table.stop(9)
    assert scene.statuses() == ["live", "closed"]
    assert scene.table.ended == [M]


def test_a_closed_market_in_doubt_is_not_stale_afterwards() -> None:
    scene = Scene()
    scene.apply(BOOK, BookLost(M, "gap"), TradingChanged(M, "closed", 0))
    scene.wait(5)
    assert scene.statuses() == ["live", "closed"]


def test_the_end_of_a_market_never_heard_of_is_told_to_the_owner() -> None:
    """A settled token brings no book: it would be subscribed on every new connection."""
    scene = Scene()
    scene.apply(TradingChanged(M, "closed", 0))
    assert (scene.table.ended, len(scene.table), scene.quotes()) == ([M], 0, [])


def test_a_paused_market_is_stale_at_once_and_live_when_it_opens() -> None:
    scene = Scene()
    scene.apply(BOOK, TradingChanged(M, "paused", 0), bid_set(4_900, 1))
    assert scene.statuses() == ["live", "stale"]
    scene.wait(5)
    scene.apply(TradingChanged(M, "open", 0))
    assert scene.statuses() == ["live", "stale", "live"]
    assert scene.shown()[-1] == (4_900, 1, 5_200, 4)


def test_a_market_that_opens_without_a_book_stays_stale() -> None:
    scene = Scene()
    scene.apply(BOOK, TradingChanged(M, "paused", 0), BookLost(M, "gap"))
    scene.apply(TradingChanged(M, "open", 0))
    scene.wait(5)
    assert scene.statuses() == ["live", "stale"]


# -- the end -----------------------------------------------------------------------------------


def test_stopping_shows_every_live_market_as_stale() -> None:
    scene = Scene()
    scene.apply(BOOK, ticker_of(N), TradingChanged(N, "closed", 0))
    scene.table.stop(9)
    scene.table.stop(9)
    assert (scene.statuses(M), scene.statuses(N)) == (["live", "stale"], ["live", "closed"])
    assert scene.quotes()[-1].ts_recv_ns == 9


def test_a_dropped_market_ends_stale_and_is_forgotten() -> None:
    scene = Scene()
    scene.apply(BOOK, BookLost(M, "gap"))
    for market in (M, N):
        assert not scene.table.release(market, 9)
        scene.table.forget(market)
    scene.wait(5)
    assert scene.statuses() == ["live", "stale"]
    assert (len(scene.table), scene.table.live) == (0, 0)


# -- properties --------------------------------------------------------------------------------


class NaiveMarket:
    """What may be shown now, found by searching dicts; None: nothing may."""

    def __init__(self) -> None:
        self.sides: dict[Side, dict[int, int]] | None = None

    def apply(self, event: Event) -> None:
        if isinstance(event, BookSnapshot):
            self.sides = {Side.BID: dict(event.bids), Side.ASK: dict(event.asks)}
        elif isinstance(event, BookLost):
            self.sides = None
        elif self.sides is not None and isinstance(event, LevelSet | LevelChanged):
            side = self.sides[event.side]
            changed = isinstance(event, LevelChanged)
            size = side.get(event.price, 0) + event.change if changed else event.size
            if size < 0:
                self.sides = None
            elif size:
                side[event.price] = size
            else:
                side.pop(event.price, None)

    def top(self) -> tuple[int, int, int, int] | None:
        if self.sides is None:
            return None
        bids, asks = self.sides[Side.BID], self.sides[Side.ASK]
        bid, ask = max(bids, default=0), min(asks, default=ONE_DOLLAR)
        return (bid, bids.get(bid, 0), ask, asks.get(ask, 0)) if bid < ask else None


PRICES = st.integers(1, 9).map(lambda tenth: tenth * 1_000)
LEVELS = st.dictionaries(PRICES, st.integers(1, 5), max_size=4).map(lambda d: list(d.items()))
MARKETS = st.sampled_from([M, N])
SIDES = st.sampled_from(list(Side))
EVENTS = st.one_of(
    st.builds(BookSnapshot, MARKETS, LEVELS, LEVELS, st.just(0)),
    st.builds(LevelSet, MARKETS, SIDES, PRICES, st.integers(0, 5), st.just(0)),
    st.builds(LevelSet, MARKETS, SIDES, PRICES, st.integers(0, 5), st.just(0)),
    st.builds(LevelChanged, MARKETS, SIDES, PRICES, st.integers(-3, 5), st.just(0)),
    st.builds(BookLost, MARKETS, st.just("gap")),
)
STEPS = st.lists(st.one_of(EVENTS, st.lists(EVENTS, max_size=4), st.floats(0, 2)), max_size=30)


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_every_live_quote_is_the_naive_top_of_its_moment(
    steps: Sequence[Event | list[Event] | float],
) -> None:
    scene = Scene()
    models = {M: NaiveMarket(), N: NaiveMarket()}
    doubted_at: dict[MarketId, float] = {}
    for step in steps:
        before = {market: len(scene.quotes(market)) for market in models}
        if isinstance(step, float):
            scene.wait(step)
        else:
            events = step if isinstance(step, list) else [step]
            for event in events:
                models[event.market].apply(event)  # type: ignore[union-attr]
            scene.frame(*events)
        for market, model in models.items():
            check_market(scene, market, model, before[market], doubted_at)


def check_market(
    scene: Scene,
    market: MarketId,
    model: NaiveMarket,
    before: int,
    doubted_at: dict[MarketId, float],
) -> None:
    quotes, now_s, top = scene.quotes(market), scene.clock.now_s, model.top()
    for quote in quotes[before:]:
        if quote.status is Status.LIVE:
            assert quote.bid < quote.ask
            assert top_of(quote) == top
        else:
            assert top_of(quote) == NOTHING
            assert now_s - doubted_at[market] >= 1.0
    states = [(top_of(quote), quote.status) for quote in quotes]
    assert all(a != b for a, b in pairwise(states))
    given_up = scene.table.get(market)
    if top is not None and (given_up is None or given_up.book.state is BookState.LIVE):  # type: ignore[union-attr]
        doubted_at.pop(market, None)
        assert top_of(quotes[-1]) == top  # nothing good is held back
        assert quotes[-1].status is Status.LIVE
    else:
        doubted_at.setdefault(market, now_s)
        if given_up is not None and top is not None:
            model.sides = None  # given up as crossed meanwhile: only a snapshot mends it
