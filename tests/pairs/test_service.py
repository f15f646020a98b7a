"""Pairs at work over a real server: what changes is judged, written and told, and nothing else."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis
from support.feed import url_of, valkey
from support.pairing import game, pair_of
from support.questions import TOKEN, polymarket
from support.tasks import ended

from arbees_feed.core.wire import MarketPrice, Names
from arbees_feed.errors import RedisUnavailable
from arbees_feed.pairs.judge import Judge
from arbees_feed.pairs.ledger import Changes, Ledger
from arbees_feed.pairs.metadata import Meta
from arbees_feed.pairs.monitor import PairMonitor
from arbees_feed.pairs.outbox import Outbox
from arbees_feed.pairs.price import PairPrice
from arbees_feed.pairs.service import PairService
from arbees_feed.pairs.store import PairStore
from arbees_feed.pairs.table import PairTable

NAMES = Names("t:")
OURS, OTHERS, THEIRS = game(8)
SAME, INVERTED = pair_of(OURS, THEIRS), pair_of(OTHERS, THEIRS)
NOW_NS = 1_800_000_000 * 10**9


class Reader:
    """Prices of legs, handed over when the test says so."""

    def __init__(self) -> None:
        self.book: dict[str, MarketPrice] = {}
        self.followed: set[str] = set()
        self.failing: Exception | None = None
        self._coming: asyncio.Queue[MarketPrice] = asyncio.Queue()

    def price(self, meta: Meta, bid: float, ask: float, status: str = "live") -> None:
        price = MarketPrice(
            market_id=meta.market_id, platform=meta.venue, yes_bid=bid, yes_ask=ask,
            yes_bid_size=100.0, yes_ask_size=100.0, last_price=None, status=status, source="book",
            session=1, seq=1, ts_event_ns=0, ts_recv_ns=NOW_NS * 2, ts_pub_ns=0,
        )  # fmt: skip
        self.book[meta.market_id] = price
        self._coming.put_nowait(price)

    def fail(self, error: Exception) -> None:
        self.failing = error
        self.price(OURS, 0.1, 0.2)

    async def batch(self, most: int = 1_000) -> list[MarketPrice]:
        price = await self._coming.get()
        if self.failing is not None:
            error, self.failing = self.failing, None
            raise error
        return [price][:most]

    async def follow(self, *markets: str) -> None:
        self.followed.update(markets)

    async def unfollow(self, *markets: str) -> None:
        self.followed.difference_update(markets)


class Careless(Ledger):
    """Cannot read what calls itself unreadable; tells what it is asked to look at."""

    looking: Callable[[Meta], object] = staticmethod(lambda _: None)

    def put(self, meta: Meta) -> Changes:
        self.looking(meta)
        if meta.fields.get("title") == "unreadable":
            raise ValueError("no such day")
        return super().put(meta)


class Works:
    """A service with all its parts, and what was published of pairs."""

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.reader = Reader()
        self.ledger = Careless(lambda: "2026-08-02T00:00:00Z")
        self.store = PairStore(redis, NAMES, timeout_s=5.0)
        self.outbox = Outbox(self.store, session=7, now_ns=lambda: NOW_NS)
        self.table = PairTable(self.reader.book, max_age_s=600.0)
        self.service = PairService(
            self.table, self.outbox, self.store, self.reader, monitor=PairMonitor()
        )
        self.judge = Judge(self.ledger, self.service, self.store.unreadable)
        self.said: list[PairPrice] = []

    async def found(self, *metas: Meta) -> list[tuple[str, str]]:
        """Tell metadata; return what readers are told of which pair."""
        await self.judge.found(metas)
        return await self.flush()

    async def quoted(self, *metas: Meta) -> None:
        """Give markets a price, and take it."""
        for meta in metas:
            self.reader.price(meta, 0.4, 0.42)
            self.service._take([self.reader.book[meta.market_id]])
        await self.flush()

    async def flush(self) -> list[tuple[str, str]]:
        waiting = dict(self.outbox._prices)
        await self.outbox.flush()
        self.said = list(waiting.values())
        return [(price.pair_id, price.status) for price in self.said]

    async def hash(self, pair: str) -> dict[str, str]:
        found = await self.redis.hgetall(NAMES.pair(pair))
        return {name.decode(): value.decode() for name, value in found.items()}

    async def last(self, pair: str) -> PairPrice | None:
        data = await self.redis.get(NAMES.pair_last(pair))
        return None if data is None else PairPrice.from_msgpack(data)

    async def running(self, task: Callable[[], Any]) -> "asyncio.Task[None]":
        made: asyncio.Task[None] = asyncio.get_running_loop().create_task(task())
        await asyncio.sleep(0)
        return made


@pytest.fixture
async def works(redis: Redis) -> Works:
    """A service that has looked at all there was: nothing."""
    made = Works(redis)
    await made.judge.scanned()
    return made


def replace(meta: Meta, **fields: str) -> Meta:
    return msgspec.structs.replace(meta, fields={**meta.fields, **fields})


async def test_a_market_that_is_new_or_changed_is_the_only_one_that_is_judged(works: Works) -> None:
    games = [game(day) for day in range(8, 28)]
    await works.found(*(meta for metas in games for meta in metas))
    assert len(works.ledger.pairs) == 40
    judged = works.ledger.judged
    await works.found(*(meta for metas in games for meta in metas))
    assert works.ledger.judged == judged
    # A price rule of its own: one Kalshi market fits one market of the other venue.
    assert await works.found(replace(games[3][0], fee_multiplier="0.5")) != []
    assert works.ledger.judged - judged <= 2
    judged = works.ledger.judged
    assert len(await works.found(*game(28))) == 2
    assert works.ledger.judged - judged <= 4


async def test_a_pair_is_written_told_and_followed(works: Works) -> None:
    assert await works.found(OURS, THEIRS) == [(SAME, "stale")]
    assert works.said[0].reason == "kalshi: no price yet"
    assert (await works.hash(SAME))["polarity"] == "same"
    assert works.reader.followed == {OURS.market_id, THEIRS.market_id}
    await works.quoted(OURS, THEIRS)
    last = await works.last(SAME)
    assert last is not None
    assert (last.status, last.seq) == ("live", 2)
    covered = works.service.coverage()
    assert (covered.markets, covered.pairs, covered.confirmed, covered.live) == (2, 1, 1, 1)
    assert covered.published == 2


async def test_after_the_last_word_nothing_is_said(works: Works) -> None:
    """What goes on in another thread may end a little later."""
    await works.found(OURS, THEIRS)
    await works.quoted(OURS, THEIRS)
    works.service.stop("the matcher was stopped")
    works.reader.price(OURS, 0.3, 0.31)
    works.service._take([works.reader.book[OURS.market_id]])
    assert await works.flush() == [(SAME, "stale")]
    await works.judge.scanned()
    assert await works.flush() == []


async def test_a_market_that_ends_takes_its_pair_with_it_and_leaves_the_other(works: Works) -> None:
    await works.found(OURS, OTHERS, THEIRS)
    await works.quoted(OURS, OTHERS, THEIRS)
    assert await works.found(replace(OURS, status="closed")) == [(SAME, "closed")]
    assert works.said[0].reason == "kalshi: the market has ended"
    assert await works.hash(SAME) == {}
    assert not await works.redis.exists(NAMES.market_pairs(OURS.market_id))
    assert works.reader.followed == {OTHERS.market_id, THEIRS.market_id}
    assert (await works.last(INVERTED)).status == "live"  # type: ignore[union-attr]


async def test_other_rules_retire_a_pair_and_the_old_ones_bring_it_back(works: Works) -> None:
    await works.found(OURS, THEIRS)
    await works.quoted(OURS, THEIRS)
    moved = replace(OURS, rules_primary=game(9)[0].fields["rules_primary"])
    assert await works.found(moved) == [(SAME, "closed")]
    assert await works.hash(SAME) == {}
    assert works.reader.followed == set()
    await works.found(OURS)
    assert (await works.hash(SAME))["grade"] == "same_question"
    assert works.reader.followed == {OURS.market_id, THEIRS.market_id}


async def test_a_rival_makes_a_pair_probable_and_its_end_confirms_it_again(works: Works) -> None:
    await works.found(OURS, THEIRS)
    await works.quoted(OURS, THEIRS)
    rival = polymarket("3300", event_id="e8")
    assert await works.found(rival) == [(SAME, "closed")]
    assert works.said[0].reason == "not certain any more"
    assert (await works.hash(SAME))["grade"] == "probable"
    assert (await works.hash(pair_of(OURS, rival)))["grade"] == "probable"
    assert works.reader.followed == set()
    await works.judge.gone(["3300"])
    # The reader forgets what it does not follow; this one keeps it.
    assert await works.flush() == [(SAME, "live")]
    assert (await works.hash(SAME))["grade"] == "same_question"
    assert await works.hash(pair_of(OURS, rival)) == {}


async def test_fees_that_change_are_in_the_next_price_and_that_is_said_at_once(
    works: Works,
) -> None:
    await works.found(replace(OURS, fee_type="quadratic", fee_multiplier="1"), THEIRS)
    await works.quoted(OURS, THEIRS)
    before = await works.last(SAME)
    changed = replace(OURS, fee_type="quadratic", fee_multiplier="0")
    assert await works.found(changed) == [(SAME, "live")]
    after = await works.last(SAME)
    assert before is not None
    assert after is not None
    assert after.yes_at_kalshi_cost == before.yes_at_kalshi_cost == pytest.approx(1.02)
    # 0.07 x 100 x 0.42 x 0.58 = 1.7052, up to a cent; 0.05 x 100 x 0.6 x 0.4 at Polymarket.
    assert before.yes_at_kalshi_net == pytest.approx(1.02 + (1.71 + 1.2) / 100)
    assert after.yes_at_kalshi_net == pytest.approx(1.02 + 1.2 / 100)
    assert await works.found(replace(OURS, fee_type="flat")) == [(SAME, "live")]
    unknown = await works.last(SAME)
    assert unknown is not None
    assert unknown.yes_at_kalshi_net is None


async def test_what_is_no_pair_any_more_has_no_price_while_others_are_judged(works: Works) -> None:
    await works.found(OURS, THEIRS)
    await works.quoted(OURS, THEIRS)
    priced = []
    works.ledger.looking = lambda _: priced.append(SAME in works.table)
    await works.found(replace(OURS, status="closed"), *game(9))
    assert priced == [True, False, False, False]


async def test_metadata_that_cannot_be_read_costs_its_own_pair_only(works: Works) -> None:
    await works.found(OURS, OTHERS, THEIRS)
    told = await works.found(replace(OURS, title="unreadable"), *game(9))
    assert dict(told)[SAME] == "closed"
    assert works.service.coverage().unreadable == 1
    assert set(works.ledger.pairs) == {INVERTED, *(pair_of(our, game(9)[2]) for our in game(9)[:2])}
    assert await works.hash(SAME) == {}
    await works.found(OURS)
    assert SAME in works.ledger.pairs


async def test_nothing_is_told_until_all_is_read_for_a_rival_may_be_among_it(redis: Redis) -> None:
    works = Works(redis)
    assert await works.found(OURS, THEIRS, *game(9)) == []
    await works.quoted(OURS, THEIRS)
    await works.service.restore()
    assert await works.flush() == []
    assert works.service.coverage().live == 0
    assert await works.found(polymarket("3300", event_id="e8")) == []
    await works.judge.gone([game(9)[0].market_id])
    assert await redis.keys("*") == []
    await works.judge.scanned()
    assert await works.flush() == [(pair_of(game(9)[1], game(9)[2]), "stale")]
    assert (await works.hash(SAME))["grade"] == "probable"
    assert works.reader.followed == {meta.market_id for meta in game(9)[1:]}
    await works.judge.gone(["3300"])
    assert await works.flush() == [(SAME, "live")]


async def test_a_pair_of_a_former_run_that_ends_while_all_is_read_is_closed(redis: Redis) -> None:
    before = Works(redis)
    await before.judge.scanned()
    await before.found(OURS, OTHERS, THEIRS)
    works = Works(redis)
    await works.found(OURS, OTHERS, THEIRS)
    await works.found(replace(OURS, status="closed"))
    await works.judge.scanned()
    assert sorted(await works.flush()) == sorted([(SAME, "closed"), (INVERTED, "stale")])
    assert await works.hash(SAME) == {}
    assert await works.hash(INVERTED) != {}


async def test_what_a_former_run_has_left_is_taken_away_once_all_is_known(redis: Redis) -> None:
    works = Works(redis)
    await works.found(OURS, THEIRS)
    await works.redis.zadd(NAMES.pairs(), {"K-GONE.00ff00ff": 0.9, "odd id:last": 0.9})
    await works.redis.hset(
        NAMES.pair("K-GONE.00ff00ff"),
        mapping={"kalshi_id": "K-GONE", "polymarket_id": "77", "grade": "identical"},
    )
    await works.service.restore()
    assert await works.redis.exists(NAMES.pair("K-GONE.00ff00ff"))
    assert not works.service.ready
    await works.judge.scanned()
    assert works.service.ready
    assert not await works.redis.exists(NAMES.pair("K-GONE.00ff00ff"))
    assert ("K-GONE.00ff00ff", "closed") in await works.flush()
    assert await works.redis.zscore(NAMES.pairs(), "odd id:last") == 0.9  # somebody else's


async def test_what_redis_has_lost_is_written_again_and_nothing_else(works: Works) -> None:
    await works.found(OURS, OTHERS, THEIRS)
    await works.quoted(OURS, OTHERS, THEIRS)
    before = await works.last(SAME)
    await works.service.restore()
    assert works.outbox.waiting == 0
    await works.redis.delete(NAMES.pair(SAME), NAMES.pair_last(INVERTED))
    await works.service.restore()
    assert await works.flush() == [(INVERTED, "live")]
    assert await works.hash(SAME) != {}
    await works.redis.flushall()
    await works.service.restore()
    assert sorted(await works.flush()) == sorted([(SAME, "live"), (INVERTED, "live")])
    after = await works.last(SAME)
    assert before is not None
    assert after is not None
    assert after.seq > before.seq
    assert await works.redis.scard(NAMES.market_pairs(THEIRS.market_id)) == 2


async def test_prices_that_are_not_followed_are_taken_back_until_they_are(works: Works) -> None:
    await works.found(OURS, THEIRS)
    run = await works.running(works.service.run)
    works.reader.price(THEIRS, 0.4, 0.42)
    works.reader.price(OURS, 0.4, 0.42)
    async with asyncio.timeout(10):
        while works.table.live != 1:  # noqa: ASYNC110 - it is announced nowhere
            await asyncio.sleep(0)
    assert works.service.tick().live == 1
    works.reader.fail(KeyError("a bug"))
    with pytest.raises(KeyError):
        await run
    assert works.service.tick().live == 0
    await works.flush()
    assert works.said[0].reason == "prices are not followed at the moment"
    run = await works.running(works.service.run)
    assert await works.flush() == [(SAME, "live")]
    # What came with the failure is in the book, and told.
    assert works.said[0].kalshi_bid == 0.1
    await ended(run)


async def test_a_server_that_goes_in_the_middle_has_all_that_changed_meanwhile() -> None:
    with valkey() as server:
        port = server.port
        redis = Redis.from_url(url_of(server), retry=None)
        works = Works(redis)
        await works.judge.scanned()
        await works.found(OURS, OTHERS, THEIRS)
        await works.quoted(OURS, OTHERS, THEIRS)
    await works.judge.found([replace(OTHERS, status="closed"), *game(9)])
    works.reader.price(OURS, 0.45, 0.47)
    works.service._take([works.reader.book[OURS.market_id]])
    with pytest.raises(RedisUnavailable):
        await works.outbox.flush()
    with pytest.raises(RedisUnavailable):
        await works.service.restore()
    assert works.outbox.waiting > 0
    with valkey(port):
        await works.service.restore()
        await works.flush()
        pairs = {SAME, *(pair_of(ours, game(9)[2]) for ours in game(9)[:2])}
        members = await redis.zrange(NAMES.pairs(), 0, -1)
        assert {member.decode() for member in members} == pairs
        last = await works.last(SAME)
        assert last is not None
        assert (last.status, last.kalshi_bid) == ("live", 0.45)
        gone = await works.last(INVERTED)
        assert gone is not None
        assert gone.status == "closed"
        assert works.outbox.waiting == 0
        await redis.aclose()


async def test_nothing_is_written_while_the_claim_is_not_ours(redis: Redis) -> None:
    ours = [False]
    store = PairStore(redis, NAMES, may_write=lambda: ours[0])
    outbox = Outbox(store, session=7, now_ns=lambda: NOW_NS)
    price = PairPrice(
        pair_id=SAME, kalshi_id="K", polymarket_id=TOKEN, polarity="same", status="live"
    )
    outbox.put([price])
    for said in (outbox.flush(), store.say_state({"pairs": "1"}), store.lease("kalshi", ["K"], 1)):
        with pytest.raises(RedisUnavailable, match="to be renewed first"):
            await said
    assert await redis.keys("*") == []
    ours[0] = True
    await outbox.flush()
    assert await redis.keys("*") == [NAMES.pair_last(SAME).encode()]
