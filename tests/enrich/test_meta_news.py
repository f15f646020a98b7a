"""What `feed:meta` tells: which markets' metadata was written or removed, and nothing else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis.asyncio import Redis

from arbees_feed.core.model import EventMeta, MarketId, MarketMeta
from arbees_feed.core.venue import Found
from arbees_feed.core.wire import MetadataNews, Names
from arbees_feed.enrich.writer import RECORDS_A_PIPELINE, MetadataWriter

NAMES = Names("t:")
END = b"no news"


def market(number: int = 1, **changes: Any) -> MarketMeta:
    """Return the metadata of a market of event E."""
    facts: dict[str, Any] = {"title": f"Market {number}", "event_id": "E", **changes}
    return MarketMeta(market_id=MarketId(f"M{number}"), platform="kalshi", **facts)


class Listener:
    """A subscriber of the channel."""

    def __init__(self, client: Redis, messages: Any) -> None:
        self._client = client
        self._messages = messages

    async def heard(self) -> list[MetadataNews]:
        """Return all news since the last call: what stands before a mark that is sent now."""
        await self._client.publish(NAMES.meta_news(), END)
        news: list[MetadataNews] = []
        async with asyncio.timeout(30):
            async for message in self._messages.listen():
                if message["data"] == END:
                    return news
                if message["type"] == "message":
                    news.append(MetadataNews.from_msgpack(message["data"]))
        raise AssertionError("the channel has ended")


@asynccontextmanager
async def _listening(port: int) -> AsyncIterator[Listener]:
    client = Redis(port=port)
    messages = client.pubsub()
    try:
        await messages.subscribe(NAMES.meta_news())
        yield Listener(client, messages)
    finally:
        await messages.aclose()
        await client.aclose()


@pytest.fixture
async def listener(valkey_port: int) -> AsyncIterator[Listener]:
    """Return somebody who listens from the start."""
    async with _listening(valkey_port) as listener:
        yield listener


@pytest.fixture
def writer(valkey: Redis) -> MetadataWriter:
    """Return a writer of Kalshi's markets."""
    return MetadataWriter(valkey, NAMES, venue="kalshi")


async def test_written_markets_are_named(writer: MetadataWriter, listener: Listener) -> None:
    await writer.write(Found(markets=[market(1), market(2)]))
    assert await listener.heard() == [MetadataNews("kalshi", ("M1", "M2"))]


async def test_nothing_is_said_when_nothing_changed(
    writer: MetadataWriter, listener: Listener
) -> None:
    event = EventMeta("E", "kalshi", title="Event", market_ids=(MarketId("M1"),))
    await writer.write(Found(markets=[market(1, volume=1.0)], events=[event]))
    await listener.heard()
    await writer.write(Found(markets=[market(1, volume=2.0)], events=[event]))
    await writer.write_first([market(1, title="Announced")])
    await writer.write(Found(events=[EventMeta("E", "kalshi", title="Other")]))
    assert await listener.heard() == []


async def test_only_the_changed_of_many_are_named(
    writer: MetadataWriter, listener: Listener
) -> None:
    await writer.write(Found(markets=[market(1), market(2), market(3)]))
    await listener.heard()
    await writer.write(Found(markets=[market(1), market(2, status="paused"), market(3)]))
    assert await listener.heard() == [MetadataNews("kalshi", ("M2",))]


async def test_an_announced_market_is_named_once(
    writer: MetadataWriter, listener: Listener
) -> None:
    await writer.write_first([market(1)])
    await writer.write_first([market(1)])
    assert await listener.heard() == [MetadataNews("kalshi", ("M1",))]


async def test_removed_markets_are_named(
    writer: MetadataWriter, listener: Listener, valkey: Redis
) -> None:
    await writer.write(Found(markets=[market(1), market(2)]))
    await listener.heard()
    await writer.remove(["M1"])
    assert await listener.heard() == [MetadataNews("kalshi", ("M1",))]
    assert await valkey.keys("t:market:*:meta") == ["t:market:M2:meta"]


async def test_who_hears_of_a_market_finds_it_as_it_is(
    writer: MetadataWriter, listener: Listener, valkey: Redis
) -> None:
    await writer.write(Found(markets=[market(1, title="Old")]))
    await writer.write(Found(markets=[market(1, title="New")]))
    assert len(await listener.heard()) == 2
    assert await valkey.hget("t:market:M1:meta", "title") == "New"


async def test_each_venue_is_told_apart_and_portions_are_told_as_they_are_written(
    writer: MetadataWriter, listener: Listener
) -> None:
    many = [market(number) for number in range(RECORDS_A_PIPELINE + 1)]
    other = MarketMeta(MarketId("77"), "polymarket", title="T")
    await writer.write(Found(markets=[*many, other]))
    news = await listener.heard()
    assert [(n.venue, len(n.markets)) for n in news] == [
        ("kalshi", RECORDS_A_PIPELINE),
        ("kalshi", 1),
        ("polymarket", 1),
    ]
    assert [m for n in news for m in n.markets] == [*(m.market_id for m in many), "77"]
