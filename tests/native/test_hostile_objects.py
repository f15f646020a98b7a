"""Objects that are not what compiled code expects: it declines or raises, and goes on living.

What it declines it leaves untouched; for the rest, the same is left as by the code in Python.
"""

import gc
import sys
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from support import kalshi
from support.native import named, needs_compiled

from arbees_feed.core.book import LIVE, BookState, Ladder, OrderBook
from arbees_feed.core.sequence import SequenceTracker
from arbees_feed.feed.market import Market
from arbees_feed.native import compiled

pytestmark = needs_compiled

M = "KXAAA"
RECV_NS = 1_795_219_200_480_000_000
TOP, BELOW = 4_800, 4_700


class Stand:
    """A market of two bids and the compiled code round it."""

    def __init__(self) -> None:
        assert compiled is not None
        self.link = object()
        self.tracker = SequenceTracker()
        self.tracker.last = 1
        self.trackers: dict[Any, Any] = {1: self.tracker}
        self.market = market = Market(M, None)  # type: ignore[arg-type]
        market.book, market.book_link = OrderBook(), self.link  # type: ignore[assignment]
        market.book.load([(BELOW, 5_000_000), (TOP, 3_000_000)], [])
        self.markets: dict[Any, Any] = {M: market}
        self.settled: list[tuple[Market, int]] = []
        self.settle: Callable[[Market, int], object] = self._settle
        self.keep: Any = None
        self.deltas = compiled.Deltas(self.trackers, SequenceTracker)
        self.levels = compiled.Levels(self.markets, self._told, LIVE, Market, OrderBook, Ladder)

    def _told(self, market: Market, recv_ns: int) -> None:
        self.settle(market, recv_ns)

    def _settle(self, market: Market, recv_ns: int) -> None:
        self.settled.append((market, recv_ns))

    @property
    def bids(self) -> Any:
        assert self.market.book is not None
        return self.market.book.bids

    def run(self, frames: Any, first: Any = 0, last: Any = 10_000) -> int:
        return self.levels.run(self.deltas, self.link, self.keep, frames, first, last, RECV_NS)


def change(seq: int, price: int = TOP, by: str = "1.00") -> bytes:
    return kalshi.encoded(kalshi.delta(seq, M, f"{price / 10_000:.4f}", by))


UP, DOWN, GONE, FRESH = (
    change(2),
    change(2, TOP, "-1.00"),
    change(2, TOP, "-3.00"),
    change(2, 4_900),
)
EACH = {"up": UP, "down": DOWN, "gone": GONE, "fresh": FRESH, "below": change(2, BELOW, "-5.00")}


@pytest.fixture
def stand() -> Stand:
    return Stand()


def test_the_stand_itself_takes_the_short_way(stand: Stand) -> None:
    assert stand.run([UP, change(3, TOP, "-4.00"), change(4, BELOW)]) == 3
    assert (stand.bids.keys, stand.bids.sizes) == ([BELOW], {BELOW: 6_000_000})
    assert stand.settled == [(stand.market, RECV_NS)] * 3
    assert (stand.market.changes, stand.tracker.last) == (3, 4)
    assert stand.market.ts_ns == stand.deltas.ts_ns == kalshi.TS_MS * 1_000_000


# -- what is declined ------------------------------------------------------------------------------


class AnotherMarket(Market):
    """Of another type."""

    __slots__ = ()


class AnotherBook(OrderBook):
    """Of another type."""

    __slots__ = ()


class AnotherLadder(Ladder):
    """Of another type."""

    __slots__ = ()


class AnotherTracker(SequenceTracker):
    """Of another type."""

    __slots__ = ()


class AnotherDict(dict[Any, Any]):
    """Of another type."""


class AnotherList(list[Any]):
    """Of another type."""


class Number(int):
    """Of another type."""


def _set(path: str, value: object) -> Callable[[Stand], None]:
    """Put a value at a place like `market.book`."""

    def setting(stand: Stand) -> None:
        *way, name = path.split(".")
        place: Any = stand
        for step in way:
            place = getattr(place, step)
        setattr(place, name, value)

    setting.__name__ = f"{path} is {named(value)}"
    return setting


def _del(path: str) -> Callable[[Stand], None]:
    def deleting(stand: Stand) -> None:
        *way, name = path.split(".")
        place: Any = stand
        for step in way:
            place = getattr(place, step)
        delattr(place, name)

    deleting.__name__ = f"no {path}"
    return deleting


def _market(value: object) -> Callable[[Stand], None]:
    def putting(stand: Stand) -> None:
        stand.markets[M] = value

    putting.__name__ = f"market is {named(value)}"
    return putting


def _tracker(value: object) -> Callable[[Stand], None]:
    def putting(stand: Stand) -> None:
        stand.trackers[1] = value

    putting.__name__ = f"tracker is {named(value)}"
    return putting


def _size(value: object) -> Callable[[Stand], None]:
    def putting(stand: Stand) -> None:
        stand.bids.sizes[TOP] = value

    putting.__name__ = f"size is {named(value)}"
    return putting


DECLINED: Sequence[Callable[[Stand], None]] = [
    *map(
        _market, (None, 1, object(), Market.__new__(Market), AnotherMarket.__new__(AnotherMarket))
    ),
    *(_del(f"market.{name}") for name in ("book", "book_link", "changes")),
    *(_set("market.changes", value) for value in (None, True, 1.0, 2**80, Number(3), "1")),
    *(
        _set("market.book", value)
        for value in (None, 1, AnotherBook(), OrderBook.__new__(OrderBook))
    ),
    *(_set("market.book_link", value) for value in (None, object())),
    *(_del(f"market.book.{name}") for name in ("state", "bids")),
    *(
        _set("market.book.state", value)
        for value in (None, "live", BookState.EMPTY, BookState.LOST)
    ),
    *(
        _set("market.book.bids", value)
        for value in (None, {}, AnotherLadder(), Ladder.__new__(Ladder))
    ),
    *(_del(f"market.book.bids.{name}") for name in ("keys", "sizes")),
    *(_set("market.book.bids.keys", value) for value in (None, (BELOW, TOP), AnotherList())),
    *(_set("market.book.bids.sizes", value) for value in (None, [], AnotherDict())),
    *map(_size, (None, True, 3.0, "3", Number(3), 2**80, -(2**80))),
    *map(_tracker, (None, 1, AnotherTracker(), SequenceTracker.__new__(SequenceTracker))),
    _del("tracker.last"),
    *(_set("tracker.last", value) for value in (None, True, 1.0, "1", Number(1), 2**80, 0, 2)),
]


def _held(stand: Stand) -> list[Any]:
    """Return all that a frame could have changed."""
    market, book = stand.market, getattr(stand.market, "book", None)
    slots = [getattr(market, name, "none") for name in Market.__slots__]
    ladder = getattr(book, "bids", None)
    keys, sizes = getattr(ladder, "keys", None), getattr(ladder, "sizes", None)
    return [
        *(slots, repr(keys), repr(sizes), getattr(stand.tracker, "last", "none")),
        *(stand.deltas.ts_ns, list(stand.settled), list(stand.markets), list(stand.trackers)),
    ]


@pytest.mark.parametrize("spoil", DECLINED, ids=lambda spoil: spoil.__name__)
@pytest.mark.parametrize("frame", ["up", "gone"])
def test_what_is_not_as_it_should_be_is_left_as_it_was(
    stand: Stand, spoil: Callable[[Stand], None], frame: str
) -> None:
    spoil(stand)
    before = _held(stand)
    assert stand.run([EACH[frame]]) == 0
    assert _held(stand) == before


@pytest.mark.parametrize(
    "frame", [None, 1, "text", bytearray(UP), memoryview(UP), [UP], b"", b"{", b"{}"], ids=named
)
def test_what_is_no_frame_is_left_alone(stand: Stand, frame: object) -> None:
    before = _held(stand)
    assert stand.run([frame]) == 0
    assert _held(stand) == before


def test_bytes_of_another_type_are_for_python(stand: Stand) -> None:
    class Bytes(bytes):
        pass

    assert stand.run([Bytes(UP)]) == 0


@pytest.mark.parametrize("keys", [[], [TOP], [None, "x", 4.0], [TOP, BELOW], [2**80], [TOP] * 50])
@pytest.mark.parametrize("sizes", [{}, {TOP: 3_000_000}, {BELOW: 5_000_000}, {TOP: -1}, {None: 1}])
@pytest.mark.parametrize("frame", EACH)
def test_keys_and_sizes_that_do_not_agree_break_nothing_else(
    stand: Stand, keys: list[int], sizes: dict[int, int], frame: str
) -> None:
    stand.bids.keys, stand.bids.sizes = list(keys), dict(sizes)
    before = _held(stand)
    if not stand.run([EACH[frame]]):
        assert _held(stand) == before
    else:
        assert (stand.market.changes, stand.tracker.last) == (1, 2)


def test_a_time_that_is_missing_is_set(stand: Stand) -> None:
    """As an assignment in Python would."""
    del stand.market.ts_ns
    assert stand.run([UP]) == 1
    assert stand.market.ts_ns == kalshi.TS_MS * 1_000_000


# -- wrong calls -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "last", "handled"),
    [
        (0, 1, 1),
        (0, 0, 0),
        (0, -5, 0),
        (1, 2, 0),
        (2, 9, 0),
        (5, 1, 0),
        (sys.maxsize, sys.maxsize, 0),
    ],
)
def test_only_frames_that_are_there_are_looked_at(
    stand: Stand, first: int, last: int, handled: int
) -> None:
    assert stand.run([UP, b"{"], first, last) == handled


@pytest.mark.parametrize("make", [tuple, list, iter])
def test_frames_may_be_any_sequence(stand: Stand, make: Callable[[list[bytes]], Any]) -> None:
    assert stand.run(make([UP, change(3)])) == 2


@pytest.mark.parametrize(
    "arguments",
    [([UP], -1, 1), ([UP], "0", 1), ([UP], 0, None), ([UP], 2**70, 1), (7, 0, 1)],
    ids=named,
)
def test_wrong_arguments_are_errors(stand: Stand, arguments: tuple[Any, ...]) -> None:
    before = _held(stand)
    with pytest.raises((TypeError, ValueError, OverflowError, IndexError)):
        stand.run(*arguments)
    assert _held(stand) == before


def test_parts_that_were_never_made_are_errors_or_do_nothing(stand: Stand) -> None:
    assert compiled is not None
    nothing = compiled.Deltas.__new__(compiled.Deltas)
    assert stand.levels.run(nothing, stand.link, None, [UP], 0, 1, RECV_NS) == 0
    unmade = compiled.Levels.__new__(compiled.Levels)
    with pytest.raises(TypeError, match="run"):
        unmade.run(stand.deltas, stand.link, None, [UP], 0, 1, RECV_NS)
    with pytest.raises(TypeError, match="run"):
        stand.levels.run()  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="run"):
        stand.levels.run(None, stand.link, None, [UP], 0, 1, RECV_NS)  # type: ignore[arg-type]


class Borrowed:
    """Names slots that lie in instances of others."""

    __slots__ = ()
    last = SequenceTracker.last
    book, book_link, changes, ts_ns = Market.book, Market.book_link, Market.changes, Market.ts_ns


class Property:
    """Has the name, and no slot."""

    last = property(id)


@pytest.mark.parametrize(
    "arguments",
    [
        *((), ({},), ([], SequenceTracker), ({}, None), ({}, 1), ({}, object), ({}, Property)),
        *(({}, Borrowed), ({}, type), ({}, SequenceTracker, 1)),
    ],
    ids=named,
)
def test_counters_of_the_wrong_type_are_refused(arguments: tuple[Any, ...]) -> None:
    assert compiled is not None
    with pytest.raises((TypeError, AttributeError)):
        compiled.Deltas(*arguments)
    with pytest.raises(TypeError, match="no named arguments"):
        compiled.Deltas(trackers={})  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "types",
    [
        *((Borrowed, OrderBook, Ladder), (Market, Market, Ladder), (Market, OrderBook, OrderBook)),
        *((OrderBook, OrderBook, Ladder), (1, OrderBook, Ladder), (type, type, type)),
    ],
    ids=named,
)
def test_books_of_the_wrong_type_are_refused(types: tuple[Any, ...]) -> None:
    assert compiled is not None
    with pytest.raises((TypeError, AttributeError)):
        compiled.Levels({}, print, LIVE, *types)
    with pytest.raises(TypeError):
        compiled.Levels([], print, LIVE, Market, OrderBook, Ladder)  # type: ignore[arg-type]


class Shifted:
    """Has the names of a market at other places."""

    __slots__ = ("a", "b", "book", "book_link", "c", "changes", "d", "ts_ns")


def test_nothing_is_made_a_second_time(stand: Stand) -> None:
    """Its types and where their slots lie belong together."""
    with pytest.raises(TypeError, match="called before"):
        stand.levels.__init__({}, print, LIVE, Shifted, OrderBook, int)  # type: ignore[misc, arg-type]
    with pytest.raises(TypeError, match="called before"):
        stand.deltas.__init__({}, AnotherTracker)  # type: ignore[misc]
    assert stand.run([UP]) == 1


# -- whoever is called back ------------------------------------------------------------------------


class Broken(Exception):
    """Somebody who is told of a frame has failed."""


def test_an_error_of_who_settles_is_told_after_the_change(stand: Stand) -> None:
    """As in Python: the book has changed, and the frame counts."""

    def fail(*_: object) -> None:
        raise Broken

    stand.settle = fail
    with pytest.raises(Broken):
        stand.run([UP, change(3)])
    assert stand.bids.sizes[TOP] == 4_000_000
    assert (stand.market.changes, stand.tracker.last) == (1, 2)


def test_an_error_of_who_keeps_frames_is_told(stand: Stand) -> None:
    def fail(*_: object) -> None:
        raise Broken

    stand.keep = fail
    with pytest.raises(Broken):
        stand.run([UP])
    assert stand.settled == []
    stand.keep = 5
    with pytest.raises(TypeError):
        stand.run([change(3)])


def _drop_all(stand: Stand) -> None:
    stand.markets.clear()
    stand.trackers.clear()
    del stand.market, stand.tracker
    gc.collect()


def _replace_book(stand: Stand) -> None:
    stand.market.book = OrderBook()
    gc.collect()


def _empty_ladder(stand: Stand) -> None:
    stand.bids.keys.clear()
    stand.bids.sizes.clear()


def _no_book(stand: Stand) -> None:
    del stand.market.book


def _again(stand: Stand) -> None:
    """Take a frame in the middle of one."""
    if stand.tracker.last == 2:
        assert stand.run([change(3)]) == 1


def _made_anew(stand: Stand) -> None:
    with pytest.raises(TypeError, match="called before"):
        stand.levels.__init__({}, print, LIVE, Market, OrderBook, Ladder)  # type: ignore[misc]


MEDDLING = [_drop_all, _replace_book, _empty_ladder, _no_book, _again, _made_anew]


@pytest.mark.parametrize("meddle", MEDDLING)
@pytest.mark.parametrize("frame", EACH)
@pytest.mark.parametrize("who", ["keep", "settle"])
def test_whoever_is_told_may_change_everything(
    stand: Stand, meddle: Callable[[Stand], None], frame: str, who: str
) -> None:
    frames = [EACH[frame], change(3), change(4)]

    def meddling(*_: object) -> None:
        meddle(stand)

    setattr(stand, who, meddling)
    assert 1 <= stand.run(frames) <= len(frames)


@pytest.mark.parametrize("who", ["keep", "settle"])
def test_frames_that_vanish_meanwhile_are_not_looked_at(stand: Stand, who: str) -> None:
    frames = [bytes([*UP]), change(3), change(4)]
    setattr(stand, who, lambda *_: frames.clear())
    assert stand.run(frames) == 1
    assert stand.tracker.last == 2


def test_a_time_whose_end_drops_the_market_is_no_harm(stand: Stand) -> None:
    class Last:
        def __del__(self) -> None:
            stand.markets.clear()

    stand.market.ts_ns = Last()  # type: ignore[assignment]
    market = stand.market
    assert stand.run([UP, change(3)]) == 1
    assert stand.settled == [(market, RECV_NS)]


class Evil:
    """Hashes like another key, and clears a mapping when compared with it."""

    def __init__(self, like: object, clear: Callable[[], object]) -> None:
        self._hash, self._clear = hash(like), clear

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        self._clear()
        gc.collect()
        return False


class Equal(Evil):
    """Says, besides, that it is the same."""

    def __eq__(self, other: object) -> bool:
        self._clear()
        return True

    __hash__ = Evil.__hash__


def _spoil_markets(stand: Stand, kind: type[Evil], _price: int) -> None:
    stand.markets.clear()
    stand.markets[kind(M, stand.markets.clear)] = stand.market
    del stand.market


def _spoil_trackers(stand: Stand, kind: type[Evil], _price: int) -> None:
    stand.trackers.clear()
    stand.trackers[kind(1, stand.trackers.clear)] = stand.tracker
    del stand.tracker


def _spoil_sizes(stand: Stand, kind: type[Evil], price: int) -> None:
    bids, market = stand.bids, stand.market

    def clear() -> None:
        bids.keys.clear()
        bids.sizes = {}
        market.book = None

    bids.sizes = {kind(price, clear): 3_000_000}


@pytest.mark.parametrize("kind", [Evil, Equal])
@pytest.mark.parametrize("spoil", [_spoil_markets, _spoil_trackers, _spoil_sizes])
@pytest.mark.parametrize("frame", EACH)
def test_keys_that_change_what_they_are_in(
    stand: Stand, kind: type[Evil], spoil: Callable[..., None], frame: str
) -> None:
    """No key of ours is like this; all that is asked is to survive it."""
    spoil(stand, kind, BELOW if frame == "below" else TOP)
    try:
        assert stand.run([EACH[frame]]) in (0, 1)
    except (KeyError, RuntimeError) as error:
        assert str(error)  # noqa: PT017 - either may be, or neither
