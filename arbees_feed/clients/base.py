"""What both clients do alike: open and close, stream prices, keep trading locked."""

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self, overload

import aiohttp
import msgspec

from arbees_feed.clients.errors import NotFound, TradingDisabled
from arbees_feed.clients.rest import Rest
from arbees_feed.clients.stream import Line, OnPrice, PriceStream
from arbees_feed.core.model import MarketId
from arbees_feed.core.ratelimit import Rates
from arbees_feed.core.venue import Credentials, VenueSpec
from arbees_feed.transport.http import HttpFetcher, HttpOptions, Sign


class ClientOptions(msgspec.Struct, frozen=True):
    """How a client behaves; durations in seconds."""

    timeout_s: float = 30.0
    """Of one request."""
    patience_s: float = 10.0
    """How long reads wait for a server that says when to come again (429, `Retry-After`)."""
    rates: Rates | None = None
    """How fast to read; None: what the venue documents for everybody."""
    stale_grace_s: float = 1.0
    """How long a streamed price may be in doubt before it is told to be stale."""


class Tasks:
    """Owns the tasks behind a client's streams: none outlives the client."""

    def __init__(self) -> None:
        self._group = asyncio.TaskGroup()
        self._running: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._running:
            task.cancel()
        # They have been told to end; the group waits until they have.
        await self._group.__aexit__(None, None, None)

    def start(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run *work* beside the caller."""
        task = self._group.create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task


class BaseClient:
    """The part of a client that knows no venue."""

    def __init__(
        self,
        spec: VenueSpec,
        ws_url: str | Sequence[str],
        options: ClientOptions,
        *,
        rates: Rates,
        credentials: Credentials | None = None,
        sign: Sign | None = None,
        trading: bool = False,
    ) -> None:
        self.venue = spec.name
        self._spec = spec
        self._options = options
        self._rates = options.rates or rates
        self._sign = sign
        self._trading = trading
        self._line = Line(
            spec=spec,
            ws_urls=(ws_url,) if isinstance(ws_url, str) else tuple(ws_url),
            credentials=credentials,
            stale_grace_s=options.stale_grace_s,
        )
        self._opened = AsyncExitStack()
        self._session: aiohttp.ClientSession | None = None
        self._reads: Rest | None = None
        self._tasks = Tasks()

    async def __aenter__(self) -> Self:
        """Open the client for the length of the block."""
        async with AsyncExitStack() as opened:
            self._session = await opened.enter_async_context(aiohttp.ClientSession())
            self._tasks = await opened.enter_async_context(Tasks())
            self._reads = self._new_reads()
            self._opened = opened.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the streams and close the connections."""
        self._session = self._reads = None
        await self._opened.aclose()

    @overload
    def stream_prices(self, market_ids: Sequence[str], *, on_price: None = None) -> PriceStream: ...

    @overload
    def stream_prices(
        self, market_ids: Sequence[str], *, on_price: OnPrice
    ) -> Coroutine[Any, Any, None]: ...

    def stream_prices(
        self, market_ids: Sequence[str], *, on_price: OnPrice | None = None
    ) -> PriceStream | Coroutine[Any, Any, None]:
        """Return the live prices of markets: iterate over them, or await their delivery.

        `async for price in client.stream_prices(ids)`, or
        `await client.stream_prices(ids, on_price=show)`, which ends when every market has, or when
        it is cancelled. No REST request is made.

        Raises:
            NotFound: an id has not the form of this venue's ids.
        """
        stream = PriceStream(self._line, self._open_session, self._tasks.start, market_ids)
        return stream if on_price is None else stream.deliver(on_price)

    @property
    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError(f"use it as `async with {type(self).__name__}(…) as client`")
        return self._session

    @property
    def _rest(self) -> Rest:
        if self._reads is None:
            raise RuntimeError(f"use it as `async with {type(self).__name__}(…) as client`")
        return self._reads

    def _new_reads(self) -> Rest:
        patience_s = self._options.patience_s
        options = HttpOptions(
            timeout_s=self._options.timeout_s, rates=self._rates, longest_wait_s=patience_s
        )
        fetcher = HttpFetcher(self._open_session, options, sign=self._sign)
        return Rest(fetcher, patience_s=patience_s)

    def _check_form(self, market_id: str) -> MarketId:
        if not self._spec.market_form.fullmatch(market_id):
            raise NotFound(f"{market_id[:80]!r} is no market id of {self.venue}")
        return MarketId(market_id)

    def _check_trading(self) -> None:
        if not self._trading:
            raise TradingDisabled(
                f"trading is off: make the client with {type(self).__name__}(…, trading=True)"
            )
