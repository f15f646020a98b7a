"""The reader on a real server, with the real publisher."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis
from support.patience import within
from support.publishing import VENUE, Published, publishing

from arbees_feed.core.model import Status
from arbees_feed.core.wire import MarketPrice
from arbees_feed.reader import (
    AuthenticationRejected,
    PriceReader,
    RedisUnavailable,
    SettingsError,
)

MARKETS = [f"KX-{number:02d}" for number in range(20)]


class Log:
    """What a reader handed over, in order; waits for what is to come."""

    def __init__(self, reader: PriceReader) -> None:
        self.reader = reader
        self.prices: list[MarketPrice] = []
        self._changed = asyncio.Event()

    async def follow(self) -> None:
        async for price in self.reader:
            self.prices.append(price)
            self._changed.set()

    async def until(self, condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
        """Return once *condition* holds, looked at after each price."""
        async with asyncio.timeout(timeout_s):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def of(self, market: str) -> list[MarketPrice]:
        return [price for price in self.prices if price.market_id == market]

    def statuses(self) -> dict[str, str]:
        return {price.market_id: price.status for price in self.prices}


@asynccontextmanager
async def logging(reader: PriceReader) -> AsyncIterator[Log]:
    """Enter a reader and log it while the block runs."""
    async with asyncio.TaskGroup() as group:
        async with reader:
            log = Log(reader)
            task = group.create_task(log.follow())
            yield log
        await task  # the iteration ends with the reader


def put_all(published: Published, markets: Sequence[str] = MARKETS) -> None:
    for market in markets:
        published.put(market)


async def kill_subscribers(url: str) -> int:
    async with Redis.from_url(url) as client:
        return int(await client.execute_command("CLIENT", "KILL", "TYPE", "pubsub"))


def check_order(log: Log) -> None:
    """Nothing steps back, and no live price of a session comes after one of a later session."""
    sessions: dict[str, int] = defaultdict(int)
    newest: dict[str, tuple[int, int]] = {}
    for price in log.prices:
        stamp = (price.session, price.seq)
        assert stamp >= newest.get(price.market_id, (0, 0))
        newest[price.market_id] = stamp
        if price.status == "live":
            assert price.session >= sessions[price.platform]
            sessions[price.platform] = price.session


async def test_the_book_is_whole_once_the_block_is_entered(redis_url: str) -> None:
    async with publishing(redis_url) as published:
        put_all(published)
        await published.settled()
        async with PriceReader(redis_url) as reader:
            assert set(reader.book) == set(MARKETS)
            assert all(published.is_true(price) for price in reader.book.values())
            assert reader.waiting == len(MARKETS)
            assert reader.venues[VENUE].alive
            assert (await anext(reader)).market_id in MARKETS


@pytest.mark.parametrize("every", [False, True])
async def test_each_price_is_the_publishers_in_order(redis_url: str, *, every: bool) -> None:
    async with publishing(redis_url) as published:
        put_all(published, MARKETS[:3])
        async with logging(PriceReader(redis_url, markets=MARKETS[:2], every=every)) as log:
            for _ in range(200):
                put_all(published, MARKETS[:3])
                await asyncio.sleep(0)
            await published.settled()
            await log.until(
                lambda: all(log.of(m) and log.of(m)[-1].seq == 201 for m in MARKETS[:2])
            )
            assert all(published.is_true(price) for price in log.prices)
            assert {price.market_id for price in log.prices} == set(MARKETS[:2])
            check_order(log)
            assert log.reader.stats.missed == 0
            if every:
                seqs = [price.seq for price in log.of(MARKETS[0])]
                assert seqs == list(range(seqs[0], 202))
            assert 0.0 < log.reader.stats.worst_lag_s < within(1.0)


async def test_patterns_events_and_ids_lead_to_the_same_prices(redis_url: str) -> None:
    async with publishing(redis_url) as published, Redis.from_url(redis_url) as client:
        put_all(published, ["KX-01", "KX-02", "PA-01", "PA-02", "PA-3"])
        await client.sadd("event:E1:markets", "PA-02")
        await published.settled()
        reader = PriceReader(redis_url, markets=["KX-01"], patterns=["PA-0[12]"], events=["E1"])
        async with logging(reader) as log:
            assert set(reader.book) == {"KX-01", "PA-01", "PA-02"}
            put_all(published, ["KX-01", "KX-02", "PA-01", "PA-02", "PA-3"])
            await log.until(
                lambda: all(log.of(m)[-1:] and log.of(m)[-1].seq == 2 for m in reader.book)
            )
            assert set(log.statuses()) == {"KX-01", "PA-01", "PA-02"}


async def test_markets_that_are_added_to_an_event_are_followed(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("arbees_feed.reader.session.EVENTS_EVERY_S", 0.0)
    async with publishing(redis_url) as published, Redis.from_url(redis_url) as client:
        put_all(published, ["KX-01", "KX-02"])
        await client.sadd("event:E1:markets", "KX-01")
        async with logging(PriceReader(redis_url, events=["E1"])) as log:
            await client.sadd("event:E1:markets", "KX-02")
            await log.until(lambda: "KX-02" in log.statuses())
            published.put("KX-02")
            await log.until(lambda: log.of("KX-02")[-1].seq == 2)


async def test_follow_and_unfollow(redis_url: str) -> None:
    async with publishing(redis_url) as published:
        put_all(published)
        await published.settled()
        async with PriceReader(redis_url, markets=["KX-01"]) as reader:
            await reader.follow("KX-02", "KX-03")
            assert set(reader.book) == {"KX-01", "KX-02", "KX-03"}
            await reader.unfollow("KX-01")
            assert set(reader.book) == {"KX-02", "KX-03"}
            async with Redis.from_url(redis_url) as client:
                channels = {name.decode() for name in await client.pubsub_channels()}
            assert channels == {"feed:status", "market:KX-02:price", "market:KX-03:price"}


async def test_a_market_that_this_user_may_not_read(redis_url: str) -> None:
    """The others are followed as before."""
    async with publishing(redis_url) as published, Redis.from_url(redis_url) as client:
        rule = "on >right +@all ~* &market:KX-01:price &market:KX-02:price &feed:status"
        await client.execute_command("ACL", "SETUSER", "bot", *rule.split())
        put_all(published)
        url = redis_url.replace("://", "://bot:right@")
        async with logging(PriceReader(url, markets=["KX-01"])) as log:
            with pytest.raises(AuthenticationRejected):
                await log.reader.follow("KX-03")
            await log.reader.follow("KX-02")
            published.put("KX-01")
            published.put("KX-02")
            await log.until(
                lambda: all(log.of(m)[-1:] and log.of(m)[-1].seq == 2 for m in ("KX-01", "KX-02"))
            )
            assert set(log.statuses().values()) == {"live"}


async def test_what_is_wanted_while_redis_is_away_is_followed_later(redis_url: str) -> None:
    async with (
        publishing(redis_url) as published,
        logging(PriceReader(redis_url, markets=["KX-01"])) as log,
    ):
        put_all(published)
        await log.until(lambda: "KX-01" in log.statuses())
        await kill_subscribers(redis_url)
        await log.reader.follow("KX-02")
        await log.reader.unfollow("KX-01")
        await log.until(lambda: "KX-02" in log.statuses())
        assert set(log.reader.book) == {"KX-02"}


async def test_a_reader_may_begin_with_nothing(redis_url: str) -> None:
    async with publishing(redis_url) as published:
        put_all(published)
        await published.settled()
        async with PriceReader(redis_url, markets=[]) as reader:
            assert dict(reader.book) == {}
            await reader.follow("KX-01")
            assert set(reader.book) == {"KX-01"}
            with pytest.raises(RuntimeError, match="entered once"):
                await reader.__aenter__()


async def test_a_key_prefix_stands_before_every_name(redis_url: str) -> None:
    async with publishing(redis_url, prefix="a*b:") as published:
        put_all(published)
        await published.settled()
        async with logging(PriceReader(redis_url, key_prefix="a*b:")) as log:
            assert set(log.reader.book) == set(MARKETS)
            published.put(MARKETS[0])
            await log.until(lambda: bool(log.of(MARKETS[0])) and log.of(MARKETS[0])[-1].seq == 2)


async def test_a_feed_that_dies_gives_stale_prices_and_the_next_one_live_ones(
    redis_url: str,
) -> None:
    async with logging(PriceReader(redis_url)) as log:
        async with publishing(redis_url) as first:
            put_all(first)
            await log.until(lambda: set(log.statuses()) == set(MARKETS))
        died_s = time.monotonic()
        await log.until(lambda: set(log.statuses().values()) == {"stale"})
        assert time.monotonic() - died_s < within(3.0)
        assert len([price for price in log.prices if price.status == "stale"]) == len(MARKETS)
        seen = len(log.prices)
        async with publishing(redis_url) as second:
            put_all(second)
            await log.until(lambda: set(log.statuses().values()) == {"live"})
            assert {price.session for price in log.prices[seen:]} == {second.session}
        check_order(log)


async def test_a_late_joiner_to_a_dead_feed_gets_stale_prices(redis_url: str) -> None:
    async with publishing(redis_url) as published, Redis.from_url(redis_url) as client:
        put_all(published)
        await published.settled()
        await asyncio.sleep(0)
    async with Redis.from_url(redis_url) as client:
        await client.delete(f"feed:venue:{VENUE}")
    async with logging(PriceReader(redis_url)) as log:
        await log.until(lambda: set(log.statuses()) == set(MARKETS))
        assert set(log.statuses().values()) == {"stale"}


async def test_the_feeds_own_stale_prices_pass_unchanged(redis_url: str) -> None:
    async with publishing(redis_url) as published, logging(PriceReader(redis_url)) as log:
        published.put("KX-01")
        published.put("KX-01", Status.STALE)
        published.put("KX-02", Status.CLOSED)
        await log.until(lambda: log.statuses() == {"KX-01": "stale", "KX-02": "closed"})
        assert log.of("KX-01")[-1].seq == 2
        assert log.reader.stats.marked == 0


async def test_a_slow_consumer_gets_the_newest_price_each_time(redis_url: str) -> None:
    async with publishing(redis_url) as published, asyncio.TaskGroup() as group:
        put_all(published)
        async with PriceReader(redis_url) as reader:
            stream = group.create_task(published.stream(MARKETS, 5_000))
            for _ in range(100):
                price = await anext(reader)
                assert price is reader.book[price.market_id]
                assert reader.waiting <= len(MARKETS)
                await asyncio.sleep(0.01)
            stream.cancel()
            assert reader.stats.conflated > 3_000
            assert reader.stats.missed == 0
            assert reader.stats.lag_s < within(0.5)


async def test_a_slow_consumer_of_every_price_is_told_what_it_missed(redis_url: str) -> None:
    async with publishing(redis_url) as published:
        put_all(published)
        reader = PriceReader(redis_url, every=True, buffer=200)
        async with reader:
            for _ in range(100):
                put_all(published)
                await asyncio.sleep(0)
            published.put("QUIET")
            for _ in range(100):
                put_all(published)
                await asyncio.sleep(0)
            await published.settled()
            async with asyncio.timeout(20.0):
                while reader.stats.received < 200 * len(MARKETS):  # noqa: ASYNC110 - no event
                    await asyncio.sleep(0.01)
            assert reader.waiting <= 200 + len(MARKETS) + 1
            losses: dict[str, int] = {}
            given: dict[str, MarketPrice] = {}
            count = 0
            while reader.waiting:
                price = await anext(reader)
                given[price.market_id] = price
                count += 1
            losses.update(reader.take_losses())
            assert {m: p.seq for m, p in given.items()} == {
                m: published.newest(m) for m in [*MARKETS, "QUIET"]
            }
            assert sum(losses.values()) == reader.stats.missed == reader.stats.overflowed
            assert count + reader.stats.missed == reader.stats.received + len(MARKETS)


async def test_a_consumer_that_never_waits_does_not_starve_the_reader(redis_url: str) -> None:
    async with publishing(redis_url) as published, PriceReader(redis_url) as reader:
        put_all(published)
        await published.settled()
        first = [await anext(reader) for _ in MARKETS]
        assert {price.seq for price in first} == {1}
        put_all(published)
        deadline_s = time.monotonic() + 20.0
        while (await anext(reader)).seq != 2:
            assert time.monotonic() < deadline_s
            time.sleep(0.01)  # noqa: ASYNC251 - the loop is to be blocked


async def test_losses_are_told_to_callbacks(redis_url: str) -> None:
    async with publishing(redis_url) as published, PriceReader(redis_url, every=True) as reader:
        prices: list[MarketPrice] = []
        losses: dict[str, int] = {}

        def on_price(price: MarketPrice) -> None:
            prices.append(price)
            if price.seq == 4:
                raise LookupError("enough")

        published.put("KX-01")
        outlet = published._outlets["KX-01"]
        outlet.seq += 2  # two messages that Redis never passed on
        published.put("KX-01")
        with pytest.raises(LookupError, match="enough"):
            await reader.run(on_price, losses.__setitem__)
        assert [price.seq for price in prices] == [1, 4]
        assert losses == {"KX-01": 2}


async def test_errors_of_the_block_come_out_as_they_are(redis_url: str) -> None:
    with pytest.raises(LookupError, match="of the block"):
        async with PriceReader(redis_url):
            raise LookupError("of the block")


async def test_a_reader_is_entered_before_it_is_read(redis_url: str) -> None:
    with pytest.raises(RuntimeError, match="entered"):
        await anext(PriceReader(redis_url))


async def test_a_server_that_is_not_there_is_named_at_the_start() -> None:
    reader = PriceReader("redis://:secret@127.0.0.1:1/0", start_timeout_s=0.3)
    with pytest.raises(RedisUnavailable, match=r"redis://127\.0\.0\.1:1/0") as caught:
        async with reader:
            pass
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("option", ["no_such_option=1", "socket_timeout=soon"])
@pytest.mark.parametrize("kind", ["redis", "redis+cluster"])
async def test_options_that_redis_py_does_not_know(kind: str, option: str) -> None:
    with pytest.raises(SettingsError, match=option.partition("=")[0]):
        async with PriceReader(f"{kind}://127.0.0.1:1?{option}"):
            pass


async def test_strange_fields_of_a_venue_disturb_nobody(redis_url: str) -> None:
    async with publishing(redis_url) as published, Redis.from_url(redis_url) as client:
        put_all(published)
        await published.settled()
        await client.hset(f"feed:venue:{VENUE}", mapping={b"\xff": b"\xff"})
        await client.hset("feed:venue:polymarket", mapping={"session": "9" * 5_000})
        await client.sadd("feed:markets:polymarket", b"\xff\n", "KX-00")
        async with PriceReader(redis_url) as reader:
            assert reader.venues[VENUE].alive
            assert not reader.venues["polymarket"].alive
            assert set(reader.book) == set(MARKETS)


async def test_refused_credentials_are_said_at_once(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as client:
        await client.acl_setuser("bot", enabled=True, passwords=["+right"], keys=["*"], channels=[],
                                 categories=["+@all"])  # fmt: skip
    host = redis_url.partition("://")[2]
    for user in ("bot:wrong", "bot:right"):  # a wrong password; no right to any channel
        with pytest.raises(AuthenticationRejected) as caught:
            async with PriceReader(f"redis://{user}@{host}"):
                pass
        assert "wrong" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "options", "named"),
    [
        ("http://localhost", {}, "redis url"),
        ("redis://", {}, "redis url"),
        ("redis://localhost:99999", {}, "redis url"),
        ("redis+sentinel://h:1", {}, "service"),
        ("redis://localhost", {"markets": "KX-1"}, "markets"),
        ("redis://localhost", {"events": ["a b"]}, "events"),
        ("redis://localhost", {"watch": {"kalshi": [""]}}, "watch"),
        ("redis://localhost", {"buffer": 0}, "buffer"),
        ("redis://localhost", {"stale_after_s": float("nan")}, "stale_after_s"),
        ("redis://localhost", {"sharded": True}, "sharded"),
    ],
)
def test_bad_arguments_are_named(url: str, options: dict[str, object], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        PriceReader(url, **options)  # type: ignore[arg-type]
