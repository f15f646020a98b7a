"""A real publisher over a real server, whose prices the test decides."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from arbees_feed.core.model import MarketId, Quote, Source, Status, VenueState
from arbees_feed.core.wire import MarketPrice, Names
from arbees_feed.publish.outlet import Outlet
from arbees_feed.publish.pipe import Pipe, PipeOwner
from arbees_feed.publish.service import Publisher
from arbees_feed.publish.status import StatusBoard
from arbees_feed.supervisor import Policy, Supervisor
from arbees_feed.transport.redis import open_pipe

VENUE = "kalshi"


class _Noting(Publisher):
    """Notes what goes out under which seq."""

    def emit(self, outlet: Outlet, quote: Quote) -> None:
        super().emit(outlet, quote)
        self.noted[outlet.market][outlet.seq] = quote

    noted: dict[str, dict[int, Quote]]


class Published:
    """Publishes what it is told; remembers the quote of each (market, seq)."""

    venue = VENUE

    def __init__(self, url: str, session: int, names: Names) -> None:
        self.session = session
        self.quotes: dict[str, dict[int, Quote]] = defaultdict(dict)
        self.sent = 0
        self._url = url

        @asynccontextmanager
        async def dial(owner: PipeOwner) -> AsyncIterator[Pipe]:
            async with open_pipe(owner, url, timeout_s=2.0) as pipe:
                yield pipe

        self.publisher = _Noting(
            dial, names, session=session, call_soon=asyncio.get_running_loop().call_soon
        )
        self.publisher.noted = self.quotes
        self.board = StatusBoard([self], self.publisher.send, names, session)
        self._open = self.publisher.opener(VENUE)
        self._outlets = {}

    def state(self) -> tuple[VenueState, str]:
        """Tell the status board that all is well."""
        return VenueState.LIVE, ""

    def fields(self) -> Mapping[str, str]:
        """Tell the status board nothing more."""
        return {}

    def put(self, market: str, status: Status = Status.LIVE) -> None:
        """Publish the next quote of a market; each is another one."""
        outlet = self._outlets.get(market) or self._outlets.setdefault(
            market, self._open(MarketId(market))
        )
        self.sent += 1
        quote = (
            Quote(self.sent % 4_000, self.sent * 1_000_000, 9_000, 1_000_000, None,
                  status, Source.BOOK, 0, time.time_ns())
            if status is Status.LIVE
            else Quote(0, 0, 10_000, 0, None, status, Source.BOOK, 0, time.time_ns())
        )  # fmt: skip
        outlet.put(quote)

    def newest(self, market: str) -> int:
        """Return the seq of the newest price of a market."""
        return max(self.quotes[market])

    def is_true(self, price: MarketPrice) -> bool:
        """Return whether *price* is what was published under its seq."""
        quote = self.quotes[price.market_id][price.seq]
        return (price.session, price.status, round(price.yes_bid * 10_000), price.yes_bid_size) == (
            self.session, quote.status, quote.bid, quote.bid_size / 1_000_000
        )  # fmt: skip

    async def settled(self) -> None:
        """Wait until Redis has acknowledged everything."""
        async with asyncio.timeout(30.0):
            while not self.publisher.idle:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.002)

    async def stream(self, markets: list[str], rate: float) -> None:
        """Publish *rate* prices a second, market by market, until cancelled."""
        began_s, sent = time.monotonic(), 0
        while True:
            due = int((time.monotonic() - began_s) * rate)
            while sent < due:
                self.put(markets[sent % len(markets)])
                sent += 1
            await asyncio.sleep(0.002)


class _Clock:
    """Ticks the publisher, as the daemon does."""

    name = "publisher-clock"

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    async def run(self) -> None:
        while True:
            await asyncio.sleep(0.1)
            self._publisher.tick(time.monotonic())


@asynccontextmanager
async def publishing(
    url: str, *, session: int | None = None, prefix: str = "", beats: bool = True
) -> AsyncIterator[Published]:
    """Run a publisher, and the venue's heartbeat, while the block runs; it ends without a word."""
    published = Published(url, session or time.time_ns(), Names(prefix))
    services = [published.publisher, _Clock(published.publisher)]
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(Supervisor(Policy()).run(services, stop))
        try:
            async with asyncio.timeout(30.0):
                while not published.publisher.connected:  # noqa: ASYNC110 - it tells nobody
                    await asyncio.sleep(0.005)
            if beats:  # only now, so that the first heartbeat arrives
                group.create_task(Supervisor(Policy()).run([published.board], stop))
                await asyncio.sleep(0.01)
                await published.settled()
            yield published
        finally:
            stop.set()
