"""What a reader knows, and what it makes of a feed that says nothing any more."""

import io

import pytest
from rich.console import Console
from rich.text import Text
from support.terminal import beating

from arbees_feed.cli.board import Board, Rate
from arbees_feed.cli.condition import GONE
from arbees_feed.cli.latency import Durations, Latency
from arbees_feed.cli.table import note, screen
from arbees_feed.cli.text import without_quote
from arbees_feed.core.wire import MarketPrice
from arbees_feed.reader import VenueLife

TOP = {"yes_bid": 0.4, "yes_bid_size": 10.0, "yes_ask": 0.45, "yes_ask_size": 20.0}


class Clock:
    """Time that passes when told."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def price(market: str = "M", seq: int = 1, ts_event_ns: int = 0, **top: float) -> MarketPrice:
    return MarketPrice(
        market_id=market,
        platform="kalshi",
        last_price=0.42,
        status="live",
        source="book",
        session=1,
        seq=seq,
        ts_event_ns=ts_event_ns,
        ts_recv_ns=2_000_000,
        ts_pub_ns=2_500_000,
        **{**TOP, **top},
    )


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def board(clock: Clock) -> Board:
    return Board(monotonic=clock)


def test_a_price_taken_back_is_shown_so_and_is_no_update(board: Board) -> None:
    board.on_price(price(), 3_000_000, joined=False)
    board.on_price(without_quote(price()), 9_000_000_000, joined=False)
    (shown,) = board.shown(10)
    assert (shown.price.status, shown.price.yes_bid_size, shown.price.yes_ask) == ("stale", 0, 1)
    board.on_price(price(), 9_500_000_000, joined=False)
    (shown,) = board.shown(10)
    assert (shown.price.status, shown.updates) == ("live", 1)
    assert (board.totals.prices, len(board.latency.total)) == (1, 1)


def test_a_venue_is_as_the_reader_says(board: Board, clock: Clock) -> None:
    life = beating("kalshi", "stale", "no connection is up", heard_s=clock.now_s)
    board.lives = {"kalshi": life, "polymarket": VenueLife("polymarket")}
    assert board.conditions() == {"kalshi": ("stale", "no connection is up")}
    life.alive = False
    clock.now_s += 3.6
    assert board.conditions() == {"kalshi": (GONE, "no heartbeat for 4 s")}


def test_a_feed_that_was_stopped_stays_so(board: Board, clock: Clock) -> None:
    stopped = beating("kalshi", "stopped", "the feed was stopped")
    stopped.alive = False
    board.lives = {"kalshi": stopped}
    clock.now_s += 60
    assert board.conditions() == {"kalshi": ("stopped", "the feed was stopped")}


def test_a_venue_without_a_key_has_no_feed_at_all(board: Board) -> None:
    board.lives = {"kalshi": VenueLife("kalshi", reason="no feed writes to this Redis")}
    board.on_venue("kalshi", {}, 0.0)
    assert board.venues == {}, "nothing was ever heard of it"
    board.on_price(without_quote(price()), 3_000_000, joined=True)
    assert board.conditions() == {"kalshi": (GONE, "no feed writes to this Redis")}


def test_latency_counts_what_was_published_and_not_what_was_joined(board: Board) -> None:
    board.on_price(price(), 9_000_000_000, joined=True)
    assert len(board.latency.total) == 0
    board.on_price(price(seq=2), 2_500_000, joined=False)
    assert board.latency.total.percentile_ms(50) == pytest.approx(0.5, rel=0.02)


def test_a_trade_told_late_does_not_count_as_a_slow_tick(board: Board) -> None:
    board.on_price(price(), 0, joined=True)
    board.on_price(price(seq=2, ts_event_ns=1_000_000), 50_000_000, joined=False)
    assert len(board.tick_latency.total) == 0
    board.on_price(price(seq=3, ts_event_ns=50_000_000, yes_bid=0.41), 51_000_000, joined=False)
    assert board.tick_latency.total.percentile_ms(99) == pytest.approx(1.0, rel=0.02)


def test_the_busiest_are_shown_each_in_a_steady_place(board: Board, clock: Clock) -> None:
    for market, updates in (("C", 1), ("A", 5), ("B", 3)):
        for seq in range(updates):
            board.on_price(price(market, seq + 1), 3_000_000, joined=False)
    assert [row.price.market_id for row in board.shown(2)] == ["A", "B"]
    for seq in range(20):
        board.on_price(price("C", seq + 2), 3_000_000, joined=False)
    assert [row.price.market_id for row in board.shown(2)] == ["A", "B"], "not yet"
    clock.now_s += 6
    assert [row.price.market_id for row in board.shown(2)] == ["A", "C"]


def test_titles_are_asked_for_once_in_a_while(board: Board, clock: Clock) -> None:
    board.on_price(price(), 3_000_000, joined=True)
    assert board.untitled() == ["M"]
    assert board.untitled() == []
    clock.now_s += 6
    assert board.untitled() == ["M"]
    board.on_titles({"M": {"title": "Will it?"}})
    clock.now_s += 6
    assert board.untitled() == []


def test_pinned_markets_keep_the_order_asked_for(clock: Clock) -> None:
    board = Board(["Z", "A", "Q"], monotonic=clock)
    for market in ("A", "Z"):
        board.on_price(price(market), 3_000_000, joined=True)
    assert [row.price.market_id for row in board.shown(5)] == ["Z", "A"]
    assert board.missing() == ["Q"]


def test_a_rate_survives_that_nobody_looked_for_a_while() -> None:
    rate = Rate()
    for now_s, count in ((0.0, 0), (1.0, 100), (61.0, 6_100)):
        rate.sample(now_s, count)
    assert rate.per_s() == pytest.approx(100)
    rate.sample(62.0, 7)
    assert rate.per_s() == 0, "another process counts from nought"


def test_percentiles_are_exact_to_two_percent() -> None:
    durations = Durations()
    for ns in range(1_000, 1_001_000, 1_000):
        durations.observe_ns(ns)
    for percent in (1, 50, 99):
        assert durations.percentile_ms(percent) == pytest.approx(percent / 100, rel=0.02)
    assert Durations().percentile_ms(50) is None


def test_latency_of_late_forgets_after_ten_seconds() -> None:
    latency = Latency()
    latency.observe_ns(5)
    for _ in range(9):
        latency.next_second()
    assert len(latency.lately()) == 1
    latency.next_second()
    assert len(latency.lately()) == 0
    assert len(latency.total) == 1


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 30), (140, 40), (200, 50)])
@pytest.mark.parametrize("markets", [0, 3, 500])
def test_the_screen_fits_the_terminal(
    board: Board, clock: Clock, width: int, height: int, markets: int
) -> None:
    meta = {"title": "Will San Francisco win the San Francisco at Philadelphia game on Sunday?"}
    for number in range(markets):
        board.on_price(price(f"{number:078}"), 3_000_000, joined=False)
        board.on_titles({f"{number:078}": meta})
    venues = ("kalshi", "polymarket")
    board.lives = {venue: beating(venue, "stale", "a long reason " * 20) for venue in venues}
    console = Console(width=width, height=height, file=io.StringIO(), force_terminal=True)
    notes = [note("a note " * 40, "blue")]
    with console.capture() as capture:
        console.print(screen(board, Text("title"), notes, width, height))
    lines = Text.from_ansi(capture.get()).plain.rstrip("\n").split("\n")
    assert len(lines) <= height
    assert max(len(line) for line in lines) <= width
    text = "\n".join(lines)
    assert text.count("STALE") >= 2, "said in capitals"
    assert ("waiting for the first price" in text) is (markets == 0)
