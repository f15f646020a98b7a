"""What `top` reads of pairs from a real server, page by page and again while they are on view."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis.asyncio import Redis
from support.pairprices import NAMES, pair_price, write_pair, write_word

from arbees_feed.cli.toppairfacts import OF_A_MARKET, PairFacts, Wanted
from arbees_feed.cli.toppairs import Pairs
from arbees_feed.config import RedisSettings
from arbees_feed.config.forms import RedisUrl
from arbees_feed.errors import RedisUnavailable

GAME, OTHER = "KXGAME-KC.0000aaaa", "KXNBA-LAC.0000bbbb"
LISTING = Wanted(listing=True)


class Heard(Pairs):
    """Lets tests wait for what is read."""

    def __init__(self) -> None:
        super().__init__()
        self._more = asyncio.Event()

    def on_matcher(self, *told: Any) -> None:
        super().on_matcher(*told)
        self._more.set()

    def on_facts(self, *told: Any) -> None:
        super().on_facts(*told)
        self._more.set()

    def end_round(self, now_s: float) -> None:
        super().end_round(now_s)
        self._more.set()

    async def until(self, condition: Callable[[], object]) -> None:
        """Return once *condition* holds, looked at whenever something was read."""
        async with asyncio.timeout(30):
            while not condition():
                self._more.clear()
                await self._more.wait()


@asynccontextmanager
async def reading(
    url: str, *, page: int = 500, wanted: Wanted = LISTING
) -> AsyncIterator[tuple[PairFacts, Heard]]:
    """Read this while the block runs; no time passes, so what was read is not old."""
    heard = Heard()
    settings = RedisSettings(url=RedisUrl(url))
    facts = PairFacts(settings, heard, page=page, monotonic=lambda: 0.0)
    facts.look_at(wanted)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(facts.run())
        yield facts, heard
        task.cancel()


@pytest.fixture
async def client(server: str) -> AsyncIterator[Any]:
    async with Redis.from_url(server) as made:
        yield made


async def put(client: Any, *prices: Any, **facts: str) -> None:
    """Write pairs; their calls are put together, as the helper is for clients that do not wait."""
    async with client.pipeline(transaction=False) as pipeline:
        write_word(pipeline)
        for number, price in enumerate(prices):
            write_pair(pipeline, price, 1 - number / 1_000, **facts)
        await pipeline.execute()


async def test_all_pairs_are_read_page_by_page_with_the_titles_of_both(
    server: str, client: Any
) -> None:
    prices = [pair_price(f"KX-{number}.{number:08}") for number in range(7)]
    await put(client, *prices)
    await client.zadd(NAMES.pairs(), {"PROBABLE.00000001": 0.5, "x" * 1_000: 1.0})
    await client.hset(NAMES.meta("KX-3"), mapping={"title": "Three?", "rules_primary": "long"})
    async with reading(server, page=3) as (_, pairs):
        await pairs.until(lambda: pairs.is_whole)
        assert [pair.price for pair in pairs.known.values()] == prices
        assert pairs.titles["KX-3"] == {"title": "Three?"}
        assert pairs.untitled(pairs.known) == []
        word = pairs.matcher(0.0)
        assert word is not None
        assert (word.cross_pairs, pairs.doubt(0.0)) == ("1/2", "")


async def test_what_is_on_view_is_read_again_and_again(server: str, client: Any) -> None:
    await put(client, pair_price(GAME), pair_price(OTHER), grade="same_question")
    wanted = Wanted(listing=True, shown=(GAME, OTHER), pair=GAME)
    async with reading(server, wanted=wanted) as (_, pairs):
        await pairs.until(lambda: pairs.is_whole and pairs.facts.get(GAME))
        assert pairs.facts[GAME]["grade"] == "same_question"
        for seq in (2, 3):
            data = pair_price(OTHER, seq=seq).to_msgpack()
            await client.set(NAMES.pair_last(OTHER), data)
            await pairs.until(lambda seq=seq: pairs.known[OTHER].price.seq == seq)
        await client.delete(NAMES.pair_last(OTHER))
        await pairs.until(lambda: OTHER not in pairs.known)


async def test_a_pair_that_has_closed_is_seen_to_have(server: str, client: Any) -> None:
    await put(client, pair_price(GAME), pair_price(OTHER))
    async with reading(server) as (_, pairs):
        await pairs.until(lambda: pairs.is_whole)
        closed = pair_price(OTHER, status="closed", reason="ended")
        await client.set(NAMES.pair_last(OTHER), closed.to_msgpack())
        await client.zrem(NAMES.pairs(), OTHER)
        await pairs.until(lambda: pairs.known[OTHER].price.status == "closed")


async def test_the_pairs_of_a_market_are_read_and_nothing_else(server: str, client: Any) -> None:
    await put(client, pair_price(GAME), pair_price(OTHER))
    await client.hset(NAMES.meta("7aaaa"), mapping={"title": "Chiefs vs. Lions"})
    await client.sadd(NAMES.market_pairs("KXGAME-KC"), "PROBABLE.00000001")
    await client.hset(NAMES.pair("PROBABLE.00000001"), mapping={"grade": "probable"})
    async with reading(server, wanted=Wanted(market="KXGAME-KC")) as (facts, pairs):
        await pairs.until(lambda: pairs.of_market[0] == "KXGAME-KC")
        assert list(pairs.of_market[1]) == [GAME, "PROBABLE.00000001"]
        assert pairs.facts["PROBABLE.00000001"] == {"grade": "probable"}
        assert (list(pairs.known), pairs.titles["7aaaa"]) == ([GAME], {"title": "Chiefs vs. Lions"})
        facts.look_at(Wanted(market="NONE"))
        await pairs.until(lambda: pairs.of_market == ("NONE", []))


async def test_of_a_market_of_many_pairs_a_few_are_read(server: str, client: Any) -> None:
    many = [pair_price(f"KX-1.{number:08}", kalshi_id="KX-1") for number in range(9)]
    await put(client, *many)
    async with reading(server, wanted=Wanted(market="KX-1")) as (_, pairs):
        await pairs.until(lambda: pairs.of_market[0])
        assert len(pairs.of_market[1]) == 9
        assert len(pairs.known) == len(pairs.facts) == OF_A_MARKET


async def test_an_empty_server_has_no_matcher_and_no_pairs(server: str) -> None:
    async with reading(server) as (_, pairs):
        await pairs.until(lambda: pairs.is_whole)
        assert (pairs.known, pairs.matcher(0.0)) == ({}, None)
        assert "arbees-feed match run" in pairs.doubt(0.0)


async def test_keys_that_hold_something_else_cost_only_themselves(server: str, client: Any) -> None:
    await put(client, pair_price(GAME), pair_price(OTHER))
    await client.set(NAMES.pair_last("GARBLED.00000001"), b"\xc1 no price")
    await client.zadd(NAMES.pairs(), {"GARBLED.00000001": 1.0})
    for key in (NAMES.pair_last(OTHER), NAMES.pair(GAME), NAMES.meta("7aaaa")):
        await client.delete(key)
        await client.lpush(key, "x")
    await client.set(NAMES.market_pairs("KXFED-1"), "x")
    wanted = Wanted(listing=True, shown=(GAME,), pair=GAME, market="KXFED-1")
    async with reading(server, wanted=wanted) as (_, pairs):
        await pairs.until(lambda: pairs.is_whole and pairs.of_market[0])
        assert list(pairs.known) == [GAME]
        assert (pairs.facts, pairs.titles["7aaaa"]) == ({GAME: {}}, {})
        assert (pairs.of_market, pairs.trouble) == (("KXFED-1", []), "")


@pytest.mark.parametrize("denied", ["-hstrlen", "-zrevrange", "-mget"])
async def test_what_may_not_be_read_is_told(server: str, client: Any, denied: str) -> None:
    await put(client, pair_price(GAME))
    await client.execute_command("ACL", "SETUSER", "u", "on", ">p", "~*", "&*", "+@all", denied)
    facts = PairFacts(RedisSettings(url=RedisUrl(server.replace("//", "//u:p@"))), Pairs())
    facts.look_at(Wanted(listing=True, shown=(GAME,)))
    with pytest.raises((RedisUnavailable, ExceptionGroup)) as raised:
        await facts.run()
    assert denied[1:] in str(raised.value) + str(getattr(raised.value, "exceptions", ""))
