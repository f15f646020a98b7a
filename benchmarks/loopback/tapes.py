"""What a venue plays: markets with their opening books, and the frames that follow.

A tape is played round and round. Where its end does not join its beginning it begins with whole
books, which replace what went before.
"""

import gzip
import json
import os
import random
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

DELTA, SNAPSHOT, TICKER = "orderbook_delta", "orderbook_snapshot", "ticker"
MARK = "KXMARK-26NOV22-T1"
"""The market that changes last, when a play is over; a tape does not hold it."""
RECORDINGS = "kalshi/kxbtc15m"

Frame = tuple[str, str, bytes]
"""(type, market, the `msg` of the frame as JSON)"""


@dataclass
class Tape:
    """*frames* follow on *opening*; in ticker mode the opening is a ticker of each market."""

    opening: dict[str, bytes]
    frames: Sequence[Frame]
    kind: str = DELTA
    source: str = "generated"
    position: int = field(default=0)

    def take(self, count: int) -> Sequence[Frame]:
        """Return the next *count* frames."""
        taken: list[Frame] = []
        while len(taken) < count:
            at = self.position % len(self.frames)
            part = self.frames[at : at + count - len(taken)]
            self.position += len(part)
            taken += part
        return taken


def _book_body(market: str, yes: Mapping[int, int], no: Mapping[int, int]) -> bytes:
    body: dict[str, object] = {"market_ticker": market, "market_id": market_id(market)}
    for name, side in (("yes", yes), ("no", no)):
        if side:
            levels = [[_dollars(key), f"{side[key]}.00"] for key in sorted(side)]
            body[f"{name}_dollars_fp"] = levels
    return json.dumps(body, separators=(",", ":")).encode()


def market_id(market: str) -> str:
    """Return a text of the length that the venue's own ids have."""
    return f"0b9e0000-0000-0000-0000-{zlib.crc32(market.encode()):012d}"


def _dollars(key: int) -> str:
    return f"{key / 100:.4f}"


def delta_body(market: str, side: str, key: int, change: int) -> bytes:
    """Return one level's increment as the venue writes it."""
    now_ms = time.time_ns() // 1_000_000
    return (
        b'{"market_ticker":"%b","market_id":"%b","price_dollars":"%b","delta_fp":"%d.00",'
        b'"side":"%b","ts":"2026-11-22T00:00:00.470123Z","ts_ms":%d}'
    ) % (
        market.encode(),
        market_id(market).encode(),
        _dollars(key).encode(),
        change,
        side.encode(),
        now_ms,
    )


def ticker_body(market: str, bid: int, ask: int, size: int) -> bytes:
    """Return a ticker as the venue writes it, with `%d` for its time: an old one is ignored."""
    body = {
        "market_ticker": market,
        "market_id": market_id(market),
        "price_dollars": _dollars(bid),
        "yes_bid_dollars": _dollars(bid),
        "yes_ask_dollars": _dollars(ask),
        "yes_bid_size_fp": f"{size}.00",
        "yes_ask_size_fp": f"{size + 7}.00",
        "last_trade_size_fp": "10.00",
        "volume_fp": "33896.00",
        "open_interest_fp": "20422.00",
        "dollar_volume": 16948,
        "dollar_open_interest": 10211,
        "ts": 1795305600,
        "ts_ms": 0,
        "time": "2026-11-22T00:00:00.470123Z",
    }
    return json.dumps(body, separators=(",", ":")).replace('"ts_ms":0', '"ts_ms":%d').encode()


def names(count: int) -> list[str]:
    """Return tickers of the usual length."""
    return [f"KXBENCH-26NOV22-T{n:06d}" for n in range(count)]


# -- books -----------------------------------------------------------------------------------------


def recorded_or_generated() -> Tape:
    """Return all recorded sessions, one after the other; without a corpus, something like them."""
    corpus = os.environ.get("ARBEES_CORPUS")
    if not corpus:
        return spread_out(20, 300_000)
    opening: dict[str, bytes] = {}
    frames: list[Frame] = []
    for path in sorted((Path(corpus) / RECORDINGS).glob("*.jsonl.gz")):
        for kind, market, body in _recorded(path):
            if kind == SNAPSHOT:
                opening.setdefault(market, body)
            frames.append((kind, market, body))
    return Tape(opening, frames, source="recorded")


def _recorded(path: Path) -> Iterator[Frame]:
    """Yield the book frames of a session; the snapshot of a reconnection is one of them."""
    with gzip.open(path, "rb") as lines:
        for line in lines:
            head, found, rest = line.strip().partition(b'"msg":')
            kind = DELTA if b"orderbook_delta" in head else SNAPSHOT
            if found and b'"orderbook_' in head:
                body = rest[:-1]
                market = body.partition(b'"market_ticker":"')[2].partition(b'"')[0].decode()
                yield kind, market, body


class _Ladder:
    """One side of a generated book, in cents; *top* is its best price."""

    def __init__(self, best: int, levels: int, rand: random.Random) -> None:
        self.sizes = {key: rand.randrange(100, 900) for key in range(best - levels + 1, best + 1)}
        self.top = best

    def step(self, highest: int, rand: random.Random) -> tuple[int, int]:
        """Change the best level; return its price and by how much."""
        top, choice = self.top, rand.random()
        if choice < 0.1 and top < highest:
            self.top, self.sizes[top + 1] = top + 1, rand.randrange(100, 900)
            return top + 1, self.sizes[top + 1]
        if choice < 0.2 and top - 1 in self.sizes:
            self.top = top - 1
            return top, -self.sizes.pop(top)
        size = self.sizes[top]
        change = rand.randrange(1, 100) if size < 200 or choice < 0.6 else -rand.randrange(1, 100)
        self.sizes[top] = size + change
        return top, change


def tops(markets: int, count: int, levels: int = 40) -> Tape:
    """Return frames each of which changes the top of a book."""
    rand = random.Random(1)
    books = {
        name: {side: _Ladder(45, levels, rand) for side in ("yes", "no")} for name in names(markets)
    }
    opening = {
        name: _book_body(name, sides["yes"].sizes, sides["no"].sizes)
        for name, sides in books.items()
    }
    frames: list[Frame] = [(SNAPSHOT, name, body) for name, body in opening.items()]
    listed = list(books)
    for _ in range(count):
        name, side = rand.choice(listed), rand.choice(("yes", "no"))
        key, change = books[name][side].step(49, rand)
        frames.append((DELTA, name, delta_body(name, side, key, change)))
    return Tape(opening, frames)


def spread_out(markets: int, count: int, levels: int = 40) -> Tape:
    """Return frames of which a quarter changes the top of a book, as recorded ones do."""
    rand = random.Random(1)
    sizes: dict[tuple[str, str], dict[int, int]] = {}
    opening = {}
    for name in names(markets):
        for side in ("yes", "no"):
            keys = range(46 - levels, 46)
            sizes[name, side] = {key: rand.randrange(500, 900) for key in keys}
        opening[name] = _book_body(name, sizes[name, "yes"], sizes[name, "no"])
    frames: list[Frame] = [(SNAPSHOT, name, body) for name, body in opening.items()]
    for name, side, depth in _places(list(opening), count, rand):
        key = 45 - min(depth, levels - 1)
        level = sizes[name, side]
        change = rand.randrange(1, 100) if level[key] < 200 else rand.randrange(-99, 0)
        level[key] += change
        frames.append((DELTA, name, delta_body(name, side, key, change)))
    return Tape(opening, frames)


def _places(
    listed: Sequence[str], count: int, rand: random.Random
) -> Iterator[tuple[str, str, int]]:
    for _ in range(count):
        depth = 0 if rand.random() < 0.25 else 1 + int(rand.expovariate(0.2))
        yield rand.choice(listed), rand.choice(("yes", "no")), depth


def growing(markets: int) -> Tape:
    """Return frames each of which adds one contract to a market's best bid, in turn.

    The size in a message so tells which frame brought it. It joins its beginning as it is.
    """
    opening = {
        name: _book_body(name, dict.fromkeys(range(6, 46), 100), dict.fromkeys(range(6, 46), 100))
        for name in names(markets)
    }
    frames = [(DELTA, name, delta_body(name, "yes", 45, 1)) for name in opening]
    return Tape(opening, frames)


def tickers(markets: int, count: int, busy: int) -> Tape:
    """Return tickers of the first *busy* markets; each changes the quote."""
    rand = random.Random(1)
    listed = names(markets)
    opening = {name: ticker_body(name, 45, 55, 100) for name in listed}
    frames = []
    for _ in range(count):
        name, bid = listed[rand.randrange(busy)], rand.randrange(5, 90)
        frames.append((TICKER, name, ticker_body(name, bid, bid + 3, rand.randrange(1, 5_000))))
    return Tape(opening, frames, TICKER)


TAPES: Mapping[str, Callable[..., Tape]] = {
    "recorded": recorded_or_generated,
    "tops": tops,
    "spread": spread_out,
    "growing": growing,
    "tickers": tickers,
}
