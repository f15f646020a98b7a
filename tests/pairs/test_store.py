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


async def test_a_key_of_another_kind_costs_what_would_be_in_it(redis: Redis) -> None:
    store = PairStore(redis, NAMES)
    await redis.set("t:market:77:pairs", "somebody else's")
    other = msgspec.structs.replace(RECORD, pair_id="K.2", polymarket_id="78")
    await store.write([RECORD, other])
    assert store.unreadable.count == 1
    assert await redis.get("t:market:77:pairs") == b"somebody else's"
    assert set(await store.known()) == {"K.1", "K.2"}
    assert await redis.smembers("t:market:K:pairs") == {b"K.1", b"K.2"}
    await redis.delete("t:pair:K.1")
    await redis.set("t:pair:K.1", "a string")
    known = await store.known()
    assert known["K.1"] == {}
    assert known["K.2"]["grade"] == "identical"
    await store.remove({"K.1": ["K", "77"], "K.2": ["K", "78"]})
    assert await redis.keys("*") == [b"t:market:77:pairs"]


async def test_what_is_no_id_of_a_pair_is_left_alone(redis: Redis) -> None:
    await redis.zadd("t:feed:pairs", {"K.1:last": 1.0, "\x1b[31m": 1.0, "": 1.0, "K.3": 0.5})
    await redis.set("t:pair:K.1:last", "a price")
    assert await PairStore(redis, NAMES).known() == {"K.3": {}}


async def test_the_price_of_another_pair_is_not_believed(redis: Redis) -> None:
    price = PairPrice(
        pair_id="K.1", kalshi_id="K", polymarket_id="77", polarity="same", status="live"
    )
    await redis.set("t:pair:K.2:last", price.to_msgpack())
    late = msgspec.structs.replace(price, pair_id="K.3", session=2**64 - 1)
    await redis.set("t:pair:K.3:last", late.to_msgpack())
    assert await PairStore(redis, NAMES).lasts(["K.2", "K.3"]) == {}


async def test_a_server_that_refuses_to_write_is_an_error_to_try_again_after(redis: Redis) -> None:
    await redis.config_set("maxmemory", "1")
    store = PairStore(redis, NAMES)
    price = PairPrice(
        pair_id="K.1", kalshi_id="K", polymarket_id="77", polarity="same", status="live"
    )
    for said in (store.write([RECORD]), store.publish([price])):
        with pytest.raises(RedisUnavailable, match=r"could not be written|used memory"):
            await said
    await redis.config_set("maxmemory", "0")
    await store.write([RECORD])
    assert store.unreadable.count == 0
