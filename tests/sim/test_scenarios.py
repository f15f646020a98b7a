"""Schedules of faults: repeatable, in order, and every beginning has an end."""

import asyncio
import inspect
import re
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest
from support.sim_books import decimals, kalshi_truth, truth

import arbees_feed.sim
from arbees_feed.sim import SCENARIOS, Faults, SimConfig, SimServer, Step, rehearse, schedule, storm
from arbees_feed.sim.control import actions
from arbees_feed.sim.scenarios import END

README = (Path(arbees_feed.sim.__file__).parent / "README.md").read_text()
MARKETS = {
    "kalshi": [f"KX{number}" for number in range(10)],
    "polymarket": [str(number) for number in range(10)],
}
OVER_AT_ONCE = {
    "change_tick", "close_market", "close_sockets", "abort_sockets", "end_subscriptions",
    "garbage", "open_market", "reset_sequence",
}  # fmt: skip


def target(step):
    """Return which fault a step begins or ends, and of what."""
    names = ("venue", "market")
    about = tuple((name, step.arguments[name]) for name in names if name in step.arguments)
    return step.fault, (about or (("venue", "kalshi"),))


def lasts(step):
    """Tell whether a step begins a fault that somebody has to end."""
    transient = step.fault == "cross" and not step.arguments.get("lasting")
    return step.action != END and step.fault not in OVER_AT_ONCE and not transient


def check_ends(steps):
    """Check that what begins ends, and that no two of a kind are in force at one target."""
    open_ones = Counter()
    for step in steps:
        if step.action == END:
            open_ones[target(step)] -= 1
        elif lasts(step):
            open_ones[target(step)] += 1
        assert set(open_ones.values()) <= {0, 1}, step
    assert not +open_ones


def test_a_storm_is_repeatable_and_another_seed_is_another_storm():
    assert storm(3, MARKETS, 200) == storm(3, MARKETS, 200)
    assert storm(3, MARKETS, 200) != storm(4, MARKETS, 200)


@pytest.mark.parametrize("seed", range(5))
def test_a_storm_begins_so_many_faults_and_ends_them(seed):
    steps = storm(seed, MARKETS, 500, every_s=0.1, hold_s=1.0)
    assert sum(step.action != END for step in steps) == 500
    assert [step.at_s for step in steps] == sorted(step.at_s for step in steps)
    check_ends(steps)
    assert 30 < steps[-1].at_s < 80


def test_a_storm_hits_both_venues_with_everything():
    steps = storm(1, MARKETS, 2000)
    venues = {step.arguments.get("venue") for step in steps}
    assert {"kalshi", "polymarket"} <= venues
    begun = {step.fault for step in steps}
    lasting = {name for name in Faults.__dict__ if not name.startswith("_")}
    assert begun | lasting >= OVER_AT_ONCE - {"close_market"}
    assert "close_market" not in begun
    assert {"freeze", "omit_market", "black_hole", "slow_handshake", "lag", "drift"} <= begun
    assert {"corrupt_level", "wrong_hash", "stale_rest", "ghost_rest", "time_jump"} <= begun


def test_faults_overlap_in_a_storm():
    steps = storm(2, MARKETS, 300, every_s=0.1, hold_s=1.0)
    in_force, most = 0, 0
    for step in steps:
        in_force += lasts(step) - (step.action == END)
        most = max(most, in_force)
    assert most >= 3


def test_a_storm_over_one_venue_spares_the_other():
    steps = storm(1, {"polymarket": MARKETS["polymarket"]}, 300)
    assert {step.arguments.get("venue") for step in steps} <= {None, "polymarket"}
    assert not {"reset_sequence", "end_subscriptions", "fail_commands"} & {s.fault for s in steps}


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_fault_of_a_scenario_is_over_before_the_next_begins(name):
    steps = list(islice(schedule([name], MARKETS, seed=5, every_s=10.0), 60))
    last_end = next(i for i in range(len(steps), 0, -1) if not lasts(steps[i - 1]))
    steps = list(steps[:last_end])
    rounds = Counter(int(step.at_s // 10) for step in steps)
    assert min(rounds) == 1
    for number in sorted(rounds)[:-1]:
        check_ends([step for step in steps if int(step.at_s // 10) == number])
    assert all(step.at_s % 10 <= 6.0 + 1e-6 for step in steps)


def test_scenarios_take_turns_and_repeat_with_the_seed():
    names = ["gap", "freeze"]
    steps = list(islice(schedule(names, MARKETS, seed=2), 8))
    assert [s.fault for s in steps] == ["drop_frames"] * 2 + ["freeze"] * 2 + [
        "drop_frames"
    ] * 2 + ["freeze"] * 2
    assert steps == list(islice(schedule(names, MARKETS, seed=2), 8))
    assert steps != list(islice(schedule(names, MARKETS, seed=3), 8))


def test_wrong_scenarios_are_refused_before_anything_happens():
    with pytest.raises(ValueError, match="no scenario rain"):
        schedule(["freeze", "rain"], MARKETS)
    with pytest.raises(ValueError, match="needs markets of kalshi"):
        schedule(["reset"], {"kalshi": [], "polymarket": ["1"]})
    with pytest.raises(ValueError, match="needs markets"):
        storm(1, {}, 1)


def test_every_step_can_be_carried_out_with_its_arguments():
    known = actions(SimServer(SimConfig()))
    steps = storm(1, MARKETS, 3000)
    for name in SCENARIOS:
        steps += islice(schedule([name], MARKETS), 50)
    for step in steps:
        inspect.signature(known[step.action]).bind(**step.arguments)
        assert step.fault in known


async def test_steps_happen_in_time_and_are_told(open_sim):
    sim = await open_sim()
    told = []
    steps = [
        Step(0.0, "freeze", {"venue": "kalshi"}),
        Step(0.05, "cross", {"market": "nobody"}),
        Step(0.1, END, {"fault": "freeze", "venue": "kalshi"}),
    ]
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    await rehearse(sim, steps, on_step=lambda *step: told.append((loop.time() - began_s, *step)))
    assert [one[1] for one in told] == steps
    assert [one[2] for one in told] == ["", "no such market: nobody", ""]
    assert all(at_s >= step.at_s for at_s, step, _ in told)
    assert not sim.faults._state.frozen_venues


@pytest.mark.parametrize("seed", [1, 2])
async def test_after_a_storm_new_clients_see_the_truth(open_sim, kalshi, polymarket, seed):
    """No fault leaves the simulation itself damaged."""
    sim = await open_sim(
        paused=False, kalshi_markets=4, polymarket_markets=4, history_s=60, settle_delay_s=0.01
    )
    before = [await kalshi(sim), await polymarket(sim)]
    await before[0].command(
        "subscribe", channels=["orderbook_delta", "ticker"], market_tickers=sim.kalshi_tickers
    )
    await before[1].ws.send_json({"type": "market", "assets_ids": sim.polymarket_tokens})
    steps = storm(seed, sim.market_ids, 200, every_s=0.01, hold_s=0.05)
    problems = []
    await rehearse(sim, steps, on_step=lambda step, why: problems.append((step, why)))
    assert {why.split(": ")[-1] for _, why in problems} <= {"", "nothing to cross"}
    state = sim.faults._state
    assert not any(
        (state.frames, +state.wrong_hashes, state.frozen_markets, state.frozen_venues, state.holes)
    )
    assert not any((state.handshakes, state.handshake_delays, state.rest, state.omitted_markets))
    ours, theirs = await kalshi(sim), await polymarket(sim)
    sim.pause()
    await ours.subscribe(["orderbook_delta"], market_tickers=sim.kalshi_tickers)
    await theirs.begin(sim.polymarket_tokens)
    sim.step(200)
    await ours.settle()
    await theirs.settle()
    assert not ours.gaps
    for ticker in ours.books:
        assert ours.books[ticker] == kalshi_truth(sim.world.market(ticker))
    for token in set(sim.polymarket_tokens) & theirs.books.keys():
        assert decimals(theirs.books[token]) == truth(sim.world.market(token), token)
    assert len(ours.books) >= 4
    assert len(theirs.books) >= 4


# Over HTTP, and in the README.


async def test_every_fault_works_over_http(open_sim, http):
    sim = await open_sim()
    ticker, token = sim.kalshi_tickers[0], sim.polymarket_tokens[0]
    bodies = {
        "reorder_frames": {"market": ticker, "count": 2},
        "reset_sequence": {},
        "corrupt_level": {"market": token, "deep": True},
        "wrong_hash": {"market": token},
        "garbage": {"venue": "kalshi", "kind": "nested"},
        "drift": {"venue": "kalshi", "kind": "drop", "field": "delta_fp"},
        "omit_market": {"market": ticker},
        "black_hole": {"venue": "kalshi", "new_sockets": False},
        "slow_handshake": {"venue": "kalshi", "seconds": 1},
        "lag": {"venue": "polymarket", "seconds": 3},
        "stale_rest": {"venue": "kalshi", "seconds": 5},
        "ghost_rest": {"venue": "polymarket"},
        "change_tick": {"market": token, "tick": "0.001"},
        "cross": {"market": ticker, "lasting": True},
        "time_jump": {"venue": "kalshi", "seconds": -5},
        "end": {"fault": "stop_accepting", "venue": "kalshi"},
        "clear": {},
    }
    for action, body in bodies.items():
        async with http.post(f"{sim.clob_url}/sim/{action}", json=body) as response:
            assert (response.status, (await response.json())["ok"]) == (200, True), action
    wrong = {"fault": "rain"}
    async with http.post(f"{sim.clob_url}/sim/end", json=wrong) as response:
        assert response.status == 400
        assert "what lasts is black_hole" in (await response.json())["error"]


@pytest.mark.parametrize("name", [name for name in dir(Faults) if not name.startswith("_")])
def test_every_fault_is_in_the_readme_with_its_arguments(name):
    row = re.search(rf"`{name}\((.*?)\)`", README)
    assert row, name
    for parameter in list(inspect.signature(getattr(Faults, name)).parameters)[1:]:
        assert parameter in row[1], f"{name}: {parameter}"


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_scenario_is_in_the_readme(name):
    assert re.search(
        rf"^\| `{name}` \| {re.escape(SCENARIOS[name].about)} \|$", README, re.MULTILINE
    )


def test_what_lasts_is_what_can_be_ended():
    lasting = set(SimServer(SimConfig()).faults._endings)
    assert lasting & OVER_AT_ONCE == set()
    assert lasting >= {step.fault for step in storm(1, MARKETS, 3000) if lasts(step)}
