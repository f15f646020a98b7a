"""A live screen in the terminal, redrawn a few times a second until it is told to stop.

Laying a screen out takes 20 ms. That is done in a thread, and threads take turns often, so that
the latencies which the screen shows are not those of the screen.
"""

import asyncio
import sys
from collections.abc import Callable
from typing import Protocol

from rich.console import Console, RenderableType
from rich.live import Live

from arbees_feed.cli.waiting import stopped_within

REDRAW_S = 0.25
TURN_S = 0.0002

Draw = Callable[[int, int], RenderableType]
"""(width, height) -> what fills the terminal."""


class Ticking(Protocol):
    """What keeps averages."""

    def tick(self) -> None:
        """Keep the averages; called several times a second."""


async def show(
    stop: asyncio.Event, board: Ticking, draw: Draw, console: Console | None = None
) -> None:
    """Show the screen until *stop* is set; the terminal is then as it was before."""
    console = console or Console()
    sys.setswitchinterval(TURN_S)
    with Live(console=console, screen=True, auto_refresh=False, vertical_overflow="crop") as live:
        while True:
            board.tick()
            drawn = draw(*console.size)
            await asyncio.to_thread(live.update, drawn, refresh=True)
            if await stopped_within(stop, REDRAW_S):
                return
