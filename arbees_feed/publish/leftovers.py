"""Prices that nobody feeds: to be marked before anybody believes them.

A daemon that died leaves them, and so does a server that comes back with older data: markets that
have ended since are in it, live.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, cast

import structlog
from redis.exceptions import NoPermissionError, RedisError

from arbees_feed.core.model import ONE_DOLLAR, MarketId, Quote, Source, Status
from arbees_feed.core.wire import MarketPrice, Names
from arbees_feed.errors import AuthenticationRejected, FeedError, RedisUnavailable
from arbees_feed.publish.outlet import Outlet

_log = structlog.get_logger("arbees_feed.leftovers")

AT_ONCE = 1_000


class Client(Protocol):
    """What is needed of a Redis client."""

    def sscan_iter(self, name: str, *, count: int) -> object:
        """Iterate over the members of a set."""

    def mget(self, keys: Sequence[str]) -> Awaitable[Sequence[bytes | None]]:
        """Read many keys."""


class Leftovers:
    """Marks the live prices of a venue that this process does not feed as stale; a service.

    A market for which this process has published already is left alone.
    """

    def __init__(
        self,
        client: Client,
        names: Names,
        venue: str,
        open_outlet: Callable[[MarketId], Outlet],
        session: int,
        *,
        known: Callable[[MarketId], bool] = lambda _: False,
    ) -> None:
        """Be ready to run; *known* are markets that this process has fed, and marks by itself."""
        self.name = f"{venue}-leftovers"
        self._client = client
        self._names = names
        self.venue = venue
        self._open_outlet = open_outlet
        self._session = session
        self._known = known
        self._due = asyncio.Event()
        self._due.set()
        self._looked = False
        self._unwritten: list[Outlet] = []
        self.marked = 0

    @property
    def done(self) -> bool:
        """Whether all that was there at the start is marked, and on its way to Redis.

        Only then may a heartbeat make readers believe what Redis keeps.
        """
        self._unwritten = [o for o in self._unwritten if o.sent is not o.quote]
        return self._looked and not self._unwritten

    def again(self) -> None:
        """Look once more: there is another server, or older data."""
        self._due.set()

    async def run(self) -> None:
        """Mark what is there, and wait to be told of another server, until cancelled.

        Raises:
            RedisUnavailable: run again to go on.
            AuthenticationRejected: this user may not look; until then no heartbeat may begin.
        """
        while True:
            await self._due.wait()
            self._due.clear()
            try:
                await self.mark()
            except FeedError:
                self._due.set()
                raise

    async def mark(self) -> None:
        """Read what is there and mark it.

        Raises:
            RedisUnavailable: something may be left; mark again.
            AuthenticationRejected: this user may not look.
        """
        before = self.marked
        chunk: list[MarketId] = []
        try:
            members = self._client.sscan_iter(self._names.markets(self.venue), count=AT_ONCE)
            async for member in members:  # type: ignore[attr-defined]  # redis-py's own iterator
                # Anybody may write to the set: what is no text names no market of ours.
                text = (
                    member.decode(errors="replace")
                    if isinstance(member, bytes)
                    else cast(str, member)
                )
                chunk.append(MarketId(text))
                if len(chunk) >= AT_ONCE:
                    await self._mark(chunk)
                    chunk = []
            await self._mark(chunk)
        except NoPermissionError as exc:
            text = "no heartbeat is sent, for the redis user may not see what a former session left"
            raise AuthenticationRejected(f"{text}: {exc}") from exc
        except RedisError as exc:
            raise RedisUnavailable(f"redis: {exc}") from exc
        self._looked = True
        if self.marked > before:
            marked = self.marked - before
            _log.info("marked prices of a former session", venue=self.venue, markets=marked)

    async def _mark(self, markets: Sequence[MarketId]) -> None:
        if not markets:
            return
        values = await self._client.mget([self._names.last(market) for market in markets])
        for market, value in zip(markets, values, strict=True):
            if value is not None:
                self._mark_one(market, value)

    def _mark_one(self, market: MarketId, value: bytes) -> None:
        try:
            price = MarketPrice.from_msgpack(value)
        except ValueError:
            price = None  # whatever it is, it is no price
        if price is not None and not self._is_left(price):
            return
        if self._known(market):
            return
        outlet = self._open_outlet(market)
        if outlet.quote is not None:
            return
        self.marked += 1
        last = None if price is None else price.last_price
        if last is not None and not 0.0 <= last <= 1.0:
            last = None  # no price of ours; NaN ends here too
        outlet.put(
            Quote(
                bid=0,
                bid_size=0,
                ask=ONE_DOLLAR,
                ask_size=0,
                last_price=None if last is None else round(last * ONE_DOLLAR),
                status=Status.STALE,
                source=Source.BOOK,
                ts_event_ns=0 if price is None else price.ts_event_ns,
                ts_recv_ns=0 if price is None else price.ts_recv_ns,
            )
        )
        if outlet.sent is not outlet.quote:
            self._unwritten.append(outlet)

    def _is_left(self, price: MarketPrice) -> bool:
        # The first look is at what others left: what this session wrote is newer than the look.
        return price.status == "live" and (self._looked or price.session != self._session)
