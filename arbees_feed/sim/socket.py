"""One accepted WebSocket: frames are collected, then written to the transport together.

The handshake, the reading side and the closing handshake are aiohttp's. Data frames are framed
here, because a venue sends tens of thousands a second and one write for a batch of them costs a
fraction of one awaited call each.
"""

import asyncio
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import aiohttp
from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from arbees_feed.sim.throttle import Throttle
from arbees_feed.sim.timing import delay

TEXT: Final = 0x1
BINARY: Final = 0x2
PING: Final = 0x9
PONG: Final = 0xA
FIRST_CONTROL_OPCODE: Final = 0x8
FIN: Final = 0x80
RSV1: Final = 0x40
ONE_BYTE_LENGTH: Final = 126
TWO_BYTE_LENGTH: Final = 1 << 16
EMPTY_BLOCK: Final = b"\x00\x00\xff\xff"
CLOSE_TIMEOUT_S: Final = 1.0
MAX_COMMAND_SIZE: Final = 64 * 1024 * 1024
GONE_CHECK_S: Final = 0.05


@dataclass(slots=True)
class Writing:
    """How a venue writes its messages: as they are, unless *rewrite* changes them."""

    rewrite: Callable[[bytes], bytes] | None = None


class Socket:
    """The sending side of one connection."""

    def __init__(
        self, number: int, ws: web.WebSocketResponse, request: web.BaseRequest, writing: Writing
    ) -> None:
        self.number = number
        self.ws = ws
        self.sent = 0
        self.active_s = 0.0
        self.is_hole = False
        """Open, and dead: nothing is sent, and what the client sends is not heeded."""
        self._writing = writing
        self._throttle: Throttle | None = None
        self._request = request
        self._writer: AbstractStreamWriter | None = None
        self._transport: asyncio.Transport | None = None
        self._parts: list[bytes] = []
        self._deflate_bits = 0
        self._keep_context = True
        self._deflater: zlib._Compress | None = None

    async def open(self) -> None:
        """Complete the handshake."""
        self._writer = await self.ws.prepare(self._request)
        transport = self._request.transport
        if transport is None:
            raise ConnectionResetError("the client left during the handshake")
        self._transport = transport
        self.touch()
        # aiohttp's drain() waits while writing is paused: with these limits, until all is written.
        transport.set_write_buffer_limits(high=0, low=0)
        self._deflate_bits = int(self.ws.compress)
        extensions = self.ws.headers.get("Sec-WebSocket-Extensions", "")
        self._keep_context = "server_no_context_takeover" not in extensions

    @property
    def is_open(self) -> bool:
        """Tell whether frames can still be sent."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def unread(self) -> int:
        """Return how many bytes wait for the client to read."""
        late = self._throttle.waiting if self._throttle is not None else 0
        return late + (self._transport.get_write_buffer_size() if self._transport else 0)

    def send(self, payload: bytes, opcode: int = TEXT) -> None:
        """Queue a frame; `flush` writes it."""
        if self.is_hole:
            return
        if self._writing.rewrite is not None and opcode == TEXT:
            payload = self._writing.rewrite(payload)
        first = FIN | opcode
        if self._deflate_bits and opcode < FIRST_CONTROL_OPCODE:
            payload = self._deflated(payload)
            first |= RSV1
        length = len(payload)
        if length < ONE_BYTE_LENGTH:
            self._parts.append(bytes((first, length)) + payload)
        elif length < TWO_BYTE_LENGTH:
            self._parts.append(bytes((first, 126, length >> 8, length & 0xFF)) + payload)
        else:
            self._parts.append(bytes((first, 127)) + length.to_bytes(8, "big") + payload)
        self.sent += 1

    def ping(self, payload: bytes) -> None:
        """Send a WebSocket ping at once."""
        self.send(payload, PING)
        self.flush()

    def pong(self, payload: bytes) -> None:
        """Answer a WebSocket ping at once. It is no sign of activity."""
        active_s = self.active_s
        self.send(payload, PONG)
        self.flush()
        self.active_s = active_s

    def lag(self, longest_s: float, growth: float) -> None:
        """Let frames leave later and later; with 0 seconds, all at once and on time again."""
        if self._throttle is not None:
            self._throttle.release()
            self._throttle = None
        if longest_s > 0:
            self._throttle = Throttle(self._write, longest_s=longest_s, growth=growth)

    def fall_silent(self) -> None:
        """Stay open and send nothing any more, not even what was sent and has not left."""
        self.flush()
        self.is_hole = True
        self._forget()

    async def gone(self) -> None:
        """Wait until the client has ended the connection."""
        while self.is_open:
            await delay(GONE_CHECK_S)

    def flush(self) -> None:
        """Hand all queued frames to the transport."""
        if not self._parts:
            return
        self.touch()
        data = b"".join(self._parts)
        self._parts.clear()
        if self._throttle is not None:
            self._throttle.put(data)
        else:
            self._write(data)

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _forget(self) -> None:
        self._parts.clear()
        if self._throttle is not None:
            self._throttle.forget()
            self._throttle = None

    def touch(self) -> None:
        """Note that something was sent or received."""
        self.active_s = asyncio.get_running_loop().time()

    async def drain(self) -> None:
        """Wait until everything has left for the client, or the client is gone."""
        self.flush()
        if self._writer is None or not self.is_open:
            return
        try:
            await self._writer.drain()
        except (ConnectionError, aiohttp.ClientConnectionError):
            return

    def abort(self) -> None:
        """Cut the connection without a close frame."""
        self._forget()
        if self._transport is not None:
            self._transport.abort()

    async def close(self, code: int, reason: str) -> None:
        """Close with the WebSocket closing handshake; cut a client that does not take part."""
        if self.is_hole:
            self.abort()
            return
        self.flush()
        self.lag(0.0, 0.0)
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self.ws.close(code=code, message=reason.encode())
        except TimeoutError:
            self.abort()

    def _deflated(self, payload: bytes) -> bytes:
        deflater = self._deflater
        if deflater is None:
            deflater = zlib.compressobj(zlib.Z_BEST_SPEED, wbits=-self._deflate_bits)
            if self._keep_context:
                self._deflater = deflater
        packed = deflater.compress(payload) + deflater.flush(zlib.Z_SYNC_FLUSH)
        return packed.removesuffix(EMPTY_BLOCK)
