"""Markets that readers ask for: leases in `feed:watch:<venue>`.

A sorted set: member = market id, score = Unix time in s at which the lease ends (`inf`: never).
Anyone may write to it, so nothing in it is believed without a look: ids must have the venue's form,
and only so many are followed at a time. However many readers ask for a market, it is followed once.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import msgspec
import structlog
from redis.exceptions import RedisError

from arbees_feed.core.model import MarketId
from arbees_feed.errors import RedisUnavailable

_log = structlog.get_logger("arbees_feed.demand")

LOOK_EVERY_S = 0.4
"""Contract: a lease is picked up within a second."""

FOREVER = "+inf"


class Client(Protocol):
    """What is needed of a Redis client."""

    def zrangebyscore(self, name: str, min: Any, max: Any, **options: Any) -> Awaitable[Any]:  # noqa: A002 - redis-py's names
        """Read members by score."""

    def zremrangebyscore(self, name: str, min: Any, max: Any) -> Awaitable[Any]:  # noqa: A002
        """Remove members by score."""

    def zrem(self, name: str, *values: bytes) -> Awaitable[Any]:
        """Remove members."""


class DemandStats(msgspec.Struct):
    """What was asked for; plain numbers, read by metrics and the venue's hash."""

    followed: int = 0
    refused_form: int = 0
    refused_full: int = 0
    """Asked for now and not followed, because `max_markets` are."""
    last_refused: str = ""


class Terms(msgspec.Struct, frozen=True):
    """Where leases are, and what is granted."""

    key: str
    form: re.Pattern[str]
    """What a market id of the venue looks like."""
    limit: int


Tell = Callable[[Sequence[MarketId]], None]


class Demand:
    """Follows the leases of one venue; a service."""

    def __init__(
        self,
        venue: str,
        client: Client,
        terms: Terms,
        *,
        want: Tell,
        drop: Tell,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.name = f"{venue}-demand"
        self.stats = DemandStats()
        self._client = client
        self._key = terms.key
        self._form = terms.form
        self._limit = terms.limit
        self._want = want
        self._drop = drop
        self._sleep = sleep
        self._now = now
        self._followed: dict[MarketId, None] = {}

    async def run(self) -> None:
        """Look at the leases again and again, until cancelled.

        Raises:
            RedisUnavailable: run again; what is followed stays so.
        """
        while True:
            try:
                await self.look()
            except RedisError as exc:
                raise RedisUnavailable(f"leases can't be read: {exc}") from exc
            await self._sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Follow what is leased now, and no more what is not."""
        now_s = self._now()
        members = await self._client.zrangebyscore(self._key, f"({now_s}", FOREVER)
        await self._client.zremrangebyscore(self._key, "-inf", now_s)
        asked, wrong = [], []
        for member in members:
            text = member.decode(errors="replace")
            if self._form.fullmatch(text):
                asked.append(MarketId(text))
            else:
                wrong.append(member)
        if wrong:
            await self._refuse(wrong)
        self._follow(asked)

    async def _refuse(self, members: Sequence[bytes]) -> None:
        last = repr(members[-1][:80])
        self.stats.refused_form += len(members)
        self.stats.last_refused = f"{last} is no market id"
        _log.warning("lease refused", key=self._key, count=len(members), last=last)
        await self._client.zrem(self._key, *members)

    def _follow(self, asked: Iterable[MarketId]) -> None:
        wanted = dict.fromkeys(asked)
        over = [market for market in self._followed if market not in wanted]
        for market in over:
            del self._followed[market]
        fresh = [market for market in wanted if market not in self._followed]
        room = max(0, self._limit - len(self._followed))
        granted, refused = fresh[:room], fresh[room:]
        self._followed.update(dict.fromkeys(granted))
        self._say_full(refused)
        self.stats.followed = len(self._followed)
        if over:
            self._drop(over)
        if granted:
            self._want(granted)

    def _say_full(self, refused: Sequence[MarketId]) -> None:
        if refused and len(refused) != self.stats.refused_full:
            self.stats.last_refused = f"{refused[0]}: {self._limit} markets are followed already"
            _log.warning("leases refused", key=self._key, count=len(refused), limit=self._limit)
        self.stats.refused_full = len(refused)

    def fields(self) -> Mapping[str, str]:
        """Return what readers should know, for `feed:venue:<venue>`."""
        return {
            "demand_followed": str(self.stats.followed),
            "demand_refused": str(self.stats.refused_form + self.stats.refused_full),
            "demand_last_refused": self.stats.last_refused,
        }
