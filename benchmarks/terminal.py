"""Draws the pictures of `arbees-feed top` in docs/images, from a feed of simulated venues.

    python benchmarks/terminal.py [--seconds 90] [--into docs/images]

The screen is the real one: the same reader and the same drawing that the command has, read over
Redis from a feed in a process of its own. `top.svg` is what it shows after so many seconds,
`top-pairs.svg` its list of pairs, `top-small.svg` the markets in a terminal of 80 columns by 24
lines, `top-stale.svg` that one 5 s after the feed was killed. What it costs is measured by
terminal_cost.py.
"""

import argparse
import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from rich.console import Console

from arbees_feed.app.embedded import start_server
from arbees_feed.cli.children import Child, child
from arbees_feed.cli.toplines import Line, as_text
from arbees_feed.cli.topsession import REDRAW_S, Session
from arbees_feed.cli.topview import View
from arbees_feed.config import load_settings
from arbees_feed.config.environment import without_settings

ROOT = Path(__file__).parents[1]
LARGE, WIDE, SMALL = (120, 40), (120, 24), (80, 24)
MARKETS, RATE = 80, 1000
DEAD_S = 5.0
SETTLED_S = 5.0
"""Until a list that is just opened is in its order."""
LEVELS = 4
SIM_LINES = 7
SERIES = "KXNFLGAME,KXNBAGAME,KXNHLGAME,KXGOVCA,KXSB,KXPRESPARTY,KXU3"


def drawn(lines: Sequence[Line], size: tuple[int, int], path: Path) -> None:
    """Write a picture of a screen."""
    with Path(os.devnull).open("w") as nowhere:
        console = Console(record=True, width=size[0], height=size[1], file=nowhere)
        console.print(as_text(lines), end="")
    console.save_svg(str(path), title="arbees-feed top")


async def watched(session: Session, size: tuple[int, int], seconds: float) -> list[Line]:
    """Look for so long, as the command does, and return what it showed last."""
    ends_s = asyncio.get_running_loop().time() + seconds
    lines: list[Line] = []
    while asyncio.get_running_loop().time() < ends_s:
        session.tick()
        lines = session.lines(*size, keys=True)
        await asyncio.sleep(REDRAW_S)
    return lines


def is_telling(session: Session) -> bool:
    """Whether the market in depth has a few levels on both sides."""
    market = session.state.market(session.view.selected() or "")
    price = session.state.believed(market) if market else None
    book = session.state.depth(price) if price else None
    return book is not None and min(len(book.bids), len(book.asks)) >= LEVELS


@asynccontextmanager
async def everything(url: str, folder: Path) -> AsyncIterator[Child]:
    """Run simulated venues, a matcher, and a feed, which is yielded."""
    async with AsyncExitStack() as stack:
        start = stack.enter_async_context
        arguments = ["sim", "--kalshi-port=0", "--polymarket-port=0", f"--markets={MARKETS}"]
        arguments += [f"--rate={RATE}", f"--key-file={folder / 'kalshi.pem'}"]
        venues = await start(child("sim", arguments, without_settings(), folder / "sim.log"))
        addresses = dict(line.split("=", 1) for line in await venues.lines(SIM_LINES))
        redis = f"--set=redis.url={url}"
        arguments = ["run", "--set=http.port=0", "--set=publish.depth=10", "--set=log.level=error"]
        arguments += [redis, f"--set=polymarket.top={MARKETS}", f"--set=kalshi.series={SERIES}"]
        environment = {**without_settings(), **addresses}
        feed = await start(child("run", arguments, environment, folder / "run.log"))
        arguments = ["match", "run", redis]
        await start(child("match", arguments, without_settings(), folder / "match.log"))
        yield feed


async def draw(seconds: float, into: Path) -> None:
    """Start everything, look, kill the feed, look again."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="arbees-top-")))
        server = start_server(None)
        stack.callback(server.stop)
        url = f"redis://127.0.0.1:{server.port}/0"
        feed = await stack.enter_async_context(everything(url, folder))
        settings = load_settings(None, {"redis.url": url}, environ={}, venue_needed=False)
        session = Session(settings, View())
        async with asyncio.TaskGroup() as group:
            following = group.create_task(session.follow())
            lines = await watched(session, LARGE, seconds)
            view = session.view
            while not is_telling(session):
                view.press("down")  # to a market with a book that is worth a picture
                lines = await watched(session, LARGE, 1.0)
            drawn(lines, LARGE, into / "top.svg")
            drawn(await watched(session, SMALL, 1.0), SMALL, into / "top-small.svg")
            view.press("p")
            drawn(await watched(session, WIDE, SETTLED_S), WIDE, into / "top-pairs.svg")
            view.press("p")
            feed.kill()
            drawn(await watched(session, SMALL, DEAD_S), SMALL, into / "top-stale.svg")
            following.cancel()


def main() -> None:
    """Read the command line and draw."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=90.0, help="before the picture is taken")
    parser.add_argument("--into", type=Path, default=ROOT / "docs" / "images")
    arguments = parser.parse_args()
    asyncio.run(draw(arguments.seconds, arguments.into))


if __name__ == "__main__":
    main()
