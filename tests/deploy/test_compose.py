"""The containers for real: built, started, read from outside, hurt and stopped.

    FEED_DOCKER_TESTS=1 make test PYTEST_FLAGS="-x tests/deploy"

It takes a minute or two, and the ports 6379 and 9464 of this machine. FEED_DOCKER_TESTS=host puts
all containers on the host's network (then 9701 and 9702 are taken, too), for engines that have no
network of their own.
"""

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
DOCKER = shutil.which("docker") or ""
FILES = (
    "Dockerfile", ".dockerignore", "docker-compose.yml", "docker-compose.override.yml",
    "pyproject.toml", "README.md", "LICENSE", "requirements.lock", "requirements-build.lock",
)  # fmt: skip
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
    pytest.mark.xdist_group("docker"),
]


def compose_command() -> list[str]:
    v2 = subprocess.run([DOCKER, "compose", "version"], capture_output=True, check=False)
    return [DOCKER, "compose"] if v2.returncode == 0 else [shutil.which("docker-compose") or ""]


def on_the_hosts_network(folder: Path) -> Path:
    """Write an override file for engines without a network of their own."""
    service: dict[str, Any] = {"network_mode": "host"}
    own = {
        **service,
        "build": {"context": ".", "network": "host"},
        "extra_hosts": ["redis:127.0.0.1", "sim:127.0.0.1"],
        "environment": ["ARBEES_HTTP__HOST=127.0.0.1"],
    }
    sim = {**own, "environment": [], "command": ["sim", "--key-file", "/home/feed/kalshi.pem"]}
    command = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["redis"][
        "command"
    ]
    services = {
        "redis": {**service, "command": [*command, "--bind", "127.0.0.1"]},
        "sim": sim,
        "demo": own,
        "feed": own,
    }
    path = folder / "host.yml"
    path.write_text(yaml.safe_dump({"services": services}))
    return path


class Composed:
    """The project's compose files in a folder of their own, so that nothing is left in ours."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in FILES:
            shutil.copy(ROOT / name, folder / name)
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "arbees_feed", folder / "arbees_feed", ignore=ignored)
        (folder / "secrets").mkdir()
        self._start = [*compose_command(), "-p", PROJECT]
        if MODE == "host":
            self._start += ["-f", "docker-compose.yml", "-f", str(on_the_hosts_network(folder))]
        self.redis = redis.Redis()

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
    composed = Composed(tmp_path_factory.mktemp("compose"))
    composed.run("down", "--volumes", "--remove-orphans")
    composed.run("build", "feed")
    composed.run("up", "-d", "demo")
    try:
        yield composed
    finally:
        for service in ("feed", "demo", "sim", "redis"):
            composed.run("rm", "--stop", "--force", service)
        composed.run("down", "--volumes", "--remove-orphans")
        composed.redis.close()


def some_market(composed: Composed, venue: str) -> str:
    members = composed.redis.smembers(f"feed:markets:{venue}")
    return min(member.decode() for member in members)


def test_becomes_healthy(composed: Composed) -> None:
    eventually(lambda: composed.health("demo") == "healthy")


@pytest.mark.parametrize("venue", ["kalshi", "polymarket"])
def test_prices_can_be_read_from_outside(composed: Composed, venue: str) -> None:
    eventually(lambda: composed.redis.scard(f"feed:markets:{venue}") == 20)
    market = some_market(composed, venue)
    price = msgpack.unpackb(composed.redis.get(f"market:{market}:last"))
    assert (price["status"], price["platform"]) == ("live", venue)
    with composed.redis.pubsub() as subscriber:
        subscriber.psubscribe("market:*:price")
        eventually(
            lambda: (message := subscriber.get_message(timeout=1)) and message["type"] == "pmessage"
        )
    shown = docker(
        "exec", composed.id("redis"), "redis-cli", "HGET", f"market:{market}:quote", "status"
    )
    assert shown == "live"


def test_runs_without_rights_on_a_read_only_file_system(composed: Composed) -> None:
    found = composed.inspect("demo")
    assert found["Config"]["User"] == "10001:10001"
    assert found["HostConfig"]["ReadonlyRootfs"] is True
    assert found["HostConfig"]["CapDrop"] == ["ALL"]
    container = composed.id("demo")
    assert docker("exec", container, "id", "-u") == "10001"
    assert docker("exec", container, "sh", "-c", "touch /x || echo no", check=False) == "no"
    assert docker("exec", container, "sh", "-c", "which pip gcc cc make || echo none") == "none"


def test_is_unhealthy_while_data_is_cut_off_and_recovers(composed: Composed) -> None:
    market = some_market(composed, "polymarket")
    for venue in ("kalshi", "polymarket"):
        composed.tell_sim("refuse_handshakes", venue=venue, status=503)
        composed.tell_sim("abort_sockets", venue=venue)
    eventually(lambda: composed.health("demo") == "unhealthy")
    last = msgpack.unpackb(composed.redis.get(f"market:{market}:last"))
    assert (last["status"], last["yes_bid"], last["yes_ask"]) == ("stale", 0.0, 1.0)
    composed.tell_sim("clear")
    eventually(lambda: composed.health("demo") == "healthy", patience_s=120)


def test_stops_in_order(composed: Composed) -> None:
    container = composed.id("demo")
    docker("stop", container)
    state = json.loads(docker("inspect", container))[0]["State"]
    assert (state["ExitCode"], state["OOMKilled"]) == (0, False)
    assert not composed.redis.exists("feed:venue:kalshi", "feed:venue:polymarket")
    for venue in ("kalshi", "polymarket"):
        for member in composed.redis.smembers(f"feed:markets:{venue}"):
            last = msgpack.unpackb(composed.redis.get(f"market:{member.decode()}:last"))
            assert last["status"] == "stale"


def up_feed(composed: Composed, *more: str) -> None:
    """Start the service `feed` with a .env that points it at the simulated venues."""
    lines = [
        "ARBEES_POLYMARKET__WS_URL=ws://sim:9702/ws/market",
        "ARBEES_POLYMARKET__GAMMA_URL=http://sim:9702",
        "ARBEES_POLYMARKET__CLOB_URL=http://sim:9702",
        "ARBEES_KALSHI__WS_URL=ws://sim:9701/trade-api/ws/v2",
        "ARBEES_KALSHI__REST_URL=http://sim:9701/trade-api/v2",
        *more,
    ]
    (composed.folder / ".env").write_text("\n".join(lines) + "\n")
    composed.run("up", "-d", "feed")


def test_works_without_any_key(composed: Composed) -> None:
    up_feed(composed)
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
