"""What lies between a reader and a venue: distance, answer times, and limits on calls."""

import asyncio
import random
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

import aiohttp
from aiohttp import web

READ_NS = "Read-Ns"
"""Header of an answer: when the venue had made it, Unix ns."""
_HOP_BY_HOP = frozenset(("host", "content-length", "transfer-encoding", "connection"))


class Limit(Protocol):
    """How often a venue lets itself be asked."""

    def wait_s(self, now_s: float) -> float | None:
        """Return how long this call must wait; None if it is refused (429)."""


class TokenBucket:
    """Kalshi's way: a call takes tokens, and is refused when there are too few.

    Basic tier, read calls: 200 tokens a second, 600 at most, 10 a call (docs.kalshi.com, rate
    limits, read 2026-11-21).
    """

    def __init__(self, refill_per_s: float = 200, capacity: float = 600, cost: float = 10) -> None:
        self._refill_per_s, self._capacity, self._cost = refill_per_s, capacity, cost
        self._tokens, self._at_s = capacity, time.monotonic()

    def wait_s(self, now_s: float) -> float | None:
        """Take the tokens, if they are there."""
        grown = self._tokens + (now_s - self._at_s) * self._refill_per_s
        self._tokens, self._at_s = min(grown, self._capacity), now_s
        if self._tokens < self._cost:
            return None
        self._tokens -= self._cost
        return 0.0


class Window:
    """Polymarket's way: so many calls in a sliding window, and more of them are held back.

    1,500 `GET /book` or 500 `POST /books` in 10 s (docs.polymarket.com, rate limits, read
    2026-11-21).
    """

    def __init__(self, calls: int, seconds: float = 10.0) -> None:
        self._seconds = seconds
        self._starts: deque[float] = deque([float("-inf")] * calls, maxlen=calls)

    def wait_s(self, now_s: float) -> float | None:
        """Return how long until the window has room."""
        start_s = max(now_s, self._starts[0] + self._seconds)
        self._starts.append(start_s)
        return start_s - now_s


class Gateway:
    """REST of a venue as one reader has it: slow, limited, and counted."""

    def __init__(self, target: str, limit: Limit, answer_s: tuple[float, float], seed: str) -> None:
        self.calls = self.refused = 0
        self._target, self._limit, self._answer_s = target, limit, answer_s
        self._random = random.Random(seed)
        self._session: aiohttp.ClientSession

    @asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        """Serve while the block runs; yield the address."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as self._session:
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            try:
                port = runner.addresses[0][1]
                yield f"http://127.0.0.1:{port}"
            finally:
                await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        self.calls += 1
        body = await request.read()
        half_s = self._random.uniform(*self._answer_s) / 2
        wait_s = self._limit.wait_s(time.monotonic())
        await asyncio.sleep(half_s + (wait_s or 0.0))
        if wait_s is None:
            self.refused += 1
            await asyncio.sleep(half_s)
            return web.json_response({"error": "too many requests"}, status=429)
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _HOP_BY_HOP}
        asked = self._session.request(
            request.method, self._target + request.path_qs, data=body, headers=headers
        )
        async with asked as got:
            payload = await got.read()
        told = {READ_NS: str(time.time_ns()), "Content-Type": got.headers["Content-Type"]}
        await asyncio.sleep(half_s)
        return web.Response(body=payload, status=got.status, headers=told)


@asynccontextmanager
async def line(target_port: int, delay_s: float) -> AsyncIterator[int]:
    """Pass bytes on, each way so much later, while the block runs; yield the port to connect to."""
    carrying: set[asyncio.Task[None] | None] = set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        carrying.add(asyncio.current_task())
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", target_port)
        async with asyncio.TaskGroup() as ways:
            ways.create_task(_later(reader, far_writer, delay_s))
            ways.create_task(_later(far_reader, writer, delay_s))

    server = await asyncio.start_server(carry, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        # Whoever was connected has gone by now: a cancelled one would be reported as an error.
        await asyncio.gather(*(task for task in carrying if task))


async def _later(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_s: float
) -> None:
    """Write what is read, so much later, until either end closes."""
    loop = asyncio.get_running_loop()
    closing = False

    def write(data: bytes) -> None:
        if data and not writer.is_closing():
            writer.write(data)
        elif not data:
            writer.close()

    while not closing:
        try:
            data = await reader.read(1 << 16)
        except ConnectionError:
            data = b""
        closing = not data
        loop.call_later(delay_s, write, data)
