"""A connection to Redis, as the publisher sees it."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

Refusal = tuple[int, str]
"""(which of these replies, counted from 0; its text) of an error reply."""


class Pipe(Protocol):
    """An open connection that takes commands and counts their replies."""

    server_id: str
    """The same as long as the server has what was written to it; empty if nobody can tell."""
    paused: bool

    def write(self, data: bytes) -> None:
        """Hand bytes to the socket; never waits."""

    def abort(self, reason: str) -> None:
        """Give the connection up; `lost` then raises."""

    async def lost(self) -> None:
        """Wait for the end of the connection and raise RedisUnavailable."""


class PipeOwner(Protocol):
    """Who hears of replies."""

    def replies(self, count: int, errors: Sequence[Refusal]) -> None:
        """Take the next *count* replies in order, and which of them are errors."""

    def resumed(self) -> None:
        """The socket takes bytes again."""


Dial = Callable[[PipeOwner], AbstractAsyncContextManager[Pipe]]
