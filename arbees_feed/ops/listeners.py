"""Who listens to the status: a stream of server-sent events for each, of bounded number and size.

Each listener is served by the task of its own request, so nothing runs while nobody listens. What
all of them get alike is made and encoded once. A listener that does not read in time is cut off:
the page connects again by itself, and old numbers are of no use to anybody.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec
from aiohttp import web

from arbees_feed.ops.overview import Overview

MOST: Final = 16
_AGAIN_MS: Final = 2_000
_FRESH: Final = 0.9
"""What was made less than so much of an interval ago will do for others too."""

_encode = msgspec.json.Encoder().encode


class Pace(msgspec.Struct, frozen=True):
    """How often listeners are told, and how long they may take to read."""

    every_s: float = 1.0
    patience_s: float = 5.0


class Listeners:
    """Tells the status to whoever listens, once a second."""

    def __init__(
        self,
        overview: Overview,
        pace: Pace = Pace(),  # noqa: B008 - frozen
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._overview = overview
        self._pace = pace
        self._monotonic = monotonic
        self._closing = asyncio.Event()
        self._made_s = float("-inf")
        self._status = b""
        self.count = 0
        """How many listen now."""

    def close(self) -> None:
        """Let all listeners go."""
        self._closing.set()

    async def listen(
        self, request: web.Request, markets: Sequence[str], headers: Mapping[str, str]
    ) -> web.StreamResponse:
        """Answer a request with a stream, until either side has enough.

        The prices of *markets* come with it.
        """
        if self.count >= MOST:
            text = f"{MOST} pages listen already: close one\n"
            return web.Response(status=503, text=text, headers={"Retry-After": "10"})
        response = web.StreamResponse(headers={**headers, "Content-Type": "text/event-stream"})
        self.count += 1
        try:
            await self._tell(request, response, markets)
        except ConnectionResetError:
            pass  # it has left
        finally:
            self.count -= 1
        return response

    async def _tell(
        self, request: web.Request, response: web.StreamResponse, markets: Sequence[str]
    ) -> None:
        await response.prepare(request)
        start = b"retry: %d\n\n" % _AGAIN_MS
        while await _is_taken(response, start + self._news(markets), self._pace.patience_s):
            start = b""
            if await _is_set(self._closing, self._pace.every_s):
                return
        # What waits for it is thrown away, and so is the connection.
        if request.transport is not None:
            request.transport.abort()

    def _news(self, markets: Sequence[str]) -> bytes:
        status = self._shared()
        if not markets:
            return status
        return status + _event(b"prices", self._overview.prices(markets))

    def _shared(self) -> bytes:
        now_s = self._monotonic()
        if now_s - self._made_s >= _FRESH * self._pace.every_s:
            self._made_s = now_s
            self._status = _event(b"status", self._overview.status())
        return self._status


def _event(kind: bytes, content: object) -> bytes:
    # JSON has no line breaks, so it is one line of data.
    return b"event: %b\ndata: %b\n\n" % (kind, _encode(content))


async def _is_taken(response: web.StreamResponse, data: bytes, patience_s: float) -> bool:
    try:
        async with asyncio.timeout(patience_s):
            await response.write(data)
    except TimeoutError:
        return False
    return True


async def _is_set(event: asyncio.Event, within_s: float) -> bool:
    try:
        async with asyncio.timeout(within_s):
            await event.wait()
    except TimeoutError:
        return False
    return True
