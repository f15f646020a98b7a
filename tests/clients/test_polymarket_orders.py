"""Orders at Polymarket go through its official client, and what it says comes back in our words."""

import inspect
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from support.clients import client_of

from arbees_feed.clients import (
    MissingExtra,
    NotFound,
    OrderInvalid,
    OrderOutcomeUnknown,
    OrderRejected,
    OrderRequest,
    PolymarketAccount,
    PolymarketClient,
    TradingDisabled,
)
from arbees_feed.errors import AuthenticationRejected, RequestFailed, SettingsError
from arbees_feed.sim import SimServer


class PolymarketError(Exception):
    pass


class TransportError(PolymarketError):
    pass


class RateLimitError(PolymarketError):
    retry_after = 3.0


class RequestRejectedError(PolymarketError):
    def __init__(self, status: int, restriction: str | None = None) -> None:
        super().__init__(f"status {status}")
        self.status = status
        self.restriction = restriction
        self.retry_after = 2.0 if restriction else None


class UserInputError(PolymarketError):
    pass


def accepted(**more: Any) -> SimpleNamespace:
    """Return what the official client says of an order that rests."""
    fields = {"ok": True, "order_id": "0xabc", "status": "live"}
    zero = {"making_amount": Decimal(0), "taking_amount": Decimal(0)}
    return SimpleNamespace(**fields | zero | more)


class Trader:
    """Stands in for `AsyncSecureClient`: the same names, no chain."""

    def __init__(self) -> None:
        self.created: list[dict[str, Any]] = []
        self.posted: list[Any] = []
        self.answer: Any = accepted()
        self.refusal: Exception | None = None
        self.open = False
        self.breaks_early = False

    async def create_limit_order(self, **order: Any) -> dict[str, Any]:
        if isinstance(self.refusal, UserInputError) or self.breaks_early:
            assert self.refusal is not None
            raise self.refusal
        self.created.append(order)
        return order

    async def post_order(self, signed_order: Any) -> Any:
        self.posted.append(signed_order)
        if self.refusal is not None:
            raise self.refusal
        return self.answer

    async def cancel_order(self, *, order_id: str) -> Any:
        done = order_id == "0xabc"
        reasons = {} if done else {order_id: "order not found"}
        return SimpleNamespace(canceled=("0xabc",) if done else (), not_canceled=reasons)

    async def __aenter__(self) -> "Trader":
        self.open = True
        return self

    async def __aexit__(self, *_: object) -> None:
        self.open = False


@pytest.fixture
def trader(monkeypatch: pytest.MonkeyPatch) -> Trader:
    """The official client, as far as it is used."""
    trader = Trader()

    class AsyncSecureClient:
        @classmethod
        async def create(cls, *, private_key: str, wallet: str | None = None) -> Trader:
            if private_key != "0xsecret":
                raise UserInputError(f"no key of {wallet}")
            return trader

    sdk = ModuleType("polymarket")
    for error in (PolymarketError, TransportError, RateLimitError, RequestRejectedError):
        setattr(sdk, error.__name__, error)
    sdk.AsyncSecureClient = AsyncSecureClient  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "polymarket", sdk)
    return trader


@pytest.fixture
async def client(sim: SimServer, trader: Trader) -> AsyncIterator[PolymarketClient]:
    """A client that may trade."""
    opened = client_of(sim, "polymarket", trading=True, account=trader)
    assert isinstance(opened, PolymarketClient)
    async with opened:
        yield opened


def resting(sim: SimServer, **more: Any) -> OrderRequest:
    fields = {"market_id": sim.polymarket_tokens[0], "side": "buy", "price": "0.4", "size": "10"}
    return OrderRequest(**fields | more)


async def test_an_order_is_signed_and_sent_once(
    client: PolymarketClient, sim: SimServer, trader: Trader
) -> None:
    order = resting(sim, post_only=True, expires_at=datetime(2030, 1, 1, tzinfo=UTC))
    result = await client.place_order(order)
    assert trader.created == [
        {
            "token_id": order.market_id,
            "price": Decimal("0.4"),
            "size": Decimal(10),
            "side": "BUY",
            "post_only": True,
            "expiration": 1893456000,
        }
    ]
    assert trader.posted == trader.created
    assert (result.order_id, result.status) == ("0xabc", "resting")
    assert (result.filled, result.remaining) == (0, 10)


async def test_no_is_its_own_token(
    client: PolymarketClient, sim: SimServer, trader: Trader
) -> None:
    await client.place_order(resting(sim, outcome="no", side="sell"))
    no_token = sim.world.market(sim.polymarket_tokens[0]).other_id
    assert (trader.created[0]["token_id"], trader.created[0]["side"]) == (no_token, "SELL")


async def test_what_was_filled_at_once(
    client: PolymarketClient, sim: SimServer, trader: Trader
) -> None:
    trader.answer = accepted(
        status="matched", making_amount=Decimal("2.34"), taking_amount=Decimal(6)
    )
    result = await client.place_order(resting(sim))
    assert (result.status, result.filled, result.remaining) == ("executed", 6, 4)
    assert result.average_price == Decimal("0.39")


@pytest.mark.parametrize(
    "change", [{"time_in_force": "fok"}, {"size": "1.001"}, {"size": "1"}, {"price": "0.40001"}]
)
async def test_what_the_market_does_not_take_is_not_sent(
    client: PolymarketClient, sim: SimServer, trader: Trader, change: dict[str, Any]
) -> None:
    with pytest.raises(OrderInvalid):
        await client.place_order(resting(sim, **change))
    assert trader.created == []


@pytest.mark.parametrize(
    ("refusal", "expected"),
    [
        (TransportError("gone"), OrderOutcomeUnknown),
        (RequestRejectedError(500), OrderOutcomeUnknown),
        (PolymarketError("unreadable"), OrderOutcomeUnknown),
        (RequestRejectedError(400), OrderRejected),
        (RequestRejectedError(425, "restarting"), RequestFailed),
        (RequestRejectedError(503, "post_only"), RequestFailed),
        (RateLimitError("slow down"), RequestFailed),
        (UserInputError("no such tick"), OrderInvalid),
    ],
)
async def test_what_went_wrong_says_what_to_do(
    client: PolymarketClient,
    sim: SimServer,
    trader: Trader,
    refusal: Exception,
    expected: type[Exception],
) -> None:
    trader.refusal = refusal
    with pytest.raises(expected):
        await client.place_order(resting(sim))
    assert len(trader.posted) <= 1


@pytest.mark.parametrize("refusal", [TransportError("gone"), RequestRejectedError(502)])
async def test_an_order_that_could_not_be_prepared_was_not_sent(
    client: PolymarketClient, sim: SimServer, trader: Trader, refusal: Exception
) -> None:
    trader.refusal, trader.breaks_early = refusal, True
    with pytest.raises(RequestFailed, match="not sent"):
        await client.place_order(resting(sim))
    assert trader.posted == []


async def test_an_order_that_is_not_matched_is_rejected(
    client: PolymarketClient, sim: SimServer, trader: Trader
) -> None:
    trader.answer = SimpleNamespace(ok=False, code="not_enough_balance", message="no money")
    with pytest.raises(OrderRejected, match="not_enough_balance: no money"):
        await client.place_order(resting(sim))


async def test_cancelling(client: PolymarketClient, sim: SimServer) -> None:
    market = sim.polymarket_tokens[0]
    assert (await client.cancel_order("0xabc", market_id=market)).order_id == "0xabc"
    with pytest.raises(NotFound, match="order not found"):
        await client.cancel_order("0xdef", market_id=market)


async def test_the_account_logs_in_with_the_first_order(sim: SimServer, trader: Trader) -> None:
    account = PolymarketAccount(private_key="0xsecret")
    assert "secret" not in repr(account)
    async with client_of(sim, "polymarket", trading=True, account=account) as client:
        assert not trader.open
        await client.place_order(resting(sim))
        assert trader.open
    assert not trader.open


async def test_an_account_that_is_refused(sim: SimServer, trader: Trader) -> None:
    account = PolymarketAccount(private_key="0xwrong")
    async with client_of(sim, "polymarket", trading=True, account=account) as client:
        with pytest.raises(AuthenticationRejected, match="no key"):
            await client.place_order(resting(sim))
    assert trader.created == []


async def test_the_switch_the_account_and_the_extra(sim: SimServer) -> None:
    """Each that is missing is told as such, in this order."""
    account = PolymarketAccount(private_key="0xsecret")
    with pytest.raises(TradingDisabled, match="trading=True"):
        await client_of(sim, "polymarket", account=account).place_order(resting(sim))
    async with client_of(sim, "polymarket", trading=True) as client:
        with pytest.raises(SettingsError, match="account"):
            await client.place_order(resting(sim))


async def test_without_the_extra_its_name_is_told(
    sim: SimServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "polymarket", None)
    account = PolymarketAccount(private_key="0xsecret")
    async with client_of(sim, "polymarket", trading=True, account=account) as client:
        with pytest.raises(MissingExtra, match=r"arbees-feed\[polymarket\]"):
            await client.place_order(resting(sim))


def test_the_official_client_has_what_is_used() -> None:
    """Checked where it is installed: names and parameters of polymarket-client."""
    sdk = pytest.importorskip("polymarket")
    secure = sdk.AsyncSecureClient
    fields = ("token_id", "price", "size", "side", "post_only", "expiration")
    assert set(fields) <= set(inspect.signature(secure.create_limit_order).parameters)
    assert list(inspect.signature(secure.post_order).parameters) == ["self", "signed_order"]
    assert "order_id" in inspect.signature(secure.cancel_order).parameters
    assert {"private_key", "wallet"} <= set(inspect.signature(secure.create).parameters)
    for name in ("PolymarketError", "TransportError", "RateLimitError", "RequestRejectedError"):
        assert issubclass(getattr(sdk, name), Exception)
