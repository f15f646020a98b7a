"""What both clients do alike: open and close, stream prices, keep trading locked."""

import asyncio
from collections.abc import Coroutine, Sequence
from types import TracebackType
from typing import Any, Self, overload

import aiohttp
import msgspec

from arbees_feed.clients.errors import NotFound, TradingDisabled
from arbees_feed.clients.rest import Rest
from arbees_feed.clients.stream import Line, OnPrice, PriceStream
from arbees_feed.core.model import MarketId
from arbees_feed.core.venue import Credentials, VenueSpec
from arbees_feed.transport.http import HttpFetcher, HttpOptions, Sign


class ClientOptions(msgspec.Struct, frozen=True):
    """How a client behaves; durations in seconds."""

    http: HttpOptions = HttpOptions()
    patience_s: float = 10.0
    """How long reads wait for a server that says when to come again (429, `Retry-After`)."""
    stale_grace_s: float = 1.0
    """How long a streamed price may be in doubt before it is told to be stale."""


class BaseClient:
    """The part of a client that knows no venue."""

    venue = ""

    def __init__(
        self,
        spec: VenueSpec,
        ws_url: str | Sequence[str],
        options: ClientOptions,
        *,
        credentials: Credentials | None = None,
        sign: Sign | None = None,
    ) -> None:
        self._options = options
        self._spec = spec
        self._sign = sign
        self._line = Line(
            spec=spec,
            ws_urls=(ws_url,) if isinstance(ws_url, str) else tuple(ws_url),
            credentials=credentials,
            stale_grace_s=options.stale_grace_s,
            markets_per_socket=spec.markets_per_socket,
        )
        self._http: aiohttp.ClientSession | None = None
        self._group: asyncio.TaskGroup | None = None
        self._reads: Rest | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Open the client; it may be used until the block ends."""
        self._http = aiohttp.ClientSession()
        self._group = await _Streams().__aenter__()
        self._reads = Rest(self._fetcher(), patience_s=self._options.patience_s)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End all streams and close all connections."""
