"""Small Kalshi frames, in the shape of recorded ones."""

from typing import Any

import msgspec

Frame = dict[str, Any]
TS_MS = 1_795_219_200_470


def encoded(frame: Frame) -> bytes:
    """Return the frame as the venue sends it: compact JSON."""
    return msgspec.json.encode(frame)


def subscribed(sid: int = 1, channel: str = "orderbook_delta", ident: int = 1) -> Frame:
    return {"id": ident, "type": "subscribed", "msg": {"channel": channel, "sid": sid}}


def snapshot(
    seq: int,
    ticker: str,
    yes: dict[str, str] | None = None,
    no: dict[str, str] | None = None,
    sid: int = 1,
) -> Frame:
    """A whole book; a side that is None or empty has no key, as on the wire."""
    sides = {"yes_dollars_fp": yes, "no_dollars_fp": no}
    body = {key: [list(level) for level in side.items()] for key, side in sides.items() if side}
    return {
        "type": "orderbook_snapshot",
        "sid": sid,
        "seq": seq,
        "sending_ts_ms": TS_MS,
        "msg": {"market_ticker": ticker, "market_id": "6e7fd39d"} | body,
    }


def delta(
    seq: int,
    ticker: str,
    price: str,
    change: str,
    side: str = "yes",
    *,
    sid: int = 1,
    ts_ms: int = TS_MS,
) -> Frame:
    return {
        "type": "orderbook_delta",
        "sid": sid,
        "seq": seq,
        "msg": {
            "market_ticker": ticker,
            "market_id": "6e7fd39d",
            "price_dollars": price,
            "delta_fp": change,
            "side": side,
            "ts": "2026-11-21T00:00:00.470Z",
            "ts_ms": ts_ms,
        },
    }


def ticker(name: str, *, sid: int = 3, ts_ms: int = TS_MS, **changes: Any) -> Frame:
    body = {
        "market_ticker": name,
        "market_id": "6e7fd39d",
        "price_dollars": "0.4800",
        "yes_bid_dollars": "0.4700",
        "yes_ask_dollars": "0.4900",
        "yes_bid_size_fp": "333.00",
        "yes_ask_size_fp": "80.00",
        "last_trade_size_fp": "1.00",
        "volume_fp": "33896.00",
        "dollar_volume": 16948,
        "ts": ts_ms // 1000,
        "ts_ms": ts_ms,
    }
    return {"type": "ticker", "sid": sid, "msg": body | changes}


def trade(seq: int, name: str, *, sid: int = 2, **changes: Any) -> Frame:
    body = {
        "trade_id": "6c564d64",
        "market_ticker": name,
        "yes_price_dollars": "0.5100",
        "no_price_dollars": "0.4900",
        "count_fp": "0.10",
        "taker_side": "yes",
        "taker_outcome_side": "yes",
        "ts_ms": TS_MS,
    }
    return {"type": "trade", "sid": sid, "seq": seq, "msg": body | changes}


def lifecycle(seq: int, name: str, step: str, *, sid: int = 4, **facts: Any) -> Frame:
    body = {"event_type": step, "market_ticker": name}
    return {"type": "market_lifecycle_v2", "sid": sid, "seq": seq, "msg": body | facts}


def ok(seq: int | None = None, sid: int | None = 1, ident: int = 2) -> Frame:
    frame: Frame = {"id": ident, "type": "ok", "msg": {}}
    return frame | {key: value for key, value in (("sid", sid), ("seq", seq)) if value is not None}


def error(code: int, ident: int = 0, sid: int | None = None, seq: int | None = None) -> Frame:
    frame: Frame = {"type": "error", "msg": {"code": code, "msg": f"error {code}"}}
    optional = {"id": ident or None, "sid": sid, "seq": seq}
    return frame | {key: value for key, value in optional.items() if value is not None}
