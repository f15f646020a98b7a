"""What both venues ask: found by the matcher as it is, quoted around one probability."""

import json
from collections.abc import Iterator

import msgspec
import pytest

from arbees_feed.enrich.diff import market_fields
from arbees_feed.matching.frame import Frame
from arbees_feed.matching.kalshi import parse_kalshi
from arbees_feed.matching.matches import Match, Matches
from arbees_feed.matching.polymarket import parse_polymarket
from arbees_feed.pairs.listings import kalshi_listing, polymarket_listing
from arbees_feed.sim import (
    KALSHI,
    POLYMARKET,
    Market,
    SimConfig,
    SimServer,
    gamma_json,
    kalshi_json,
)
from arbees_feed.venues.kalshi import catalogue_messages as kalshi_messages
from arbees_feed.venues.kalshi import catalogue_meta as kalshi_meta
from arbees_feed.venues.polymarket import catalogue_messages as polymarket_messages
from arbees_feed.venues.polymarket import catalogue_meta as polymarket_meta

DAY_MS = 86_400_000
NOW_MS = 1_795_362_000_000
"""In November 2026, after the election."""
CONFIRMED = [
    ("KXNFLGAME", "inverted"), ("KXNFLGAME", "same"), ("KXPRESPARTY", "same"),
    ("KXPRESPARTY", "same"), ("KXSB", "same"), ("KXU3", "same"),
]  # fmt: skip
CENT = 100


def simulation(seed: int = 1, now_ms: int = NOW_MS, markets: int = 20, **more: bool) -> SimServer:
    """Return simulated venues that ask some questions twice, without opening a port."""
    given = {"pairs": True, **more}
    config = SimConfig(seed=seed, kalshi_markets=markets, polymarket_markets=markets, **given)
    return SimServer(config, clock_ms=lambda: now_ms)


def kalshi_frame(market: Market) -> Frame:
    """Return what the matcher reads in what Kalshi's REST interface says of a market."""
    told = json.dumps(kalshi_json.market_json(market, NOW_MS))
    event = json.dumps(kalshi_json.event_json(market.event))
    facts = kalshi_meta.EventFacts.of(msgspec.json.decode(event, type=kalshi_messages.Event))
    record = msgspec.json.decode(told, type=kalshi_messages.Market)
    fields = market_fields(kalshi_meta.market_meta(record, facts))
    return parse_kalshi(kalshi_listing(market.id, fields))


def polymarket_frame(market: Market) -> Frame:
    """Return what the matcher reads in what Gamma says of a market."""
    told = json.dumps(gamma_json.market_json(market))
    event = json.dumps(gamma_json.event_json(market.event))
    decoded = msgspec.json.decode(event, type=polymarket_messages.Event)
    record = msgspec.json.decode(told, type=polymarket_messages.Market)
    facts = polymarket_meta.EventFacts.of(decoded)
    fields = market_fields(polymarket_meta.market_meta(record, facts))
    return parse_polymarket(polymarket_listing(market.id, fields))


def matched(sim: SimServer) -> list[Match]:
    """Return all that the matcher keeps of all markets."""
    matches = Matches()
    for market in sim.world.markets(KALSHI):
        matches.put(kalshi_frame(market))
    for market in sim.world.markets(POLYMARKET):
        matches.put(polymarket_frame(market))
    return list(matches)


def shared(sim: SimServer) -> list[Market]:
    """Return the markets that ask what both venues ask, or look like it."""
    return [market for market in sim.world.all_markets() if market.rules]


def legs(sim: SimServer) -> Iterator[tuple[Market, Market]]:
    """Yield the markets of each pair."""
    for match in matched(sim):
        if match.verdict.confirmed:
            yield sim.world.market(match.key[0]), sim.world.market(match.key[1])


@pytest.mark.parametrize("days", [0, 40, 90, 250, 720])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_matcher_confirms_what_both_venues_ask(seed: int, days: int) -> None:
    sim = simulation(seed, NOW_MS + days * DAY_MS)
    found = [match for match in matched(sim) if match.verdict.confirmed]
    named = [(match.key[0].partition("-")[0], match.verdict.polarity) for match in found]
    assert sorted(named) == CONFIRMED
    for match in found:
        ours, theirs = (sim.world.market(leg) for leg in match.key)
        assert ours.chance is theirs.chance is not None
        assert (ours.inverted != theirs.inverted) == (match.verdict.polarity == "inverted")


@pytest.mark.parametrize("seed", range(1, 6))
def test_what_only_looks_alike_is_no_pair(seed: int) -> None:
    sim = simulation(seed)
    traps = {market.id: market for market in shared(sim) if market.chance is None}
    game = next(theirs for ours, theirs in legs(sim) if ours.event.is_game)
    again, inflation = [m for m in traps.values() if m.venue == POLYMARKET]
    (core,) = [m for m in traps.values() if m.venue == KALSHI]
    assert (again.title, again.outcomes) == (game.title, game.outcomes)
    assert again.slug[-10:] > game.slug[-10:], "the return match, on another day"
    assert (core.event.series, "inflation" in inflation.title) == ("KXCPICORE", True)
    assert [match.key for match in matched(sim) if traps.keys() & {*match.key}] == []


def test_without_them_no_pair_is_confirmed() -> None:
    sim = simulation(pairs=False)
    assert list(legs(sim)) == []
    assert shared(sim) == []


@pytest.mark.parametrize(("markets", "many"), [(1, 0), (3, 0), (4, 2), (6, 3), (20, 7), (200, 7)])
def test_they_take_the_place_of_half_of_the_markets_at_most(markets: int, many: int) -> None:
    with_them, without = simulation(markets=markets), simulation(markets=markets, pairs=False)
    for venue in (KALSHI, POLYMARKET):
        ids, before = with_them.market_ids[venue], without.market_ids[venue]
        assert len(set(ids)) == len(before) == markets
        assert sum(market.venue == venue for market in shared(with_them)) == many
        assert ids[: markets - many] == before[: markets - many]


def test_the_same_seed_asks_the_same() -> None:
    def told(seed: int) -> list[object]:
        sim = simulation(seed)
        sim.step(2000)
        return [(m.id, m.title, m.top()) for m in sim.world.all_markets()]

    assert told(3) == told(3)
    assert told(3) != told(4)


def test_both_books_follow_one_probability() -> None:
    """Both sides cost less than they pay now and then, and with fees hardly ever."""
    sim = simulation()
    pairs = list(legs(sim))
    seen = cheap = worth = 0
    for _ in range(3_000):
        sim.step(10)
        for ours, theirs in pairs:
            assert abs(ours.fair - ours.value) < 12 * CENT
            assert abs(theirs.fair - theirs.value) < 12 * CENT
            cost, fees = cheapest(ours, theirs)
            seen += 1
            cheap += cost < 1.0
            worth += cost + fees < 1.0
    assert 0.02 < cheap / seen < 0.2
    assert 0 < worth / seen < 0.02


def cheapest(ours: Market, theirs: Market) -> tuple[float, float]:
    """Return what both sides cost the cheaper way round, and the fees that takers pay for them."""
    bid, ask = theirs.best_bid() / 10_000, theirs.best_ask() / 10_000
    if ours.inverted != theirs.inverted:
        bid, ask = 1 - ask, 1 - bid
    at_kalshi = (ours.best_ask() / 10_000, 1 - bid)
    at_polymarket = (1 - ours.best_bid() / 10_000, ask)
    kalshi, polymarket = min(at_kalshi, at_polymarket, key=sum)
    fees = 0.07 * kalshi * (1 - kalshi) + 0.05 * polymarket * (1 - polymarket)
    return round(kalshi + polymarket, 6), fees


async def test_both_venues_settle_alike(open_sim) -> None:
    sim = await open_sim(pairs=True, settle_delay_s=0.0)
    ours, other, theirs = (m for m in shared(sim) if m.chance is not None)
    assert ours.chance is not None
    ours.chance.price = 5001.0
    ours.fair, theirs.fair, other.fair = 4900.0, 4950.0, 5100.0  # nobody knows yet
    for market in (ours, other, theirs):
        sim.close_market(market.id)
    await sim.drained()
    assert (ours.result, other.result, theirs.result) == ("yes", "no", "yes")
