"""Events of the simulated Kalshi that have other fees than their series for a while."""

import pytest


async def fees_over_rest(http, sim, market):
    """Return what REST tells of an event's overrides."""
    async with http.get(f"{sim.kalshi_rest_url}/events/{market.event.id}") as response:
        event = (await response.json())["event"]
    return event["fee_type_override"], event["fee_multiplier_override"]


async def test_an_override_is_announced_in_sequence_and_is_in_rest(open_sim, kalshi, http):
    sim = await open_sim()
    market = sim.world.market(sim.kalshi_tickers[0])
    client = await kalshi(sim)
    await client.subscribe(["market_lifecycle_v2"])
    assert await fees_over_rest(http, sim, market) == (None, None)
    for told in (("flat", 0.5), (None, None)):
        sim.faults.change_fees(market.id, *told)
        frame = await client.until(type="event_fee_update")
        assert frame["msg"] == {
            "event_ticker": market.event.id,
            "fee_type_override": told[0],
            "fee_multiplier_override": told[1],
        }
        assert await fees_over_rest(http, sim, market) == told
    assert (frame["seq"], client.gaps) == (2, [])
    assert sim.counters["fault_fee_changes"] == 2


async def test_it_can_be_asked_for_over_http(open_sim, http):
    sim = await open_sim()
    market = sim.world.market(sim.kalshi_tickers[0])
    body = {"market": market.id, "multiplier": 2}
    async with http.post(f"{sim.clob_url}/sim/change_fees", json=body) as response:
        assert response.status == 200
    assert await fees_over_rest(http, sim, market) == (None, 2)


async def test_polymarket_has_no_such_thing(open_sim):
    sim = await open_sim()
    with pytest.raises(ValueError, match="only Kalshi"):
        sim.faults.change_fees(sim.polymarket_tokens[0], "flat")
