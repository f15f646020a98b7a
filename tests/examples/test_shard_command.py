"""The game shard's commands, example files and README."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from game_shard.demo import HEADING, line_of
from game_shard.mapping import checked_pairs, load_games, load_pairs
from game_shard.outputs import COLUMNS
from game_shard.signals import Limits

EXAMPLES = Path(__file__).parents[2] / "examples"
SHARD = EXAMPLES / "game_shard"
FOUND = re.compile(r"[\d:]{8} (model|cross) ")
README = (SHARD / "README.md").read_text()


def run_shard(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "game_shard", *arguments],
        cwd=EXAMPLES,
        capture_output=True,
        text=True,
        check=False,
        timeout=45,
    )


def table_of(heading: str) -> list[str]:
    """Return the code words of the first columns of the README's tables under a heading."""
    section = README.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    firsts = re.findall(r"^\| (`.+?) \|", section, re.MULTILINE)
    return [word for cell in firsts for word in re.findall(r"`([^`]+)`", cell)]


def test_the_readme_names_every_field_and_event() -> None:
    told = table_of("What it writes")
    fields = [word for word in told if word in COLUMNS]
    assert sorted(fields) == sorted(COLUMNS)
    source = "".join(path.read_text() for path in sorted(SHARD.glob("*.py")))
    logged = set(re.findall(r"_log\.\w+\(\s*\"([^\"]+)\"", source)) | {"refused", "gone"}
    assert set(told) - set(COLUMNS) == logged


def test_the_readme_names_every_reason_to_refuse() -> None:
    source = (SHARD / "signals.py").read_text()
    reasons = set(re.findall(r"^[A-Z_]+ = \"([^\"]+)\"$", source, re.MULTILINE))
    assert set(table_of("What it does")) == reasons


def test_options_in_the_readme_are_those_of_the_command() -> None:
    told = set(re.findall(r"^\| `(--[a-z-]+)", README, re.MULTILINE))
    shown = run_shard("--help").stdout
    assert told == set(re.findall(r"--[a-z-]+", shown)) - {"--help"}


def test_the_example_files_are_right_and_show_the_defaults(tmp_path: Path) -> None:
    file = load_games(SHARD / "games.example.toml")
    assert file.limits == Limits()
    assert len(load_pairs(SHARD / "pairs.example.csv")) == 2
    with_markets = {game.id: game.markets for game in file.games if game.markets}
    checked_pairs(load_pairs(SHARD / "pairs.example.csv"), with_markets)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("nowhere.toml",), 2, "nowhere.toml: "),
        (("game_shard/pairs.example.csv",), 2, "pairs.example.csv: "),
        (
            ("game_shard/games.example.toml", "--redis-url", "redis://127.0.0.1:1/0"),
            1,
            "127.0.0.1:1",
        ),
        (("game_shard/games.example.toml", "--redis-url", "nonsense"), 2, "--redis-url: "),
        (("game_shard/games.example.toml", "--csv", "/nowhere/x.csv"), 2, "/nowhere/x.csv: "),
    ],
)
def test_what_is_wrong_is_one_line(
    tmp_path: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    csv = () if "--csv" in arguments else ("--csv", str(tmp_path / "x.csv"))
    done = run_shard(*arguments, *csv)
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == code
    assert last.startswith("game_shard: ")
    assert said in last
    assert "Traceback" not in done.stderr


@pytest.mark.timeout(60)
def test_the_demo_finds_something_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """The command of the README, for less long."""
    (command,) = re.findall(r"^python -m (game_shard\.demo .+)$", README, re.MULTILINE)
    words = command.replace("--seconds 10", "--seconds 5").split()
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", *words, "--csv", str(tmp_path / "found.csv")],
        cwd=EXAMPLES,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines, _, last = done.stdout.partition("the shard stopped: ")
    found = [line for line in lines.splitlines() if FOUND.match(line)]
    assert found
    assert max(len(line) for line in done.stdout.splitlines()) <= 80
    rows = (tmp_path / "found.csv").read_text().splitlines()[1:]
    assert f"stream_written {len(rows)}," in " ".join(last.split())


@pytest.mark.timeout(60)
def test_the_demo_ends_with_its_games() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "game_shard.demo", "--length-s", "4"],
        cwd=EXAMPLES,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "\nall games are over\nthe shard stopped: scores " in done.stdout


def test_a_line_of_the_demo_fits_a_terminal_whatever_is_found() -> None:
    row = dict.fromkeys(COLUMNS, "") | {
        "found_at": "2026-11-22T09:30:54.123456+00:00",
        "kind": "cross",
        "score": "31-28",
        "contracts": "100",
        "edge": "0.234000",
        "profit": "123.4000",
        "leg1_market": "KXNFLGAME-26NOV26JACTEN-TEN",
        "leg1_side": "yes",
        "leg1_price": "0.1710",
        "leg2_market": "9" * 72 + "18775",
        "leg2_side": "yes",
        "leg2_price": "0.5730",
    }
    line = line_of(row)
    assert FOUND.match(line)
    assert "yes JACTEN-TEN 0.1710 + yes …8775 0.5730" in line
    assert len(line) <= 80 >= len(HEADING)


@pytest.mark.timeout(60)
def test_ctrl_c_ends_the_demo(tmp_path: Path) -> None:
    running = subprocess.Popen(
        [sys.executable, "-m", "game_shard.demo"],
        cwd=EXAMPLES,
        stdout=subprocess.PIPE,
        text=True,
    )
    with running:
        assert running.stdout is not None
        while not FOUND.match(running.stdout.readline()):
            assert running.poll() is None
        running.send_signal(signal.SIGINT)
        rest = running.stdout.read()
    assert running.returncode == 0
    assert "\nthe shard stopped: " in f"\n{rest}"
