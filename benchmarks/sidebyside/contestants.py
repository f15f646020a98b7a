"""Who takes part in a contest: each a process that plays can be measured against."""

import contextlib
import json
import queue
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from loopback.processes import KEPT, Bench, Process, Remote, until
from loopback.tapes import MARK

from arbees_feed.core.wire import MarketPrice
from sidebyside.catalogue import Peer
from sidebyside.environments import Unavailable, python_of

ADAPTERS = Path(__file__).parent / "adapters"
_QUIET_S = 0.3


@dataclass
class Told:
    """What user code has had of a play."""

    events: int
    times_ns: list[int] = field(default_factory=list)


class Contestant(Protocol):
    """A client, and how to play to it."""

    process: Process

    def settle(self) -> None:
        """Get ready for a play: what came before it is forgotten."""

    def play(self, frames: int) -> None:
        """Play flat out; return once all has arrived where the client ends."""

    def events(self) -> int:
        """Return how many events came of the play."""

    def complaint(self) -> str:
        """Return what it has complained of last; empty if of nothing."""


class Client:
    """A process of a peer: it tells the end of each play on its standard output."""

    def __init__(self, popen: "subprocess.Popen[str]", log: Path) -> None:
        self.process = Process(popen.pid)
        self._popen, self._log = popen, log
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self._popen.stdout is not None
        for line in self._popen.stdout:
            if line.startswith("{"):
                self._lines.put(line)

    def order(self, count: int) -> None:
        """Ask a client that makes its own events for as many."""
        assert self._popen.stdin is not None
        self._popen.stdin.write(f"{count}\n")
        self._popen.stdin.flush()

    def forget(self) -> None:
        """Wait until nothing more is told, and forget what was."""
        with contextlib.suppress(queue.Empty):
            while self._lines.get(timeout=_QUIET_S):
                pass

    def told(self, timeout_s: float = 120.0) -> Told:
        """Wait for the end of a play.

        Raises:
            Unavailable: the client has ended, or it does not come.
        """
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s:
            with contextlib.suppress(queue.Empty):
                return Told(**json.loads(self._lines.get(timeout=0.5)))
            if self._popen.poll() is not None:
                raise Unavailable(f"it ended: {self.complaint() or 'no reason given'}")
        raise Unavailable(f"a play did not end within {timeout_s:g} s; {self.complaint()}")

    def until_it(self, condition: Callable[[], bool], timeout_s: float = 60.0) -> None:
        """Wait until *condition* holds.

        Raises:
            Unavailable: the client has ended, or it does not hold in time.
        """
        try:
            until(lambda: condition() or self._popen.poll() is not None, timeout_s)
        except TimeoutError as late:
            raise Unavailable(f"it did not subscribe {late}; {self.complaint()}") from late
        if self._popen.poll() is not None:
            raise Unavailable(f"it ended: {self.complaint() or 'no reason given'}")

    def complaint(self) -> str:
        """Return the last line on its standard error."""
        said = [line for line in self._log.read_text().splitlines() if line.strip()]
        return said[-1].strip().removeprefix("trouble: ")[:200] if said else ""


class VenuePeer:
    """A peer that follows a venue of ours.

    *arrived* returns how many events have arrived behind its user code, where it goes on to Redis.
    """

    def __init__(
        self, client: Client, played: Remote, arrived: Callable[[], int] | None = None
    ) -> None:
        self.process = client.process
        self._client, self._played, self._arrived = client, played, arrived
        self._before = self._events = 0

    def settle(self) -> None:
        """Forget what came before the play."""
        self._client.forget()
        self._before = self._arrived() if self._arrived else 0

    def play(self, frames: int) -> None:
        """Play to it."""
        _, told = self._have_played(frames, None)
        self._events, arrived = told.events, self._arrived
        if arrived:
            until(lambda: arrived() >= self._before + told.events, 30.0, 0.005)

    def events(self) -> int:
        """Return how many events user code has had."""
        return self._events

    def paced(self, frames: int, rate: float) -> list[float]:
        """Play at a rate; return the ms from before each frame was sent until user code had it.

        Raises:
            Unavailable: events are not one for each frame, so there is nothing to compare.
        """
        sent, told = self._have_played(frames, rate)
        if len(told.times_ns) != len(sent):
            raise Unavailable(f"{len(told.times_ns)} events for {len(sent)} frames")
        return [
            (at_ns - sent_ns) / 1e6 for (_, sent_ns), at_ns in zip(sent, told.times_ns, strict=True)
        ]

    def _have_played(self, frames: int, rate: float | None) -> tuple[Any, Told]:
        # The client first: while one that hangs does not read, the venue is not done either.
        self._played.begin("play", frames, rate)
        told = self._client.told()
        return self._played.result(), told

    def complaint(self) -> str:
        """Return the last line on its standard error."""
        return self._client.complaint()


class WriterPeer:
    """A peer that makes its own events and writes them to Redis."""

    def __init__(self, client: Client) -> None:
        self.process = client.process
        self._client, self._events = client, 0

    def settle(self) -> None:
        """Forget what came before the play."""
        self._client.forget()

    def play(self, frames: int) -> None:
        """Have it write as many events."""
        self._client.order(frames)
        self._events = self._client.told().events

    def events(self) -> int:
        """Return how many events Redis has."""
        return self._events

    def complaint(self) -> str:
        """Return the last line on its standard error."""
        return self._client.complaint()


class Daemon:
    """Ours: a play is over when a subscriber has the price that changes last."""

    def __init__(self, run: Bench, process: Process, played: Remote, mark: str = MARK) -> None:
        self.process = process
        self._run, self._played, self._marks = run, played, run.marks(mark)
        self._before = 0
        self._reader: Remote | None = None

    def settle(self) -> None:
        """Forget what came before the play."""
        self._marks.clear()
        self._before = self._run.calls("publish")

    def play(self, frames: int) -> None:
        """Play to it."""
        self._played.call("play", frames, None)
        self._marks.wait()

    def events(self) -> int:
        """Return how many prices were published, that of the mark left out."""
        return self._run.calls("publish") - self._before - 1

    def paced(self, frames: int, rate: float) -> list[float]:
        """Play frames that each add one contract to a best bid.

        Returns the ms from before each was sent until a subscriber had decoded its price.
        """
        follows = self._reader = self._reader or self._run.reader("market:*:price")
        follows.call("take")
        sizes = dict.fromkeys(self._played.told["markets"], 0.0)
        for market in sizes:
            sizes[market] = MarketPrice.from_msgpack(
                self._run.redis.get(f"market:{market}:last")
            ).yes_bid_size
        sent = self._played.call("play", frames, rate)
        self._marks.wait()
        until(lambda: follows.call("count") > frames, 10.0, 0.1)
        seen_ns = {(market, size): at_ns for market, size, _, _, at_ns in follows.call("take")}
        delays_ms = []
        for market, sent_ns in sent:
            sizes[market] += 1
            delays_ms.append((seen_ns[market, sizes[market]] - sent_ns) / 1e6)
        return delays_ms

    def complaint(self) -> str:
        """Return nothing: what the daemon warns of is printed when it ends."""
        return ""


@contextlib.contextmanager
def started(peer: Peer, job: Mapping[str, Any]) -> Iterator[Client]:
    """Run a peer's script while the block runs.

    Raises:
        Unavailable: its environment can't be made.
    """
    python = python_of(peer.environment)
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        written = folder / "job.json"
        written.write_text(json.dumps({**job, "kind": peer.kind, "key": _new_key()}))
        log = folder / "log"
        popen = subprocess.Popen(
            [str(python), str(ADAPTERS / peer.script), str(written)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder, env=KEPT,
            stderr=stack.enter_context(log.open("wb")),
        )  # fmt: skip
        try:
            yield Client(popen, log)
        finally:
            popen.send_signal(signal.SIGKILL)
            popen.wait()


def _new_key() -> str:
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
