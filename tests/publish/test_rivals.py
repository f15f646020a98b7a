"""Two daemons on one venue and one Redis hear of each other."""

import asyncio
from typing import Any

import msgpack
import pytest
from redis.asyncio import Redis
from support.feed import url_of, valkey
from support.outlets import FakeClock

from arbees_feed.core.wire import Names
from arbees_feed.errors import RedisUnavailable
from arbees_feed.publish.rivals import GONE_S, Rivals

SESSION, OTHER = 7, 8


def beat(session: int, venue: str = "kalshi", state: str = "live") -> bytes:
    told = {"venue": venue, "state": state, "reason": "", "session": session, "ts_ns": 1}
    packed: bytes = msgpack.packb(told)
    return packed


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def rivals(clock: FakeClock) -> Rivals:
    return Rivals(None, Names(), ["kalshi"], SESSION, monotonic=clock)  # type: ignore[arg-type]


def test_a_heartbeat_of_another_session_is_another_daemon_while_it_goes_on(
    rivals: Rivals, clock: FakeClock
) -> None:
    rivals.hear(beat(OTHER))
    assert rivals.reason("kalshi") == "another_daemon: session 8 feeds this venue too"
    clock.now_s += GONE_S - 0.1
    rivals.hear(beat(OTHER, state="connecting"))
    clock.now_s += GONE_S - 0.1
    assert rivals.of("kalshi") == OTHER
    clock.now_s += 0.1
    assert (rivals.of("kalshi"), rivals.reason("kalshi"), rivals.seen) == (0, "", 1)


def test_one_that_takes_its_leave_is_gone_at_once(rivals: Rivals) -> None:
    rivals.hear(beat(OTHER))
    rivals.hear(beat(OTHER, state="stopped"))
    assert rivals.of("kalshi") == 0


@pytest.mark.parametrize(
    "data",
    [beat(SESSION), beat(OTHER, venue="polymarket"), b"", b"\xc1", b"\x90" * 5_000, b"\x80"],
)
def test_our_own_other_venues_and_noise_are_none(rivals: Rivals, data: bytes) -> None:
    rivals.hear(data)
    assert (rivals.of("kalshi"), rivals.seen) == (0, 0)


async def test_it_listens_on_a_real_server_and_its_end_is_an_error_of_ours() -> None:
    with valkey() as server:
        client: Any = Redis.from_url(url_of(server), socket_timeout=2.0)
        rivals = Rivals(client, Names("p:"), ["kalshi"], SESSION)
        listening = asyncio.create_task(rivals.run())
        async with asyncio.timeout(30):
            while not await client.publish("p:feed:status", beat(OTHER)):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            while not rivals.of("kalshi"):  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.01)
        server.stop()
        with pytest.raises(RedisUnavailable):
            async with asyncio.timeout(30):
                await listening
        await client.aclose()


async def test_a_user_that_may_not_listen_is_told_once() -> None:
    with valkey() as server:
        admin: Any = Redis.from_url(url_of(server))
        await admin.execute_command(
            "ACL", "SETUSER", "f", "on", ">p", "~*", "+@all", "resetchannels"
        )
        await admin.aclose()
        client: Any = Redis.from_url(url_of(server).replace("redis://", "redis://f:p@"))
        async with asyncio.timeout(30):
            await Rivals(client, Names(), ["kalshi"], SESSION).run()
        await client.aclose()
