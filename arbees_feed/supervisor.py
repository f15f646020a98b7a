"""Run services, restart each alone: the one retry loop, and the one place that catches everything.

A service that fails never takes another with it. What happens to it depends on the class of its
error (see errors.py):

- RetryableError: again after a backoff with jitter, or when the peer has said (Retry-After);
- FatalError: said loudly, and tried again slowly, because a person may repair a key meanwhile;
- anything else is a bug: its traceback is logged, and the service begins anew like the first.
"""

import asyncio
import random
import time
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Protocol, runtime_checkable

import msgspec
import structlog

from arbees_feed.core.backoff import Backoff
from arbees_feed.errors import FatalError, FeedError, RedisUnavailable, RetryableError

_log = structlog.get_logger("arbees_feed.supervisor")


CANCEL_AGAIN_S = 0.5
SAY_AGAIN_S = 30.0
"""The same failure of a service is logged once in so long; each is counted."""


class Service(Protocol):
    """Something that runs until it fails, ends or is cancelled; `run` may be called again."""

    @property
    def name(self) -> str:
        """The name in logs, metrics and of its task."""

    async def run(self) -> None:
        """Do the work; returning means that it is done for good."""


@runtime_checkable
class ReportsHealth(Protocol):
    """A service that knows better than the clock whether its run was of any use."""

    def healthy(self) -> bool:
        """Return whether the run that has just ended did its work at some time."""


class Policy(msgspec.Struct, frozen=True):
    """When a failed service is started again; durations in seconds."""

    backoff: Backoff = Backoff()
    healthy_after_s: float = 30.0
    """A run of so long earns the first delay back; connecting alone does not."""
    fatal_retry_s: float = 60.0
    """Middle of the delays (half to one and a half times this) after a FatalError."""
    near_cap_s: float = 1.0
    """The longest delay after RedisUnavailable: it is near, and everything waits for it."""
    retry_after_cap_s: float = 900.0
    """The longest Retry-After that is obeyed, so that a wrong clock can't park us for days."""


OnFailure = Callable[[str, Exception, float], None]
"""(service, error, seconds until it starts again); must not raise."""


def _ignore_failure(_service: str, _error: Exception, _delay_s: float) -> None:
    pass


async def keep_running(
    service: Service,
    *,
    policy: Policy = Policy(),  # noqa: B008 - frozen
    on_failure: OnFailure = _ignore_failure,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    rand: Callable[[], float] = random.random,
    monotonic: Callable[[], float] = time.monotonic,
) -> None:
    """Run *service* again and again until it returns normally or this task is cancelled."""
    delays = policy.backoff.delays(rand)
    report = _Reports(service.name, monotonic)
    while True:
        started_s = monotonic()
        error = await _failure_of(service)
        if error is None:
            return
        if monotonic() - started_s >= policy.healthy_after_s and _was_useful(service):
            delays = policy.backoff.delays(rand)
        delay_s = _delay_s(error, policy, delays, rand)
        report.tell(error, delay_s)
        on_failure(service.name, error, delay_s)
        # What the error has seen, a frame of 20 MB perhaps, is in a cycle with it.
        traceback.clear_frames(error.__traceback__)
        del error
        await sleep(delay_s)


class Supervisor:
    """Runs services side by side until it is told to stop; counts restarts by service and cause."""

    def __init__(
        self,
        policy: Policy = Policy(),  # noqa: B008 - frozen
        *,
        on_failure: OnFailure = _ignore_failure,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        rand: Callable[[], float] = random.random,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.restarts: Counter[tuple[str, str]] = Counter()
        """Restarts by (service, class name of the error)."""
        self._policy = policy
        self._on_failure = on_failure
        self._sleep = sleep
        self._rand = rand
        self._monotonic = monotonic

    async def run(self, services: Sequence[Service], stop: asyncio.Event) -> None:
        """Run *services*; return once *stop* is set and all have ended, or all have finished."""
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._keep_running(service), name=service.name)
                for service in services
            ]
            stopper = group.create_task(_cancel_when(stop, tasks), name="stop")
            for task in tasks:
                task.add_done_callback(lambda _: _cancel_if_all_done(stopper, tasks))

    async def _keep_running(self, service: Service) -> None:
        await keep_running(
            service,
            policy=self._policy,
            on_failure=self.count,
            sleep=self._sleep,
            rand=self._rand,
            monotonic=self._monotonic,
        )
        _log.info("service finished", service=service.name)

    def count(self, service: str, error: Exception, delay_s: float) -> None:
        """Take note of a failure; also for what is kept running elsewhere."""
        self.restarts[service, type(error).__name__] += 1
        self._on_failure(service, error, delay_s)


async def _cancel_when(stop: asyncio.Event, tasks: Sequence[asyncio.Task[None]]) -> None:
    await stop.wait()
    for task in tasks:
        task.cancel()


def _cancel_if_all_done(stopper: asyncio.Task[None], tasks: Sequence[asyncio.Task[None]]) -> None:
    if all(task.done() for task in tasks):
        stopper.cancel()


async def _failure_of(service: Service) -> Exception | None:
    """Run *service* once and return the error that ended it, or None if it finished.

    In a task of its own: only so is it certain whether a cancellation was meant for us. A TaskGroup
    that fails while its block is left keeps the cancellation it made (Python 3.11 and 3.12), and
    `Task.cancelling()` would then tell that we were to stop.
    """
    run = asyncio.create_task(service.run(), name=service.name)
    try:
        await asyncio.wait({run})
    except asyncio.CancelledError:
        await _end(run)
        if not run.cancelled() and (error := run.exception()) is not None:
            _log.warning("service failed while stopping", service=service.name, exc_info=error)
        raise
    if run.cancelled():
        # It awaited something that others had cancelled. Passed on, this would end our task in
        # silence, and the service with it.
        return RuntimeError("cancelled from within")
    failure = run.exception()
    return None if failure is None else _cause(failure)


async def _end(run: asyncio.Task[None]) -> None:
    """Cancel until it has ended: on Python 3.11 `asyncio.wait_for` may swallow a cancellation."""
    while not run.done():
        run.cancel()
        await asyncio.wait({run}, timeout=CANCEL_AGAIN_S)


def _cause(error: BaseException) -> Exception:
    """Return *error*, or of a group (from a TaskGroup inside a service) the gravest error."""
    if not isinstance(error, Exception):
        raise error  # the interpreter is to end
    if not isinstance(error, ExceptionGroup):
        return error
    return max((_cause(inner) for inner in error.exceptions), key=_gravity)


def _gravity(error: Exception) -> float:
    if not isinstance(error, FeedError):
        return float("inf")
    if isinstance(error, RetryableError):
        return min(error.retry_after_s or 0.0, 1e9)
    return 1e10


def _was_useful(service: Service) -> bool:
    return service.healthy() if isinstance(service, ReportsHealth) else True


def _delay_s(
    error: Exception, policy: Policy, delays: Iterator[float], rand: Callable[[], float]
) -> float:
    if isinstance(error, FatalError):
        return policy.fatal_retry_s * (0.5 + rand())
    delay_s = next(delays)
    if isinstance(error, RedisUnavailable):
        return min(delay_s, policy.near_cap_s)
    if isinstance(error, RetryableError) and error.retry_after_s is not None:
        # Jitter on top: everybody was told the same time.
        return min(max(0.0, error.retry_after_s), policy.retry_after_cap_s) + delay_s
    return delay_s


class _Reports:
    """Says failures of one service; the same one again and again only once in a while."""

    def __init__(self, service: str, monotonic: Callable[[], float]) -> None:
        self._service = service
        self._monotonic = monotonic
        self._said = ""
        self._said_s = 0.0
        self._times = 0

    def tell(self, error: Exception, delay_s: float) -> None:
        """Log *error*, unless it is a known one's repetition."""
        text, now_s = str(error), self._monotonic()
        repeated = isinstance(error, RetryableError) and text == self._said
        if repeated and now_s - self._said_s < SAY_AGAIN_S:
            self._times += 1
            return
        log = _log.bind(
            service=self._service, cause=type(error).__name__, retry_in_s=round(delay_s, 2)
        )
        if repeated and self._times:
            log = log.bind(times=self._times + 1)
        self._said, self._said_s, self._times = text, now_s, 0
        if isinstance(error, FatalError):
            log.error("service cannot work until somebody acts", error=text)
        elif isinstance(error, FeedError):
            log.warning("service failed", error=text)
        else:
            log.error("service failed unexpectedly", error=text, exc_info=error)
