"""HttpFetcher against a real aiohttp server on loopback."""

import asyncio
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from arbees_feed.core.ratelimit import Rates
from arbees_feed.core.venue import Request
from arbees_feed.errors import AuthenticationRejected, RequestFailed
from arbees_feed.transport.http import HttpFetcher, HttpOptions

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
HIDDEN = "s3cr3t-cursor"


class Peer:
    """A server with one handler, the requests it got, and a fetcher that talks to it."""

    def __init__(self, base: str, session: aiohttp.ClientSession) -> None:
        self.base = base
        self.session = session
        self.requests: list[web.Request] = []
        self.bodies: list[bytes] = []
        self.slept: list[float] = []

    @property
    def host(self) -> str:
        """Return the host as it is counted."""
        return self.base.removeprefix("http://")

    def fetcher(self, options: HttpOptions | None = None, **more: object) -> HttpFetcher:
        """Return a fetcher whose waits are recorded and not waited."""

        async def sleep(seconds: float) -> None:
            self.slept.append(seconds)

        options = options or HttpOptions(timeout_s=5.0)
        return HttpFetcher(self.session, options, sleep=sleep, **more)  # type: ignore[arg-type]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[Peer]:
    """Serve *handler* at every path."""
    async with aiohttp.ClientSession() as session:
        peer: Peer

        async def handle(request: web.Request) -> web.StreamResponse:
            peer.requests.append(request)
            peer.bodies.append(await request.read())
            return await handler(request)

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handle)
        async with TestServer(app) as server:
            peer = Peer(str(server.make_url("")).rstrip("/"), session)
            yield peer


def answering(status: int = 200, body: bytes = b"{}", **headers: str) -> Handler:
    """Return a handler that always answers the same."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    async def handle(_: web.Request) -> web.Response:
        return web.Response(status=status, body=body, headers=named)

    return handle


async def test_the_body_and_the_headers_of_an_ordinary_request() -> None:
    async with serving(answering(body=b'{"a":1}')) as peer:
        fetcher = peer.fetcher()
        assert await fetcher.fetch(Request(f"{peer.base}/x")) == b'{"a":1}'
        (request,) = peer.requests
        assert request.headers["User-Agent"].startswith("arbees-feed/")
        assert request.headers["Accept-Language"] == "en"
        assert fetcher.stats.calls == {(peer.host, "2xx"): 1}
        assert fetcher.stats.bytes_received == 7


async def test_parameters_arrive_as_they_are_repeated_or_odd() -> None:
    params = (("id", "1"), ("id", "2"), ("cursor", "a+b/=&c d"), ("tickers", "A,B"))
    async with serving(answering()) as peer:
        await peer.fetcher().fetch(Request(f"{peer.base}/x?kept=1", params))
        assert list(peer.requests[0].query.items()) == [("kept", "1"), *params]


async def test_a_body_is_posted_as_json() -> None:
    async with serving(answering()) as peer:
        await peer.fetcher().fetch(Request(f"{peer.base}/x", method="POST", body=b"[1]"))
        assert peer.bodies == [b"[1]"]
        assert peer.requests[0].content_type == "application/json"


async def test_what_is_not_there_is_none() -> None:
    async with serving(answering(404, b"no")) as peer:
        fetcher = peer.fetcher()
        assert await fetcher.fetch(Request(f"{peer.base}/x")) is None
        assert fetcher.stats.calls == {(peer.host, "4xx"): 1}


@pytest.mark.parametrize("status", [401, 403, 451])
async def test_a_refusal_of_who_we_are_is_fatal(status: int) -> None:
    async with serving(answering(status, b"who are you?")) as peer:
        with pytest.raises(AuthenticationRejected, match=f"HTTP {status}: 'who are you"):
            await peer.fetcher().fetch(Request(f"{peer.base}/x"))


@pytest.mark.parametrize("status", [400, 425, 429, 500, 502, 503, 504])
async def test_other_refusals_carry_their_status(status: int) -> None:
    async with serving(answering(status, b"<html>later</html>")) as peer:
        with pytest.raises(RequestFailed, match=f"{peer.base}/x: HTTP {status}") as caught:
            await peer.fetcher().fetch(Request(f"{peer.base}/x", (("cursor", HIDDEN),)))
        assert caught.value.status == status
        assert HIDDEN not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "header", "expected"),
    [
        (429, "7", 7.0),
        (429, "Thu, 01 Jan 1970 00:01:40 GMT", 60.0),
        (429, "rubbish", 1.5),
        (429, None, 1.5),
        (503, "120", 120.0),
        (503, None, None),
    ],
)
async def test_the_servers_own_waiting_time_is_in_the_error(
    status: int, header: str | None, expected: float | None
) -> None:
    headers = {"Retry_After": header} if header else {}
    async with serving(answering(status, **headers)) as peer:
        options = HttpOptions(default_retry_after_s=1.5)
        fetcher = peer.fetcher(options, now=lambda: 40.0)
        with pytest.raises(RequestFailed) as caught:
            await fetcher.fetch(Request(f"{peer.base}/x"))
        assert caught.value.retry_after_s == expected


async def test_a_redirect_is_not_followed() -> None:
    async with serving(answering(302, Location="http://elsewhere.test/")) as peer:
        with pytest.raises(RequestFailed) as caught:
            await peer.fetcher().fetch(Request(f"{peer.base}/x"))
        assert caught.value.status == 302


async def test_silence_ends_at_the_deadline() -> None:
    never = asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        await never.wait()
        return web.Response()

    async with serving(hang) as peer:
        fetcher = peer.fetcher(HttpOptions(timeout_s=0.05))
        with pytest.raises(RequestFailed, match=r"GET .*/x: no answer in 0.05 s") as caught:
            await fetcher.fetch(Request(f"{peer.base}/x", (("cursor", HIDDEN),)))
        never.set()
        assert (caught.value.status, HIDDEN in str(caught.value)) == (0, False)
        assert fetcher.stats.calls == {(peer.host, "error"): 1}


async def test_a_body_that_trickles_ends_at_the_deadline() -> None:
    never = asyncio.Event()

    async def trickle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"[")
        await never.wait()
        return response

    async with serving(trickle) as peer:
        with pytest.raises(RequestFailed, match="no answer"):
            await peer.fetcher(HttpOptions(timeout_s=0.05)).fetch(Request(f"{peer.base}/x"))
        never.set()


async def test_nobody_listening_is_a_failed_request() -> None:
    async with aiohttp.ClientSession() as session:
        fetcher = HttpFetcher(session)
        url = f"http://127.0.0.1:{unused_port()}/x"
        with pytest.raises(RequestFailed, match="ClientConnectorError") as caught:
            await fetcher.fetch(Request(url, (("cursor", HIDDEN),)))
        assert (caught.value.status, HIDDEN in str(caught.value)) == (0, False)


async def test_a_broken_connection_is_a_failed_request() -> None:
    async def hang_up(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"[")
        assert request.transport is not None
        request.transport.abort()
        return response

    async with serving(hang_up) as peer:
        with pytest.raises(RequestFailed, match="Client") as caught:
            await peer.fetcher().fetch(Request(f"{peer.base}/x"))
        assert caught.value.status == 0


async def test_a_body_without_end_is_refused() -> None:
    async with serving(answering(body=b"x" * 5000)) as peer:
        fetcher = peer.fetcher(HttpOptions(body_limit_bytes=4999))
        with pytest.raises(RequestFailed, match="over 4999 bytes"):
            await fetcher.fetch(Request(f"{peer.base}/x"))
        fetcher = peer.fetcher(HttpOptions(body_limit_bytes=5000))
        assert await fetcher.fetch(Request(f"{peer.base}/x")) == b"x" * 5000


async def test_a_compressed_body_is_measured_unpacked() -> None:
    async def squeezed(_: web.Request) -> web.Response:
        response = web.Response(body=b"x" * 100_000)
        response.enable_compression(web.ContentCoding.gzip)
        return response

    async with serving(squeezed) as peer:
        assert await peer.fetcher().fetch(Request(f"{peer.base}/x")) == b"x" * 100_000
        with pytest.raises(RequestFailed, match="over 50000 bytes"):
            await peer.fetcher(HttpOptions(body_limit_bytes=50_000)).fetch(
                Request(f"{peer.base}/x")
            )


async def test_a_body_that_unpacks_to_far_more_is_given_up_at_the_limit() -> None:
    """Two kinds of packing, a thousand to one; what is held meanwhile stays near the limit."""
    limit = 4 << 20
    for coding in ("gzip", "deflate"):
        packed = bomb(wbits=31 if coding == "gzip" else 15)
        assert len(packed) < limit
        async with serving(answering(body=packed, Content_Encoding=coding)) as peer:
            fetcher = peer.fetcher(HttpOptions(body_limit_bytes=limit))
            tracemalloc.start()
            try:
                with pytest.raises(RequestFailed, match="over 4194304 bytes"):
                    await fetcher.fetch(Request(f"{peer.base}/x"))
                peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
        assert peak < 8 * limit


def bomb(*, wbits: int) -> bytes:
    """Return 256 MiB of nothing, packed."""
    packer = zlib.compressobj(9, wbits=wbits)
    zeros = bytes(1 << 20)
    return b"".join([*(packer.compress(zeros) for _ in range(256)), packer.flush()])


async def test_signed_requests_are_signed_without_their_query() -> None:
    def sign(method: str, path: str) -> dict[str, str]:
        return {"X-Signature": f"{method} {path}"}

    async with serving(answering()) as peer:
        fetcher = peer.fetcher(sign=sign)
        await fetcher.fetch(Request(f"{peer.base}/a/b", (("q", "1"),), signed=True))
        await fetcher.fetch(Request(f"{peer.base}/a/b"))
        first, second = peer.requests
        assert first.headers["X-Signature"] == "GET /a/b"
        assert "X-Signature" not in second.headers


async def test_a_signed_request_without_a_key_is_refused_here() -> None:
    async with serving(answering()) as peer:
        with pytest.raises(AuthenticationRejected, match="needs an API key"):
            await peer.fetcher().fetch(Request(f"{peer.base}/x", signed=True))
        assert peer.requests == []


async def test_each_host_has_its_own_rate_limit() -> None:
    clock = [0.0]
    async with serving(answering()) as one, serving(answering()) as other:
        options = HttpOptions(rates=Rates(2.0, 2.0))
        fetcher = one.fetcher(options, monotonic=lambda: clock[0])
        for _ in range(4):
            await fetcher.fetch(Request(f"{one.base}/x"))
        assert one.slept == [0.5, 1.0]
        await fetcher.fetch(Request(f"{other.base}/x"))
        assert one.slept == [0.5, 1.0]
        assert fetcher.stats.waited_s == 1.5
        clock[0] = 10.0
        await fetcher.fetch(Request(f"{one.base}/x"))
        assert len(one.slept) == 2


async def test_cancellation_gets_out() -> None:
    arrived = asyncio.Event()
    never = asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        arrived.set()
        await never.wait()
        return web.Response()

    async with serving(hang) as peer:
        fetcher = peer.fetcher()
        async with asyncio.TaskGroup() as group:
            task = group.create_task(fetcher.fetch(Request(f"{peer.base}/x")))
            await arrived.wait()
            task.cancel()
        never.set()
        assert task.cancelled()
