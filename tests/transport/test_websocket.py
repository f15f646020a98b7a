"""WebSocket connections against an aiohttp server on loopback."""

import asyncio
import base64
import contextlib
import hashlib
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
from aiohttp import web
from aiohttp.http_websocket import WS_KEY

from arbees_feed.errors import AuthenticationRejected, ConnectionLost
from arbees_feed.transport.websocket import (
    MAX_FRAME_BYTES,
    WebSocketConnection,
    open_websocket,
)

Handler = Callable[[web.WebSocketResponse], Awaitable[None]]


@contextlib.asynccontextmanager
async def served(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_get("/ws", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"ws://127.0.0.1:{site.port}/ws"
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def connected(handler: Handler) -> AsyncIterator[WebSocketConnection]:
    async def upgrade(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(autoping=False, max_msg_size=0)
        await socket.prepare(request)
        await handler(socket)
        return socket

    async with (
        served(upgrade) as url,
        aiohttp.ClientSession() as session,
        open_websocket(session, url, {}) as connection,
    ):
        yield connection


async def test_text_and_binary_frames_come_as_bytes_with_their_receive_time() -> None:
    async def handler(socket: web.WebSocketResponse) -> None:
        await socket.send_str('{"price":"0.5 \u20ac"}')
        await socket.send_bytes(b"\xff\x00")
        await socket.receive()

    async with connected(handler) as connection:
        began_ns = time.time_ns()
        assert await received(connection, 2) == ['{"price":"0.5 \u20ac"}'.encode(), b"\xff\x00"]
        assert began_ns < connection.received_ns <= time.time_ns()


async def received(connection: WebSocketConnection, count: int) -> list[bytes]:
    """Return so many frames, however they come together."""
    frames: list[bytes] = []
    while len(frames) < count:
        frames += await connection.receive()
    return frames


async def test_what_has_been_read_comes_at_once_up_to_a_ping() -> None:
    told = [b"%d" % number for number in range(1_300)]
    sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def handler(socket: web.WebSocketResponse) -> None:
        for number, frame in enumerate(told):
            if number == 1_000:
                await socket.ping()
            await socket.send_bytes(frame)
        sent.set_result(None)
        await socket.receive()  # the pong
        await socket.send_bytes(b"after the pong")
        await socket.close(code=1001, message=b"done")

    async with connected(handler) as connection:
        await sent
        frames: list[bytes] = []
        batches = 0
        while len(frames) <= len(told):
            frames += await connection.receive()
            batches += 1
        with pytest.raises(ConnectionLost, match="1001 done"):
            await connection.receive()
    assert frames == [*told, b"after the pong"]
    assert batches <= 40, "one wake-up brings many frames"


async def test_a_ping_is_answered_and_counts_as_life() -> None:
    answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def handler(socket: web.WebSocketResponse) -> None:
        await socket.ping(b"heartbeat")
        pong = await socket.receive()
        answered.set_result(pong.data)
        await socket.send_str("after")
        await socket.receive()

    async with connected(handler) as connection:
        connection.last_life_s = 0.0
        assert await connection.receive() == [b"after"]
        assert await answered == b"heartbeat"
        assert connection.last_life_s > 0


async def test_a_close_frame_is_told_with_code_and_reason() -> None:
    async def handler(socket: web.WebSocketResponse) -> None:
        await socket.close(code=1000, message=b"all subscribed assets resolved")

    async with connected(handler) as connection:
        with pytest.raises(ConnectionLost, match="1000 all subscribed assets resolved"):
            await connection.receive()
        assert connection.close_reason == "all subscribed assets resolved"


async def test_a_cut_without_a_close_frame_is_told() -> None:
    async def handler(socket: web.WebSocketResponse) -> None:
        assert socket._req is not None
        assert socket._req.transport is not None
        socket._req.transport.abort()

    async with connected(handler) as connection:
        with pytest.raises(ConnectionLost):
            await connection.receive()


async def test_a_frame_of_twenty_megabytes_passes() -> None:
    async def handler(socket: web.WebSocketResponse) -> None:
        await socket.send_str("x" * (20 << 20))
        await socket.receive()

    async with connected(handler) as connection:
        assert len((await connection.receive())[0]) == 20 << 20


async def test_deflate_is_offered_and_understood() -> None:
    offered: list[str] = []

    async def upgrade(request: web.Request) -> web.StreamResponse:
        offered.append(request.headers.get("Sec-WebSocket-Extensions", ""))
        socket = web.WebSocketResponse(compress=True)
        await socket.prepare(request)
        await socket.send_str("compressed " * 1000)
        await socket.receive()
        return socket

    async with (
        served(upgrade) as url,
        aiohttp.ClientSession() as session,
        open_websocket(session, url, {}) as connection,
    ):
        assert await connection.receive() == [b"compressed " * 1000]
    assert "permessage-deflate" in offered[0]


async def test_what_is_sent_is_not_compressed_where_deflate_was_agreed_on() -> None:
    """A compressor is a third of a megabyte for each socket."""
    sent: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    async def upgrade(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        found = re.search(rb"Sec-WebSocket-Key: (\S+)", request)
        assert found
        accepted = base64.b64encode(hashlib.sha1(found[1] + WS_KEY, usedforsecurity=False).digest())
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Extensions: permessage-deflate\r\n"
            b"Sec-WebSocket-Accept: " + accepted + b"\r\n\r\n"
        )
        sent.set_result(await reader.readexactly(2))
        writer.close()

    server = await asyncio.start_server(upgrade, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with (
        server,
        aiohttp.ClientSession() as session,
        open_websocket(session, f"ws://127.0.0.1:{port}", {}) as connection,
    ):
        await connection.send(b"x" * 100)
        frame = await sent
    final_text, masked_100 = 0x81, 0x80 | 100  # compressed, it would be 0xC1, and shorter
    assert frame == bytes([final_text, masked_100])


@pytest.mark.parametrize("status", [400, 401, 403, 451])
async def test_a_refusal_that_only_a_person_can_change_is_told_apart(status: int) -> None:
    async def refuse(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=status)

    async with served(refuse) as url, aiohttp.ClientSession() as session:
        with pytest.raises(AuthenticationRejected, match=f"HTTP {status}"):
            async with open_websocket(session, url, {"KALSHI-ACCESS-KEY": "k-secret"}):
                pass


@pytest.mark.parametrize(("status", "header", "wait_s"), [(429, "5", 5.0), (503, None, None)])
async def test_a_busy_venue_may_say_when_to_come_back(
    status: int, header: str | None, wait_s: float | None
) -> None:
    async def refuse(_request: web.Request) -> web.StreamResponse:
        headers = {"Retry-After": header} if header else {}
        return web.Response(status=status, headers=headers)

    async with served(refuse) as url, aiohttp.ClientSession() as session:
        with pytest.raises(ConnectionLost) as lost:
            async with open_websocket(session, url, {}):
                pass
        assert lost.value.retry_after_s == wait_s


async def test_nobody_listening_and_a_handshake_that_never_ends_are_lost_connections() -> None:
    async def hang(_request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    async with aiohttp.ClientSession() as session:
        with pytest.raises(ConnectionLost, match="cannot connect"):
            async with open_websocket(session, "ws://127.0.0.1:1/ws", {}):
                pass
        async with served(hang) as url:
            with pytest.raises(ConnectionLost, match="TimeoutError"):
                async with open_websocket(session, url, {}, open_timeout_s=0.2):
                    pass


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_of_the_handshake_is_not_followed(status: int) -> None:
    """Our signature is for one host; aiohttp would take it to any."""
    visitors: list[str] = []

    async def elsewhere(request: web.Request) -> web.StreamResponse:
        visitors.append(request.headers.get("KALSHI-ACCESS-SIGNATURE", ""))
        return web.Response(status=500)

    async def redirect(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, headers={"Location": other.replace("ws:", "http:")})

    async with (
        served(elsewhere) as other,
        served(redirect) as url,
        aiohttp.ClientSession() as session,
    ):
        with pytest.raises(ConnectionLost, match=r"redirects to 'http.*not followed"):
            async with open_websocket(session, url, {"KALSHI-ACCESS-SIGNATURE": "s"}):
                pass
    assert visitors == []


async def test_cookies_are_not_kept() -> None:
    told: list[str] = []

    async def upgrade(request: web.Request) -> web.StreamResponse:
        told.append(request.headers.get("Cookie", ""))
        socket = web.WebSocketResponse()
        socket.set_cookie("session", "x" * 1_000)
        await socket.prepare(request)
        await socket.close()
        return socket

    async with served(upgrade) as url, aiohttp.ClientSession() as session:
        for _ in range(2):
            async with open_websocket(session, url.replace("127.0.0.1", "localhost"), {}):
                pass
    assert told == ["", ""]


async def test_a_session_serves_many_connections_at_once() -> None:
    async def upgrade(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str("hello")
        await socket.receive()
        return socket

    async with served(upgrade) as url, aiohttp.ClientSession() as session:
        async with open_websocket(session, url, {}) as first:
            async with open_websocket(session, url, {}) as second:
                assert await second.receive() == [b"hello"]
            assert await first.receive() == [b"hello"]
        async with open_websocket(session, url, {}) as third:
            assert await third.receive() == [b"hello"]


async def test_a_close_reason_cannot_act_on_a_terminal() -> None:
    async def handler(socket: web.WebSocketResponse) -> None:
        await socket.close(code=4000, message="\x1b[2Jgone\r\n\u202etluaf".encode())

    async with connected(handler) as connection:
        with pytest.raises(ConnectionLost) as lost:
            await connection.receive()
        assert connection.close_reason == "[2Jgone tluaf"
        assert str(lost.value).isprintable()


async def test_a_frame_that_unpacks_to_more_than_the_limit_ends_the_connection() -> None:
    """65 MiB of nothing in 65 kB; and no more than the limit is ever unpacked."""

    async def upgrade(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(compress=True)
        await socket.prepare(request)
        await socket.send_bytes(bytes(MAX_FRAME_BYTES + 1))
        await socket.receive()
        return socket

    async with (
        served(upgrade) as url,
        aiohttp.ClientSession() as session,
        open_websocket(session, url, {}) as connection,
    ):
        with pytest.raises(ConnectionLost, match="exceeds"):
            await connection.receive()
