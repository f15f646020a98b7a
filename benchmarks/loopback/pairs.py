"""A venue that plays what the simulated Polymarket has written before: both tokens, and hashes.

The simulated venue costs several times what the daemon does, so its session is taken down first
and then played over plain sockets; REST stays its own.
"""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

import aiohttp

from loopback import venue
from loopback.tapes import Frame, Tape
from loopback.venue import Venue, framed

MARKETS = 50
RATE = 20_000.0

Pair = tuple[str, str, str]
"""(YES token, NO token, condition)"""


class PairVenue(Venue):
    """Polymarket's market channel: one tape for every socket, books for what it asks."""

    def __init__(self, tape: Tape, mark: bytes) -> None:
        super().__init__(tape)
        self._last_word = mark
        self._plays = 0

    def _obey(self, client: venue.Client, command: dict[str, Any]) -> None:
        wanted = [token for token in command.get("assets_ids", ()) if token in self.tape.opening]
        client.members.update(wanted)
        books = b",".join(self.tape.opening[token] for token in wanted)
        if books:
            client.sock.sendall(framed(b"[" + books + b"]"))

    def _hear(self, client: venue.Client, text: bytes) -> None:
        if text == b"PING":
            client.sock.sendall(framed(b"PONG"))
        else:
            super()._hear(client, text)

    def play(self, count: int, rate: float | None) -> list[tuple[str, int]]:
        """Send the next *count* frames flat out, then a trade in the market that is the mark."""
        assert rate is None
        frames = self.tape.take(count)
        for begin in range(0, count, venue.BATCH):
            self._send(b"".join(framed(body) for _, _, body in frames[begin : begin + venue.BATCH]))
        self._plays += 1
        self._send(framed(self._last_word % (30 + self._plays)))
        return []

    def _send(self, data: bytes) -> None:
        with self._lock:
            for client in self._clients:
                client.sock.sendall(data)


def serve(pipe: Pipe, tape: Tape, mark: bytes) -> None:
    """Run such a venue."""
    venue.answer_calls(pipe, PairVenue(tape, mark))


def polymarket_play(run: Any, frames: int) -> tuple[Any, dict[str, str], str]:
    """Start a venue with *frames* to play.

    Returns it, the settings of a daemon for it, and the market that changes last.
    """
    env = run.enter(simulated())
    tape, markets = asyncio.run(taken_down(env, frames))
    played = run.remote(serve, tape, trade_of(markets[-1]))
    return played, settings_of(played, env, markets), markets[-1][0]


def trade_of(market: Pair) -> bytes:
    """Return a trade in a market, with `%d` for its price in cents."""
    token, _, condition = market
    return (
        b'{"event_type":"last_trade_price","asset_id":"%b","market":"%b","fee_rate_bps":"0",'
        b'"price":"0.%%d","side":"BUY","size":"10","timestamp":"1795305600000"}'
    ) % (token.encode(), condition.encode())


def settings_of(played: Any, env: Mapping[str, str], markets: Sequence[Pair]) -> dict[str, str]:
    """Return the settings of a daemon for a venue that plays, REST being that of *env*."""
    return {
        "polymarket.enabled": "true",
        "kalshi.enabled": "false",
        "polymarket.ws_url": f'"ws://127.0.0.1:{played.told["port"]}/ws/market"',
        "polymarket.gamma_url": f'"{env["ARBEES_POLYMARKET__GAMMA_URL"]}"',
        "polymarket.clob_url": f'"{env["ARBEES_POLYMARKET__CLOB_URL"]}"',
        "polymarket.markets": json.dumps([yes for yes, _, _ in markets]),
    }


@contextlib.contextmanager
def simulated() -> Iterator[dict[str, str]]:
    """Run the simulated venues; yield what points a feed at them."""
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, "-m", "arbees_feed", "sim", "--kalshi-port=0", "--polymarket-port=0",
             f"--markets={MARKETS}", f"--rate={RATE}", f"--key-file={Path(folder) / 'key.pem'}"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env={k: v for k, v in os.environ.items() if not k.startswith(("ARBEES_", "KALSHI_"))},
        )  # fmt: skip
        assert process.stdout is not None
        told: dict[str, str] = {}
        while "ARBEES_POLYMARKET__CLOB_URL" not in told:
            name, _, value = process.stdout.readline().decode().strip().partition("=")
            told[name] = value
        try:
            yield told
        finally:
            process.terminate()
            process.wait()


async def taken_down(env: Mapping[str, str], count: int) -> tuple[Tape, Sequence[Pair]]:
    """Return what the venue sends of all markets but the last one, and all markets."""
    url = env["ARBEES_POLYMARKET__CLOB_URL"]
    async with aiohttp.ClientSession() as session:
        await _tell(session, f"{url}/sim/pause")
        markets = await _pairs(session, env["ARBEES_POLYMARKET__GAMMA_URL"])
        tokens = [token for yes, no, _ in markets for token in (yes, no)]
        mark, mark_no, _ = markets[-1]
        async with session.ws_connect(env["ARBEES_POLYMARKET__WS_URL"], max_msg_size=0) as socket:
            await socket.send_json({"assets_ids": tokens, "type": "market"})
            opening: dict[str, bytes] = {}
            while len(opening) < len(tokens):
                for book in _listed(json.loads((await socket.receive()).data)):
                    opening[book["asset_id"]] = _compact(book)
            await _tell(session, f"{url}/sim/resume")
            frames: list[Frame] = []
            while len(frames) < count:
                text = (await socket.receive()).data
                if '"price_change"' in text and mark not in text and mark_no not in text:
                    frames.append(("price_change", "", text.encode()))
            await _tell(session, f"{url}/sim/pause")
    return Tape(opening, frames, "price_change", "simulated"), markets


async def _tell(session: aiohttp.ClientSession, url: str) -> None:
    async with session.post(url) as answer:
        answer.raise_for_status()


async def _pairs(session: aiohttp.ClientSession, gamma: str) -> list[Pair]:
    async with session.get(
        f"{gamma}/markets", params={"limit": "500", "closed": "false"}
    ) as answer:
        markets = await answer.json()
    listed = [(json.loads(m["clobTokenIds"]), m["conditionId"]) for m in markets]
    return [(tokens[0], tokens[1], condition) for tokens, condition in listed if tokens]


def _listed(told: Any) -> list[Any]:
    return told if isinstance(told, list) else [told]


def _compact(book: Any) -> bytes:
    return json.dumps(book, separators=(",", ":")).encode()
