"""`arbees-feed run`: the daemon."""

import asyncio
import ctypes
import gc
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

import typer

from arbees_feed import log
from arbees_feed.app.daemon import Daemon, Running
from arbees_feed.cli.options import ConfigFile, Overrides, run_until_stopped, settings_from
from arbees_feed.errors import SettingsError
from arbees_feed.venues import VENUES

GC_THRESHOLDS = (50_000, 20, 50)
M_MMAP_THRESHOLD = -3
LARGE_BYTES = 1 << 20


def run(
    config: ConfigFile = None,
    override: Overrides = None,
    embedded: bool = typer.Option(
        False, "--embedded", help="Start a Redis-compatible server of our own; its URL is printed."
    ),
    venue: list[str] | None = typer.Option(
        None,
        "--venue",
        metavar="VENUE",
        help="Feed this venue and no other; may be repeated. A process for each uses more cores.",
    ),
) -> None:
    """Run the feed until SIGTERM or SIGINT.

    A second signal stops at once.

    \b
    Examples:
      arbees-feed run --embedded
      arbees-feed run --config config/feed.toml
      arbees-feed run --set redis.url=redis://10.0.0.5:6379/0 --set polymarket.top=500
      arbees-feed run --venue kalshi
    """
    given = {"redis.url": "embedded"} if embedded else {}
    settings = settings_from(config, override, {**given, **_only(venue)})
    log.set_up(settings.log)
    daemon = Daemon(settings)

    async def main(stop: asyncio.Event) -> None:
        await daemon.run(stop, partial(_ready, _announce if embedded else _stay_silent))

    _tune_memory()
    run_until_stopped(main)


def _only(venues: Sequence[str] | None) -> dict[str, str]:
    """Return the settings that feed these venues alone; all that are configured if none is named.

    Raises:
        SettingsError: there is no venue of that name.
    """
    for name in venues or ():
        if name not in VENUES:
            raise SettingsError(f"--venue: no venue {name!r}; there are {', '.join(VENUES)}")
    return {f"{name}.enabled": str(name in venues).lower() for name in VENUES} if venues else {}


def _tune_memory() -> None:
    """Collect seldom: what a frame makes has no cycles, and a full pass stalls every price.

    What is loaded by now lives as long as the process and need not be looked at again, not even now
    (70 ms of the start, for a few objects that could go). Large blocks
    go back to the system at once: glibc would otherwise raise its threshold after the first huge
    frame, and keep what it got.
    """
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    with suppress(OSError, AttributeError):  # another libc
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)


def _ready(announce: Callable[[Running], None], running: Running) -> None:
    gc.freeze()  # what was loaded since, as the settings wanted it, stays as well
    announce(running)


def _announce(running: Running) -> None:
    print(f"redis: {running.redis_url}", flush=True)
    if running.http_url:
        print(f"http:  {running.http_url}", flush=True)


def _stay_silent(_running: Running) -> None:
    pass
