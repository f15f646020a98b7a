"""`watch`, `top` and `markets` through a Cluster and through Sentinels, with real servers."""

import asyncio
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.asyncio import Redis
from support.prices import price
from support.processes import Run, process, wait_for
from support.redis_kinds import cluster
from support.sentinels import failover

from arbees_feed.core.wire import encode_map

pytestmark = pytest.mark.timeout(90)

MARKETS = [f"KX-{number}" for number in range(12)]
"""Enough to have slots on each of three nodes."""


def write(client: Any, seq: int) -> None:
    """Write what a feed has written once it runs."""
    client.hset("feed:venue:kalshi", mapping={"session": 1, "state": "live", "markets": 12})
    client.pexpire("feed:venue:kalshi", 10_000)
    beat = {"venue": "kalshi", "state": "live", "session": 1, "reason": "", "ts_ns": 1}
    client.publish("feed:status", encode_map(beat))
    for market in MARKETS:
        data = price(market, seq).to_msgpack()
        client.sadd("feed:markets:kalshi", market)
        client.hset(f"market:{market}:meta", mapping={"title": f"Will Denver win {market}?"})
        client.set(f"market:{market}:last", data)
        client.publish(f"market:{market}:price", data)


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[int]]:
    with cluster(tmp_path_factory.mktemp("cluster") / "nodes") as running:
        yield running


@pytest.fixture
def here(ports: list[int]) -> list[str]:
    with redis.RedisCluster(host="127.0.0.1", port=ports[0]) as client:
        write(client, 1)
    return ["--set", f"redis.url=redis+cluster://127.0.0.1:{ports[1]},127.0.0.1:{ports[2]}"]


def test_markets_are_listed_and_searched_in_a_cluster(cli: Run, here: list[str]) -> None:
    done = cli("markets", "DENVER", "--json", *here)
    assert (done.returncode, done.stderr) == (0, "")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [market["market_id"] for market in found] == sorted(MARKETS)
    assert {market["status"] for market in found} == {"live"}
    assert found[0]["meta"]["title"] == "Will Denver win KX-0?"


def test_top_reads_prices_counters_and_titles_of_a_cluster(cli: Run, here: list[str]) -> None:
    done = cli("top", "--json", "--once", "kx-1", *here)
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert (told["connected"], told["markets"], told["venues"][0]["markets"]) == (True, 12, 12)
    assert {market["market_id"] for market in told["list"]} == {"KX-1", "KX-10", "KX-11"}
    assert told["list"][0]["title"].startswith("Will Denver win KX-1")


def test_watch_follows_a_cluster(ports: list[int], here: list[str]) -> None:
    watch = process("watch", "--json", *here, stderr=subprocess.PIPE)
    with watch as running, redis.RedisCluster(host="127.0.0.1", port=ports[0]) as client:
        assert running.stdout is not None
        joined = [json.loads(running.stdout.readline()) for _ in MARKETS]
        assert {line["market_id"] for line in joined} == set(MARKETS)
        write(client, 2)
        came = [json.loads(running.stdout.readline()) for _ in MARKETS]
        assert {(line["market_id"], line["seq"]) for line in came} == {(m, 2) for m in MARKETS}
        running.terminate()
        _, said = running.communicate(timeout=40)
        assert (running.returncode, said) == (0, "")


async def test_watch_goes_on_with_the_master_that_sentinels_name(tmp_path: Path) -> None:
    async with failover(tmp_path) as servers:
        with redis.Redis(port=servers.master) as master:
            write(master, 1)
        options = ("watch", "--json", "--set", f"redis.url={servers.url}")
        with process(*options, stderr=subprocess.PIPE) as running:
            assert running.stdout is not None
            lines = [json.loads(await asyncio.to_thread(running.stdout.readline)) for _ in MARKETS]
            assert {line["seq"] for line in lines} == {1}
            async with Redis(port=servers.replica) as replica:
                async with asyncio.timeout(30):
                    while not await replica.exists(f"market:{MARKETS[-1]}:last"):
                        pass
            servers.process.kill()
            await servers.promoted()
            with redis.Redis(port=servers.replica) as promoted:
                await asyncio.to_thread(wait_for, promoted.pubsub_numpat, 30.0)
                write(promoted, 2)
            seen: set[str] = set()
            while seen != set(MARKETS):
                line = json.loads(await asyncio.to_thread(running.stdout.readline))
                if (line["seq"], line["status"]) == (2, "live"):
                    seen.add(line["market_id"])
            running.terminate()
            _, said = await asyncio.to_thread(running.communicate, timeout=40)
            assert "trying again" in said
