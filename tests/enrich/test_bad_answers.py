"""What a venue may answer wrongly, over real HTTP: each has an outcome, and nothing gets stuck."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from redis.asyncio import Redis

from arbees_feed.core.breaker import BreakerOptions
from arbees_feed.core.model import MarketId
from arbees_feed.core.ratelimit import Rates
from arbees_feed.core.venue import Selection
from arbees_feed.core.wire import Names
from arbees_feed.enrich.discovery import Universe
from arbees_feed.enrich.search import search
from arbees_feed.enrich.service import Enricher
from arbees_feed.enrich.writer import MetadataWriter
from arbees_feed.errors import ProtocolViolation, RequestFailed
from arbees_feed.transport.http import HttpFetcher, HttpOptions
from arbees_feed.venues.kalshi.catalogue import KalshiCatalogue

Answer = Callable[[web.Request], Any]
HTML = "<html><body>502 Bad Gateway</body></html>"


class Setting:
    """A venue that answers as told, and an enricher of it."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked: list[str] = []
        self.enricher: Enricher
        self.universe: Universe
        self.fetcher: HttpFetcher
        self.catalogue: KalshiCatalogue
        self.gone: list[MarketId] = []

    async def handle(self, request: web.Request) -> web.Response:
        """Answer."""
        self.asked.append(request.path_qs)
        answer = self.answer(request)
        if isinstance(answer, web.Response):
            return answer
        if isinstance(answer, str):
            return web.Response(text=answer, content_type="text/html")
        return web.Response(text=json.dumps(answer), content_type="application/json")


@asynccontextmanager
async def setting(answer: Answer, redis: Redis, clock: Any) -> AsyncIterator[Setting]:
    """Serve *answer* at every path."""
    made = Setting(answer)
    app = web.Application()
    app.router.add_get("/{path:.*}", made.handle)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        base = str(server.make_url("")).rstrip("/")
        options = HttpOptions(
            timeout_s=5.0, rates=Rates(1e6, 1e6), breaker=BreakerOptions(failures=3)
        )
        made.fetcher = HttpFetcher(session, options, monotonic=lambda: clock.s)
        made.catalogue = KalshiCatalogue({"rest": base})
        made.enricher = Enricher(
            made.catalogue,
            made.fetcher,
            MetadataWriter(redis, Names(), venue="kalshi", now=lambda: clock.s),
            first_price=_at_once,
            unknown=tuple,
            timing=clock.timing,
        )
        made.universe = Universe(
            made.catalogue,
            made.fetcher,
            Selection(markets=("KXA-1",)),
            want=lambda _: None,
            gone=made.gone.extend,
            timing=clock.timing,
        )
        yield made


async def _at_once() -> None:
    pass


def market(ticker: str = "KXA-1", **changes: object) -> dict[str, object]:
    """Return a market record."""
    return {"ticker": ticker, "event_ticker": "KXA", "title": f"T {ticker}", **changes}


def event(*markets: object, ticker: str = "KXA") -> dict[str, object]:
    """Return an event record."""
    return {"event_ticker": ticker, "title": f"E {ticker}", "markets": list(markets)}


def listing(*events: object, cursor: str = "") -> dict[str, object]:
    """Return a page of events."""
    return {"events": list(events), "cursor": cursor}


async def metas(redis: Redis) -> list[str]:
    """Return the keys of all hashes."""
    return sorted(str(key) for key in await redis.keys("*:meta"))


async def test_an_unknown_ticker_is_gone(redis: Redis, clock: Any) -> None:
    async with setting(lambda _: {"markets": [], "cursor": ""}, redis, clock) as made:
        await clock.run(made.universe.run)
        assert made.gone == ["KXA-1"]


async def test_a_settled_market_is_gone(redis: Redis, clock: Any) -> None:
    def answer(request: web.Request) -> Any:
        settled = market(status="finalized")
        return {"event": event(settled)} if "events" in request.path else {"markets": [settled]}

    async with setting(answer, redis, clock) as made:
        await clock.run(made.universe.run)
        assert made.gone == ["KXA-1"]


async def test_an_event_without_markets_is_not_written(redis: Redis, clock: Any) -> None:
    page = listing(event(ticker="KXEMPTY"), event(market()), {"event_ticker": "KXNONE"})
    async with setting(lambda _: page, redis, clock) as made:
        await clock.run(made.enricher.run)
        assert await metas(redis) == ["event:KXA:meta", "market:KXA-1:meta"]


@pytest.mark.parametrize(
    "page", [HTML, [], {}, {"events": 7}, {"events": [], "cursor": 7}, "", '{"events": ['], ids=str
)
async def test_a_malformed_page_fails_the_pass_and_the_next_one_is_whole(
    redis: Redis, clock: Any, page: Any
) -> None:
    """HTML with status 200 is one of them. Prices and what was written are not touched."""
    pages = [page]
    async with setting(
        lambda _: pages.pop() if pages else listing(event(market())), redis, clock
    ) as made:
        with pytest.raises(ProtocolViolation, match="/events"):
            await clock.run(made.enricher.run)
        await clock.run(made.enricher.run)
        assert await metas(redis) == ["event:KXA:meta", "market:KXA-1:meta"]


async def test_malformed_records_cost_themselves_only(redis: Redis, clock: Any) -> None:
    page = listing(7, None, {"event_ticker": 5}, event("x", {"ticker": None}, market()))
    async with setting(lambda _: page, redis, clock) as made:
        await clock.run(made.enricher.run)
        assert await metas(redis) == ["event:KXA:meta", "market:KXA-1:meta"]
        assert made.catalogue.stats.skipped == 5


async def test_an_endless_cursor_ends(redis: Redis, clock: Any) -> None:
    async with setting(lambda _: listing(event(market()), cursor="again"), redis, clock) as made:
        await clock.run(made.enricher.run)
        assert len(made.asked) == 2
        assert made.enricher.stats.listings_done == 1
        assert made.catalogue.stats.runaways == 1


async def test_duplicate_pages_end_and_are_written_once(redis: Redis, clock: Any) -> None:
    """Each time with a new cursor, and with other prices in it."""

    def answer(_: web.Request) -> Any:
        number = len(made.asked)
        return listing(event(market(volume_fp=f"{number}.00")), cursor=f"c{number}")

    async with setting(answer, redis, clock) as made:
        await clock.run(made.enricher.run)
        assert len(made.asked) == 2
        assert await metas(redis) == ["event:KXA:meta", "market:KXA-1:meta"]


async def test_html_errors_open_the_breaker_and_the_pass_completes_afterwards(
    redis: Redis, clock: Any
) -> None:
    pages = [listing(event(market(f"KXA-{n}"), ticker=f"KX{n}"), cursor=f"c{n}") for n in range(3)]
    trouble = [502] * 3 + [503, 504]

    def answer(request: web.Request) -> Any:
        if (cursor := request.query.get("cursor")) == "c1" and trouble:
            return web.Response(status=trouble.pop(), text=HTML, content_type="text/html")
        if cursor == "c2":
            return listing(event(market("KXA-LAST")))
        return pages[0 if cursor is None else int(cursor[1:]) + 1]

    async with setting(answer, redis, clock) as made:
        failures: list[RequestFailed] = []
        states: set[int] = set()
        while not made.enricher.stats.listings_done:
            try:
                await clock.run(made.enricher.run)
            except RequestFailed as exc:
                failures.append(exc)
                clock.s += exc.retry_after_s or 0.0
            states |= set(made.fetcher.stats.gate.breaker_state.values())
        assert all(HTML[:20] in str(exc) or "left alone" in str(exc) for exc in failures)
        assert states == {0, 2}
        assert made.fetcher.stats.gate.breaker_opened.total() == 3
        assert made.fetcher.stats.gate.breaker_refused.total() > 0
        assert set(made.fetcher.stats.gate.breaker_state.values()) == {0}
        assert len([key for key in await metas(redis) if key.startswith("market")]) == 4
        assert [path for path in made.asked if "cursor" not in path] == made.asked[:1]


async def test_a_storm_of_429_is_waited_out_and_the_pass_completes(
    redis: Redis, clock: Any
) -> None:
    storm = [429] * 6

    def answer(_: web.Request) -> Any:
        if storm:
            return web.json_response({"error": "too many requests"}, status=storm.pop())
        return listing(event(market()))

    async with setting(answer, redis, clock) as made:
        began_s = clock.s
        statuses: set[int] = set()
        while not made.enricher.stats.listings_done:
            try:
                await clock.run(made.enricher.run)
            except RequestFailed as exc:
                statuses.add(exc.status)
                clock.s += exc.retry_after_s or 0.0
        assert statuses == {429}
        assert made.fetcher.stats.gate.rests.total() == 6
        assert len(made.asked) == 7
        assert clock.s - began_s > 30.0
        assert len(await metas(redis)) == 2


async def test_a_market_without_a_title_is_written_and_found_by_its_event(
    redis: Redis, clock: Any
) -> None:
    page = listing(event(market(title=None)))
    async with setting(lambda _: page, redis, clock) as made:
        await clock.run(made.enricher.run)
        assert await redis.hget("market:KXA-1:meta", "title") == "E KXA"
        (hit,) = await search(redis, Names(), "kxa")
        assert (hit.market_id, hit.title) == ("KXA-1", "E KXA")


async def test_a_market_without_any_text_is_written(redis: Redis, clock: Any) -> None:
    bare = {"event_ticker": "KXA", "markets": [{"ticker": "KXA-1"}]}
    async with setting(lambda _: listing(bare), redis, clock) as made:
        await clock.run(made.enricher.run)
        fields = await redis.hgetall("market:KXA-1:meta")
        assert "title" not in fields
        assert fields["platform"] == "kalshi"
