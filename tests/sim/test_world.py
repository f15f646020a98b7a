"""The generator: the same for the same seed, legal prices, never crossed for good."""

import pytest

from arbees_feed.sim import SimConfig, SimServer
from arbees_feed.sim.grid import kalshi_grids, polymarket_grids, tapered
from arbees_feed.sim.money import count, minimal_price, minimal_size, padded_price


def books(seed, steps=500):
    """Return the books of a simulation after some steps, without opening a port."""
    sim = SimServer(SimConfig(seed=seed, kalshi_markets=6, polymarket_markets=6, cross_share=0.05))
    sim.step(steps)
    return {m.id: (dict(m.yes_bids), dict(m.yes_asks)) for m in sim.world.all_markets()}


def test_the_same_seed_gives_the_same_books():
    assert books(4) == books(4)


def test_another_seed_gives_others():
    assert books(4) != books(5)


def test_no_book_stays_crossed_and_every_price_is_legal():
    sim = SimServer(SimConfig(seed=2, cross_share=0.1, empty_share=0.02))
    for _ in range(3000):
        sim.step()
        for market in sim.world.all_markets():
            bid, bid_size, ask, ask_size = market.top()
            assert bid < ask
            assert (bid_size == 0) == (bid == 0)
            assert (ask_size == 0) == (ask == 10_000)
    for market in sim.world.all_markets():
        assert {*market.yes_bids, *market.yes_asks} <= set(market.grid.prices)
        assert all(size % market.size_step == 0 for size in market.yes_bids.values())


def test_ids_look_like_the_venues():
    sim = SimServer(SimConfig(polymarket_markets=30, v2_share=0.5))
    for token in sim.polymarket_tokens:
        market = sim.world.market(token)
        assert len(token) == len(market.other_id) == 77
        assert len(market.condition_id) == (66 if market.version == "v1" else 64)
    assert all(ticker.startswith("KX") for ticker in sim.kalshi_tickers)
    assert len(set(sim.kalshi_tickers)) == 20


def test_two_teams_of_a_game_share_an_event():
    sim = SimServer(SimConfig(kalshi_markets=20))
    sizes = {len(event.markets) for event in sim.world.events.values()}
    assert max(sizes) >= 2


@pytest.mark.parametrize(
    "grid", dict.fromkeys((*kalshi_grids(), *polymarket_grids())), ids=lambda g: g.label
)
def test_grids_step_up_and_down_within_bounds(grid):
    assert grid.at_or_below(0) == grid.prices[0]
    assert grid.at_or_above(10_000) == grid.prices[-1]
    assert grid.at_or_below(5000) <= 5000 <= grid.at_or_above(5000)


def test_a_tapered_grid_is_finer_at_its_ends():
    grid = tapered(100, 10, "tapered_deci_cent")
    assert grid.at_or_below(999) == 990
    assert grid.at_or_below(1999) == 1900
    assert grid.at_or_above(9001) == 9010
    assert grid.ranges()[0] == {"start": "0.0000", "end": "0.1000", "step": "0.0010"}


def test_numbers_are_written_as_each_venue_does():
    assert count(-54_000_000) == "-54.00"
    assert count(-10_000) == "-0.01"
    assert count(100_000) == "0.10"
    assert minimal_size(219_217_767) == "219.217767"
    assert minimal_size(300_000_000) == "300"
    assert minimal_size(500_000) == "0.5"
    assert [minimal_price(p) for p in (0, 5, 4800, 10_000)] == ["0", "0.0005", "0.48", "1"]
    assert [padded_price(p) for p in (None, 5000, 1450, 1455)] == ["", "0.500", "0.145", "0.1455"]
