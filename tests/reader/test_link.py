"""The subscribed connection: chunks in, messages out, and its end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import hiredis
import pytest
from redis.asyncio import Redis

from arbees_feed.errors import AuthenticationRejected, RedisUnavailable
from arbees_feed.reader.link import Link, open_link

STATUS = b"feed:status"


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[list[bytes]] = []
        self.aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        reader = hiredis.Reader()
        reader.feed(bytes(data))
        self.written.append(reader.gets())

    def abort(self) -> None:
        self.aborted = True


class Receiver:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.prices: list[bytes] = []
        self.beats: list[bytes] = []
        self.chunks = 0

    def published(self, data: bytes, _now_s: float) -> None:
        self.prices.append(data)

    def beat(self, data: bytes, _now_s: float) -> None:
        self.beats.append(data)

    def chunk(self) -> None:
        self.chunks += 1


def push(*words: bytes | int) -> bytes:
    parts = (
        b":%d\r\n" % word if isinstance(word, int) else b"$%d\r\n%b\r\n" % (len(word), word)
        for word in words
    )
    return b"*%d\r\n" % len(words) + b"".join(parts)


@pytest.fixture
async def receiver() -> Receiver:
    return Receiver()


@pytest.fixture
async def transport() -> Transport:
    return Transport()


@pytest.fixture
async def link(receiver: Receiver, transport: Transport) -> Link:
    return Link(transport, receiver, STATUS, receiver.chunk)


async def test_messages_of_all_kinds_in_chunks_of_any_size(link: Link, receiver: Receiver) -> None:
    stream = (
        push(b"message", b"market:A:price", b"one")
        + push(b"pmessage", b"market:*:price", b"market:A:price", b"two")
        + push(b"smessage", b"market:A:price", b"three")
        + push(b"message", STATUS, b"beat")
        + push(b"pong", b"")
        + push(b"unsubscribe", b"market:A:price", 0)
        + b"+PONG\r\n"
    )
    for size in (1, 7, len(stream)):
        receiver.prices.clear()
        for start in range(0, len(stream), size):
            link.data_received(stream[start : start + size])
        assert receiver.prices == [b"one", b"two", b"three"]
    assert receiver.beats == [b"beat"] * 3
    link.check()


async def test_a_subscription_waits_for_each_confirmation(link: Link, transport: Transport) -> None:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(link.change("SUBSCRIBE", ["a", "b"], 5.0))
        await asyncio.sleep(0)
        link.data_received(push(b"subscribe", b"a", 1))
        await asyncio.sleep(0)
        assert not task.done()
        link.data_received(push(b"subscribe", b"b", 2))
    assert transport.written == [[b"SUBSCRIBE", b"a", b"b"]]


async def test_a_subscription_may_take_long_as_long_as_it_goes_on(link: Link) -> None:
    names = [str(number) for number in range(8)]
    async with asyncio.TaskGroup() as group:
        task = group.create_task(link.change("SUBSCRIBE", names, 0.2))
        for name in names:
            await asyncio.sleep(0.1)
            link.data_received(push(b"subscribe", name.encode(), 1))
    assert task.result() is None
    with pytest.raises(RedisUnavailable, match="no answer"):
        await link.change("SUBSCRIBE", names, 0.01)


async def test_sharded_channels_are_subscribed_to_one_by_one(
    link: Link, transport: Transport
) -> None:
    with pytest.raises(RedisUnavailable, match="no answer to a subscription"):
        await link.change("SSUBSCRIBE", ["a", "b"], 0.01)
    assert transport.written == [[b"SSUBSCRIBE", b"a"], [b"SSUBSCRIBE", b"b"]]


@pytest.mark.parametrize(
    ("data", "error", "said"),
    [
        (b"-NOPERM no right to a channel\r\n", AuthenticationRejected, "NOPERM"),
        (b"-ERR unknown\r\n", RedisUnavailable, "unknown"),
        (b"@nonsense\r\n", RedisUnavailable, "unreadable"),
        (push(b"sunsubscribe", b"a", 0), RedisUnavailable, "moved"),
    ],
)
async def test_what_ends_a_connection(
    link: Link, transport: Transport, data: bytes, error: type[Exception], said: str
) -> None:
    link.data_received(data)
    assert transport.aborted
    with pytest.raises(error, match=said):
        link.check()


async def test_a_silent_server_is_asked_and_then_given_up(link: Link, transport: Transport) -> None:
    start_s = link._heard_s
    link.tick(start_s + 0.9)
    assert transport.written == []
    for tenth in range(11, 40):
        link.tick(start_s + tenth / 10)
    assert transport.written == [[b"PING"]] * 2
    with pytest.raises(RedisUnavailable, match="no sign of life"):
        link.check()


@asynccontextmanager
async def opened(url: str, receiver: Receiver) -> AsyncIterator[Link]:
    async with Redis.from_url(url, protocol=2) as client:
        connection = client.connection_pool.make_connection()
        async with open_link(
            connection, receiver, STATUS.decode(), receiver.chunk, timeout_s=2.0
        ) as link:
            yield link


async def test_redis_py_still_has_the_transport_that_we_take_over(
    redis_url: str, receiver: Receiver
) -> None:
    async with opened(redis_url, receiver) as link, Redis.from_url(redis_url) as client:
        await link.change("SUBSCRIBE", ["a"], 2.0)
        await link.change("PSUBSCRIBE", ["b*"], 2.0)
        for channel in ("a", "b1"):
            assert await client.publish(channel, channel) == 1
        async with asyncio.timeout(2.0):
            while len(receiver.prices) < 2:  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.005)
        assert receiver.prices == [b"a", b"b1"]


async def test_a_connection_that_the_server_closes(redis_url: str, receiver: Receiver) -> None:
    async with opened(redis_url, receiver) as link, Redis.from_url(redis_url) as client:
        await link.change("SUBSCRIBE", ["a"], 2.0)
        await client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        async with asyncio.timeout(2.0):
            await link.ended
        with pytest.raises(RedisUnavailable, match="closed by the server"):
            link.check()
