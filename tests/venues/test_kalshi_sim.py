"""Questions to the simulated venue: the answers, streamed and over REST, beside our books."""

from collections.abc import AsyncIterator
from time import time_ns

import aiohttp
import pytest
from support.outlets import FakeClock, Outlets, RecordingLink, table_over

from arbees_feed.core.book import OrderBook
from arbees_feed.core.events import BookTold
from arbees_feed.core.model import MarketId
from arbees_feed.core.venue import DecoderOptions, Found
from arbees_feed.sim import SimConfig, SimServer
from arbees_feed.venues.kalshi.catalogue import KalshiCatalogue
from arbees_feed.venues.kalshi.decoder import KalshiDecoder

WS_PATH, REST_PATH = "/trade-api/ws/v2", "/trade-api/v2/markets/orderbooks"


class Feed:
    """A decoder on a socket of the simulated venue, and its books."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, markets: list[MarketId]) -> None:
        self._socket = socket
        self.markets = markets
        self.decoder = KalshiDecoder(DecoderOptions())
        self.table = table_over(Outlets(), FakeClock())
        self._link = RecordingLink(self.decoder)
        self.told: list[BookTold] = []
        self.decoder.tick(1_000.0)
        self.decoder.start(markets)

    async def exchange(self) -> None:
        """Send what waits and take one frame."""
        while self.decoder.outbox:
            await self._socket.send_str(self.decoder.outbox.pop(0).decode())
        for event in self.decoder.receive((await self._socket.receive_str()).encode()):
            if isinstance(event, BookTold):
                self.told.append(event)
                assert self.book(event.market) == sides_of(event)
            else:
                self.table.apply([event], self._link, 1)

    def book(self, market: MarketId) -> tuple[dict[int, int], dict[int, int]]:
        found = self.table.get(market)
        assert found is not None
        assert found.book is not None
        return found.book.bids.sizes, found.book.asks.sizes


def sides_of(told: BookTold) -> tuple[dict[int, int], dict[int, int]]:
    book = OrderBook()
    book.load(told.bids, told.asks)
    return book.bids.sizes, book.asks.sizes


@pytest.fixture
async def sim() -> AsyncIterator[SimServer]:
    """Return a venue with ten busy markets, some of which are emptied now and then."""
    config = SimConfig(kalshi_markets=10, polymarket_markets=0, rate=5_000.0, empty_share=0.02)
    async with SimServer(config) as server:
        yield server


@pytest.fixture
async def feed(sim: SimServer) -> AsyncIterator[Feed]:
    """Return a feed that has the books of all markets."""
    headers = sim.credentials.headers("GET", WS_PATH, time_ns() // 1_000_000)
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(sim.kalshi_ws_url, headers=headers) as socket,
    ):
        feed = Feed(socket, [MarketId(ticker) for ticker in sim.kalshi_tickers])
        while len(feed.table) < len(feed.markets):
            await feed.exchange()
        yield feed


async def test_answers_of_the_stream_equal_our_books_while_these_change(feed: Feed) -> None:
    for _ in range(20):
        before, frames = len(feed.told), feed.decoder.stats.frames
        assert feed.decoder.probe(feed.markets)
        while len(feed.told) < before + len(feed.markets):
            await feed.exchange()
        while feed.decoder.stats.frames < frames + 30:  # changes come between two questions
            await feed.exchange()
    assert feed.decoder.stats.gaps == 0


async def test_answers_over_rest_equal_our_books_once_these_stand_still(
    sim: SimServer, feed: Feed
) -> None:
    sim.pause()
    truth = {market: sim.world.market(market).top() for market in feed.markets}
    while any(top_of(feed, market) != top for market, top in truth.items()):
        await feed.exchange()
    feed.decoder.probe(feed.markets)
    while len(feed.told) < len(feed.markets):
        await feed.exchange()
    crawl = KalshiCatalogue({"rest": sim.kalshi_rest_url}).books([*feed.markets, MarketId("KX-NO")])
    request = next(crawl)
    assert not isinstance(request, Found)
    assert request.signed
    headers = sim.credentials.headers("GET", REST_PATH, time_ns() // 1_000_000)
    async with (
        aiohttp.ClientSession() as session,
        session.get(request.url, params=request.params, headers=headers) as answer,
    ):
        found = crawl.send(await answer.read())
    assert isinstance(found, Found)
    assert {told.market: sides_of(told) for told in found.books} == {
        market: feed.book(market) for market in feed.markets
    }


def top_of(feed: Feed, market: MarketId) -> tuple[int, int, int, int] | None:
    found = feed.table.get(market)
    return found.book.top() if found is not None and found.book is not None else None
