"""Waiting for time to pass: timers, beats, delays."""

import asyncio
from collections.abc import Callable
from itertools import count

SOON_S = 0.1


class Timers:
    """Calls that are due later."""

    def __init__(self) -> None:
        self._ids = count()
        self._pending: dict[int, tuple[float, asyncio.TimerHandle]] = {}
        self._progress = asyncio.Event()

    def later(self, delay_s: float, act: Callable[[], None]) -> None:
        """Call *act* after a delay."""
        loop = asyncio.get_running_loop()
        ident = next(self._ids)
        handle = loop.call_later(delay_s, self._fire, ident, act)
        self._pending[ident] = (loop.time() + delay_s, handle)

    async def soon_done(self) -> None:
        """Wait for the calls that are due within a tenth of a second."""
        horizon = asyncio.get_running_loop().time() + SOON_S
        while any(due <= horizon for due, _ in self._pending.values()):
            self._progress.clear()
            await self._progress.wait()

    def cancel(self) -> None:
        """Forget all calls."""
        for _, handle in self._pending.values():
            handle.cancel()
        self._pending.clear()

    def _fire(self, ident: int, act: Callable[[], None]) -> None:
        del self._pending[ident]
        act()
        self._progress.set()


async def every(interval_s: float, act: Callable[[], None]) -> None:
    """Call *act* again and again."""
    while True:
        await asyncio.sleep(interval_s)
        act()


async def delay(seconds: float) -> None:
    """Hold a request back."""
    await asyncio.sleep(seconds)
