"""A Redis connection that is subscribed: whole chunks of messages in, undecoded.

redis-py dials (TLS, passwords, unix sockets), then this protocol takes the transport over. Read one
by one through redis-py, thousands of messages a second would keep a core busy.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import hiredis
from redis.asyncio import Redis

from arbees_feed.errors import RedisUnavailable
from arbees_feed.publish import resp

SILENCE_S: Final = 2.0
"""A server that says nothing for so long is asked, and given up after as long again."""

Message = tuple[bytes, bytes]
"""(channel, payload)"""
Take = Callable[[list[Message], list[Message]], None]


class Link(asyncio.Protocol):
    """One subscribed connection, in RESP2: what comes by pattern, and what comes by name."""

    def __init__(
        self, transport: asyncio.Transport, take: Take, *, silence_s: float = SILENCE_S
    ) -> None:
        loop = asyncio.get_running_loop()
        self._confirmed: asyncio.Future[None] = loop.create_future()
        self._transport = transport
        self._take = take
        self._silence_s = silence_s
        self._reader: Any = hiredis.Reader()
        self._ended: asyncio.Future[str] = loop.create_future()
        self._heard = True
        self._unconfirmed = 0

    def send(self, *words: str) -> None:
        """Send a command; never waits."""
        if not self._ended.done():
            self._transport.write(resp.command(*words))

    async def subscribe(self, channel: str, pattern: str, timeout_s: float) -> None:
        """Subscribe, and wait until Redis has confirmed both.

        Raises:
            RedisUnavailable: it does not, or not in time.
        """
        self._unconfirmed = 2
        self.send("SUBSCRIBE", channel)
        self.send("PSUBSCRIBE", pattern)
        either: set[asyncio.Future[Any]] = {self._confirmed, self._ended}
        done, _ = await asyncio.wait(either, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if self._ended.done():
            raise RedisUnavailable(self._ended.result())
        if not done:
            raise RedisUnavailable("no answer to a subscription")

    async def lost(self) -> None:
        """Wait for the end of the connection; a server that is silent is asked.

        Raises:
            RedisUnavailable: when it has ended; the message says why.
        """
        while not self._ended.done():
            self._heard = False
            await asyncio.wait({self._ended}, timeout=self._silence_s)
            if not self._heard and not self._ended.done():
                self.send("PING")
                await asyncio.wait({self._ended}, timeout=self._silence_s)
                if not self._heard:
                    self.end(f"no sign of life for {2 * self._silence_s:g} s")
        raise RedisUnavailable(self._ended.result())

    def data_received(self, data: bytes) -> None:
        """Hand on the messages of a chunk."""
        self._heard = True
        prices: list[Message] = []
        others: list[Message] = []
        reader = self._reader
        try:
            reader.feed(data)
            while (reply := reader.gets()) is not False:
                if type(reply) is not list:
                    self._take_other(reply)
                elif reply[0] == b"pmessage":
                    prices.append((reply[2], reply[3]))
                elif reply[0] == b"message":
                    others.append((reply[1], reply[2]))
                else:
                    self._confirm()
        except hiredis.ProtocolError as exc:
            self.end(f"unreadable reply: {exc}")
        self._take(prices, others)

    def _confirm(self) -> None:
        self._unconfirmed -= 1
        if not self._unconfirmed and not self._confirmed.done():
            self._confirmed.set_result(None)

    def _take_other(self, reply: object) -> None:
        if isinstance(reply, hiredis.ReplyError):
            self.end(str(reply))

    def connection_lost(self, exc: Exception | None) -> None:
        """The other side, or the network, ended it."""
        self.end(str(exc) if exc else "closed by the server")

    def end(self, reason: str) -> None:
        """Give the connection up."""
        if not self._ended.done():
            self._ended.set_result(reason)
        self._transport.abort()


@asynccontextmanager
async def open_link(url: str, take: Take, *, timeout_s: float) -> AsyncIterator[Link]:
    """Dial, and take the connection over.

    Raises:
        RedisUnavailable: nobody answers in time; errors of redis-py come as they are.
    """
    client: Any = Redis.from_url(
        url, protocol=2, socket_connect_timeout=timeout_s, socket_timeout=timeout_s
    )
    connection = client.connection_pool.make_connection()
    link: Link | None = None
    try:
        try:
            # Each step has its time-out; a server that answers each just in time has none left.
            async with asyncio.timeout(2 * timeout_s):
                await connection.connect()
        except TimeoutError:
            raise RedisUnavailable("no answer while connecting") from None
        # redis-py has no public way to its transport; the tests of this command guard it.
        transport = connection._writer.transport  # noqa: SLF001
        link = Link(transport, take)
        transport.set_protocol(link)
        yield link
    finally:
        # Keeps the connection alive until here: a StreamWriter closes its transport when it is
        # collected (Python 3.13).
        await connection.disconnect(nowait=True)
        if link is not None:
            link.end("closed")
        await client.aclose()
