"""What compiled code leaves behind is what the code in Python leaves behind, whatever comes."""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import kalshi, mutations
from support.native import needs_compiled
from support.recordings import corpus, frames
from support.ways import ODD, START_NS, Twins, Way, WideWorld, compare_ways
from support.worlds import Frame, Top

from arbees_feed.core.drift import OPENING
from arbees_feed.core.model import MarketId
from arbees_feed.feed.market import MarketsConfig

pytestmark = [needs_compiled, pytest.mark.timeout(120)]

M = MarketId("KXAAA-26NOV21-T1")
KALSHI_READ = 40_000
"""Frames of each recording; the first ones, with the openings."""


def unhurt(frame: bytes) -> bytes:
    return frame


def replayed(*frames_: bytes) -> Way:
    """Let both ways take these after a book's snapshot, and return the compiled one."""
    opening = [kalshi.subscribed(), kalshi.snapshot(1, M, {"0.4800": "3.00"}, {"0.4700": "5.00"})]
    changes = [kalshi.delta(seq, M, "0.4800", "1.00") for seq in range(2, 10)]
    ways = [Way((M,), compiled=compiled) for compiled in (True, False)]
    told = []
    for way in ways:
        way.take([kalshi.encoded(frame) for frame in (*opening, *changes)], START_NS)
        assert way.session._count >= OPENING
        way.left(), way.sent()
        way.short = 0
        told.append((way.take(frames_, START_NS + 1), way.left(), way.sent()))
    assert told[0] == told[1]
    assert ways[1].short == 0
    return ways[0]


# -- streams ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("seeds", [range(n, n + 25) for n in range(0, 100, 25)], ids=str)
def test_frames_of_all_kinds_in_batches_of_any_size_leave_the_same(seeds: range) -> None:
    short = total = violations = 0
    for seed in seeds:
        *_, twins = compare_ways(WideWorld(seed), Random(seed), 12, unhurt)
        short, total = short + twins.short, total + twins.frames
        violations += twins.violations
    assert short > total / 5
    assert violations > 0


@pytest.mark.parametrize("batch", [1, 2, 255, 256, 257, 900])
def test_sampled_frames_go_the_long_way_wherever_a_batch_ends(batch: int) -> None:
    twins = Twins(Steady(3), Random(3))
    while twins.frames < 2_000:
        twins.batch(unhurt, batch)
    way = twins.ways[0]
    count = way.session._count
    assert way.session.stages.decode.count == OPENING + count // 256
    assert way.short == count - OPENING - count // 256


class Steady(WideWorld):
    """Nothing but changes of two books."""

    markets = WideWorld.markets[:2]
    _aside = WideWorld.step


@given(st.data())
def test_any_bytes_leave_the_same(data: st.DataObject) -> None:
    """Fields in any order, of any value; after them a good frame, which tells where both stand."""
    text = st.text(st.sampled_from('0159.-e+ é\\"yesnoK'), max_size=12)
    number = st.integers(-2, 12) | st.integers() | st.floats(allow_nan=False)
    value = st.none() | st.booleans() | number | text.map(str)
    body = kalshi.delta(0, M, "0.4800", "1.00")["msg"]
    changed = st.fixed_dictionaries({}, optional=dict.fromkeys(body, value) | {"new": value})
    told = []
    for seq in range(10, 10 + data.draw(st.integers(1, 4))):
        frame = kalshi.delta(seq, M, "0.4800", "1.00")
        if data.draw(st.booleans()):
            frame["msg"] = dict(data.draw(st.permutations(list(body.items()))))
            frame["msg"] |= data.draw(changed)
        told.append(json.dumps(frame, separators=(",", ":"), ensure_ascii=False).encode())
    replayed(*told)


# -- single frames ---------------------------------------------------------------------------------

PLAIN = kalshi.encoded(kalshi.delta(10, M, "0.4800", "1.00"))


@pytest.mark.parametrize("damage", [*ODD, *dict.fromkeys(mutations.VISIBLE + mutations.SILENT)])
def test_a_frame_told_otherwise_leaves_the_same(damage: Callable[[bytes, Random], bytes]) -> None:
    for seed in range(60):
        random = Random(seed)
        given_ = json.loads(PLAIN) if damage in ODD else PLAIN
        replayed(damage(given_, random), kalshi.encoded(kalshi.delta(11, M, "0.4800", "1.00")))


def test_a_frame_cut_off_anywhere_leaves_the_same() -> None:
    for end in range(len(PLAIN)):
        assert replayed(PLAIN[:end]).short == 0


def test_any_byte_changed_leaves_the_same() -> None:
    short = 0
    for at in range(len(PLAIN)):
        for byte in b'"\\{}[]:,-.0159 e\x00\x1f\x7f\x80\xff':
            short += replayed(PLAIN[:at] + bytes([byte]) + PLAIN[at + 1 :]).short
    assert short > 100, "a digit that is another, or a letter of a name that nobody reads"


@pytest.mark.parametrize(
    ("change", "is_short"),
    [
        (("1.00", "1.00"), True),
        (("1.00", "0.000001"), True),
        (("1.00", "7"), True),
        (("1.00", "-11.00"), True),
        (("1.00", "999999999999.999999"), True),
        (("1.00", "000000000001.00"), True),
        (("1.00", "-11.000001"), False),
        (("1.00", "0.0000001"), False),
        (("1.00", "1.0000000"), False),
        (("1.00", "1000000000000"), False),
        (("1.00", "-0.00"), False),
        (("1.00", "0.00"), False),
        (("1.00", ".5"), False),
        (("1.00", "5."), False),
        (("1.00", "+5"), False),
        (('"1.00"', "1.00"), False),
        (("0.4800", "0.0001"), True),
        (("0.4800", "0.9999"), True),
        (("0.4800", "0.48"), True),
        (("0.4800", "0.0000"), False),
        (("0.4800", "1.0000"), False),
        (("0.4800", "-0.4800"), False),
        (("0.4800", "0.48000"), False),
        (("yes", "no"), True),
        (("yes", "Yes"), False),
        (('"seq":10', '"seq":11'), False),
        (('"seq":10', '"seq":9'), False),
        (('"seq":10', '"seq":10.0'), False),
        (('"seq":10', '"seq":010'), False),
        (('"sid":1', '"sid":2'), False),
        (('"ts_ms":1795219200470', '"ts_ms":0'), False),
        (('"ts_ms":1795219200470', '"ts_ms":9000000000000'), True),
        (('"ts_ms":1795219200470', '"ts_ms":9000000000001'), False),
        ((',"ts_ms":1795219200470', ""), False),
        (('"market_id":"6e7fd39d"', '"market_id":null'), False),
        (('"market_id":"6e7fd39d"', '"new":12'), True),
        (('"market_id":"6e7fd39d"', '"side":"no"'), False),
        (("KXAAA", "KXAÄA"), False),
        (("}}", "}}\n"), False),
        (("}}", ',"a":{}}}'), False),
    ],
)
def test_which_frames_go_the_short_way(change: tuple[str, str], is_short: bool) -> None:  # noqa: FBT001
    """What is declined costs time only; that nothing else is, is what the short way is for."""
    assert PLAIN.count(change[0].encode()) >= 1
    told = PLAIN.decode().replace(*change).encode()
    assert replayed(told).short == is_short


# -- when it is not used ---------------------------------------------------------------------------


def test_with_depth_published_each_change_is_looked_at() -> None:
    assert MarketsConfig().use_compiled
    assert not MarketsConfig(depth=True).use_compiled
    assert not MarketsConfig(compiled=False).use_compiled


# -- recordings ------------------------------------------------------------------------------------

_SEQ = re.compile(rb'"seq":\d+')


def recorded(path: Path) -> Iterator[bytes]:
    """Yield what the venue sent; where other markets' frames were left out, with new numbers."""
    if "gold15m" not in path.parts:
        yield from frames(path)
        return
    seq = 0
    for line in frames(path):
        frame = line[line.index(b'"event":') + 8 : -1]
        if b'"orderbook_' in frame:
            seq += 1
            frame = _SEQ.sub(b'"seq":%d' % seq, frame, count=1)
        yield frame


def recordings() -> list[Path]:
    folder = corpus() / "kalshi"
    return [*sorted(folder.glob("*15m/*json*.gz")), folder / "shreyas_btc_hourly_20260418.jsonl"]


def connections(told: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Split a recording where a channel is subscribed a second time."""
    current: list[bytes] = []
    channels: set[str] = set()
    for frame in told:
        if b'"type":"subscribed"' in frame:
            channel = json.loads(frame)["msg"]["channel"]
            if channel in channels:
                yield current
                current, channels = [], set()
            channels.add(channel)
        current.append(frame)
    yield current


def test_recorded_frames_leave_the_same() -> None:
    """All recordings of books: in batches of any size, both ways end with the same, each time."""
    short = total = 0
    for path in recordings():
        random = Random(path.name)
        for told in connections(islice(recorded(path), KALSHI_READ)):
            twins = Twins(Tape(told), random)
            while told:
                batch = random.choice((1, 10, 100, 1_000))
                twins.take(told[:batch])
                del told[:batch]
            assert twins.violations == 0
            short, total = short + twins.short, total + twins.frames
    assert total > 200_000
    assert short > total * 0.9


class Tape:
    """A venue that answers nothing: what it says was recorded."""

    def __init__(self, told: Iterable[bytes]) -> None:
        books = [json.loads(frame)["msg"] for frame in told if b'"orderbook_snapshot"' in frame]
        self.markets = sorted({MarketId(book["market_ticker"]) for book in books})

    def connected(self) -> None: ...

    def answer(self, _command: bytes) -> list[Frame]:
        return []

    def step(self) -> Frame:
        raise NotImplementedError

    def top(self, market: MarketId) -> Top:
        raise NotImplementedError
