"""Prices that a daemon left behind when it died: to be marked before anybody believes them."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, cast

import structlog
from redis.exceptions import RedisError

from arbees_feed.core.model import ONE_DOLLAR, MarketId, Quote, Source, Status
from arbees_feed.core.wire import MarketPrice, Names
from arbees_feed.errors import RedisUnavailable
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
    """Marks the live prices of a former session as stale; a service that ends when it is done.

    A market for which this session has published already is left alone.
    """

    def __init__(
        self,
        client: Client,
        names: Names,
        venue: str,
        open_outlet: Callable[[MarketId], Outlet],
        session: int,
    ) -> None:
        self.name = f"{venue}-leftovers"
        self._client = client
        self._names = names
        self._venue = venue
        self._open_outlet = open_outlet
        self._session = session
        self.marked = 0

    async def run(self) -> None:
        """Read what is there and mark it.

        Raises:
            RedisUnavailable: run again to go on.
        """
        chunk: list[MarketId] = []
        try:
            members = self._client.sscan_iter(self._names.markets(self._venue), count=AT_ONCE)
            async for member in members:  # type: ignore[attr-defined]  # redis-py's own iterator
                text = member.decode() if isinstance(member, bytes) else cast(str, member)
                chunk.append(MarketId(text))
                if len(chunk) >= AT_ONCE:
                    await self._mark(chunk)
                    chunk = []
            await self._mark(chunk)
        except RedisError as exc:
            raise RedisUnavailable(f"redis: {exc}") from exc
        if self.marked:
            _log.info("marked prices of a former session", venue=self._venue, markets=self.marked)

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
            price = None  # whatever it is, it is no price of this session
        if price is not None and (price.status != "live" or price.session == self._session):
            return
        outlet = self._open_outlet(market)
        if outlet.quote is not None:
            return
        self.marked += 1
        last = None if price is None or price.last_price is None else price.last_price
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
