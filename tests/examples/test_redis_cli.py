"""Recipes for redis-cli, pasted; and the stand-in for it on machines that have none."""

import asyncio
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import redis
from support import redis_cli
from support.feed import reading, running, settings_for, url_of, valkey

from arbees_feed.sim import SimConfig, SimServer

ROOT = Path(__file__).parents[2]
REAL = shutil.which("redis-cli")
STAND_IN = Path(redis_cli.__file__)
RECIPES = (ROOT / "docs" / "other-readers.md").read_text().partition("## By hand")[2]
ENDLESS = re.compile(r"\bP?SUBSCRIBE\b")

pytestmark = pytest.mark.timeout(60)


# --- the stand-in ---


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server with one value of each kind."""
    with valkey() as server:
        client = redis.Redis.from_url(url_of(server))
        client.hset("hash", mapping={"a": "1", "b": 'x"y\nz', "c": ""})
        client.rpush("list", *range(12))
        client.set("bytes", b"\x80\xabhi\\\n\t\x07\xff")
        client.zadd("scores", {"one": 1.5, "two": 2})
        client.close()
        yield url_of(server)


def ask(*command: str, given: str = "") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        command, input=given.encode(), capture_output=True, check=False, timeout=45
    )


NESTED = "return {1, {2, {'x'}}, false, {}, redis.status_reply('k'), redis.error_reply('ERR x')}"
SHOWN = [
    (["PING"], "PONG\n", "PONG\n"),
    (["GET", "none"], "\n", "(nil)\n"),
    (["GET", "bytes"], b"\x80\xabhi\\\n\t\x07\xff\n", '"\\x80\\xabhi\\\\\\n\\t\\a\\xff"\n'),
    (["LLEN", "list"], "12\n", "(integer) 12\n"),
    (["HMGET", "hash", "b", "none"], 'x"y\nz\n\n', '1) "x\\"y\\nz"\n2) (nil)\n'),
    (["HGETALL", "none"], "\n", "(empty array)\n"),
    (["ZRANGE", "scores", "0", "-1", "WITHSCORES"], "one\n1.5\ntwo\n2\n",
     '1) "one"\n2) "1.5"\n3) "two"\n4) "2"\n'),
    (["LRANGE", "list", "8", "-1"], "8\n9\n10\n11\n", '1) "8"\n2) "9"\n3) "10"\n4) "11"\n'),
    (["EVAL", NESTED, "0"], "1\n2\nx\n\n\nk\nERR x\n\n",
     '1) (integer) 1\n2) 1) (integer) 2\n   2) 1) "x"\n3) (nil)\n4) (empty array)\n5) k\n'
     "6) (error) ERR x\n"),
    (["GET"], "ERR wrong number of arguments for 'get' command\n\n",
     "(error) ERR wrong number of arguments for 'get' command\n"),
    (["--scan", "--pattern", "ha*"], "hash\n", '"hash"\n'),
    (["-r", "2", "PING"], "PONG\nPONG\n", "PONG\nPONG\n"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "piped", "for_people"), SHOWN, ids=lambda value: str(value)[:30])
def test_it_prints_what_redis_cli_prints(
    url: str,
    words: list[str],
    piped: str | bytes,
    for_people: str,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    """Compared with redis-cli itself (7.0.15), wherever there is one."""
    expected = piped if isinstance(piped, bytes) else piped.encode()
    assert redis_cli.main(["-u", url, *words]) == 0
    assert capfdbinary.readouterr().out == expected
    assert redis_cli.main(["-u", url, "--no-raw", *words]) == 0
    assert capfdbinary.readouterr().out == for_people.encode()
    if REAL:
        assert ask(REAL, "-u", url, *words).stdout == expected
        assert ask(REAL, "-u", url, "--no-raw", *words).stdout == for_people.encode()


def test_it_is_installed_as_a_command_that_reads_standard_input(url: str, tmp_path: Path) -> None:
    command = str(redis_cli.install(tmp_path))
    assert ask(command, "-u", url, given='PING\nHGET hash "a"\n').stdout == b"PONG\n1\n"
    assert ask(command, "-u", url, "-x", "ECHO", given="a b").stdout == b"a b\n"


def test_what_fails_is_told(url: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert redis_cli.main(["-u", url, "NOPE"]) == 0
    assert capfd.readouterr().out.startswith("ERR unknown command")
    assert redis_cli.main(["-u", url, "-e", "NOPE"]) == 1
    told = capfd.readouterr()
    assert (told.out, told.err[:19]) == ("", "ERR unknown command")
    with pytest.raises(SystemExit, match="1"):
        redis_cli.main(["-p", "1", "PING"])
    refused = "Could not connect to Redis at 127.0.0.1:1: Connection refused\n"
    assert capfd.readouterr().err == refused
    with pytest.raises(SystemExit, match="1"):
        redis_cli.main(["--none"])
    unknown = "Unrecognized option or bad number of args for: '--none'\n"
    assert capfd.readouterr().err == unknown


# --- the recipes ---


def pasted() -> list[str]:
    """Return the commands of the recipes, in order."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", RECIPES, re.MULTILINE | re.DOTALL)
    return "".join(blocks).replace("\\\n", " ").splitlines()


class Shell:
    """A shell that stays open: a command may use what one before it has set."""

    def __init__(self, folder: Path, url: str) -> None:
        self.printed: dict[str, str] = {}
        self._variables: dict[str, str] = {}
        command = shlex.join([REAL] if REAL else [sys.executable, str(STAND_IN)])
        (folder / "redis-cli").write_text(f'#!/bin/sh\nexec {command} -e -u {url} "$@"\n')
        (folder / "redis-cli").chmod(0o755)
        (folder / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        (folder / "python").chmod(0o755)
        self._path = f"{folder}{os.pathsep}{os.environ['PATH']}"

    async def run(self, line: str) -> None:
        """Run a line; one that would go on for ever, until it has printed a few lines."""
        if found := re.fullmatch(r"([A-Z]+)=(\$\(.*\))", line):
            self._variables[found[1]] = (await self._printed_by(f"echo {found[2]}")).strip()
            return
        endless = ENDLESS.search(line) is not None
        self.printed[line] = await self._printed_by(f"{line} | head -n 10" if endless else line)

    async def _printed_by(self, line: str) -> str:
        # Without pipefail where `head` ends what goes on: that is what ends it.
        begin = "" if line.endswith("head -n 10") else "set -o pipefail; "
        process = await asyncio.create_subprocess_exec(
            "bash", "-c", begin + line, env={**os.environ, **self._variables, "PATH": self._path},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        async with asyncio.timeout(30):
            out, err = await process.communicate()
        assert process.returncode == 0, f"{line}: {err.decode()}"
        return out.decode(errors="replace")

    def of(self, *words: str) -> str:
        """Return what the one command with these words printed."""
        (found,) = (text for line, text in self.printed.items() if all(w in line for w in words))
        return found

    @property
    def market(self) -> str:
        """The market that was chosen."""
        return self._variables["ID"]


@pytest_asyncio.fixture
async def sim() -> AsyncIterator[SimServer]:
    config = SimConfig(seed=7, kalshi_markets=20, polymarket_markets=20, rate=200.0)
    async with SimServer(config, kalshi_port=0, polymarket_port=0) as server:
        yield server


async def test_recipes_work_when_pasted(tmp_path: Path, sim: SimServer) -> None:
    with valkey() as server:
        url = url_of(server)
        client = redis.Redis.from_url(url, decode_responses=True)
        async with running(settings_for(sim, url)), reading(url) as prices:
            await prices.until(lambda: prices.all_are("live", sim.kalshi_tickers))
            async with asyncio.timeout(30):
                while (
                    not client.hexists("feed:venue:kalshi", "demand_followed")
                    or len(client.keys("market:*:quote")) < 40
                ):
                    await prices.heartbeat()
            shell = Shell(tmp_path, url)
            for line in pasted():
                await shell.run(line)
            check(shell, sim, client)
        client.close()


def check(shell: Shell, sim: SimServer, client: Any) -> None:
    """Look at what the recipes say of a feed that is known."""
    market = shell.market
    assert market in sim.kalshi_tickers
    assert all(text.strip() for text in shell.printed.values()), shell.printed
    assert shell.of("HMGET", "yes_bid_size").startswith("live\n0.")
    assert shell.of("HMGET", "title event_title").splitlines()[0] == client.hget(
        f"market:{market}:meta", "title"
    )
    assert f'"market_id":"{market}"' in shell.of("EVAL", "cjson")
    assert f"'market_id': '{market}'" in shell.of("msgpack.unpackb")
    assert "governor" in shell.of("BYLEX")
    assert all(found.startswith("KXGOVCA") for found in shell.of("SINTER").split())
    by_volume = shell.of("SORT feed:volume").splitlines()
    assert [row.split("\t")[0] for row in by_volume] == shell.of("WITHSCORES", "volume").split()[
        ::2
    ]
    assert all(row.split("\t")[1] == "live" for row in by_volume)
    assert market in shell.of("SMEMBERS").split()
    assert '"pmessage"' in shell.of("PSUBSCRIBE")
    assert shell.of("-r 3").split().count("live") == 3
    assert '"feed:status"' in shell.of("SUBSCRIBE feed:status")
    assert shell.of("state reason").startswith("live\n")
    assert shell.of("TTL feed:venue") in ("9\n", "10\n")
    assert 0 <= int(shell.of("TIME")) < 60
    assert shell.of("uniq -c").split() == ["20", "live"]
    assert shell.of("awk") == "0 stale\n"
    assert shell.of("watch:kalshi GT") == "1\n"
    assert market in shell.of("ZRANGE feed:watch")
    assert int(shell.of("MEMORY USAGE")) > 100
    assert "used_memory_human:" in shell.of("INFO memory")
    assert "cmd=psubscribe" in shell.of("CLIENT LIST")
