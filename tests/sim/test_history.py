"""The truth over time: which tops were true when."""

import pytest

from arbees_feed.sim import SimConfig, SimServer, World
from arbees_feed.sim.history import MAX_TOPS, TopHistory

NS = 1_000_000_000


class Clock:
    """A clock that is set by hand."""

    def __init__(self):
        self.ns = 100 * NS

    def __call__(self):
        return self.ns


def top(bid):
    """Return a top that differs in its bid."""
    return (bid, 1, 9000, 1)


@pytest.fixture
def clock():
    """A clock that is set by hand."""
    return Clock()


@pytest.fixture
def history(clock):
    """Tops 1 to 5, one a second from second 100 on."""
    kept = TopHistory(60, clock)
    for bid in range(1, 6):
        kept.note(top(bid))
        clock.ns += NS
    return kept


def bids(history, start_s, end_s):
    """Return the bids between two seconds."""
    return [one[0] for one in history.between(int(start_s * NS), int(end_s * NS))]


def test_an_interval_has_the_top_that_it_begins_with_and_all_that_follow(history):
    assert bids(history, 101.5, 103.5) == [2, 3, 4]
    assert bids(history, 101.5, 101.6) == [2]
    assert bids(history, 104.0, 999.0) == [4, 5]
    assert bids(history, 105.5, 106.0) == [5]


def test_at_the_moment_of_a_change_both_tops_are_true(history):
    assert bids(history, 102.0, 102.0) == [2, 3]


def test_before_the_first_change_nothing_was_true(history):
    assert bids(history, 98.0, 99.0) == []
    assert bids(history, 98.0, 100.0) == [1]


def test_a_top_that_did_not_change_is_not_noted(history, clock):
    history.note(top(5))
    clock.ns += NS
    history.note(top(5))
    assert len(history.tops) == 5


def test_several_tops_of_one_instant_were_all_true(clock):
    history = TopHistory(60, clock)
    for bid in (1, 2, 3):
        history.note(top(bid))
    assert bids(history, 100, 100) == [1, 2, 3]
    assert bids(history, 101, 102) == [3]


def test_what_is_older_is_forgotten_but_the_top_at_the_horizon_is_known(history, clock):
    clock.ns = 163 * NS
    history.note(top(6))
    assert not history.is_complete
    assert [one.bid for one in history.tops] == [3, 4, 5, 6]
    assert bids(history, 103.0, 200) == [3, 4, 5, 6]
    with pytest.raises(LookupError, match="are forgotten"):
        bids(history, 101.9, 200)


def test_there_is_a_bound(clock):
    history = TopHistory(1e6, clock)
    for bid in range(MAX_TOPS + 5):
        history.note(top(bid))
    assert len(history.tops) == MAX_TOPS
    assert history.tops[-1].bid == MAX_TOPS + 4


def test_a_simulation_remembers_every_top_in_order():
    config = SimConfig(kalshi_markets=3, polymarket_markets=3, history_s=600, cross_share=0.1)
    sim = SimServer(config)
    for _ in range(500):
        sim.step()
        for market in sim.world.all_markets():
            assert market.history.tops[-1].top == market.top()
    for market in sim.world.all_markets():
        tops = market.history.tops
        assert len(tops) > 20
        assert [one.at_ns for one in tops] == sorted(one.at_ns for one in tops)
        assert market.tops_between(tops[0].at_ns, tops[-1].at_ns) == [one.top for one in tops]
    crossed = [one for m in sim.world.all_markets() for one in m.history.tops if one.bid >= one.ask]
    assert crossed, "what a book passes through inside one venue time is true for an instant"


def test_the_end_of_a_market_is_the_last_top():
    sim = SimServer(SimConfig(kalshi_markets=1, polymarket_markets=1, history_s=60))
    for market in list(sim.world.all_markets()):
        first = market.history.tops[0]
        market.status = "active"
        market.clear()
        assert market.history.tops[-1].top == (0, 0, 10_000, 0)
        assert market.history.tops[0] == first


def test_without_the_setting_nothing_is_remembered():
    sim = SimServer(SimConfig())
    market = sim.world.market(sim.kalshi_tickers[0])
    assert market.history is None
    with pytest.raises(LookupError, match="history_s"):
        market.tops_between(0, 1)


def test_a_world_of_its_own_remembers_nothing():
    assert list(World().all_markets()) == []


async def test_tops_are_told_over_http(open_sim, http):
    sim = await open_sim(history_s=60)
    sim.step(200)
    market = sim.world.market(sim.kalshi_tickers[0])
    tops = market.history.tops
    query = {"market": market.id, "from_ns": tops[1].at_ns + 1, "to_ns": tops[-1].at_ns}
    async with http.get(f"{sim.clob_url}/sim/tops", params=query) as response:
        told = [tuple(one) for one in (await response.json())["tops"]]
    assert told == market.tops_between(tops[1].at_ns + 1, tops[-1].at_ns)
    assert told[-1] == market.top()
    async with http.get(f"{sim.clob_url}/sim/tops", params={"market": "X"}) as response:
        assert response.status == 404


async def test_tops_that_are_not_remembered_are_refused_over_http(open_sim, http):
    sim = await open_sim()
    query = {"market": sim.kalshi_tickers[0]}
    async with http.get(f"{sim.clob_url}/sim/tops", params=query) as response:
        assert response.status == 400
        assert "history_s" in (await response.json())["error"]
