"""Searching titles, in a Redis in memory and on a real server."""

from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from support.prices import price

from arbees_feed.core.model import MarketId, MarketMeta
from arbees_feed.core.venue import Found
from arbees_feed.core.wire import Names
from arbees_feed.enrich.search import search
from arbees_feed.enrich.writer import MetadataWriter
from arbees_feed.errors import RedisUnavailable

NAMES = Names("t:")
PRICE = price("M1", yes_ask=0.5, last_price=0.45)


def market(number: int, title: str, venue: str = "kalshi", **facts: Any) -> MarketMeta:
    """Return the metadata of a market."""
    return MarketMeta(market_id=MarketId(f"M{number}"), platform=venue, title=title, **facts)


@pytest.fixture
async def client(valkey: Redis, valkey_port: int) -> Any:
    """Return a client of a real server that does not decode, as the daemon's does not."""
    client = Redis(port=valkey_port)
    yield client
    await client.aclose()


@pytest.fixture
def writer(client: Redis) -> MetadataWriter:
    """Return a writer of Kalshi's metadata."""
    return MetadataWriter(client, NAMES, venue="kalshi")


async def found(client: Any, text: str, **options: Any) -> list[str]:
    """Return the ids of what is found."""
    return [hit.market_id for hit in await search(client, NAMES, text, **options)]


async def test_all_words_must_be_there_and_the_last_may_be_a_beginning(
    writer: MetadataWriter, client: Any
) -> None:
    metas = [
        market(1, "Will the Kansas City Chiefs win?"),
        market(2, "Fire chief of Kansas", event_title="City votes"),
        market(3, "Chicago at Dallas"),
    ]
    await writer.write(Found(markets=metas))
    assert await found(client, "chiefs") == ["M1"]
    assert await found(client, "KANSAS chief") == ["M2", "M1"]
    assert await found(client, "the kansas ci") == ["M1", "M2"]
    assert await found(client, "chi") == ["M1", "M2", "M3"]
    assert await found(client, "kan city") == []
    assert await found(client, "nothing at all like it") == []
    assert await found(client, " ' [ ( *") == ["M1", "M2", "M3"]


async def test_whole_words_come_first_and_then_the_most_traded(
    writer: MetadataWriter, client: Any
) -> None:
    metas = [
        market(1, "Rate", volume=5.0),
        market(2, "Rates", volume=100.0),
        market(3, "Rate", volume=50.0),
        market(4, "Rates"),
    ]
    await writer.write(Found(markets=metas))
    hits = await search(client, NAMES, "rate")
    assert [(hit.market_id, hit.volume, hit.whole) for hit in hits] == [
        ("M3", 50.0, True),
        ("M1", 5.0, True),
        ("M2", 100.0, False),
        ("M4", 0.0, False),
    ]
    assert await found(client, "rate", limit=3) == ["M3", "M1", "M2"]
    assert await found(client, "the", limit=2) == ["M2", "M3"]


async def test_ranks_follow_the_volume_though_nothing_else_changed(
    writer: MetadataWriter, client: Any
) -> None:
    await writer.write(Found(markets=[market(1, "Rate", volume=5.0), market(2, "Rate")]))
    await writer.write(
        Found(markets=[market(1, "Rate", volume=5.0), market(2, "Rate", volume=6.0)])
    )
    assert await found(client, "rate") == ["M2", "M1"]
    assert writer.stats.unchanged == 2


async def test_a_hit_has_titles_status_and_the_price_as_it_may_be_believed(
    writer: MetadataWriter, client: Any
) -> None:
    facts = {"event_id": "E", "event_title": "Event", "status": "open", "outcome_yes": "Up"}
    await writer.write(Found(markets=[market(1, "Rate", subtitle="Sub", **facts)]))
    (hit,) = await search(client, NAMES, "rate")
    assert (hit.title, hit.subtitle, hit.event_title) == ("Rate", "Sub", "Event")
    assert (hit.event_id, hit.status, hit.outcome_yes, hit.price) == ("E", "open", "Up", None)
    await client.set("t:market:M1:last", PRICE.to_msgpack())
    await client.hset("t:feed:venue:kalshi", "state", "live")
    (hit,) = await search(client, NAMES, "rate")
    assert hit.price == PRICE
    await client.delete("t:feed:venue:kalshi")
    (hit,) = await search(client, NAMES, "rate")
    assert hit.price is not None
    assert (hit.price.status, hit.price.yes_bid, hit.price.yes_ask) == ("stale", 0.0, 1.0)
    await client.set("t:market:M1:last", b"garbage")
    assert (await search(client, NAMES, "rate"))[0].price is None


async def test_venues_are_searched_together_or_one_alone(
    writer: MetadataWriter, client: Any
) -> None:
    other = market(2, "Rate", "polymarket", volume=9.0)
    await writer.write(Found(markets=[market(1, "Rate"), other]))
    assert await found(client, "rate") == ["M2", "M1"]
    assert await found(client, "rate", venue="kalshi") == ["M1"]
    assert await found(client, "rate", venue="nowhere") == []


async def test_common_words_are_looked_for_among_the_most_traded(
    writer: MetadataWriter, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is the same; only the way to it is another."""
    metas = [
        market(n, "Rate" if n % 3 else "Rates up" if n % 2 else "Rating", volume=float(n))
        for n in range(1, 200)
    ]
    await writer.write(Found(markets=metas))
    queries = ["rate", "rat", "rates", "rates u", "rating", "r"]
    plain = {query: await found(client, query, limit=10) for query in queries}
    monkeypatch.setattr("arbees_feed.enrich.search._AT_ONCE", 20)
    for small in (0, 40, 80, 150):
        monkeypatch.setattr("arbees_feed.enrich.search.SMALL", small)
        assert {query: await found(client, query, limit=10) for query in queries} == plain


async def test_a_title_that_changed_is_found_by_its_new_words_only(
    writer: MetadataWriter, client: Any
) -> None:
    await writer.write(Found(markets=[market(1, "Old shared", event_id="E1")]))
    await writer.write(Found(markets=[market(1, "New shared", event_id="E2")]))
    assert [await found(client, word) for word in ("old", "new", "shared")] == [[], ["M1"], ["M1"]]
    assert await client.exists("t:feed:search:kalshi:old", "t:event:E1:markets") == 0
    assert await client.zscore("t:feed:search:kalshi", "old") is None


async def test_words_left_by_a_former_run_go_when_the_title_is_another(
    writer: MetadataWriter, client: Any
) -> None:
    await writer.write(Found(markets=[market(1, "Old")]))
    await MetadataWriter(client, NAMES).write(Found(markets=[market(1, "New")]))
    assert [await found(client, word) for word in ("old", "new")] == [[], ["M1"]]


async def test_a_status_that_changed_does_not_touch_the_index(
    writer: MetadataWriter, client: Any
) -> None:
    await writer.write(Found(markets=[market(1, "Rate")]))
    await client.delete("t:feed:search:kalshi:rate")
    await writer.write(Found(markets=[market(1, "Rate", status="closed")]))
    assert await client.exists("t:feed:search:kalshi:rate") == 0


async def test_a_market_that_was_removed_meanwhile_is_left_out(
    writer: MetadataWriter, client: Any
) -> None:
    await writer.write(Found(markets=[market(1, "Rate"), market(2, "Rate")]))
    await client.delete("t:market:M1:meta")
    assert await found(client, "rate") == ["M2"]


async def test_a_market_without_a_title_is_found_by_its_id(
    writer: MetadataWriter, client: Any
) -> None:
    meta = MarketMeta(market_id=MarketId("KXA-1"), platform="kalshi")
    await writer.write(Found(markets=[meta]))
    (hit,) = await search(client, NAMES, "kxa")
    assert (hit.market_id, hit.title) == ("KXA-1", "")


async def test_a_redis_that_is_away_is_told() -> None:
    class Away:
        async def smembers(self, _: str) -> None:
            raise RedisConnectionError("away")

    with pytest.raises(RedisUnavailable, match="away"):
        await search(Away(), NAMES, "rate")
