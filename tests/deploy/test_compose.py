"""The containers for real: built, started, read from outside, hurt and stopped.

    FEED_DOCKER_TESTS=1 make test PYTEST_FLAGS="-x tests/deploy"

It takes a few minutes, and the ports 6379, 6380, 9464 and 9465 of this machine.
FEED_DOCKER_TESTS=host puts all containers on the host's network (then 9701 and 9702 are taken,
too), for engines that have no network of their own.
"""

import csv
import io
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest
import redis
import yaml

ROOT = Path(__file__).parents[2]
MODE = os.environ.get("FEED_DOCKER_TESTS", "")
PROJECT = "arbees-feed-test"
SERVICES = ("pairs", "demo-pairs", "demo-shard", "demo", "feed", "sim", "demo-redis", "redis")
REDIS_PORT, DEMO_REDIS_PORT, DEMO_HTTP_PORT = 6379, 6380, 9465
DOCKER = shutil.which("docker") or ""
FILES = (
    "Dockerfile", ".dockerignore", "docker-compose.yml", "docker-compose.override.yml",
    "pyproject.toml", "README.md", "LICENSE", "requirements.lock", "requirements-build.lock",
)  # fmt: skip
OPPORTUNITIES = "shard:opportunities"
POST = """
import sys, urllib.request as r
r.urlopen(r.Request(sys.argv[1], sys.argv[2].encode(), {"Content-Type": "application/json"}))
"""


def docker(*arguments: str, check: bool = True) -> str:
    done = subprocess.run([DOCKER, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0 or not check, done.stderr
    return done.stdout.strip()


def obstacle() -> str:
    """Return why these tests cannot run here, or nothing."""
    if not MODE:
        return "builds and runs containers: set FEED_DOCKER_TESTS=1"
    if not DOCKER:
        return "no docker command"
    found = subprocess.run([DOCKER, "info"], capture_output=True, check=False).returncode == 0
    return "" if found else "no Docker engine answers"


pytestmark = [
    pytest.mark.skipif(bool(obstacle()), reason=obstacle() or "never"),
    pytest.mark.timeout(600),
]


def compose_command() -> list[str]:
    v2 = subprocess.run([DOCKER, "compose", "version"], capture_output=True, check=False)
    return [DOCKER, "compose"] if v2.returncode == 0 else [shutil.which("docker-compose") or ""]


def on_the_hosts_network(folder: Path) -> Path:
    """Write an override file for engines without a network of their own."""
    hosts = {"extra_hosts": [f"{name}:127.0.0.1" for name in ("redis", "demo-redis", "sim")]}
    own = {**hosts, "build": {"context": ".", "network": "host"}}
    at_demo_redis = f"redis://demo-redis:{DEMO_REDIS_PORT}/0"
    demo = [
        "ARBEES_HTTP__HOST=127.0.0.1",
        f"ARBEES_HTTP__PORT={DEMO_HTTP_PORT}",
        f"ARBEES_REDIS__URL={at_demo_redis}",
    ]
    probe = ["CMD", "python", "-m", "arbees_feed.ops.probe", f"http://127.0.0.1:{DEMO_HTTP_PORT}"]
    bound = [*words_of("redis"), "--bind", "127.0.0.1"]
    services: dict[str, dict[str, Any]] = {
        "redis": {"command": bound},
        "demo-redis": {
            "command": [*bound, "--port", str(DEMO_REDIS_PORT)],
            "healthcheck": {"test": ["CMD", "redis-cli", "-p", str(DEMO_REDIS_PORT), "ping"]},
        },
        "sim": {**own, "command": words_of("sim")[2:]},  # on loopback, not on all addresses
        "demo": {**own, "environment": demo, "healthcheck": {"test": probe}},
        "demo-pairs": {**own, "environment": [f"ARBEES_REDIS__URL={at_demo_redis}"]},
        "demo-shard": {**own, "command": [*words_of("demo-shard")[:-1], at_demo_redis]},
        "feed": {**own, "environment": ["ARBEES_HTTP__HOST=127.0.0.1"]},
        "pairs": own,
    }
    path = folder / "host.yml"
    on_host = {name: {"network_mode": "host", **more} for name, more in services.items()}
    path.write_text(yaml.safe_dump({"services": on_host}))
    return path


def words_of(service: str) -> list[str]:
    """Return the command of a service as the compose file has it."""
    document = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return list(document["services"][service]["command"])


class Composed:
    """The project's compose files in a folder of their own, so that nothing is left in ours."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in FILES:
            shutil.copy(ROOT / name, folder / name)
        folder.chmod(0o755)  # the container's user is another one
        ignored = shutil.ignore_patterns("__pycache__")
        for name in ("arbees_feed", "examples"):
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        (folder / "secrets").mkdir()
        self._start = [*compose_command(), "-p", PROJECT]
        if MODE == "host":
            self._start += ["-f", "docker-compose.yml", "-f", str(on_the_hosts_network(folder))]
        self._start += ["--profile", "demo", "--profile", "pairs"]
        self.redis = redis.Redis(port=REDIS_PORT)
        self.demo_redis = redis.Redis(port=DEMO_REDIS_PORT)

    def run(self, *arguments: str) -> str:
        done = subprocess.run(
            [*self._start, *arguments], cwd=self.folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
        return done.stdout

    def id(self, service: str) -> str:
        return self.run("ps", "-q", service).strip()

    def inspect(self, service: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(docker("inspect", self.id(service)))[0]
        return found

    def health(self, service: str) -> str:
        return str(self.inspect(service)["State"]["Health"]["Status"])

    def tell_sim(self, action: str, **arguments: object) -> None:
        url = f"http://127.0.0.1:9701/sim/{action}"
        docker("exec", self.id("sim"), "python", "-c", POST, url, json.dumps(arguments))


def eventually(what: Callable[[], object], patience_s: float = 60.0) -> None:
    """Wait until *what* is true: nothing here can be awaited from outside."""
    deadline_s = time.monotonic() + patience_s
    while not what():
        assert time.monotonic() < deadline_s, "did not happen in time"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composed]:
    """The profiles demo and pairs, all of them; the live feed is kept from the live venues."""
    composed = Composed(tmp_path_factory.mktemp("compose"))
    composed.run("down", "--volumes", "--remove-orphans")
    composed.run("build", "feed")
    write_env(composed)
    composed.run("up", "-d")
    try:
        yield composed
    finally:
        for service in SERVICES:
            composed.run("rm", "--stop", "--force", service)
        composed.run("down", "--volumes", "--remove-orphans")
        composed.redis.close()
        composed.demo_redis.close()


def some_market(composed: Composed, venue: str) -> str:
    members = composed.demo_redis.smembers(f"feed:markets:{venue}")
    return min(member.decode() for member in members)


def test_becomes_healthy(composed: Composed) -> None:
    eventually(lambda: composed.health("demo") == "healthy")


@pytest.mark.parametrize("venue", ["kalshi", "polymarket"])
def test_prices_can_be_read_from_outside(composed: Composed, venue: str) -> None:
    eventually(lambda: composed.demo_redis.scard(f"feed:markets:{venue}") == 20)
    market = some_market(composed, venue)
    price = msgpack.unpackb(composed.demo_redis.get(f"market:{market}:last"))
    assert (price["status"], price["platform"]) == ("live", venue)
    with composed.demo_redis.pubsub() as subscriber:
        subscriber.psubscribe("market:*:price")
        eventually(
            lambda: (message := subscriber.get_message(timeout=1)) and message["type"] == "pmessage"
        )
    at = ("-p", str(DEMO_REDIS_PORT)) if MODE == "host" else ()
    shown = docker(
        *("exec", composed.id("demo-redis"), "redis-cli", *at),
        *("HGET", f"market:{market}:quote", "status"),
    )
    assert shown == "live"


def test_the_demo_prices_what_both_of_its_venues_ask(composed: Composed) -> None:
    eventually(lambda: composed.demo_redis.hget("feed:pairs:state", "live") == b"6")
    kept = {pair: composed.demo_redis.hgetall(f"pair:{pair.decode()}") for pair in pairs(composed)}
    confirmed = [pair for pair, its in kept.items() if its[b"grade"] != b"probable"]
    assert len(confirmed) == 6
    assert sum(kept[pair][b"polarity"] == b"inverted" for pair in confirmed) == 1


def pairs(composed: Composed) -> list[bytes]:
    found: list[bytes] = composed.demo_redis.zrange("feed:pairs", 0, -1)
    return found


def test_the_live_feed_and_the_demo_know_nothing_of_each_other(composed: Composed) -> None:
    """Two feeds on one Redis would take each other's prices away."""
    eventually(lambda: composed.redis.exists("feed:venue:polymarket"))
    assert composed.demo_redis.exists("feed:venue:kalshi")
    assert not composed.redis.exists("feed:venue:kalshi")
    sessions = [
        client.hget("feed:venue:polymarket", "session")
        for client in (composed.redis, composed.demo_redis)
    ]
    assert None not in sessions
    assert len(set(sessions)) == 2


def shard_log(composed: Composed) -> list[dict[str, Any]]:
    """Return what the shard has logged; compose puts both outputs together."""
    done = subprocess.run(
        [DOCKER, "logs", composed.id("demo-shard")], capture_output=True, text=True, check=True
    )
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_the_shard_writes_opportunities_to_stream_and_file(composed: Composed) -> None:
    eventually(lambda: composed.demo_redis.xlen(OPPORTUNITIES), patience_s=120)
    (_, entry), *_ = composed.demo_redis.xrange(OPPORTUNITIES, count=1)
    row = {name.decode(): value.decode() for name, value in entry.items()}
    assert float(row["edge"]) >= 0.01
    assert row["leg1_platform"] in {"kalshi", "polymarket"}
    container = composed.id("demo-shard")
    shown = docker("exec", container, "head", "-n", "2", "/home/feed/opportunities.csv")
    (first,) = csv.DictReader(io.StringIO(shown))
    assert first == row
    acted = [line for line in shard_log(composed) if line["event"] == "acted"]
    assert acted[0].items() >= {name: value for name, value in row.items() if value}.items()


@pytest.mark.parametrize("service", ["demo", "demo-shard"])
def test_runs_without_rights_on_a_read_only_file_system(composed: Composed, service: str) -> None:
    found = composed.inspect(service)
    assert found["Config"]["User"] == "10001:10001"
    assert found["HostConfig"]["ReadonlyRootfs"] is True
    assert found["HostConfig"]["CapDrop"] == ["ALL"]
    container = composed.id(service)
    assert docker("exec", container, "id", "-u") == "10001"
    assert docker("exec", container, "sh", "-c", "touch /x || echo no", check=False) == "no"
    assert docker("exec", container, "sh", "-c", "which pip gcc cc make || echo none") == "none"


def test_is_unhealthy_while_data_is_cut_off_and_recovers(composed: Composed) -> None:
    market = some_market(composed, "polymarket")
    mark = len(shard_log(composed))
    for venue in ("kalshi", "polymarket"):
        composed.tell_sim("refuse_handshakes", venue=venue, status=503)
        composed.tell_sim("abort_sockets", venue=venue)
    eventually(lambda: composed.health("demo") == "unhealthy")
    last = msgpack.unpackb(composed.demo_redis.get(f"market:{market}:last"))
    assert (last["status"], last["yes_bid"], last["yes_ask"]) == ("stale", 0.0, 1.0)
    refused = [line for line in shard_log(composed)[mark:] if line["event"] == "refused"]
    assert any(line["reason"] == "not live" for line in refused)
    composed.tell_sim("clear")
    eventually(lambda: composed.health("demo") == "healthy", patience_s=120)


def test_stops_in_order(composed: Composed) -> None:
    for service in ("demo-shard", "demo"):
        container = composed.id(service)
        docker("stop", container)
        state = json.loads(docker("inspect", container))[0]["State"]
        assert (state["ExitCode"], state["OOMKilled"]) == (0, False)
    assert not composed.demo_redis.exists("feed:venue:kalshi", "feed:venue:polymarket")
    for venue in ("kalshi", "polymarket"):
        for member in composed.demo_redis.smembers(f"feed:markets:{venue}"):
            last = msgpack.unpackb(composed.demo_redis.get(f"market:{member.decode()}:last"))
            assert last["status"] == "stale"


def write_env(composed: Composed, *more: str) -> None:
    """Write a .env that points the service `feed` at the simulated venues."""
    lines = [
        "ARBEES_POLYMARKET__WS_URL=ws://sim:9702/ws/market",
        "ARBEES_POLYMARKET__GAMMA_URL=http://sim:9702",
        "ARBEES_POLYMARKET__CLOB_URL=http://sim:9702",
        "ARBEES_KALSHI__WS_URL=ws://sim:9701/trade-api/ws/v2",
        "ARBEES_KALSHI__REST_URL=http://sim:9701/trade-api/v2",
        *more,
    ]
    (composed.folder / ".env").write_text("\n".join(lines) + "\n")


def up_feed(composed: Composed, *more: str) -> None:
    """Start the service `feed` with these settings."""
    write_env(composed, *more)
    composed.run("up", "-d", "feed")


def test_works_without_any_key(composed: Composed) -> None:
    eventually(lambda: composed.health("feed") == "healthy")
    assert composed.redis.exists("feed:venue:polymarket")
    assert not composed.redis.exists("feed:venue:kalshi")


def demo_key(composed: Composed) -> tuple[str, str]:
    document = yaml.safe_load((composed.folder / "docker-compose.yml").read_text())
    given = dict(entry.split("=", 1) for entry in document["services"]["demo"]["environment"])
    pem = docker("exec", composed.id("sim"), "cat", "/home/feed/kalshi.pem")
    return given["ARBEES_KALSHI__API_KEY_ID"], pem


def test_kalshi_is_on_with_a_key_file(composed: Composed) -> None:
    key_id, pem = demo_key(composed)
    path = composed.folder / "secrets" / "kalshi.pem"
    path.write_text(pem + "\n")
    path.chmod(0o600)
    settings = [f"KALSHI_API_KEY_ID={key_id}", "KALSHI_PRIVATE_KEY_PATH=secrets/kalshi.pem"]
    if os.getuid() == 0:
        os.chown(path, 10001, 10001)
    else:
        settings.append(f"FEED_USER={os.getuid()}:{os.getgid()}")
    up_feed(composed, *settings)
    eventually(lambda: composed.redis.hget("feed:venue:kalshi", "state") == b"live")


def test_kalshi_is_on_with_a_key_in_one_line(composed: Composed) -> None:
    key_id, pem = demo_key(composed)
    line = pem.replace("\n", "\\n")
    up_feed(composed, f"KALSHI_API_KEY_ID={key_id}", f"ARBEES_KALSHI__PRIVATE_KEY_PEM={line}")
    session = composed.redis.hget("feed:venue:kalshi", "session")
    eventually(lambda: composed.redis.hget("feed:venue:kalshi", "session") not in (None, session))
    eventually(lambda: composed.redis.hget("feed:venue:kalshi", "state") == b"live")


def test_the_matcher_reads_what_the_feed_writes_and_stops_in_order(composed: Composed) -> None:
    composed.run("up", "-d", "pairs")
    eventually(lambda: composed.redis.hget("feed:pairs:state", "state") == b"live")
    eventually(lambda: int(composed.redis.hget("feed:pairs:state", "markets") or 0) > 0)
    container = composed.id("pairs")
    docker("stop", container)
    state = json.loads(docker("inspect", container))[0]["State"]
    assert (state["ExitCode"], state["OOMKilled"]) == (0, False)
    assert not composed.redis.exists("feed:pairs:state", "feed:pairs:owner")


def test_incidents_outlive_the_container(composed: Composed) -> None:
    """The volume can be written to by the container's user, and by one that FEED_USER names."""
    up_feed(composed, "ARBEES_INCIDENTS__DIR=/home/feed/incidents")
    eventually(lambda: composed.health("feed") == "healthy")
    composed.tell_sim("abort_sockets", venue="polymarket")
    list_files = ("exec", composed.id("feed"), "ls", "/home/feed/incidents")
    eventually(lambda: docker(*list_files))
    kept = docker(*list_files)
    up_feed(composed, "FEED_USER=12345:12345", "ARBEES_INCIDENTS__DIR=/home/feed/incidents")
    container = composed.id("feed")
    assert docker("exec", container, "id", "-u") == "12345"
    assert set(kept.split()) <= set(docker("exec", container, "ls", "/home/feed/incidents").split())
    docker("exec", container, "touch", "/home/feed/incidents/x")
