"""Recorded sessions as small venues: they answer a decoder, and a naive model knows their truth.

What is told to a decoder that asks is made of that model, so that a session may be lost and begun
anew anywhere on the tape. Of a recorded frame only the subscription and sequence numbers are new.
"""

import copy
from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from arbees_feed.core.model import ONE_DOLLAR, MarketId
from support import kalshi, polymarket
from support.recordings import frames
from support.worlds import Frame, Top

Side = dict[Decimal, Decimal]

KALSHI = (
    "cockpit_ws_orderbook_stream_20260807.jsonl",
    "shreyas_btc_hourly_20260418.jsonl",
    "kxbtc15m/rv600_preflight_pairing_20260515T023653Z.jsonl.gz",
)
POLYMARKET = (
    "predxt_20260228_merged_by_timestamp.jsonl",
    "nautilus_rs_crossing_burst_20260929_first36.jsonl",
    "cronos_btc5m_books/btc-updown-5m-1776323400.jsonl.gz",
)
FRAMES_READ = 600
_SIDS = {"ticker": 3, "trade": 2}
"""Of channels that are not books."""


class EndOfTape(Exception):
    """There are no more frames."""


def _top(bids: Side, asks: Side) -> Top:
    bid, ask = max(bids, default=Decimal(0)), min(asks, default=Decimal(1))
    return (
        int(bid * ONE_DOLLAR),
        int(bids.get(bid, Decimal(0)) * 1_000_000),
        int(ask * ONE_DOLLAR),
        int(asks.get(ask, Decimal(0)) * 1_000_000),
    )


class Tape:
    """A recording, from any frame on."""

    def __init__(self, recorded: Sequence[Any], start: int) -> None:
        self._frames = iter(recorded)
        self.books: dict[str, tuple[Side, Side]] = {}
        self.markets = self._markets(recorded)
        for frame in islice(self._frames, start):
            self.learn(frame)

    def _markets(self, recorded: Sequence[Any]) -> Sequence[MarketId]:
        raise NotImplementedError

    def learn(self, frame: Any) -> None:
        """Apply a frame in the plainest way there is."""
        raise NotImplementedError

    def top(self, market: MarketId) -> Top:
        """Return the true top of book."""
        return _top(*self.books.get(market, ({}, {})))

    def step(self) -> Frame:
        """Return the next frame, already in the truth."""
        frame = next(self._frames, None)
        if frame is None:
            raise EndOfTape
        self.learn(frame)
        return self.numbered(copy.deepcopy(frame))

    def numbered(self, frame: Any) -> Frame:
        """Return the frame with the numbers of this connection."""
        return frame  # type: ignore[no-any-return]


class KalshiTape(Tape):
    """One subscription of books; tickers and trades are on others."""

    def _markets(self, recorded: Sequence[Any]) -> Sequence[MarketId]:
        told = [f["msg"]["market_ticker"] for f in recorded if f["type"] == "orderbook_snapshot"]
        return [MarketId(ticker) for ticker in dict.fromkeys(told)]

    def learn(self, frame: Any) -> None:
        """The ask side is made of NO bids."""
        body = frame["msg"]
        if frame["type"] == "orderbook_snapshot":
            yes, no = (body.get(f"{side}_dollars_fp", []) for side in ("yes", "no"))
            self.books[body["market_ticker"]] = (
                {Decimal(price): Decimal(size) for price, size in yes},
                {1 - Decimal(price): Decimal(size) for price, size in no},
            )
        elif frame["type"] == "orderbook_delta":
            levels = self.books[body["market_ticker"]][body["side"] == "no"]
            price = Decimal(body["price_dollars"])
            price = price if body["side"] == "yes" else 1 - price
            levels[price] = levels.get(price, Decimal(0)) + Decimal(body["delta_fp"])
            if not levels[price]:
                del levels[price]

    def numbered(self, frame: Any) -> Frame:
        """Number what is in the sequence of books."""
        frame["sid"] = _SIDS.get(frame["type"], 1)
        if frame["sid"] == 1:
            frame["seq"] = self._next()
        return frame  # type: ignore[no-any-return]

    def connected(self) -> None:
        """Begin a connection."""
        self.seq = 0
        self.members: set[str] = set()

    def _next(self) -> int:
        self.seq += 1
        return self.seq

    def answer(self, command: bytes) -> list[Frame]:
        """Answer as Kalshi does."""
        asked = msgspec.json.decode(command)
        params = asked["params"]
        named = [t for t in params.get("market_tickers", []) if t in self.markets]
        if asked["cmd"] == "subscribe":
            channel = params["channels"][0]
            if channel != "orderbook_delta":
                return [kalshi.subscribed(_SIDS.get(channel, 4), channel, asked["id"])]
            self.members.update(named)
            return [kalshi.subscribed(1, channel, asked["id"]), *map(self._snapshot, named)]
        if params["action"] == "get_snapshot":
            return [self._snapshot(ticker) for ticker in named]
        fresh = [t for t in named if t not in self.members and params["action"] == "add_markets"]
        self.members.update(fresh)
        return [kalshi.ok(self._next(), 1, asked["id"]), *map(self._snapshot, fresh)]

    def _snapshot(self, ticker: str) -> Frame:
        bids, asks = self.books.get(ticker, ({}, {}))
        yes = {str(price): str(size) for price, size in bids.items()}
        no = {str(1 - price): str(size) for price, size in asks.items()}
        return kalshi.snapshot(self._next(), ticker, yes, no)


class PolymarketTape(Tape):
    """No sequence; a book is told again to who subscribes anew."""

    def _markets(self, recorded: Sequence[Any]) -> Sequence[MarketId]:
        told = [part["asset_id"] for frame in recorded for part in _parts(frame) if _is_book(part)]
        return [MarketId(token) for token in dict.fromkeys(told)]

    def learn(self, frame: Any) -> None:
        """Sizes are absolute."""
        for part in _parts(frame):
            self.now_ms = int(part["timestamp"])
            if _is_book(part):
                bids, asks = (
                    {Decimal(level["price"]): Decimal(level["size"]) for level in part[side]}
                    for side in ("bids", "asks")
                )
                self.books[part["asset_id"]] = bids, asks
            for change in part.get("price_changes", []):
                sides = self.books.get(change["asset_id"])
                if sides is not None:
                    levels = sides[change["side"] == "SELL"]
                    levels[Decimal(change["price"])] = Decimal(change["size"])
                    if not Decimal(change["size"]):
                        del levels[Decimal(change["price"])]

    def connected(self) -> None:
        """Begin a connection."""
        self.members: set[str] = set()

    def answer(self, command: bytes) -> list[Frame]:
        """Answer as Polymarket does: an unknown token gets nothing."""
        if command == b"PING":
            return []
        asked = msgspec.json.decode(command)
        named = [token for token in asked["assets_ids"] if token in self.books]
        if asked.get("operation") == "unsubscribe":
            self.members.difference_update(named)
            return []
        fresh = [token for token in named if token not in self.members]
        self.members.update(fresh)
        return [[self._book(token) for token in fresh]]

    def _book(self, token: str) -> dict[str, Any]:
        bids, asks = self.books[token]
        told = polymarket.book(
            {str(price): str(bids[price]) for price in sorted(bids)},
            {str(price): str(asks[price]) for price in sorted(asks, reverse=True)},
            token=MarketId(token),
            ts_ms=self.now_ms,
        )
        # Whose hash it would be depends on facts that are not on the tape.
        return told | {"hash": ""}


def _parts(frame: Any) -> list[Any]:
    return frame if isinstance(frame, list) else [frame]


def _is_book(part: Any) -> bool:
    return part.get("event_type") == "book"


_TAKEN = {"orderbook_snapshot", "orderbook_delta", "ticker", "trade"}


def recorded_sessions(corpus: Path) -> Iterator[tuple[str, type[Tape], list[Any]]]:
    """Yield (venue, tape, frames) of some recordings."""
    for name in KALSHI:
        lines = islice(frames(corpus / "kalshi" / name), FRAMES_READ)
        told = [frame for line in lines if (frame := msgspec.json.decode(line))["type"] in _TAKEN]
        yield "kalshi", KalshiTape, told
    for name in POLYMARKET:
        lines = islice(frames(corpus / "polymarket" / name), FRAMES_READ)
        yield "polymarket", PolymarketTape, [msgspec.json.decode(line) for line in lines]
