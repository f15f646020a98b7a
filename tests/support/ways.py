"""The path of a frame, twice: one session with compiled code and one without, fed the same frames.

After each batch all that is left behind is compared: books, counters, quotes and what was settled,
in order, frames kept and frames sent.
"""

import json
from collections.abc import Callable, Generator, Iterator, Sequence
from random import Random
from types import coroutine
from typing import Any
from unittest import mock

import msgspec

from arbees_feed.core.book import Ladder, OrderBook
from arbees_feed.core.model import MarketId, Quote
from arbees_feed.core.venue import DecoderOptions
from arbees_feed.errors import ProtocolViolation
from arbees_feed.feed import markets
from arbees_feed.feed.flight import FlightRecorder
from arbees_feed.feed.market import Hooks, Market, MarketsConfig
from arbees_feed.feed.markets import MarketTable
from arbees_feed.feed.session import Session
from arbees_feed.feed.showcase import Showcase
from arbees_feed.venues.kalshi.decoder import KalshiDecoder
from support import kalshi, mutations
from support.conversation import Venue
from support.outlets import FakeClock
from support.worlds import Frame, KalshiWorld

START_NS = 1_795_219_200_000_000_000
BATCHES = (1, 1, 2, 3, 7, 40, 300)
"""How many frames a wake-up brings; 300 has a sampled one in it, wherever it begins."""
_OPTIONS = DecoderOptions(lifecycle=True, tickers=True, trades=True)


class Wire:
    """A connection that is handed its frames by whoever drives the session."""

    def __init__(self) -> None:
        self.received_ns = 0
        self.last_life_s = 0.0
        self.close_reason = ""
        self.sent: list[bytes] = []

    @coroutine
    def receive(self) -> Generator[None, Sequence[bytes], Sequence[bytes]]:
        return (yield)

    async def send(self, frame: bytes) -> None:
        self.sent.append(frame)


class _Log:
    """What happened since the last look."""

    def __init__(self) -> None:
        self.quotes: list[tuple[MarketId, Quote]] = []
        self.settled: list[tuple[MarketId, int]] = []
        self.told: list[tuple[Any, ...]] = []

    def take(self) -> dict[str, Any]:
        taken = dict(vars(self))
        self.__init__()  # type: ignore[misc]
        return taken


class _LoggingOutlet:
    def __init__(self, market: MarketId, log: _Log) -> None:
        self._market, self._log = market, log

    def put(self, quote: Quote) -> None:
        self._log.quotes.append((self._market, quote))

    def put_trade(self, *trade: object) -> None:
        self._log.told.append(trade)

    def put_depth(self, *depth: object) -> None:
        raise AssertionError(depth)


def _table(log: _Log, clock: FakeClock, *, compiled: bool) -> MarketTable:
    class Logged(Showcase):
        def settle(self, market: Market, recv_ns: int) -> None:
            log.settled.append((market.id, recv_ns))
            super().settle(market, recv_ns)

    hooks = Hooks(
        on_notice=lambda text: log.told.append(("notice", text)),
        on_lost=lambda *lost: log.told.append(("lost", *lost)),
        on_decision=lambda *made: log.told.append(made),
    )
    config = MarketsConfig(trades=True, compiled=compiled)
    with mock.patch.object(markets, "Showcase", Logged):
        return MarketTable(
            lambda market: _LoggingOutlet(market, log), config, monotonic=clock, hooks=hooks
        )


class Way:
    """A session over a table of its own, driven without an event loop."""

    def __init__(self, names: Sequence[MarketId], *, compiled: bool) -> None:
        self.clock = FakeClock()
        self.log = _Log()
        self.table = _table(self.log, self.clock, compiled=compiled)
        self._names = names
        self.short = 0
        """How many frames went the short way."""
        self.connect()

    def connect(self) -> None:
        """Begin a session, as after any loss."""
        self.wire = Wire()
        self.decoder = KalshiDecoder(_OPTIONS)
        self.session = session = Session(
            self.wire, self.decoder, self.table, silence_timeout_s=30.0, monotonic=self.clock
        )
        session.flight = FlightRecorder("kalshi", "kalshi-0", _OPTIONS, self._names)
        self._count_short(session)
        self.decoder.tick(self.clock.now_s)
        self.decoder.start(self._names)
        self._running = session._receive()
        self._running.send(None)

    def _count_short(self, session: Session) -> None:
        take_changes = session._take_changes

        def counted(frames: Sequence[bytes], at: int, received_ns: int) -> int:
            done = take_changes(frames, at, received_ns)
            self.short += done
            return done

        session._take_changes = counted  # type: ignore[method-assign]

    def take(self, frames: Sequence[bytes], recv_ns: int) -> str:
        """Handle what a wake-up brought; return why the connection was given up, if it was."""
        self.wire.received_ns = recv_ns
        try:
            self._running.send(frames)  # type: ignore[arg-type]
        except ProtocolViolation as violation:
            self.lose(str(violation))
            return str(violation)
        return ""

    def lose(self, reason: str) -> None:
        """Give the connection up and begin anew."""
        self.table.lose(self.session, reason)
        self._running.close()
        self.session.dismantle()
        self.connect()

    def tick(self, seconds: float, recv_ns: int) -> None:
        """Let time pass."""
        self.clock.now_s += seconds
        self.session._feel_pulse(self.clock.now_s)
        try:
            events = self.decoder.tick(self.clock.now_s)
        except ProtocolViolation as violation:
            self.lose(str(violation))
            return
        self.table.apply(events, self.session, recv_ns)
        self.table.check(self.clock.now_s, recv_ns)

    def sent(self) -> list[bytes]:
        """Return what was sent since the last look."""
        sent, self.wire.sent = self.wire.sent + self.decoder.outbox, []
        self.decoder.outbox.clear()
        return sent

    def left(self) -> dict[str, Any]:
        """Return all that the frames have left behind, and forget what happened."""
        session, flight = self.session, self.session.flight
        assert flight is not None
        kept = list(flight.ring)
        flight.ring._frames.clear()
        return {
            "markets": [_market(market, session) for market in self.table],
            "table": msgspec.structs.asdict(self.table.stats),
            "decoder": msgspec.structs.asdict(self.decoder.stats),
            "trackers": {sid: tracker.last for sid, tracker in self.decoder._trackers.items()},
            "kept": kept,
            "session": (session._count, session._data, session._plain, list(session.recent)),
            "timed": (session.stages.decode.count, session.stages.apply.count),
            "age": (vars(session.age), session.stages.arrival._counts, vars(session.pulse)),
            **self.log.take(),
        }


def _market(market: Market, session: Session) -> dict[str, Any]:
    told: dict[str, Any] = {name: getattr(market, name) for name in Market.__slots__}
    del told["outlet"], told["watch"]
    for name in ("book_link", "ticker_link", "paused_by"):
        told[name] = None if told[name] is None else told[name] is session
    assert type(market.changes) is type(market.ts_ns) is int
    return told | {"book": market.book and _book(market.book)}


def _book(book: OrderBook) -> tuple[Any, ...]:
    return book.state, book.reason, *_ladder(book.bids), *_ladder(book.asks)


def _ladder(ladder: Ladder) -> tuple[list[int], list[tuple[int, int]]]:
    levels = list(ladder.sizes.items())
    assert ladder.keys == sorted(ladder.sizes)
    assert all(type(number) is int for level in levels for number in level)
    return list(ladder.keys), levels


class Twins:
    """Both ways, in conversation with the same venue."""

    def __init__(self, world: Venue, random: Random) -> None:
        self.world = world
        self._random = random
        self._last = b"{}"
        self._now_ns = START_NS
        self.frames = 0
        self.violations = 0
        self.faults = 0.0
        """The share of frames that come twice, and of those out of sequence."""
        world.connected()
        self.ways = tuple(Way(world.markets, compiled=compiled) for compiled in (True, False))
        self._answer()

    @property
    def short(self) -> int:
        """How many frames went the short way where there is one."""
        assert self.ways[1].short == 0
        return self.ways[0].short

    def batch(self, damage: Callable[[bytes], bytes], count: int) -> None:
        """Let both take so many of the venue's next frames, faulty ones among them."""
        self.take([damage(self._next_frame()) for _ in range(count)])
        self._answer()

    def _next_frame(self) -> bytes:
        if self._random.random() < self.faults:
            return self._last  # once more
        frame = self.world.step()
        assert isinstance(frame, dict)
        if self._random.random() < self.faults:
            frame = {**frame, self._random.choice(("sid", "seq")): self._random.randrange(10)}
        self._last = msgspec.json.encode(frame)
        return self._last

    def take(self, frames: Sequence[bytes]) -> None:
        """Let both take these in one go, and compare."""
        self._now_ns += 1_000_000
        self.frames += len(frames)
        first, second = [way.take(frames, self._now_ns) for way in self.ways]
        assert first == second
        if first:
            self.violations += 1
            self.world.connected()
        self.compare()

    def compare(self) -> None:
        """Compare all there is."""
        compiled, plain = [way.left() for way in self.ways]
        for name, left in plain.items():
            assert compiled[name] == left, name

    def _answer(self) -> None:
        while True:
            sent = [way.sent() for way in self.ways]
            assert sent[0] == sent[1]
            if not sent[0]:
                return
            told: list[Frame] = [frame for asked in sent[0] for frame in self.world.answer(asked)]
            self.take([msgspec.json.encode(frame) for frame in told])

    def happen(self) -> None:
        """Do what is done to a session beside its frames: mostly, time passes."""
        market = self._random.choice(self.world.markets)
        done = self._random.randrange(20)
        waited_s = self._random.choice((0.25, 0.25, 1.5, 6.0))
        if done == 0:
            self.world.connected()
        for way in self.ways:
            known = way.table.get(market)
            if done == 0:
                way.lose("somebody pulled the plug")
            elif done == 1 and known is not None:
                way.table.disprove(known, "another book", self._now_ns)
            else:
                way.tick(waited_s, self._now_ns)
        self._answer()
        self.compare()


# -- frames that are not as usual ------------------------------------------------------------------


class WideWorld(KalshiWorld):
    """More names and prices, finer sizes, and other frames in between; its books are its deltas."""

    markets = (*KalshiWorld.markets, *map(MarketId, ("KX-É", "KX☃", 'KX"\\', "", "K" * 300)))

    def step(self) -> Frame:
        if self._random.random() < 0.01:
            return self._aside()
        self.clock_ms += self._random.choice((0, 0, 1, 250))
        plain = self._random.random() < 0.9
        market = self._random.choice(self.markets[:2] if plain else self.markets)
        side = self._random.randrange(2)
        prices = (1, 17, 4_700, 4_800, 5_150, 5_200, 9_999)
        price = self._random.choice((*prices, self._random.randrange(1, 10_000)))
        before = self.levels[market][side].get(price, 0)
        others = [size for size in (0, 0, 1, 4_200, 100_000, 10**9) if size != before]
        return self._changed(market, side, price, self._random.choice(others))

    def _aside(self) -> Frame:
        """Return a frame that changes no book; some are in sequence."""
        told = (
            lambda: kalshi.ok(self._next(), 1, 77),
            lambda: self.snapshot(self._random.choice(self.markets)),
            lambda: kalshi.ticker(self.markets[0], ts_ms=self.clock_ms),
            lambda: kalshi.ticker("KX-OTHER", ts_ms=self.clock_ms),
            lambda: kalshi.trade(1, self.markets[1]),
            lambda: kalshi.delta(self._next(), "KX-OTHER", "0.4800", "1.00"),
        )
        return self._random.choice(told)()


_TEXTS = (
    *("0.48", ".48", "0.", "0.480000", "0.48000000000", "00.4800", "0.4801", "0.48001", "1", "0"),
    *("1.0000", "0.0000", "-0.48", "-0.00", "+1", "1e1", "1_0", " 1", "", "-", ".", "0.000001"),
    *("0.0000001", "-0.000001", "999999999999.999999", "9999999999999", "-999999999999", "9" * 31),
    *("1000000000000", "-1000000000000", "1000000000000.000001", "9" * 40, "٣", "1.00\x00"),
)
_NUMBERS = (
    *("0", "-0", "-1", "1.0", "1e0", "7", "01", "9000000000000", "9000000000001", "99999999999999"),
    *(str(2**53), str(2**63 - 1), str(2**63), str(10**17), str(10**17 - 1), "1" * 400, "1.5"),
    *("null", "true", '"1"', "[]", "{}", "NaN"),
)
_BODY = ("market_ticker", "price_dollars", "delta_fp", "side", "ts", "ts_ms", "new")
_PLACES = (*_BODY, "sid", "seq", "type", "id", "msg")


def _dumped(tree: Any, **options: Any) -> bytes:
    return json.dumps(tree, **{"separators": (",", ":"), **options}).encode()


def _other_space(tree: Any, random: Random) -> bytes:
    options = random.choice(({"separators": (", ", ": ")}, {"indent": 1}))
    text = _dumped(tree, **options)
    return random.choice((text, _dumped(tree) + b"\n", b" " + _dumped(tree), _dumped(tree) + b" "))


def _other_order(tree: Any, random: Random) -> bytes:
    def shuffled(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {key: shuffled(value[key]) for key in random.sample(list(value), len(value))}

    return _dumped(shuffled(tree), ensure_ascii=random.random() < 0.5)


def _escaped(tree: Any, random: Random) -> bytes:
    text = _dumped(tree).decode()
    place = random.choice([i for i, char in enumerate(text) if char.isalpha()])
    return f"{text[:place]}\\u{ord(text[place]):04x}{text[place + 1 :]}".encode()


def _other_value(tree: Any, random: Random) -> bytes:
    """Put another text or number in the place of one."""
    name = random.choice(_PLACES)
    mark = "@@"
    body = tree["msg"] if name in _BODY and isinstance(tree.get("msg"), dict) else tree
    body[name] = mark
    wanted = random.choice((*_NUMBERS, *(json.dumps(text) for text in _TEXTS)))
    return _dumped(tree).replace(b'"@@"', wanted.encode())


def _once_more(tree: Any, random: Random) -> bytes:
    """Name a field a second time, in front or at the end, with the same value or another."""
    places = [tree, *(value for value in tree.values() if isinstance(value, dict) and value)]
    inner = random.choice(places)
    name = random.choice(list(inner))
    value = random.choice((_dumped(inner[name]), b"1", b'"no"', b'"1.00"', b"{}"))
    field = _dumped(name) + b":" + value
    text = _dumped(inner)
    twice = random.choice((b"{%b,%b" % (field, text[1:]), b"%b,%b}" % (text[:-1], field)))
    return _dumped(tree).replace(text, twice, 1)


def _one_less(tree: Any, random: Random) -> bytes:
    inner = random.choice([tree, *(v for v in tree.values() if isinstance(v, dict) and v)])
    del inner[random.choice(list(inner))]
    return _dumped(tree)


def _fine_change(tree: Any, random: Random) -> bytes:
    """A good price and change, written in one of many ways."""
    if isinstance(body := tree.get("msg"), dict) and "delta_fp" in body:
        body["delta_fp"] = random.choice(("0.000001", "1.5", "12", "0.25000", "-0.5", *_TEXTS))
        body["price_dollars"] = random.choice(("0.4801", "0.48", "0.0001", "0.9999", "0.5150"))
    return _dumped(tree)


ODD = (
    _other_space,
    _other_order,
    _escaped,
    _other_value,
    _other_value,
    _other_value,
    _once_more,
    _one_less,
    _fine_change,
)
"""Ways to say a frame otherwise, or something else; what is legal JSON stays so, mostly."""


def odd(frame: bytes, random: Random) -> bytes:
    """Return a frame as another writer, or a broken one, would have told it."""
    if random.random() < 0.3:
        return mutations.mutated(frame, random)
    try:
        return random.choice(ODD)(json.loads(frame), random)
    except (ValueError, IndexError, AttributeError):
        return frame


def damaged(random: Random, share: float) -> Callable[[bytes], bytes]:
    """Return what makes a share of all frames odd."""

    def damage(frame: bytes) -> bytes:
        return odd(frame, random) if random.random() < share else frame

    return damage


def compare_ways(
    world: Venue, random: Random, batches: int, note: Callable[[bytes], bytes]
) -> Iterator[Twins]:
    """Let both ways take batches of frames, some odd; yield them after each."""
    twins = Twins(world, random)
    hurt = damaged(random, random.choice((0.0, 0.01, 0.1)))
    twins.faults = random.choice((0.0, 0.002))
    for _ in range(batches):
        twins.batch(lambda frame: note(hurt(frame)), random.choice(BATCHES))
        twins.happen()
        yield twins
