"""Processes that are measured, and what /proc says of them."""

import contextlib
import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from redis import Redis

from loopback import reader, venue
from loopback.tapes import MARK

_SPAWN = multiprocessing.get_context("spawn")
# Without PYTHONDONTWRITEBYTECODE, as what is installed has its bytecode beside it.
_LEFT_OUT = ("ARBEES_", "KALSHI_", "PYTHONDONTWRITEBYTECODE")
KEPT = {k: v for k, v in os.environ.items() if not k.startswith(_LEFT_OUT)}
BENCHMARKS = Path(__file__).parents[1]


class Process:
    """A process by its id."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def cpu_s(self) -> float:
        """Return user and system time of all its threads, exact to the ns where Linux tells it."""
        with contextlib.suppress(OSError):
            tasks = Path(f"/proc/{self.pid}/task").iterdir()
            told = [int((task / "schedstat").read_text().split()[0]) for task in tasks]
            return sum(told) / 1e9
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def has_ended(self) -> bool:
        """Return whether it runs no more."""
        try:
            state = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        return state in "ZX"

    def rss_mb(self) -> float:
        """Return resident memory in MB."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


class Remote:
    """Another process that carries out calls, one at a time."""

    def __init__(self, work: Any, *arguments: Any) -> None:
        self._pipe: Pipe
        self._pipe, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=work, args=(theirs, *arguments), daemon=True)
        self._process.start()
        theirs.close()
        self.told: Any = self._pipe.recv()

    def begin(self, name: str, *given: Any) -> None:
        """Have *name* called; `result` waits for its end."""
        self._pipe.send((name, given))

    def result(self) -> Any:
        """Return what the call returned."""
        return self._pipe.recv()

    def call(self, name: str, *given: Any) -> Any:
        """Have *name* called and return what it returned."""
        self.begin(name, *given)
        return self.result()

    def stop(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.terminate()
        self._process.join()


class Bench:
    """A server, and everything that was started; all ends with the block."""

    def __init__(self, redis_url: str, stack: contextlib.ExitStack, tree: str) -> None:
        self.redis_url = redis_url
        self.redis: Any = Redis.from_url(redis_url)
        self._stack = stack
        self._env = {**KEPT, "PYTHONPATH": str(Path(tree).absolute())} if tree else KEPT
        self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))

    def venue(self, tape: str, *arguments: Any) -> Remote:
        """Start a venue that plays a tape."""
        return self.remote(venue.serve, tape, arguments)

    def reader(self, *patterns: str) -> Remote:
        """Start a subscriber."""
        return self.remote(reader.serve, self.redis_url, patterns)

    def remote(self, work: Any, *arguments: Any) -> Remote:
        """Start another process of ours."""
        started = Remote(work, *arguments)
        self._stack.callback(started.stop)
        return started

    def enter(self, block: contextlib.AbstractContextManager[Any]) -> Any:
        """Enter a block that ends with this one."""
        return self._stack.enter_context(block)

    def marks(self, market: str = MARK) -> "Marks":
        """Return a look-out for the end of plays."""
        return Marks(self.redis, market)

    def calls(self, command: str) -> int:
        """Return how often the server has carried out a command."""
        told = self.redis.info("commandstats").get(f"cmdstat_{command}", {"calls": 0})
        return int(told["calls"])

    def feed(self, played: Remote, settings: Mapping[str, str], name: str = "feed") -> Process:
        """Start the daemon on a venue of ours."""
        port = played.told["port"]
        given = {
            "redis.url": f'"{self.redis_url}"',
            "http.enabled": "false",
            "polymarket.enabled": "false",
            "log.format": '"json"',
            "kalshi.api_key_id": '"bench"',
            "kalshi.private_key_pem": f'"""{_new_key()}"""',
            "kalshi.ws_url": f'"ws://127.0.0.1:{port}/trade-api/ws/v2"',
            "kalshi.rest_url": f'"http://127.0.0.1:{port}/trade-api/v2"',
            **settings,
        }
        config = self._folder / f"{name}.toml"
        config.write_text("".join(f"{key} = {value}\n" for key, value in given.items()))
        config.chmod(0o600)
        return self.start(name, ["-m", "arbees_feed", "run", "--config", str(config)])

    def rival(self, name: str, played: Remote) -> Process:
        """Start a client that does the same in another way."""
        url = f"ws://127.0.0.1:{played.told['port']}/"
        listed = self._folder / f"{name}.markets"
        listed.write_text(" ".join(played.told["markets"]))
        rivals = str(BENCHMARKS / "rivals.py")
        return self.start(name, [rivals, name, url, self.redis_url, str(listed)])

    def start(self, name: str, arguments: Sequence[str], *, apart: bool = False) -> Process:
        """Start Python with these arguments; *apart*: as its own session, and scheduled as one."""
        log = self._stack.enter_context((self._folder / f"{name}.log").open("wb"))
        command = [sys.executable, *arguments]
        # In a folder of its own: `-m` would take the source of the present one.
        process = subprocess.Popen(
            command,
            env=self._env,
            cwd=self._folder,
            stdout=log,
            stderr=log,
            start_new_session=apart,
        )
        self._stack.callback(_end, process)
        return Process(process.pid)

    def last_line(self, name: str) -> str:
        """Return what a process has said last."""
        return (["", *self._lines(name)])[-1]

    def _lines(self, name: str) -> list[str]:
        log = self._folder / f"{name}.log"
        return log.read_text().splitlines() if log.exists() else []

    def complaints(self, name: str = "feed") -> list[str]:
        """Return what the daemon has warned of: a figure measured beside trouble is none."""
        lines = self._lines(name)
        calm = ('"level": "info"', '"level": "debug"')
        return [line for line in lines if line and not any(level in line for level in calm)]


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _new_key() -> str:
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


def books_of(played: Remote, **more: str) -> dict[str, str]:
    """Return the settings that ask for the full books of a venue's markets."""
    listed = ", ".join(f'"{market}"' for market in played.told["markets"])
    return {"kalshi.markets": f"[{listed}]", **more}


def all_followed(played: Remote, timeout_s: float = 60.0) -> None:
    """Wait until somebody follows all markets of a venue."""
    until(lambda: played.call("members") >= len(played.told["markets"]), timeout_s)


def until(condition: Any, timeout_s: float, step_s: float = 0.02) -> None:
    """Wait until *condition* holds.

    Raises:
        TimeoutError: it did not within *timeout_s*.
    """
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"not within {timeout_s:g} s")
        time.sleep(step_s)


class Marks:
    """Sees the market that changes when a play is over."""

    def __init__(self, redis: Any, market: str = MARK) -> None:
        self._pubsub = redis.pubsub(ignore_subscribe_messages=True)
        self._pubsub.subscribe(f"market:{market}:price")
        self._pubsub.get_message(timeout=5)

    def clear(self) -> None:
        """Forget what has come so far."""
        while self._pubsub.get_message(timeout=0.05):
            pass

    def wait(self, timeout_s: float = 120.0) -> None:
        """Wait for the next one.

        Raises:
            TimeoutError: none came.
        """
        until(lambda: self._pubsub.get_message(timeout=1.0), timeout_s)


@contextlib.contextmanager
def bench(tree: str = "") -> Iterator[Bench]:
    """Run a server of our own while the block runs; daemons are those of the source in *tree*."""
    from arbees_feed.app.embedded import start_server  # noqa: PLC0415 - spawned processes need none

    with contextlib.ExitStack() as stack:
        server = start_server(None)
        stack.callback(server.stop)
        run = Bench(f"redis://127.0.0.1:{server.port}/0", stack, tree)
        try:
            yield run
        finally:
            for line in run.complaints()[:5]:
                print(f"the daemon: {line}", file=sys.stderr)
