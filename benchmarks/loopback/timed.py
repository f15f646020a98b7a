"""A venue whose frames tell the time at which they are sent."""

import re
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection as Pipe
from typing import Any

from loopback import tapes
from loopback.tapes import DELTA, Frame, Tape
from loopback.venue import Venue, answer_calls

_TIME = re.compile(rb'"ts_ms":\d+')


class TimedVenue(Venue):
    """Kalshi, with the time of sending in every delta.

    A tape that is minutes old looks like a connection that lags: the daemon opens another one.
    """

    def __init__(self, tape: Tape) -> None:
        tape.frames = [
            (kind, market, _TIME.sub(b'"ts_ms":%d', body) if kind == DELTA else body)
            for kind, market, body in tape.frames
        ]
        super().__init__(tape)
        kind, market, body = self._mark
        self._mark = (kind, market, _TIME.sub(b'"ts_ms":%d', body))

    def _write(self, frames: Sequence[Frame]) -> None:
        now_ms = time.time_ns() // 1_000_000
        super()._write(
            [(kind, m, body % now_ms if kind == DELTA else body) for kind, m, body in frames]
        )


def serve(pipe: Pipe, tape: str, arguments: tuple[Any, ...]) -> None:
    """Run such a venue with a tape of this name."""
    answer_calls(pipe, TimedVenue(tapes.TAPES[tape](*arguments)))
