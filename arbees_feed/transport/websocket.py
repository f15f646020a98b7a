"""WebSocket connections over aiohttp: frames as bytes, pings answered and seen.

aiohttp is told not to decode text (the decoders take bytes) and not to answer pings by itself,
because a ping is a sign of life that `last_life_s` must show. Certificates are always verified; a
proxy is used where the session was told to read the environment.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp

from arbees_feed.core.retryafter import parse_retry_after
from arbees_feed.core.text import clean
from arbees_feed.errors import AuthenticationRejected, ConnectionLost, FeedError

MAX_FRAME_BYTES: Final = 64 << 20
"""Kalshi sends messages of up to 64 MiB (changelog 2026-09-24)."""

_CONFIGURATION_STATUSES: Final = frozenset({400, 401, 403, 451})
_REASON_CHARS: Final = 200
_AT_ONCE: Final = 512
"""Frames handed on together, at most: some two milliseconds of work."""
SEND_S: Final = 10.0
"""A venue that takes nothing for so long has gone, or is no use: we would ask in vain."""
_TEXT: Final = aiohttp.WSMsgType.TEXT
_BINARY: Final = aiohttp.WSMsgType.BINARY
_ENDED: Final = frozenset(
    {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.CLOSED}
)


class FrameSocket(aiohttp.ClientWebSocketResponse):
    """aiohttp's socket, which also hands out what has been read already, and sends as it is.

    Only the venue's frames are compressed (RFC 7692, 6: each message says whether it is). Our few
    commands are not worth a compressor: one holds 0.3 MB for as long as its socket, and, in a cycle
    with it, for long after.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._writer.compress = 0

    async def add_waiting(self, frames: list[bytes]) -> None:
        """Add the text and binary frames that wait, up to the first of another kind; never waits.

        One wake-up often brings many frames, and `receive` costs two coroutines for each.
        """
        reader = self._reader
        waiting, add = reader._buffer, frames.append  # noqa: SLF001 - a subclass, and tested
        while waiting and len(frames) < _AT_ONCE:
            kind = waiting[0][0].type
            if kind is not _TEXT and kind is not _BINARY:
                return
            add((await reader.read()).data)


class WebSocketConnection:
    """An open connection to one venue."""

    def __init__(self, socket: FrameSocket, label: str) -> None:
        self._socket = socket
        self._label = label
        self._close_reason = ""
        self.received_ns = 0
        """Unix ns at which the frames last returned were read from the socket; 0: none yet."""
        self.last_life_s = time.monotonic()
        """Monotonic time of the last frame of any kind, pings and pongs included."""

    async def receive(self) -> Sequence[bytes]:
        """Return the text or binary frames that come next, one at least.

        Raises:
            ConnectionLost: the connection has ended; the message has the venue's code and reason.
        """
        while True:
            message = await self._socket.receive()
            kind = message.type
            self.last_life_s = time.monotonic()
            if kind is _TEXT or kind is _BINARY:
                self.received_ns = time.time_ns()
                frames: list[bytes] = [message.data]
                await self._socket.add_waiting(frames)
                return frames
            if kind is aiohttp.WSMsgType.PING:
                await self._say(self._socket.pong(message.data))
            elif kind in _ENDED:
                self._close_reason = clean(str(message.extra or ""), _REASON_CHARS)
                raise ConnectionLost(f"{self._label} closed by the venue: {self.close_text}")
            elif kind is aiohttp.WSMsgType.ERROR:
                raise ConnectionLost(f"{self._label} broke: {message.data}")

    @property
    def close_text(self) -> str:
        """The close code and reason, if the venue gave any."""
        code = self._socket.close_code
        return f"{code} {self._close_reason}".strip() if code else "no close frame"

    @property
    def close_reason(self) -> str:
        """The reason of the venue's close frame."""
        return self._close_reason

    async def send(self, frame: bytes) -> None:
        """Send one text frame.

        Raises:
            ConnectionLost: the connection has ended, or takes nothing for `SEND_S`.
        """
        await self._say(self._socket.send_str(frame.decode()))

    async def _say(self, sending: Awaitable[None]) -> None:
        try:
            async with asyncio.timeout(SEND_S):
                await sending
        except TimeoutError as exc:
            raise ConnectionLost(f"{self._label} takes nothing in {SEND_S:g} s") from exc
        except (aiohttp.ClientError, ConnectionError, RuntimeError) as exc:
            raise ConnectionLost(f"{self._label} lost while sending: {exc}") from exc


@asynccontextmanager
async def open_websocket(
    session: aiohttp.ClientSession,
    url: str,
    headers: Mapping[str, str],
    *,
    open_timeout_s: float = 10.0,
) -> AsyncIterator[WebSocketConnection]:
    """Connect and upgrade.

    Raises:
        ConnectionLost: no connection, a redirect (not followed), or the venue is busy (429, 5xx;
            it may have said how long).
        AuthenticationRejected: 400, 401, 403 or 451: asking again at once can't help.
    """
    async with _without_redirects(session) as dialler:
        socket = await _dial(dialler, url, headers, open_timeout_s)
        try:
            yield WebSocketConnection(socket, url)
        finally:
            await socket.close()


async def _dial(
    session: aiohttp.ClientSession, url: str, headers: Mapping[str, str], timeout_s: float
) -> FrameSocket:
    try:
        async with asyncio.timeout(timeout_s):
            return await session.ws_connect(  # type: ignore[return-value]  # the class it was given
                url,
                headers=headers,
                autoping=False,
                autoclose=False,  # a loss is told first; the answer to it can wait
                compress=15,
                max_msg_size=MAX_FRAME_BYTES,
                decode_text=False,
                timeout=aiohttp.ClientWSTimeout(ws_close=1.0),
            )
    except aiohttp.WSServerHandshakeError as exc:
        raise _refusal(url, exc) from exc
    except (aiohttp.ClientError, OSError, TimeoutError) as exc:
        reason = str(exc) or type(exc).__name__
        raise ConnectionLost(f"cannot connect to {url}: {reason}") from exc


def _without_redirects(session: aiohttp.ClientSession) -> aiohttp.ClientSession:
    """Return a session over the same connections that neither goes elsewhere nor keeps cookies.

    Its sockets are `FrameSocket`s.
    `ws_connect` follows redirects and cannot be told not to: our signature would go along.
    """
    tracing = aiohttp.TraceConfig()
    tracing.on_request_redirect.append(_refuse_redirect)
    return aiohttp.ClientSession(
        connector=session.connector,
        connector_owner=False,
        trust_env=session.trust_env,
        cookie_jar=aiohttp.DummyCookieJar(),
        trace_configs=[tracing],
        ws_response_class=FrameSocket,
    )


async def _refuse_redirect(
    _session: aiohttp.ClientSession, _context: object, told: aiohttp.TraceRequestRedirectParams
) -> None:
    told.response.close()
    location = clean(told.response.headers.get("Location", ""), _REASON_CHARS)
    raise ConnectionLost(f"{told.url} redirects to {location!r}, which is not followed")


def _refusal(url: str, exc: aiohttp.WSServerHandshakeError) -> FeedError:
    text = f"{url} refuses the upgrade with HTTP {exc.status}"
    headers: Mapping[str, str] = exc.headers or {}
    if exc.status in _CONFIGURATION_STATUSES:
        return AuthenticationRejected(f"{text}: {_hint(exc.status)}{_clock_hint(headers)}")
    wait_s = parse_retry_after(headers.get("Retry-After"), time.time())
    return ConnectionLost(text, retry_after_s=wait_s)


def _hint(status: int) -> str:
    if status == 451:  # noqa: PLR2004 - the status itself says it
        return "not available from here"
    return "check the API key, its permissions and the clock"


def _clock_hint(headers: Mapping[str, str]) -> str:
    date = headers.get("Date")
    return f" (the venue's clock says {clean(date, _REASON_CHARS)})" if date else ""
