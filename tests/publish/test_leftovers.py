"""Prices that nobody feeds are marked, and nothing in Redis can keep that from happening."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis
from support.feed import url_of, valkey
from support.prices import price as published
from support.publishing import publishing

from arbees_feed.core.events import BookSnapshot
from arbees_feed.core.model import MarketId, Quote, Source, Status
from arbees_feed.core.wire import MarketPrice, Names
from arbees_feed.errors import AuthenticationRejected
from arbees_feed.feed.market import MarketsConfig
from arbees_feed.feed.markets import MarketTable
from arbees_feed.publish.leftovers import Leftovers
from arbees_feed.publish.outlet import Outlet

SESSION = 7


class Keeper:
    """Opens outlets whose quotes stay with it."""

    flowing = False

    def __init__(self) -> None:
        self.outlets: dict[str, Outlet] = {}
        self.told: dict[str, Quote] = {}
        self.changed = asyncio.Event()

    def open(self, market: MarketId) -> Outlet:
        if market not in self.outlets:
            self.outlets[market] = Outlet(market, "kalshi", Names(), self, 0)  # type: ignore[arg-type]
        return self.outlets[market]

    def hold(self, outlet: Outlet) -> None:
        assert outlet.quote is not None
        self.told[outlet.market] = outlet.quote
        self.changed.set()


def price(market: str, status: str, session: int, last: float | None = None) -> bytes:
    told = published(market, 3, status=status, session=session, last_price=last)
    return told.to_msgpack()


@pytest.fixture
async def client() -> AsyncIterator[Any]:
    with valkey() as server:
        made: Any = Redis.from_url(url_of(server))
        yield made
        await made.aclose()


async def put(client: Any, market: str | bytes, value: bytes) -> None:
    name = market if isinstance(market, bytes) else market.encode()
    await client.sadd("feed:markets:kalshi", name)
    await client.set(b"market:" + name + b":last", value)


def leftovers_of(client: Any, keeper: Keeper, known: frozenset[str] = frozenset()) -> Leftovers:
    return Leftovers(
        client, Names(), "kalshi", keeper.open, SESSION, known=lambda market: market in known
    )


async def test_live_prices_of_a_former_session_are_marked_and_no_others(client: Any) -> None:
    await put(client, "OLD", price("OLD", "live", 1, last=0.45))
    await put(client, "STALE", price("STALE", "stale", 1))
    await put(client, "CLOSED", price("CLOSED", "closed", 1))
    await put(client, "OURS", price("OURS", "live", SESSION))
    await put(client, "SHOWN", price("SHOWN", "live", 1))
    keeper = Keeper()
    quote = Quote(1, 1, 2, 1, None, Status.LIVE, Source.BOOK, 0, 0)
    keeper.open(MarketId("SHOWN")).quote = quote
    await leftovers_of(client, keeper).mark()
    assert list(keeper.told) == ["OLD"]
    marked = keeper.told["OLD"]
    assert (marked.status, marked.bid, marked.ask, marked.last_price) == (
        Status.STALE,
        0,
        10_000,
        4_500,
    )


@pytest.mark.parametrize("last", [float("nan"), float("inf"), -0.1, 1.01, 1e300])
async def test_a_last_price_that_is_none_is_left_out(client: Any, last: float) -> None:
    await put(client, "ODD", price("ODD", "live", 1, last=last))
    keeper = Keeper()
    await leftovers_of(client, keeper).mark()
    assert keeper.told["ODD"].last_price is None


async def test_what_is_no_price_is_marked_and_what_is_no_text_ends_nothing(client: Any) -> None:
    await put(client, "JUNK", b"\xff\x00junk")
    await put(client, b"\xff\xfe", price("X", "live", 1))
    await put(client, "OLD", price("OLD", "live", 1))
    await client.lpush("market:LIST:last", 1)
    await client.sadd("feed:markets:kalshi", "LIST")
    keeper = Keeper()
    await leftovers_of(client, keeper).mark()
    assert {"JUNK", "OLD"} <= keeper.told.keys()


async def test_after_another_server_what_this_session_left_in_it_is_marked_too(
    client: Any,
) -> None:
    """Older data bring back live prices of markets that have ended since."""
    keeper = Keeper()
    leftovers = leftovers_of(client, keeper, known=frozenset({"RETIRED"}))
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        running = group.create_task(leftovers.run())
        await put(client, "FIRST", price("FIRST", "live", 1))
        leftovers.again()
        await keeper.changed.wait()
        await put(client, "ENDED", price("ENDED", "live", SESSION))
        await put(client, "RETIRED", price("RETIRED", "live", SESSION))
        keeper.changed.clear()
        leftovers.again()
        await keeper.changed.wait()
        assert set(keeper.told) == {"FIRST", "ENDED"}
        assert "RETIRED" not in keeper.outlets
        running.cancel()


def test_an_unknown_field_of_a_price_is_no_hindrance() -> None:
    value = msgspec.msgpack.encode({**msgspec.msgpack.decode(price("A", "live", 1)), "new": 1})
    assert MarketPrice.from_msgpack(value).status == "live"


async def test_it_is_done_once_every_mark_is_on_its_way(client: Any) -> None:
    keeper = Keeper()
    for number in range(3):
        await put(client, f"M{number}", price(f"M{number}", "live", SESSION - 1))
    left = Leftovers(client, Names(), "kalshi", keeper.open, SESSION)
    assert not left.done, "nobody has looked"
    await left.mark()
    for outlet in keeper.outlets.values():
        assert not left.done, "a mark waits"
        outlet.sent = outlet.quote
    assert left.done


async def test_a_market_that_is_followed_and_was_never_shown_is_marked(client: Any) -> None:
    """Its first book is crossed, say: nothing is told of it, and a former session's price stays."""
    await put(client, "A", price("A", "live", session=6))
    port = client.connection_pool.connection_kwargs["port"]
    async with publishing(f"redis://127.0.0.1:{port}/0", session=SESSION, beats=False) as published:
        publisher = published.publisher
        table = MarketTable(publisher.opener("kalshi"), MarketsConfig(), monotonic=lambda: 0.0)
        crossed = BookSnapshot(MarketId("A"), [(5_000, 1)], [(4_000, 1)], 0)
        table.apply([crossed], object(), 1)  # type: ignore[arg-type]
        leftovers = Leftovers(
            client,
            Names(),
            "kalshi",
            publisher.opener("kalshi"),
            SESSION,
            known=partial(publisher.knows, "kalshi"),
        )
        await leftovers.mark()
        await published.settled()
        assert MarketPrice.from_msgpack(await client.get("market:A:last")).status == "stale"
        assert leftovers.done
        table.apply([BookSnapshot(MarketId("A"), [(5_000, 1)], [(6_000, 1)], 0)], object(), 2)  # type: ignore[arg-type]
        await published.settled()
        mended = MarketPrice.from_msgpack(await client.get("market:A:last"))
        assert (mended.status, mended.seq, mended.session) == ("live", 2, SESSION)


async def test_a_user_that_may_not_look_is_told_what_it_costs(client: Any) -> None:
    """Not a server that is away: nothing mends it but a person, and no heartbeat begins."""
    await client.execute_command(
        "ACL", "SETUSER", "f", "on", ">p", "~*", "&*", "+@all", "-sscan", "-mget"
    )
    port = client.connection_pool.connection_kwargs["port"]
    narrow: Any = Redis.from_url(f"redis://f:p@127.0.0.1:{port}/0")
    leftovers = leftovers_of(narrow, Keeper())
    with pytest.raises(AuthenticationRejected, match=r"no heartbeat is sent.*sscan"):
        await leftovers.run()
    assert not leftovers.done
    await client.execute_command("ACL", "SETUSER", "f", "+sscan", "+mget")
    again = asyncio.create_task(leftovers.run())
    async with asyncio.timeout(30):
        while not leftovers.done:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)
    again.cancel()
    await narrow.aclose()
