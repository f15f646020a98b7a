"""The command line, `arbees-feed COMMAND`. Exit codes: 0 success, 2 settings or usage, 1 other."""

import gc
import os
import sys
from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from arbees_feed import __version__
from arbees_feed.cli.output import ReaderGone
from arbees_feed.errors import FeedError, SettingsError

_STYLE: Mapping[str, Any] = {
    "add_completion": False,
    "pretty_exceptions_enable": False,
    "rich_markup_mode": None,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}
_MODULES = {
    "run": "run",
    "demo": "demo",
    "check": "check",
    "watch": "watch",
    "top": "top",
    "markets": "markets",
    "pairs": "pairs",
    "match": "match",
    "explain": "explain",
    "sim": "sim",
    "record": "tape",
    "replay": "tape",
}
"""Where the function of each command is; it is named like the command."""


class _Commands(TyperGroup):
    """Imports a command when it is asked for: together they take half a second."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands."""
        del ctx
        return list(_MODULES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command, or None."""
        del ctx
        if cmd_name not in _MODULES:
            return None
        command = getattr(_loaded(_MODULES[cmd_name]), cmd_name)
        if isinstance(command, typer.Typer):  # it has commands of its own
            command.info.name = cmd_name
            return typer.main.get_command(command)
        single = typer.Typer(**_STYLE)
        single.command(cmd_name)(command)
        return typer.main.get_command(single)


def _loaded(module: str) -> ModuleType:
    gc.disable()  # importing makes nothing but what stays: there is nothing to collect
    try:
        return import_module(f"{__name__}.{module}")
    finally:
        # Makes it old at once: a first pass over so much that is new would take 25 ms.
        gc.freeze()
        gc.unfreeze()
        gc.enable()


app = typer.Typer(
    name="arbees-feed",
    cls=_Commands,
    help="Live prices of prediction markets (Kalshi, Polymarket) on Redis channels.",
    **_STYLE,
)

EXIT_FAILED = 1
EXIT_USAGE = 2


def _print_version(value: bool) -> None:
    if value:
        print(__version__)
        raise typer.Exit


@app.callback()
def _top(
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version."
    ),
) -> None:
    del version


def main() -> None:
    """Run the command that the arguments name, and end the process with its exit code."""
    bare = len(sys.argv) == 1
    gc.disable()  # until a command is loaded: what is made before stays
    try:
        code = app(["--help"] if bare else None, standalone_mode=False)
        code = EXIT_USAGE if bare else code
    except TyperException as exc:
        _complain(exc.format_message())
        code = EXIT_USAGE
    except SettingsError as exc:
        _complain(str(exc))
        code = EXIT_USAGE
    except FeedError as exc:
        _complain(str(exc))
        code = EXIT_FAILED
    except (typer.Abort, KeyboardInterrupt):
        code = EXIT_FAILED
    except ReaderGone:
        code = _reader_has_gone()
    finally:
        gc.enable()
    sys.exit(code or 0)


def _reader_has_gone() -> int:
    """The reader of our output has heard enough (`| head`): nothing is wrong."""
    # Python flushes stdout once more at the end, and would complain then.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _complain(text: str) -> None:
    print(f"arbees-feed: {' '.join(text.split())}", file=sys.stderr)
