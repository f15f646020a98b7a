"""`demo`: the whole feed in three processes, and none of them left behind."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from support.processes import COMMAND, Mark, Run, process, wait_for

from arbees_feed.config.environment import without_settings

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

EVERYTHING = 4  # the command, the venues, the feed, its server


def test_plain_demo_sums_up_what_it_measured(cli: Run, mark: Mark) -> None:
    """Whatever the environment of its user says of other feeds."""
    theirs = {"ARBEES_KALSHI__PRIVATE_KEY_PEM": "x", "ARBEES_NONSENSE": "1"}
    theirs |= {"ARBEES_REDIS__URL": "redis://10.255.255.1/0", "KALSHI_API_KEY_ID": "secret"}
    done = cli("demo", "--plain", "--seconds", "3", env={**mark.env, **theirs})
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    progress = [line for line in lines if "feed to here" in line]
    assert 1 <= len(progress) <= 3
    assert "kalshi live" in progress[-1]
    assert "polymarket live" in progress[-1]
    summary = dict(re.split(r"  +", line, maxsplit=1) for line in lines if line not in progress)
    assert summary["markets"] == "kalshi 20, polymarket 20"
    assert int(summary["prices published"].split()[0].replace(",", "")) > 50
    for name in ("feed to subscriber", "tick to subscriber"):
        assert re.match(r"p50 [\d.]+ ms, p99 [\d.]+ ms ", summary[name])
    assert summary["gaps"] == "0"
    assert summary["stale"] == "0"
    assert mark.left() == []


def test_a_venue_that_gives_nothing_is_named(cli: Run, mark: Mark) -> None:
    nowhere = "polymarket.ws_url=ws://127.0.0.1:1/"
    done = cli("demo", "--plain", "--seconds", "2", "--set", nowhere, env=mark.env)
    assert done.returncode == 1
    assert re.fullmatch(r"arbees-feed: polymarket gave no price in \d s\n", done.stderr)
    assert re.search(r"markets +kalshi \d+, polymarket 0\n", done.stdout)
    assert mark.left() == []


def test_a_wrong_setting_is_told_before_anything_starts(cli: Run, mark: Mark) -> None:
    done = cli("demo", "--set", "publish.depht=5", env=mark.env)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "did you mean publish.depth?" in done.stderr


def test_a_signal_ends_it_in_order(mark: Mark) -> None:
    with process("demo", "--plain", env=mark.env, stderr=subprocess.PIPE) as demo:
        assert demo.stdout is not None
        assert "kalshi" in demo.stdout.readline()
        assert len(mark.processes()) == EVERYTHING
        demo.terminate()
        out, err = demo.communicate(timeout=40)
        assert (demo.returncode, err) == (0, "")
        assert "prices published" in out
        assert mark.left() == []


def test_a_signal_while_it_starts_ends_it_too(mark: Mark) -> None:
    with process("demo", "--plain", env=mark.env) as demo:
        wait_for(lambda: len(mark.processes()) > 1)
        demo.terminate()
        assert demo.wait(timeout=40) == 0
        assert mark.left() == []


def test_children_die_with_a_parent_that_is_killed(mark: Mark) -> None:
    with process("demo", "--plain", env=mark.env) as demo:
        assert demo.stdout is not None
        demo.stdout.readline()
        demo.kill()
        wait_for(lambda: not mark.processes(), 30)


@pytest.mark.parametrize(
    ("of", "title"), [(" sim ", "the simulated venues"), (" run ", "the feed")]
)
def test_the_death_of_a_child_is_one_clear_line(of: str, title: str, mark: Mark) -> None:
    with process("demo", "--plain", env=mark.env, stderr=subprocess.PIPE) as demo:
        assert demo.stdout is not None
        demo.stdout.readline()
        victim = next(pid for pid, line in mark.processes().items() if of in line)
        os.kill(victim, signal.SIGKILL)
        _, err = demo.communicate(timeout=40)
        assert demo.returncode == 1
        assert err == f"arbees-feed: {title} ended: killed by signal 9\n"
        assert mark.left() == []


def test_live_demo_draws_tables_and_leaves_a_clean_terminal(mark: Mark, tmp_path: Path) -> None:
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    before = termios.tcgetattr(child)
    env = {**without_settings(), **mark.env, "TERM": "xterm-256color"}
    svg = tmp_path / "demo.svg"
    command = [*COMMAND, "demo", "--svg", str(svg)]
    demo = subprocess.Popen(
        command, stdin=child, stdout=child, stderr=child, env=env, start_new_session=True
    )
    try:
        shown = _read_until(parent, r"of 40 markets", 30)
        demo.send_signal(signal.SIGINT)
        shown += _read_until(parent, r"stale +\d", 30)
        assert demo.wait(timeout=40) == 0
    finally:
        demo.kill()
        demo.wait()
    assert "\x1b[?1049h" in shown, "an alternate screen"
    after = shown.rpartition("\x1b[?1049l")[2]
    assert "prices published" in after
    assert "\x1b[?25h" in shown, "the cursor is back"
    assert termios.tcgetattr(child) == before
    os.close(parent)
    os.close(child)
    assert "polymarket" in svg.read_text()
    assert mark.left() == []


def _read_until(terminal: int, pattern: str, seconds: float) -> str:
    text = ""
    deadline_s = time.monotonic() + seconds
    while not re.search(pattern, text):
        assert time.monotonic() < deadline_s, text[-2000:]
        if select.select([terminal], [], [], 0.1)[0]:
            text += os.read(terminal, 65_536).decode(errors="replace")
    return text
