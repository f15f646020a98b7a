"""Work in a thread that stands back: begun, ended, failed, held back."""

import asyncio
import os
import threading
from collections.abc import Sequence
from contextlib import suppress

import pytest
from support.tasks import ended

from arbees_feed.errors import RedisUnavailable
from arbees_feed.pairs.aside import Across, Aside, stand_back
from arbees_feed.pairs.judge import HeldBack, Told
from arbees_feed.pairs.ledger import Changes

NAME = "aside-test"
NOTHING = Told(Changes(), 0)
USUAL = os.sched_getscheduler(0) if hasattr(os, "SCHED_IDLE") else None


def may_stand_back() -> bool:
    """Tell whether this system lets a thread stand back, by one that tries."""
    found: list[int | None] = []

    def look() -> None:
        stand_back()
        found.append(os.sched_getscheduler(0) if USUAL is not None else None)

    trial = threading.Thread(target=look)
    trial.start()
    trial.join()
    return found != [USUAL]


MAY_STAND_BACK = may_stand_back()


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(NAME)]


class Keeper:
    """Notes in which thread it is told something."""

    def __init__(self, error: Exception | None = None) -> None:
        self.threads: list[int] = []
        self._error = error

    async def take(self, _told: Told) -> None:
        self.threads.append(threading.get_ident())
        if self._error is not None:
            raise self._error

    async def scanned(self, _told: Told, _unknown: Sequence[tuple[int, str]]) -> None:
        await self.take(_told)


@pytest.mark.skipif(not MAY_STAND_BACK, reason="no thread may stand back here")
async def test_the_work_stands_back_and_what_it_tells_does_not() -> None:
    keeper = Keeper()
    across = Across(keeper, asyncio.get_running_loop())
    policies: list[int] = []

    async def work() -> None:
        policies.append(os.sched_getscheduler(0))
        await across.take(NOTHING)
        await across.scanned(NOTHING, [])

    await Aside(NAME, work).run()
    assert policies == [os.SCHED_IDLE]
    assert keeper.threads == [threading.get_ident()] * 2
    assert os.sched_getscheduler(0) == USUAL
    assert threads() == []


async def test_an_error_of_the_keeper_comes_out_and_the_work_can_begin_anew() -> None:
    across = Across(Keeper(RedisUnavailable("gone")), asyncio.get_running_loop())
    aside = Aside(NAME, lambda: across.take(NOTHING))
    for _ in range(2):
        with pytest.raises(RedisUnavailable, match="gone"):
            await aside.run()
        assert threads() == []


@pytest.mark.skipif(not MAY_STAND_BACK, reason="no thread may stand back here")
async def test_work_that_is_held_back_begins_anew_in_a_thread_like_any_other() -> None:
    policies: list[int] = []

    async def work() -> None:
        policies.append(os.sched_getscheduler(0))
        if len(policies) == 1:
            raise HeldBack("3% of a processor")

    await Aside(NAME, work).run()
    assert policies == [os.SCHED_IDLE, USUAL]


async def begun(aside: Aside, started: threading.Event) -> "asyncio.Task[None]":
    task = asyncio.get_running_loop().create_task(aside.run())
    await asyncio.to_thread(started.wait, 30.0)
    assert started.is_set()
    return task


async def test_cancelled_it_ends_the_work_and_its_thread() -> None:
    started, cleaned = threading.Event(), threading.Event()

    async def work() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.set()

    task = await begun(Aside(NAME, work), started)
    await ended(task)
    assert cleaned.is_set()
    assert task.cancelled()
    assert threads() == []


async def test_cancelled_while_the_keeper_is_slow_nothing_hangs() -> None:
    """The work waits for us, and we for the work."""
    started = threading.Event()

    class Slow(Keeper):
        async def take(self, _told: Told) -> None:
            started.set()
            await asyncio.Event().wait()

    across = Across(Slow(), asyncio.get_running_loop())
    task = await begun(Aside(NAME, lambda: across.take(NOTHING)), started)
    await ended(task)
    assert threads() == []


async def test_work_that_swallows_a_cancellation_is_cancelled_again() -> None:
    started = threading.Event()

    async def work() -> None:
        started.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    task = await begun(Aside(NAME, work), started)
    task.cancel()
    async with asyncio.timeout(30):
        await asyncio.wait([task])
    assert threads() == []


async def test_cancelled_again_and_again_it_still_waits_for_its_thread() -> None:
    started, may_end = threading.Event(), threading.Event()

    async def work() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.to_thread(may_end.wait, 30.0)

    task = await begun(Aside(NAME, work), started)
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    assert not task.done()
    may_end.set()
    await ended(task)
    assert threads() == []


@pytest.mark.parametrize("why", [AttributeError("SCHED_IDLE"), PermissionError("no")])
async def test_where_no_thread_may_stand_back_it_works_all_the_same(
    why: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise why

    monkeypatch.setattr(os, "sched_setscheduler", refuse, raising=False)
    done: list[bool] = []

    async def work() -> None:
        done.append(True)

    await Aside(NAME, work).run()
    assert done == [True]
