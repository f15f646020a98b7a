"""Lines on a pipe that takes them slowly, or not at all: nothing waits for it but the lines."""

import asyncio
import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import IO, TextIO

import pytest
import redis
from support.prices import price
from support.processes import process

from arbees_feed.cli.output import ReaderGone
from arbees_feed.cli.watchoutput import Output
from arbees_feed.core.wire import encode_map

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs pipes of a known size")

SMALL = 4096
BEAT = encode_map({"venue": "kalshi", "state": "live", "session": 1, "reason": "", "ts_ns": 1})
Pipe = tuple[IO[bytes], TextIO]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """Both ends of a pipe that holds one page."""
    out, into = os.pipe()
    fcntl.fcntl(into, fcntl.F_SETPIPE_SZ, SMALL)
    with os.fdopen(out, "rb") as read, os.fdopen(into, "w", encoding="utf-8") as write:
        yield read, write


async def test_lines_come_in_order_whether_the_pipe_is_full_or_not(
    pipe: tuple[IO[bytes], TextIO],
) -> None:
    read, write = pipe
    output = Output(write)
    await output.write(["first"])
    long = ["x" * 1_000] * 20
    writing = asyncio.ensure_future(output.write([*long, "last"]))
    ticked = [await asyncio.sleep(0, number) for number in range(3)]
    assert (ticked, writing.done()) == ([0, 1, 2], False), "the loop goes on"
    lines = await asyncio.to_thread(lambda: [read.readline() for _ in range(22)])
    await writing
    assert lines == [b"first\n", *(line.encode() + b"\n" for line in long), b"last\n"]


async def test_what_would_act_on_a_terminal_is_written_out(pipe: Pipe) -> None:
    read, write = pipe
    await Output(write).write(["a\x1b[2J\tb"])
    assert read.readline() == b"a\\u001b[2J\tb\n"


@pytest.mark.parametrize("length", [1, 10 * SMALL])
async def test_a_reader_that_has_gone_is_told(pipe: Pipe, length: int) -> None:
    read, write = pipe
    output = Output(write)
    read.close()
    with pytest.raises(ReaderGone):
        await output.write(["x" * length])


def test_while_nobody_takes_our_lines_it_goes_on_listening(server: str) -> None:
    """What it had to give up is counted, and the newest is not among it."""
    with redis.Redis.from_url(server) as client:
        client.hset("feed:venue:kalshi", mapping={"session": 1, "state": "live"})
        client.expire("feed:venue:kalshi", 10)
        watch = process(
            *("watch", "--json", "--set", f"redis.url={server}"), stderr=subprocess.PIPE
        )
        with watch as running:
            assert running.stdout is not None
            assert running.stderr is not None
            while not client.pubsub_numpat():
                pass
            for start in range(1, 40_001, 1_000):
                with client.pipeline(transaction=False) as pipe:
                    pipe.publish("feed:status", BEAT)
                    for seq in range(start, start + 1_000):
                        data = price("M", seq).to_msgpack()
                        pipe.set("market:M:last", data)
                        pipe.publish("market:M:price", data)
                    assert pipe.execute()
            while "faster than lines are taken" not in running.stderr.readline():
                pass  # a busy machine may say more
            seqs = [json.loads(running.stdout.readline())["seq"]]
            while seqs[-1] != 40_000:
                seqs.append(json.loads(running.stdout.readline())["seq"])
            assert seqs == sorted(seqs), "no step back"
            assert len(set(seqs)) < 40_000


def test_a_signal_ends_it_though_nobody_takes_our_lines(server: str) -> None:
    with redis.Redis.from_url(server) as client:
        options = ("watch", "--json", "--set", f"redis.url={server}")
        with process(*options, stderr=subprocess.PIPE) as running:
            while not client.pubsub_numpat():
                pass
            with client.pipeline(transaction=False) as pipe:
                for seq in range(1, 1_001):
                    pipe.publish("market:M:price", price("M", seq).to_msgpack())
                pipe.execute()
            assert running.stdout is not None
            running.stdout.read(1)
            running.send_signal(signal.SIGTERM)
            assert running.wait(timeout=40) == 0
