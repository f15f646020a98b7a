"""What a matcher of pairs says of itself, without one that runs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from redis.asyncio import Redis

from arbees_feed.core.wire import Names

LIFETIME_S: Final = 10
"""As a real one's; tests/ops/test_matcher.py holds them together."""
COVERED: Final = {
    "state": "live", "markets": "812", "pairs": "19", "confirmed": "15", "by_user": "2",
    "live": "12", "contradicted": "1",
}  # fmt: skip


async def say_once(client: Any, lasting_s: int = 3_600) -> None:
    """Say it in one word that lasts for so long."""
    async with client.pipeline(transaction=True) as pipeline:
        pipeline.hset(Names().pairs_state(), mapping=dict(COVERED))
        pipeline.expire(Names().pairs_state(), lasting_s)
        await pipeline.execute()


@asynccontextmanager
async def matcher(redis_url: str) -> AsyncIterator[None]:
    """Say it each second until the block ends: then as one that was killed."""

    async def speak(client: Any) -> None:
        while True:
            await say_once(client, LIFETIME_S)
            await asyncio.sleep(1.0)

    async with Redis.from_url(redis_url) as client, asyncio.TaskGroup() as group:
        speaker = group.create_task(speak(client))
        try:
            yield
        finally:
            speaker.cancel()
