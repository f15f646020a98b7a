"""The shard at work on this computer: no account, no network, no Docker.

    python -m game_shard.demo --seconds 20

Four processes, as in real life: simulated venues, the feed with its Redis-compatible server, the
shard, and this one, which prints what the shard writes to its stream.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
import tempfile
import textwrap
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from game_shard.outputs import STREAM

VENUE_LINES: Final = 7
FEED_LINES: Final = 1
START_S: Final = 20.0
STOP_S: Final = 10.0
READ_MS: Final = 500
WIDTH: Final = 80
HEADING: Final = (
    f"{'UTC':8} {'kind':5} {'score':>5} {'qty':>3} {'what is bought, at which price':39} "
    f"{'edge':>5} {'profit':>6}"
)


class Failed(Exception):
    """A process of ours did not do its part; the text says which."""


class Child:
    """A process of ours; what it says on stderr is in a file."""

    def __init__(self, name: str, process: Process, log: Path) -> None:
        self.name = name
        self.log = log
        self._process = process

    async def lines(self, count: int) -> list[str]:
        """Return the first lines that it prints.

        Raises:
            Failed: it ended, or takes too long.
        """
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        try:
            async with asyncio.timeout(START_S):
                read = [(await self._process.stdout.readline()).decode() for _ in range(count)]
        except TimeoutError:
            raise Failed(f"{self.name} did not start in {START_S:g} s") from None
        if not read[-1]:
            raise Failed(f"{self.name} ended: {self.last_words()}")
        return [line.strip() for line in read]

    def last_words(self) -> str:
        """Return the last line of its log."""
        lines = self.log.read_text(errors="replace").split("\n")
        return next((line for line in reversed(lines) if line.strip()), "")

    async def ended(self, *, may_end: bool) -> None:
        """Wait for its end.

        Raises:
            Failed: it ended, and it may not, or not so.
        """
        code = await self._process.wait()
        if code or not may_end:
            raise Failed(f"{self.name} ended: {self.last_words()}")

    async def stop(self) -> None:
        """Ask it to stop with SIGTERM, and end it if it does not."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_S):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def child(name: str, folder: Path, *command: str, **env: str) -> AsyncIterator[Child]:
    """Run `python -m COMMAND` while the block runs, without settings from the environment."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("ARBEES_", "KALSHI_"))}
    log = folder / f"{name.replace(' ', '-')}.log"
    with log.open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", *command),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=stderr,
            env={**kept, **env, "TMPDIR": str(folder)},
            start_new_session=True,  # Ctrl-C is for us; we stop them in order
        )
    running = Child(name, process, log)
    try:
        yield running
    finally:
        await running.stop()


async def demo(given: argparse.Namespace, stop: asyncio.Event) -> None:
    """Start everything, print what is found, and stop everything.

    Raises:
        Failed: a process did not do its part.
    """
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="game-shard-")))
        start = stack.enter_async_context
        ports = ("--kalshi-port=0", "--polymarket-port=0", f"--folder={folder}")
        length = f"--length-s={given.length_s}"
        venues = await start(child("the venues", folder, "game_shard.venues", *ports, length))
        addresses = dict(line.split("=", 1) for line in await venues.lines(VENUE_LINES))
        # Nothing is followed by name: the shard asks for its markets.
        wanted = ("http.enabled=false", "log.level=warning", "polymarket.top=20")
        settings = [word for setting in wanted for word in ("--set", setting)]
        feed = await start(
            child("the feed", folder, "arbees_feed", "run", "--embedded", *settings, **addresses)
        )
        said = await feed.lines(FEED_LINES)
        url = said[0].removeprefix("redis:").strip()
        csv = given.csv or folder / "opportunities.csv"
        command = ("game_shard", str(folder / "games.toml"), "--pairs", str(folder / "pairs.csv"))
        shard = await start(
            child("the shard", folder, *command, "--csv", str(csv), "--redis-url", url)
        )
        print(f"3 games of {given.length_s:g} s; Ctrl-C ends. What is found is also here:")
        print(f"redis-cli -u {url} XREAD STREAMS {STREAM} 0\n\n{HEADING}", flush=True)
        await _watch(url, (venues, feed), shard, given.seconds, stop)
        await shard.stop()
        print(_summary(shard.last_words()), flush=True)


async def _watch(
    url: str, others: Sequence[Child], shard: Child, seconds: float | None, stop: asyncio.Event
) -> None:
    """Print what is found until the time is up, the games are over, or *stop* is set."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(each.ended(may_end=False)) for each in others]
        tasks.append(group.create_task(_until_over(shard, stop)))
        group.create_task(_print_found(url, stop))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await stop.wait()
        stop.set()
        for task in tasks:
            task.cancel()


async def _until_over(shard: Child, stop: asyncio.Event) -> None:
    await shard.ended(may_end=True)
    print("all games are over", flush=True)
    stop.set()


async def _print_found(url: str, stop: asyncio.Event) -> None:
    """Print each entry of the stream; this is all that a consumer of it has to do.

    It is not cancelled: on Python 3.11 a request of redis-py may swallow that.
    """
    client: Any = Redis.from_url(url, decode_responses=True, protocol=2)
    async with client:
        last = "0"
        while not stop.is_set():
            for _, entries in await client.xread({STREAM: last}, block=READ_MS) or []:
                for entry, row in entries:
                    print(line_of(row), flush=True)
                    last = entry


def line_of(row: Mapping[str, str]) -> str:
    """Return an opportunity as a line for people, of 80 columns at most."""
    legs = " + ".join(
        f"{row[f'{leg}_side']} {short(row[f'{leg}_market'])} {row[f'{leg}_price']}"
        for leg in ("leg1", "leg2")
        if row[f"{leg}_market"]
    )
    head = f"{row['found_at'][11:19]} {row['kind']:5} {row['score']:>5} {row['contracts']:>3}"
    return f"{head} {legs:39} {float(row['edge']):5.3f} {float(row['profit']):6.2f}"


def short(market: str) -> str:
    """Return what tells a market: a ticker without series and date, or the end of a token."""
    return f"…{market[-4:]}" if market.isdigit() else market.partition("-")[2][7:]


def _summary(line: str) -> str:
    """Return the last line of the shard's log in words, over several lines."""
    try:
        counts: dict[str, Any] = json.loads(line or "{}")
    except ValueError:
        return line
    shown = [f"{name} {value}" for name, value in counts.items() if isinstance(value, int)]
    said = "the shard stopped: " + (", ".join(shown) or "it had not begun")
    return textwrap.fill(said, WIDTH, break_on_hyphens=False)


def main() -> int:
    """Return the exit code."""
    parser = argparse.ArgumentParser(prog="game_shard.demo", description=__doc__.split("\n")[0])
    parser.add_argument(
        "--seconds",
        type=float,
        help="stop after so long; else at the end of the games, or on Ctrl-C",
    )
    parser.add_argument("--length-s", type=float, default=120.0, help="how long a game takes")
    parser.add_argument("--csv", type=Path, help="keep the opportunities in this file")
    given = parser.parse_args()

    async def run() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await demo(given, stop)

    code = 0
    try:
        asyncio.run(run())
    except* (Failed, RedisError) as failed:
        error: BaseException = failed
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        print(f"demo: {error}", file=sys.stderr)
        code = 1
    return code


if __name__ == "__main__":
    sys.exit(main())
