"""Options that commands share, and how a command gets its settings and its event loop."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from arbees_feed.config import LogSettings, Settings, load_settings
from arbees_feed.errors import SettingsError
from arbees_feed.log import set_up

T = TypeVar("T")
new_event_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
with contextlib.suppress(ImportError):  # no uvloop on Windows: asyncio's own loop serves
    from uvloop import new_event_loop

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
    config: Path | None,
    overrides: Sequence[str] | None,
    extra: Mapping[str, str] | None = None,
    *,
    venue_needed: bool = True,
) -> Settings:
    """Load the settings of a command.

    Raises:
        SettingsError: one of them is wrong; the message names it.
    """
    given = {**pairs(overrides), **(extra or {})}
    return load_settings(config, given, venue_needed=venue_needed)


def pairs(overrides: Sequence[str] | None) -> dict[str, str]:
    """Read the values of `--set`; of a key given twice, the last holds.

    Raises:
        SettingsError: one of them is not KEY=VALUE.
    """
    given: dict[str, str] = {}
    for text in overrides or ():
        key, equals, value = text.partition("=")
        if not equals:
            raise SettingsError("--set: write KEY=VALUE, as in --set redis.key_prefix=test:")
        given[key.strip()] = value
    return given


def quiet_log() -> None:
    """Send what other parts log to stderr, if it is an error: a reader speaks for itself."""
    set_up(LogSettings(level="error", format="console"))


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
        except BaseExceptionGroup as group:
            # A TaskGroup wraps what ended it; one line on stderr needs the error itself.
            raise _first_of(group) from group


def _first_of(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
