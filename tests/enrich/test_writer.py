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


async def everything(client: Redis) -> set[str]:
    """Return all keys."""
    return {str(key) for key in await client.keys("*")}


async def test_removing_a_market_takes_its_hash_words_rank_and_place_in_the_event(
    writer: MetadataWriter, client: Redis
) -> None:
    writer.venue = "kalshi"
    event = EventMeta("E", "kalshi", title="Event", market_ids=(MarketId("M1"), MarketId("M2")))
    await writer.write(Found(markets=[market(1), market(2)], events=[event]))
    await writer.remove(["M1"])
    assert not writer.knows("M1")
    assert await client.exists("t:market:M1:meta") == 0
    assert await client.smembers("t:event:E:markets") == {"M2"}
    assert await client.zrange("t:feed:volume:kalshi", 0, -1) == ["M2"]
    assert await client.smembers("t:feed:search:kalshi:market") == {"M2"}
    assert await client.zscore("t:feed:search:kalshi", "m1") is None
    assert await client.hget("t:event:E:meta", "title") == "Event"
    await writer.remove(["M2", "NEVER SEEN"])
    assert await everything(client) == {"t:feed:search"}
    assert (writer.stats.removed, writer.stats.events_removed) == (3, 1)


async def test_a_market_that_was_removed_can_come_again(
    writer: MetadataWriter, client: Redis
) -> None:
    event = EventMeta("E", "kalshi", title="Event", market_ids=(MarketId("M1"),))
    writer.venue = "kalshi"
    await writer.write(Found(markets=[market(1)], events=[event]))
    before = await everything(client)
    await writer.remove(["M1"])
    await writer.write(Found(markets=[market(1)], events=[event]))
    assert await everything(client) == before


async def test_what_a_former_run_left_is_counted_and_shown(
    writer: MetadataWriter, client: Redis
) -> None:
    writer.venue = "kalshi"
    await MetadataWriter(client, NAMES).write(Found(markets=[market(1), market(2)]))
    await writer.write(Found(markets=[market(2)]))
    assert await writer.count() == 2
    assert [name async for name in writer.strangers()] == ["M1"]


async def test_what_is_remembered_is_small(writer: MetadataWriter) -> None:
    """Sixteen bytes a market beside its id: 100,000 markets are some 15 MB."""
    await writer.write(Found(markets=[market()]))
    assert len(writer._written._digests["M1"]) == 16
