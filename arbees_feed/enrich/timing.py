"""Clocks and waiting, handed to the services so that a test need not wait."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable

import msgspec


async def wait_for_event(event: asyncio.Event, timeout_s: float) -> None:
    """Return when *event* is set, or after *timeout_s* seconds."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await event.wait()


class Timing(msgspec.Struct, frozen=True):
    """What a service knows of time."""

    now: Callable[[], float] = time.time
    """Unix time in seconds, to ask a venue what changed since."""
    monotonic: Callable[[], float] = time.monotonic
    wait: Callable[[asyncio.Event, float], Awaitable[None]] = wait_for_event
    """Wait for the event, or so many seconds."""


REAL_TIME = Timing()
