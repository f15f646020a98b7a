"""Lines on stdout that a script reads: written at once, and no fuss when it has heard enough.

What comes from a venue, or from Redis, must not act on the terminal: characters that cannot be seen
are written out as JSON writes them, so that lines of JSON keep their meaning.
"""

import asyncio
import sys

from arbees_feed.core.text import escaped


class ReaderGone(Exception):
    """Whoever read our output has heard enough, as in `| head`: nothing is wrong."""


def put(line: str) -> None:
    """Print a line on stdout at once.

    Raises:
        ReaderGone: nobody reads.
    """
    try:
        print(escaped(line, keep="\t"), flush=True)
    except BrokenPipeError:
        # Left to itself, click would make an error of it.
        raise ReaderGone from None


class Lines:
    """Prints lines; sets *stop* when nobody reads them any more, or *count* were printed."""

    def __init__(self, stop: asyncio.Event, count: int | None = None) -> None:
        self.broken = False
        self._stop = stop
        self._left = count

    def write(self, line: str) -> None:
        """Print a line, unless enough were printed."""
        if self._stop.is_set():
            return
        try:
            put(line)
        except ReaderGone:
            self.broken = True
            self._stop.set()
            return
        if self._left is not None:
            self._left -= 1
            if self._left <= 0:
                self._stop.set()

    def finish(self) -> None:
        """Tell whoever called us that the reader of our output has gone.

        Raises:
            ReaderGone: it has.
        """
        if self.broken:
            raise ReaderGone


def say(text: str) -> None:
    """Print one line on stderr, for the person at the terminal."""
    print(f"arbees-feed: {escaped(' '.join(text.split()))}", file=sys.stderr, flush=True)
