"""What a reader hands over, told message by message; no server, and time as a number."""

from collections.abc import Mapping
from typing import Any

import msgpack
import pytest

from arbees_feed.core.wire import MarketPrice
from arbees_feed.reader.liveness import beat_age_s
from arbees_feed.reader.outbox import Newest
from arbees_feed.reader.state import PriceState
from arbees_feed.reader.stats import ReaderStats

NOW_NS = 10_000_000_000


def price(
    seq: int, *, session: int = 5, market: str = "A", status: str = "live", platform: str = "kalshi"
) -> bytes:
    """Return a published price; its bid tells its seq."""
    live = status == "live"
    return MarketPrice(
        market_id=market,
        platform=platform,
        yes_bid=seq / 1000 if live else 0.0,
        yes_ask=0.9 if live else 1.0,
        yes_bid_size=1.0 * live,
        yes_ask_size=2.0 * live,
        last_price=0.5,
        status=status,
        source="ticker",
        session=session,
        seq=seq,
        ts_event_ns=1,
        ts_recv_ns=2,
        ts_pub_ns=3,
    ).to_msgpack()


def beat(*, session: int = 5, state: str = "live", venue: str = "kalshi") -> bytes:
    """Return a heartbeat."""
    message = {"venue": venue, "state": state, "reason": "", "session": session, "ts_ns": 1}
    return bytes(msgpack.packb(message))


def market_of(data: bytes) -> str:
    """Return the market that a message names, if it names one."""
    try:
        return str(msgpack.unpackb(data)["market_id"])
    except (ValueError, TypeError, KeyError):
        return "A"


def channel_of(data: bytes) -> bytes:
    return f"market:{market_of(data)}:price".encode()


def key_of(data: bytes) -> str:
    return f"market:{market_of(data)}:last"


class Desk:
    """A state, and what it has handed over, as (market, session, seq, status)."""

    def __init__(self, stale_after_s: float = 2.5) -> None:
        self.stats = ReaderStats()
        self.state = PriceState(Newest(self.stats), self.stats, stale_after_s=stale_after_s)
        self.now_s = 100.0
        self.state.linked()

    def publish(self, *data: bytes) -> None:
        for one in data:
            self.state.published_on(channel_of(one), one, self.now_s)

    def beat(self, **fields: Any) -> None:
        self.state.beat(beat(**fields), self.now_s)

    def join(self, *kept: bytes, key: Mapping[str, str] | None = None, age_s: float = 0.0) -> None:
        """Do all that belongs to a join at once; *key* None: the feed's key as it is alive."""
        self.state.begin_join()
        fields = {"session": "5", "state": "live"} if key is None else key
        self.state.key_read("kalshi", fields, age_s, self.now_s)
        for value in kept:
            self.state.kept(value, key_of(value))
        self.state.end_join(whole=True)

    def lose(self) -> None:
        self.state.lost()
        self.state.linked()

    def pass_time(self, seconds: float) -> None:
        """Let time pass, as it does while the loop runs."""
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            self.now_s = min(end_s, self.now_s + 0.1)
            self.state.tick(self.now_s)

    def taken(self) -> list[tuple[str, int, int, str]]:
        out = []
        while (one := self.state.shown.outbox.take(NOW_NS)) is not None:
            out.append((one.market_id, one.session, one.seq, one.status))
        return out


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_prices_come_as_they_were_published(desk: Desk) -> None:
    desk.publish(price(1))
    assert desk.taken() == [("A", 5, 1, "live")]
    desk.publish(price(2))
    assert desk.taken() == [("A", 5, 2, "live")]
    assert desk.state.book["A"].yes_bid == 0.002
    assert desk.stats.missed == 0


def test_a_hole_is_counted_and_the_price_behind_it_handed_over(desk: Desk) -> None:
    desk.publish(price(1), price(4))
    assert desk.taken() == [("A", 5, 4, "live")]
    assert (desk.stats.missed, dict(desk.state.losses)) == (2, {"A": 2})


def test_what_comes_twice_or_late_is_dropped(desk: Desk) -> None:
    desk.publish(price(1), price(2))
    desk.taken()
    desk.publish(price(2), price(1))
    assert desk.taken() == []
    assert desk.stats.repeated == 2


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x93" * 3_000, msgpack.packb({"v": 1})])
def test_what_is_no_price_is_counted(desk: Desk, data: bytes) -> None:
    desk.publish(data)
    desk.state.kept(data, key_of(data))
    desk.state.beat(data, desk.now_s)
    assert desk.taken() == []
    assert desk.stats.malformed == 3


def test_a_feed_that_falls_silent_gives_one_stale_price_a_market(desk: Desk) -> None:
    desk.beat()
    desk.publish(price(3), price(1, market="B"), price(1, market="C", status="closed"))
    desk.taken()
    desk.pass_time(2.4)
    assert desk.taken() == []
    desk.pass_time(0.2)
    assert desk.taken() == [("A", 5, 3, "stale"), ("B", 5, 1, "stale")]
    desk.pass_time(60.0)
    assert desk.taken() == []
    mark = desk.state.book["A"]
    assert (mark.yes_bid, mark.yes_ask, mark.yes_bid_size, mark.yes_ask_size) == (
        0.0,
        1.0,
        0.0,
        0.0,
    )
    assert (mark.source, mark.last_price, mark.ts_pub_ns) == ("ticker", 0.5, 3)
    assert "no heartbeat" in desk.state.venues["kalshi"].reason
    assert desk.stats.marked == 2


def test_heartbeats_keep_a_quiet_market_live(desk: Desk) -> None:
    desk.publish(price(1))
    for _ in range(10):
        desk.pass_time(2.0)
        desk.beat()
    assert desk.taken() == [("A", 5, 1, "live")]


def test_prices_without_heartbeats_are_believed_for_a_while_only(desk: Desk) -> None:
    desk.publish(price(1))
    desk.pass_time(2.0)
    desk.publish(price(2))
    desk.taken()
    desk.pass_time(1.0)
    desk.publish(price(3))
    assert desk.taken() == [("A", 5, 2, "stale")]
    assert desk.state.book["A"].seq == 3


def test_the_next_heartbeat_of_the_same_session_makes_all_live_again(desk: Desk) -> None:
    desk.publish(price(1), price(1, market="B"))
    desk.pass_time(3.0)
    desk.publish(price(2))
    desk.taken()
    desk.beat()
    assert sorted(desk.taken()) == [("A", 5, 2, "live"), ("B", 5, 1, "live")]


def test_after_a_loss_a_heartbeat_alone_makes_nothing_live(desk: Desk) -> None:
    desk.publish(price(1), price(1, market="B"))
    desk.pass_time(3.0)
    desk.taken()
    desk.lose()
    desk.beat()
    assert desk.taken() == []
    desk.join(price(4), price(1, market="B"))
    assert sorted(desk.taken()) == [("A", 5, 4, "live"), ("B", 5, 1, "live")]
    assert (desk.stats.missed, desk.stats.healed) == (2, 1)


def test_a_loss_that_is_mended_in_time_takes_nothing_back(desk: Desk) -> None:
    desk.publish(price(1), price(1, market="B"))
    desk.taken()
    desk.lose()
    desk.pass_time(1.0)
    desk.beat()
    desk.join(price(3), price(1, market="B"))
    assert desk.taken() == [("A", 5, 3, "live")]


def test_what_redis_knows_nothing_of_after_a_loss_is_taken_back(desk: Desk) -> None:
    desk.publish(price(1), price(1, market="B"))
    desk.taken()
    desk.lose()
    desk.join(price(1))
    assert desk.taken() == [("B", 5, 1, "stale")]


def test_older_data_in_redis_is_not_handed_over(desk: Desk) -> None:
    desk.publish(price(7))
    desk.taken()
    desk.lose()
    desk.join(price(5))
    assert desk.taken() == []
    desk.publish(price(9))
    assert desk.taken() == [("A", 5, 9, "live")]


def test_a_message_during_the_join_counts_more_than_last(desk: Desk) -> None:
    """`:last` may be ahead of what is still on its way, and none of that is to be skipped."""
    desk.state.begin_join()
    desk.state.key_read("kalshi", {"session": "5", "state": "live"}, 0.0, desk.now_s)
    desk.publish(price(4))
    desk.state.kept(price(6), "market:A:last")
    desk.publish(price(5), price(6))
    desk.state.end_join(whole=True)
    assert desk.taken() == [("A", 5, 6, "live")]
    assert (desk.stats.missed, desk.stats.conflated) == (0, 2)


def test_last_before_the_messages_it_is_ahead_of(desk: Desk) -> None:
    desk.join(price(6))
    desk.publish(price(5), price(6), price(7))
    assert desk.taken() == [("A", 5, 7, "live")]
    assert (desk.stats.missed, desk.stats.repeated) == (0, 2)


@pytest.mark.parametrize(
    ("key", "age_s"), [({}, 0.0), ({"session": "5", "state": "live"}, 2.6)], ids=["gone", "old"]
)
def test_last_of_a_dead_feed_is_stale(desk: Desk, key: Mapping[str, str], age_s: float) -> None:
    desk.join(price(3), price(1, market="B", status="closed"), key=key, age_s=age_s)
    assert desk.taken() == [("A", 5, 3, "stale"), ("B", 5, 1, "closed")]
    assert not desk.state.venues["kalshi"].alive


def test_last_without_the_key_of_its_feed_is_not_made_good_by_a_heartbeat(desk: Desk) -> None:
    """Redis is out of memory: it passes messages on, refuses `:last`, and the key runs out."""
    desk.join(price(3), key={})
    desk.taken()
    desk.beat()
    assert desk.taken() == []
    assert desk.state.unsure
    desk.join(price(4))
    assert desk.taken() == [("A", 5, 4, "live")]
    assert not desk.state.unsure


def test_a_last_that_stays_ahead_was_lost_on_the_way(desk: Desk) -> None:
    desk.publish(price(1), price(1, market="B"))
    desk.taken()
    desk.state.venue("kalshi").keyed = True
    desk.state.audit(price(2), "market:A:last")
    desk.state.audit(price(2, market="B"), "market:B:last")
    assert desk.taken() == []
    desk.publish(price(2, market="B"))
    desk.taken()
    desk.state.audit(price(4), "market:A:last")
    desk.state.audit(price(3, market="B"), "market:B:last")
    assert desk.taken() == [("A", 5, 4, "live")]
    assert (desk.stats.missed, desk.stats.healed) == (2, 1)
    assert set(desk.state.suspects) == {"B"}


def test_last_of_a_dead_session_never_becomes_live(desk: Desk) -> None:
    desk.join(price(3), key={})
    desk.beat(session=8)
    desk.join(price(3), key={"session": "8", "state": "connecting"})
    assert desk.taken() == [("A", 5, 3, "stale")]


@pytest.mark.parametrize("first", ["beat", "price"])
def test_a_new_session_takes_the_old_prices_back_at_once(desk: Desk, first: str) -> None:
    desk.beat()
    desk.publish(price(9), price(9, market="B"))
    desk.taken()
    if first == "beat":
        desk.beat(session=8, state="connecting")
    desk.publish(price(1, session=8, market="B"))
    assert desk.taken() == [("A", 5, 9, "stale"), ("B", 8, 1, "live")]
    desk.publish(price(10))
    assert desk.taken() == []
    assert desk.stats.outdated == 1
    desk.publish(price(1, session=8, status="stale"), price(2, session=8))
    assert desk.taken() == [("A", 8, 2, "live")]
    assert desk.stats.missed == 0


def test_what_was_missed_of_a_new_session_is_counted(desk: Desk) -> None:
    desk.publish(price(9))
    desk.lose()
    desk.join(price(4, session=8), key={"session": "8", "state": "live"})
    assert desk.taken() == [("A", 8, 4, "live")]
    assert (desk.stats.missed, desk.stats.healed) == (3, 1)


def test_of_two_feeds_the_newer_one_counts_until_it_is_silent(desk: Desk) -> None:
    """A clock that was set back gives a new process an older session."""
    desk.beat(session=8)
    desk.publish(price(1, session=8))
    desk.taken()
    desk.beat(session=5)
    desk.publish(price(1, session=5))
    assert desk.taken() == []
    desk.pass_time(3.0)
    assert desk.taken() == [("A", 8, 1, "stale")]
    desk.beat(session=5)
    desk.publish(price(2, session=5))
    assert desk.taken() == [("A", 5, 2, "live")]


def test_a_feed_that_says_that_it_stopped_is_not_believed(desk: Desk) -> None:
    desk.beat()
    desk.publish(price(1))
    desk.taken()
    desk.beat(state="stopped")
    assert desk.taken() == [("A", 5, 1, "stale")]


def test_venues_live_and_die_on_their_own(desk: Desk) -> None:
    desk.publish(price(1), price(1, market="P", platform="polymarket"))
    desk.taken()
    desk.pass_time(2.0)
    desk.beat(venue="polymarket")
    desk.pass_time(1.0)
    assert desk.taken() == [("A", 5, 1, "stale")]


def test_a_process_that_stood_still_gets_time_to_read_heartbeats(desk: Desk) -> None:
    desk.publish(price(1))
    desk.state.tick(desk.now_s)
    desk.taken()
    desk.now_s += 30.0
    desk.state.tick(desk.now_s)
    assert desk.taken() == []
    desk.pass_time(0.6)
    assert desk.taken() == [("A", 5, 1, "stale")]


def test_a_market_that_changes_its_platform_is_no_accident(desk: Desk) -> None:
    desk.publish(price(1), price(2, platform="other"))
    assert desk.taken()[-1][2] == 2


@pytest.mark.parametrize(
    ("ttl_ms", "age_s"), [(9_900, 0.1), (7_000, 3.0), (-1, 0.0), (60_000, 0.0)]
)
def test_the_age_of_a_heartbeat_is_what_is_gone_of_its_keys_life(ttl_ms: int, age_s: float) -> None:
    assert beat_age_s(ttl_ms) == pytest.approx(age_s)
