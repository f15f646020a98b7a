"""What the tests of enrichment share: Redis, a clock, a scripted venue."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import suppress

import pytest
from fakeredis import FakeAsyncRedis
from redis.asyncio import Redis
from support.feed import valkey as running_server

from arbees_feed.core.model import EventMeta, MarketId, MarketMeta
from arbees_feed.core.ratelimit import Rates
from arbees_feed.core.venue import CatalogueStats, Crawl, Found, Request, Selection
from arbees_feed.enrich.timing import Timing


class Clock:
    """Time that passes only in `wait`, and a signal when the service has nothing more to do."""

    def __init__(self) -> None:
        self.s = 1_795_000_000.0
        self.waits: list[float] = []
        self.rounds_left = 0
        self.idle = asyncio.Event()
        self.timing = Timing(now=lambda: self.s, monotonic=lambda: self.s, wait=self.wait)

    async def wait(self, event: asyncio.Event, timeout_s: float) -> None:
        """Let *timeout_s* pass, or stand still once the rounds are used up."""
        if event.is_set():
            return
        self.waits.append(timeout_s)
        if self.rounds_left == 0:
            self.idle.set()
            await event.wait()
            return
        self.rounds_left -= 1
        self.s += timeout_s

    async def run(
        self, service: Callable[[], Coroutine[None, None, None]], rounds: int = 0
    ) -> None:
        """Run *service* until it has waited *rounds* times and waits again; then cancel it.

        What it raises is raised here.
        """
        self.rounds_left = rounds
        self.idle.clear()
        task = asyncio.ensure_future(service())
        idle = asyncio.ensure_future(self.idle.wait())
        await asyncio.wait({task, idle}, return_when=asyncio.FIRST_COMPLETED)
        idle.cancel()
        if not task.done():
            task.cancel()
        with suppress(asyncio.CancelledError):
            await task


class Venue:
    """A catalogue and a fetcher that do what they are told, and remember what was asked."""

    def __init__(self) -> None:
        self.stats = CatalogueStats()
        self.rates = Rates()
        self.since: list[int | None] = []
        self.allowed: list[Found] = []
        self.fees_told: list[Found] = []
        self.markets: dict[MarketId, MarketMeta] = {}
        self.events: dict[str, EventMeta] = {}
        self.listings: list[int | None] = []
        self.lookups: list[list[MarketId]] = []
        self.requests: list[str] = []
        self.failures: dict[str, list[BaseException]] = {}
        self.pages: list[Found] = []
        self.selected: list[Found] = []
        self.violations: list[BaseException] = []
        self.forgotten: list[str] = []

    def add(self, *markets: MarketMeta) -> None:
        """Make the venue know *markets*."""
        self.markets.update((meta.market_id, meta) for meta in markets)

    def immediate(self, selection: Selection) -> Sequence[MarketId]:
        """Return what is named."""
        return tuple(MarketId(name) for name in selection.markets)

    def universe(self, selection: Selection, since_s: int | None = None) -> Crawl:
        """Hand over the pages prepared."""
        del selection
        self.since.append(since_s)
        for number, found in enumerate(self.selected):
            yield Request(f"universe/{number}")
            yield found

    def listing(self, since_s: int | None) -> Crawl:
        """Hand over the pages prepared, a request for each."""
        self.listings.append(since_s)
        for number, found in enumerate(self.pages):
            yield Request(f"page/{number}")
            if self.violations:
                raise self.violations.pop()
            yield found

    def lookup(self, markets: Sequence[MarketId]) -> Crawl:
        """Hand over those that are known."""
        self.lookups.append(list(markets))
        yield Request("lookup")
        if self.violations:
            raise self.violations.pop()
        yield Found(markets=[self.markets[market] for market in markets if market in self.markets])

    def tops(self, markets: Sequence[MarketId] | None) -> Crawl:
        """Find nothing."""
        del markets
        yield from ()

    def allowance(self) -> Crawl:
        """Hand over what was prepared."""
        yield Request("limits")
        yield from self.allowed

    def fees(self, events: Sequence[str] = ()) -> Crawl:
        """Hand over what was prepared, in one request; make none if nothing was."""
        for event in events:
            yield Request(f"event/{event}")
            if self.violations:
                raise self.violations.pop()
            yield Found(markets=[m for m in self.markets.values() if m.event_id == event])
            if event in self.events:
                yield Found(events=[self.events[event]])
        if events:
            return
        if self.fees_told:
            yield Request("fees")
        if self.violations:
            raise self.violations.pop()
        yield from self.fees_told

    def forget(self, markets: Sequence[MarketId], events: Sequence[str]) -> None:
        """Take note."""
        self.forgotten += [*markets, *events]

    async def fetch(self, request: Request) -> bytes | None:
        """Fail if told to."""
        self.requests.append(request.url)
        if failures := self.failures.get(request.url):
            raise failures.pop(0)
        return b""


@pytest.fixture
def clock() -> Clock:
    """Return a clock that a test moves."""
    return Clock()


@pytest.fixture
def venue() -> Venue:
    """Return a venue without markets."""
    return Venue()


@pytest.fixture
async def redis() -> AsyncIterator[Redis]:
    """Return a Redis in memory."""
    client = FakeAsyncRedis(decode_responses=True)
    yield client
    await client.aclose()


@pytest.fixture(scope="session")
def valkey_port() -> Iterator[int]:
    """Return the port of a real server."""
    with running_server() as server:
        yield server.port


@pytest.fixture
async def valkey(valkey_port: int) -> AsyncIterator[Redis]:
    """Return a client of a real server, emptied."""
    client = Redis(port=valkey_port, decode_responses=True)
    await client.flushall()
    yield client
    await client.aclose()
