"""Leases: what readers ask for is followed, within reason."""

import re
from collections.abc import AsyncIterator, Sequence

import pytest
from fakeredis import FakeAsyncRedis

from arbees_feed.core.model import MarketId
from arbees_feed.feed.demand import Demand, Terms

KEY = "feed:watch:kalshi"
NOW_S = 1_000.0


class Asked:
    """A demand over a fake server, with the time in our hands."""

    def __init__(self, client: FakeAsyncRedis, limit: int = 10) -> None:
        self.client = client
        self.now_s = NOW_S
        self.wanted: list[MarketId] = []
        self.dropped: list[MarketId] = []
        self.demand = Demand(
            "kalshi",
            client,
            Terms(KEY, re.compile("[A-Z0-9-]{1,20}"), limit),
            want=self._want,
            drop=self.dropped.extend,
            now=lambda: self.now_s,
        )

    def _want(self, markets: Sequence[MarketId]) -> None:
        self.wanted.extend(markets)

    async def lease(self, until_s: float, *markets: str) -> None:
        await self.client.zadd(KEY, dict.fromkeys(markets, until_s))


@pytest.fixture
async def client() -> AsyncIterator[FakeAsyncRedis]:
    async with FakeAsyncRedis() as fake:
        yield fake


async def test_a_lease_is_followed_once_and_dropped_when_it_ends(client: FakeAsyncRedis) -> None:
    asked = Asked(client)
    await asked.lease(NOW_S + 5, "KXA", "KXB")
    await asked.demand.look()
    await asked.demand.look()
    assert sorted(asked.wanted) == ["KXA", "KXB"]
    await asked.lease(NOW_S + 60, "KXB")  # renewed by another reader
    asked.now_s += 6
    await asked.demand.look()
    assert asked.dropped == ["KXA"]
    assert await client.zrange(KEY, 0, -1) == [b"KXB"]


async def test_a_lease_without_end_stays(client: FakeAsyncRedis) -> None:
    asked = Asked(client)
    await asked.lease(float("inf"), "KXA")
    asked.now_s += 1e9
    await asked.demand.look()
    assert (asked.wanted, asked.dropped) == (["KXA"], [])


async def test_nonsense_is_refused_removed_and_visible(client: FakeAsyncRedis) -> None:
    asked = Asked(client)
    await asked.lease(NOW_S + 5, "KXA", "no such thing", "x" * 10_000)
    await client.zadd(KEY, {b"\xff\xfe": NOW_S + 5})
    await asked.demand.look()
    assert asked.wanted == ["KXA"]
    assert await client.zrange(KEY, 0, -1) == [b"KXA"]
    assert asked.demand.stats.refused_form == 3
    assert asked.demand.fields()["demand_refused"] == "3"


async def test_more_than_the_limit_is_refused_until_there_is_room(client: FakeAsyncRedis) -> None:
    asked = Asked(client, limit=2)
    await asked.lease(NOW_S + 5, "KXA", "KXB")
    await asked.demand.look()
    await asked.lease(NOW_S + 3, "KX0")  # sorts first, but the others were here before
    await asked.lease(NOW_S + 50, "KXZ")
    await asked.demand.look()
    assert sorted(asked.wanted) == ["KXA", "KXB"]
    assert asked.demand.stats.refused_full == 2
    assert "2 markets are followed" in asked.demand.fields()["demand_last_refused"]
    asked.now_s += 6
    await asked.demand.look()
    assert sorted(asked.dropped) == ["KXA", "KXB"]
    assert asked.wanted[2:] == ["KXZ"]
    assert asked.demand.stats.refused_full == 0
