"""A Redis connection that is subscribed: pushes in, read in bulk.

redis-py dials (TLS, passwords, unix sockets, Sentinel), then this protocol takes the transport
over. redis-py reads one message per `await`, through a parser call, a lock and a dictionary; here
hiredis gets whole chunks, and a message costs the loop below.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol, runtime_checkable

import hiredis

from arbees_feed.errors import AuthenticationRejected, FeedError, RedisUnavailable

NAMES_AT_ONCE: Final = 1_000
"""Channels in one SUBSCRIBE."""

PING_AFTER_S: Final = 1.0
DEAD_AFTER_S: Final = 3.0
"""Silence after which a connection that was asked for a sign of life is given up."""

ANSWER_S: Final = 10.0
"""The longest wait for Redis to confirm the next of many subscriptions."""

_REFUSALS = ("NOAUTH", "WRONGPASS", "NOPERM")


class Receiver(Protocol):
    """Who hears of messages."""

    def published(self, data: bytes, now_s: float) -> None:
        """Take a message of a price channel; *now_s* is monotonic."""

    def beat(self, data: bytes, now_s: float) -> None:
        """Take a message of the status channel."""


@runtime_checkable
class ChannelReceiver(Protocol):
    """Who hears of messages, and over which channel each of them came."""

    def published_on(self, channel: bytes, data: bytes, now_s: float) -> None:
        """Take a message of a price channel; *now_s* is monotonic."""

    def beat(self, data: bytes, now_s: float) -> None:
        """Take a message of the status channel."""


def _taker(receiver: Receiver | ChannelReceiver) -> Callable[[bytes, bytes, float], None]:
    if isinstance(receiver, ChannelReceiver):
        return receiver.published_on
    published = receiver.published
    return lambda _channel, data, now_s: published(data, now_s)


class Link(asyncio.Protocol):
    """One subscribed connection."""

    def __init__(
        self,
        transport: asyncio.Transport,
        receiver: Receiver | ChannelReceiver,
        status_channel: bytes,
        on_chunk: Callable[[], None],
    ) -> None:
        self._transport = transport
        self._published = _taker(receiver)
        self._beat = receiver.beat
        self._status = status_channel
        self._on_chunk = on_chunk
        self._reader: Any = hiredis.Reader()
        self._lost: asyncio.Future[FeedError] = asyncio.get_running_loop().create_future()
        self._awaited = b""
        self._unconfirmed = 0
        self._confirmed: asyncio.Future[FeedError | None] | None = None
        self._heard_s = self._pinged_s = time.monotonic()

    # -- bytes in ----------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Hand over the messages of a chunk; a broken one ends the connection."""
        self._heard_s = now_s = time.monotonic()
        reader = self._reader
        published, status = self._published, self._status
        try:
            reader.feed(data)
            while (reply := reader.gets()) is not False:
                if type(reply) is not list:
                    self._take_other(reply)
                    continue
                kind = reply[0]
                if kind == b"message" or kind == b"smessage":  # noqa: PLR1714 - no set: faster
                    channel, payload = reply[1], reply[2]
                elif kind == b"pmessage":
                    channel, payload = reply[2], reply[3]
                else:
                    self._take_control(kind)
                    continue
                if channel == status:
                    self._beat(payload, now_s)
                else:
                    published(channel, payload, now_s)
        except hiredis.ProtocolError as exc:
            self.end(RedisUnavailable(f"unreadable reply: {exc}"))
        self._on_chunk()

    def _take_control(self, kind: object) -> None:
        if kind == self._awaited:
            self._unconfirmed -= 1
            if self._unconfirmed <= 0 and self._confirmed and not self._confirmed.done():
                self._confirmed.set_result(None)
        elif kind == b"sunsubscribe":
            self.end(RedisUnavailable("a channel has moved to another node of the cluster"))

    def _take_other(self, reply: object) -> None:
        if isinstance(reply, hiredis.ReplyError):
            text = str(reply)
            refused = text.startswith(_REFUSALS)
            error = AuthenticationRejected(text) if refused else RedisUnavailable(text)
            if self._confirmed is not None and not self._confirmed.done():
                self._confirmed.set_result(error)
            else:
                self.end(error)

    def connection_lost(self, exc: Exception | None) -> None:
        """The other side, or the network, ended it."""
        self.end(RedisUnavailable(str(exc) if exc else "connection closed by the server"))

    # -- what its owner does -----------------------------------------------------------------------

    async def change(self, verb: str, names: Sequence[str], timeout_s: float = ANSWER_S) -> None:
        """Subscribe to or unsubscribe from *names*, and wait until Redis has confirmed each.

        Verbs are SUBSCRIBE, PSUBSCRIBE and SSUBSCRIBE, and the same with UN.

        Raises:
            RedisUnavailable: the connection ended, or there was no answer in time.
            AuthenticationRejected: this user may not.
        """
        if not names:
            return
        self._awaited, self._unconfirmed = verb.lower().encode(), len(names)
        self._confirmed = asyncio.get_running_loop().create_future()
        # Sharded channels of one command must be of one slot: each gets a command of its own.
        size = 1 if verb.startswith("S") and verb != "SUBSCRIBE" else NAMES_AT_ONCE
        for start in range(0, len(names), size):
            self._write(verb, *names[start : start + size])
        done, left = await self._answered(timeout_s), len(names)
        while not done and self._unconfirmed < left:
            left = self._unconfirmed  # many names take a while: the wait is for the next of them
            done = await self._answered(timeout_s)
        self.check()
        if not done:
            raise RedisUnavailable("no answer to a subscription")
        if (error := self._confirmed.result()) is not None:
            raise error

    async def _answered(self, timeout_s: float) -> bool:
        assert self._confirmed is not None  # noqa: S101 - set by `change`
        either: set[asyncio.Future[Any]] = {self._confirmed, self._lost}
        done, _ = await asyncio.wait(either, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        return bool(done)

    def check(self) -> None:
        """Raise what ended the connection, if it has ended."""
        if self._lost.done():
            raise self._lost.result()

    @property
    def ended(self) -> asyncio.Future[FeedError]:
        """Done once the connection has ended."""
        return self._lost

    def tick(self, now_s: float) -> None:
        """Ask a silent server for a sign of life, and give up one that stays silent."""
        silent_s = now_s - self._heard_s
        if silent_s > DEAD_AFTER_S and self._pinged_s > self._heard_s:
            self.end(RedisUnavailable(f"no sign of life for {silent_s:.1f} s"))
        elif silent_s > PING_AFTER_S and now_s - self._pinged_s > PING_AFTER_S:
            self._pinged_s = now_s
            self._write("PING")

    def end(self, error: FeedError) -> None:
        """Give the connection up."""
        if not self._lost.done():
            self._lost.set_result(error)
        self._transport.abort()

    def _write(self, *words: str) -> None:
        if not self._lost.done():
            self._transport.write(hiredis.pack_command(words))  # type: ignore[arg-type]


@asynccontextmanager
async def open_link(
    connection: Any,
    receiver: Receiver | ChannelReceiver,
    status_channel: str,
    on_chunk: Callable[[], None],
    *,
    timeout_s: float,
) -> AsyncIterator[Link]:
    """Dial with a connection of redis-py, and take its transport over.

    Raises:
        RedisUnavailable: nobody answers in time; errors of redis-py come as they are.
    """
    link: Link | None = None
    try:
        try:
            # Each step has its time-out; a server that answers each just in time has none left.
            async with asyncio.timeout(2 * timeout_s):
                await connection.connect()
        except TimeoutError:
            raise RedisUnavailable("no answer while connecting") from None
        # redis-py has no public way to its transport; tests/reader/test_link.py guards this.
        transport = connection._writer.transport  # noqa: SLF001
        link = Link(transport, receiver, status_channel.encode(), on_chunk)
        transport.set_protocol(link)
        yield link
    finally:
        # Keeps the connection alive until here: a StreamWriter closes its transport when it is
        # collected (Python 3.13).
        await connection.disconnect(nowait=True)
        if link is not None:
            link.end(RedisUnavailable("closed"))
