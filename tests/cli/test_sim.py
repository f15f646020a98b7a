"""`arbees-feed sim`: scenarios by name, told line by line."""

import re
from datetime import UTC, datetime

import pytest
import typer
from support.processes import Run, process

from arbees_feed.cli.sim import scenario_names, sim, step_line
from arbees_feed.sim import SCENARIOS, Step

ANY_PORTS = ("--kalshi-port=0", "--polymarket-port=0")
NOON = datetime(2026, 11, 22, 12, 0, 1, tzinfo=UTC)


@pytest.mark.parametrize("name", SCENARIOS)
def test_help_has_a_sentence_about_each_scenario(name: str) -> None:
    assert sim.__doc__ is not None
    line = rf"^      {name} +{re.escape(SCENARIOS[name].about)}$"
    assert re.search(line, sim.__doc__, re.MULTILINE)


def test_scenarios_are_repeated_or_listed() -> None:
    assert scenario_names(["freeze", "gap, dup"]) == ["freeze", "gap", "dup"]
    assert scenario_names(None) == []
    with pytest.raises(typer.BadParameter, match="no scenario 'rain'; there are freeze, "):
        scenario_names(["freeze,rain"])


def test_a_line_tells_when_what_befalls_whom() -> None:
    begin = Step(1.0, "freeze", {"market": "KX", "answers": True})
    end = Step(2.0, "end", {"fault": "freeze", "market": "KX"})
    assert step_line(begin, "", NOON) == "# 12:00:01 freeze market=KX answers=True"
    assert step_line(end, "", NOON) == "# 12:00:01 end freeze market=KX"
    assert step_line(end, "no such market", NOON).endswith(" market=KX (no such market)")


def test_a_scenario_is_played_and_told() -> None:
    options = ("--scenario=gap,flap", "--fault-every=0.2", "--seed=4")
    with process("sim", *ANY_PORTS, *options) as running:
        assert running.stdout is not None
        lines = [running.stdout.readline() for _ in range(9)]
        running.terminate()
        assert running.wait(timeout=40) == 0
    assert all(line.startswith("ARBEES_") for line in lines[:6])
    assert re.fullmatch(r"# \d\d:\d\d:\d\d drop_frames market=\S+ count=\d\n", lines[6])
    assert re.fullmatch(r"# \d\d:\d\d:\d\d end drop_frames market=\S+\n", lines[7])
    assert re.match(r"# \d\d:\d\d:\d\d (close|abort)_sockets venue=", lines[8])


def test_an_unknown_scenario_is_one_line_and_exit_code_2(cli: Run) -> None:
    done = cli("sim", *ANY_PORTS, "--scenario", "rain")
    assert done.returncode == 2
    assert done.stderr.startswith("arbees-feed: ")
    assert "no scenario 'rain'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_scenario_without_markets_is_one_line_and_exit_code_2(cli: Run) -> None:
    done = cli("sim", *ANY_PORTS, "--markets", "0", "--scenario", "gap")
    assert done.returncode == 2
    assert done.stderr == "arbees-feed: --scenario: needs markets of kalshi or polymarket\n"
