"""`arbees-feed top`: venues, rates, lag, losses and markets on one screen, live."""

import asyncio
import shutil
from collections.abc import Callable, Iterable, Iterator

import typer
from rich.console import Console

from arbees_feed.cli.options import (
    ConfigFile,
    Overrides,
    quiet_log,
    run_until_stopped,
    settings_from,
)
from arbees_feed.cli.output import Lines
from arbees_feed.cli.prices import reachable
from arbees_feed.cli.toplines import as_plain
from arbees_feed.cli.toplist import Sort
from arbees_feed.cli.topsession import Keyboard, Session
from arbees_feed.cli.topterminal import Terminal
from arbees_feed.cli.topview import View
from arbees_feed.cli.waiting import stopped_within
from arbees_feed.config import Settings
from arbees_feed.errors import RedisUnavailable

PLAIN_SIZE = (100, 30)
LOOK_S = 0.1
ROWS = 10
PATIENCE_S = 3
"""So many seconds of listening are enough, whatever is still missing."""


def top(
    text: list[str] | None = typer.Argument(
        None, metavar="TEXT", help="Words to search for, as in `arbees-feed markets`."
    ),
    config: ConfigFile = None,
    override: Overrides = None,
    plain: bool = typer.Option(
        False, "--plain", help="A screen of text a second; the default without a terminal."
    ),
    json: bool = typer.Option(False, "--json", help="One JSON object a second."),
    once: bool = typer.Option(False, "--once", help="Once, after two seconds of listening."),
    *,
    sort: Sort = typer.Option(Sort.BUSIEST, "--sort", help="What stands first."),
    pairs: bool = typer.Option(False, "--pairs", help="Pairs of two venues instead of markets."),
    rows: int = typer.Option(ROWS, min=0, help="Markets, or pairs, in a JSON object."),
) -> None:
    """Show venues, rates, lag, losses and markets on one screen.

    It reads Redis and nothing else. Keys: arrows choose a market, enter shows its depth, / searches
    as you type, s sorts, p shows pairs (see `arbees-feed match run`), ? explains, q quits. A price
    that nobody vouches for is STALE.

    \b
    Examples:
      arbees-feed top
      arbees-feed top kansas city
      arbees-feed top --once --sort widest
      arbees-feed top --pairs
      arbees-feed top --json | jq -c '.venues[] | [.venue, .state, .prices_per_s]'
    """
    settings = settings_from(config, override, venue_needed=False)
    quiet_log()
    view = View(sort, " ".join(text or ()), shows_pairs=pairs)
    console = Console()
    if json or plain or once or not console.is_terminal or console.is_dumb_terminal:
        form = _json_lines(rows) if json else _plain_lines
        run_until_stopped(lambda stop: _print(settings, view, form, once, stop))
    else:
        run_until_stopped(lambda stop: _show(settings, view, console, stop))


# -- for scripts -----------------------------------------------------------------------------------

Form = Callable[[Session], Iterable[str]]


async def _print(
    settings: Settings, view: View, form: Form, once: bool, stop: asyncio.Event
) -> None:
    lines = Lines(stop)
    async with reachable(settings.redis):
        session = Session(settings, view)
    async with asyncio.TaskGroup() as group:
        following = group.create_task(session.follow())
        await _tell(session, form, lines, once, stop)
        following.cancel()
    lines.finish()


async def _tell(
    session: Session, form: Form, lines: Lines, once: bool, stop: asyncio.Event
) -> None:
    """Print once a second, or once.

    Raises:
        RedisUnavailable: it was to be once, and nothing can be heard.
    """
    told = 0
    while not await stopped_within(stop, LOOK_S):
        session.tick()
        heard_s = session.state.warm_s
        if heard_s == told:
            continue
        told = heard_s
        session.relist()
        drawn = list(form(session))  # drawing asks for titles: they are there the next time
        if not session.is_warm() or (once and not session.is_titled() and told < PATIENCE_S):
            continue
        if once and session.state.trouble is not None:
            raise RedisUnavailable(f"redis: {session.state.trouble}")
        for line in drawn:
            lines.write(line)
        if once:
            return


def _plain_lines(session: Session) -> Iterator[str]:
    """Yield a screen of text, as wide and as long as COLUMNS and LINES say."""
    width, height = shutil.get_terminal_size(PLAIN_SIZE)
    drawn = [as_plain(line) for line in session.lines(width, height, keys=False)]
    while drawn and not drawn[-1]:
        drawn.pop()
    yield from drawn
    yield ""


def _json_lines(rows: int) -> Form:
    return lambda session: [session.report(rows)]


# -- for people ------------------------------------------------------------------------------------


async def _show(settings: Settings, view: View, console: Console, stop: asyncio.Event) -> None:
    async with reachable(settings.redis):
        session = Session(settings, view)
    wake = asyncio.Event()
    keyboard = Keyboard(view, wake)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(session.follow()), group.create_task(_wake(stop, wake))]
        with Terminal(console, keyboard.typed, wake.set) as terminal:
            await session.show(terminal, keyboard, wake, stop)
        for task in tasks:
            task.cancel()


async def _wake(stop: asyncio.Event, wake: asyncio.Event) -> None:
    await stop.wait()
    wake.set()
