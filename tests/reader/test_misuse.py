"""What others write where a feed writes, and what a program does that it should not."""

import asyncio
import math
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable

import msgspec
import pytest
import redis
from reader.test_reader import kill_subscribers, logging
from reader.test_state import Desk, beat, channel_of, key_of, price
from redis.asyncio import Redis
from support.publishing import VENUE, Published, publishing

from arbees_feed.core.wire import MarketPrice
from arbees_feed.reader import (
    AuthenticationRejected,
    PriceReader,
    SettingsError,
    SyncPriceReader,
)
from arbees_feed.reader.incoming import MOST_VENUES


def altered(**fields: object) -> bytes:
    """Return a price of market A that no feed would send."""
    return msgspec.structs.replace(MarketPrice.from_msgpack(price(2)), **fields).to_msgpack()


IMPOSSIBLE = [
    altered(yes_bid=math.nan),
    altered(yes_ask=math.inf),
    altered(yes_bid=-0.1),
    altered(yes_ask=1.1),
    altered(yes_bid=0.9, yes_ask=0.9),
    altered(yes_bid=0.95, yes_ask=0.9),
    altered(yes_bid_size=-1.0),
    altered(yes_ask_size=math.nan),
    altered(seq=0),
    altered(session=-5),
]


@pytest.fixture
def desk() -> Desk:
    told = Desk()
    told.beat()
    told.publish(price(1))
    assert told.taken() == [("A", 5, 1, "live")]
    return told


@pytest.mark.parametrize("data", IMPOSSIBLE)
def test_a_price_that_cannot_be_is_dropped_and_counted(desk: Desk, data: bytes) -> None:
    desk.publish(data)
    desk.join(data)
    desk.state.audit(data, key_of(data))
    assert desk.stats.malformed == 3
    desk.publish(price(2))
    assert desk.taken()[-1:] == [("A", 5, 2, "live")]


def test_a_price_counts_in_the_channel_and_under_the_key_of_its_market_only(desk: Desk) -> None:
    other = price(7)
    for channel in (b"market:B:price", b"market:AA:price", b"market::price", b"", b"x" * 9):
        desk.state.published_on(channel, other, desk.now_s)
    for key in ("market:B:last", "market::last", "another"):
        desk.state.kept(other, key)
    assert (desk.taken(), desk.stats.malformed) == ([], 8)


def test_names_of_any_kind_are_told_apart_from_their_surroundings(desk: Desk) -> None:
    for market in ("市", "a:price", "market:A", "*"):
        desk.state.published_on(channel_of(price(1, market=market)),
                                price(1, market=market), desk.now_s)  # fmt: skip
    assert [taken[0] for taken in desk.taken()] == ["市", "a:price", "market:A", "*"]


def test_a_flood_of_venues_is_no_flood_of_memory(desk: Desk) -> None:
    for number in range(2 * MOST_VENUES):
        desk.beat(venue=f"v{number}")
        desk.publish(price(1, market=f"M{number}", platform=f"w{number}"))
    assert len(desk.state.venues) == MOST_VENUES
    desk.publish(price(2))
    assert desk.taken()[-1] == ("A", 5, 2, "live")


def test_after_a_forged_newer_session_a_quiet_market_comes_back(desk: Desk) -> None:
    """The forger falls silent; the feed goes on, and `:last` tells what is true still."""
    desk.join(price(1))
    desk.beat(session=2**60)
    assert desk.taken() == [("A", 5, 1, "stale")]
    desk.pass_time(2.6)
    desk.beat()
    assert desk.state.unsure  # so the session reads all again, as `join` does
    desk.join(price(1))
    assert desk.taken() == [("A", 5, 1, "live")]
    assert not desk.state.unsure


async def in_time(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30.0):
        while not condition():  # noqa: ASYNC110 - counters tell nobody
            await asyncio.sleep(0.02)


@pytest.fixture
async def published(redis_url: str) -> AsyncIterator[Published]:
    """A publisher with a price of A and of B."""
    async with publishing(redis_url) as running:
        running.put("A")
        running.put("B")
        await running.settled()
        yield running


async def test_hostile_messages_cost_nothing_else(published: Published, redis_url: str) -> None:
    rubbish = [b"", b"\xc1", b"\x00" * 100_000, os.urandom(1_000), *IMPOSSIBLE]
    async with Redis.from_url(redis_url) as client, logging(PriceReader(redis_url)) as log:
        for data in rubbish:
            await client.publish("market:A:price", data)
            await client.publish("feed:status", data)
        await client.publish("market:B:price", price(9, market="A", session=published.session))
        await in_time(lambda: log.reader.stats.malformed == 2 * len(rubbish) + 1)
        published.put("A")
        await log.until(lambda: bool(log.of("A")) and log.of("A")[-1].seq == 2)
        assert (log.reader.stats.failures, log.reader.stats.missed) == (0, 0)
        assert set(log.statuses().values()) == {"live"}


@pytest.mark.parametrize(
    "key",
    ["feed:venue:polymarket", "feed:markets:polymarket", "event:E:markets", "market:B:last",
     f"feed:watch:{VENUE}"],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["SET", "LPUSH"])
async def test_a_key_of_another_kind_keeps_nobody_from_the_rest(
    published: Published, redis_url: str, key: str, kind: str
) -> None:
    async with Redis.from_url(redis_url) as client:
        await client.delete(key)
        await client.execute_command(kind, key, "x")
        watch = {VENUE: ["A"]}
        async with PriceReader(redis_url, patterns=["*"], events=["E"], watch=watch) as reader:
            assert reader.book["A"].status == "live"
            assert (reader.stats.failures, reader.trouble) == (0, "")
            published.put("B")
            await in_time(lambda: "B" in reader.book and reader.book["B"].status == "live")


@pytest.mark.parametrize(
    "query", ["protocol=3", "decode_responses=true", "encoding=utf-16", "client_name=bot"]
)
async def test_options_of_a_url_that_was_made_for_another_program(
    published: Published, redis_url: str, query: str
) -> None:
    assert published.venue == VENUE
    async with PriceReader(f"{redis_url}?{query}&health_check_interval=5") as reader:
        assert (await anext(reader)).status == "live"


def test_a_client_name_that_redis_would_refuse_is_named() -> None:
    with pytest.raises(SettingsError, match="client_name"):
        PriceReader(client_name="my bot")


async def test_a_price_that_waits_is_no_price_that_was_overtaken(
    published: Published, redis_url: str
) -> None:
    """A program computes for a while; what it gets next is what was published meanwhile."""
    async with PriceReader(redis_url, markets=["A"]) as reader:
        assert (await anext(reader)).seq == 1
        published.put("A")
        await published.settled()
        await in_time(lambda: bool(reader.waiting))
        with redis.Redis.from_url(redis_url) as blocking:  # as another program would
            newest = msgspec.structs.replace(reader.book["A"], seq=3).to_msgpack()
            blocking.publish("market:A:price", newest)
            time.sleep(0.05)  # noqa: ASYNC251 - the loop is to be blocked
        assert (await anext(reader)).seq == 3


async def test_an_entry_that_is_cancelled_leaves_nothing() -> None:
    reached, closed = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.set()
        await reader.read()  # until the other side closes; no answer comes
        writer.close()
        closed.set()

    before = asyncio.all_tasks()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, asyncio.timeout(20.0):
        entering = asyncio.ensure_future(enter(PriceReader(f"redis://127.0.0.1:{port}")))
        await reached.wait()
        entering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await entering
        await closed.wait()
        await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


async def enter(reader: PriceReader) -> None:
    async with reader:
        raise AssertionError("nobody answers")


async def test_two_readers_in_one_loop_know_nothing_of_each_other(
    published: Published, redis_url: str
) -> None:
    async with (
        logging(PriceReader(redis_url, markets=["A"], client_name="one")) as one,
        logging(PriceReader(redis_url, markets=["B"], every=True, client_name="two")) as two,
    ):
        await one.until(lambda: bool(one.prices))
        assert await kill_subscribers(redis_url) == 2
        published.put("A")
        published.put("B")
        await one.until(lambda: one.prices[-1].seq == 2)
        await two.until(lambda: bool(two.prices) and two.prices[-1].seq == 2)
        assert set(one.statuses()) == {"A"}
        assert set(two.statuses()) == {"B"}


async def test_an_error_about_one_loss_leaves_the_others_to_be_told(
    published: Published, redis_url: str
) -> None:
    async with PriceReader(redis_url, every=True) as reader:
        for market in ("A", "B"):
            published._outlets[market].seq += 3  # messages that Redis never passed on
            published.put(market)
        await in_time(lambda: reader.stats.missed == 6)
        with pytest.raises(LookupError):
            await reader.run(lambda _: None, failing)
        assert list(reader.take_losses().values()) == [3]


def failing(_market: str, _missed: int) -> None:
    raise LookupError


async def test_what_is_unfollowed_by_name_is_known_still_by_its_pattern(
    published: Published, redis_url: str
) -> None:
    assert published.venue == VENUE
    async with PriceReader(redis_url, markets=["A", "B"], patterns=["A*"]) as reader:
        await reader.unfollow("A", "B")
        assert set(reader.book) == {"A"}


async def test_a_refused_market_takes_none_with_it_that_was_followed(redis_url: str) -> None:
    async with publishing(redis_url) as published, Redis.from_url(redis_url) as client:
        for market in ("A", "B"):
            published.put(market)
        await published.settled()
        await client.acl_setuser(
            "bot", enabled=True, nopass=True, keys=["*"], categories=["+@all"],
            channels=["market:A:price", "feed:status"],
        )  # fmt: skip
        url = redis_url.replace("://", "://bot:x@")
        async with logging(PriceReader(url, markets=["A"])) as log:
            with pytest.raises(AuthenticationRejected):
                await log.reader.follow("A", "B")
            published.put("A")
            await log.until(lambda: bool(log.of("A")) and log.of("A")[-1].seq == 2)


# -- scripts ---------------------------------------------------------------------------------------


class Hand:
    """Writes prices of market A as the feed does, by hand."""

    def __init__(self, url: str) -> None:
        self._client = redis.Redis.from_url(url)
        self._client.hset("feed:venue:kalshi", mapping={"session": 5, "state": "live"})
        self._client.expire("feed:venue:kalshi", 10)
        self._client.sadd("feed:markets:kalshi", "A")
        self._client.publish("feed:status", beat())

    def put(self, *seqs: int) -> None:
        with self._client.pipeline() as pipeline:
            for seq in seqs:
                pipeline.set("market:A:last", price(seq))
                pipeline.publish("market:A:price", price(seq))
            pipeline.execute()


def test_a_script_that_is_interrupted_while_it_waits_for_redis_ends(redis_url: str) -> None:
    reader = SyncPriceReader("redis://127.0.0.1:1", start_timeout_s=None)
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt), reader:
        raise AssertionError("nobody answers")
    assert not [t for t in threading.enumerate() if t.name.startswith("arbees-feed-reader")]


def test_a_script_is_told_its_losses_and_when_its_reader_is_closed(redis_url: str) -> None:
    script = Hand(redis_url)
    script.put(1)
    with SyncPriceReader(redis_url, every=True) as reader:
        script.put(5)
        assert [next(reader).seq, next(reader).seq] == [1, 5]
        assert (dict(reader.take_losses()), dict(reader.take_losses())) == ({"A": 3}, {})
    with pytest.raises(RuntimeError, match="within its block"):
        next(reader)
    with pytest.raises(RuntimeError, match="within its block"):
        reader.take_losses()


def test_a_slow_script_gets_few_prices_at_once(redis_url: str) -> None:
    """What waits in the script's thread grows old; `lag_s` is the age of what it is handed."""
    script = Hand(redis_url)
    script.put(*range(1, 400))
    with SyncPriceReader(redis_url, every=True) as reader:
        script.put(*range(400, 800))
        for _ in range(30):
            next(reader)
            time.sleep(0.02)
        assert len(reader._prices) <= 1
