"""Work that can wait, beside work that can't: on a loop of its own, in a thread that stands back.

Judging 150,000 markets takes half a minute of a core, while this process has prices of pairs to
tell, and the feed beside it prices of markets. At the usual priority, what wakes up for a price
waits for whoever computes: with two cores the slowest hundredth of the feed's prices came two to
three times as late. Under Linux a thread may ask to run only where nobody else wants to
(SCHED_IDLE), and needs no permission for it. That counts among processes of one session or control
group. Between those, as between containers, what helps is to give the processor away often, for as
short as it gets (`Pace.rest`). SCHED_IDLE can't be taken back, so a thread that gets too little
gives way to one that has not asked, and does not rest.

While the thread holds Python's lock, prices of pairs wait for it: 5 ms, where nobody else computes.

Rejected: nice and SCHED_BATCH (no effect on who is woken first); SCHED_IDLE for the whole process
(prices of pairs would wait as well, and the way back needs a permission); rests after 2 ms of work
(who has slept is served first, and then for long).
"""

import asyncio
import ctypes
import os
import platform
import struct
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final

import structlog

from arbees_feed.pairs.judge import HeldBack, Keeper, Told

_log = structlog.get_logger("arbees_feed.pairs")

_Begun = Future[tuple[asyncio.AbstractEventLoop, "asyncio.Task[None]"]]
"""The loop and the task in a thread, once they are there."""

CANCEL_AGAIN_S: Final = 0.2

# Linux only. A thread that asks for long turns (sched(7): runtime of SCHED_OTHER, since Linux 6.12)
# is interrupted by whoever wakes up and wants a shorter one. Python has no call for it.
_SCHED_SETATTR: Final = {"x86_64": 314, "aarch64": 274}
_LONG_TURNS: Final = struct.pack("=IIQiIQQQ", 48, 0, 0, 0, 0, 100_000_000, 0, 0)
"""struct sched_attr: size, policy, flags, nice, priority, runtime in ns, deadline, period."""


def stand_back() -> None:
    """Let the calling thread run only where nobody else wants to, where the system knows that.

    What a system does not know, or does not allow, is left out.
    """
    with suppress(AttributeError, OSError):
        if number := _SCHED_SETATTR.get(platform.machine()):
            ctypes.CDLL(None).syscall(number, 0, _LONG_TURNS, 0)
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


class Across:
    """The keeper, called from another thread than its own."""

    def __init__(self, keeper: Keeper, loop: asyncio.AbstractEventLoop) -> None:
        self._keeper = keeper
        self._loop = loop

    async def take(self, told: Told) -> None:
        """Take what has changed."""
        await self._over_there(self._keeper.take(told))

    async def scanned(self, told: Told, unknown: Sequence[tuple[int, str]]) -> None:
        """All metadata was looked at."""
        await self._over_there(self._keeper.scanned(told, unknown))

    async def _over_there(self, work: Coroutine[Any, Any, None]) -> None:
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))


class Aside:
    """Runs a service in a thread that stands back; itself a service."""

    def __init__(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """*work* is begun anew at each run, on a loop of its own."""
        self.name = name
        self._work = work
        self._stands_back = True

    async def run(self) -> None:
        """Work until it ends or is cancelled.

        Raises:
            FeedError: what the work raises.
        """
        while True:
            try:
                await self._in_thread()
                return
            except HeldBack as exc:
                self._stands_back = False
                _log.warning(
                    "matching does not stand back any more: it had too little", had=str(exc)
                )

    async def _in_thread(self) -> None:
        loop = asyncio.get_running_loop()
        begun: _Begun = Future()
        first = stand_back if self._stands_back else None
        with ThreadPoolExecutor(1, thread_name_prefix=self.name, initializer=first) as pool:
            life = loop.run_in_executor(pool, asyncio.run, self._live(begun))
            try:
                await asyncio.shield(life)
            except asyncio.CancelledError:
                await _ended(life, begun)
                raise

    async def _live(self, begun: _Begun) -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine that runs has one
        begun.set_result((loop, task))
        with suppress(asyncio.CancelledError):
            await self._work()


async def _ended(life: "asyncio.Future[None]", begun: _Begun) -> None:
    """Cancel what goes on in the thread, and wait for its end, however often we are cancelled.

    Again and again, as on Python 3.11 `asyncio.wait_for` (and with it redis-py) may swallow it.
    """
    while not life.done():
        if begun.done():
            loop, task = begun.result()
            with suppress(RuntimeError):  # closed: it has ended by itself
                loop.call_soon_threadsafe(task.cancel)
        with suppress(asyncio.CancelledError):
            await asyncio.wait([life], timeout=CANCEL_AGAIN_S)
    life.exception()  # looked at: what goes wrong at the end is of no consequence
