"""The reader that programs use: prices in Redis as an asynchronous iterator."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from types import MappingProxyType
from typing import Final, Self

from arbees_feed.core.redisaddress import Address
from arbees_feed.core.wire import MarketPrice, Names
from arbees_feed.errors import AuthenticationRejected, RedisUnavailable, SettingsError
from arbees_feed.reader.keeper import Keeper
from arbees_feed.reader.leases import Leases
from arbees_feed.reader.liveness import VenueLife
from arbees_feed.reader.outbox import Every, Newest
from arbees_feed.reader.retired import Retired
from arbees_feed.reader.session import Session, SessionOptions
from arbees_feed.reader.state import PriceState
from arbees_feed.reader.stats import ReaderStats
from arbees_feed.reader.wanted import Wanted

TURN_S: Final = 0.005
"""However busy the consumer is, the loop reads from the socket so often."""
_NAME: Final = re.compile(r"[!-~]*")
CLOSE_S: Final = 1.0
CANCEL_AGAIN_S: Final = 2.0

OnPrice = Callable[[MarketPrice], object]
OnLoss = Callable[[str, int], object]
"""(market id, how many of its prices were missed)"""


class PriceReader:
    """Follows prices in Redis, over every loss: `async with` it, and `async for` over it.

    Each price is the newest of its market when it is handed over (with *every*: the next one).
    What can't be trusted comes as `stale`, from the feed or from this reader. Outages of Redis or
    of the feed are no errors once the block was entered.
    """

    def __init__(  # noqa: PLR0913 - the settings of a reader, all by keyword
        self,
        url: str = "redis://127.0.0.1:6379/0",
        *,
        markets: Iterable[str] | None = None,
        patterns: Iterable[str] | None = None,
        events: Iterable[str] | None = None,
        watch: Mapping[str, Iterable[str]] | None = None,
        lease_s: float = 30.0,
        every: bool = False,
        buffer: int = 10_000,
        key_prefix: str = "",
        sharded: bool = False,
        stale_after_s: float = 2.5,
        start_timeout_s: float | None = 10.0,
        timeout_s: float = 2.0,
        client_name: str = "arbees-feed-reader",
    ) -> None:
        """Say what to follow: all markets, if none of `markets` to `watch` is given.

        Args:
            url: `redis://`, `rediss://`, `unix://`, `redis+sentinel://h:p,h:p/service/db` or
                `redis+cluster://h:p`.
            markets: market ids.
            patterns: patterns of market ids (`KXNFL*`), by the rules of Redis' `PSUBSCRIBE`.
            events: event ids; markets that are added to them later are followed too.
            watch: market ids by venue that the feed is asked to follow (leases); read as well.
            lease_s: how long a lease outlives a reader that dies.
            every: hand over every price, not only the newest of each market.
            buffer: with *every*, how many prices wait at most for a slow consumer.
            key_prefix: the feed's `redis.key_prefix`.
            sharded: the publisher uses sharded channels (`SPUBLISH`); not with patterns.
            stale_after_s: the longest silence of a feed whose prices are believed; it beats once
                a second.
            start_timeout_s: how long `async with` waits for Redis; None: for ever.
            timeout_s: the deadline of a single request to Redis.
            client_name: what `CLIENT LIST` shows.

        Raises:
            SettingsError: the URL or another argument is malformed; the message names it.
        """
        self._address = Address(url)
        self._wanted = Wanted(
            Names(key_prefix), markets=markets, patterns=patterns, events=events, watch=watch
        )
        _check_positive(
            lease_s=lease_s, buffer=buffer, stale_after_s=stale_after_s, timeout_s=timeout_s
        )
        _check_acceptable(client_name, self._wanted.patterns if sharded else ())
        self.stats = ReaderStats()
        self._state = _new_state(
            self.stats, stale_after_s, buffer if every else 0, self._wanted.names
        )
        self._leases = Leases(self._wanted.watch, lease_s)
        self._options = SessionOptions(timeout_s=timeout_s, sharded=sharded, name=client_name)
        self._start_timeout_s = start_timeout_s
        self._ready = asyncio.Event()
        self._entered = self._closed = False
        self._keeper = Keeper(
            self._state, self._new_session, Retired(self._wanted.markets), self._look
        )
        self._stack: AsyncExitStack | None = None
        self._turned_s = 0.0

    def _new_session(self) -> Session:
        self._leases.renew_now()
        return Session(
            self._address,
            self._wanted,
            self._state,
            self._leases,
            self._look,
            options=self._options,
        )

    def _look(self) -> None:
        """Wake the consumer if there is something for it."""
        self._turned_s = time.monotonic()
        if self._state.shown.outbox:
            self._ready.set()

    # -- what is known -----------------------------------------------------------------------------

    @property
    def book(self) -> Mapping[str, MarketPrice]:
        """The newest price of each market, as it is to be believed now; a view, read-only."""
        return MappingProxyType(self._state.book)

    @property
    def venues(self) -> Mapping[str, VenueLife]:
        """What is known of the feed of each venue, and why its prices are stale if they are."""
        return MappingProxyType(self._state.venues)

    @property
    def trouble(self) -> str:
        """Why there is no connection to Redis now; empty while there is one."""
        return self._keeper.trouble

    @property
    def waiting(self) -> int:
        """How many prices wait to be asked for."""
        return len(self._state.shown.outbox)

    # -- prices ------------------------------------------------------------------------------------

    def __aiter__(self) -> AsyncIterator[MarketPrice]:
        """Iterate over prices until the reader is closed."""
        return self

    async def __anext__(self) -> MarketPrice:
        """Return the next price.

        Raises:
            StopAsyncIteration: the reader is closed.
            RuntimeError: it was not entered with `async with`.
        """
        if self._closed:
            raise StopAsyncIteration
        if time.monotonic() - self._turned_s > TURN_S:
            self._turned_s = time.monotonic()
            # A consumer that never waits would keep the socket unread. Twice: the first time this
            # task goes on before the socket is looked at.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        while (price := self._state.shown.outbox.take(time.time_ns())) is None:
            await self._wait()
        return price

    async def batch(self, most: int = 1_000) -> list[MarketPrice]:
        """Return what waits, at most so many prices; wait for one if nothing does.

        Raises:
            StopAsyncIteration: the reader is closed.
        """
        prices = [await self.__anext__()]
        now_ns = time.time_ns()
        take = self._state.shown.outbox.take
        while len(prices) < most and (price := take(now_ns)) is not None:
            prices.append(price)
        return prices

    async def _wait(self) -> None:
        if not self._entered:
            raise RuntimeError("a reader is to be entered first: async with PriceReader(…)")
        self._ready.clear()
        await self._ready.wait()
        if self._closed:
            raise StopAsyncIteration

    async def run(self, on_price: OnPrice, on_loss: OnLoss | None = None) -> None:
        """Call *on_price* with each price until the reader is closed, and *on_loss* on losses.

        Both are plain functions. Their errors end this call, not the reader.
        """
        async for price in self:
            losses = self._state.losses
            while on_loss is not None and losses:
                on_loss(*losses.popitem())  # one by one: an error of it leaves the others
            on_price(price)

    def take_losses(self) -> Mapping[str, int]:
        """Return how many prices were missed by market since this was asked last."""
        losses = dict(self._state.losses)
        self._state.losses.clear()
        return losses

    # -- more and fewer markets --------------------------------------------------------------------

    async def follow(self, *markets: str) -> None:
        """Follow more markets; what is kept of them is read before this returns, if Redis is there.

        Raises:
            SettingsError: one is no market id.
            AuthenticationRejected: this user may not read one of them; none of them is followed
                that was not before.
        """
        new = self._wanted.add(markets)
        try:
            await self._with_session(Session.adjust)
        except AuthenticationRejected:
            self._wanted.drop(new)
            raise

    async def unfollow(self, *markets: str) -> None:
        """Follow markets no more that were named one by one; the book forgets them.

        Those that an event or a pattern asks for too are followed on.
        """
        self._wanted.drop(markets)
        await self._with_session(Session.adjust)
        for market in markets:
            if not self._wanted.follows(market):
                self._state.shown.forget(market)
        if self._wanted.patterns:
            # Redis alone knows by its own rules which of them match.
            await self._with_session(Session.read_again)

    async def _with_session(self, act: Callable[[Session], Awaitable[None]]) -> None:
        if (session := self._keeper.session) is not None:
            try:
                await act(session)
            except RedisUnavailable:
                return  # the next session has it right from its start

    # -- life --------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        """Connect and join: afterwards `book` has what Redis knows.

        Raises:
            RedisUnavailable: Redis did not answer within `start_timeout_s`.
            AuthenticationRejected: Redis refuses the credentials, or this user may not read.
            RuntimeError: it was entered before.
        """
        if self._entered:
            raise RuntimeError("a reader is entered once: make another")
        self._entered = True
        async with AsyncExitStack() as stack:
            group = await _entered(stack)
            tasks = [
                group.create_task(self._keeper.run(), name="reader"),
                group.create_task(self._keeper.tick(), name="reader clock"),
            ]
            stack.push_async_callback(self._close, tasks)
            await self._settle()
            self._stack = stack.pop_all()
        return self

    async def _settle(self) -> None:
        keeper = self._keeper
        try:
            async with asyncio.timeout(self._start_timeout_s):
                await keeper.settled.wait()
        except TimeoutError:
            reason = keeper.trouble or "no answer"
            raise RedisUnavailable(f"cannot read from {self._address}: {reason}") from None
        if keeper.refused is not None:
            raise keeper.refused

    async def __aexit__(self, *_exc_info: object) -> None:
        """End the leases and the connection; iterators end."""
        if self._stack is not None:
            stack, self._stack = self._stack, None
            await stack.aclose()

    async def _close(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        if (session := self._keeper.session) is not None:
            try:
                async with asyncio.timeout(CLOSE_S):
                    await session.end_leases()
            except TimeoutError:
                pass  # they end by themselves
        pending = {task for task in tasks if not task.done()}
        while pending:
            for task in pending:
                task.cancel()
            # Again, as on Python 3.11 `asyncio.wait_for` may swallow a cancellation.
            _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN_S)
        self._closed = True
        self._ready.set()


def _new_state(stats: ReaderStats, stale_after_s: float, buffer: int, names: Names) -> PriceState:
    """Return a state that conflates, or keeps up to *buffer* prices."""
    state = PriceState(Newest(stats), stats, stale_after_s=stale_after_s, names=names)
    if buffer:
        state.shown.outbox = Every(stats, buffer, state.missed)
    return state


async def _entered(stack: AsyncExitStack) -> asyncio.TaskGroup:
    """Enter a group of tasks that leaves errors of the block as they are.

    Given an error of its block, a TaskGroup would wrap it into a group of errors.
    """
    group = asyncio.TaskGroup()
    await group.__aenter__()
    stack.push_async_callback(group.__aexit__, None, None, None)
    return group


def _check_positive(**values: float) -> None:
    for name, value in values.items():
        if not value > 0:
            raise SettingsError(f"{name}: {value!r} is not above 0")


def _check_acceptable(client_name: str, sharded_patterns: Sequence[str]) -> None:
    """Refuse what Redis would refuse, or does not have."""
    if not _NAME.fullmatch(client_name):
        raise SettingsError(f"client_name: {client_name!r} has blanks or special characters")
    if sharded_patterns:
        raise SettingsError("sharded: name markets or events; there are no sharded patterns")
