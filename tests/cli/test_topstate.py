"""What `top` makes of what a reader hands over: rates, losses, lag, and what it shows of it."""

from collections.abc import Mapping

import msgspec
import pytest
from support.prices import price
from support.terminal import Told, beating

from arbees_feed.cli.toplist import Sort, listed
from arbees_feed.cli.topstate import NO_REDIS, TRAILS, TopState
from arbees_feed.core.wire import MarketPrice, encode_map
from arbees_feed.reader import ReaderStats, VenueLife


@pytest.fixture
def told() -> Told:
    """Joined at the time 0, with a venue that is alive."""
    return Told(beating("kalshi"))


@pytest.fixture
def state(told: Told) -> TopState:
    return told.state


def shown(state: TopState, market: str = "M") -> MarketPrice | None:
    found = state.market(market)
    assert found is not None
    return state.believed(found)


def test_the_newest_price_is_shown_before_it_was_taken(told: Told, state: TopState) -> None:
    told.hand(price(seq=1))
    told.book["M"] = price(seq=2, yes_bid=0.41)
    assert shown(state) == price(seq=2, yes_bid=0.41)


def test_what_came_meanwhile_is_told_by_seq_and_what_was_missed_is_not_counted(
    told: Told, state: TopState
) -> None:
    told.hand(price(seq=10))
    told.hand(price(seq=20), losses={"M": 4})
    assert state.venues["kalshi"].line.prices == 6
    assert (state.markets["M"].lost, state.venues["kalshi"].lost) == (4, 4)


def test_a_price_taken_back_or_of_another_session_is_no_burst(told: Told, state: TopState) -> None:
    told.hand(price(seq=10))
    told.hand(price(seq=10, status="stale"))
    told.hand(price(seq=900, session=2))
    assert state.venues["kalshi"].line.prices == 1


@pytest.mark.parametrize(
    "wrong",
    [{"yes_bid": float("nan")}, {"yes_bid_size": float("inf")}, {"last_price": float("nan")}],
)
def test_what_cannot_be_drawn_has_no_quote(
    told: Told, state: TopState, wrong: Mapping[str, float]
) -> None:
    told.hand(price(**wrong))
    found = shown(state)
    assert found is not None
    assert (found.status, found.yes_bid_size, found.last_price) == ("stale", 0.0, None)


def test_what_is_not_live_has_no_quote_whoever_wrote_one(told: Told, state: TopState) -> None:
    told.hand(price(status="closed"))
    found = shown(state)
    assert found is not None
    assert (found.status, found.yes_bid, found.yes_ask) == ("closed", 0.0, 1.0)


def test_a_feed_that_is_gone_is_named_with_the_length_of_its_silence(
    told: Told, state: TopState
) -> None:
    assert state.condition("kalshi", 1.0) == ("live", "")
    told.lives["kalshi"].alive = False
    assert state.condition("kalshi", 13.6) == ("GONE", "no heartbeat for 4 s")


def test_without_redis_that_is_said_of_venues_once_they_are_given_up(
    told: Told, state: TopState
) -> None:
    state.tick(0.1, "connection refused")
    assert state.condition("kalshi", 0.1) == ("live", "")
    told.lives["kalshi"].alive = False
    assert state.condition("kalshi", 3.0) == (NO_REDIS, "connection refused")
    state.tick(4.0, "")
    assert state.trouble is None


def test_before_the_first_join_it_is_connecting() -> None:
    state = TopState({}, {}, ReaderStats(), 0.0)
    state.tick(1.0, "")
    assert (state.trouble, state.warm_s) == ("connecting to redis", 0)
    state.tick(2.0, "no route to host")
    assert (state.trouble, state.warm_s) == ("no route to host", 1)


def test_a_stopped_feed_says_why(told: Told, state: TopState) -> None:
    life = told.lives["kalshi"]
    life.alive, life.state, life.reason = False, "stopped", "the feed was stopped"
    assert state.condition("kalshi", 90.0) == ("stopped", "the feed was stopped")


def test_a_venue_that_was_never_heard_of_is_not_there() -> None:
    state = Told(VenueLife("polymarket")).state
    state.on_venue("polymarket", {}, 0.0)
    state.tick(1.0, "")
    assert state.venues == {}


def test_lag_is_the_age_of_what_came_just_now(told: Told, state: TopState) -> None:
    told.hand(price(seq=1, ts_pub_ns=0))
    for seq in range(2, 102):
        state.arrived(price(seq=seq), 3_000_000)
        told.hand(price(seq=seq))
        state.arrived(price(seq=seq, status="stale"), 9_000_000)  # taken back: seen before
    state.tick(1.0, "")
    half, most = state.venues["kalshi"].lag_ms
    assert half == pytest.approx(2.0, rel=0.02)
    assert most == pytest.approx(2.0, rel=0.02)


def test_rates_of_venues_and_markets(told: Told, state: TopState) -> None:
    for second in range(60):
        told.hand(price(seq=1 + 50 * second), now_s=second + 0.5)
        told.stats.received = 50 * second
        state.tick(second + 1.0, "")
    assert state.message_rate.per_s() == pytest.approx(50)
    assert state.venues["kalshi"].line.price_rate.per_s() == pytest.approx(50)
    assert state.markets["M"].per_s(60.0) == pytest.approx(50, rel=0.06)
    assert state.markets["M"].per_s(120.0) < 0.2


def test_what_the_reader_forgets_is_forgotten(told: Told, state: TopState) -> None:
    told.hand(price("OLD", status="closed"), price("M"))
    state.follow(["OLD"])
    del told.book["OLD"]
    for second in range(61):
        state.tick(second + 1.0, "")
    assert list(state.markets) == ["M"]


# -- the list --------------------------------------------------------------------------------------


def test_the_busiest_come_first_then_those_that_moved_last(told: Told, state: TopState) -> None:
    told.hand(price("QUIET", ts_pub_ns=5))
    told.hand(price("QUIETER", ts_pub_ns=4))
    told.hand(price("A"), price("B"))
    told.hand(price("A", seq=2), price("B", seq=3), now_s=0.5)
    assert listed(state, Sort.BUSIEST, "", 1.0) == ["B", "A", "QUIET", "QUIETER"]
    told.hand(price("A", seq=9), now_s=1.5)
    assert listed(state, Sort.BUSIEST, "", 2.0)[:2] == ["A", "B"]


def test_the_widest_have_both_sides_and_are_live(told: Told, state: TopState) -> None:
    told.hand(price("NARROW"))
    told.hand(price("WIDE", yes_ask=0.9))
    told.hand(price("EMPTY", yes_ask=1.0, yes_ask_size=0.0))
    dead = {"status": "stale", "yes_bid": 0.0, "yes_ask": 1.0}
    told.hand(price("DEAD", **dead, yes_bid_size=0.0))
    assert listed(state, Sort.WIDEST, "", 0.0) == ["WIDE", "NARROW"]


def test_the_widest_are_so_by_the_price_that_is_drawn(told: Told, state: TopState) -> None:
    """Prices are taken once a second; the screen shows the reader's newest."""
    told.hand(price("A", yes_bid=0.40, yes_ask=0.50), price("B", yes_bid=0.40, yes_ask=0.45))
    told.book["B"] = price("B", seq=2, yes_bid=0.30, yes_ask=0.60)
    assert listed(state, Sort.WIDEST, "", 0.0) == ["B", "A"]


def test_stale_ones_come_first_when_asked(told: Told, state: TopState) -> None:
    told.hand(price("A"))
    told.hand(price("B", status="stale"))
    assert listed(state, Sort.STALE, "", 0.0) == ["B", "A"]


def test_a_search_finds_ids_titles_and_what_the_index_says(told: Told, state: TopState) -> None:
    for market in ("KXA-1", "KXB-2", "KXC-3"):
        told.hand(price(market))
    state.on_titles({"KXB-2": {"title": "Will Kansas City win?"}})
    assert listed(state, Sort.BUSIEST, "kxa", 0.0) == ["KXA-1"]
    assert listed(state, Sort.BUSIEST, "city KANSAS", 0.0) == ["KXB-2"]
    state.on_found("kansas", {"NEW": {"title": "Kansas, never published"}, "KXC-3": {"title": "C"}})
    assert listed(state, Sort.BUSIEST, "kansas", 0.0) == ["NEW", "KXC-3", "KXB-2"]
    assert listed(state, Sort.BUSIEST, "kansa", 0.0) == ["KXB-2"], "found for another text"
    unpriced = state.market("NEW")
    assert unpriced is not None
    assert (state.believed(unpriced), len(state.markets)) == (None, 3)


def test_a_market_that_a_search_found_gets_its_price_when_it_comes(
    told: Told, state: TopState
) -> None:
    state.on_found("new", {"NEW": {"title": "New"}})
    told.hand(price("NEW"))
    assert state.markets["NEW"].meta == {"title": "New"}
    assert shown(state, "NEW") == price("NEW")


# -- what is on the screen -------------------------------------------------------------------------


def test_titles_are_asked_for_when_shown_and_again_after_a_while(
    told: Told, state: TopState
) -> None:
    told.hand(price())
    assert state.untitled(["M", "UNKNOWN"], 0.0) == ["M"]
    assert state.untitled(["M"], 1.0) == []
    assert state.untitled(["M"], 6.0) == ["M"]
    state.on_titles({"M": {"title": "Will it?"}})
    assert state.untitled(["M"], 60.0) == []


def test_where_a_price_has_been_is_kept_for_what_is_shown(told: Told, state: TopState) -> None:
    told.hand(price())
    told.hand(price("HIDDEN"))
    state.follow(["M"])
    state.tick(1.0, "")
    told.book["M"] = price(status="stale")  # taken back
    state.tick(2.0, "")
    trail = state.markets["M"].trail
    assert trail is not None
    assert list(trail) == [0.425, None], "no price that is not to be traded on"
    assert state.markets["HIDDEN"].trail is None


def test_no_more_than_so_many_trails_are_kept(told: Told, state: TopState) -> None:
    for number in range(TRAILS + 5):
        told.hand(price(f"M{number}"))
        state.follow([f"M{number}", "M0"])
    kept = [market.id for market in state.markets.values() if market.trail is not None]
    assert len(kept) == TRAILS
    assert "M0" in kept
    assert "M1" not in kept


def book(session: int = 1, **sides: object) -> bytes:
    levels = {"bids": [[0.4, 10.0]], "asks": [[0.45, 20.0]]}
    return encode_map({"market_id": "M", "session": session, **levels, **sides})


def test_the_book_of_the_price_that_is_shown(state: TopState) -> None:
    state.on_book(book())
    found = state.depth(price())
    assert found is not None
    assert (found.bids, found.asks) == ([(0.4, 10.0)], [(0.45, 20.0)])
    assert state.depth(price("N")) is None
    assert state.depth(price(session=2)) is None, "another process has begun"
    assert state.depth(msgspec.structs.replace(price(), status="stale")) is None
    state.tick(1.0, "gone")
    assert state.depth(price()) is None


@pytest.mark.parametrize("bids", [[[0.4]], [[float("nan"), 1.0]], [[0.4, -1.0]], "x"])
def test_a_book_that_cannot_be_drawn_is_counted(state: TopState, bids: object) -> None:
    state.on_book(book(bids=bids))
    assert (state.malformed, state.books, state.depth(price())) == (1, 0, None)
