"""A Redis connection for pipelined writes: bytes out, replies counted in bulk.

redis-py dials (TLS, passwords, ACL users, unix sockets, database), then this protocol takes the
transport over. Reading replies one by one through redis-py costs as much as all our other work on
a price; a hiredis reader fed with whole chunks costs a tenth of that.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

import hiredis
from redis import exceptions as redis_errors
from redis.asyncio import Redis
from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
    parse_url,
)

from arbees_feed.errors import AuthenticationRejected, RedisUnavailable

HIGH_WATER = 1 << 20
"""Bytes in the socket buffer beyond which prices are conflated instead of queued."""

# Replies after which this connection is of no use, whatever else is written to it.
_USELESS = ("READONLY", "LOADING", "NOAUTH", "MASTERDOWN", "NOREPLICAS")


class PipeOwner(Protocol):
    """Who hears of replies."""

    def replies(self, count: int, errors: Sequence[str]) -> None:
        """Take the next *count* replies in order, and the texts of those that are errors."""

    def resumed(self) -> None:
        """The socket takes bytes again."""


class RedisPipe(asyncio.Protocol):
    """One connection: `write` never waits, replies go to the owner as counts."""

    def __init__(self, owner: PipeOwner, transport: asyncio.Transport, server_id: str) -> None:
        self.server_id = server_id
        self.paused = False
        self._owner = owner
        self._transport = transport
        self._reader: Any = hiredis.Reader()
        self._lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def write(self, data: bytes) -> None:
        """Hand bytes to the socket; never waits."""
        self._transport.write(data)

    def abort(self, reason: str) -> None:
        """Give the connection up; `lost` then raises."""
        self._end(reason)
        self._transport.abort()

    async def lost(self) -> None:
        """Wait for the end of the connection.

        Raises:
            RedisUnavailable: when it has ended; the message says why.
        """
        raise RedisUnavailable(f"redis connection lost: {await self._lost}")

    def data_received(self, data: bytes) -> None:
        """Count replies; a broken one ends the connection."""
        reader = self._reader
        reader.feed(data)
        count = 0
        errors: list[str] = []
        try:
            while (reply := reader.gets()) is not False:
                count += 1
                if isinstance(reply, hiredis.ReplyError):
                    errors.append(str(reply))
        except hiredis.ProtocolError as exc:
            self.abort(f"unreadable reply: {exc}")
            return
        self._owner.replies(count, errors)
        if errors and errors[-1].startswith(_USELESS):
            self.abort(errors[-1])

    def pause_writing(self) -> None:
        """The socket buffer is full."""
        self.paused = True

    def resume_writing(self) -> None:
        """The socket buffer has room again."""
        self.paused = False
        self._owner.resumed()

    def connection_lost(self, exc: Exception | None) -> None:
        """The other side, or the network, ended it."""
        self._end(str(exc) if exc else "closed by the server")

    def _end(self, reason: str) -> None:
        if not self._lost.done():
            self._lost.set_result(reason)


@asynccontextmanager
async def open_pipe(
    owner: PipeOwner, url: str, *, timeout_s: float, client_name: str = "arbees-feed"
) -> AsyncIterator[RedisPipe]:
    """Dial, authenticate and take the connection over.

    Raises:
        RedisUnavailable: the server cannot be reached or is not ready.
        AuthenticationRejected: the server refuses our credentials.
    """
    connection = _connection(url, timeout_s, client_name)
    try:
        try:
            await connection.connect()
            server_id = await _server_id(connection)
        except redis_errors.RedisError as exc:
            raise _translated(exc) from exc
        # redis-py has no public way to its transport; tests/transport/test_redis.py guards this.
        transport = connection._writer.transport  # noqa: SLF001
        transport.set_write_buffer_limits(high=HIGH_WATER)
        pipe = RedisPipe(owner, transport, server_id)
        transport.set_protocol(pipe)
        yield pipe
    finally:
        # Also keeps the connection alive until here: a StreamWriter closes its transport when it
        # is collected (Python 3.13).
        await connection.disconnect(nowait=True)


def _connection(url: str, timeout_s: float, client_name: str) -> Any:
    options: dict[str, Any] = dict(parse_url(url))
    kind: type[AbstractConnection] = options.pop("connection_class", Connection)
    if kind not in (Connection, SSLConnection, UnixDomainSocketConnection):
        raise RedisUnavailable(f"unsupported redis connection {kind.__name__}")
    return kind(
        **options,
        socket_connect_timeout=timeout_s,
        socket_timeout=timeout_s,
        client_name=client_name,
    )


async def _server_id(connection: Any) -> str:
    """Return the server's run id: another one means an empty or an older data set."""
    await connection.send_command("INFO", "server")
    info = await connection.read_response()
    text = info.decode() if isinstance(info, bytes) else str(info)
    for line in text.splitlines():
        if line.startswith("run_id:"):
            return line.removeprefix("run_id:").strip()
    return "unknown"


def _translated(exc: redis_errors.RedisError) -> Exception:
    if isinstance(exc, redis_errors.AuthenticationError | redis_errors.NoPermissionError):
        return AuthenticationRejected(f"redis refuses our credentials: {exc}")
    return RedisUnavailable(f"redis: {exc}")


def open_client(url: str, *, timeout_s: float) -> Redis:
    """Return a redis-py client for everything that is not a price."""
    return Redis.from_url(url, socket_connect_timeout=timeout_s, socket_timeout=timeout_s)
