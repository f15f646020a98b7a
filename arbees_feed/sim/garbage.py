"""Frames that no client expects, one of each kind. Pure: a good frame in, a bad one out.

Noise comes between the good frames. Misshapen messages take the place of a good one, a whole book:
on Kalshi with its number in the sequence.
"""

import json
import random
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from arbees_feed.sim.drift import EXTRA_FIELD, Drift

DEPTH = 100_000
HUGE_FRAME_BYTES = 20_000_000
HUGE_DIGITS = 5_000
_KEPT = frozenset(
    ("type", "event_type", "sid", "seq", "market_ticker", "market_id", "market", "asset_id")
)
"""What says which message it is, and where it belongs."""
_GOOD = (
    b'{"type":"orderbook_delta","event_type":"price_change","sid":1,"seq":2,'
    b'"msg":{"market_ticker":"GARBAGE","price_dollars":"0.5000","delta_fp":"1.00","side":"yes"}}'
)

_compact = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


class Frame(NamedTuple):
    """A message for the wire."""

    data: bytes
    binary: bool = False


NOISE: Mapping[str, Callable[[], Frame]] = {
    "truncated": lambda: Frame(_GOOD[: len(_GOOD) // 2]),
    "binary": lambda: Frame(random.Random("noise").randbytes(300), binary=True),
    "nested": lambda: Frame(b"[" * DEPTH + b"]" * DEPTH),
    "unknown_kind": lambda: Frame(b'{"type":"unheard_of","event_type":"unheard_of","msg":{}}'),
    "empty": lambda: Frame(b""),
    "arrays": lambda: Frame(b'[[[]],[[1,[2,["price_change"]]]],[]]'),
    "invalid_utf8": lambda: Frame(b'{"type":"ticker","msg":{"title":"\xff\xfe\xc3\x28"}}'),
    "huge_frame": lambda: Frame(b'{"type":"unheard_of","pad":"%s"}' % (b"x" * HUGE_FRAME_BYTES)),
}


def misshapen(kind: str, good: str) -> bytes:
    """Return a good message out of shape, as one of `MISSHAPEN`."""
    if kind == "extra_field":
        return Drift("extra", EXTRA_FIELD)(good.encode())
    if kind == "renamed_field":
        return _renamed(good)
    return _compact(_leaves(json.loads(good), _LEAVES[kind])).encode()


def _renamed(good: str) -> bytes:
    """Give the levels a new name."""
    for name in ("yes_dollars_fp", "no_dollars_fp", "bids", "asks"):
        good = good.replace(f'"{name}":', f'"{name}_v2":')
    return good.encode()


def _wrong_type(leaf: Any) -> Any:
    return {"value": leaf} if isinstance(leaf, str) else str(leaf)


_LEAVES: Mapping[str, Callable[[Any], Any]] = {
    "wrong_types": _wrong_type,
    "nulls": lambda _: None,
    "nan": lambda _: float("nan"),
    "huge_number": lambda _: "9" * HUGE_DIGITS,
}
MISSHAPEN = frozenset((*_LEAVES, "extra_field", "renamed_field"))


def _leaves(value: Any, change: Callable[[Any], Any]) -> Any:
    """Change every text and number of a message but those that say what it is."""
    if isinstance(value, list):
        return [_leaves(one, change) for one in value]
    if isinstance(value, dict):
        return {k: v if k in _KEPT else _leaves(v, change) for k, v in value.items()}
    return change(value)
