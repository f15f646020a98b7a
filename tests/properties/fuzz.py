"""Damaged input, for as long as one likes: both decoders with the table, REST, the reader's side.

What is there in C too is compared with the code in Python, frame by frame and price by price.

    FUZZ_SECONDS=60 PYTHONPATH=tests python -m properties.fuzz

A round is made of its target and its seed alone. One that fails is saved to a file, with what was
received last; the file's name is the last line, and the exit code is 1. `FUZZ_AGAIN=FILE` runs that
round again; `FUZZ_SEED=N` begins elsewhere; with `ARBEES_CORPUS`, recorded frames are damaged too.
"""

import json
import os
import sys
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from itertools import cycle
from pathlib import Path
from random import Random
from typing import Any

import msgspec
from support import mutations
from support.bodies import rest_bodies
from support.conversation import Conversation, JudgingOutlet, Venue, check_price
from support.outlets import FakeClock, RecordingLink
from support.tapes import EndOfTape, recorded_sessions
from support.twoprices import a_price, same_commands
from support.ways import WideWorld, compare_ways
from support.worlds import KalshiWorld, PolymarketWorld

from arbees_feed.core.events import TopOfBook
from arbees_feed.core.model import EventMeta, MarketId, MarketMeta
from arbees_feed.core.venue import Crawl, Found, Request, Selection
from arbees_feed.core.wire import MarketPrice
from arbees_feed.errors import ProtocolViolation
from arbees_feed.feed.market import MarketsConfig
from arbees_feed.feed.markets import MarketTable
from arbees_feed.venues import VENUES

FAILURES = Path("build/fuzz")
BASES = {"rest": "https://r.test/trade-api/v2", "gamma": "https://g.test", "clob": "https://c.test"}
MOST_REQUESTS = 60
_FRAMES, _LIES = 25, 8


class Trail:
    """What was received in a round, the last of it."""

    def __init__(self) -> None:
        self.inputs: deque[bytes] = deque(maxlen=60)
        self.count = 0

    def note(self, received: bytes) -> bytes:
        self.count += 1
        self.inputs.append(received)
        return received


class Failure(Exception):
    """A round that failed, and the file that tells it."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"fuzz: failed; see {path}")


# -- frames ----------------------------------------------------------------------------------------


@cache
def _tapes() -> Sequence[tuple[str, Any, list[Any]]]:
    named = os.environ.get("ARBEES_CORPUS")
    return list(recorded_sessions(Path(named))) if named else []


def _venue(name: str, random: Random) -> Venue:
    tapes = [(tape, told) for venue, tape, told in _tapes() if venue == name]
    if tapes and random.random() < 0.7:
        tape, told = random.choice(tapes)
        made: Venue = tape(told, random.randrange(len(told)))
        return made
    return (KalshiWorld if name == "kalshi" else PolymarketWorld)(random.randrange(1_000))


def frames(name: str, random: Random, trail: Trail) -> None:
    """Damage what can be seen, and demand the truth; then lie, and demand what always holds."""
    talk = Conversation(name, _venue(name, random))

    def seen(frame: bytes) -> bytes:
        return trail.note(random.choice(mutations.VISIBLE)(frame, random))

    def lied(frame: bytes) -> bytes:
        talk.lied = True
        return trail.note(mutations.mutated(frame, random))

    try:
        for _ in range(_FRAMES):
            talk.step(seen if random.random() < 0.2 else trail.note)
            talk.wait(random.choice((0, 0, 0, 0, 1.5)))
        assert not (wrong := talk.unhealed()), f"not mended: {wrong[:2]}"
        for _ in range(_LIES):
            talk.step(lied)
        talk.wait(12)
    except EndOfTape:
        return


# -- REST ------------------------------------------------------------------------------------------


@cache
def _bodies() -> Mapping[str, Mapping[str, bytes]]:
    return rest_bodies()


@cache
def _recorded_bodies(venue: str) -> Sequence[bytes]:
    named = os.environ.get("ARBEES_CORPUS")
    files = sorted(Path(named, venue, "rest").rglob("*.json")) if named else []
    return [file.read_bytes() for file in files if file.stat().st_size < 20_000]


def _crawls(catalogue: Any) -> Iterator[Crawl]:
    named = [MarketId("1" * 77), MarketId("KXA-1")]
    yield catalogue.universe(Selection(everything=True))
    yield catalogue.universe(Selection(everything=True), 1_795_219_000)
    yield catalogue.universe(
        Selection(markets=("slug",), events=("e",), series=("s",), tags=("t",))
    )
    yield catalogue.universe(Selection(top=3))
    yield catalogue.listing(None)
    yield catalogue.listing(1_795_219_000)
    yield catalogue.lookup(named)
    yield catalogue.tops(None)
    yield catalogue.tops(named)
    yield catalogue.allowance()
    yield catalogue.fees()
    if hasattr(catalogue, "books"):
        yield catalogue.books(named)


def _body(name: str, request: Request, random: Random) -> bytes | None:
    """Answer a request: mostly what belongs there, mostly damaged."""
    if random.random() < 0.05:
        return None
    told = _bodies()[name]
    right = next((body for path, body in told.items() if path in request.url), b"{}")
    if random.random() < 0.1:
        right = random.choice([*told.values(), *_recorded_bodies(name)])
    return mutations.mutated(right, random) if random.random() < 0.8 else right


def rest(name: str, random: Random, trail: Trail) -> None:
    """Answer every crawl of a catalogue; what it finds can be used, whatever was answered."""
    catalogue = VENUES[name].new_catalogue(BASES)

    def judge(market: MarketId) -> JudgingOutlet:
        return JudgingOutlet(lambda quote: check_price(quote, market, name))

    table = MarketTable(judge, MarketsConfig(), monotonic=FakeClock())
    told: list[str] = []
    for crawl in _crawls(catalogue):
        try:
            _drive(crawl, name, random, trail, table)
        except ProtocolViolation as violation:
            told.append(str(violation))
    assert all(len(text) < 1_000 for text in (*told, catalogue.stats.last_problem))


def _drive(crawl: Crawl, name: str, random: Random, trail: Trail, table: MarketTable) -> None:
    answer: bytes | None = None
    requests = 0
    while True:
        try:
            step = crawl.send(answer)
        except StopIteration:
            return
        answer = None
        if isinstance(step, Found):
            _check_found(step, table)
            continue
        requests += 1
        if requests > MOST_REQUESTS:
            return  # whoever drives a crawl may leave it at any time
        answer = _body(name, step, random)
        trail.note(answer or b"")


def _check_found(found: Found, table: MarketTable) -> None:
    for meta in (*found.markets, *found.events):
        assert isinstance(meta, MarketMeta | EventMeta)
        _check_text(meta)
    assert all(isinstance(top, TopOfBook) for top in found.tops)
    table.refresh(found.tops, RecordingLink(), 9)
    for book in getattr(found, "books", ()):
        assert all(isinstance(part, int) for level in (*book.bids, *book.asks) for part in level)


def _check_text(meta: MarketMeta | EventMeta) -> None:
    """What goes to Redis is text that can be encoded, under a name that is there."""
    for value in msgspec.structs.asdict(meta).values():
        if isinstance(value, str):
            value.encode()
        elif isinstance(value, dict):
            assert all(
                isinstance(text, str) and text.encode() is not None for text in value.values()
            )
        else:
            assert isinstance(value, float | tuple)


# -- the reader's side -----------------------------------------------------------------------------

_PRICE = MarketPrice(
    market_id="KXA-1",
    platform="kalshi",
    yes_bid=0.47,
    yes_ask=0.49,
    yes_bid_size=333.0,
    yes_ask_size=80.0,
    last_price=0.48,
    status="live",
    source="book",
    session=1_795_219_200_000_000_000,
    seq=7,
    ts_event_ns=1_795_219_200_470_000_000,
    ts_recv_ns=1_795_219_200_480_000_000,
    ts_pub_ns=1_795_219_200_480_100_000,
)


def price(name: str, random: Random, trail: Trail) -> None:
    """A damaged price is no price, or one that can be used."""
    del name
    for _ in range(20):
        data = trail.note(_damaged_price(random))
        try:
            read = MarketPrice.from_msgpack(data)
        except ValueError:
            continue
        assert isinstance(read.market_id, str)
        assert isinstance(read.yes_bid, float)
        assert all(v is None or isinstance(v, float) for v in (read.mid, read.spread, read.no_bid))
        read.to_msgpack()


def _damaged_price(random: Random) -> bytes:
    if random.random() < 0.5:
        return mutations.any_byte(_PRICE.to_msgpack(), random)
    fields: dict[Any, Any] = msgspec.structs.asdict(_PRICE)
    key = random.choice(list(fields))
    wrong = (None, "x", -1, 2.5, 2**63, {}, [1], b"\xff", float("nan"))
    fields[random.choice((key, "new"))] = random.choice(wrong)
    if random.random() < 0.2:
        del fields[key]
    if random.random() < 0.1:
        return b"\x91" * random.choice((10, 100_000))
    return msgspec.msgpack.encode(fields)


# -- compiled code ---------------------------------------------------------------------------------


def ways(name: str, random: Random, trail: Trail) -> None:
    """Compiled code and the code in Python leave the same behind, whatever comes."""
    tapes = [(tape, told) for venue, tape, told in _tapes() if venue == name]
    world: Venue = WideWorld(random.randrange(1_000))
    if tapes and random.random() < 0.3:
        tape, told = random.choice(tapes)
        world = tape(told, random.randrange(len(told) // 2))
    try:
        for _ in compare_ways(world, random, 6, trail.note):
            pass
    except EndOfTape:
        return


def commands(name: str, random: Random, trail: Trail) -> None:
    """Both write the same bytes of a price, or raise the same error."""
    del name
    for _ in range(100):
        outlet, *rest = a_price(random)
        trail.note(repr((outlet.market, outlet.platform, *rest)).encode())
        same_commands(outlet, *rest)


# -- rounds ----------------------------------------------------------------------------------------

Target = Callable[[str, Random, Trail], None]
TARGETS: Mapping[str, tuple[Target, str]] = {
    "kalshi frames": (frames, "kalshi"),
    "polymarket frames": (frames, "polymarket"),
    "kalshi REST": (rest, "kalshi"),
    "polymarket REST": (rest, "polymarket"),
    "prices": (price, ""),
    "compiled frames": (ways, "kalshi"),
    "compiled prices": (commands, ""),
}


def run_round(target: str, seed: int, folder: Path) -> int:
    """Run one round and return how many inputs it had.

    Raises:
        Failure: something else than ours was raised, or shown; the file tells.
    """
    work, name = TARGETS[target]
    trail = Trail()
    try:
        work(name, Random(f"{target} {seed}"), trail)
    except Exception:  # noqa: BLE001 - whatever it is, it is what was looked for
        raise Failure(_saved(target, seed, trail, folder)) from None
    return trail.count


def _saved(target: str, seed: int, trail: Trail, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{target.replace(' ', '-')}-{seed}.json"
    told = {
        "target": target,
        "seed": seed,
        "error": traceback.format_exc().splitlines(),
        "inputs": [received.decode(errors="backslashreplace") for received in trail.inputs],
    }
    path.write_text(json.dumps(told, indent=1, ensure_ascii=True))
    return path


def run(seconds: float, seed: int, folder: Path = FAILURES) -> Counter[str]:
    """Run rounds of all targets in turn for so long; return how many inputs each had."""
    counts: Counter[str] = Counter()
    end_s = time.monotonic() + seconds
    for number, target in enumerate(cycle(TARGETS)):
        if time.monotonic() >= end_s and number >= len(TARGETS):
            return counts
        counts[target] += run_round(target, seed + number // len(TARGETS), folder)
    raise AssertionError  # a cycle does not end


def _put(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def main() -> int:
    """Run as the environment says; print what was done."""
    try:
        if again := os.environ.get("FUZZ_AGAIN"):
            told = json.loads(Path(again).read_text())
            _put(f"{run_round(told['target'], told['seed'], FAILURES)} inputs: nothing wrong")
            return 0
        seconds = float(os.environ.get("FUZZ_SECONDS", "60"))
        seed = int(os.environ.get("FUZZ_SEED", "1"))
        started_s = time.monotonic()
        counts = run(seconds, seed)
    except Failure as failure:
        _put(str(failure))
        return 1
    took_s = time.monotonic() - started_s
    for target, count in counts.items():
        _put(f"{target:<18} {count:>9,} inputs")
    _put(f"{counts.total():,} inputs in {took_s:.1f} s, {counts.total() / took_s:,.0f} a second")
    return 0


if __name__ == "__main__":
    sys.exit(main())
