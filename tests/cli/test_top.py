"""`top` as people run it: in a terminal, against a real server and a feed of simulated venues."""

import fcntl
import json
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
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
import redis
from support.pairprices import NAMES, pair_price, write_pair, write_word
from support.patience import within
from support.prices import price
from support.processes import COMMAND, Feed, Run, process, running_venues, wait_for

from arbees_feed.config.environment import without_settings
from arbees_feed.core.wire import MarketPrice
from arbees_feed.pairs.price import PairPrice

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="needs a pseudo-terminal and signals"),
    pytest.mark.timeout(120),
]

# A session leader gets the terminal that it opens: Ctrl-C and Ctrl-Z come from the driver then.
_OWN_TERMINAL = (
    "import os, sys; os.open(os.ttyname(0), os.O_RDWR);"
    "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)
_LINE = re.compile(r"\x1b\[(\d+);1H\x1b\[K|(\x1b\[2J)")
_ESCAPE = re.compile(r"\x1b\[[?0-9;]*[A-Za-z]")
_LEFT = "\x1b[?1049l"


class Screen:
    """A terminal with a command in it: what was written, and what it shows."""

    def __init__(self, arguments: list[str], size: tuple[int, int], **env: str) -> None:
        self.parent, self.child = pty.openpty()
        self.resize(*size)
        self.before = termios.tcgetattr(self.child)
        self.written = ""
        command = [sys.executable, "-c", _OWN_TERMINAL, *arguments]
        self.process = subprocess.Popen(
            command,
            stdin=self.child,
            stdout=self.child,
            stderr=self.child,
            env={**without_settings(), "TERM": "xterm-256color", **env},
            start_new_session=True,
        )

    def resize(self, width: int, height: int) -> None:
        fcntl.ioctl(self.parent, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def lines(self) -> list[str]:
        """What the lines of the screen say, without colours."""
        shown: dict[int, str] = {}
        pieces = _LINE.split(self.written)
        for number, cleared, text in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
            if cleared:
                shown.clear()
            else:
                shown[int(number)] = _ESCAPE.sub("", text)
        return [shown.get(number, "") for number in range(1, max(shown, default=0) + 1)]

    def text(self) -> str:
        return "\n".join(self.lines())

    def press(self, keys: str) -> None:
        os.write(self.parent, keys.encode())

    def until(self, holds: str | Callable[[], object], seconds: float = 30.0) -> None:
        """Read until the screen has this, a pattern or a condition."""
        deadline_s = time.monotonic() + seconds
        wanted = holds
        if isinstance(wanted, str):
            pattern = re.compile(wanted, re.MULTILINE)
            holds = lambda: pattern.search(self.text())  # noqa: E731
        assert callable(holds)
        while not holds():
            assert time.monotonic() < deadline_s, f"no {wanted} in\n{self.text()}"
            if select.select([self.parent], [], [], 0.05)[0]:
                self.written += os.read(self.parent, 65_536).decode(errors="replace")

    def is_given_back(self) -> bool:
        """Whether the terminal is as it was before."""
        return termios.tcgetattr(self.child) == self.before

    def ended(self) -> int:
        """Wait for the end of the command; return its exit code."""
        self.until(lambda: self.process.poll() is not None)
        while select.select([self.parent], [], [], 0.05)[0]:
            self.written += os.read(self.parent, 65_536).decode(errors="replace")
        return self.process.returncode


@contextmanager
def screen(
    *arguments: str, size: tuple[int, int] = (80, 24), command: list[str] | None = None, **env: str
) -> Iterator[Screen]:
    """Run a command in a terminal of its own."""
    shown = Screen([*(command or COMMAND[1:]), *arguments], size, **env)
    try:
        yield shown
    finally:
        shown.process.kill()
        shown.process.wait()
        os.close(shown.parent)
        os.close(shown.child)


def assert_left(shown: Screen) -> str:
    """Assert that the terminal was given back; return what was written after that."""
    assert shown.is_given_back()
    assert "\x1b[?1049h" in shown.written
    before, left, after = shown.written.rpartition(_LEFT)
    assert left
    assert before.endswith("\x1b[?7h\x1b[?25h"), "lines are wrapped and the cursor is there again"
    return after


@contextmanager
def own_feed(server: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A feed with depth that may be killed; its server stays."""
    options = ["--set=http.port=0", "--set=kalshi.series=KXNFLGAME", "--set=log.level=error"]
    options += [f"--set=redis.url={server}", "--set=publish.depth=5"]
    with running_venues(folder) as venues, process("run", *options, env=venues) as feed:
        yield feed


def rows(shown: Screen) -> list[str]:
    """The lines of markets."""
    return re.findall(r"^[>! ] +[KP] .*", shown.text(), re.MULTILINE)


def see_prices(shown: Screen) -> None:
    """Venues, prices and titles come."""
    shown.until(r"^kalshi +live .* 20/20 ")
    shown.until(r"^polymarket live .* 20/20 ")
    shown.until(lambda: sum(" live  " in row for row in rows(shown)) > 10)
    shown.until(r"^[> ] +[KP] .* (at|Will) ")
    assert "STALE" not in shown.text()
    shown.until(lambda: [len(line) for line in shown.lines()] == [80] * 24)


def common_word(server: str) -> str:
    """Return the first letters of a word that many titles have."""
    with redis.Redis.from_url(server, decode_responses=True) as client:
        titles = [client.hget(key, "title") or "" for key in client.scan_iter("market:*:meta")]
    words = Counter(word for title in titles for word in set(re.findall(r"[A-Z][a-z]{4,}", title)))
    return words.most_common(1)[0][0][:4]


def search(shown: Screen, word: str) -> None:
    """What is typed is looked for at once."""
    shown.press("/")
    shown.until("search: █")
    for number, letter in enumerate(word):
        shown.press(letter)
        shown.until(rf"search: {word[: number + 1]}█  [1-9]\d* found")
    assert all(word.lower() in row.lower() or "…" in row for row in rows(shown))
    shown.press("\r")
    shown.until(r"^↑↓ choose")


def chosen(shown: Screen) -> int | None:
    """The number of the row that is marked; it follows its market to wherever that is listed."""
    return next((number for number, row in enumerate(rows(shown)) if row[0] == ">"), None)


def look_closer(shown: Screen) -> None:
    """The market on the row beside the chosen one, in depth."""
    shown.until(lambda: chosen(shown) is not None)
    before = chosen(shown)
    shown.press("\x1b[A" if before == len(rows(shown)) - 1 else "\x1b[B")
    shown.until(lambda: chosen(shown) not in (None, before))
    shown.press("\r")
    shown.until(r"^ +SIZE BID +│ ASK +SIZE")
    shown.until(r"█ +[\d,.k]+ 0\.\d+ +│ 0\.\d+ +[\d,.k]+ +█")
    shown.until(r"mid, last [1-9]\d* s")


def see_it_stale(shown: Screen) -> None:
    """Its feed is gone."""
    shown.until(r"^kalshi +GONE ")
    shown.until(r" ! polymarket is GONE: no heartbeat for \d s; its prices are stale")
    shown.until("no quote: not to be traded on")
    assert rows(shown)
    assert all(re.search(r" STALE +- +- +- ", row) for row in rows(shown))


def test_a_person_sees_prices_searches_looks_closer_and_sees_them_go_stale(
    server: str, tmp_path: Path
) -> None:
    here = ("--set", f"redis.url={server}")
    with own_feed(server, tmp_path) as feed, screen("top", *here) as shown:
        see_prices(shown)
        search(shown, common_word(server))
        look_closer(shown)
        feed.kill()
        see_it_stale(shown)
        shown.press("q")
        assert shown.ended() == 0
        assert assert_left(shown) == ""


@pytest.mark.parametrize("end", ["\x03", signal.SIGTERM, signal.SIGINT])
def test_every_way_out_gives_the_terminal_back(end: str | signal.Signals, feed: Feed) -> None:
    with screen("top", *feed.here) as shown:
        shown.until(" live ")
        assert not shown.is_given_back()
        if isinstance(end, str):
            shown.press(end)
        else:
            shown.process.send_signal(end)
        assert shown.ended() == 0
        assert assert_left(shown) == ""


def test_an_error_of_ours_gives_the_terminal_back_before_it_is_told(feed: Feed) -> None:
    breaking = (
        "import sys; from arbees_feed.cli import main, topsession as s\n"
        "whole, drawn = s.screen_lines, []\n"
        "def broken(*a):\n"
        "    drawn.append(1)\n"
        "    return whole(*a) if len(drawn) < 3 else 1 / 0\n"
        "s.screen_lines = broken\n"
        "main()"
    )
    with screen("top", *feed.here, command=["-c", breaking]) as shown:
        assert shown.ended() == 1
        assert "ZeroDivisionError" in assert_left(shown)


def test_ctrl_l_draws_again_and_ctrl_z_gives_the_terminal_back(feed: Feed) -> None:
    with screen("top", *feed.here) as shown:
        shown.until(" live ")
        shown.written = ""
        shown.press("\x0c")
        shown.until(r"^VENUE +STATE")  # the head, which does not change, is drawn again
        shown.press("\x1a")
        shown.until(lambda: _LEFT in shown.written)
        wait_for(lambda: " (stopped)" in _status(shown.process.pid))
        assert shown.is_given_back()
        shown.written = ""
        shown.process.send_signal(signal.SIGCONT)
        shown.until(" live ")
        assert not shown.is_given_back()
        shown.press("q")
        assert shown.ended() == 0
        assert_left(shown)


def _status(pid: int) -> str:
    return Path(f"/proc/{pid}/status").read_text()


def test_it_follows_the_size_of_the_terminal(feed: Feed) -> None:
    with screen("top", *feed.here) as shown:
        shown.until("q quit")
        shown.resize(120, 40)
        shown.until(lambda: [len(line) for line in shown.lines()] == [120] * 40)
        shown.until(r"^ +SIZE BID +│ ASK +SIZE")  # there is room for depth now
        shown.resize(30, 8)
        shown.until(lambda: [len(line) for line in shown.lines()] == [30] * 8)


def test_redis_that_goes_is_told_at_once_and_comes_back(server: str) -> None:
    with redis.Redis.from_url(server) as client:
        client.hset("feed:venue:kalshi", mapping={"state": "live", "session": 1})
        client.set("market:M:last", price().to_msgpack())
        client.sadd("feed:markets:kalshi", "M")
        with screen("top", "--set", f"redis.url={server}") as shown:
            shown.until(r"^> +K M +live +0\.40 ")
            client.config_set("maxclients", 1)
            client.client_kill_filter(_type="pubsub")
            shown.until(" ! REDIS: .*; nothing below is to be believed")
            shown.until(r"^> +K M +STALE +- +- ")
            client.config_set("maxclients", 100)
            client.hset("feed:venue:kalshi", mapping={"state": "live", "session": 1})
            shown.until(lambda: "! REDIS" not in shown.text())


PAIR = pair_price("KXGAME-KC.0000aaaa")


def publish_pair(client: "redis.Redis[bytes]", **more: object) -> None:
    """Write a newer price of the pair, as a matcher does."""
    changed = msgspec.structs.replace(PAIR, **more)
    client.set(NAMES.pair_last(PAIR.pair_id), changed.to_msgpack())


@pytest.fixture
def paired(server: str) -> Iterator["redis.Redis[bytes]"]:
    """A client of a server with a matcher's word, a pair, and one of its markets."""
    with redis.Redis.from_url(server) as client:
        write_word(client)
        write_pair(client, PAIR, conflicts="postponement")
        client.hset(NAMES.meta("KXGAME-KC"), mapping={"title": "Will Kansas City win?"})
        client.set("market:KXGAME-KC:last", price("KXGAME-KC").to_msgpack())
        client.sadd("feed:markets:kalshi", "KXGAME-KC")
        yield client


def test_a_person_sees_pairs_live_in_depth_and_beside_a_market(
    server: str, paired: "redis.Redis[bytes]"
) -> None:
    with screen("top", "--set", f"redis.url={server}", size=(100, 24)) as shown:
        shown.until(r"^arbees-feed top .* pairs 1/2 ")
        shown.press("p")
        shown.until(r"^>  Will Kansas City win\? +\+3\.00 0\.9700 +25 K +0\.40/0\.42 ")
        publish_pair(paired, yes_at_kalshi_net=1.0125, kalshi_ask=0.4625)
        shown.until(r"^>  Will Kansas City win\? +-1\.25 1\.0125 +25 K +0\.40/0\.4625 ")
        shown.press("\r")
        shown.until(r"^conflicts +postponement")
        publish_pair(paired, status="stale", reason="kalshi: stale")
        shown.until(r"^>  Will Kansas City win\? +STALE +kalshi: stale")
        publish_pair(paired)
        shown.press("p")
        shown.until(r"^pair  polymarket  same  7aaaa .*\+3\.00 ¢ for 25, YES at kalshi")
        paired.delete(NAMES.pairs_state())
        shown.until(lambda: "pairs 1/2" not in shown.text())
        shown.until(r"^pair  polymarket  same  7aaaa .* STALE")
        shown.press("q")
        assert shown.ended() == 0


def test_pairs_are_not_believed_while_redis_is_away(
    server: str, paired: "redis.Redis[bytes]"
) -> None:
    with screen("top", "--pairs", "--set", f"redis.url={server}") as shown:
        shown.until(r"^>  .* \+3\.00 ")
        paired.config_set("maxclients", 1)
        for kind in ("pubsub", "normal"):
            paired.client_kill_filter(_type=kind, skipme=True)
        shown.until(" ! REDIS: ")
        shown.until(r"^>  .* STALE  ")
        assert "pairs 1/2" not in shown.text()
        paired.config_set("maxclients", 100)
        shown.until(r"^>  .* \+3\.00 ")


def test_no_color_means_none(feed: Feed) -> None:
    with screen("top", *feed.here, NO_COLOR="1") as shown:
        shown.until(" live ")
        shown.press("q")
        assert shown.ended() == 0
        codes = re.findall(r"\x1b\[([\d;]*)m", shown.written)
        assert {code for found in codes for code in found.split(";")} <= {"", "0", "1", "2", "7"}


@pytest.mark.parametrize(("command", "told"), [("top", "busiest first"), ("watch", " live   ")])
def test_a_terminal_that_can_do_nothing_gets_plain_text(
    command: str, told: str, feed: Feed
) -> None:
    with screen(command, *feed.here, TERM="dumb") as shown:
        shown.until(lambda: shown.written.count(told) > 1)
        assert "\x1b" not in shown.written


# -- for scripts -----------------------------------------------------------------------------------


def test_once_prints_one_screen_of_plain_text(cli: Run, feed: Feed) -> None:
    size = {"COLUMNS": "90", "LINES": "20"}
    done = cli("top", "--once", "--sort", "widest", *feed.here, env=size)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) <= 21
    assert max(map(len, lines)) <= 90
    assert "\x1b" not in done.stdout
    assert re.search(r"^kalshi +live ", done.stdout, re.MULTILINE)
    widths = [float(row.split()[-1]) for row in _quoted(done.stdout)]
    assert len(widths) > 10
    assert max(widths) == widths[0]
    drawn = [row for row in lines if re.match(r" +[KP] ", row)]
    assert len(drawn) > 10
    assert not [row for row in drawn if re.match(r" +[KP] (KX|\d{9})", row)], "a title, not an id"


def _quoted(text: str) -> list[str]:
    """Rows of markets, up to their spread."""
    found = re.findall(r"^ +[KP] (.* live +(?:[\d.-]+ +){3})", text, re.MULTILINE)
    return [row for row in found if row.split()[-1] != "-"]


def test_json_tells_the_same_to_scripts(cli: Run, feed: Feed) -> None:
    done = cli("top", "--json", "--once", "--rows", "3", *feed.here)
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1)
    told = json.loads(done.stdout)
    assert (told["connected"], told["markets"], told["malformed"], told["lost"]) == (True, 40, 0, 0)
    assert [venue["venue"] for venue in told["venues"]] == ["kalshi", "polymarket"]
    for venue in told["venues"]:
        assert (venue["state"], venue["markets_live"], venue["gaps"]) == ("live", 20, 0)
        assert 0 <= venue["heartbeat_age_s"] < within(3.0)
        assert venue["prices_per_s"] > 0
        assert 0 < venue["lag_p50_ms"] <= venue["lag_p99_ms"]
    assert len(told["list"]) == 3
    for market in told["list"]:
        assert market.keys() >= {"title", "messages_per_s", "lost", "spread", "age_s"}
        assert market.keys() > set(MarketPrice.__struct_fields__)
        assert market["title"] != market["market_id"]


def test_json_without_a_feed_and_a_search_that_finds_nothing(cli: Run, server: str) -> None:
    with redis.Redis.from_url(server) as client:
        client.set("market:M:last", price().to_msgpack())
        client.sadd("feed:markets:kalshi", "M")
    here = ("--set", f"redis.url={server}")
    told = json.loads(cli("top", "--json", "--once", *here).stdout)
    assert [market["status"] for market in told["list"]] == ["stale"]
    assert (told["list"][0]["yes_bid"], told["list"][0]["yes_ask"]) == (0.0, 1.0)
    assert [(venue["venue"], venue["state"]) for venue in told["venues"]] == [("kalshi", "GONE")]
    told = json.loads(cli("top", "--json", "--once", "no", "such", *here).stdout)
    assert (told["search"], told["list"]) == ("no such", [])


def test_a_search_in_a_script(cli: Run, feed: Feed) -> None:
    with feed.client() as client:
        market = min(client.smembers("feed:markets:kalshi")).decode()
    told = json.loads(cli("top", "--json", "--once", market, *feed.here).stdout)
    assert [found["market_id"] for found in told["list"]] == [market]


def test_lines_come_each_second_until_nobody_reads(feed: Feed) -> None:
    command = " ".join([*COMMAND, "top", "--json", *feed.here])
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command} | head -2"],  # noqa: S607
        capture_output=True,
        text=True,
        timeout=45,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert 0.8e9 < second["ts_ns"] - first["ts_ns"] < 1e9 * within(3.0)
    assert second["messages"] > first["messages"]


def test_an_absent_redis_is_one_line_without_its_password(cli: Run) -> None:
    done = cli("top", "--once", "--set", "redis.url=redis://me:hidden@127.0.0.1:1/0")
    assert done.returncode == 1
    assert done.stderr.startswith("arbees-feed: cannot use redis at redis://***@127.0.0.1:1/0: ")
    assert done.stderr.count("\n") == 1
    assert "hidden" not in done.stderr + done.stdout


def test_once_fails_when_nothing_can_be_heard(cli: Run, server: str) -> None:
    with redis.Redis.from_url(server) as client:
        rules = ("on", ">p", "~*", "+@all", "resetchannels")
        client.execute_command("ACL", "SETUSER", "u", *rules)
    url = server.replace("redis://", "redis://u:p@")
    done = cli("top", "--once", "--set", f"redis.url={url}")
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"arbees-feed: redis: NOPERM .*\n", done.stderr)


def test_pairs_in_a_script(cli: Run, server: str, paired: "redis.Redis[bytes]") -> None:
    here = ("--set", f"redis.url={server}")
    done = cli("top", "--pairs", "--once", *here, env={"COLUMNS": "100", "LINES": "20"})
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"^ +Will Kansas City win\? +\+3\.00 0\.9700 ", done.stdout, re.MULTILINE)
    told = json.loads(cli("top", "--pairs", "--json", "--once", "kansas", *here).stdout)
    counts = {"confirmed": 2, "live": 1, "probable": 1}
    assert (told["pairs"], told["list"]) == ({"state": "live", **counts}, [])
    (pair,) = told["pair_list"]
    assert pair.keys() > set(PairPrice.__struct_fields__)
    assert (pair["kalshi_title"], pair["polymarket_title"]) == ("Will Kansas City win?", "7aaaa")
    assert (pair["yes_at"], pair["net"], pair["edge_cents"], pair["size"]) == (
        "kalshi", 0.97, 3.0, 25.0
    )  # fmt: skip


def test_pairs_without_a_matcher_say_how_to_start_one(cli: Run, server: str) -> None:
    here = ("--set", f"redis.url={server}")
    done = cli("top", "--pairs", "--once", *here)
    assert "no matcher is at work: start one with `arbees-feed match run`" in done.stdout
    told = json.loads(cli("top", "--pairs", "--json", "--once", *here).stdout)
    assert (told["pairs"], told["pair_list"]) == (None, [])
