"""The command line, `arbees-feed COMMAND`. Exit codes: 0 success, 2 settings or usage, 1 other."""

import sys

import typer
from typer.exceptions import TyperException

from arbees_feed import __version__
from arbees_feed.cli import check, demo, markets, run, sim, tape, watch
from arbees_feed.errors import FeedError, SettingsError

app = typer.Typer(
    name="arbees-feed",
    help="Live prices of prediction markets (Kalshi, Polymarket) on Redis channels.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run")(run.run)
app.command("demo")(demo.demo)
app.command("check")(check.check)
app.command("watch")(watch.watch)
app.command("markets")(markets.markets)
app.command("sim")(sim.sim)
app.command("record")(tape.record)
app.command("replay")(tape.replay)

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
    try:
        code = app(standalone_mode=False)
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
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): nothing is wrong.
        sys.stderr.close()
        code = 0
    sys.exit(code or 0)


def _complain(text: str) -> None:
    print(f"arbees-feed: {' '.join(text.split())}", file=sys.stderr)
