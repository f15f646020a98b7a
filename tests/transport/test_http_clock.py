"""The clocks are compared by the answers of a real server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import formatdate

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from structlog.testing import capture_logs

from arbees_feed.core.venue import Request
from arbees_feed.transport.http import HttpFetcher, HttpOptions

NOW_S = 1_795_219_200.5


class Server:
    """A server whose clock the test sets, and a fetcher whose clock stands still."""

    def __init__(self) -> None:
        self.offset_s = 0.0
        self.headers: dict[str, str] = {}
        self.status = 200
        self.base = ""

    async def handle(self, _request: web.Request) -> web.Response:
        headers = {"Date": formatdate(NOW_S + self.offset_s, usegmt=True), **self.headers}
        return web.Response(status=self.status, headers=headers)

    @asynccontextmanager
    async def fetching(self) -> AsyncIterator[HttpFetcher]:
        app = web.Application()
        app.router.add_get("/", self.handle)
        async with TestServer(app) as server, aiohttp.ClientSession() as session:
            self.base = str(server.make_url("/"))
            yield HttpFetcher(session, HttpOptions(timeout_s=5.0), now=lambda: NOW_S)


async def test_each_answer_tells_the_clock_whatever_its_status() -> None:
    server = Server()
    async with server.fetching() as fetcher:
        server.offset_s, server.status = 3.0, 404
        assert await fetcher.fetch(Request(server.base)) is None
        clock = fetcher.stats.clock
        assert clock.offset_s == pytest.approx(3.0)
        assert clock.uncertainty_s == pytest.approx(0.5)


async def test_an_answer_of_a_cache_does_not_count() -> None:
    server = Server()
    async with server.fetching() as fetcher:
        server.offset_s, server.headers = -60.0, {"Age": "60"}
        await fetcher.fetch(Request(server.base))
        assert fetcher.stats.clock.offset_s is None


async def test_clocks_that_differ_too_much_are_told_once_and_again_after_they_agreed() -> None:
    server = Server()
    with capture_logs() as lines:
        async with server.fetching() as fetcher:
            for offset_s in (5.2, *[20.0] * 4, *[0.0] * 9, *[-20.0] * 20):
                server.offset_s = offset_s
                await fetcher.fetch(Request(server.base))
    told = [line for line in lines if line["event"] == "clocks differ"]
    # 5.2 s may be 4.7 s: the date is cut to whole seconds.
    assert [line["offset_s"] for line in told] == [20.0, -20.0]
    assert {line["log_level"] for line in told} == {"warning"}
    assert told[0]["uncertainty_s"] == 0.5
