"""CPU per frame from bytes to Redis commands, in one process and without any socket.

    python benchmarks/bench_hot_path.py

With ARBEES_CORPUS set it runs over recorded Kalshi and Polymarket frames, else over generated ones.
All checks are on: sequence, negative sizes, crossed books, best prices told.
"""

import gzip
import json
import os
import platform
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from arbees_feed.core.model import MarketId
from arbees_feed.core.venue import Decoder, DecoderOptions
from arbees_feed.core.wire import Names
from arbees_feed.feed.market import MarketsConfig
from arbees_feed.feed.markets import MarketTable
from arbees_feed.publish.service import Publisher
from arbees_feed.venues import VENUES

RECORDED = {
    "kalshi": "kalshi/kxbtc15m/particle_shadow_forward_20260511T053741Z-long900.jsonl.gz",
    "polymarket": "polymarket/predxt_20260228_merged_by_timestamp.jsonl",
}
AT_LEAST = 50_000


class NoPipe:
    """Takes bytes and answers every command at once."""

    server_id = "bench"
    paused = False

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self.bytes = 0

    def write(self, data: bytes) -> None:
        self.bytes += len(data)
        self._publisher.replies(data.count(b"\r\n*") + 1, ())

    def abort(self, reason: str) -> None:
        raise AssertionError(reason)

    async def lost(self) -> None:
        raise AssertionError


class Link:
    """A connection that nothing should be asked of."""

    def resync(self, market: MarketId, reason: str) -> None:
        raise AssertionError(f"{market}: {reason}")


def recorded(venue: str) -> list[bytes]:
    """Return the frames of a recording, its markets' opening books among them."""
    path = Path(os.environ["ARBEES_CORPUS"]) / RECORDED[venue]
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rb") as lines:
        return [line.strip() for line in lines if line.strip()]


def generated() -> list[bytes]:
    """Return a Kalshi session of 20 markets: snapshots, then deltas near the top."""
    rand = random.Random(1)
    names = [f"KXBENCH-26NOV22-T{n}" for n in range(20)]
    frames: list[dict[str, Any]] = []
    sizes: dict[tuple[str, str, int], int] = {}
    for name in names:
        sides = {}
        for side in ("yes", "no"):
            levels = {cents: rand.randrange(10, 900) for cents in range(5, 46)}
            sizes.update({(name, side, cents): size for cents, size in levels.items()})
            sides[f"{side}_dollars_fp"] = [[f"{c / 100:.4f}", f"{s}.00"] for c, s in levels.items()]
        frames.append({"type": "orderbook_snapshot", "msg": {"market_ticker": name, **sides}})
    for _ in range(AT_LEAST):
        key = (rand.choice(names), rand.choice(["yes", "no"]), 45 - int(rand.expovariate(0.2)) % 40)
        change = rand.randrange(-sizes[key] + 1, 100)
        sizes[key] += change
        body = {
            "market_ticker": key[0], "market_id": "0b9e0000-0000-0000-0000-000000000000",
            "price_dollars": f"{key[2] / 100:.4f}", "delta_fp": f"{change}.00", "side": key[1],
            "ts": "2026-11-22T00:00:00.470Z", "ts_ms": 1795305600470,
        }  # fmt: skip
        frames.append({"type": "orderbook_delta", "msg": body})
    return [
        json.dumps({"sid": 1, "seq": seq, **frame}, separators=(",", ":")).encode()
        for seq, frame in enumerate(frames, start=1)
    ]


def markets_of(frames: Sequence[bytes]) -> list[MarketId]:
    """Return the markets that have a snapshot among these frames."""
    found = set()
    for frame in frames:
        message = json.loads(frame)
        body = message.get("msg", message)
        if "snapshot" in message.get("type", "") or message.get("event_type") == "book":
            found.add(MarketId(body.get("market_ticker") or body["asset_id"]))
    return sorted(found)


def new_decoder(venue: str, markets: Sequence[MarketId]) -> Decoder:
    """Return a decoder that has asked for these markets."""
    decoder = VENUES[venue].new_decoder(DecoderOptions())
    decoder.start(markets)
    return decoder


def run(venue: str, frames: Sequence[bytes]) -> tuple[float, float, float]:
    """Return CPU in µs a frame for decoding, for all but publishing, and for everything."""
    markets = markets_of(frames)
    decoder = new_decoder(venue, markets)
    decode_s = timed(decoder.receive, frames)
    soon: list[Any] = []
    publisher = Publisher(None, Names(), session=1, call_soon=soon.append)  # type: ignore[arg-type]
    publisher._attach(NoPipe(publisher))
    table = MarketTable(publisher.opener(venue), MarketsConfig(), monotonic=time.monotonic)
    decoder, link = new_decoder(venue, markets), Link()
    started_s = time.process_time()
    for frame in frames:
        events = decoder.receive(frame)
        if events:
            table.apply(events, link, 1)
        if soon:
            soon.pop()()
    total_s = time.process_time() - started_s
    share = publisher.stats.published / len(frames)
    return decode_s / len(frames) * 1e6, total_s / len(frames) * 1e6, share


def timed(receive: Any, frames: Sequence[bytes]) -> float:
    """Return the CPU time of decoding all frames."""
    started_s = time.process_time()
    for frame in frames:
        receive(frame)
    return time.process_time() - started_s


def main() -> None:
    """Measure and print a table."""
    sources = {"kalshi, generated": ("kalshi", generated())}
    if "ARBEES_CORPUS" in os.environ:
        sources |= {f"{venue}, recorded": (venue, recorded(venue)) for venue in RECORDED}
    title = f"CPU a frame, CPython {platform.python_version()}, median of 5"
    table = Table("frames", "count", "decode µs", "to Redis bytes µs", "published", title=title)
    for name, (venue, frames) in sources.items():
        rows = sorted((run(venue, frames) for _ in range(5)), key=lambda row: row[1])
        decode_us, total_us, share = rows[2]
        table.add_row(
            name, f"{len(frames):,}", f"{decode_us:.2f}", f"{total_us:.2f}", f"{share:.0%}"
        )
    Console().print(table)


if __name__ == "__main__":
    main()
