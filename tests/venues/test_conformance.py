"""What every venue's decoder must do unasked, driven by small worlds that know the truth."""

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.outlets import FakeClock, Outlets, RecordingLink, table_over
from support.worlds import Frame, KalshiWorld, PolymarketWorld, World

from arbees_feed.core.book import BookState
from arbees_feed.core.events import BookLost, Event
from arbees_feed.core.model import MarketId, Quote, Status
from arbees_feed.core.venue import Decoder, DecoderOptions
from arbees_feed.core.wire import price_of
from arbees_feed.errors import ProtocolViolation
from arbees_feed.venues import VENUES

WORLDS: Mapping[str, Callable[[int], World]] = {
    "kalshi": KalshiWorld,
    "polymarket": PolymarketWorld,
}
OPTIONS = DecoderOptions(lifecycle=True)
SEQUENCED = ["kalshi"]

pytestmark = pytest.mark.parametrize("venue", VENUES)


class Driver:
    """A decoder and a table of markets, in conversation with a world; reconnects when it must."""

    def __init__(self, venue: str, seed: int = 1, *, told: str = "sizes") -> None:
        self.spec = VENUES[venue]
        self.world = WORLDS[venue](seed)
        self.clock = FakeClock()
        self.outlets = Outlets()
        self.table = table_over(self.outlets, self.clock)
        self.told = told
        self.violations: list[str] = []
        self.events: list[Event] = []
        self.asked: list[bytes] = []
        self.connect()

    def connect(self) -> None:
        """Begin anew, as after any loss."""
        self.world.connected()
        self.decoder: Decoder = self.spec.new_decoder(OPTIONS)
        self.link = RecordingLink(self.decoder)
        self.decoder.tick(self.clock.now_s)
        self.decoder.start(self.world.markets)
        self.answer()

    def answer(self) -> None:
        """Let the world answer what the decoder asks."""
        while self.decoder.outbox:
            command = self.decoder.outbox.pop(0)
            self.asked.append(command)
            for frame in self.world.answer(command):
                self.feed(msgspec.json.encode(frame))

    def feed(self, frame: bytes) -> None:
        """One frame, and everything that follows from it."""
        before = self.counts()
        try:
            events = self.decoder.receive(frame)
        except ProtocolViolation as violation:
            self.violations.append(str(violation))
            self.table.lose(self.link, str(violation))
            self.connect()
            return
        self.events += events
        self.table.apply(events, self.link, 7)
        self.check(before)
        self.answer()

    def step(self) -> None:
        self.feed(msgspec.json.encode(self.world.step()))

    def steps(self, count: int) -> None:
        for _ in range(count):
            self.step()

    def wait(self, seconds: float) -> None:
        """Let time pass in ticks."""
        for _ in range(int(seconds * 4)):
            self.clock.now_s += 0.25
            try:
                events = self.decoder.tick(self.clock.now_s)
            except ProtocolViolation as violation:
                self.violations.append(str(violation))
                self.table.lose(self.link, str(violation))
                self.connect()
                continue
            before = self.counts()
            self.table.apply(events, self.link, 7)
            self.table.check(self.clock.now_s, 8)
            self.check(before)
            self.answer()

    def counts(self) -> dict[MarketId, int]:
        return {market: len(outlet.quotes) for market, outlet in self.outlets.items()}

    def check(self, before: Mapping[MarketId, int]) -> None:
        """Every quote can be sent, and every live one of our markets is true at this moment."""
        for market, outlet in self.outlets.items():
            for quote in outlet.quotes[before.get(market, 0) :]:
                price_of(quote, market, self.spec.name, 1, 1, 1).to_msgpack()
                if quote.status is Status.LIVE:
                    self.check_live(market, quote)

    def check_live(self, market: MarketId, quote: Quote) -> None:
        assert 0 <= quote.bid < quote.ask <= 10_000
        assert quote.bid_size >= 0
        assert quote.ask_size >= 0
        if self.told == "nothing" or market not in self.world.markets:
            return
        bid, bid_size, ask, ask_size = self.world.top(market)
        assert (quote.bid, quote.ask) == (bid, ask)
        if self.told == "sizes":
            assert (quote.bid_size, quote.ask_size) == (bid_size, ask_size)

    def books(self) -> dict[MarketId, Any]:
        return {market.id: market.book.depth(99) for market in self.table if market.book}

    def assert_healed(self) -> None:
        """After some time and some changes, everything is live and true again."""
        self.wait(12)
        self.steps(6)
        self.wait(12)
        for market in self.world.markets:
            quote = self.outlets[market].quotes[-1]
            assert quote.status is Status.LIVE
            shown = (quote.bid, quote.bid_size, quote.ask, quote.ask_size)
            assert shown == self.world.top(market)


def test_every_venue_has_a_world(venue: str) -> None:
    assert venue in WORLDS


def test_a_fresh_decoder_with_markets_has_a_frame_to_send(venue: str) -> None:
    decoder = VENUES[venue].new_decoder(OPTIONS)
    assert decoder.outbox == []
    decoder.start(WORLDS[venue](1).markets)
    assert decoder.outbox
    assert all(isinstance(frame, bytes) for frame in decoder.outbox)


@pytest.mark.parametrize("seed", range(5))
def test_every_price_on_the_way_is_true(venue: str, seed: int) -> None:
    driver = Driver(venue, seed)
    driver.steps(200)
    assert driver.violations == []
    assert driver.link.resyncs == []
    assert all(len(driver.outlets[market].quotes) > 10 for market in driver.world.markets)
    driver.assert_healed()
    assert [q.status for o in driver.outlets.values() for q in o.quotes].count(Status.STALE) == 0


def test_nothing_applies_before_the_snapshot(venue: str) -> None:
    world, outlets, clock = WORLDS[venue](1), Outlets(), FakeClock()
    world.connected()
    table, decoder = table_over(outlets, clock), VENUES[venue].new_decoder(OPTIONS)
    decoder.start(world.markets)
    for _ in range(50):
        table.apply(decoder.receive(msgspec.json.encode(world.step())), RecordingLink(decoder), 1)
    assert outlets == {}
    assert all(m.book is None or m.book.state is BookState.EMPTY for m in table)


def test_every_frame_twice_gives_the_same_books_as_once(venue: str) -> None:
    once, twice = Driver(venue), Driver(venue)
    for _ in range(100):
        once.step()
        frame = msgspec.json.encode(twice.world.step())
        twice.feed(frame)
        twice.feed(frame)
    assert once.books() == twice.books()
    for market in once.world.markets:
        assert once.outlets[market].quotes == twice.outlets[market].quotes
    assert twice.link.resyncs == []


@pytest.mark.parametrize("missing", range(12))
def test_a_frame_left_out_is_noticed_or_does_not_matter(venue: str, missing: int) -> None:
    """With a sequence any loss is; without one, any that would show a wrong price."""
    driver = Driver(venue, told="sizes" if venue in SEQUENCED else "prices")
    driver.steps(missing)
    frames = [msgspec.json.encode(driver.world.step()) for _ in range(2)]
    driver.wait(3)
    driver.asked.clear()
    driver.feed(frames[1])
    if venue in SEQUENCED:
        lost = {event.market for event in driver.events if isinstance(event, BookLost)}
        assert lost == set(driver.world.markets)
        assert driver.asked
    driver.steps(30)
    if venue in SEQUENCED:
        driver.assert_healed()


@pytest.mark.parametrize("missing", range(40))
def test_a_lost_change_of_the_best_price_holds_the_price_until_it_is_mended(
    venue: str, missing: int
) -> None:
    driver = Driver(venue, seed=3, told="prices")
    driver.steps(missing)
    before = {market: driver.world.top(market)[::2] for market in driver.world.markets}
    driver.world.step()
    changed = [m for m in driver.world.markets if driver.world.top(m)[::2] != before[m]]
    driver.wait(3)
    driver.asked.clear()
    if not changed:
        return
    for _ in range(20):
        driver.step()
        driver.wait(1.25)
    assert any(command != b"PING" for command in driver.asked)
    driver.told = "sizes"
    driver.assert_healed()


def test_a_second_decoder_knows_nothing_of_the_first(venue: str) -> None:
    first, second = Driver(venue), VENUES[venue].new_decoder(OPTIONS)
    first.steps(5)
    assert second.outbox == []
    assert second.stats.frames == 0
    fresh = VENUES[venue].new_decoder(OPTIONS)
    for decoder in (second, fresh):
        decoder.start(first.world.markets)
    assert second.outbox == fresh.outbox


def test_an_unknown_kind_is_counted_and_no_event(venue: str) -> None:
    driver = Driver(venue)
    frame = {"type": "from_next_year", "event_type": "from_next_year", "msg": [1]}
    assert list(driver.decoder.receive(msgspec.json.encode(frame))) == []
    assert driver.decoder.stats.unknown_kind_names == {"from_next_year": 1}


def test_unknown_fields_are_ignored(venue: str) -> None:
    driver = Driver(venue)
    for _ in range(10):
        frame = driver.world.step()
        assert isinstance(frame, dict)
        driver.feed(msgspec.json.encode(frame | {"new": {"a": [1, None]}, "zzz": "x"}))
    assert (driver.decoder.stats.malformed, driver.decoder.stats.unknown_kinds) == (0, 0)


# -- damage --------------------------------------------------------------------------------------


def frames_of(driver: Driver) -> list[Frame]:
    """Return one frame of each kind, the next in sequence, each good."""
    world = driver.world
    opening = WORLDS[driver.spec.name](9)
    opening.connected()
    decoder = driver.spec.new_decoder(OPTIONS)
    decoder.start(world.markets)
    said = [frame for command in decoder.outbox for frame in opening.answer(command)]
    return [*said, world.step(), *world.other_frames()]


KINDS = 14
WRONG = [
    *(None, True, 0, -1, 7, 1.5, 10**30, -(10**30), "", "x", "NaN", "Infinity", "-Infinity"),
    *("1e3", "-5", "9" * 400, "0.123456789", "٣", [], {}, [[]], ["0.5", "1"], {"price": "0.5"}),
]
# Another market, kind or subscription is no damage that anyone can see.
IDENTITIES = {"market_ticker", "asset_id", "type", "event_type", "assets_ids", "channel"}
# A wrong change of size, with the right sign, is one of them too.
LIES = [("delta_fp", "-5"), ("ts_ms", 0), ("ts_ms", 7)]


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every value in a frame."""
    if path:
        yield path
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from leaves(value[key], (*path, key))


def with_value(frame: Frame, path: tuple[Any, ...], value: object) -> Frame:
    changed: Any = copy.deepcopy(frame)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return changed  # type: ignore[no-any-return]


def without(frame: Frame, path: tuple[Any, ...]) -> Frame:
    changed: Any = copy.deepcopy(frame)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return changed  # type: ignore[no-any-return]


@pytest.mark.parametrize("kind", range(KINDS))
def test_a_wrong_value_anywhere_never_makes_a_wrong_price(venue: str, kind: int) -> None:
    count = len(frames_of(Driver(venue)))
    assert count <= KINDS
    if kind >= count:
        return
    frame = frames_of(Driver(venue))[kind]
    for path in leaves(frame):
        for wrong in WRONG:
            driver = Driver(venue, told="nothing")
            frame = frames_of(driver)[kind]
            driver.feed(msgspec.json.encode(with_value(frame, path, wrong)))
            driver.steps(3)
            assert all(isinstance(text, str) for text in driver.violations)


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: repr(wrong)[:20])
def test_a_change_with_a_wrong_value_is_confined_and_mended(venue: str, wrong: object) -> None:
    sample = Driver(venue).world.step()
    for path in leaves(sample):
        if path[-1] in IDENTITIES or (path[-1], wrong) in LIES or not plausible(path, wrong):
            continue
        driver = Driver(venue)
        driver.steps(3)
        driver.wait(3)
        driver.feed(msgspec.json.encode(with_value(driver.world.step(), path, wrong)))
        driver.steps(3)
        driver.assert_healed()


def plausible(path: tuple[Any, ...], wrong: object) -> bool:
    """Leave out what says something else, well: optional fields, and an array without entries."""
    return not (path[-1] == "price_changes" and wrong in ([], None))


def test_a_change_without_one_of_its_fields_is_confined_and_mended(venue: str) -> None:
    for path in leaves(Driver(venue).world.step()):
        if path[-1] in IDENTITIES or isinstance(path[-1], int):
            continue
        driver = Driver(venue)
        driver.wait(3)
        driver.feed(msgspec.json.encode(without(driver.world.step(), path)))
        driver.steps(3)
        driver.assert_healed()


def test_a_frame_cut_off_at_any_byte_is_a_violation_and_heals(venue: str) -> None:
    for cut in range(1, len(msgspec.json.encode(Driver(venue).world.step()))):
        driver = Driver(venue)
        driver.feed(msgspec.json.encode(driver.world.step())[:cut])
        assert len(driver.violations) == 1
        driver.steps(2)
        assert driver.books().keys() == set(driver.world.markets)
    driver.assert_healed()


@pytest.mark.parametrize(
    "junk",
    [
        b"\x00",
        b"\xff" * 64,
        b"\x89PNG\r\n\x1a\n",
        b"<html><body>502 Bad Gateway</body></html>" * 9,
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b"[[[]]]",
        b"A" * 1_000_000,
        b"[" + b"0," * 500_000 + b"0]",
        b'{"type":"ticker","event_type":"book","x":"' + b"y" * 1_000_000 + b'"}',
        b"1" * 1_000_000,
        b'"' + b"\\ud800" + b'"' * 300,
    ],
    ids=lambda junk: repr(junk[:16]),
)
def test_junk_is_a_violation_and_heals(venue: str, junk: bytes) -> None:
    driver = Driver(venue)
    driver.feed(junk)
    assert len(driver.violations) == 1
    assert len(driver.violations[0]) < 2_000
    driver.steps(3)
    driver.assert_healed()


EDITS = st.lists(
    st.tuples(
        st.sampled_from(["replace", "insert", "delete", "double"]),
        st.integers(0, 2_000),
        st.binary(min_size=1, max_size=6)
        | st.sampled_from([b'"', b"{", b"}", b"[", b"]", b",", b"-", b".", b"e9", b"null", b"0"]),
    ),
    min_size=1,
    max_size=3,
)


def edited(frame: bytes, edits: list[tuple[str, int, bytes]]) -> bytes:
    for what, place, text in edits:
        at = place % (len(frame) + 1)
        if what == "insert":
            frame = frame[:at] + text + frame[at:]
        elif what == "delete":
            frame = frame[:at] + frame[at + len(text) :]
        elif what == "replace":
            frame = frame[:at] + text + frame[at + len(text) :]
        else:
            frame = frame[:at] + frame[at:] * 2
    return frame


@settings(max_examples=250, deadline=None)
@given(kind=st.integers(0, KINDS - 1), edits=EDITS)
def test_a_damaged_frame_is_a_violation_or_confined_events(
    venue: str, kind: int, edits: list[tuple[str, int, bytes]]
) -> None:
    """A changed digit is a lie that nobody can see; whatever is shown can still be sent."""
    driver = Driver(venue, told="nothing")
    frames = frames_of(driver)
    driver.feed(edited(msgspec.json.encode(frames[kind % len(frames)]), edits))
    driver.steps(4)
    driver.wait(2)


@settings(max_examples=150, deadline=None)
@given(frame=st.binary(max_size=200))
def test_any_bytes_are_a_violation_or_harmless(venue: str, frame: bytes) -> None:
    driver = Driver(venue)
    driver.feed(frame)
    driver.steps(2)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(kind=st.integers(0, KINDS - 1), place=st.integers(0, 60), value=JSON)
def test_any_json_in_any_field_is_a_violation_or_confined_events(
    venue: str, kind: int, place: int, value: object
) -> None:
    driver = Driver(venue, told="nothing")
    frames = frames_of(driver)
    frame = frames[kind % len(frames)]
    paths = list(leaves(frame))
    driver.feed(msgspec.json.encode(with_value(frame, paths[place % len(paths)], value)))
    driver.steps(3)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 99),
    faults=st.lists(
        st.sampled_from(["good", "good", "good", "lose", "twice", "cut", "junk", "wait"]),
        max_size=40,
    ),
)
def test_after_any_faults_every_live_price_is_true(
    venue: str, seed: int, faults: list[str]
) -> None:
    driver = Driver(venue, seed, told="sizes" if venue in SEQUENCED else "prices")
    for fault in faults:
        if fault == "wait":
            driver.wait(1.5)
            continue
        frame = msgspec.json.encode(driver.world.step())
        if fault == "cut":
            frame = frame[: len(frame) // 2]
        elif fault == "junk":
            frame = b"\x00junk"
        for _ in range({"lose": 0, "twice": 2}.get(fault, 1)):
            driver.feed(frame)
