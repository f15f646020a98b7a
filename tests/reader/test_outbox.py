"""What waits for a slow consumer: bounded, in order, and never without the newest of a market."""

from collections import Counter

import hypothesis.strategies as st
from hypothesis import given
from support.prices import price as published

from arbees_feed.core.wire import MarketPrice
from arbees_feed.reader.outbox import Every, Newest
from arbees_feed.reader.stats import ReaderStats


def price(market: str, seq: int, pub_ns: int = 0) -> MarketPrice:
    return published(market, seq, ts_pub_ns=pub_ns)


# Which market publishes next; None: the consumer takes a price.
Steps = st.lists(st.sampled_from(["A", "B", "C", None]), max_size=200)


def play(outbox: Newest | Every, steps: list[str | None]) -> tuple[list[MarketPrice], Counter[str]]:
    """Publish and take; return what was taken, and how many prices each market published."""
    taken: list[MarketPrice] = []
    published: Counter[str] = Counter()
    for market in steps:
        if market is None:
            if (one := outbox.take(0)) is not None:
                taken.append(one)
        else:
            published[market] += 1
            outbox.put(market, price(market, published[market]))
    return taken, published


def drain(outbox: Newest | Every) -> list[MarketPrice]:
    taken = []
    while (one := outbox.take(0)) is not None:
        taken.append(one)
    return taken


def in_order(taken: list[MarketPrice]) -> bool:
    return all(
        seqs == sorted(set(seqs))
        for market in "ABC"
        for seqs in [[one.seq for one in taken if one.market_id == market]]
    )


@given(Steps)
def test_the_newest_of_each_market_comes_once(steps: list[str | None]) -> None:
    stats = ReaderStats()
    outbox = Newest(stats)
    taken, published = play(outbox, steps)
    assert len(outbox) <= 3
    taken += drain(outbox)
    assert in_order(taken)
    assert {one.market_id: one.seq for one in taken} == dict(published)
    assert len(taken) + stats.conflated == published.total()


@given(Steps, st.integers(1, 10))
def test_every_price_or_the_newest_and_a_count(steps: list[str | None], limit: int) -> None:
    stats = ReaderStats()
    missed: Counter[str] = Counter()
    outbox = Every(stats, limit, lambda market, count: missed.update({market: count}))
    taken, published = play(outbox, steps)
    assert len(outbox) <= limit + 3
    taken += drain(outbox)
    assert in_order(taken)
    assert {one.market_id: one.seq for one in taken} == dict(published)
    given_over = Counter(one.market_id for one in taken)
    assert given_over + missed == published
    assert missed.total() == stats.overflowed


def test_markets_take_turns() -> None:
    """A market that changes all the time does not keep the others from being handed over."""
    outbox = Newest(ReaderStats())
    for market in "AB":
        outbox.put(market, price(market, 1))
    order = []
    for seq in range(2, 6):
        one = outbox.take(0)
        assert one is not None
        order.append(one.market_id)
        outbox.put("A", price("A", seq))
    assert order == ["A", "B", "A", "A"]


def test_lag_is_that_of_published_prices() -> None:
    stats = ReaderStats()
    for outbox in (Newest(stats), Every(stats, 10, lambda _market, _count: None)):
        outbox.put("A", price("A", 1, pub_ns=1_000_000_000))
        outbox.put_known("B", price("B", 1, pub_ns=1))
        for _ in range(2):
            outbox.take(3_000_000_000)
        assert (stats.lag_s, stats.worst_lag_s) == (2.0, 2.0)
