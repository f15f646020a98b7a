"""Metadata in Redis: merged, diffed, and taken away again."""

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from arbees_feed.core.model import EventMeta, MarketId, MarketMeta
from arbees_feed.core.venue import Found
from arbees_feed.core.wire import Names
from arbees_feed.enrich.writer import RECORDS_A_PIPELINE, MetadataWriter
from arbees_feed.errors import RedisUnavailable

NAMES = Names("t:")


def market(number: int = 1, **changes: Any) -> MarketMeta:
    """Return the metadata of a market of event E."""
    facts: dict[str, Any] = {"title": f"Market {number}", "event_id": "E", **changes}
    return MarketMeta(market_id=MarketId(f"M{number}"), platform="kalshi", **facts)


class Broken:
    """A Redis whose pipelines fail, or never answer."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error

    def pipeline(self, *, transaction: bool) -> "Broken":
        """Return itself."""
        assert not transaction
        return self

    def __getattr__(self, _command: str) -> Any:
        """Take any command."""
        return lambda *_, **__: None

    async def execute(self) -> None:
        """Fail, or wait for ever."""
        if self.error:
            raise self.error
        await asyncio.Event().wait()


@pytest.fixture(params=["redis", "valkey"])
def client(request: pytest.FixtureRequest) -> Redis:
    """Return a Redis in memory, and a real server."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def now() -> list[float]:
    """Return the Unix time of the writer, to be moved."""
    return [1_795_219_200.5]


@pytest.fixture
def writer(client: Redis, now: list[float]) -> MetadataWriter:
    """Return a writer."""
    return MetadataWriter(client, NAMES, now=lambda: now[0])


async def test_a_market_and_its_event_are_written(writer: MetadataWriter, client: Redis) -> None:
    event = EventMeta(event_id="E", platform="kalshi", title="Event", market_ids=(MarketId("M1"),))
    meta = market(status="open", extras={"series_ticker": "S"})
    await writer.write(Found(markets=[meta], events=[event]))
    assert await client.hgetall("t:market:M1:meta") == {
        "platform": "kalshi",
        "title": "Market 1",
        "event_id": "E",
        "status": "open",
        "series_ticker": "S",
        "enriched_at": "2026-11-21T00:00:00.500Z",
    }
    assert await client.hgetall("t:event:E:meta") == {
        "platform": "kalshi",
        "title": "Event",
        "market_count": "1",
        "enriched_at": "2026-11-21T00:00:00.500Z",
    }
    assert await client.smembers("t:event:E:markets") == {"M1"}
    assert (writer.stats.markets_written, writer.stats.events_written) == (1, 1)


async def test_nothing_is_written_when_nothing_changed(
    writer: MetadataWriter, client: Redis, now: list[float]
) -> None:
    await writer.write(Found(markets=[market(volume=1.0)]))
    now[0] += 60
    await client.delete("t:market:M1:meta")
    await writer.write(Found(markets=[market(volume=2.0)]))
    assert await client.hgetall("t:market:M1:meta") == {}
    assert writer.stats.unchanged == 1


async def test_a_change_is_written_with_its_time(
    writer: MetadataWriter, client: Redis, now: list[float]
) -> None:
    await writer.write(Found(markets=[market()]))
    now[0] += 60
    await writer.write(Found(markets=[market(title="New")]))
    fields = await client.hgetall("t:market:M1:meta")
    assert (fields["title"], fields["enriched_at"]) == ("New", "2026-11-21T00:01:00.500Z")


async def test_facts_that_vanished_are_deleted_and_fields_of_others_stay(
    writer: MetadataWriter, client: Redis
) -> None:
    await writer.write(Found(markets=[market(subtitle="gone", extras={"result": "yes", "a": "1"})]))
    await client.hset("t:market:M1:meta", mapping={"note": "of somebody else"})
    await writer.write(Found(markets=[market(extras={"a": "1"})]))
    fields = await client.hgetall("t:market:M1:meta")
    assert fields.keys() == {"platform", "title", "event_id", "a", "note", "enriched_at"}


async def test_facts_left_by_a_former_run_are_deleted(
    writer: MetadataWriter, client: Redis
) -> None:
    await client.hset("t:market:M1:meta", mapping={"subtitle": "old", "title": "old"})
    await client.hset("t:event:E:meta", mapping={"market_count": "9"})
    event = EventMeta(event_id="E", platform="kalshi")
    await writer.write(Found(markets=[market()], events=[event]))
    assert "subtitle" not in await client.hgetall("t:market:M1:meta")
    assert "market_count" not in await client.hgetall("t:event:E:meta")


async def test_everything_is_written_again_after_a_flush(
    writer: MetadataWriter, client: Redis
) -> None:
    await writer.write(Found(markets=[market()]))
    await client.flushall()
    writer.forget()
    assert not writer.knows("M1")
    await writer.write(Found(markets=[market()]))
    assert await client.hget("t:market:M1:meta", "title") == "Market 1"
    assert await client.smembers("t:event:E:markets") == {"M1"}


async def test_many_markets_go_in_several_pipelines(writer: MetadataWriter, client: Redis) -> None:
    count = RECORDS_A_PIPELINE * 2 + 1
    await writer.write(Found(markets=[market(number) for number in range(count)]))
    assert await client.scard("t:event:E:markets") == count
    assert writer.stats.markets_written == count


async def test_an_announcement_is_written_once_and_takes_nothing_away(
    writer: MetadataWriter, client: Redis
) -> None:
    await writer.write_first([market(1), market(2)])
    await writer.write(Found(markets=[market(1, subtitle="more")]))
    await writer.write_first([market(1, title="less")])
    fields = await client.hgetall("t:market:M1:meta")
    assert (fields["title"], fields["subtitle"]) == ("Market 1", "more")
    assert await client.hget("t:market:M2:meta", "title") == "Market 2"


async def test_an_announcement_adds_to_what_a_former_run_wrote(
    writer: MetadataWriter, client: Redis
) -> None:
    await client.hset("t:market:M1:meta", mapping={"subtitle": "kept", "title": "old"})
    await writer.write_first([market(title="new")])
    fields = await client.hgetall("t:market:M1:meta")
    assert (fields["title"], fields["subtitle"]) == ("new", "kept")


@pytest.mark.parametrize("error", [RedisConnectionError("away"), OSError("away"), None])
async def test_a_failed_pipeline_does_not_count_as_written(
    redis: Redis, error: Exception | None
) -> None:
    writer = MetadataWriter(Broken(error), NAMES, timeout_s=0.05)
    with pytest.raises(RedisUnavailable, match="metadata could not be written"):
        await writer.write(Found(markets=[market()]))
    assert not writer.knows("M1")
    assert writer.stats.markets_written == 0


async def test_a_refused_write_is_told(writer: MetadataWriter, client: Redis) -> None:
    await client.set("t:market:M1:meta", "not a hash")
    with pytest.raises(RedisUnavailable, match="WRONGTYPE"):
        await writer.write(Found(markets=[market()]))
