"""An old price never comes back as live, and a market does not stay stale without a reason."""

from typing import Any

import msgspec
from support.outlets import FakeClock, Outlets, RecordingLink, table_over

from arbees_feed.core.events import (
    BookLost,
    BookSnapshot,
    Event,
    LevelSet,
    TopOfBook,
    TradingChanged,
)
from arbees_feed.core.model import MarketId, Quote, Side, Source, Status
from arbees_feed.feed.handover import Handovers
from arbees_feed.feed.market import MarketsConfig

M = MarketId("M")
BOOK = BookSnapshot(M, [(4_800, 3)], [(5_200, 4)], 100)
REST = TopOfBook(M, 4_000, 7, 4_100, 8, None, 0, None)
"""Kalshi's REST does not tell of when a top is."""


class Scene:
    """A table with one clock and outlets that remember."""

    def __init__(self) -> None:
        self.outlets = Outlets()
        self.clock = FakeClock()
        self.table = table_over(self.outlets, self.clock, MarketsConfig(stale_grace_s=1.0))
        self.lead, self.books = RecordingLink(), RecordingLink()

    def apply(self, *events: Event, link: RecordingLink) -> None:
        """One frame each."""
        for event in events:
            self.table.apply([event], link, 7)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.now_s += seconds
        self.table.check(self.clock.now_s, 7)

    @property
    def newest(self) -> Quote:
        """What readers were shown last."""
        return self.outlets[M].quotes[-1]

    @property
    def statuses(self) -> list[str]:
        """All that readers were shown."""
        return [quote.status.value for quote in self.outlets[M].quotes]


def test_an_answer_without_a_time_does_not_stand_in_for_a_book_that_came_after_it() -> None:
    scene = Scene()
    scene.table.refresh([REST], scene.lead, 7)
    assert (scene.newest.source, scene.newest.bid) == (Source.REST, 4_000)
    scene.apply(BOOK, LevelSet(M, Side.BID, 4_900, 1, 200), link=scene.books)
    assert scene.newest.bid == 4_900
    shown = len(scene.outlets[M].quotes)
    scene.apply(BookLost(M, "gap"), link=scene.books)
    assert len(scene.outlets[M].quotes) == shown, "what REST told before the book is old"
    scene.wait(1.0)
    assert scene.newest.status is Status.STALE
    assert scene.table.without_source() == [M], "REST is to be asked anew"
    scene.table.refresh([msgspec.structs.replace(REST, bid=4_050)], scene.lead, 7)
    assert (scene.newest.status, scene.newest.bid) == (Status.LIVE, 4_050)


def test_the_same_holds_when_the_connection_of_the_book_is_lost() -> None:
    scene = Scene()
    scene.table.refresh([REST], scene.lead, 7)
    scene.apply(BOOK, link=scene.books)
    scene.table.lose(scene.books, "closed")
    scene.wait(1.0)
    assert scene.statuses == ["live", "live", "stale"]


def test_a_ticker_that_is_newer_than_the_book_stands_in_for_it() -> None:
    scene = Scene()
    scene.apply(BOOK, link=scene.books)
    scene.apply(msgspec.structs.replace(REST, ts_ns=150), link=scene.lead)
    scene.apply(BookLost(M, "gap"), link=scene.books)
    assert (scene.newest.status, scene.newest.source) == (Status.LIVE, Source.TICKER)


def test_a_pause_ends_with_the_connection_that_told_of_it() -> None:
    """Whether trading goes on was perhaps told while nobody listened: it is as at the start."""
    scene = Scene()
    scene.apply(BOOK, link=scene.books)
    scene.apply(TradingChanged(M, "paused", 0), link=scene.lead)
    assert scene.statuses == ["live", "stale"]
    scene.table.lose(RecordingLink(), "another one closed")
    assert scene.statuses == ["live", "stale"]
    scene.table.lose(scene.lead, "closed")
    assert scene.statuses == ["live", "stale", "live"]


def test_a_pause_that_ends_so_brings_no_price_back_from_before_it() -> None:
    scene = Scene()
    scene.table.refresh([REST], scene.books, 7)
    scene.apply(TradingChanged(M, "paused", 0), link=scene.lead)
    scene.table.lose(scene.lead, "gone")
    assert scene.statuses == ["live", "stale"]
    scene.table.refresh([REST], scene.books, 7)
    assert scene.statuses == ["live", "stale", "live"]


def test_a_pause_goes_over_to_the_connection_that_takes_over() -> None:
    scene = Scene()
    scene.apply(BOOK, link=scene.books)
    scene.apply(TradingChanged(M, "paused", 0), link=scene.lead)
    handovers: Handovers = scene.table.handovers
    fresh: Any = RecordingLink()
    handover = handovers.begin(scene.lead, fresh)
    handovers.finish(handover, 7, old_is_sound=True)
    scene.table.lose(scene.lead, "another connection has taken over")
    assert scene.statuses == ["live", "stale"]
    scene.apply(TradingChanged(M, "open", 0), link=fresh)
    assert scene.statuses == ["live", "stale", "live"]


def test_a_pause_that_a_failed_relief_was_the_first_to_tell_stays() -> None:
    scene = Scene()
    scene.apply(BOOK, link=scene.books)
    fresh = RecordingLink()
    handover = scene.table.handovers.begin(scene.lead, fresh)
    scene.apply(TradingChanged(M, "paused", 0), link=fresh)
    scene.table.handovers.abandon(handover)
    scene.table.lose(fresh, "came to nothing")
    assert scene.statuses == ["live", "stale"]
