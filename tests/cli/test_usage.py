"""What every command has: help with examples, and one line and exit code 2 for wrong usage."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.processes import COMMAND, Run, process

from arbees_feed import __version__
from arbees_feed.cli import main
from arbees_feed.config.environment import without_settings

COMMANDS = [
    "run",
    "demo",
    "check",
    "watch",
    "top",
    "markets",
    "pairs",
    "match",
    "explain",
    "sim",
    "record",
    "replay",
]


Captured = pytest.CaptureFixture[str]


def run_here(
    arguments: list[str], capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> tuple[int, str, str]:
    """Run a command that ends at once in this process; return its exit code and what it said."""
    for name in os.environ.keys() - without_settings().keys():
        monkeypatch.delenv(name)
    monkeypatch.setattr(sys, "argv", ["arbees-feed", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


@pytest.mark.parametrize(
    "command", [*(name for name in COMMANDS if name != "match"), "match run", "match suggest"]
)
def test_help_shows_examples_and_the_settings_options(
    command: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = run_here([*command.split(), "--help"], capsys, monkeypatch)
    assert (code, err) == (0, "")
    assert "Examples:\n" in out
    assert f"\n    arbees-feed {command}" in out
    assert "--config FILE" in out
    assert "--set KEY=VALUE" in out


def test_all_commands_are_listed(capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    code, out, _ = run_here(["--help"], capsys, monkeypatch)
    assert code == 0
    assert [line.split()[0] for line in out.partition("Commands:\n")[2].splitlines()] == COMMANDS


def test_the_process_says_the_same(cli: Run) -> None:
    done = cli("nonsense")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "arbees-feed: No such command 'nonsense'.\n"
    assert cli("--version").stdout == f"{__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["watch", "--no-such-option"],
        ["watch", "--set", "redis.url"],
        ["markets", "--set", "redis.key_prefx=a"],
        ["check", "--config", "/nowhere.toml"],
        ["demo", "--seconds", "soon"],
        ["run", "--set", "http.port=99999"],
        ["nonsense"],
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    arguments: list[str], capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = run_here(arguments, capsys, monkeypatch)
    assert (code, out) == (2, "")
    assert err.startswith("arbees-feed: ")
    assert err.count("\n") == 1


def test_a_wrong_set_does_not_repeat_what_may_be_a_secret(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, err = run_here(["watch", "--set", "rediss://:hidden@host"], capsys, monkeypatch)
    assert code == 2
    assert "hidden" not in err


def test_a_pipe_that_nobody_reads_is_silent(tmp_path: Path) -> None:
    file = tmp_path / "frames.jsonl"
    file.write_text('{"type":"subscribed","id":1,"msg":{"channel":"ticker","sid":1}}\n')
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {' '.join(COMMAND)} replay {file} | true"],  # noqa: S607
        capture_output=True,
        text=True,
        timeout=45,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_sim_writes_a_key_for_its_owner_only(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    with process("sim", "--kalshi-port=0", "--polymarket-port=0", f"--key-file={key}") as sim:
        assert sim.stdout is not None
        lines = [sim.stdout.readline() for _ in range(7)]
        assert all(line.startswith("ARBEES_") for line in lines)
        assert key.stat().st_mode & 0o077 == 0
        sim.terminate()
        assert sim.wait(timeout=40) == 0
