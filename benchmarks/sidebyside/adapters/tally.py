"""What the user's code does in every client: it counts, and tells when a play is over.

Nothing but the standard library: this runs in the environments of the clients.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

Job = SimpleNamespace
"""What to do: kind, for a script that does more than one thing; port and redis_port, of the venue
and of Redis; markets, the ids to follow; pairs, Polymarket's [YES token, NO token, condition];
mark, the market that changes last; key, a private key as PEM; timed, whether to note when events
came."""


class Tally:
    """The events of a play, told on standard output when the mark comes."""

    def __init__(self, mark: str, *, timed: bool) -> None:
        self._mark = mark
        self.count = 0
        self._times_ns: list[int] = []
        if timed:
            self.seen = self._timed  # type: ignore[method-assign]

    def seen(self, market: str) -> None:
        """Take an event of *market*."""
        if market == self._mark:
            self.tell()
        else:
            self.count += 1

    def _timed(self, market: str) -> None:
        if market == self._mark:
            self.tell()
        else:
            self._times_ns.append(time.monotonic_ns())
            self.count += 1

    def tell(self) -> None:
        """Say that the play is over, and what came of it."""
        told, self.count, self._times_ns = (self.count, self._times_ns), 0, []
        print(json.dumps({"events": told[0], "times_ns": told[1]}), flush=True)


def trouble(text: object) -> None:
    """Say what went wrong: a figure measured beside trouble is none."""
    print(f"trouble: {text}", file=sys.stderr, flush=True)


def give_up(text: object) -> None:
    """Say why the client can't go on, and end."""
    trouble(text)
    os._exit(1)


def run(work: Callable[[Job], Awaitable[Any]]) -> None:
    """Do the job that the command line names, on the fastest loop there is."""
    try:
        from uvloop import new_event_loop  # noqa: PLC0415 - not in every environment
    except ImportError:
        from asyncio import new_event_loop  # noqa: PLC0415
    job = Job(**json.loads(Path(sys.argv[1]).read_text()))
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(work(job))
