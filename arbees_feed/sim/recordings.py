"""Reading recorded frames: when each arrived, of which market it is, what it does to the book."""

import gzip
import json
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from arbees_feed.sim.config import Recording
from arbees_feed.sim.kalshi_frames import Json, compact
from arbees_feed.sim.money import PRICE_SCALE, SIZE_SCALE
from arbees_feed.sim.world import Market, Side

NANOSECONDS_FROM = 10**15  # larger numbers are not milliseconds
_TICKER = re.compile(r'"market_ticker":\s?"([^"]+)"')
_CONDITION = re.compile(r'"market":\s?"([^"]+)"')
_ASSET = re.compile(r'"asset_id":\s?"(\d+)"')
_VENUE_TIME = re.compile(r'"(?:ts_ms|timestamp)":\s?"?(\d{13})')
_decode = json.JSONDecoder().raw_decode


class Frame(NamedTuple):
    """A recorded frame: when it arrived (0: unknown), its text."""

    recv_ms: float
    text: str


def frames(recording: Recording) -> Iterator[Frame]:
    """Iterate over the frames of a recording."""
    times = _lines(recording.times) if recording.times else None
    for line in _lines(recording.path):
        recv_ms = _milliseconds(next(times, "0")) if times else 0.0
        if line.startswith('{"recv_ms"'):
            wrapped = json.loads(line)
            yield Frame(float(wrapped["recv_ms"]), compact(wrapped["event"]))
        else:
            yield Frame(recv_ms, line)


def kalshi_tickers(recording: Recording) -> list[str]:
    """Return the tickers that appear, in order."""
    found = (_TICKER.search(frame.text) for frame in frames(recording))
    return list(dict.fromkeys(match[1] for match in found if match))


def polymarket_tokens(recording: Recording) -> dict[str, list[str]]:
    """Return the tokens that appear, by condition id; at most the first two of each."""
    tokens: dict[str, list[str]] = {}
    for frame in frames(recording):
        conditions = _CONDITION.findall(frame.text)
        for condition in dict.fromkeys(conditions):
            known = tokens.setdefault(condition, [])
            if len(known) < 2 and len(set(conditions)) == 1:  # noqa: PLR2004 (YES and NO)
                known += [t for t in dict.fromkeys(_ASSET.findall(frame.text)) if t not in known]
    return tokens


class KalshiMessage(NamedTuple):
    """A recorded message taken apart; *body* is its `msg` as it was written."""

    kind: str
    msg: Json
    body: str


def kalshi_message(text: str) -> KalshiMessage | None:
    """Take a frame apart; None for acknowledgements and errors."""
    start = text.find('"msg":')
    if start < 0 or '"market_ticker"' not in text:
        return None
    start += len('"msg":')
    start += len(text[start:]) - len(text[start:].lstrip())
    msg, end = _decode(text, start)
    kind = str(json.loads(text[:start] + "0" + text[end:])["type"])
    return KalshiMessage(kind, msg, text[start:end]) if isinstance(msg, dict) else None


def apply_kalshi(market: Market, message: KalshiMessage) -> None:
    """Do to the book what the message says."""
    msg = message.msg
    market.ts_ms = int(msg.get("ts_ms") or market.ts_ms)
    if message.kind == "orderbook_snapshot":
        market.yes_bids = _levels(msg.get("yes_dollars_fp"))
        no_bids = _levels(msg.get("no_dollars_fp"))
        market.yes_asks = {PRICE_SCALE - price: size for price, size in no_bids.items()}
        market.status = "active"
        market.note_top()
    elif message.kind == "orderbook_delta":
        price, change = _price(msg["price_dollars"]), _size(msg["delta_fp"])
        side: Side = "bid" if msg["side"] == "yes" else "ask"
        price = price if side == "bid" else PRICE_SCALE - price
        market.set_level(side, price, market.levels(side).get(price, 0) + change)
    elif message.kind == "trade":
        market.last_trade = _price(msg["yes_price_dollars"])


def polymarket_messages(text: str) -> list[Json]:
    """Return the messages of a frame, which may be one or a list."""
    if not text.startswith(("{", "[")):
        return []
    parsed = json.loads(text)
    return parsed if isinstance(parsed, list) else [parsed]


def apply_polymarket(market: Market, message: Json) -> None:
    """Do to the book what the message says; the NO token's part is a mirror of the YES token's."""
    stamp = str(message.get("timestamp", ""))
    market.ts_ms = max(market.ts_ms, int(stamp)) if stamp.isdecimal() else market.ts_ms
    kind = message.get("event_type", "book")
    own = message.get("asset_id") == market.id
    if kind == "book":
        bids, asks = _book_side(message, "bids"), _book_side(message, "asks")
        market.yes_bids = bids if own else _mirrored(asks)
        market.yes_asks = asks if own else _mirrored(bids)
        market.status = "active"
        market.note_top()
    elif kind == "price_change":
        for entry in message.get("price_changes", ()):
            _apply_entry(market, entry)
    elif kind == "last_trade_price":
        price = _price(message["price"])
        market.last_trade = price if own else PRICE_SCALE - price


def _apply_entry(market: Market, entry: Json) -> None:
    price, size = _price(entry["price"]), _size(entry["size"])
    buys = entry["side"] == "BUY"
    if entry["asset_id"] == market.id:
        market.set_level("bid" if buys else "ask", price, size)
    else:
        market.set_level("ask" if buys else "bid", PRICE_SCALE - price, size)


def venue_time_ms(text: str) -> float:
    """Return the venue's time of a frame, 0 without one."""
    match = _VENUE_TIME.search(text)
    return float(match[1]) if match else 0.0


def _book_side(message: Json, name: str) -> dict[int, int]:
    return {_price(level["price"]): _size(level["size"]) for level in message.get(name, ())}


def _mirrored(levels: dict[int, int]) -> dict[int, int]:
    return {PRICE_SCALE - price: size for price, size in levels.items()}


def _levels(pairs: Any) -> dict[int, int]:
    return {_price(price): _size(size) for price, size in pairs or ()}


def _price(text: str) -> int:
    return int(Decimal(text) * PRICE_SCALE)


def _size(text: str) -> int:
    return int(Decimal(text) * SIZE_SCALE)


def _milliseconds(line: str) -> float:
    number = int(line)
    return number / 1e6 if number > NANOSECONDS_FROM else float(number)


def _lines(path: Path) -> Iterator[str]:
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        for line in file:
            if text := line.strip():
                yield text
