"""What the venue's books are at the moment, to answer questions and to compare with."""

import json
from collections.abc import Iterable
from typing import Any

import msgspec

from loopback import tapes
from loopback.tapes import DELTA, SNAPSHOT, TICKER, Frame, Tape


class _Level(msgspec.Struct):
    price_dollars: str
    delta_fp: str
    side: str


class _Body(msgspec.Struct):
    yes_dollars_fp: list[tuple[str, str]] = []
    no_dollars_fp: list[tuple[str, str]] = []


class Truth:
    """The books as of the last frame sent; folded when somebody asks."""

    def __init__(self, tape: Tape) -> None:
        self._waiting: list[Frame] = []
        self._books: dict[str, dict[str, dict[str, float]]] = {}
        self._level = msgspec.json.Decoder(_Level).decode
        self._body = msgspec.json.Decoder(_Body).decode
        if tape.kind == DELTA:
            for market, body in tape.opening.items():
                self._apply(SNAPSHOT, market, body)
        self._tickers = {m: b % 1 for m, b in tape.opening.items()} if tape.kind == TICKER else {}

    def note(self, frames: Iterable[Frame]) -> None:
        """Remember what was sent."""
        self._waiting += frames

    def _apply(self, kind: str, market: str, body: bytes) -> None:
        if kind == TICKER:
            self._tickers[market] = body
            return
        if kind == SNAPSHOT:
            whole = self._body(body)
            self._books[market] = {
                "yes": {price: float(size) for price, size in whole.yes_dollars_fp},
                "no": {price: float(size) for price, size in whole.no_dollars_fp},
            }
            return
        change = self._level(body)
        side = self._books[market][change.side]
        size = round(side.get(change.price_dollars, 0.0) + float(change.delta_fp), 2)
        if size:
            side[change.price_dollars] = size
        else:
            del side[change.price_dollars]

    def book(self, market: str) -> bytes:
        """Return a market's whole book as a message body."""
        self._catch_up()
        body: dict[str, Any] = {"market_ticker": market, "market_id": tapes.market_id(market)}
        for side, levels in self._books[market].items():
            if levels:
                body[f"{side}_dollars_fp"] = _texts(levels)
        return json.dumps(body, separators=(",", ":")).encode()

    def sides(self, market: str) -> bytes:
        """Return a market's whole book as REST tells it; all of it that a ticker tells."""
        self._catch_up()
        if market in self._books:
            sides = self._books[market]
        else:
            told = json.loads(self._tickers[market])
            no_bid = f"{1 - float(told['yes_ask_dollars']):.4f}"
            sides = {
                "yes": {told["yes_bid_dollars"]: float(told["yes_bid_size_fp"])},
                "no": {no_bid: float(told["yes_ask_size_fp"])},
            }
        body = {f"{name}_dollars": _texts(levels) for name, levels in sides.items()}
        return json.dumps({"ticker": market, "orderbook_fp": body}).encode()

    def ticker(self, market: str) -> bytes:
        """Return a market's newest ticker."""
        self._catch_up()
        return self._tickers[market]

    def tops(self) -> dict[str, tuple[float, float, float, float]]:
        """Return bid, its size, ask, its size of all markets."""
        self._catch_up()
        found = {}
        for market, sides in self._books.items():
            bid, bid_size = _best(sides["yes"])
            no_bid, ask_size = _best(sides["no"])
            found[market] = (bid, bid_size, round(1 - no_bid, 4), ask_size)
        return found

    def _catch_up(self) -> None:
        waiting, self._waiting = self._waiting, []
        for kind, market, body in waiting:
            self._apply(kind, market, body)


def _texts(levels: dict[str, float]) -> list[list[str]]:
    return [[price, f"{size:.2f}"] for price, size in sorted(levels.items())]


def _best(levels: dict[str, float]) -> tuple[float, float]:
    price = max(levels, key=float, default="0")
    return float(price), levels.get(price, 0.0)
