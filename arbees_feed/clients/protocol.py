"""The shape that both clients have."""

from collections.abc import AsyncGenerator, Coroutine, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Protocol, Self, overload

from arbees_feed.clients.model import (
    CancelResult,
    Candle,
    Interval,
    Market,
    MarketStatus,
    OrderBookView,
    OrderRequest,
    OrderResult,
    TradeRecord,
)
from arbees_feed.clients.stream import OnPrice, PriceStream


class VenueClient(Protocol):
    """A venue's REST interface and its live prices; used as `async with`.

    Errors, besides those of each method: RequestFailed (refused for now, or no answer),
    ProtocolViolation (an answer that can't be read; it names the URL), AuthenticationRejected.
    Listings are async generators: leaving a loop early costs nothing more.
    """

    venue: str

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def get_markets(
        self,
        *,
        event: str | None = None,
        series: str | None = None,
        tag: str | None = None,
        status: MarketStatus = "open",
        limit: int | None = None,
    ) -> AsyncGenerator[Market, None]:
        """List markets, each once; a filter that the venue does not have is a ValueError."""

    def search_markets(
        self, text: str, *, limit: int | None = None
    ) -> AsyncGenerator[Market, None]:
        """List open markets whose titles have all words of *text*."""

    async def get_market(self, market_id: str) -> Market:
        """Return a market, whatever its state; NotFound if there is none."""

    async def get_orderbook(self, market_id: str, depth: int | None = None) -> OrderBookView:
        """Return the best *depth* levels of both sides, None for all; NotFound without a book."""

    def get_trades(
        self, market_id: str, *, since: datetime | None = None, until: datetime | None = None
    ) -> AsyncGenerator[TradeRecord, None]:
        """List trades of [since, until), newest first."""

    def get_price_history(
        self, market_id: str, start: datetime, end: datetime, interval: Interval = "1h"
    ) -> AsyncGenerator[Candle, None]:
        """List the candles that end after *start* and not after *end*, oldest first."""

    async def place_order(self, order: OrderRequest) -> OrderResult:
        """Place a limit order; TradingDisabled unless the client was made with `trading=True`.

        Raises:
            OrderInvalid, OrderRejected: there is no such order now, and won't be.
            OrderOutcomeUnknown: the answer was lost, and whether the order exists can't be known.
            RequestFailed: refused for now (429), or never sent: there is no such order.
        """

    async def cancel_order(self, order_id: str, *, market_id: str) -> CancelResult:
        """Take back what remains of an order; doing it twice does no harm."""

    @overload
    def stream_prices(self, market_ids: Sequence[str], *, on_price: None = None) -> PriceStream: ...

    @overload
    def stream_prices(
        self, market_ids: Sequence[str], *, on_price: OnPrice
    ) -> Coroutine[Any, Any, None]: ...
