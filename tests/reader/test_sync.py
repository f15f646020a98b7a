"""The reader for scripts, in a thread of its own; the publisher is a script too."""

import threading
import time
from collections.abc import Iterator

import msgpack
import pytest
import redis
from reader.test_state import beat, price

from arbees_feed.reader import AuthenticationRejected, RedisUnavailable, SyncPriceReader


class Script:
    """Writes prices as the feed does, by hand."""

    def __init__(self, url: str) -> None:
        self.client = redis.Redis.from_url(url)
        self.seq = 0

    def beat(self) -> None:
        with self.client.pipeline() as pipeline:
            pipeline.hset("feed:venue:kalshi", mapping={"session": 5, "state": "live"})
            pipeline.expire("feed:venue:kalshi", 10)
            pipeline.publish("feed:status", beat())
            pipeline.execute()

    def put(self, *markets: str) -> None:
        self.seq += 1
        with self.client.pipeline() as pipeline:
            for market in markets:
                data = price(self.seq, market=market)
                pipeline.set(f"market:{market}:last", data)
                pipeline.sadd("feed:markets:kalshi", market)
                pipeline.publish(f"market:{market}:price", data)
            pipeline.execute()


@pytest.fixture
def script(redis_url: str) -> Iterator[Script]:
    writing = Script(redis_url)
    writing.beat()
    yield writing
    writing.client.close()


def test_a_script_reads_prices(redis_url: str, script: Script) -> None:
    script.put("A", "B")
    with SyncPriceReader(redis_url, stale_after_s=1.0) as reader:
        assert set(reader.book) == {"A", "B"}
        assert {next(reader).market_id, next(reader).market_id} == {"A", "B"}
        assert reader.take(0.05) is None
        script.put("A")
        taken = reader.take(2.0)
        assert taken is not None
        assert (taken.market_id, taken.seq, taken.status) == ("A", 2, "live")
        for got in reader:
            assert got.status == "stale"  # the script beats no more
            break
        assert "no heartbeat" in reader.venues["kalshi"].reason


def test_a_script_that_sleeps_gets_the_newest_price_and_keeps_its_connection(
    redis_url: str, script: Script
) -> None:
    script.put("A", "B", "C")
    with SyncPriceReader(redis_url) as reader:
        assert next(reader).seq == 1  # the others cross to this thread with it
        for _ in range(8):
            time.sleep(0.2)
            script.beat()
            script.put("A", "B", "C")
        deadline_s = time.monotonic() + 2.0
        while reader.stats.received < 24:
            assert time.monotonic() < deadline_s
            time.sleep(0.01)
        got = [taken for _ in range(6) if (taken := reader.take(0.1)) is not None]
        assert sorted((one.market_id, one.seq) for one in got) == [("A", 9), ("B", 9), ("C", 9)]
        assert (reader.stats.failures, reader.trouble) == (0, "")


def test_a_script_changes_its_mind(redis_url: str, script: Script) -> None:
    script.put("A", "B")
    with SyncPriceReader(redis_url, markets=["A"]) as reader:
        reader.follow("B")
        assert set(reader.book) == {"A", "B"}
        reader.unfollow("A")
        assert set(reader.book) == {"B"}


def test_every_price_in_order(redis_url: str, script: Script) -> None:
    script.put("A")
    with SyncPriceReader(redis_url, every=True) as reader:
        for _ in range(50):
            script.put("A")
        assert [next(reader).seq for _ in range(51)] == list(range(1, 52))


def test_nothing_is_left_behind(redis_url: str, script: Script) -> None:
    before = threading.active_count()
    for _ in range(3):
        with SyncPriceReader(redis_url):
            pass
    with pytest.raises(LookupError), SyncPriceReader(redis_url):
        raise LookupError
    assert threading.active_count() == before
    assert not script.client.client_list(_type="pubsub")


def test_errors_at_the_start_come_out_as_they_are(redis_url: str) -> None:
    with (
        pytest.raises(RedisUnavailable),
        SyncPriceReader("redis://127.0.0.1:1", start_timeout_s=0.2),
    ):
        pass
    wrong = redis_url.replace("redis://", "redis://nobody:wrong@")
    with pytest.raises(AuthenticationRejected), SyncPriceReader(wrong):
        pass
    with pytest.raises(RuntimeError, match="entered"):
        next(SyncPriceReader(redis_url))


def test_messages_are_plain_msgpack() -> None:
    assert msgpack.unpackb(price(1))["market_id"] == "A"
