"""The supervisor: what is tried again and when, what ends, and that each fails alone."""

import asyncio
from collections.abc import Callable, Iterator, Sequence

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from arbees_feed.core.backoff import Backoff
from arbees_feed.errors import (
    AuthenticationRejected,
    ConnectionLost,
    ProtocolViolation,
    RequestFailed,
)
from arbees_feed.supervisor import Policy, Service, Supervisor, keep_running

HALF = Policy(backoff=Backoff(first_s=1.0, factor=2.0, cap_s=8.0), healthy_after_s=30.0)


class Clock:
    """A clock that sleeping moves on."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now_s

    async def sleep(self, delay_s: float) -> None:
        self.slept.append(delay_s)
        self.now_s += delay_s
        await asyncio.sleep(0)


class Scripted:
    """A service whose runs end as told; a number first lets so many seconds pass."""

    def __init__(self, clock: Clock, *ends: tuple[float, BaseException | None]) -> None:
        self.name = "scripted"
        self.runs = 0
        self.finished = asyncio.Event()
        self._clock = clock
        self._ends: Iterator[tuple[float, BaseException | None]] = iter(ends)

    async def run(self) -> None:
        self.runs += 1
        lasts_s, error = next(self._ends, (0.0, None))
        self._clock.now_s += lasts_s
        if error is not None:
            raise error
        self.finished.set()


class Waiting:
    """A service that runs until it is cancelled, then does what it was told."""

    def __init__(self, name: str, farewell: Callable[[], None] = lambda: None) -> None:
        self.name = name
        self.started = asyncio.Event()
        self.stopped = False
        self.task_name = ""
        self._farewell = farewell

    async def run(self) -> None:
        task = asyncio.current_task()
        self.task_name = task.get_name() if task else ""
        self.started.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.stopped = True
            self._farewell()


async def kept(
    service: Service, clock: Clock, policy: Policy = HALF
) -> tuple[list[tuple[str, str, float]], list[EventDict]]:
    """Keep *service* running to its end; return the failures told and the lines logged."""
    failures: list[tuple[str, str, float]] = []

    def on_failure(name: str, error: Exception, delay_s: float) -> None:
        failures.append((name, type(error).__name__, delay_s))

    with capture_logs() as logs:
        await keep_running(
            service,
            policy=policy,
            on_failure=on_failure,
            sleep=clock.sleep,
            rand=lambda: 0.5,
            monotonic=clock,
        )
    return failures, logs


def failing(*errors: BaseException) -> list[tuple[float, BaseException | None]]:
    return [(0.0, error) for error in errors]


async def test_a_service_that_returns_is_finished() -> None:
    clock = Clock()
    service = Scripted(clock)
    assert await kept(service, clock) == ([], [])
    assert service.runs == 1


async def test_retryable_errors_are_tried_again_after_growing_delays_under_a_cap() -> None:
    clock = Clock()
    service = Scripted(clock, *failing(*(ConnectionLost("gone") for _ in range(6))))
    failures, logs = await kept(service, clock)
    assert clock.slept == [0.5, 1.0, 2.0, 4.0, 4.0, 4.0]
    assert failures[0] == ("scripted", "ConnectionLost", 0.5)
    assert {line["log_level"] for line in logs} == {"warning"}
    assert logs[0]["error"] == "gone"
    assert "exc_info" not in logs[0]


async def test_only_a_healthy_run_earns_the_first_delay_back() -> None:
    clock = Clock()
    lost = ConnectionLost("gone")
    service = Scripted(clock, (0, lost), (29, lost), (31, lost), (0, lost))
    await kept(service, clock)
    assert clock.slept == [0.5, 1.0, 0.5, 1.0]


async def test_a_service_that_says_it_was_useless_does_not_earn_it_back() -> None:
    class Useless(Scripted):
        def healthy(self) -> bool:
            return False

    clock = Clock()
    await kept(Useless(clock, (60, ConnectionLost("a")), (60, ConnectionLost("b"))), clock)
    assert clock.slept == [0.5, 1.0]


@pytest.mark.parametrize(("told_s", "waited_s"), [(40.0, 40.5), (-5.0, 0.5), (1e9, 900.5)])
async def test_retry_after_is_honoured_with_jitter_on_top(told_s: float, waited_s: float) -> None:
    clock = Clock()
    error = RequestFailed("slow down", status=429, retry_after_s=told_s)
    await kept(Scripted(clock, (0, error)), clock)
    assert clock.slept == [waited_s]


async def test_fatal_errors_are_loud_and_retried_slowly() -> None:
    """Half to one and a half minutes: a person may have repaired the key."""
    clock = Clock()
    service = Scripted(
        clock, *failing(AuthenticationRejected("401"), AuthenticationRejected("401"))
    )
    failures, logs = await kept(service, clock)
    assert clock.slept == [60.0, 60.0]
    assert [line["log_level"] for line in logs] == ["error", "error"]
    assert logs[0]["cause"] == "AuthenticationRejected"
    assert "exc_info" not in logs[0]
    assert len(failures) == 2


async def test_a_bug_is_logged_with_its_traceback_and_retried() -> None:
    clock = Clock()
    bug = KeyError("oops")
    failures, logs = await kept(Scripted(clock, (0, bug)), clock)
    assert (logs[0]["log_level"], logs[0]["exc_info"]) == ("error", bug)
    assert failures == [("scripted", "KeyError", 0.5)]


@pytest.mark.parametrize(
    ("errors", "cause"),
    [
        ([ConnectionLost("a"), ProtocolViolation("b", retry_after_s=7)], "ProtocolViolation"),
        ([ConnectionLost("a"), AuthenticationRejected("b")], "AuthenticationRejected"),
        ([AuthenticationRejected("b"), ValueError("c")], "ValueError"),
        ([ExceptionGroup("inner", [ConnectionLost("a")])], "ConnectionLost"),
    ],
)
async def test_a_group_of_errors_counts_as_its_gravest(
    errors: Sequence[Exception], cause: str
) -> None:
    clock = Clock()
    failures, _ = await kept(Scripted(clock, (0, ExceptionGroup("tasks", errors))), clock)
    assert [name for _, name, _ in failures] == [cause]


async def test_a_cancellation_from_within_does_not_end_the_service_in_silence() -> None:
    clock = Clock()
    service = Scripted(clock, (0, asyncio.CancelledError()))
    failures, _ = await kept(service, clock)
    assert service.runs == 2
    assert [name for _, name, _ in failures] == ["RuntimeError"]


async def test_a_timeout_inside_the_service_is_its_own_failure() -> None:
    class Slow:
        name = "slow"
        runs = 0

        async def run(self) -> None:
            self.runs += 1
            if self.runs == 1:
                async with asyncio.timeout(0):
                    await asyncio.Event().wait()

    failures, _ = await kept(Slow(), Clock())
    assert [name for _, name, _ in failures] == ["TimeoutError"]


async def test_stop_cancels_all_services_and_waits_for_them() -> None:
    services = [Waiting("one"), Waiting("two")]
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(Supervisor().run(services, stop))
        for service in services:
            await service.started.wait()
        assert not running.done()
        stop.set()
    assert all(service.stopped for service in services)
    assert [service.task_name for service in services] == ["one", "two"]


async def test_cancelling_the_supervisor_cancels_its_services() -> None:
    service = Waiting("one")
    running = asyncio.ensure_future(Supervisor().run([service], asyncio.Event()))
    await service.started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert service.stopped


async def test_a_service_that_fails_to_stop_cleanly_is_not_restarted() -> None:
    def fail() -> None:
        raise ConnectionLost("while closing")

    service, stop = Waiting("one", fail), asyncio.Event()
    supervisor = Supervisor()
    with capture_logs() as logs:
        async with asyncio.TaskGroup() as group:
            group.create_task(supervisor.run([service], stop))
            await service.started.wait()
            stop.set()
    assert supervisor.restarts == {}
    assert [line["event"] for line in logs] == ["service failed while stopping"]


async def test_stop_interrupts_the_wait_before_a_restart() -> None:
    waiting, stop = asyncio.Event(), asyncio.Event()

    async def sleep(_delay_s: float) -> None:
        waiting.set()
        await asyncio.Event().wait()

    supervisor = Supervisor(sleep=sleep)
    service = Scripted(Clock(), (0, ConnectionLost("gone")))
    async with asyncio.TaskGroup() as group:
        group.create_task(supervisor.run([service], stop))
        await waiting.wait()
        stop.set()
    assert service.runs == 1


async def test_each_service_fails_alone_and_restarts_are_counted_by_cause() -> None:
    clock, steady, stop = Clock(), Waiting("steady"), asyncio.Event()
    errors = failing(ConnectionLost("a"), ConnectionLost("b"), AuthenticationRejected("c"))
    shaky = Scripted(clock, *errors, (0, KeyError("d")))
    told: list[str] = []
    supervisor = Supervisor(
        HALF,
        on_failure=lambda name, *_: told.append(name),
        sleep=clock.sleep,
        rand=lambda: 0.5,
        monotonic=clock,
    )
    async with asyncio.TaskGroup() as group:
        running = group.create_task(supervisor.run([steady, shaky], stop))
        await shaky.finished.wait()
        assert not running.done()
        assert not steady.stopped
        stop.set()
    assert supervisor.restarts == {
        ("scripted", "ConnectionLost"): 2,
        ("scripted", "AuthenticationRejected"): 1,
        ("scripted", "KeyError"): 1,
    }
    assert told == ["scripted"] * 4


async def test_the_supervisor_ends_when_every_service_has_finished() -> None:
    clock = Clock()
    async with asyncio.timeout(5):
        await Supervisor().run([Scripted(clock), Scripted(clock)], asyncio.Event())
