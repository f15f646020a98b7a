"""`arbees-feed demo`: the whole feed on this computer, from simulated venues to a live table.

Three processes, as in real life: the venues, the feed with its Redis-compatible server, and a
reader (this one). Nothing is shared but sockets, so the latencies are those of the real thing.
"""

import asyncio
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import typer
from rich.console import Console, RenderableType
from rich.text import Text

from arbees_feed.cli.board import Board
from arbees_feed.cli.children import Child, child
from arbees_feed.cli.following import Following
from arbees_feed.cli.options import ConfigFile, Overrides, pairs, quiet_log, run_until_stopped
from arbees_feed.cli.output import Lines, put, say
from arbees_feed.cli.prices import reader_of
from arbees_feed.cli.report import progress_line, silent_venues, summary_lines
from arbees_feed.cli.screen import show
from arbees_feed.cli.table import note, screen
from arbees_feed.cli.waiting import stopped_within, until
from arbees_feed.config import Settings, load_settings
from arbees_feed.config.environment import without_settings
from arbees_feed.config.forms import RedisUrl
from arbees_feed.errors import FatalError

SIM_LINES = 7
LAST_WORDS_S = 2.0
SVG_SIZE = (110, 32)
_BOOKS_OF = "KXNFLGAME,KXNBAGAME,KXNHLGAME,KXGOVCA,KXSB,KXPRESPARTY,KXU3"
"""Series with full books; of the other markets only the tickers are followed."""

Sleep = Callable[[float], Awaitable[None]]


class Options(msgspec.Struct, frozen=True):
    """What the command line says."""

    config: Path | None
    overrides: Mapping[str, str]
    markets: int
    rate: float
    seed: int
    seconds: float | None
    plain: bool
    svg: Path | None


def demo(
    *,
    config: ConfigFile = None,
    override: Overrides = None,
    seconds: float | None = typer.Option(None, min=1, help="Stop after so long."),
    plain: bool = typer.Option(
        False, "--plain", help="A line a second and a summary; the default without a terminal."
    ),
    markets: int = typer.Option(20, min=1, max=2_000, help="Markets on each venue."),
    rate: float = typer.Option(200.0, min=1, help="Changes of books a second, over all markets."),
    seed: int = typer.Option(1, help="The same seed makes the same markets."),
    svg: Path | None = typer.Option(None, hidden=True, help="Draw the last table to this file."),
) -> None:
    """Show the feed at work against simulated venues.

    It needs no account, no network and no Docker.

    \b
    Examples:
      arbees-feed demo
      arbees-feed demo --plain --seconds 10
      arbees-feed demo --markets 200 --rate 2000 --set publish.depth=5
    """
    given = pairs(override)
    # Other people's environment must not change what the demo shows.
    load_settings(config, given, environ={}, venue_needed=False)
    plain = plain or not sys.stdout.isatty()
    options = Options(config, given, markets, rate, seed, seconds, plain, svg)
    quiet_log()
    run_until_stopped(lambda stop: _demo(options, stop))


async def _demo(options: Options, stop: asyncio.Event) -> None:
    if not options.plain:
        say("starting simulated venues and the feed …")
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="arbees-demo-")))
        # What a child that is killed leaves behind goes with our folder.
        environment = {**without_settings(), "TMPDIR": str(folder)}
        start = stack.enter_async_context
        arguments = _sim_arguments(options, folder)
        log = folder / "venues.log"
        venues = await start(child("the simulated venues", arguments, environment, log))
        told = await until(stop, venues.lines(SIM_LINES))
        if told is None:
            return
        addresses = dict(line.split("=", 1) for line in told)
        settings = load_settings(options.config, options.overrides, environ=addresses)
        arguments, log = _run_arguments(options), folder / "feed.log"
        feed = await start(child("the feed", arguments, {**environment, **addresses}, log))
        said = await until(stop, feed.lines(1 + settings.http.enabled))
        if said is None:
            return
        watching = _Watching(options, settings, dict(line.split(": ", 1) for line in said))
        await watching.run([venues, feed], stop)


def _sim_arguments(options: Options, folder: Path) -> list[str]:
    return [
        "sim",
        "--kalshi-port=0",
        "--polymarket-port=0",
        f"--markets={options.markets}",
        f"--rate={options.rate:g}",
        f"--seed={options.seed}",
        f"--key-file={folder / 'kalshi.pem'}",
    ]


def _run_arguments(options: Options) -> list[str]:
    settings = {
        "http.port": "0",
        "log.level": "warning",
        "log.format": "console",
        "kalshi.series": _BOOKS_OF,
        "polymarket.top": str(options.markets),
        **options.overrides,
    }
    config = [] if options.config is None else ["--config", str(options.config)]
    given = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    return ["run", "--embedded", *config, *given]


class _Watching:
    """The reader: follows all prices, and shows them until it is told to stop."""

    def __init__(self, options: Options, settings: Settings, addresses: Mapping[str, str]) -> None:
        self._options = options
        self._redis_url = addresses["redis"].strip()
        self._http_url = addresses.get("http", "").strip()
        self._board = Board(venues=settings.active_venues)
        redis = settings.redis.model_copy(update={"url": RedisUrl(self._redis_url)})
        self._reader = reader_of(redis, every=True)
        self._following = Following(redis, self._reader, self._board)

    async def run(self, children: Sequence[Child], stop: asyncio.Event) -> None:
        """Show until *stop* is set or the time is over, then sum up.

        Raises:
            FatalError: a venue gave nothing, or a process of ours has ended.
        """
        done = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            work: list[Coroutine[Any, Any, None]] = [*(running.ended() for running in children)]
            work += [self._following.run(), self._watch_server(), self._time(stop, done)]
            others = [group.create_task(each) for each in work]
            await self._show(done)
            for other in others:
                other.cancel()
        self._sum_up(stop)

    async def _watch_server(self, *, sleep: Sleep = asyncio.sleep) -> None:
        while True:
            await sleep(LAST_WORDS_S)
            if trouble := self._reader.trouble:
                # Most likely the feed has ended and took its server along; it knows better why.
                await sleep(LAST_WORDS_S)
                raise FatalError(f"the embedded server is gone: {trouble}")

    async def _time(self, stop: asyncio.Event, done: asyncio.Event) -> None:
        if self._options.seconds is None:
            await stop.wait()
        else:
            await stopped_within(stop, self._options.seconds)
        done.set()

    async def _show(self, done: asyncio.Event) -> None:
        if not self._options.plain:
            await show(done, self._board, self._draw)
            return
        lines = Lines(done)
        while not await stopped_within(done, 1.0):
            self._board.tick()
            lines.write(progress_line(self._board))
        lines.finish()

    def _draw(self, width: int, height: int) -> RenderableType:
        title = Text("arbees-feed demo", style="bold")
        title.append(
            f"  simulated venues, {self._board.elapsed_s():.0f} s, Ctrl-C ends",
            style="bright_black",
        )
        url = self._redis_url
        notes = [
            note(f"redis-cli -u {url} psubscribe 'market:*:price'", "blue"),
            note(f"find pairs: arbees-feed match run --set redis.url={url}", "blue"),
        ]
        if self._http_url:
            notes.append(note(f"status page and metrics: {self._http_url}", "blue"))
        return screen(self._board, title, notes, width, height)

    def _sum_up(self, stop: asyncio.Event) -> None:
        board = self._board
        for line in summary_lines(board):
            put(line)
        if self._options.svg is not None:
            self._save_svg(self._options.svg)
        silent = silent_venues(board)
        if silent and not stop.is_set():
            raise FatalError(f"{' and '.join(silent)} gave no price in {board.elapsed_s():.0f} s")

    def _save_svg(self, path: Path) -> None:
        with Path(os.devnull).open("w") as nowhere:
            console = Console(record=True, width=SVG_SIZE[0], height=SVG_SIZE[1], file=nowhere)
            console.print(self._draw(*SVG_SIZE))
        console.save_svg(str(path), title="arbees-feed demo")
