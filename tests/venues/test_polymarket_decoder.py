"""What Polymarket's frames mean, and what is asked for. Frames are ours, like recorded ones."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from support.polymarket import (
    MARKET,
    NO,
    T0_MS,
    YES,
    Frame,
    book,
    encoded,
    entry,
    last_trade_price,
    market_resolved,
    new_market,
    price_change,
)

from arbees_feed.core.events import (
    BookLost,
    BookSnapshot,
    Event,
    LevelSet,
    MarketListed,
    NoBook,
    Notice,
    TopTold,
    Trade,
    TradingChanged,
)
from arbees_feed.core.model import MarketId, Side
from arbees_feed.core.venue import DecoderOptions
from arbees_feed.errors import ProtocolViolation
from arbees_feed.venues.polymarket.decoder import PolymarketDecoder
from arbees_feed.venues.polymarket.membership import CHUNK

M, N = MarketId(YES), MarketId(NO)
SHARE = 1_000_000
NS = 1_000_000
BOOK = book({"0.47": "250", "0.48": "100"}, {"0.53": "300", "0.52": "120"})


def receive(decoder: PolymarketDecoder, *frames: Frame | list[Frame]) -> list[Event]:
    return [event for frame in frames for event in decoder.receive(encoded(frame))]


def sent(decoder: PolymarketDecoder) -> list[Any]:
    """Return the frames that wait, JSON decoded, and clear them as a driver does."""
    frames = [f if f == b"PING" else msgspec.json.decode(f) for f in decoder.outbox]
    decoder.outbox.clear()
    return frames


def started(*markets: MarketId, options: DecoderOptions | None = None) -> PolymarketDecoder:
    decoder = PolymarketDecoder(options or DecoderOptions())
    decoder.tick(1_000.0)
    decoder.start(markets or (M,))
    decoder.outbox.clear()
    return decoder


def filled(*markets: MarketId) -> PolymarketDecoder:
    """Return a decoder with opening books of T0, some seconds ago, and no PING due at once."""
    decoder = started(*markets)
    receive(decoder, [BOOK | {"asset_id": market} for market in markets or (M,)])
    for quarter in range(1, 21):
        decoder.tick(1_000.0 + quarter / 4)
    decoder.outbox.clear()
    return decoder


def lost(events: Sequence[Event]) -> list[MarketId]:
    return [event.market for event in events if isinstance(event, BookLost)]


# -- books -------------------------------------------------------------------------------------


def test_an_opening_book_comes_in_an_array() -> None:
    decoder = started(M, N)
    events = receive(decoder, [BOOK, BOOK | {"asset_id": N}])
    assert events == [
        BookSnapshot(
            market,
            [(4_700, 250 * SHARE), (4_800, 100 * SHARE)],
            [(5_300, 300 * SHARE), (5_200, 120 * SHARE)],
            T0_MS * NS,
        )
        for market in (M, N)
    ]


def test_a_frame_is_an_object_or_an_array_in_any_case() -> None:
    change = price_change(entry("BUY", "0.48", "160"))
    alone, in_array = filled(), filled()
    assert receive(alone, change) == receive(in_array, [change])
    assert receive(alone, BOOK | {"timestamp": str(T0_MS + 300)}) == receive(
        in_array, [BOOK | {"timestamp": str(T0_MS + 300)}]
    )
    assert alone.receive(b"[]") == []
    assert alone.receive(b"[]\n") == []
    assert alone.receive(b" \n" + encoded(BOOK | {"timestamp": str(T0_MS + 400)}))


def test_ids_exceed_64_bits() -> None:
    assert int(M) > 2**64
    assert len(str(int(M))) == 77
    (event, *_) = receive(filled(), price_change(entry("BUY", "0.48", "160")))
    assert isinstance(event, LevelSet)
    assert event.market == YES


def test_sizes_are_absolute() -> None:
    frame = price_change(
        entry("BUY", "0.48", "160.25", "0.48", "0.52"), entry("SELL", "0.52", "0", "0.48", "0.53")
    )
    assert receive(filled(), frame) == [
        LevelSet(M, Side.BID, 4_800, 160_250_000, (T0_MS + 250) * NS),
        LevelSet(M, Side.ASK, 5_200, 0, (T0_MS + 250) * NS),
        TopTold(M, 4_800, 5_300, (T0_MS + 250) * NS),
    ]


def test_the_entry_of_the_mirrored_token_is_ignored() -> None:
    events = receive(
        filled(),
        price_change(
            entry("SELL", "0.52", "160", "0.48", "0.52", token=NO),
            entry("BUY", "0.48", "160", "0.48", "0.52"),
        ),
    )
    assert {event.market for event in events if isinstance(event, LevelSet | TopTold)} == {M}


def test_the_top_is_told_once_for_each_token_after_its_last_entry() -> None:
    events = receive(
        filled(M, N),
        price_change(
            entry("BUY", "0.49", "1", "0.49", "0.52"),
            entry("BUY", "0.48", "0", "0.49", "0.52"),
            entry("SELL", "0.51", "1", "0.48", "0.51", token=NO),
        ),
    )
    kinds = [(type(event), event.market) for event in events]  # type: ignore[union-attr]
    assert kinds == [(LevelSet, M), (LevelSet, M), (TopTold, M), (LevelSet, N), (TopTold, N)]


@pytest.mark.parametrize(
    ("best_bid", "best_ask", "told"),
    [
        ("0", "1", (0, 10_000)),
        ("0.48", "", (4_800, None)),
        ("", "0.52", (None, 5_200)),
        ("0.48", None, (4_800, None)),
    ],
)
def test_0_and_1_are_empty_sides_and_nothing_tells_nothing(
    best_bid: str | None, best_ask: str | None, told: tuple[int | None, int | None]
) -> None:
    *_, event = receive(filled(), price_change(entry("BUY", "0.48", "1", best_bid, best_ask)))
    assert isinstance(event, TopTold)
    assert (event.best_bid, event.best_ask) == told


@pytest.mark.parametrize(("best_bid", "best_ask"), [("", ""), (None, None)])
def test_without_best_prices_no_top_is_told(best_bid: str | None, best_ask: str | None) -> None:
    (event,) = receive(filled(), price_change(entry("BUY", "0.48", "1", best_bid, best_ask)))
    assert isinstance(event, LevelSet)


def test_the_schema_of_before_september_2025_is_read() -> None:
    frame = {
        "event_type": "price_change",
        "asset_id": M,
        "market": MARKET,
        "changes": [{"price": "0.48", "side": "BUY", "size": "160"}],
        "timestamp": str(T0_MS),
    }
    assert receive(filled(), frame) == [LevelSet(M, Side.BID, 4_800, 160 * SHARE, T0_MS * NS)]


# -- times -------------------------------------------------------------------------------------


def test_changes_older_than_the_opening_book_are_dropped() -> None:
    decoder = filled()
    assert receive(decoder, price_change(entry("BUY", "0.48", "9"), ts_ms=T0_MS - 1)) == []
    assert decoder.stats.stale_dropped == 1


def test_changes_of_the_same_time_as_the_book_are_applied() -> None:
    events = receive(filled(), price_change(entry("BUY", "0.48", "9"), ts_ms=T0_MS))
    assert len(events) == 1


def test_a_book_older_than_the_last_change_is_dropped() -> None:
    decoder = filled()
    receive(decoder, price_change(entry("BUY", "0.48", "9"), ts_ms=T0_MS + 500))
    assert receive(decoder, BOOK | {"timestamp": str(T0_MS + 499)}) == []
    assert len(receive(decoder, BOOK | {"timestamp": str(T0_MS + 500)})) == 1


def test_the_time_of_one_token_says_nothing_of_another() -> None:
    decoder = filled(M, N)
    receive(decoder, price_change(entry("BUY", "0.48", "9"), ts_ms=T0_MS + 500))
    assert len(receive(decoder, price_change(entry("BUY", "0.48", "9", token=NO)))) == 1


def test_a_change_minutes_older_than_its_book_means_that_a_time_was_wrong() -> None:
    """Dropped in silence, it would freeze the market at a live price."""
    decoder = filled()
    receive(decoder, BOOK | {"timestamp": str(T0_MS * 2)})
    events = receive(decoder, price_change(entry("BUY", "0.48", "9")))
    assert lost(events) == [M]
    assert [frame["operation"] for frame in sent(decoder)] == ["unsubscribe", "subscribe"]
    assert len(receive(decoder, BOOK)) == 1


@pytest.mark.parametrize("text", ["", "soon", "-1", " 1", "1_0", "1e12", "9" * 14, "9" * 5_000])
def test_a_time_that_says_nothing_is_malformed(text: str) -> None:
    assert lost(receive(filled(), BOOK | {"timestamp": text})) == [M]
    frame = price_change(entry("BUY", "0.48", "9")) | {"timestamp": text}
    assert lost(receive(filled(), frame)) == [M]


# -- the changes of the opening book's own time -------------------------------------------------


def opening(at_ms: int = T0_MS, digest: str = "of-the-book") -> PolymarketDecoder:
    """Return a decoder that has just had its opening book."""
    decoder = started()
    receive(decoder, [BOOK | {"timestamp": str(at_ms), "hash": digest}])
    return decoder


def of_hash(digest: str, size: str, ts_ms: int = T0_MS) -> Frame:
    return price_change(entry("BUY", "0.48", size) | {"hash": digest}, ts_ms=ts_ms)


def ticks(decoder: PolymarketDecoder, count: int) -> list[Event]:
    return [event for n in range(count) for event in decoder.tick(1_001.0 + n / 4)]


def sizes(events: Sequence[Event]) -> list[int]:
    return [event.size // SHARE for event in events if isinstance(event, LevelSet)]


def test_changes_up_to_the_one_with_the_book_s_hash_are_in_it_already() -> None:
    decoder = opening()
    events = receive(decoder, of_hash("a", "1"), of_hash("of-the-book", "2"), of_hash("c", "3"))
    assert sizes(events) == [3]
    assert decoder.stats.stale_dropped == 2
    assert ticks(decoder, 9) == []


def test_changes_of_that_time_wait_until_a_later_one_or_time_decides() -> None:
    decoder = opening()
    assert receive(decoder, of_hash("a", "1"), of_hash("b", "2")) == []
    assert sizes(receive(decoder, of_hash("c", "3", T0_MS + 1))) == [1, 2, 3]
    decoder = opening()
    assert receive(decoder, of_hash("a", "1")) == []
    assert sizes(ticks(decoder, 9)) == [1]
    assert sizes(receive(decoder, of_hash("b", "2"))) == [2]


def test_what_waits_is_not_applied_to_a_later_book() -> None:
    decoder = opening()
    receive(decoder, of_hash("a", "1"), BOOK | {"timestamp": str(T0_MS + 5)})
    assert sizes(ticks(decoder, 9)) == []
    assert sizes(receive(decoder, of_hash("b", "2", T0_MS + 6))) == [2]


def test_what_waits_is_forgotten_when_a_fresh_book_is_asked_for() -> None:
    decoder = opening()
    receive(decoder, of_hash("a", "1"))
    decoder.tick(1_002.0)
    decoder.resync(M, "crossed")
    receive(decoder, BOOK | {"timestamp": str(T0_MS + 5), "hash": ""})
    assert sizes(ticks(decoder, 9)) == []


# -- trades and lives --------------------------------------------------------------------------


def test_a_trade_is_told() -> None:
    assert receive(filled(), last_trade_price()) == [
        Trade(M, 5_200, 20 * SHARE, "buy", "0x9f", (T0_MS + 488) * NS)
    ]


def test_a_trade_of_the_other_token_is_none_of_ours() -> None:
    assert receive(filled(), last_trade_price(NO)) == []


@pytest.mark.parametrize(
    "changes", [{"size": "-1"}, {"price": "52"}, {"timestamp": "x"}, {"price": None}]
)
def test_a_malformed_trade_is_noted_and_costs_no_book(changes: dict[str, Any]) -> None:
    decoder = filled()
    (event,) = receive(decoder, last_trade_price(**changes))
    assert isinstance(event, Notice)
    assert sent(decoder) == []


def test_market_resolved_closes_the_tokens_that_are_ours() -> None:
    ts_ns = (T0_MS + 9_000) * NS
    assert receive(filled(), market_resolved(YES, NO)) == [TradingChanged(M, "closed", ts_ns)]


def test_a_close_because_all_is_resolved_closes_all() -> None:
    decoder = filled(M, N)
    assert decoder.ended("all subscribed assets resolved") == [
        TradingChanged(M, "closed", 0),
        TradingChanged(N, "closed", 0),
    ]


@pytest.mark.parametrize("reason", ["", "slow consumer: send buffer full"])
def test_any_other_close_says_nothing_of_markets(reason: str) -> None:
    assert list(filled().ended(reason)) == []


def test_a_new_market_is_listed_under_its_yes_token_where_that_is_wanted() -> None:
    (event,) = receive(started(options=DecoderOptions(lifecycle=True)), new_market())
    assert isinstance(event, MarketListed)
    assert (event.meta.market_id, event.meta.title) == (YES, "Will X happen?")
    assert event.meta.extras == {
        "condition_id": MARKET,
        "no_token_id": NO,
        "slug": "will-x-happen",
    }
    assert receive(started(), new_market()) == []


def test_a_new_market_without_two_tokens_is_not_listed() -> None:
    decoder = started(options=DecoderOptions(lifecycle=True))
    assert receive(decoder, new_market(clob_token_ids=[YES], assets_ids=[])) == []


@pytest.mark.parametrize("kind", ["tick_size_change", "best_bid_ask"])
def test_kinds_of_no_consequence_are_known(kind: str) -> None:
    decoder = filled()
    frame = {"event_type": kind, "asset_id": M, "new_tick_size": "0.001", "best_bid": ""}
    assert receive(decoder, frame) == []
    assert (decoder.stats.unknown_kinds, decoder.stats.malformed) == (0, 0)


# -- asking ------------------------------------------------------------------------------------


def test_the_opening_frame_is_sent_once_and_names_all_tokens() -> None:
    decoder = PolymarketDecoder(DecoderOptions())
    decoder.start([M, N])
    assert sent(decoder) == [
        {"type": "market", "assets_ids": [M, N], "custom_feature_enabled": True}
    ]
    decoder.add([MarketId("3")])
    assert sent(decoder) == [
        {"operation": "subscribe", "assets_ids": ["3"], "custom_feature_enabled": True}
    ]


def test_an_active_token_is_not_subscribed_again() -> None:
    decoder = filled()
    decoder.add([M])
    assert sent(decoder) == []


def test_tokens_are_added_and_removed_in_chunks() -> None:
    decoder = filled()
    many = [MarketId(str(number)) for number in range(CHUNK + 1)]
    decoder.add(many)
    decoder.remove([*many, MarketId("9" * 9)])
    frames = sent(decoder)
    assert [(f["operation"], len(f["assets_ids"])) for f in frames] == [
        ("subscribe", CHUNK),
        ("subscribe", 1),
        ("unsubscribe", CHUNK),
        ("unsubscribe", 1),
    ]


def test_frames_of_a_token_that_left_are_ignored() -> None:
    decoder = filled()
    decoder.remove([M])
    frames = [BOOK, price_change(entry("BUY", "0.4", "1")), last_trade_price(), market_resolved(M)]
    assert receive(decoder, *frames) == []


def test_a_resync_unsubscribes_first() -> None:
    """A second subscribe of an active token is refused and brings no book."""
    decoder = filled(M, N)
    decoder.resync(M, "top of book is not what the venue says")
    assert [(f["operation"], f["assets_ids"]) for f in sent(decoder)] == [
        ("unsubscribe", [M]),
        ("subscribe", [M]),
    ]
    decoder.resync(M, "again")
    assert sent(decoder) == []
    assert decoder.stats.resyncs == 1


def test_after_a_resync_an_opening_book_of_any_time_is_believed() -> None:
    decoder = filled()
    receive(decoder, price_change(entry("BUY", "0.48", "9"), ts_ms=T0_MS + 500))
    decoder.resync(M, "crossed")
    assert len(receive(decoder, BOOK)) == 1


def test_a_missing_opening_book_is_asked_for_again_and_then_given_up() -> None:
    decoder = started(M, N)
    receive(decoder, [BOOK])
    asked, notices = [], []
    for quarter in range(4 * 200):
        now_s = 1_000.0 + quarter / 4
        notices += decoder.tick(now_s)
        asked += [
            (now_s - 1_000.0, frame["assets_ids"])
            for frame in sent(decoder)
            if frame != b"PING" and frame["operation"] == "subscribe"
        ]
    assert asked == [(10.0, [N]), (20.0, [N]), (30.0, [N]), (90.0, [N]), (150.0, [N])]
    assert notices == [NoBook((N,))]


def test_an_opening_book_that_there_was_must_come_again() -> None:
    decoder = filled()
    decoder.resync(M, "crossed")
    decoder.tick(1_015.0)
    decoder.tick(1_025.0)
    with pytest.raises(ProtocolViolation, match="no snapshot of"):
        decoder.tick(1_035.0)


def test_ping_goes_every_10_s_as_raw_text() -> None:
    decoder = PolymarketDecoder(DecoderOptions())
    decoder.tick(1_000.0)
    assert decoder.outbox == []  # nothing precedes the opening frame
    decoder.start([])
    decoder.outbox.clear()
    pings_s = []
    for quarter in range(160):
        decoder.tick(1_000.0 + quarter / 4)
        pings_s += [quarter / 4 for frame in decoder.outbox if frame == b"PING"]
        decoder.outbox.clear()
    assert pings_s == [0.0, 10.0, 20.0, 30.0]


@pytest.mark.parametrize("text", [b"PONG", b"PONG\n", b"NO NEW ASSETS"])
def test_known_sayings_say_nothing(text: bytes) -> None:
    decoder = filled()
    assert decoder.receive(text) == ()
    assert decoder.stats.unknown_kinds == 0


@pytest.mark.parametrize("text", [b"INVALID OPERATION", b'"PONG"', b"hello", b"null", b"17"])
def test_other_short_texts_are_told_and_tolerated(text: bytes) -> None:
    decoder = filled()
    (event,) = decoder.receive(text)
    assert isinstance(event, Notice)
    assert decoder.stats.unknown_kind_names == {text.decode(): 1}


def test_an_empty_frame_is_tolerated() -> None:
    assert list(filled().receive(b"")) == []


# -- frames that do not decode -----------------------------------------------------------------


def test_an_unknown_kind_is_counted_and_says_nothing() -> None:
    decoder = filled()
    assert receive(decoder, {"event_type": "brand_new", "asset_id": M}) == []
    assert receive(decoder, {"event_type": "brand_new", "asset_id": 5, "price_changes": "x"}) == []
    assert decoder.stats.unknown_kind_names == {"brand_new": 2}


@pytest.mark.parametrize(
    "changes",
    [
        {"side": "buy"},
        {"price": "0.48005"},
        {"price": "1.01"},
        {"size": "1e3"},
        {"size": 160},
        {"best_bid": "NaN"},
        {"best_ask": "2"},
        {"size": "9" * 400},
    ],
)
def test_a_malformed_entry_loses_the_books_of_its_frame_and_asks_for_them(
    changes: dict[str, Any],
) -> None:
    decoder = filled(M, N)
    good = entry("SELL", "0.52", "160", "0.48", "0.52", token=NO)
    events = receive(
        decoder, price_change(good, entry("BUY", "0.48", "160") | changes, entry("BUY", "0.4", "1"))
    )
    assert lost(events) == [N, M]
    assert [(f["operation"], f["assets_ids"]) for f in sent(decoder)] == [
        ("unsubscribe", [N, M]),
        ("subscribe", [N, M]),
    ]


def test_an_entry_of_no_token_may_have_been_of_any() -> None:
    nameless = entry("BUY", "0.48", "160")
    del nameless["asset_id"]
    with pytest.raises(ProtocolViolation):
        receive(filled(), price_change(nameless))


def test_a_malformed_frame_of_other_tokens_costs_nothing() -> None:
    decoder = filled()
    assert receive(decoder, BOOK | {"asset_id": NO, "timestamp": "x"}) == []
    assert (sent(decoder), decoder.stats.malformed) == ([], 1)


@pytest.mark.parametrize(
    "frame",
    [
        b"{",
        b"[",
        b"{}",
        b"[[]]",
        b"[1]",
        b"[null]",
        b'{"event_type":"book"}',
        b'{"event_type":"price_change","timestamp":"1"}',
        b'{"event_type":17}',
        b"\x00\xff\xfe",
        b'{"event_type":"\xff"}',
        b'{"event_type":"book","market":"\xff","asset_id":"\xff"}',
        b"[" * 100_000,
        b"[" * 300 + b"]" * 300,
        b'{"event_type":"book","x":' + b"[" * 100_000,
        b'{"a":' * 100_000,
        b"x" * 1_000_000,
        b"x" * 201,
        b"\x01\x02",
    ],
    ids=lambda frame: repr(frame[:24]),
)
def test_what_can_not_be_confined_ends_the_connection(frame: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        filled().receive(frame)
