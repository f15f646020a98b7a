"""Orders at Polymarket, by its official client: it signs them, and knows the exchange's contracts.

`polymarket-client` is an optional extra. Polymarket has no ids of the caller's own, so an order
whose answer is lost can't be told from another: that is said, and nothing is sent again.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from importlib import import_module
from types import ModuleType
from typing import Any, Final, Protocol

from arbees_feed.clients.errors import (
    MissingExtra,
    NotFound,
    OrderInvalid,
    OrderOutcomeUnknown,
    OrderRejected,
)
from arbees_feed.clients.model import (
    CancelResult,
    Market,
    OrderRequest,
    OrderResult,
    OrderStatus,
    PolymarketAccount,
)
from arbees_feed.clients.polymarket_answers import PLATFORM
from arbees_feed.errors import AuthenticationRejected, RequestFailed, SettingsError

_HUNDREDTH: Final = Decimal("0.01")
_SERVER_ERROR: Final = 500
_STATUSES: Final[dict[str, OrderStatus]] = {
    "live": "resting",
    "matched": "executed",
    "delayed": "delayed",
}


class Trader(Protocol):
    """What is used of the official `AsyncSecureClient`, which may be handed in ready-made."""

    async def create_limit_order(self, **order: Any) -> Any:
        """Check and sign an order."""

    async def post_order(self, signed_order: Any) -> Any:
        """Send a signed order."""

    async def cancel_order(self, *, order_id: str) -> Any:
        """Cancel an order."""


@asynccontextmanager
async def open_desk(account: PolymarketAccount | Trader | None) -> AsyncIterator["PolymarketDesk"]:
    """Log in while the block runs; a client that was handed in is its owner's to close.

    Raises:
        MissingExtra: the official client is not installed.
        SettingsError: there is no account.
        AuthenticationRejected: the account is refused.
    """
    if account is None:
        raise SettingsError("Polymarket orders need an account: PolymarketClient(account=…)")
    sdk = _load_sdk()
    if not isinstance(account, PolymarketAccount):
        yield PolymarketDesk(account, sdk)
        return
    async with await _log_in(account, sdk) as trader:
        yield PolymarketDesk(trader, sdk)


async def _log_in(account: PolymarketAccount, sdk: ModuleType) -> Any:
    try:
        return await sdk.AsyncSecureClient.create(
            private_key=account.private_key, wallet=account.wallet
        )
    except (sdk.TransportError, sdk.RateLimitError) as exc:
        raise _failed("Polymarket can't be logged in to", exc) from exc
    except sdk.PolymarketError as exc:
        raise AuthenticationRejected(f"Polymarket refuses the account: {exc}") from exc


def _load_sdk() -> ModuleType:
    try:
        return import_module("polymarket")
    except ImportError as exc:
        raise MissingExtra(
            "Polymarket orders need its official client: pip install 'arbees-feed[polymarket]'"
        ) from exc


class PolymarketDesk:
    """Places and cancels orders of one account."""

    def __init__(self, trader: Trader, sdk: ModuleType) -> None:
        self._trader = trader
        self._sdk = sdk

    async def place(self, order: OrderRequest, market: Market) -> OrderResult:
        """Send an order once; see VenueClient.place_order for the errors."""
        _check(order, market)
        sdk = self._sdk
        expires = order.expires_at
        token = market.market_id if order.outcome == "yes" else market.extras["no_token_id"]
        try:
            signed = await self._trader.create_limit_order(
                token_id=token,
                price=order.exact_price,
                size=order.exact_size,
                side=order.side.upper(),
                post_only=order.post_only,
                expiration=None if expires is None else int(expires.timestamp()),
            )
        except (sdk.TransportError, sdk.RateLimitError, sdk.RequestRejectedError) as exc:
            raise _failed("the order was not sent", exc) from exc
        except sdk.PolymarketError as exc:
            raise OrderInvalid(f"the official client refuses the order: {exc}") from exc
        return self._result(order, market, await self._post(order, signed))

    async def _post(self, order: OrderRequest, signed: Any) -> Any:
        sdk = self._sdk
        try:
            return await self._trader.post_order(signed)
        except sdk.RateLimitError as exc:
            raise _failed("the order was refused", exc) from exc
        except sdk.RequestRejectedError as exc:
            if exc.restriction is not None:
                # The engine restarts, or takes cancellations only: it says so and takes nothing.
                raise _failed("the order was refused", exc) from exc
            if exc.status < _SERVER_ERROR:
                raise OrderRejected(str(exc), status=exc.status) from exc
            raise _unknown(order, exc) from exc
        except sdk.PolymarketError as exc:
            raise _unknown(order, exc) from exc

    def _result(self, order: OrderRequest, market: Market, response: Any) -> OrderResult:
        if not response.ok:
            raise OrderRejected(f"{response.code}: {response.message}")
        buys = order.side == "buy"
        filled = response.taking_amount if buys else response.making_amount
        paid = response.making_amount if buys else response.taking_amount
        remaining = max(order.exact_size - filled, Decimal(0))
        return OrderResult(
            order_id=str(response.order_id),
            client_order_id=order.client_order_id,
            market_id=market.market_id,
            platform=PLATFORM,
            status=_STATUSES.get(response.status, "delayed"),
            filled=filled,
            remaining=remaining,
            average_price=paid / filled if filled else None,
        )

    async def cancel(self, order_id: str) -> CancelResult:
        """Take back what remains; cancelling again after a lost answer does no harm."""
        try:
            answer = await self._trader.cancel_order(order_id=order_id)
        except self._sdk.PolymarketError as exc:
            raise _failed(f"{order_id} may or may not be canceled", exc) from exc
        if order_id not in answer.canceled:
            reason = dict(answer.not_canceled).get(order_id, "no reason given")
            raise NotFound(f"Polymarket did not cancel {order_id}: {reason}")
        return CancelResult(order_id, None)


def _check(order: OrderRequest, market: Market) -> None:
    """Refuse what the market does not take."""
    if order.time_in_force != "gtc":
        raise OrderInvalid(f"{order.time_in_force} is not supported on Polymarket, only gtc is")
    if order.exact_size % _HUNDREDTH:
        raise OrderInvalid(f"size {order.size} is finer than {_HUNDREDTH} shares")
    smallest = Decimal(market.extras.get("min_order_size") or 0)
    if order.exact_size < smallest:
        raise OrderInvalid(f"size {order.size} is below the market's minimum of {smallest}")
    tick = Decimal(market.tick_size or 0)
    if tick and order.exact_price % tick:
        raise OrderInvalid(f"price {order.price} is off the grid of {tick}")


def _failed(what: str, exc: Any) -> RequestFailed:
    """Return what the official client's error says: its status, and when to come again."""
    too_often = 429 if type(exc).__name__ == "RateLimitError" else 0
    status = getattr(exc, "status", too_often)
    return RequestFailed(
        f"{what}: {exc}", status=status, retry_after_s=getattr(exc, "retry_after", None)
    )


def _unknown(order: OrderRequest, cause: Exception) -> OrderOutcomeUnknown:
    return OrderOutcomeUnknown(
        f"no answer to order {order.client_order_id} of {order.market_id} ({cause}); "
        "look at the account's open orders",
        client_order_id=order.client_order_id,
    )
