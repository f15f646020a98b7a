"""A venue that costs little: Kalshi's protocol over plain sockets, frames made beforehand.

It answers what the daemon asks, `get_snapshot` and pings among it, so that no check is left out;
everything else about a venue is in `arbees_feed.sim`, which costs more than the daemon it feeds.
"""

import base64
import hashlib
import json
import socket
import threading
import time
from collections.abc import Iterable, Sequence
from multiprocessing.connection import Connection as Pipe
from typing import Any
from urllib.parse import parse_qs, urlsplit

from loopback import tapes
from loopback.tapes import DELTA, MARK, SNAPSHOT, TICKER, Frame, Tape
from loopback.truth import Truth

BATCH = 64
"""Frames in one write when there is no pace."""
PING_S = 5.0
EVENT_MARKETS = 500
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TEXT, _BINARY, _CLOSE, _PING, _PONG = 1, 2, 8, 9, 10
_FIXED = {
    "limits": b'{"usage_tier":"basic","read":{"refill_rate":200,"bucket_capacity":400}}',
    "series": b'{"series":[]}',
}
"""Answers by the last word of what is asked for."""


class Client:
    """One WebSocket: what it follows, and the number of its last frame."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.sids: dict[str, int] = {}
        self.seq = 0
        self.members: set[str] = set()
        self.has_tickers = False

    def written(self, kind: str, body: bytes, ident: int = 0) -> bytes:
        """Return a frame as it goes over the socket."""
        self.seq += 1
        named = b'"id":%d,' % ident if ident else b""
        text = b'{%b"type":"%b","sid":%d,"seq":%d,"msg":%b}' % (
            named,
            kind.encode(),
            self.sids[DELTA],
            self.seq,
            body,
        )
        return framed(text)

    def ticker(self, body: bytes) -> bytes:
        """Return a ticker, which has no number."""
        return framed(b'{"type":"ticker","sid":%d,"msg":%b}' % (self.sids[TICKER], body))

    def send(self, message: dict[str, Any]) -> None:
        """Send an answer."""
        self.sock.sendall(framed(json.dumps(message, separators=(",", ":")).encode()))


def framed(payload: bytes, opcode: int = _TEXT) -> bytes:
    """Return a WebSocket frame of a server."""
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, size)) + payload
    if size < 1 << 16:
        return bytes((0x80 | opcode, 126, size >> 8, size & 255)) + payload
    return bytes((0x80 | opcode, 127)) + size.to_bytes(8) + payload


class Venue:
    """Serves one tape on a free port of loopback."""

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        mark = tapes.delta_body(MARK, "yes", 45, 1)
        if tape.kind == DELTA:
            tape.opening[MARK] = (
                tapes.growing(1)
                .opening[tapes.names(1)[0]]
                .replace(tapes.names(1)[0].encode(), MARK.encode())
            )
        self._mark: Frame = (DELTA, MARK, mark)
        self._marks = 0
        self.event = MARK.rpartition("-")[0]
        self.truth = Truth(tape)
        self._clients: list[Client] = []
        self._lock = threading.Lock()
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listening.getsockname()[1]
        for work in (self._accept, self._ping):
            threading.Thread(target=work, daemon=True).start()

    def _accept(self) -> None:
        while True:
            sock, _ = self._listening.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _ping(self) -> None:
        while True:
            time.sleep(PING_S)
            with self._lock:
                for client in self._clients:
                    client.sock.sendall(framed(b"heartbeat", _PING))

    # -- one connection ----------------------------------------------------------------------------

    def _serve(self, sock: socket.socket) -> None:
        with sock, sock.makefile("rb") as stream:
            try:
                while headers := _headers(stream):
                    key = headers.get("sec-websocket-key")
                    if key is None:
                        sock.sendall(self._answer(headers[""]))
                    else:
                        self._talk(sock, stream, key)
                        return
            except (OSError, EOFError):
                return

    def _talk(self, sock: socket.socket, stream: Any, key: str) -> None:
        accept = base64.b64encode(
            hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()
        )
        sock.sendall(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        client = Client(sock)
        with self._lock:
            self._clients.append(client)
        try:
            while (told := _received(stream))[0] != _CLOSE:
                with self._lock:
                    if told[0] in (_TEXT, _BINARY):
                        self._hear(client, told[1])
                    elif told[0] == _PING:
                        sock.sendall(framed(told[1], _PONG))
        finally:
            with self._lock:
                self._clients.remove(client)

    def _answer(self, target: str) -> bytes:
        """Answer a REST request: markets are open, and of their events only the ids are known."""
        address = urlsplit(target)
        query = parse_qs(address.query)
        if fixed := _FIXED.get(address.path.rpartition("/")[2]):
            return _http(fixed)
        if "/events/" in address.path:
            event = address.path.rpartition("/")[2].encode()
            return _http(b'{"event":{"event_ticker":"%b","title":"A benchmark"}}' % event)
        if address.path.endswith("/events"):
            return _http(self._events(query))
        named = [ticker for text in query.get("tickers", ()) for ticker in text.split(",")]
        wanted = [market for market in named if market in self.tape.opening]
        with self._lock:
            if address.path.endswith("/orderbooks"):
                books = b",".join(self.truth.sides(market) for market in wanted)
                return _http(b'{"orderbooks":[%b]}' % books)
            cursor = ""
            if not named:
                wanted, cursor = self._page(query)
            listed = b",".join(self._record(market) for market in wanted)
            return _http(b'{"markets":[%b],"cursor":"%b"}' % (listed, cursor.encode()))

    def _events(self, query: dict[str, list[str]]) -> bytes:
        """List all markets, so many to an event; nothing has changed since."""
        begin = int(query.get("cursor", ["0"])[0])
        some = list(self.tape.opening)[begin : begin + EVENT_MARKETS]
        if "min_updated_ts" in query or not some:
            return b'{"events":[],"cursor":""}'
        with self._lock:
            nested = b",".join(self._record(market) for market in some)
        event = b'{"event_ticker":"%b-%d","title":"A benchmark","markets":[%b]}'
        told = event % (self.event.encode(), begin, nested)
        return b'{"events":[%b],"cursor":"%d"}' % (told, begin + EVENT_MARKETS)

    def _page(self, query: dict[str, list[str]]) -> tuple[list[str], str]:
        begin, size = int(query.get("cursor", ["0"])[0]), int(query.get("limit", ["100"])[0])
        every = list(self.tape.opening)
        end = begin + size
        return every[begin:end], str(end) if end < len(every) else ""

    def _record(self, market: str) -> bytes:
        ticker = market.encode()
        record = b'{"ticker":"%b","event_ticker":"%b","status":"active"' % (
            ticker,
            self.event.encode(),
        )
        quote = b"," + self.truth.ticker(market)[1:] if self.tape.kind == TICKER else b"}"
        return record + quote

    def _hear(self, client: Client, text: bytes) -> None:
        self._obey(client, json.loads(text))

    def _obey(self, client: Client, command: dict[str, Any]) -> None:
        ident, params = int(command["id"]), command["params"]
        wanted = [m for m in params.get("market_tickers", ()) if m in self.tape.opening]
        if command["cmd"] == "subscribe":
            self._subscribe(client, ident, params["channels"][0], wanted)
        elif params["action"] == "get_snapshot":
            self._send_books(client, wanted, ident)
        else:
            client.seq += 1
            told = {"id": ident, "sid": client.sids[DELTA], "seq": client.seq, "type": "ok"}
            client.send({**told, "msg": {"market_tickers": wanted}})
            if params["action"] == "add_markets":
                self._send_books(client, wanted)
                client.members.update(wanted)
            else:
                client.members.difference_update(wanted)

    def _subscribe(self, client: Client, ident: int, channel: str, wanted: Sequence[str]) -> None:
        client.sids[channel] = sid = len(client.sids) + 1
        client.send({"id": ident, "type": "subscribed", "msg": {"channel": channel, "sid": sid}})
        if channel == DELTA:
            self._send_books(client, wanted)
            client.members.update(wanted)
        elif channel == TICKER and self.tape.kind == TICKER:
            client.has_tickers = True
            now_ms = time.time_ns() // 1_000_000
            told = [client.ticker(body % now_ms) for body in self.tape.opening.values()]
            _send_all(client.sock, told)

    def _send_books(self, client: Client, wanted: Iterable[str], ident: int = 0) -> None:
        books = [client.written(SNAPSHOT, self.truth.book(m), ident) for m in wanted]
        _send_all(client.sock, books)

    # -- playing -----------------------------------------------------------------------------------

    def play(self, count: int, rate: float | None) -> list[tuple[str, int]]:
        """Send the next *count* frames, then the mark; with a rate, one by one.

        Returns (market, monotonic ns before its frame was sent) of each where there is a rate.
        """
        frames = self.tape.take(count)
        sent: list[tuple[str, int]] = []
        if rate is None:
            for begin in range(0, count, BATCH):
                self._write(frames[begin : begin + BATCH])
        else:
            sent = self._pace(frames, rate)
        self.mark()
        return sent

    def mark(self) -> None:
        """Change the market that nobody else changes."""
        self._marks += 1
        if self.tape.kind == TICKER:
            body = tapes.ticker_body(MARK, 45, 55, self._marks)
            self._write([(TICKER, MARK, body)])
        else:
            self._write([self._mark])

    def burst(self, count: int) -> None:
        """Send the next *count* frames as fast as the sockets take them, then the mark."""
        frames = [*self.tape.take(count), self._mark]
        with self._lock:
            self.truth.note(frames)
            parts: dict[int, list[bytes]] = {n: [] for n in range(len(self._clients))}
            for kind, market, body in frames:
                for number, client in enumerate(self._clients):
                    if market in client.members:
                        parts[number].append(client.written(kind, body))
            senders = [
                threading.Thread(target=self._clients[n].sock.sendall, args=(b"".join(told),))
                for n, told in parts.items()
            ]
            for sender in senders:
                sender.start()
            for sender in senders:
                sender.join()

    def _pace(self, frames: Sequence[Frame], rate: float) -> list[tuple[str, int]]:
        sent = []
        begin_s = time.monotonic()
        for number, frame in enumerate(frames):
            wait_s = begin_s + number / rate - time.monotonic()
            if wait_s > 0:
                time.sleep(wait_s)
            sent.append((frame[1], time.monotonic_ns()))
            self._write([frame])
        return sent

    def _write(self, frames: Sequence[Frame]) -> None:
        with self._lock:
            if self.tape.kind == TICKER:
                now_ms = time.time_ns() // 1_000_000
                frames = [(kind, market, body % now_ms) for kind, market, body in frames]
            self.truth.note(frames)
            for client in self._clients:
                members = client.members
                if self.tape.kind == TICKER:
                    data = [client.ticker(body) for _, _, body in frames if client.has_tickers]
                else:
                    data = [client.written(k, body) for k, m, body in frames if m in members]
                if data:
                    client.sock.sendall(b"".join(data))

    def members(self) -> int:
        """Return how many books are followed, or how many markets by the ticker channel."""
        with self._lock:
            if self.tape.kind == TICKER:
                return len(self.tape.opening) * any(c.has_tickers for c in self._clients)
            return sum(len(client.members) for client in self._clients)


def _send_all(sock: socket.socket, frames: Sequence[bytes]) -> None:
    if frames:
        sock.sendall(b"".join(frames))


def _headers(stream: Any) -> dict[str, str]:
    """Return a request's header fields, and its target under ""; empty at the stream's end."""
    first = stream.readline()
    if not first:
        return {}
    found = {"": first.decode().split(" ")[1]}
    while line := stream.readline().strip():
        name, _, value = line.decode("latin-1").partition(":")
        found[name.lower()] = value.strip()
    return found


def _http(body: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % len(body) + body


def _received(stream: Any) -> tuple[int, bytes]:
    """Return opcode and payload of a client's frame."""
    head = stream.read(2)
    if len(head) < 2:
        raise EOFError
    size = head[1] & 127
    if size > 125:
        size = int.from_bytes(stream.read(2 if size == 126 else 8))
    key, data = stream.read(4), stream.read(size)
    mask = (key * (size // 4 + 1))[:size]
    plain = (int.from_bytes(data) ^ int.from_bytes(mask)).to_bytes(size)
    return head[0] & 15, plain


def serve(pipe: Pipe, tape: str, arguments: tuple[Any, ...]) -> None:
    """Run a venue with a tape of this name."""
    answer_calls(pipe, Venue(tapes.TAPES[tape](*arguments)))


def answer_calls(pipe: Pipe, serving: Venue) -> None:
    """Carry out (name of a method, arguments) from the pipe, which takes what they return."""
    tape = serving.tape
    pipe.send({"port": serving.port, "markets": list(tape.opening), "source": tape.source})
    while True:
        try:
            name, given = pipe.recv()
        except EOFError:
            return
        target = serving.truth.tops if name == "tops" else getattr(serving, name)
        pipe.send(target(*given))
