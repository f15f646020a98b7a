"""What a server may do on the wire that no library would: bytes over a plain TCP connection."""

import asyncio
import base64
import hashlib
import socket as sockets
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import aiohttp
import pytest

from arbees_feed.errors import ConnectionLost
from arbees_feed.transport import websocket
from arbees_feed.transport.websocket import WebSocketConnection, open_websocket

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CONTINUED, TEXT, CLOSE, PING, PONG = 0, 1, 8, 9, 10
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of 0 s: closing sends a reset."""

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def frame(opcode: int, data: bytes, *, final: bool = True) -> bytes:
    """Return one unmasked frame of less than 64 KiB (RFC 6455, 5.2)."""
    size = bytes([len(data)]) if len(data) < 126 else b"\x7e" + struct.pack(">H", len(data))
    return bytes([opcode | (0x80 if final else 0)]) + size + data


async def upgrade(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    lines = (line.partition(b":") for line in head.split(b"\r\n"))
    key = next(v.strip() for name, _, v in lines if name.lower() == b"sec-websocket-key")
    accept = base64.b64encode(hashlib.sha1(key + GUID).digest())  # noqa: S324 - the protocol's
    writer.write(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


@asynccontextmanager
async def talking_to(script: Script) -> AsyncIterator[WebSocketConnection]:
    """Connect to a server that follows *script* and closes then."""

    served = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await upgrade(reader, writer)
        await script(reader, writer)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        served.set()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with (
            aiohttp.ClientSession() as session,
            open_websocket(session, f"ws://127.0.0.1:{port}/ws", {}) as connection,
        ):
            yield connection
        async with asyncio.timeout(30):
            await served.wait()


async def all_of(connection: WebSocketConnection) -> tuple[list[bytes], str]:
    """Return all frames until the connection ends, and how it ended."""
    frames: list[bytes] = []
    try:
        async with asyncio.timeout(30):
            while True:
                frames += await connection.receive()
    except ConnectionLost as exc:
        return frames, str(exc)


async def test_control_frames_between_fragments_and_single_bytes_are_put_together() -> None:
    told = (
        frame(TEXT, b"one ", final=False)
        + frame(PING, b"p")
        + frame(CONTINUED, b"mess", final=False)
        + frame(PONG, b"")
        + frame(CONTINUED, b"age")
        + frame(TEXT, b"x" * 300)
        + frame(CLOSE, struct.pack(">H", 4001) + b"bye")
    )

    async def dribble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for byte in told:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)
        await reader.read()

    async with talking_to(dribble) as connection:
        frames, end = await all_of(connection)
    assert frames == [b"one message", b"x" * 300]
    assert end.endswith("4001 bye")


@pytest.mark.parametrize("with_reset", [True, False])
async def test_an_end_in_the_middle_of_a_frame_loses_that_frame_alone(with_reset: bool) -> None:  # noqa: FBT001
    async def end(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(frame(TEXT, b"whole") + frame(TEXT, b"broken")[:4])
        await writer.drain()
        if with_reset:
            reset(writer)

    async with talking_to(end) as connection:
        frames, reason = await all_of(connection)
    assert frames == [b"whole"]
    assert "closed by the venue" in reason


def reset(writer: asyncio.StreamWriter) -> None:
    raw = writer.get_extra_info("socket")
    raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, RESET)
    writer.transport.abort()


async def test_a_ping_that_can_not_be_answered_any_more_is_a_lost_connection() -> None:
    """Nothing else: what is no ConnectionLost counts as a bug of ours, and no relief takes over."""

    async def ping_and_go(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(frame(TEXT, b"one") + 50 * frame(PING, b"p"))
        await writer.drain()
        reset(writer)

    async with talking_to(ping_and_go) as connection:
        frames, reason = await all_of(connection)
    assert frames == [b"one"]
    assert "lost while sending" in reason


async def test_a_close_frame_without_a_code_is_told_at_once() -> None:
    """Not after the second that the answer to it may take: prices are on it. The best of three."""
    assert min([await close_told_after_s() for _ in range(3)]) < 0.95


async def close_told_after_s() -> float:
    heard = asyncio.Event()

    async def say_close(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(frame(CLOSE, b""))
        async with asyncio.timeout(30):
            await heard.wait()

    async with talking_to(say_close) as connection:
        began_s = time.monotonic()
        with pytest.raises(ConnectionLost):
            await connection.receive()
        took_s = time.monotonic() - began_s
        heard.set()
    return took_s


async def test_a_venue_that_reads_nothing_is_a_lost_connection_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else both halves of a session wait to send, and nobody looks at the silence."""
    monkeypatch.setattr(websocket, "SEND_S", 0.3)
    over = asyncio.Event()

    async def read_nothing(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        transport = writer.transport
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()
        await over.wait()

    async with talking_to(read_nothing) as connection:
        async with asyncio.timeout(30):
            reason = await ask_for_ever(connection)
        over.set()
    assert reason.endswith("takes nothing in 0.3 s")


async def ask_for_ever(connection: WebSocketConnection) -> str:
    try:
        while True:
            await connection.send(b"x" * 100_000)
    except ConnectionLost as exc:
        return str(exc)
