"""The venues that play in a contest: for longer than in a section of `speed.py`, and to anybody."""

import asyncio
import re
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection as Pipe
from typing import Any

from loopback import pairs, tapes, venue
from loopback.pairs import Pair, PairVenue
from loopback.processes import Bench, Remote
from loopback.tapes import DELTA, Frame, Tape
from loopback.venue import Venue, framed

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


def serve_timed(pipe: Pipe, tape: str, arguments: tuple[Any, ...]) -> None:
    """Run such a venue with a tape of this name."""
    venue.answer_calls(pipe, TimedVenue(tapes.TAPES[tape](*arguments)))


class BookEnding(PairVenue):
    """A play ends with the book of the market that does not change: every client hands that on."""

    def play(self, count: int, rate: float | None) -> list[tuple[str, int]]:
        """Send the next *count* frames flat out, then the book."""
        assert rate is None
        frames = self.tape.take(count)
        for begin in range(0, count, venue.BATCH):
            self._send(b"".join(framed(body) for _, _, body in frames[begin : begin + venue.BATCH]))
        self._send(framed(self._last_word))
        return []


def serve_pairs(pipe: Pipe, tape: Tape, last_word: bytes) -> None:
    """Run such a venue."""
    venue.answer_calls(pipe, BookEnding(tape, last_word))


class Session:
    """A session of the simulated venue, and the markets it is about; the last is the mark."""

    def __init__(self, run: Bench, frames: int) -> None:
        self._env = run.enter(pairs.simulated())
        self._tape: Tape
        self.markets: Sequence[Pair]
        self._tape, self.markets = asyncio.run(pairs.taken_down(self._env, frames))

    @property
    def mark(self) -> str:
        """The token of the market that changes last."""
        return self.markets[-1][0]

    @property
    def tokens(self) -> list[str]:
        """The YES tokens: the other book of a market is the same one, mirrored."""
        return [yes for yes, _, _ in self.markets]

    def for_peer(self, run: Bench) -> Remote:
        """Start a venue for a peer."""
        return run.remote(serve_pairs, self._tape, self._tape.opening[self.mark])

    def for_daemon(self, run: Bench) -> tuple[Remote, dict[str, str]]:
        """Start a venue for the daemon; return it, and the daemon's settings."""
        played = run.remote(pairs.serve, self._tape, pairs.trade_of(self.markets[-1]))
        return played, pairs.settings_of(played, self._env, self.markets)
