"""Naive clients, written from the venues' documents only: they know nothing of our decoders."""

import json
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from arbees_feed.sim import SimConfig, SimServer
from arbees_feed.sim.shared import wall_clock_ms

Json = dict[str, Any]
WS_PATH = "/trade-api/ws/v2"


class KalshiClient:
    """Sends commands, keeps every frame, folds books, and checks every sequence number."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws
        self.frames: list[Json] = []
        self.books: dict[str, dict[str, dict[Decimal, Decimal]]] = {}
        self.tickers: dict[str, Json] = {}
        self.last_seq: dict[int, int] = defaultdict(int)
        self.gaps: list[Json] = []
        self._id = 100

    async def command(self, cmd: str, **params: Any) -> int:
        """Send a command; return its id."""
        self._id += 1
        await self.ws.send_json({"id": self._id, "cmd": cmd, "params": params})
        return self._id

    async def subscribe(self, channels: list[str], **params: Any) -> list[Json]:
        """Subscribe; return all frames up to the answer of a later command."""
        await self.command("subscribe", channels=channels, **params)
        return await self.settle()

    async def receive(self) -> Json:
        """Read a frame and take it in."""
        message = await self.ws.receive()
        assert message.type is aiohttp.WSMsgType.TEXT, message
        frame: Json = json.loads(message.data)
        self.frames.append(frame)
        self._check(frame)
        self._fold(frame)
        return frame

    async def until(self, **wanted: Any) -> Json:
        """Read until a frame has these members."""
        while True:
            frame = await self.receive()
            if all(frame.get(key) == value for key, value in wanted.items()):
                return frame

    async def settle(self) -> list[Json]:
        """Read everything sent before now: up to the answer to a command of our own."""
        start = len(self.frames)
        self._id += 1
        await self.ws.send_json({"id": self._id, "cmd": "list_subscriptions"})
        await self.until(id=self._id)
        return self.frames[start:-1]

    def kinds(self) -> list[str]:
        """Return the types of all frames, in order."""
        return [frame["type"] for frame in self.frames]

    def _check(self, frame: Json) -> None:
        if "seq" not in frame:
            return
        sid, seq = frame["sid"], frame["seq"]
        if seq != self.last_seq[sid] + 1:
            self.gaps.append(frame)
        self.last_seq[sid] = seq

    def _fold(self, frame: Json) -> None:
        msg = frame.get("msg")
        match frame["type"]:
            case "orderbook_snapshot":
                self.books[msg["market_ticker"]] = {
                    side: {Decimal(p): Decimal(s) for p, s in msg.get(f"{side}_dollars_fp", [])}
                    for side in ("yes", "no")
                }
            case "orderbook_delta":
                levels = self.books[msg["market_ticker"]][msg["side"]]
                price = Decimal(msg["price_dollars"])
                levels[price] = levels.get(price, Decimal(0)) + Decimal(msg["delta_fp"])
                assert levels[price] >= 0 or self.gaps
                if not levels[price]:
                    del levels[price]
            case "ticker":
                self.tickers[msg["market_ticker"]] = msg


class PolymarketClient:
    """Subscribes, keeps every frame, folds the books of both tokens."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws
        self.texts: list[str] = []
        self.messages: list[Json] = []
        self.books: dict[str, dict[str, dict[str, str]]] = {}
        self.stated: dict[str, Json] = {}

    async def begin(self, tokens: list[str], **more: Any) -> list[Json]:
        """Send the first frame; return the opening books."""
        await self.ws.send_json({"type": "market", "assets_ids": tokens, **more})
        return json.loads(await self.receive())

    async def operation(self, operation: str, tokens: list[str], **more: Any) -> None:
        """Change the subscription."""
        await self.ws.send_json({"operation": operation, "assets_ids": tokens, **more})

    async def receive(self) -> str:
        """Read a frame and take it in."""
        message = await self.ws.receive()
        assert message.type is aiohttp.WSMsgType.TEXT, message
        text: str = message.data
        self.texts.append(text)
        if text.startswith(("{", "[")):
            parsed = json.loads(text)
            for one in parsed if isinstance(parsed, list) else [parsed]:
                self.messages.append(one)
                self._fold(one)
        return text

    async def settle(self) -> list[str]:
        """Read everything sent before now: up to the PONG to a PING of our own."""
        start = len(self.texts)
        await self.ws.send_str("PING")
        while await self.receive() != "PONG":
            pass
        return self.texts[start:-1]

    def of(self, kind: str) -> list[Json]:
        """Return the messages of a type."""
        return [message for message in self.messages if message.get("event_type") == kind]

    def _fold(self, message: Json) -> None:
        match message["event_type"]:
            case "book":
                self.books[message["asset_id"]] = {
                    side: {level["price"]: level["size"] for level in message[side]}
                    for side in ("bids", "asks")
                }
            case "price_change":
                for entry in message["price_changes"]:
                    self.stated[entry["asset_id"]] = entry | {"timestamp": message["timestamp"]}
                    self._set(entry)

    def _set(self, entry: Json) -> None:
        book = self.books.get(entry["asset_id"])
        if book is None:
            return
        levels = book["bids" if entry["side"] == "BUY" else "asks"]
        if entry["size"] == "0":
            levels.pop(entry["price"], None)
        else:
            levels[entry["price"]] = entry["size"]


OpenSim = Callable[..., Awaitable[SimServer]]


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    """Everything a test opens is closed again, last first."""
    async with AsyncExitStack() as opened:
        yield opened


@pytest.fixture
def open_sim(stack: AsyncExitStack) -> OpenSim:
    """Start a simulation; paused, so that a test decides what happens."""

    async def start(*, paused: bool = True, **config: Any) -> SimServer:
        small = {"kalshi_markets": 4, "polymarket_markets": 4, "rate": 2000.0} | config
        sim = SimServer(SimConfig(**small))
        if paused:
            sim.pause()
        return await stack.enter_async_context(sim)

    return start


@pytest.fixture
async def http(stack: AsyncExitStack) -> aiohttp.ClientSession:
    """A plain HTTP client."""
    return await stack.enter_async_context(aiohttp.ClientSession())


@pytest.fixture
def kalshi(stack: AsyncExitStack, http: aiohttp.ClientSession) -> Callable[..., Awaitable[Any]]:
    """Connect to a simulation's Kalshi."""

    async def connect(sim: SimServer, **options: Any) -> KalshiClient:
        headers = sim.credentials.headers("GET", WS_PATH, wall_clock_ms())
        socket = http.ws_connect(sim.kalshi_ws_url, headers=headers, **options)
        return KalshiClient(await stack.enter_async_context(socket))

    return connect


@pytest.fixture
def polymarket(stack: AsyncExitStack, http: aiohttp.ClientSession) -> Callable[..., Awaitable[Any]]:
    """Connect to a simulation's Polymarket."""

    async def connect(sim: SimServer, **options: Any) -> PolymarketClient:
        socket = http.ws_connect(sim.polymarket_ws_url, **options)
        return PolymarketClient(await stack.enter_async_context(socket))

    return connect


@pytest.fixture
def connect(
    kalshi: Callable[..., Awaitable[Any]], polymarket: Callable[..., Awaitable[Any]]
) -> dict[str, Callable[..., Awaitable[Any]]]:
    """Connect to a venue by its name."""
    return {"kalshi": kalshi, "polymarket": polymarket}
