"""Other ways from a venue to Redis, to compare with; each in a process of its own.

    python benchmarks/rivals.py NAME WEBSOCKET_URL REDIS_URL FILE_WITH_MARKETS

`relay`: aiohttp receives, the raw frame is published in a pipeline, nothing is decoded.
`publish`: our decoders and books, then `await redis.publish()` a price.
`publish-set`: the same with an awaited SET before it.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import uvloop
from redis.asyncio import Redis

from arbees_feed.core.model import MarketId, Quote
from arbees_feed.core.venue import DecoderOptions
from arbees_feed.core.wire import Names, encode_map, price_of
from arbees_feed.feed.market import MarketsConfig
from arbees_feed.feed.markets import MarketTable
from arbees_feed.publish import resp
from arbees_feed.transport.redis import RedisPipe, open_pipe
from arbees_feed.venues import VENUES

_TEXT = aiohttp.WSMsgType.TEXT


class Relay:
    """Publishes frames as they are, in one write a wake-up."""

    pipe: RedisPipe

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._start = resp.prefix("PUBLISH", "raw")

    def replies(self, count: int, errors: Any) -> None:
        """Count nothing."""
        del count, errors

    def resumed(self) -> None:
        """Go on as before: nothing waits here."""

    async def run(self, socket: Any) -> None:
        """Pass on until the socket ends."""
        soon = asyncio.get_running_loop().call_soon
        while (message := await socket.receive()).type is _TEXT:
            if not self._parts:
                soon(self._flush)
            self._parts.append(resp.with_payload(self._start, message.data))

    def _flush(self) -> None:
        self.pipe.write(b"".join(self._parts))
        self._parts.clear()


class Outlet:
    """Keeps what is to be published until somebody awaits it."""

    def __init__(self, market: MarketId, waiting: list[tuple["Outlet", Quote]]) -> None:
        self.market, self._waiting, self.seq = market, waiting, 0
        self.price, self.last = Names().price(market), Names().last(market)

    def put(self, quote: Quote) -> None:
        """Take a quote."""
        self._waiting.append((self, quote))

    def encoded(self, quote: Quote) -> bytes:
        """Return the message."""
        self.seq += 1
        price = price_of(quote, self.market, "kalshi", 1, self.seq, time.time_ns())
        return encode_map(price)


class _Link:
    def resync(self, market: MarketId, reason: str) -> None:
        raise AssertionError(f"{market}: {reason}")


async def awaited(
    socket: Any, markets: Sequence[str], write: Callable[[Outlet, bytes], Awaitable[None]]
) -> None:
    """Decode as the daemon does, and await each message."""
    waiting: list[tuple[Outlet, Quote]] = []
    decoder = VENUES["kalshi"].new_decoder(DecoderOptions())
    table = MarketTable(
        lambda market: Outlet(market, waiting),  # type: ignore[arg-type,return-value]
        MarketsConfig(),
        monotonic=time.monotonic,
    )
    await _subscribe(socket, decoder, markets)
    link = _Link()
    while (message := await socket.receive()).type is _TEXT:
        recv_ns = time.time_ns()
        table.apply(decoder.receive(message.data), link, recv_ns)
        for outlet, quote in waiting:
            await write(outlet, outlet.encoded(quote))
        waiting.clear()


async def _subscribe(socket: Any, decoder: Any, markets: Sequence[str]) -> None:
    decoder.start([MarketId(market) for market in markets])
    for command in decoder.outbox:
        await socket.send_str(command.decode())
    decoder.outbox.clear()
    # What joins later is asked for once the subscription has its number.
    while not decoder.outbox and len(markets) > 250:
        decoder.receive((await socket.receive()).data)
    for command in decoder.outbox:
        await socket.send_str(command.decode())
    decoder.outbox.clear()


async def main(name: str, url: str, redis_url: str, markets: Sequence[str]) -> None:
    """Connect, subscribe, and work until the end."""
    client = Redis.from_url(redis_url)

    async def publish(outlet: Outlet, payload: bytes) -> None:
        await client.publish(outlet.price, payload)

    async def publish_and_set(outlet: Outlet, payload: bytes) -> None:
        await client.set(outlet.last, payload)
        await client.publish(outlet.price, payload)

    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(url, decode_text=False, max_msg_size=64 << 20) as socket,
    ):
        if name != "relay":
            await awaited(socket, markets, publish if name == "publish" else publish_and_set)
            return
        relay = Relay()
        async with open_pipe(relay, redis_url, timeout_s=5) as relay.pipe:
            await _subscribe(socket, VENUES["kalshi"].new_decoder(DecoderOptions()), markets)
            await relay.run(socket)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        name, url, redis_url, listed = sys.argv[1:]
        runner.run(main(name, url, redis_url, Path(listed).read_text().split()))
