"""A venue that changes its messages without notice. Pure: bytes in, bytes out."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from arbees_feed.sim.config import Venue

DriftKind = Literal["rename", "extra", "zeros", "drop"]

DATA_MESSAGES = frozenset(
    (
        "orderbook_snapshot", "orderbook_delta", "ticker", "trade",
        "book", "price_change", "last_trade_price", "best_bid_ask",
    )
)  # fmt: skip
USUAL_FIELD: dict[Venue, str] = {"kalshi": "delta_fp", "polymarket": "size"}
EXTRA_FIELD = "model_hint"
ZERO_PRICE, ZERO_SIZE = "0.0000", "0.00"
_PRICES = frozenset(("price", "best_bid", "best_ask", "spread"))

_compact = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


@dataclass(frozen=True, slots=True)
class Drift:
    """One lasting change: of all messages with market data, or of one type."""

    kind: DriftKind
    field: str
    message: str | None = None

    def __call__(self, payload: bytes) -> bytes:
        """Return the frame as the venue now writes it; what is not concerned, untouched."""
        try:
            frame = json.loads(payload)
        except (ValueError, RecursionError):
            return payload
        messages = frame if isinstance(frame, list) else [frame]
        if not any(self._concerns(message) for message in messages):
            return payload
        changed = [self._changed(one) if self._concerns(one) else one for one in messages]
        return _compact(changed if isinstance(frame, list) else changed[0]).encode()

    def _concerns(self, message: Any) -> bool:
        if not isinstance(message, dict):
            return False
        kind = message.get("event_type", message.get("type"))
        return kind == self.message if self.message else kind in DATA_MESSAGES

    def _changed(self, value: Any) -> Any:
        kinds: dict[DriftKind, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "rename": self._renamed,
            "extra": lambda fields: {**fields, self.field: "new"},
            "zeros": _zeroed,
            "drop": lambda fields: {k: v for k, v in fields.items() if k != self.field},
        }
        return _each_object(value, kinds[self.kind])

    def _renamed(self, fields: dict[str, Any]) -> dict[str, Any]:
        return {f"{k}_v2" if k == self.field else k: v for k, v in fields.items()}


def _each_object(value: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """Change every object in a JSON value, innermost first."""
    if isinstance(value, list):
        return [_each_object(one, change) for one in value]
    if isinstance(value, dict):
        return change({k: _each_object(v, change) for k, v in value.items()})
    return value


def _zeroed(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: _zero(name, value) for name, value in fields.items()}


def _zero(name: str, value: Any) -> Any:
    if isinstance(value, list) and name.endswith("_fp"):
        return [[ZERO_PRICE, ZERO_SIZE] for _ in value]
    if not isinstance(value, str):
        return value
    if name in _PRICES or name.endswith(("_dollars", "_price")):
        return ZERO_PRICE
    return ZERO_SIZE if name == "size" or name.endswith("_fp") else value
