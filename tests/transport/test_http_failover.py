"""Moving between addresses of one REST interface."""

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from arbees_feed.core.venue import Request
from arbees_feed.errors import AuthenticationRejected, RequestFailed
from arbees_feed.transport.http import HttpFetcher
from arbees_feed.transport.rest_failover import FailoverFetcher

FIRST, SECOND = "https://one.test/api/v2", "https://two.test/v2"


class Hosts:
    """Fails as told for one host; remembers what was asked."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.asked: list[str] = []

    async def fetch(self, request: Request) -> bytes | None:
        """Answer, or fail."""
        self.asked.append(request.url)
        if self.error is not None and "one.test" in request.url:
            raise self.error
        return b"{}"


@pytest.mark.parametrize("status", [0, 502, 503, 504])
async def test_a_failure_of_the_host_sends_the_next_request_to_another(status: int) -> None:
    hosts = Hosts(RequestFailed("away", status=status))
    fetcher = FailoverFetcher(hosts, [(FIRST + "/", SECOND)])
    with pytest.raises(RequestFailed, match="away"):
        await fetcher.fetch(Request(f"{FIRST}/markets", (("a", "b"),)))
    assert fetcher.current == {FIRST: SECOND}
    await fetcher.fetch(Request(f"{FIRST}/markets"))
    assert hosts.asked == [f"{FIRST}/markets", f"{SECOND}/markets"]
    assert fetcher.switches == {FIRST: 1}


@pytest.mark.parametrize(
    "error",
    [
        RequestFailed("bad", status=400),
        RequestFailed("too fast", status=429),
        RequestFailed("bug of theirs", status=500),
        AuthenticationRejected("who are you?"),
    ],
)
async def test_our_own_errors_move_nothing(error: Exception) -> None:
    fetcher = FailoverFetcher(Hosts(error), [(FIRST, SECOND)])
    with pytest.raises(type(error)):
        await fetcher.fetch(Request(f"{FIRST}/markets"))
    assert fetcher.current == {FIRST: FIRST}
    assert not fetcher.switches


async def test_a_single_address_is_kept() -> None:
    fetcher = FailoverFetcher(Hosts(RequestFailed("away")), [(FIRST,), ()])
    with pytest.raises(RequestFailed):
        await fetcher.fetch(Request(f"{FIRST}/markets"))
    assert (fetcher.current, fetcher.switches) == ({FIRST: FIRST}, {})


async def test_other_base_urls_pass_unchanged() -> None:
    hosts = Hosts()
    fetcher = FailoverFetcher(hosts, [(FIRST, SECOND)])
    urls = [f"{FIRST}0/markets", "https://three.test/x", FIRST, f"{FIRST}?a=b"]
    for url in urls:
        await fetcher.fetch(Request(url))
    assert hosts.asked == urls


async def test_a_dead_host_is_left_for_a_living_one() -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=b"alive")

    app = web.Application()
    app.router.add_get("/b/x", answer)
    dead = f"http://127.0.0.1:{unused_port()}/a"
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        alive = str(server.make_url("/b"))
        fetcher = FailoverFetcher(HttpFetcher(session), [(dead, alive)])
        with pytest.raises(RequestFailed):
            await fetcher.fetch(Request(f"{dead}/x"))
        assert await fetcher.fetch(Request(f"{dead}/x")) == b"alive"
