"""What Redis has of pairs."""

import msgspec
import pytest
from redis.asyncio import Redis

from arbees_feed.core.wire import Names
from arbees_feed.errors import RedisUnavailable
from arbees_feed.pairs.price import PairPrice
from arbees_feed.pairs.store import PairRecord, PairStore

NAMES = Names("t:")
RECORD = PairRecord(
    pair_id="K.1",
    kalshi_id="K",
    polymarket_id="77",
    grade="identical",
    confidence=0.99,
    polarity="inverted",
    by="matcher",
    reasons="day 2026-11-22 = 2026-11-22\x1b[31m",
    conflicts="",
    since="2026-11-22T00:00:00Z",
)


async def test_a_pair_is_found_by_its_id_and_by_both_markets(redis: Redis) -> None:
    store = PairStore(redis, NAMES)
    await store.write([RECORD])
    assert await redis.zrange("t:feed:pairs", 0, -1, withscores=True) == [(b"K.1", 0.99)]
    assert await redis.smembers("t:market:K:pairs") == {b"K.1"}
    assert await redis.smembers("t:market:77:pairs") == {b"K.1"}
    (fields,) = (await store.known()).values()
    assert fields["polarity"] == "inverted"
    assert fields["reasons"] == "day 2026-11-22 = 2026-11-22[31m"
    assert "conflicts" not in fields


async def test_what_a_pair_was_before_is_gone(redis: Redis) -> None:
    store = PairStore(redis, NAMES)
    await store.write([msgspec.structs.replace(RECORD, conflicts="ties")])
    await store.write([RECORD])
    assert "conflicts" not in (await store.known())["K.1"]


async def test_a_pair_that_goes_leaves_nothing_but_its_last_word(redis: Redis) -> None:
    store = PairStore(redis, NAMES)
    await store.write([RECORD])
    price = PairPrice(
        pair_id="K.1", kalshi_id="K", polymarket_id="77", polarity="same", status="closed"
    )
    await store.publish([price])
    await store.remove({"K.1": ["K", "77"]})
    assert await redis.keys("*") == [b"t:pair:K.1:last"]
    assert 0 < await redis.ttl("t:pair:K.1:last") <= 3600


async def test_last_is_there_when_the_message_is(redis: Redis) -> None:
    store = PairStore(redis, NAMES)
    channel = redis.pubsub(ignore_subscribe_messages=True)
    await channel.psubscribe("t:pair:*:price")
    await channel.get_message(timeout=5)
    price = PairPrice(
        pair_id="K.1", kalshi_id="K", polymarket_id="77", polarity="same", status="stale"
    )
    await store.publish([price])
    message = await channel.get_message(timeout=5)
    assert message is not None
    assert message["channel"] == b"t:pair:K.1:price"
    assert PairPrice.from_msgpack(message["data"]) == price
    assert await redis.get("t:pair:K.1:last") == message["data"]
    await channel.aclose()


async def test_what_was_published_last_is_read_whatever_else_there_is(redis: Redis) -> None:
    store = PairStore(redis, NAMES)
    price = PairPrice(
        pair_id="K.1", kalshi_id="K", polymarket_id="77", polarity="same", status="live"
    )
    await store.publish([price])
    await redis.set("t:pair:K.2:last", b"\xc1")
    assert await store.lasts(["K.1", "K.2", "K.3"]) == {"K.1": price}


async def test_the_state_ends_with_the_process(redis: Redis) -> None:
    store = PairStore(redis, NAMES)
    await store.say_state({"pairs": "3"})
    await store.end_state()
    assert await redis.keys("*") == []


async def test_the_state_expires(redis: Redis) -> None:
    await PairStore(redis, NAMES).say_state({"pairs": "3"})
    assert await redis.hgetall("t:feed:pairs:state") == {b"pairs": b"3"}
    assert 0 < await redis.ttl("t:feed:pairs:state") <= 10


async def test_a_server_that_is_not_there_is_an_error_to_try_again_after() -> None:
    redis = Redis.from_url("redis://127.0.0.1:1/0")
    store = PairStore(redis, NAMES)
    with pytest.raises(RedisUnavailable, match="could not be written"):
        await store.write([RECORD])
    with pytest.raises(RedisUnavailable, match="could not be read"):
        await store.known()
    await redis.aclose()
