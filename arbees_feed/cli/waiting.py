"""Waiting that a stop cuts short."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def until(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """Return what *work* returns, or None once *stop* is set: it is then cancelled.

    Raises:
        ExceptionGroup: what *work* raised.
    """
    async with asyncio.TaskGroup() as group:
        task = group.create_task(work)
        stopper = group.create_task(_cancel_when(stop, task))
        task.add_done_callback(lambda _: stopper.cancel())
    return None if task.cancelled() else task.result()


async def _cancel_when(stop: asyncio.Event, task: asyncio.Task[Any]) -> None:
    await stop.wait()
    task.cancel()


async def stopped_within(stop: asyncio.Event, seconds: float) -> bool:
    """Wait for *stop*, but not longer than *seconds*; return whether it is set."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return False
    return True
