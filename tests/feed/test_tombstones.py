"""What has ended is remembered long enough, and no longer than that."""

from support.outlets import FakeClock

from arbees_feed.core.model import MarketId
from arbees_feed.feed.tombstones import AT_LEAST_S, MOST, Tombstones


def test_a_market_is_remembered_for_a_while_and_then_forgotten() -> None:
    clock = FakeClock()
    stones = Tombstones(clock)
    stones.add(MarketId("first"))
    clock.now_s += AT_LEAST_S
    stones.add(MarketId("second"))
    assert MarketId("first") in stones, "its time is over, but nobody had to look"
    clock.now_s += AT_LEAST_S
    stones.add(MarketId("third"))
    assert MarketId("first") not in stones
    assert MarketId("second") in stones
    assert MarketId("third") in stones


def test_many_at_once_are_bounded_and_the_newest_stay() -> None:
    stones = Tombstones(FakeClock())
    markets = [MarketId(f"M{number}") for number in range(3 * MOST)]
    for market in markets:
        stones.add(market)
    remembered = [market for market in markets if market in stones]
    assert MOST <= len(remembered) <= 2 * MOST
    assert remembered[-1] == markets[-1]
