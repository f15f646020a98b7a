"""A subscriber as a bot would be: it decodes each message and notes when it had it."""

import select
import socket
import time
from multiprocessing.connection import Connection as Pipe
from typing import Any
from urllib.parse import urlsplit

import hiredis

from arbees_feed.core.wire import MarketPrice
from arbees_feed.publish.resp import command

Seen = tuple[str, float, float, int, int]
"""(market, bid size, ask size, ts_recv_ns, monotonic ns once decoded)"""
_CHUNK = 1 << 18


class Reader:
    """Everything published under some patterns, since the last `take`."""

    def __init__(self, redis_url: str, patterns: tuple[str, ...]) -> None:
        address = urlsplit(redis_url)
        self.sock = socket.create_connection((address.hostname, address.port))
        self.sock.sendall(command("PSUBSCRIBE", *patterns))
        self._replies = hiredis.Reader()
        self._seen: list[Seen] = []
        for _ in patterns:
            while self._replies.gets() is False:
                self._replies.feed(self.sock.recv(_CHUNK))

    def read(self) -> None:
        """Take what the socket has."""
        self._replies.feed(self.sock.recv(_CHUNK))
        decode, now = MarketPrice.from_msgpack, time.monotonic_ns
        while (reply := self._replies.gets()) is not False:
            price = decode(reply[3])
            told = (price.market_id, price.yes_bid_size, price.yes_ask_size, price.ts_recv_ns)
            self._seen.append((*told, now()))

    def take(self) -> list[Seen]:
        """Return what came since the last call."""
        seen, self._seen = self._seen, []
        return seen

    def count(self) -> int:
        """Return how many have come since the last `take`."""
        return len(self._seen)


def serve(pipe: Pipe, redis_url: str, patterns: tuple[str, ...]) -> None:
    """Read until the pipe closes."""
    follows = Reader(redis_url, patterns)
    pipe.send(None)
    while True:
        waited: list[Any] = [follows.sock, pipe]
        ready, _, _ = select.select(waited, [], [])
        if follows.sock in ready:
            follows.read()
        if pipe in ready:
            try:
                name, given = pipe.recv()
            except EOFError:
                return
            pipe.send(getattr(follows, name)(*given))
