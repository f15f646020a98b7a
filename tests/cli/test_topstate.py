"""What `top` makes of messages: prices, rates, losses, lag, and what it does not believe."""

import msgspec
import pytest

from arbees_feed.cli.toplist import Sort, listed
from arbees_feed.cli.topstate import NO_REDIS, TRAILS, TopState
from arbees_feed.core.wire import MarketPrice, encode_map


def price(market: str = "M", seq: int = 1, **more: object) -> MarketPrice:
    fields = {
        "platform": "kalshi",
        "yes_bid": 0.4,
        "yes_ask": 0.45,
        "yes_bid_size": 10.0,
        "yes_ask_size": 20.0,
        "last_price": None,
        "status": "live",
        "source": "book",
        "session": 1,
        "ts_event_ns": 0,
        "ts_recv_ns": 0,
        "ts_pub_ns": 1_000_000,
        **more,
    }
    return MarketPrice(market_id=market, seq=seq, **fields)  # type: ignore[arg-type]


def message(market: str = "M", seq: int = 1, **more: object) -> tuple[bytes, bytes]:
    return f"market:{market}:price".encode(), price(market, seq, **more).to_msgpack()


def beat(venue: str = "kalshi", state: str = "live", reason: str = "", session: int = 1) -> bytes:
    told = {"venue": venue, "state": state, "reason": reason, "session": session, "ts_ns": 1}
    return encode_map(told)


@pytest.fixture
def state() -> TopState:
    """Joined at the time 0, with a venue that is alive."""
    made = TopState("", 0.0)
    made.on_beat(beat(), 0.0)
    made.on_join(0.0)
    return made


def shown(state: TopState, market: str = "M", now_s: float = 0.0) -> MarketPrice | None:
    found = state.market(market)
    assert found is not None
    return state.believed(found, now_s)


def test_the_newest_of_what_came_in_one_piece_is_shown(state: TopState) -> None:
    state.on_messages([message(seq=1), message(seq=2, yes_bid=0.41)], 0.0, 2_000_000)
    assert shown(state) == price(seq=2, yes_bid=0.41)
    assert (state.messages, state.markets["M"].lost) == (2, 0)


def test_holes_in_seq_are_losses_however_often_it_is_drawn(state: TopState) -> None:
    state.on_last("M", price(seq=10).to_msgpack(), 0.0)
    state.on_messages([message(seq=11)], 0.0, 0)
    shown(state)
    state.on_messages([message(seq=14), message(seq=15)], 0.0, 0)
    shown(state)
    state.on_messages([message(seq=16), message(seq=18)], 0.0, 0)
    state.tick(1.0)
    assert state.markets["M"].lost == 3
    assert state.venues["kalshi"].lost == 3


def test_what_was_missed_while_away_counts_and_another_session_does_not(state: TopState) -> None:
    state.on_last("M", price(seq=10).to_msgpack(), 0.0)
    state.on_last("M", price(seq=15).to_msgpack(), 1.0)
    assert state.markets["M"].lost == 5
    state.on_messages([message(seq=99, session=2)], 2.0, 0)
    shown(state)
    assert state.markets["M"].lost == 5


def test_an_older_price_does_not_replace_a_newer_one(state: TopState) -> None:
    state.on_last("M", price(seq=10, yes_bid=0.3).to_msgpack(), 0.0)
    state.on_messages([message(seq=9, yes_bid=0.2)], 0.0, 0)
    found = shown(state)
    assert found is not None
    assert found.yes_bid == 0.3


def test_last_does_not_hide_what_was_published_meanwhile(state: TopState) -> None:
    state.on_messages([message(seq=12)], 0.0, 0)
    state.on_last("M", price(seq=11).to_msgpack(), 0.0)
    found = shown(state)
    assert found is not None
    assert (found.seq, state.markets["M"].lost) == (12, 0)


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense",
        encode_map({"market_id": "M"}),
        price(yes_bid=float("nan")).to_msgpack(),
        price(yes_bid_size=float("inf")).to_msgpack(),
        price(yes_ask=7.0).to_msgpack(),
    ],
)
def test_what_is_no_price_is_counted_and_nothing_else(state: TopState, data: bytes) -> None:
    state.on_last("M", price(seq=1).to_msgpack(), 0.0)
    state.on_messages([message("N"), (b"market:M:price", data)], 0.0, 0)
    state.tick(1.0)
    assert state.malformed == 1
    assert shown(state) == price(seq=1)


def test_a_silent_feed_makes_its_prices_stale_and_a_beat_brings_them_back(state: TopState) -> None:
    state.on_messages([message()], 0.0, 0)
    assert state.condition("kalshi", 2.9) == ("live", "")
    assert state.condition("kalshi", 3.5) == ("GONE", "no heartbeat for 4 s")
    gone = shown(state, now_s=3.5)
    assert gone is not None
    assert (gone.status, gone.yes_bid, gone.yes_ask, gone.yes_bid_size) == ("stale", 0.0, 1.0, 0.0)
    state.on_beat(beat(), 3.6)
    assert shown(state, now_s=3.6) == price()


def test_without_redis_nothing_is_believed_and_a_join_is_no_silence(state: TopState) -> None:
    state.on_messages([message()], 0.0, 0)
    state.on_trouble("connection refused")
    lost = shown(state, now_s=0.1)
    assert lost is not None
    assert lost.status == "stale"
    assert state.condition("kalshi", 0.1) == (NO_REDIS, "connection refused")
    state.on_venue("kalshi", {"state": "live"}, 60.0)
    state.on_join(60.0)
    assert state.condition("kalshi", 60.0) == ("live", "")


def test_what_an_earlier_run_of_the_feed_left_is_not_believed(state: TopState) -> None:
    state.on_messages([message("A"), message("B")], 0.0, 0)
    state.on_beat(beat(session=2), 1.0)
    state.on_messages([message("B", session=2)], 1.0, 0)
    left, new = shown(state, "A", 1.0), shown(state, "B", 1.0)
    assert left is not None
    assert new is not None
    assert (left.status, left.yes_bid_size, new.status) == ("stale", 0.0, "live")


def test_a_stopped_feed_says_why(state: TopState) -> None:
    state.on_beat(beat(state="stopped", reason="the feed was stopped"), 1.0)
    assert state.condition("kalshi", 90.0) == ("stopped", "the feed was stopped")


def test_a_venue_that_was_never_heard_of_is_not_there() -> None:
    state = TopState("", 0.0)
    state.on_venue("polymarket", {}, 0.0)
    assert state.venues == {}


def test_lag_is_the_age_of_the_first_message_of_each_piece(state: TopState) -> None:
    for number in range(1, 101):
        pieces = [message(seq=2 * number), message(seq=2 * number + 1, ts_pub_ns=0)]
        state.on_messages(pieces, 0.5, 3_000_000)
    state.tick(1.0)
    half, most = state.venues["kalshi"].lag_ms
    assert half == pytest.approx(2.0, rel=0.02)
    assert most == pytest.approx(2.0, rel=0.02)


def test_rates_of_venues_and_markets(state: TopState) -> None:
    seq = 0
    for second in range(60):
        pieces = []
        for _ in range(50):
            seq += 1
            pieces.append(message(seq=seq))
        state.on_messages(pieces, second + 0.5, 0)
        state.tick(second + 1.0)
    assert state.message_rate.per_s() == pytest.approx(50)
    assert state.venues["kalshi"].line.price_rate.per_s() == pytest.approx(50)
    assert state.markets["M"].per_s(60.0) == pytest.approx(50, rel=0.02)
    assert state.markets["M"].per_s(120.0) < 0.2


def test_the_prefix_of_keys_is_no_part_of_an_id() -> None:
    state = TopState("téste:", 0.0)
    channel = "téste:market:M:price".encode()
    state.on_messages([(channel, price().to_msgpack())], 0.0, 0)
    assert list(state.markets) == ["M"]


# -- the list --------------------------------------------------------------------------------------


def test_the_busiest_come_first_then_those_that_moved_last(state: TopState) -> None:
    state.on_last("QUIET", price("QUIET", ts_pub_ns=5).to_msgpack(), 0.0)
    state.on_last("QUIETER", price("QUIETER", ts_pub_ns=4).to_msgpack(), 0.0)
    state.on_messages([message("A"), message("B"), message("B", seq=2)], 0.5, 0)
    state.tick(1.0)
    assert listed(state, Sort.BUSIEST, "", 1.0) == ["B", "A", "QUIET", "QUIETER"]
    state.on_messages([message("A", seq=seq) for seq in range(2, 9)], 1.5, 0)
    state.tick(2.0)
    assert listed(state, Sort.BUSIEST, "", 2.0)[:2] == ["A", "B"]


def test_the_widest_have_both_sides_and_are_live(state: TopState) -> None:
    state.on_last("NARROW", price("NARROW").to_msgpack(), 0.0)
    state.on_last("WIDE", price("WIDE", yes_ask=0.9).to_msgpack(), 0.0)
    state.on_last("EMPTY", price("EMPTY", yes_ask=1.0, yes_ask_size=0.0).to_msgpack(), 0.0)
    dead = {"status": "stale", "yes_bid": 0.0, "yes_ask": 1.0}
    state.on_last("DEAD", price("DEAD", **dead, yes_bid_size=0.0).to_msgpack(), 0.0)
    assert listed(state, Sort.WIDEST, "", 0.0) == ["WIDE", "NARROW"]


def test_stale_ones_come_first_when_asked(state: TopState) -> None:
    state.on_last("A", price("A").to_msgpack(), 0.0)
    state.on_last("B", price("B", status="stale").to_msgpack(), 0.0)
    assert listed(state, Sort.STALE, "", 0.0) == ["B", "A"]


def test_a_search_finds_ids_titles_and_what_the_index_says(state: TopState) -> None:
    for market in ("KXA-1", "KXB-2", "KXC-3"):
        state.on_last(market, price(market).to_msgpack(), 0.0)
    state.on_titles({"KXB-2": {"title": "Will Kansas City win?"}})
    assert listed(state, Sort.BUSIEST, "kxa", 0.0) == ["KXA-1"]
    assert listed(state, Sort.BUSIEST, "city KANSAS", 0.0) == ["KXB-2"]
    state.on_found("kansas", {"NEW": {"title": "Kansas, never published"}, "KXC-3": {"title": "C"}})
    assert listed(state, Sort.BUSIEST, "kansas", 0.0) == ["NEW", "KXC-3", "KXB-2"]
    assert listed(state, Sort.BUSIEST, "kansa", 0.0) == ["KXB-2"], "found for another text"
    unpriced = state.market("NEW")
    assert unpriced is not None
    assert (state.believed(unpriced, 0.0), len(state.markets)) == (None, 3)


def test_a_market_that_a_search_found_gets_its_price_when_it_comes(state: TopState) -> None:
    state.on_found("new", {"NEW": {"title": "New"}})
    state.on_messages([message("NEW")], 0.0, 0)
    assert state.markets["NEW"].meta == {"title": "New"}
    assert shown(state, "NEW") == price("NEW")


# -- what is on the screen -------------------------------------------------------------------------


def test_titles_are_asked_for_when_shown_and_again_after_a_while(state: TopState) -> None:
    state.on_last("M", price().to_msgpack(), 0.0)
    assert state.untitled(["M", "UNKNOWN"], 0.0) == ["M"]
    assert state.untitled(["M"], 1.0) == []
    assert state.untitled(["M"], 6.0) == ["M"]
    state.on_titles({"M": {"title": "Will it?"}})
    assert state.untitled(["M"], 60.0) == []


def test_where_a_price_has_been_is_kept_for_what_is_shown(state: TopState) -> None:
    state.on_last("M", price().to_msgpack(), 0.0)
    state.on_last("HIDDEN", price("HIDDEN").to_msgpack(), 0.0)
    state.follow(["M"])
    state.tick(1.0)
    state.on_beat(beat(state="stopped"), 1.5)
    state.tick(2.0)
    trail = state.markets["M"].trail
    assert trail is not None
    assert list(trail) == [0.425, None], "no price that is not to be traded on"
    assert state.markets["HIDDEN"].trail is None


def test_no_more_than_so_many_trails_are_kept(state: TopState) -> None:
    for number in range(TRAILS + 5):
        state.on_last(f"M{number}", price(f"M{number}").to_msgpack(), 0.0)
        state.follow([f"M{number}", "M0"])
    kept = [market.id for market in state.markets.values() if market.trail is not None]
    assert len(kept) == TRAILS
    assert "M0" in kept
    assert "M1" not in kept


def book(session: int = 1, **sides: object) -> bytes:
    return encode_map({"bids": [[0.4, 10.0]], "asks": [[0.45, 20.0]], "session": session, **sides})


def test_the_book_of_the_price_that_is_shown(state: TopState) -> None:
    state.on_book("M", book())
    found = state.depth(price())
    assert found is not None
    assert (found.bids, found.asks) == ([(0.4, 10.0)], [(0.45, 20.0)])
    assert state.depth(price("N")) is None
    assert state.depth(price(session=2)) is None, "another process has begun"
    assert state.depth(msgspec.structs.replace(price(), status="stale")) is None
    state.on_trouble("gone")
    assert state.depth(price()) is None


@pytest.mark.parametrize("bids", [[[0.4]], [[float("nan"), 1.0]], [[0.4, -1.0]], "x"])
def test_a_book_that_cannot_be_drawn_is_counted(state: TopState, bids: object) -> None:
    state.on_book("M", book(bids=bids))
    assert (state.malformed, state.books, state.depth(price())) == (1, 0, None)


def test_only_what_is_looked_at_is_decoded(state: TopState) -> None:
    """Of a thousand messages in one piece: the first, for the lag, and the newest of the market."""
    good = message(seq=1_000)
    garbage = (good[0], b"garbage")
    state.on_messages([message(seq=1), *[garbage] * 998, good], 0.0, 0)
    state.tick(1.0)
    assert shown(state) == price(seq=1_000)
    assert (state.malformed, state.messages, state.markets["M"].lost) == (0, 1_000, 0)
