"""Live prices for one consumer: the daemon's own feed, with a mailbox where Redis would be.

Sessions, decoders, books and the retry loop are the daemon's. A consumer that is slower than the
venue gets the newest price of each market and never an old one: the mailbox has one place a market.
"""

import asyncio
import inspect
import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Sequence,
)
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from arbees_feed.clients.errors import NotFound
from arbees_feed.core.book import OrderBook
from arbees_feed.core.events import Refused, Trade
from arbees_feed.core.model import MarketId, Quote, Status
from arbees_feed.core.rotation import Rotation
from arbees_feed.core.venue import Credentials, DecoderOptions, VenueSpec
from arbees_feed.core.wire import MarketPrice, price_of
from arbees_feed.errors import FatalError, FeedError
from arbees_feed.feed.market import Hooks, Link, MarketsConfig, Outlet
from arbees_feed.feed.markets import MarketTable
from arbees_feed.feed.service import Carriage, Runnable, VenueFeed
from arbees_feed.feed.session import Connection
from arbees_feed.supervisor import keep_running
from arbees_feed.transport.websocket import open_websocket

OnPrice = Callable[[MarketPrice], Awaitable[None] | None]


class Line(msgspec.Struct, frozen=True):
    """Where a venue's prices come from, and who we are there."""

    spec: VenueSpec
    ws_urls: Sequence[str]
    credentials: Credentials | None
    stale_grace_s: float


Start = Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]
"""(work, name) -> the task that does it, owned by the client."""


class Mailbox:
    """The newest quote of each market, in the order in which markets changed first."""

    def __init__(self) -> None:
        self.replaced = 0
        """Quotes that a newer one replaced before anybody took them."""
        self._quotes: dict[MarketId, Quote] = {}
        self._filled = asyncio.Event()
        self._error: FatalError | None = None
        self._closed = False

    def slot(self, market: MarketId) -> Outlet:
        """Return the way in for one market."""
        return _Slot(self, market)

    def put(self, market: MarketId, quote: Quote) -> None:
        """Take a quote; a waiting one of the market is replaced."""
        self.replaced += market in self._quotes
        self._quotes[market] = quote
        self._filled.set()

    def fail(self, error: FatalError) -> None:
        """Tell the consumer that no price will come."""
        self._error = error
        self._filled.set()

    def close(self) -> None:
        """Tell the consumer that this is the end."""
        self._closed = True
        self._filled.set()

    async def take(self) -> tuple[MarketId, Quote] | None:
        """Return the next quote, or None at the end."""
        while not self._quotes:
            if self._error is not None:
                raise self._error
            if self._closed:
                return None
            self._filled.clear()
            await self._filled.wait()
        market = next(iter(self._quotes))
        return market, self._quotes.pop(market)


class _Slot:
    """One market's way into the mailbox."""

    def __init__(self, mailbox: Mailbox, market: MarketId) -> None:
        self._mailbox = mailbox
        self._market = market

    def put(self, quote: Quote) -> None:
        """Take the newest quote."""
        self._mailbox.put(self._market, quote)

    def put_trade(self, trade: Trade, recv_ns: int) -> None:
        """Trades are not asked for."""

    def put_depth(self, book: OrderBook, ts_event_ns: int, recv_ns: int) -> None:
        """Depth is not asked for."""


class PriceStream:
    """Prices of some markets, for one consumer: `async for price in stream`.

    Stale and closed prices are among them, as on Redis; the loop ends when every market has ended.
    It may be left at any time; the connection is then given up in the background, and at the latest
    with the client.

    Raises while iterating:
        AuthenticationRejected: the venue refuses us. Lost connections are mended, not raised.
    """

    def __init__(
        self,
        line: Line,
        http: aiohttp.ClientSession,
        start: Start,
        market_ids: Sequence[str],
    ) -> None:
        self.market_ids = _checked(line.spec, market_ids)
        self._line = line
        self._http = http
        self._start = start
        self._mailbox = Mailbox()
        self._urls = Rotation(line.ws_urls)
        self._seq: dict[MarketId, int] = {}
        self._session_ns = time.time_ns()

    @property
    def conflated(self) -> int:
        """Prices that were replaced by newer ones before the consumer came for them."""
        return self._mailbox.replaced

    async def __aiter__(self) -> AsyncGenerator[MarketPrice, None]:
        feed = self._new_feed()
        feed.want(self.market_ids)
        task = self._start(self._keep_running(feed), feed.name)
        task.add_done_callback(lambda _: self._mailbox.close())
        following = set(self.market_ids)
        try:
            while following and (taken := await self._mailbox.take()) is not None:
                market, quote = taken
                if quote.status is Status.CLOSED:
                    following.discard(market)
                yield self._price(market, quote)
        finally:
            task.cancel()
            await asyncio.wait({task})

    async def deliver(self, on_price: OnPrice) -> None:
        """Call *on_price* (and await what it returns) for each price, until cancelled."""
        async with aclosing(self.__aiter__()) as prices:
            async for price in prices:
                waiting = on_price(price)
                if inspect.isawaitable(waiting):
                    await waiting

    def _price(self, market: MarketId, quote: Quote) -> MarketPrice:
        seq = self._seq[market] = self._seq.get(market, 0) + 1
        name = self._line.spec.name
        return price_of(quote, market, name, self._session_ns, seq, time.time_ns())

    def _new_feed(self) -> VenueFeed:
        line = self._line

        def on_refused(event: Refused, link: Link) -> None:
            feed.refused(event, link)

        table = MarketTable(
            self._mailbox.slot,
            MarketsConfig(stale_grace_s=line.stale_grace_s),
            monotonic=time.monotonic,
            hooks=Hooks(on_refused=on_refused),
        )
        # The lifecycle tells of markets that end.
        carriage = Carriage(DecoderOptions(lifecycle=True), line.spec.markets_per_socket)
        feed = VenueFeed(line.spec, carriage, table, self._dial, self._keep_running)
        return feed

    async def _keep_running(self, service: Runnable) -> None:
        await keep_running(service, on_failure=self._on_failure)

    def _on_failure(self, _service: str, error: Exception, _delay_s: float) -> None:
        if isinstance(error, FatalError):
            self._mailbox.fail(error)

    @asynccontextmanager
    async def _dial(self) -> AsyncIterator[Connection]:
        line, url = self._line, self._urls.current
        now_ms = time.time_ns() // 1_000_000
        headers = line.spec.handshake_headers(line.credentials, URL(url).path, now_ms)
        connection: AbstractAsyncContextManager[Connection]
        connection = open_websocket(self._http, url, headers)
        opened = False
        try:
            async with connection as socket:
                opened = True
                yield socket
        except FeedError:
            if not opened:
                self._urls.failed(url)
            raise


def _checked(spec: VenueSpec, market_ids: Sequence[str]) -> list[MarketId]:
    if isinstance(market_ids, str):
        raise TypeError("market_ids is a list of ids, not one")
    for market in market_ids:
        if not spec.market_form.fullmatch(market):
            raise NotFound(f"{market[:80]!r} is no market id of {spec.name}")
    if not market_ids:
        raise ValueError("no market ids")
    return [MarketId(market) for market in dict.fromkeys(market_ids)]
