"""The game shard put to the proof: each planted opportunity is found, and none on stale prices."""

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from game_shard.outputs import COLUMNS
from ledger import Ledger
from shard_rehearsal import rehearse

ROOT = Path(__file__).parents[2]
README = (ROOT / "examples" / "game_shard" / "README.md").read_text()


@pytest.mark.timeout(90)
def test_each_planted_opportunity_is_found_and_none_on_stale_prices(tmp_path: Path) -> None:
    """The command of the README, for as short as it goes: each venue falls silent once."""
    found = re.search(r"^PYTHONPATH=(\S+) python -m (shard_rehearsal .+)$", README, re.MULTILINE)
    assert found
    path, words = found.groups()
    arguments = words.replace("found.csv", str(tmp_path / "found.csv")).split()
    done = subprocess.run(
        [sys.executable, "-m", *arguments, "--seconds", "0"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("passed after ")
    said = dict(re.findall(r"^ *(.+?)  +(.+)$", done.stdout, re.MULTILINE))
    shown = dict(re.findall(r"^ *(.+?)  +(.+)$", README.rpartition("```sh")[2], re.MULTILINE))
    assert said.keys() == shown.keys()
    assert said["missed"] == said["found on a stale price"] == "0"
    assert int(said["times that prices were in doubt"]) == 4
    with (tmp_path / "found.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == int(said["opportunities planted"]) > 50


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_the_same_for_a_minute(tmp_path: Path) -> None:
    """Each venue is frozen, and each is cut off, more than once."""
    ledger = Ledger()
    await rehearse(tmp_path, ledger, seconds=60.0, plants=150)
    assert ledger.passed, ledger.report()
    assert len(ledger.doubts) >= 6
    assert len(ledger.planted) > 200
