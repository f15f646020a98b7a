"""Prices that contradict a pair."""

import pytest

from arbees_feed.pairs.monitor import Limits, PairMonitor
from arbees_feed.pairs.price import PairPrice

LIMITS = Limits(gap=0.15, after_s=60.0, sum_within=0.03)


def price(kalshi: float, polymarket: float, status: str = "live") -> PairPrice:
    return PairPrice(
        pair_id="K~P", kalshi_id="K", polymarket_id="P", polarity="same", status=status,
        kalshi_bid=kalshi - 0.01, kalshi_ask=kalshi + 0.01,
        kalshi_bid_size=1.0, kalshi_ask_size=1.0,
        polymarket_bid=polymarket - 0.01, polymarket_ask=polymarket + 0.01,
        polymarket_bid_size=1.0, polymarket_ask_size=1.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("kalshi", "polymarket", "kind"), [(0.7, 0.4, "apart"), (0.7, 0.31, "looks_inverted")]
)
def test_a_gap_that_lasts_is_told_once(kalshi: float, polymarket: float, kind: str) -> None:
    monitor = PairMonitor(LIMITS)
    monitor.on_price(price(kalshi, polymarket), 0.0)
    assert not monitor.on_price(price(kalshi, polymarket), 30.0)
    assert monitor.look(59.0) == []
    (told,) = monitor.look(60.0)
    assert (told.kind, told.kalshi_mid, told.since_s) == (kind, pytest.approx(kalshi), 60.0)
    assert monitor.look(120.0) == []
    assert monitor.open == 1


@pytest.mark.parametrize(
    ("end", "agree"),
    [
        (price(0.5, 0.5), True),
        (price(0.7, 0.3, "stale"), False),
        (price(0.5, 0.5, "closed"), False),
    ],
)
def test_a_gap_that_ends_is_forgotten(end: PairPrice, *, agree: bool) -> None:
    monitor = PairMonitor(LIMITS)
    monitor.on_price(price(0.7, 0.3), 0.0)
    monitor.look(60.0)
    assert monitor.on_price(end, 61.0) is agree
    assert monitor.open == 0
    monitor.on_price(price(0.7, 0.3), 62.0)
    assert monitor.look(100.0) == []


def test_prices_near_each_other_say_nothing() -> None:
    monitor = PairMonitor(LIMITS)
    monitor.on_price(price(0.55, 0.45), 0.0)
    assert monitor.look(1_000.0) == []
