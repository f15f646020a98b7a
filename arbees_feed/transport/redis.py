"""A Redis connection for pipelined writes: bytes out, replies counted in bulk.

redis-py dials (TLS, passwords, ACL users, unix sockets, database), then this protocol takes the
transport over. Reading replies one by one through redis-py costs as much as all our other work on
a price; a hiredis reader fed with whole chunks costs a tenth of that.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
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

from arbees_feed.core.redisaddress import Address, options_checked
from arbees_feed.errors import AuthenticationRejected, RedisUnavailable

HIGH_WATER = 1 << 20
"""Bytes in the socket buffer beyond which prices are conflated instead of queued."""

# Replies after which this connection is of no use, whatever else is written to it.
_USELESS = ("READONLY", "LOADING", "NOAUTH", "MASTERDOWN")


Refusal = tuple[int, str]
"""(which of these replies, counted from 0; its text) of an error reply."""


class PipeOwner(Protocol):
    """Who hears of replies."""

    def replies(self, count: int, errors: Sequence[Refusal]) -> None:
        """Take the next *count* replies in order, and which of them are errors."""

    def resumed(self) -> None:
        """The socket takes bytes again."""


class RedisPipe(asyncio.Protocol):
    """One connection: `write` never waits, replies go to the owner as counts.

    `server_id` stays the same as long as the server has what was written to it: it is made of its
    run id (another one after a restart) and its replication id (another one once it was a replica,
    whose data may be its former master's). Empty: the server does not tell us.
    """

    def __init__(self, owner: PipeOwner, transport: asyncio.Transport, server_id: str) -> None:
        self.server_id = server_id
        self.paused = False
        self._owner = owner
        self._transport = transport
        self._reader: Any = hiredis.Reader()
        self._lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def write(self, data: bytes) -> None:
        """Hand bytes to the socket; never waits. A connection that has ended takes no more."""
        if not self._lost.done():
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
        if self._lost.done():
            return  # what was written here is to be written again elsewhere: nobody waits for it
        reader = self._reader
        reader.feed(data)
        count = 0
        errors: list[Refusal] = []
        try:
            while (reply := reader.gets()) is not False:
                kind = type(reply)
                if kind is not int and kind is not bytes:
                    errors += _errors_in(reply, count)
                count += 1
        except hiredis.ProtocolError as exc:
            self.abort(f"unreadable reply: {exc}")
            return
        self._owner.replies(count, errors)
        useless = [text for _, text in errors if text.startswith(_USELESS)]
        if useless:
            self.abort(useless[-1])

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


def _errors_in(reply: object, number: int) -> Sequence[Refusal]:
    """Return a reply's error, or those inside the answer to EXEC."""
    if isinstance(reply, hiredis.ReplyError):
        return [(number, str(reply))]
    if isinstance(reply, list):
        return [(number, str(inner)) for inner in reply if isinstance(inner, hiredis.ReplyError)]
    return ()


@asynccontextmanager
async def open_pipe(
    owner: PipeOwner, url: str, *, timeout_s: float, client_name: str = "arbees-feed"
) -> AsyncIterator[RedisPipe]:
    """Dial, authenticate and take the connection over.

    Raises:
        RedisUnavailable: the server cannot be reached, is loading its data, or is a replica.
        AuthenticationRejected: the server refuses our credentials.
        SettingsError: redis-py does not know an option of the URL.
    """
    address = Address(url)
    connection: Any = None
    transport: asyncio.Transport | None = None
    try:
        try:
            # Each step has its time-out; a server that answers each just in time has none left.
            async with asyncio.timeout((2 + _to_ask(address)) * timeout_s):
                options = await _options(address, timeout_s)
                connection = _connection(options, timeout_s, client_name)
                await connection.connect()
                info = await _info(connection)
        except TimeoutError as exc:
            raise RedisUnavailable("redis: no answer while connecting") from exc
        except redis_errors.RedisError as exc:
            raise _translated(exc) from exc
        _refuse_useless(info)
        # redis-py has no public way to its transport; tests/transport/test_redis.py guards this.
        transport = connection._writer.transport  # noqa: SLF001
        transport.set_write_buffer_limits(high=HIGH_WATER)
        pipe = RedisPipe(owner, transport, _server_id(info))
        transport.set_protocol(pipe)
        yield pipe
    finally:
        # Also keeps the connection alive until here: a StreamWriter closes its transport when it
        # is collected (Python 3.13).
        if connection is not None:
            await connection.disconnect(nowait=True)
        if transport is not None:
            # Closing alone would keep the socket until the peer has taken what is buffered.
            transport.abort()


def _to_ask(address: Address) -> int:
    """Return how many Sentinels may have to be asked in turn before one answers."""
    return len(address.hosts) if address.kind == "sentinel" else 0


async def _options(address: Address, timeout_s: float) -> dict[str, Any]:
    """Return what redis-py makes of a URL, with the master's address if Sentinels know it."""
    with options_checked():
        options: dict[str, Any] = dict(parse_url(address.url))
    if address.kind == "sentinel":
        # Here, for few have Sentinels, and everybody waits for imports at the start.
        from arbees_feed.transport.sentinel import master_of  # noqa: PLC0415

        options["host"], options["port"] = await master_of(address, timeout_s=timeout_s)
    return options


def _connection(options: dict[str, Any], timeout_s: float, client_name: str) -> Any:
    kind: type[AbstractConnection] = options.pop("connection_class", Connection)
    if kind not in (Connection, SSLConnection, UnixDomainSocketConnection):
        raise RedisUnavailable(f"unsupported redis connection {kind.__name__}")
    options.pop("max_connections", None)  # there is one
    ours = {
        "socket_connect_timeout": timeout_s,
        "socket_timeout": timeout_s,
        "client_name": client_name,
        # RESP2: the server sends replies only, so that counting them tells what they answer.
        "protocol": 2,
    }
    with options_checked():
        return kind(**options | ours)


async def _info(connection: Any) -> Mapping[str, str]:
    """Return what the server says of itself; nothing if this user may not ask."""
    await connection.send_command("INFO")
    try:
        info = await connection.read_response()
    except redis_errors.NoPermissionError:
        return {}
    text = info.decode(errors="replace") if isinstance(info, bytes) else str(info)
    pairs = (line.partition(":") for line in text.splitlines())
    return {name: value.strip() for name, _, value in pairs if value}


def _refuse_useless(info: Mapping[str, str]) -> None:
    """Raise RedisUnavailable if the server is known to refuse all we write."""
    if info.get("loading", "0") != "0":
        raise RedisUnavailable("LOADING: the server is loading its data")
    if info.get("role") == "slave" and info.get("slave_read_only", "1") != "0":
        raise RedisUnavailable("READONLY: the server is a replica")


def _server_id(info: Mapping[str, str]) -> str:
    run_id = info.get("run_id", "")
    return f"{run_id} {info.get('master_replid', '')}" if run_id else ""


def _translated(exc: redis_errors.RedisError) -> Exception:
    if isinstance(exc, redis_errors.AuthenticationError | redis_errors.NoPermissionError):
        return AuthenticationRejected(f"redis refuses our credentials: {exc}")
    return RedisUnavailable(f"redis: {exc}")


@asynccontextmanager
async def open_client(url: str, *, timeout_s: float) -> AsyncIterator[Redis]:
    """Yield a redis-py client for everything that is not a price.

    Raises:
        SettingsError: redis-py does not know an option of the URL.
    """
    address = Address(url)
    if address.kind == "sentinel":
        from arbees_feed.transport.sentinel import master_client  # noqa: PLC0415 - as above

        async with master_client(address, timeout_s=timeout_s) as client:
            yield client
        return
    with options_checked():
        client = Redis.from_url(
            address.url, socket_connect_timeout=timeout_s, socket_timeout=timeout_s
        )
        client.connection_pool.make_connection()  # type: ignore[no-untyped-call]
    try:
        yield client
    finally:
        await client.aclose()
