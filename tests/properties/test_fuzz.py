"""The fuzzer itself: it runs for a bounded time, repeats itself, and says what it found."""

import json
import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from properties import fuzz

from arbees_feed.core.wire import MarketPrice

TESTS = Path(fuzz.__file__).parents[1]


def test_a_short_run_of_every_target_finds_nothing(tmp_path: Path) -> None:
    counts = fuzz.run(2.5, 1, tmp_path)
    assert counts.keys() == fuzz.TARGETS.keys()
    assert min(counts.values()) >= 5
    assert list(tmp_path.iterdir()) == []


def test_a_round_is_made_of_its_seed_alone(tmp_path: Path) -> None:
    def received(seed: int) -> list[bytes]:
        trail = fuzz.Trail()
        fuzz.rest("kalshi", Random(seed), trail)
        return list(trail.inputs)

    assert received(3) == received(3) != received(4)


def test_a_failing_input_is_saved_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(data: bytes) -> MarketPrice:
        raise KeyError(len(data))

    with monkeypatch.context() as patched:
        patched.setattr(MarketPrice, "from_msgpack", broken)
        with pytest.raises(fuzz.Failure) as failed:
            fuzz.run_round("prices", 8, tmp_path)
    (saved,) = tmp_path.iterdir()
    assert str(saved) in str(failed.value)
    told = json.loads(saved.read_text())
    assert (told["target"], told["seed"], len(told["inputs"])) == ("prices", 8, 1)
    assert any("KeyError" in line for line in told["error"])
    assert fuzz.run_round(told["target"], told["seed"], tmp_path) > 1


@pytest.mark.parametrize(
    ("asked", "code", "said"),
    [
        ({"FUZZ_SECONDS": "0", "FUZZ_SEED": "5"}, 0, "inputs in "),
        ({"FUZZ_AGAIN": "round.json"}, 0, "inputs: nothing wrong"),
    ],
)
def test_it_runs_as_a_command(asked: dict[str, str], code: int, said: str, tmp_path: Path) -> None:
    (tmp_path / "round.json").write_text('{"target": "prices", "seed": 3}')
    done = subprocess.run(
        [sys.executable, "-m", "properties.fuzz"],
        env={**os.environ, "PYTHONPATH": str(TESTS), **asked},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (code, "")
    assert said in done.stdout.splitlines()[-1]
