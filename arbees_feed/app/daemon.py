"""The daemon: everything connected, started in order and stopped in order.

Start: Redis, HTTP endpoint, publisher, venues. Stop: the venues first; every price is then marked
stale, the publisher writes what waits, and Redis is closed last.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import aiohttp
import msgspec
import structlog
from redis.exceptions import RedisError

from arbees_feed.app.inside import Inside
from arbees_feed.app.plan import plans
from arbees_feed.app.venue import Tap, Venue
from arbees_feed.config import KalshiSettings, Settings, redact_url
from arbees_feed.config.forms import EMBEDDED
from arbees_feed.core.backoff import Backoff
from arbees_feed.core.venue import Credentials
from arbees_feed.core.wire import Names
from arbees_feed.errors import FatalError
from arbees_feed.feed.service import Runnable
from arbees_feed.log import RateLimitedWarnings
from arbees_feed.ops.matcher import MatcherWatch
from arbees_feed.ops.stalls import Stalls
from arbees_feed.publish.custody import Custody
from arbees_feed.publish.leftovers import Leftovers
from arbees_feed.publish.mirror import MIRROR_PHASES
from arbees_feed.publish.pipe import Pipe, PipeOwner
from arbees_feed.publish.rivals import Rivals
from arbees_feed.publish.service import Publisher
from arbees_feed.publish.status import StatusBoard
from arbees_feed.publish.subscribers import SubscriberWatch
from arbees_feed.supervisor import Policy, Supervisor
from arbees_feed.transport.redis import open_client, open_pipe

_log = structlog.get_logger("arbees_feed.daemon")

REDIS_PATIENCE_S = 10.0
"""How long a start waits for Redis: in a composed system it may come up after us."""

NO_CLUSTER = (
    "redis.url: the feed does not write to a Cluster: its pipeline is one connection to one server"
)

# Redis is near and alone: no herd to spread, and every second of its absence is a stale price.
_REDIS_POLICY = Policy(
    backoff=Backoff(first_s=0.05, cap_s=0.5), healthy_after_s=5.0, fatal_retry_s=5.0
)


Services = Sequence[Runnable]


class Running(msgspec.Struct, frozen=True):
    """Where a started daemon can be found."""

    redis_url: str
    http_url: str | None
    venues: tuple[str, ...]


class Daemon:
    """One run of the feed."""

    def __init__(self, settings: Settings, *, tap: Tap = lambda _, connection: connection) -> None:
        """Load keys. Every connection to a venue passes through *tap*.

        Raises:
            SettingsError: a key can't be loaded.
        """
        self._settings = settings
        self._tap = tap
        self._plans = plans(settings, _credentials(settings.kalshi))
        self._session = time.time_ns()
        self._names = Names(settings.redis.key_prefix)
        self.venues: list[Venue] = []
        self._left: list[Leftovers] = []

    async def run(
        self, stop: asyncio.Event, on_ready: Callable[[Running], None] = lambda _: None
    ) -> None:
        """Run until *stop* is set; everything is marked and written before it returns.

        Raises:
            FatalError: Redis can't be reached at the start, or the HTTP port is taken.
        """
        async with AsyncExitStack() as stack:
            url = await self._redis_url(stack)
            client = await self._client(stack, url)
            http = await stack.enter_async_context(_http_session())
            publisher = self._new_publisher(url)
            supervisor = Supervisor(Policy(), on_failure=self._on_failure)
            redis_supervisor = Supervisor(_REDIS_POLICY, on_failure=self._on_failure)
            self.venues = [
                Venue(plan, self._settings, publisher, http, client, supervisor.count, self._tap)
                for plan in self._plans
            ]
            self._left = self._leftovers(client, publisher)
            board = self._new_board(publisher)
            subscribers = SubscriberWatch(client)
            stalls = Stalls(RateLimitedWarnings(_log, interval_s=10.0))
            matcher = MatcherWatch(client, self._names, RateLimitedWarnings(_log))
            inside = Inside(
                venues=self.venues,
                publisher=publisher,
                left=self._left,
                subscribers=subscribers,
                stalls=stalls,
                matcher=matcher,
                supervisors=(supervisor, redis_supervisor),
                redis=client,
                names=self._names,
            )
            http_url, answering = await self._serve(stack, inside)
            on_ready(Running(redact_url(url), http_url, tuple(v.venue for v in self.venues)))
            writing: list[Runnable] = [publisher, _Clock(publisher), *self._left]
            custody = Custody(client, self._names, publisher.outlets.sample, publisher)
            watches: list[Runnable] = [stalls, subscribers, self._rivals(client), matcher, custody]
            feeding: list[Runnable] = [board, *answering, *watches]
            feeding += (service for venue in self.venues for service in venue.services())
            async with _running(redis_supervisor, writing):
                await supervisor.run(feeding, stop)
                await self._finish(publisher, board)

    # -- parts -------------------------------------------------------------------------------------

    async def _redis_url(self, stack: AsyncExitStack) -> str:
        url = self._settings.redis.url.get_secret_value()
        if url == EMBEDDED:
            # Here, for it brings a second Redis client, and 20 ms more to every start.
            from arbees_feed.app.embedded import embedded_server  # noqa: PLC0415

            url = await stack.enter_async_context(embedded_server())
        if url.startswith("redis+cluster://"):
            raise FatalError(NO_CLUSTER)
        return url

    async def _client(self, stack: AsyncExitStack, url: str) -> Any:
        timeout_s = self._settings.redis.io_timeout_s
        client: Any = await stack.enter_async_context(open_client(url, timeout_s=timeout_s))
        await self._reach(client, url)
        return client

    async def _reach(self, client: Any, url: str) -> None:
        """Wait for Redis, for a while: it may start after us."""
        deadline_s = time.monotonic() + REDIS_PATIENCE_S
        waiter = asyncio.Event()
        while True:
            try:
                await client.execute_command("PING")
            except RedisError as exc:
                if time.monotonic() > deadline_s or "auth" in type(exc).__name__.lower():
                    raise FatalError(f"cannot use redis at {redact_url(url)}: {exc}") from exc
                _log.warning("waiting for redis", url=redact_url(url), error=str(exc))
                await _pause(waiter, 1.0)
            else:
                return

    def _new_publisher(self, url: str) -> Publisher:
        timeout_s = self._settings.redis.io_timeout_s

        @asynccontextmanager
        async def dial(owner: PipeOwner) -> AsyncIterator[Pipe]:
            async with open_pipe(owner, url, timeout_s=timeout_s) as pipe:
                yield pipe

        return Publisher(
            dial,
            self._names,
            session=self._session,
            depth=self._settings.publish.depth,
            io_timeout_s=timeout_s,
            call_soon=asyncio.get_running_loop().call_soon,
            on_new_server=self._redis_was_replaced,
            use_compiled=self._settings.trust.compiled,
        )

    def _new_board(self, publisher: Publisher) -> StatusBoard:
        def may_begin(venue: str) -> bool:
            return all(left.done for left in self._left if left.venue == venue)

        return StatusBoard(
            self.venues, publisher.send, self._names, self._session, may_begin=may_begin
        )

    def _rivals(self, client: Any) -> Rivals:
        rivals = Rivals(client, self._names, [v.venue for v in self.venues], self._session)
        for venue in self.venues:
            venue.rivals = rivals
        return rivals

    def _leftovers(self, client: Any, publisher: Publisher) -> list[Leftovers]:
        return [
            Leftovers(
                client,
                self._names,
                venue.venue,
                publisher.opener(venue.venue),
                self._session,
                known=partial(publisher.knows, venue.venue),
            )
            for venue in self.venues
        ]

    async def _serve(self, stack: AsyncExitStack, inside: Inside) -> tuple[str | None, Services]:
        """Return the endpoint's URL, if it is on, and the services behind it."""
        http = self._settings.http
        if not http.enabled:
            return None, ()
        # Here, for it brings a web server: a tenth of the start of a feed that has none.
        from arbees_feed.app.endpoint import endpoint  # noqa: PLC0415

        url, overview = await stack.enter_async_context(endpoint(http, inside))
        return url, (overview,)

    # -- end ---------------------------------------------------------------------------------------

    async def _finish(self, publisher: Publisher, board: StatusBoard) -> None:
        for venue in self.venues:
            venue.stop()
        board.say_stopped("the feed was stopped")
        timeout_s = self._settings.publish.drain_timeout_s
        if not await publisher.finish(timeout_s):
            _log.warning(
                "stopped before redis took everything",
                waited_s=timeout_s,
                markets_waiting=publisher.waiting,
            )

    def _redis_was_replaced(self) -> None:
        _log.warning("another redis server or an empty one: writing everything again")
        for venue in self.venues:
            venue.redis_was_replaced()
        for leftovers in self._left:
            leftovers.again()

    def _on_failure(self, service: str, error: Exception, delay_s: float) -> None:
        for venue in self.venues:
            its_own = service in {link.name for link in venue.feed.links}
            if its_own and not venue.feed.open_links:
                venue.feed.reason = f"{error} (again in {delay_s:.1f} s)"


@asynccontextmanager
async def _running(supervisor: Supervisor, services: Sequence[Runnable]) -> AsyncIterator[None]:
    """Run *services* for as long as the block does."""
    done = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(supervisor.run(services, done), name="writing")
        yield
        done.set()


class _Clock:
    """Gives the publisher its tenths of a second."""

    name = "publisher-clock"

    def __init__(
        self, publisher: Publisher, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._publisher = publisher
        self._sleep = sleep

    async def run(self) -> None:
        """Tick until cancelled."""
        while True:
            await self._sleep(1.0 / MIRROR_PHASES)
            self._publisher.tick(time.monotonic())


def _credentials(kalshi: KalshiSettings) -> Credentials | None:
    if not kalshi.active:
        return None
    # Here, for it brings the cryptography package, which a feed without a key has no use for.
    from arbees_feed.config.keys import load_credentials  # noqa: PLC0415

    return load_credentials(kalshi)


@asynccontextmanager
async def _http_session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(
        trust_env=True, cookie_jar=aiohttp.DummyCookieJar()
    ) as session:
        yield session


async def _pause(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
