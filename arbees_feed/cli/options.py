"""Options that commands share, and how a command gets its settings and its event loop."""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from arbees_feed.config import Settings, load_settings
from arbees_feed.errors import SettingsError

try:
    from uvloop import new_event_loop
except ImportError:  # no uvloop on this platform: asyncio's own loop serves
    new_event_loop = asyncio.new_event_loop

T = TypeVar("T")

FORCE_EXIT_AFTER_S = 1.0

ConfigFile = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="Settings in TOML.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="One setting, as in redis.url=embedded; may be repeated."
    ),
]


def settings_from(
    config: Path | None, overrides: Sequence[str] | None, extra: Mapping[str, str] | None = None
) -> Settings:
    """Load the settings of a command.

    Raises:
        SettingsError: one of them is wrong; the message names it.
    """
    given: dict[str, str] = {}
    for text in overrides or ():
        key, equals, value = text.partition("=")
        if not equals:
            raise SettingsError(f"--set {text}: write KEY=VALUE")
        given[key.strip()] = value
    return load_settings(config, {**given, **(extra or {})})


def run_until_stopped(main: Callable[[asyncio.Event], Coroutine[Any, Any, T]]) -> T:
    """Run *main* with an event that SIGTERM and SIGINT set; a second signal stops at once."""

    async def guarded() -> T:
        stop = asyncio.Event()
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - we are in one
        loop = asyncio.get_running_loop()

        def on_signal() -> None:
            if not stop.is_set():
                stop.set()
                return
            # Children (an embedded server) get a moment to go with us; nothing else does.
            loop.call_later(FORCE_EXIT_AFTER_S, os._exit, 1)
            task.cancel()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, on_signal)
        return await main(stop)

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        try:
            return runner.run(guarded())
        except asyncio.CancelledError:
            raise SystemExit(1) from None
