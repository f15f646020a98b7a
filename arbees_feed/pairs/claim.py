"""One process at a time writes the pairs of one Redis.

Two would overwrite each other's prices and remove each other's pairs, and neither alone looks
wrong. So the process holds a key that expires unless it is renewed; while that key names another
one, nothing is written.

Rejected: listening for each other, as the feed does (a price of a pair may only be taken over once
nobody else writes it); the state that readers look at as the key (readers believe `:last` of pairs
while it is there, so it may not be written before a killed run's prices are taken back).
"""

import asyncio
import math
import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final
from uuid import uuid4

import structlog

from arbees_feed.core.text import clean
from arbees_feed.core.wire import Names
from arbees_feed.enrich.stored import answered, text
from arbees_feed.errors import FatalError

_log = structlog.get_logger("arbees_feed.pairs")

CLAIM_TTL_S: Final = 10
"""How long a killed process keeps the next one waiting."""
FRESH_S: Final = 8.0
"""So long after the last renewal nobody else can have claimed it."""
LOOK_S: Final = 0.25
_TROUBLE: Final = "the claim on pairs"


class AnotherMatcher(FatalError):
    """Another process writes the pairs of this Redis."""


class Claim:
    """The right to write pairs; renew it each second."""

    def __init__(
        self,
        redis: Any,
        names: Names,
        *,
        timeout_s: float = 10.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.owner = f"{os.getpid()}.{uuid4().hex[:12]}"
        self._redis = redis
        self._key = names.pairs_owner()
        self._timeout_s = timeout_s
        self._monotonic = monotonic
        self._renewed_s = float("-inf")

    @property
    def fresh(self) -> bool:
        """Whether nobody else can have claimed it since it was renewed."""
        return self._monotonic() - self._renewed_s < FRESH_S

    async def take(self, stop: asyncio.Event) -> bool:
        """Wait until nobody holds the claim, and take it; False: *stop* came first.

        Raises:
            AnotherMatcher: somebody holds it and goes on renewing it.
            RedisUnavailable: Redis did not answer.
        """
        least_ms = float("inf")
        while not stop.is_set():
            asked_s = self._monotonic()
            if await self._answer(self._redis.set(self._key, self.owner, nx=True, ex=CLAIM_TTL_S)):
                self._renewed_s = asked_s
                return True
            left_ms = await self._answer(self._redis.pttl(self._key))
            # Without an expiry it would be waited for in vain.
            if left_ms == -1 or left_ms > least_ms:
                raise self._taken_by(await self._answer(self._redis.get(self._key)))
            if math.isinf(least_ms):
                _log.info("waiting for the claim of a matcher that may be gone", for_ms=left_ms)
            least_ms = left_ms
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await stop.wait()
        return False

    async def renew(self) -> bool:
        """Hold the claim for a while longer; return whether Redis still had it.

        False: Redis has lost it, and maybe all the rest, or nothing was renewed for too long.

        Raises:
            AnotherMatcher: somebody else holds it now.
            RedisUnavailable: Redis did not take it.
        """
        asked_s = self._monotonic()
        holder = await self._answer(self._exchange(self.owner))
        self._renewed_s = asked_s
        return holder is not None

    async def release(self) -> None:
        """Give the claim back, if it is ours.

        Raises:
            AnotherMatcher: it is somebody else's.
            RedisUnavailable: Redis did not take it; it expires.
        """
        self._renewed_s = float("-inf")
        await self._answer(self._exchange(None))

    async def _exchange(self, owner: str | None) -> bytes | str | None:
        """Write *owner*, or nobody, unless another holds it; return who held it."""
        async with self._redis.pipeline(transaction=True) as pipeline:
            await pipeline.watch(self._key)
            holder: bytes | str | None = await pipeline.get(self._key)
            if holder is not None and text(holder) != self.owner:
                self._renewed_s = float("-inf")
                raise self._taken_by(holder)
            pipeline.multi()
            if owner is None:
                pipeline.delete(self._key)
            else:
                pipeline.set(self._key, owner, ex=CLAIM_TTL_S)
            # Fails if the key has changed since; the next time tells who has it.
            await pipeline.execute()
        return holder

    def _taken_by(self, holder: bytes | str | None) -> AnotherMatcher:
        pid = clean(text(holder or b"?").partition(".")[0], 20)
        return AnotherMatcher(
            f"another `match run` (process {pid}) writes the pairs of this redis, as {self._key} "
            "says: stop one of them"
        )

    async def _answer(self, answer: Any) -> Any:
        return await answered(answer, self._timeout_s, _TROUBLE)
