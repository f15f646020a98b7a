"""What does a price cost the Redis server? CPU of Valkey for SET and PUBLISH of our messages.

    python benchmarks/redis_cost.py [--messages 100000] [--json FILE] [--write-docs]

A price is two commands, `SET market:<id>:last` and `PUBLISH market:<id>:price`, written together
with other prices in one write, as the daemon does: one price a write is a quiet feed, 32 a busy
one. Each write waits for its replies. Subscribers follow all markets by one pattern each, and do
nothing with what they get. CPU is user and system time of the server, a message; exit 1 if a
command fails.
"""

import argparse
import itertools
import select
import socket
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from statistics import median
from typing import Any

import hiredis
from loopback import report
from loopback.processes import Bench, Process, bench, until
from rich.console import Console
from rich.table import Table

from arbees_feed.core.wire import MarketPrice
from arbees_feed.publish import resp

MARKETS = 1_000
BATCHES = (1, 8, 32, 128)
SUBSCRIBERS = (0, 1, 10)
ROUNDS = 5
CHUNK = 1 << 18


def commands(market: str, seq: int) -> bytes:
    """Return the two commands of a price."""
    now_ns = time.time_ns()
    payload = MarketPrice(
        market_id=market, platform="kalshi", yes_bid=0.45, yes_ask=0.47, yes_bid_size=1250.0,
        yes_ask_size=310.0, last_price=0.46, status="live", source="book", session=now_ns, seq=seq,
        ts_event_ns=now_ns, ts_recv_ns=now_ns, ts_pub_ns=now_ns,
    ).to_msgpack()  # fmt: skip
    last = resp.with_payload(resp.prefix("SET", f"market:{market}:last"), payload)
    return last + resp.with_payload(resp.prefix("PUBLISH", f"market:{market}:price"), payload)


def drain(pipe: Pipe, address: tuple[str, int], count: int) -> None:
    """Follow all prices so many times over, and throw them away."""
    socks = [socket.create_connection(address) for _ in range(count)]
    for sock in socks:
        sock.sendall(resp.command("PSUBSCRIBE", "market:*:price"))
        sock.recv(CHUNK)
    pipe.send(None)
    threading.Thread(target=_end_with, args=(pipe, socks), daemon=True).start()
    while socks:
        for sock in select.select(socks, [], [])[0]:
            if not sock.recv(CHUNK):
                return


def _end_with(pipe: Pipe, socks: Iterable[socket.socket]) -> None:
    try:
        pipe.recv()
    except EOFError:
        for sock in socks:
            sock.shutdown(socket.SHUT_RDWR)


class Writer:
    """Writes batches and waits for their replies."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._sock = socket.create_connection(address)
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._replies = hiredis.Reader()

    def write(self, batch: bytes, replies: int) -> None:
        """Write one batch.

        Raises:
            hiredis.ReplyError: the server has refused a command.
        """
        self._sock.sendall(batch)
        while replies:
            self._replies.feed(self._sock.recv(CHUNK))
            while (reply := self._replies.gets()) is not False:
                if isinstance(reply, hiredis.ReplyError):
                    raise reply
                replies -= 1


def measured(run: Bench, messages: int, subscribers: int) -> Mapping[int, Sequence[float]]:
    """Return the server's CPU of a message in µs in each round, by the size of a batch."""
    # Flat out, subscribers fall behind; the server is to wait for them, not to throw them out.
    run.redis.config_set("client-output-buffer-limit", "pubsub 0 0 0")
    address = ("127.0.0.1", int(run.redis_url.rpartition(":")[2].partition("/")[0]))
    server = Process(int(run.redis.info("server")["process_id"]))
    follows = run.remote(drain, address, subscribers) if subscribers else None
    writer = Writer(address)
    endless = itertools.cycle(commands(f"KXBENCH-26NOV22-T{n:06d}", n) for n in range(MARKETS))
    batches = {
        size: [b"".join(itertools.islice(endless, size)) for _ in range(messages // size)]
        for size in BATCHES
    }
    found: dict[int, list[float]] = {size: [] for size in BATCHES}
    for number in range(ROUNDS + 1):
        for size, made in batches.items():
            before_s = server.cpu_s()
            for batch in made:
                writer.write(batch, 2 * size)
            until(lambda: _unread(run) == 0, 60.0)
            cost_us = (server.cpu_s() - before_s) / (len(made) * size) * 1e6
            if number:  # the first one warms up
                found[size].append(cost_us)
    if follows is not None:
        follows.stop()
    return found


def _unread(run: Bench) -> int:
    """Return how many bytes the server still has for its subscribers."""
    return sum(int(client["omem"]) for client in run.redis.client_list(_type="pubsub"))


def cells(rows: Iterable[Mapping[str, Any]]) -> list[list[str]]:
    """Return the table as texts: a row for each size of a batch."""
    by_count = {row["subscribers"]: row["cpu_us"] for row in rows}
    return [
        [
            f"{size}",
            *(_range(by_count[n][str(size)]) for n in SUBSCRIBERS),
            f"{1e6 / median(by_count[0][str(size)]):,.0f}",
        ]
        for size in BATCHES
    ]


def _range(costs_us: Sequence[float]) -> str:
    return f"{median(costs_us):.1f} µs ({min(costs_us):.1f} to {max(costs_us):.1f})"


HEADS: Sequence[str] = (
    "prices in one write",
    *(f"{n} subscriber{'s' * (n != 1)}" for n in SUBSCRIBERS),
    "prices a second that a core of Redis takes, without subscribers",
)


def main() -> int:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=50_000, help="in each round")
    parser.add_argument("--json", type=Path, default=report.RESULTS / "redis.json")
    parser.add_argument("--write-docs", action="store_true")
    arguments = parser.parse_args()
    rows = []
    with bench() as run:
        for count in SUBSCRIBERS:
            cost = measured(run, arguments.messages, count)
            rows.append({"subscribers": count, "cpu_us": {str(k): v for k, v in cost.items()}})
    table = Table(*HEADS, title="CPU of the server, a price (SET and PUBLISH)")
    for row in cells(rows):
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 150).print(table)
    told = {"machine": report.machine(), "rows": rows}
    report.save(told, arguments.json)
    if arguments.write_docs:
        lines = report.table(HEADS, cells(rows))
        report.put([*lines, "", f"Measured on: {report.machine_line(told)}."], "redis")
    return 0


if __name__ == "__main__":
    sys.exit(main())
