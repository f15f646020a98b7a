"""CPU of the commands that look at prices, in a terminal of their own, at a full load.

    python benchmarks/terminal_cost.py [--rate 5000] [--markets 2000] [--seconds 20] [--json FILE]

A process publishes prices to a Valkey of its own, as a feed does: a few at a time, with `:last`,
heartbeats and the venue's key. One command after the other reads them in a pseudo-terminal (or into
a pipe), and its CPU is read from /proc between two moments after it has joined. Linux only.
"""

import argparse
import fcntl
import json
import os
import pty
import random
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from redis import Redis
from rich.console import Console
from rich.table import Table

from arbees_feed.app.embedded import start_server
from arbees_feed.config.environment import without_settings
from arbees_feed.core.wire import MarketPrice, encode_map

VENUE = "kalshi"
AT_ONCE = 5
WARM_S = 5.0
SIZES = {"top": (120, 40), "top, small": (80, 24), "watch": (120, 40), "watch --json": None}
COMMANDS = {"top": ["top"], "top, small": ["top"], "watch": ["watch"]}
COMMANDS["watch --json"] = ["watch", "--json"]
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def publish(url: str, count: int, rate: float) -> None:
    """Publish until killed: a feed of one venue, whose markets differ in how busy they are."""
    client = Redis.from_url(url)
    markets = [f"KXBENCH-26NOV22-M{number:05d}" for number in range(count)]
    weights = [1.0 / (1 + number % 50) for number in range(count)]
    chosen = random.Random(1).choices(markets, weights, k=100_000)
    client.sadd(f"feed:markets:{VENUE}", *markets)
    with client.pipeline(transaction=False) as pipe:
        for market in markets:
            title = {"title": f"Will {market} be true?", "platform": VENUE}
            pipe.hset(f"market:{market}:meta", mapping=title)
        pipe.execute()
    seqs, session, sent = dict.fromkeys(markets, 0), time.time_ns(), 0
    started_s = beaten_s = time.monotonic()
    while True:
        with client.pipeline(transaction=False) as pipe:
            if time.monotonic() >= beaten_s:
                beaten_s += 1.0
                beat(pipe, session, count, sent)
            for market in (chosen[number % len(chosen)] for number in range(sent, sent + AT_ONCE)):
                seqs[market] += 1
                data = price(market, session, seqs[market])
                pipe.set(f"market:{market}:last", data)
                pipe.publish(f"market:{market}:price", data)
            pipe.execute()
        sent += AT_ONCE
        time.sleep(max(0.0, started_s + sent / rate - time.monotonic()))


def beat(pipe: Any, session: int, markets: int, frames: int) -> None:
    """Write what a feed writes once a second."""
    told = {"venue": VENUE, "state": "live", "session": session, "reason": ""}
    counters = {"markets": markets, "frames": frames}
    pipe.hset(f"feed:venue:{VENUE}", mapping={**told, **counters})
    pipe.expire(f"feed:venue:{VENUE}", 10)
    pipe.publish("feed:status", encode_map({**told, "ts_ns": time.time_ns()}))


def price(market: str, session: int, seq: int) -> bytes:
    """Return one price; its publication time is now."""
    now_ns = time.time_ns()
    return MarketPrice(
        market_id=market,
        platform=VENUE,
        yes_bid=(seq % 90) / 100,
        yes_ask=0.95,
        yes_bid_size=float(seq),
        yes_ask_size=250.0,
        last_price=0.42,
        status="live",
        source="book",
        session=session,
        seq=seq,
        ts_event_ns=now_ns,
        ts_recv_ns=now_ns,
        ts_pub_ns=now_ns,
    ).to_msgpack()


def cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def measure(command: Sequence[str], size: tuple[int, int] | None, seconds: float) -> float:
    """Return the share of a core that a command takes, in percent."""
    parent, child = pty.openpty() if size else os.pipe()
    if size:
        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
    running = subprocess.Popen(
        [sys.executable, "-m", "arbees_feed", *command],
        stdin=child if size else subprocess.DEVNULL,
        stdout=child,
        env={**without_settings(), "TERM": "xterm-256color"},
        start_new_session=True,
    )
    try:
        read_for(parent, WARM_S)
        before_s, started_s = cpu_s(running.pid), time.monotonic()
        shown = read_for(parent, seconds)
        assert re.search(r"KXBENCH", shown), "it shows nothing"
        return 100 * (cpu_s(running.pid) - before_s) / (time.monotonic() - started_s)
    finally:
        running.kill()
        running.wait()
        os.close(parent)
        os.close(child)


def read_for(fd: int, seconds: float) -> str:
    """Take what is written for so long; return the last of it."""
    ends_s = time.monotonic() + seconds
    last = b""
    while (left_s := ends_s - time.monotonic()) > 0:
        if select.select([fd], [], [], left_s)[0]:
            last = (last + os.read(fd, 1 << 20))[-100_000:]
    return last.decode(errors="replace")


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rate", type=float, default=5_000, help="messages a second")
    parser.add_argument("--markets", type=int, default=2_000)
    parser.add_argument("--seconds", type=float, default=20.0, help="how long each is measured")
    parser.add_argument("--only", action="append", choices=list(COMMANDS))
    parser.add_argument("--json", type=Path, help="write the results here, too")
    parser.add_argument("--publish", metavar="URL", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.publish:
        publish(arguments.publish, arguments.markets, arguments.rate)
        return
    server = start_server(None)
    url = f"redis://127.0.0.1:{server.port}/0"
    load = [f"--publish={url}", f"--markets={arguments.markets}", f"--rate={arguments.rate}"]
    feed = subprocess.Popen([sys.executable, __file__, *load])
    try:
        found = {
            name: measure([*COMMANDS[name], f"--set=redis.url={url}"], size, arguments.seconds)
            for name, size in SIZES.items()
            if name in (arguments.only or COMMANDS)
        }
    finally:
        feed.kill()
        feed.wait()
        server.stop()
    table = Table("command", "CPU, % of a core")
    for name, percent in found.items():
        table.add_row(name, f"{percent:.1f}")
    Console().print(table)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
