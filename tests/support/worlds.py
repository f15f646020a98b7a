"""Two small venues that answer a decoder and know the truth: frames right by construction."""

import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import msgspec

from arbees_feed.core.model import ONE_DOLLAR, MarketId
from support import kalshi, polymarket

Frame = dict[str, Any] | list[dict[str, Any]]
Top = tuple[int, int, int, int]
_CENT = 100


class World(ABC):
    """Two markets, each with bids below 50 cents and asks above."""

    markets: Sequence[MarketId]

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.levels: dict[MarketId, tuple[dict[int, int], dict[int, int]]] = {
            market: ({4_700: 25_000, 4_800: 10_000}, {5_300: 30_000, 5_200: 12_000})
            for market in self.markets
        }
        self.clock_ms = 1_795_219_200_000

    def top(self, market: MarketId) -> Top:
        """Return the true top of book: sizes in 1e-6 contract, as in quotes."""
        bids, asks = self.levels[market]
        bid, ask = max(bids, default=0), min(asks, default=ONE_DOLLAR)
        return bid, bids.get(bid, 0) * 10_000, ask, asks.get(ask, 0) * 10_000

    def step(self) -> Frame:
        """Change one level of one market and return the frame that says so."""
        self.clock_ms += 1
        market = self._random.choice(self.markets)
        side = self._random.randrange(2)
        base = 4_900 if side == 0 else 5_100
        price = base + (-1 if side == 0 else 1) * _CENT * self._random.randrange(4)
        held = self.levels[market][side]
        others = [size for size in (0, 1, 2_500, 100_000) if size != held.get(price)]
        size = self._random.choice(others) if price in held else 4_200
        return self._changed(market, side, price, size)

    def _changed(self, market: MarketId, side: int, price: int, size: int) -> Frame:
        held = self.levels[market][side]
        before = held.pop(price, 0)
        if size:
            held[price] = size
        return self.told(market, side, price, before, size)

    @abstractmethod
    def told(self, market: MarketId, side: int, price: int, before: int, size: int) -> Frame:
        """Return the frame of a change that has just happened."""

    @abstractmethod
    def answer(self, command: bytes) -> list[Frame]:
        """Return what the venue says to a frame of ours."""

    @abstractmethod
    def connected(self) -> None:
        """Forget the last connection."""

    @abstractmethod
    def other_frames(self) -> list[Frame]:
        """Return one frame of each further kind, in sequence, that changes no book."""


def _dollars(ticks: int) -> str:
    return f"{ticks / ONE_DOLLAR:.4f}"


class KalshiWorld(World):
    """One sequence for all books; answers get_snapshot."""

    markets = (MarketId("KXAAA-26NOV21-T1"), MarketId("KXBBB-26NOV21-T2"))

    def connected(self) -> None:
        self.seq = 0
        self.members: set[str] = set()

    def _next(self) -> int:
        self.seq += 1
        return self.seq

    def told(self, market: MarketId, side: int, price: int, before: int, size: int) -> Frame:
        own_price = price if side == 0 else ONE_DOLLAR - price
        change = f"{(size - before) / 100:.2f}"
        name = "yes" if side == 0 else "no"
        frame = kalshi.delta(self._next(), market, _dollars(own_price), change, name)
        frame["msg"]["ts_ms"] = self.clock_ms
        return frame

    def snapshot(self, market: MarketId) -> Frame:
        bids, asks = self.levels[market]
        yes = {_dollars(price): f"{size / 100:.2f}" for price, size in sorted(bids.items())}
        no = {_dollars(ONE_DOLLAR - price): f"{size / 100:.2f}" for price, size in asks.items()}
        return kalshi.snapshot(self._next(), market, yes, no)

    def answer(self, command: bytes) -> list[Frame]:
        asked = msgspec.json.decode(command)
        params = asked["params"]
        named = [t for t in params.get("market_tickers", []) if t in self.markets]
        if asked["cmd"] == "subscribe":
            self.members.update(named)
            opened = kalshi.subscribed(1, params["channels"][0], asked["id"])
            return [opened, *map(self.snapshot, named)]
        if params["action"] == "get_snapshot":
            return [self.snapshot(ticker) for ticker in named]
        fresh = [t for t in named if t not in self.members and params["action"] == "add_markets"]
        self.members.update(fresh)
        return [kalshi.ok(self._next(), 1, asked["id"]), *map(self.snapshot, fresh)]

    def other_frames(self) -> list[Frame]:
        # No ticker of a market whose book is told: it says other prices than the book does.
        return [
            kalshi.ok(self._next(), 1, 77),
            kalshi.error(11, 99, 1, self._next()),
            {
                "type": "event_fee_update",
                "sid": 1,
                "seq": self._next(),
                "msg": {"event_ticker": "KX-E"},
            },
            kalshi.trade(1, "KX-OTHER"),
            kalshi.ticker("KX-OTHER"),
            kalshi.lifecycle(1, "KX-OTHER", "created", open_ts=1_795_219_200),
        ]


class PolymarketWorld(World):
    """No sequence; every change tells the best prices after it."""

    markets = (MarketId(polymarket.YES), MarketId("7" * 77))

    def connected(self) -> None:
        self.members: set[str] = set()

    def told(self, market: MarketId, side: int, price: int, before: int, size: int) -> Frame:
        del before
        bid, _, ask, _ = self.top(market)
        text = [f"{ticks / ONE_DOLLAR:g}" for ticks in (price, bid, ask)]
        mirror = [f"{(ONE_DOLLAR - ticks) / ONE_DOLLAR:g}" for ticks in (price, ask, bid)]
        sides, amount = ("BUY", "SELL"), f"{size / 100:g}"
        return polymarket.price_change(
            polymarket.entry(sides[side], text[0], amount, text[1], text[2], market),
            polymarket.entry(
                sides[1 - side], mirror[0], amount, mirror[1], mirror[2], polymarket.NO
            ),
            ts_ms=self.clock_ms,
        )

    def book(self, market: MarketId) -> dict[str, Any]:
        bids, asks = self.levels[market]
        told = [
            {
                f"{price / ONE_DOLLAR:g}": f"{side[price] / 100:g}"
                for price in sorted(side, reverse=down)
            }
            for side, down in ((bids, False), (asks, True))
        ]
        return polymarket.book(told[0], told[1], token=market, ts_ms=self.clock_ms)

    def answer(self, command: bytes) -> list[Frame]:
        if command == b"PING":
            return []
        asked = msgspec.json.decode(command)
        named = [token for token in asked["assets_ids"] if token in self.markets]
        if asked.get("operation") == "unsubscribe":
            self.members.difference_update(named)
            return []
        fresh = [token for token in named if token not in self.members]
        self.members.update(fresh)
        return [[self.book(token) for token in fresh]]

    def other_frames(self) -> list[Frame]:
        return [
            polymarket.last_trade_price("5", ts_ms=self.clock_ms),
            polymarket.new_market(),
            {"event_type": "tick_size_change", "asset_id": "5", "new_tick_size": "0.001"},
            {"event_type": "best_bid_ask", "asset_id": "5", "best_bid": "0.4"},
            polymarket.market_resolved("5", "6"),
        ]
