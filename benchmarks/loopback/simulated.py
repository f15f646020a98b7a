"""The simulated venues as a process, and a daemon that follows them."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

from loopback.processes import KEPT, Bench, Process, until

_LAST_LINE = "ARBEES_POLYMARKET__CLOB_URL"


class Simulated:
    """Both venues of `arbees-feed sim`; *env* is what it prints, by name."""

    def __init__(self, process: "subprocess.Popen[bytes]", env: Mapping[str, str]) -> None:
        self.process = process
        self.env = env
        self._control = env["ARBEES_POLYMARKET__CLOB_URL"] + "/sim/"

    def tell(self, action: str, **arguments: object) -> object:
        """Carry out an action of the simulation and return its result.

        Raises:
            OSError: the simulation is gone, or has refused.
        """
        request = urllib.request.Request(  # noqa: S310 - an address of our own process
            self._control + action, json.dumps(arguments).encode(), {"Content-Type": "text/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            told: object = json.load(answer)["result"]
            return told


@contextlib.contextmanager
def simulated(markets: int, rate: float, seed: int = 1) -> Iterator[Simulated]:
    """Run the simulated venues while the block runs: *rate* changes a second, over all markets."""
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, "-m", "arbees_feed", "sim", "--kalshi-port=0", "--polymarket-port=0",
             f"--markets={markets}", f"--rate={rate}", f"--seed={seed}",
             f"--key-file={Path(folder) / 'key.pem'}"],
            stdout=subprocess.PIPE, env=KEPT,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            env: dict[str, str] = {}
            while _LAST_LINE not in env:
                line = process.stdout.readline().decode()
                if not line:
                    raise ChildProcessError("the simulated venues did not start")
                name, _, value = line.strip().partition("=")
                env[name] = value
            yield Simulated(process, env)
        finally:
            process.terminate()
            process.wait()


def feed(run: Bench, env: Mapping[str, str], settings: Mapping[str, object]) -> Process:
    """Start a daemon on the venues of *env*; *settings* by their dotted names."""
    folder = Path(run.enter(tempfile.TemporaryDirectory()))
    named = {
        name.removeprefix("ARBEES_").replace("__", ".").lower(): value
        for name, value in env.items()
    }
    given = {
        **named,
        "redis.url": run.redis_url,
        "http.enabled": False,
        "log.format": "json",
        **settings,
    }
    config = folder / "feed.toml"
    config.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in given.items()))
    config.chmod(0o600)
    return run.start("feed", ["-m", "arbees_feed", "run", "--config", str(config)])


def stop(process: Process) -> None:
    """Have a daemon end, and wait until it has."""
    os.kill(process.pid, signal.SIGTERM)
    state = Path(f"/proc/{process.pid}/stat")
    until(lambda: state.read_text().rpartition(")")[2].split()[0] == "Z", 15.0)


def remembering(pipe: Pipe, config: Mapping[str, Any]) -> None:
    """Run both venues, and tell over the pipe which tops of book there were, and when.

    *config* has fields of `SimConfig`. The first message has the settings for a daemon and the
    markets; after it, anything is answered with {market: [(Unix ns, bid, size, ask, size)]}.
    """
    asyncio.run(_remember(pipe, config))


async def _remember(pipe: Pipe, config: Mapping[str, Any]) -> None:
    from arbees_feed.sim import SimConfig, SimServer  # noqa: PLC0415 - other processes need none

    async with SimServer(SimConfig(**config)) as sim:
        settings = {
            "kalshi.ws_url": sim.kalshi_ws_url,
            "kalshi.rest_url": sim.kalshi_rest_url,
            "kalshi.api_key_id": sim.credentials.api_key_id,
            "kalshi.private_key_pem": sim.credentials.private_key_pem,
            "polymarket.ws_url": sim.polymarket_ws_url,
            "polymarket.gamma_url": sim.gamma_url,
            "polymarket.clob_url": sim.clob_url,
        }
        markets = {"kalshi": sim.kalshi_tickers, "polymarket": sim.polymarket_tokens}
        pipe.send({"settings": settings, "markets": markets})
        while True:
            try:
                await asyncio.to_thread(pipe.recv)
            except EOFError:
                return
            known = {m.id: m.history.tops for m in sim.world.all_markets() if m.history}
            pipe.send({market: [tuple(top) for top in tops] for market, tops in known.items()})
