"""The venues that play in a contest: for longer than in a section of `speed.py`, and to anybody."""

import asyncio
from collections.abc import Sequence
from multiprocessing.connection import Connection as Pipe

from loopback import pairs, venue
from loopback.pairs import Pair, PairVenue
from loopback.processes import Bench, Remote
from loopback.tapes import Tape
from loopback.venue import framed


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
