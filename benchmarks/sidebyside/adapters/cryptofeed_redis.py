"""cryptofeed's Redis backend by itself: it has no prediction venue, so books are made up here.

Each event changes the best level of a book of 40 levels a side and is added to a Redis stream, the
nearest it has to a publication. A line on standard input is the number of events of a play.
"""

import asyncio
import itertools
import sys
import time
from collections.abc import AsyncIterator
from decimal import Decimal

import tally
from cryptofeed.backends.redis import BookStream, TickerStream
from cryptofeed.types import OrderBook, Ticker

BATCH = 64
"""Events between two chances for the writer: what one read of a socket brings."""
OPTIONS = {"overflow": "block", "max_depth": 1_000_000, "batch_interval": 0.01}
"""Nothing is dropped, and a batch that is not full waits 10 ms, not 500."""
BEST = Decimal("0.45")


def books(markets: list[str]) -> list[OrderBook]:
    """Return a book of 40 levels a side for each market."""
    sides = [{Decimal(cents) / 100: Decimal(500) for cents in cents_of} for cents_of in
             (range(6, 46), range(55, 95))]  # fmt: skip
    return [OrderBook("BENCH", market, *sides) for market in markets]


async def work(job: tally.Job) -> None:
    """Write as many events as each line asks for, and tell when Redis has them."""
    stream = (BookStream if job.kind == "book" else TickerStream)(port=job.redis_port, **OPTIONS)
    events = itertools.cycle(books(job.markets))
    sizes = itertools.cycle([Decimal(size) for size in range(100, 900)])
    told = tally.Tally(job.mark, timed=False)

    async def write() -> None:
        book, size, now_s = next(events), next(sizes), time.time()
        if job.kind == "ticker":
            await stream(Ticker("BENCH", book.symbol, BEST, size / 1000, now_s), now_s)
            return
        book.book.bids[BEST] = size
        book.delta, book.timestamp = {"bid": [(BEST, size)], "ask": []}, now_s
        await stream(book, now_s)

    async with asyncio.TaskGroup() as group:
        stream.start_writer(group, "writer")
        async for count in lines():
            wanted = stream.stats.written + count
            for number in range(count):
                await write()
                if number % BATCH == 0:
                    await asyncio.sleep(0)
            while stream.stats.written < wanted:  # noqa: ASYNC110 - it has no event for that
                await asyncio.sleep(0.001)
            told.count = count
            told.tell()


async def lines() -> AsyncIterator[int]:
    """Yield the numbers on standard input."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield int(line)


tally.run(work)
