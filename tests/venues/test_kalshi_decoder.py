"""What Kalshi's frames mean. Frames are ours, in the shape of recorded ones."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from support.kalshi import (
    TS_MS,
    Frame,
    delta,
    encoded,
    error,
    lifecycle,
    ok,
    snapshot,
    subscribed,
    ticker,
    trade,
)

from arbees_feed.core.events import (
    BookLost,
    BookSnapshot,
    Event,
    LevelChanged,
    MarketListed,
    Notice,
    TickerLost,
    TopOfBook,
    Trade,
    TradingChanged,
)
from arbees_feed.core.model import MarketId, Side
from arbees_feed.core.venue import DecoderOptions
from arbees_feed.errors import ProtocolViolation
from arbees_feed.venues.kalshi.decoder import KalshiDecoder

M, N = MarketId("KXAAA-26NOV21-T1"), MarketId("KXBBB-26NOV21-T2")
CONTRACT = 1_000_000
ALL_CHANNELS = DecoderOptions(tickers=True, lifecycle=True, trades=True)


def receive(decoder: KalshiDecoder, *frames: Frame) -> list[Event]:
    return [event for frame in frames for event in decoder.receive(encoded(frame))]


def sent(decoder: KalshiDecoder) -> list[Frame]:
    """Return the commands that wait, and clear them as a driver does."""
    commands = [msgspec.json.decode(frame) for frame in decoder.outbox]
    decoder.outbox.clear()
    return commands


def filled(*markets: MarketId) -> KalshiDecoder:
    """Return a decoder with the books of *markets*, at sequence len(markets)."""
    decoder = KalshiDecoder(DecoderOptions())
    decoder.tick(1_000.0)
    decoder.start(markets)
    receive(decoder, subscribed(1))
    for number, market in enumerate(markets, 1):
        receive(decoder, snapshot(number, market, {"0.4800": "333.00"}, {"0.4600": "80.00"}))
    decoder.tick(1_010.0)
    assert decoder.outbox.pop(0).startswith(b'{"id":1,"cmd":"subscribe"')
    assert not decoder.outbox
    return decoder


def lost(events: Sequence[Event]) -> list[MarketId]:
    return [event.market for event in events if isinstance(event, BookLost)]


# -- books -------------------------------------------------------------------------------------


def test_a_no_bid_at_p_is_a_yes_ask_at_1_minus_p() -> None:
    decoder = filled(M)
    (event,) = receive(decoder, snapshot(2, M, {"0.4800": "333.00"}, {"0.4600": "80.00"}))
    assert event == BookSnapshot(M, [(4_800, 333 * CONTRACT)], [(5_400, 80 * CONTRACT)], 0)
    (event,) = receive(decoder, delta(3, M, "0.4500", "-40.00", "no"))
    assert event == LevelChanged(M, Side.ASK, 5_500, -40 * CONTRACT, TS_MS * 1_000_000)


def test_delta_fp_is_a_signed_increment() -> None:
    decoder = filled(M)
    up, down = receive(decoder, delta(2, M, "0.4800", "0.01"), delta(3, M, "0.4800", "-54.00"))
    assert isinstance(up, LevelChanged)
    assert isinstance(down, LevelChanged)
    assert (up.side, up.price, up.change) == (Side.BID, 4_800, 10_000)
    assert (down.side, down.price, down.change) == (Side.BID, 4_800, -54 * CONTRACT)


@pytest.mark.parametrize(
    ("yes", "no"), [({"0.4800": "1.00"}, None), (None, {"0.4600": "1.00"}), (None, None)]
)
def test_a_missing_side_key_is_an_empty_side(
    yes: dict[str, str] | None, no: dict[str, str] | None
) -> None:
    frame = snapshot(2, M, yes, no)
    assert ("yes_dollars_fp" in frame["msg"]) is (yes is not None)
    (event,) = receive(filled(M), frame)
    assert isinstance(event, BookSnapshot)
    assert (len(event.bids), len(event.asks)) == (len(yes or {}), len(no or {}))


def test_sub_cent_ticks_are_kept_apart() -> None:
    frame = snapshot(2, M, {"0.0001": "0.01", "0.0050": "0.02", "0.0051": "0.03"})
    (event,) = receive(filled(M), frame)
    assert isinstance(event, BookSnapshot)
    assert event.bids == [(1, 10_000), (50, 20_000), (51, 30_000)]


def test_a_snapshot_of_a_market_that_left_is_ignored_but_counts() -> None:
    decoder = filled(M, N)
    decoder.remove([N])
    assert receive(decoder, snapshot(3, N, {"0.5000": "1.00"})) == []
    assert len(receive(decoder, delta(4, M, "0.4800", "1.00"))) == 1
    assert decoder.stats.gaps == 0


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("2026-08-11T02:45:10.66071Z", 1_786_416_310_660_000_000),
        ("2026-08-11T02:45:10Z", 1_786_416_310_000_000_000),
        ("2026-08-10T22:45:10.66-04:00", 1_786_416_310_660_000_000),
        ("", 0),
    ],
)
def test_deltas_from_before_ts_ms_carry_a_time_with_any_number_of_digits(
    text: str, ns: int
) -> None:
    frame = delta(2, M, "0.4800", "1.00")
    del frame["msg"]["ts_ms"]
    frame["msg"]["ts"] = text
    (event,) = receive(filled(M), frame)
    assert isinstance(event, LevelChanged)
    assert event.ts_ns == ns


@pytest.mark.parametrize(
    "text", ["yesterday", "2026-08-11T02:45:10", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"]
)
def test_a_time_that_says_nothing_is_malformed(text: str) -> None:
    frame = delta(2, M, "0.4800", "1.00")
    del frame["msg"]["ts_ms"]
    frame["msg"]["ts"] = text
    assert lost(receive(filled(M), frame)) == [M]


# -- tickers, trades, lifecycle ----------------------------------------------------------------


def test_a_ticker_is_a_top_of_book_without_sequence() -> None:
    frame = ticker(M)
    assert "seq" not in frame
    (event,) = receive(KalshiDecoder(ALL_CHANNELS), frame)
    assert event == TopOfBook(
        M,
        4_700,
        333 * CONTRACT,
        4_900,
        80 * CONTRACT,
        4_800,
        TS_MS * 1_000_000,
        event.volume,
    )


@pytest.mark.parametrize(
    ("changes", "top"),
    [
        ({"yes_bid_dollars": "0.0000", "yes_bid_size_fp": "0.00"}, (0, 0, 4_900, 80_000_000)),
        ({"yes_bid_size_fp": "0.00"}, (0, 0, 4_900, 80_000_000)),
        ({"yes_ask_dollars": "1.0000", "yes_ask_size_fp": "0.00"}, (4_700, 333_000_000, 10_000, 0)),
        ({"yes_ask_dollars": "0.0000", "yes_ask_size_fp": "5.00"}, (4_700, 333_000_000, 10_000, 0)),
        ({"yes_ask_dollars": "1.0000", "yes_ask_size_fp": "5.00"}, (4_700, 333_000_000, 10_000, 0)),
    ],
)
def test_an_empty_side_of_a_ticker_has_no_size(
    changes: dict[str, str], top: tuple[int, int, int, int]
) -> None:
    (event,) = receive(KalshiDecoder(ALL_CHANNELS), ticker(M, **changes))
    assert isinstance(event, TopOfBook)
    assert (event.bid, event.bid_size, event.ask, event.ask_size) == top


def test_a_market_without_trade_has_no_last_price() -> None:
    (event,) = receive(KalshiDecoder(ALL_CHANNELS), ticker(M, price_dollars="0.0000"))
    assert isinstance(event, TopOfBook)
    assert event.last_price is None


@pytest.mark.parametrize(
    "changes",
    [
        {"yes_bid_dollars": "1.5000"},
        {"yes_ask_dollars": "-0.1000"},
        {"yes_bid_size_fp": "-1.00"},
        {"yes_ask_size_fp": "-0.01"},
        {"price_dollars": "NaN"},
        {"ts_ms": -5},
        {"ts_ms": 10**19},
        {"yes_bid_size_fp": "9" * 400},
    ],
)
def test_a_ticker_that_can_not_be_right_is_lost_for_its_market_only(
    changes: dict[str, Any],
) -> None:
    decoder = KalshiDecoder(ALL_CHANNELS)
    (event,) = receive(decoder, ticker(M, **changes))
    assert isinstance(event, TickerLost)
    assert event.market == M
    assert decoder.stats.malformed == 1


@pytest.mark.parametrize(("outcome", "taker"), [("yes", "buy"), ("no", "sell"), ("", "")])
def test_a_trade_is_told_in_yes_terms(outcome: str, taker: str) -> None:
    (event,) = receive(
        KalshiDecoder(ALL_CHANNELS), trade(1, M, taker_outcome_side=outcome, taker_side=outcome)
    )
    assert event == Trade(M, 5_100, 100_000, taker, "6c564d64", TS_MS * 1_000_000)


def test_the_deprecated_taker_side_is_read_when_the_new_one_is_not_there() -> None:
    frame = trade(1, M)
    del frame["msg"]["taker_outcome_side"]
    (event,) = receive(KalshiDecoder(ALL_CHANNELS), frame)
    assert isinstance(event, Trade)
    assert event.taker == "buy"


def test_a_trade_told_twice_by_one_sequence_number_is_one_trade() -> None:
    decoder = KalshiDecoder(ALL_CHANNELS)
    assert len(receive(decoder, trade(1, M), trade(1, M))) == 1
    assert decoder.stats.duplicates == 1


def test_a_trade_of_negative_size_is_not_believed() -> None:
    (event,) = receive(KalshiDecoder(ALL_CHANNELS), trade(1, M, count_fp="-1.00"))
    assert isinstance(event, Notice)


def test_a_gap_among_trades_loses_no_book() -> None:
    decoder = filled(M)
    receive(decoder, subscribed(2, "trade"), trade(1, M))
    assert lost(receive(decoder, trade(9, M))) == []
    assert (decoder.stats.gaps, sent(decoder)) == (1, [])


@pytest.mark.parametrize(
    ("step", "phase"),
    [
        ("activated", "open"),
        ("deactivated", "paused"),
        ("determined", "closed"),
        ("settled", "closed"),
    ],
)
def test_steps_of_a_market_s_life_change_its_trading(step: str, phase: Any) -> None:
    frame = lifecycle(1, M, step, settlement_value="1.0000", settled_ts=1_795_305_600)
    assert receive(KalshiDecoder(ALL_CHANNELS), frame) == [TradingChanged(M, phase, 0)]


@pytest.mark.parametrize("step", ["close_date_updated", "metadata_updated", "something_new"])
def test_steps_that_only_change_facts_say_nothing_of_trading(step: str) -> None:
    assert receive(KalshiDecoder(ALL_CHANNELS), lifecycle(1, M, step, close_ts=1)) == []


def test_a_created_market_is_listed() -> None:
    facts = {"title": "Gold?", "yes_sub_title": "Up", "event_ticker": "KXAAA"}
    frame = lifecycle(1, M, "created", open_ts=1_795_219_200, close_ts=0, additional_metadata=facts)
    (event,) = receive(KalshiDecoder(ALL_CHANNELS), frame)
    assert isinstance(event, MarketListed)
    meta = event.meta
    assert (meta.market_id, meta.title, meta.event_id, meta.outcome_yes) == (
        M,
        "Gold?",
        "KXAAA",
        "Up",
    )
    assert (meta.open_time, meta.close_time) == ("2026-11-21T00:00:00Z", "")


@pytest.mark.parametrize("instant", [10**11, 10**12, 10**18, 10**20, 2**63, -(10**12)])
def test_a_created_market_of_an_impossible_year_is_only_noted(instant: int) -> None:
    (event,) = receive(KalshiDecoder(ALL_CHANNELS), lifecycle(1, M, "created", open_ts=instant))
    assert isinstance(event, Notice)


# -- sequence ----------------------------------------------------------------------------------


def test_a_gap_loses_every_filled_book_and_asks_for_all_in_the_same_breath() -> None:
    decoder = filled(M, N)
    events = receive(decoder, delta(4, M, "0.4800", "1.00"))
    assert lost(events) == [M, N]
    assert isinstance(events[-1], LevelChanged)  # ignored by a lost book
    (command,) = sent(decoder)
    assert command["cmd"] == "update_subscription"
    assert command["params"] == {
        "sid": 1,
        "action": "get_snapshot",
        "market_tickers": [M, N],
        "use_yes_price": False,
        "skip_ticker_ack": True,
    }
    assert (decoder.stats.gaps, decoder.stats.resyncs) == (1, 2)


def test_a_gap_before_a_malformed_frame_still_loses_every_book() -> None:
    """Both in one frame: the loss of the other books must not be swallowed."""
    for frame in (
        delta(4, M, "0.4800", "much"),
        delta(4, M, "0.4800", "1.00", "maybe"),
        snapshot(4, M, {"x": "1.00"}),
    ):
        decoder = filled(M, N)
        assert set(lost(receive(decoder, frame))) == {M, N}
        asked = [t for command in sent(decoder) for t in command["params"]["market_tickers"]]
        assert sorted(asked) == [M, N]


def test_a_gap_is_told_once() -> None:
    decoder = filled(M)
    receive(decoder, delta(4, M, "0.4800", "1.00"))
    assert lost(receive(decoder, delta(5, M, "0.4800", "1.00"))) == []
    assert len(sent(decoder)) == 1


def test_a_gap_at_a_snapshot_fills_its_own_book() -> None:
    events = receive(filled(M, N), snapshot(4, M, {"0.4800": "1.00"}))
    assert lost(events) == [M, N]
    assert isinstance(events[-1], BookSnapshot)


def test_a_duplicate_is_dropped() -> None:
    decoder = filled(M)
    frame = delta(2, M, "0.4800", "1.00")
    assert len(receive(decoder, frame)) == 1
    assert receive(decoder, frame) == []
    assert (decoder.stats.duplicates, sent(decoder)) == (1, [])


def test_a_sequence_that_starts_again_costs_a_resync() -> None:
    decoder = filled(M, N)
    events = receive(decoder, delta(1, M, "0.4800", "1.00"))
    assert lost(events) == [M, N]
    assert (decoder.stats.resets, decoder.stats.gaps) == (1, 0)
    assert [command["params"]["action"] for command in sent(decoder)] == ["get_snapshot"]


@pytest.mark.parametrize(
    ("seq", "said"),
    [(9, "gap on sid 1: 9 after 2"), (1, "reset on sid 1: 1 after 2")],
)
def test_a_lost_book_names_what_happened_to_which_counter(seq: int, said: str) -> None:
    decoder = filled(M, N)
    events = receive(decoder, delta(seq, M, "0.4800", "1.00"))
    assert [event.reason for event in events if isinstance(event, BookLost)] == [said, said]
    assert decoder.stats.last_problem == said


def test_what_happened_to_other_counters_is_named_too() -> None:
    decoder = filled(M)
    receive(decoder, subscribed(2, "trade"), trade(15, M), trade(17, M))
    assert decoder.stats.last_problem == "gap on sid 2: 17 after 15"
    receive(decoder, trade(17, M))
    assert decoder.stats.last_problem == "duplicate on sid 2: 17 after 17"


def test_an_old_snapshot_that_comes_late_is_no_book() -> None:
    """Changes that came before it are not in it; the next frame alone would tell."""
    decoder = filled(M, N)
    receive(decoder, delta(4, M, "0.4800", "1.00"))
    late = snapshot(3, M, {"0.4700": "1.00"})
    assert [type(event) for event in receive(decoder, late)] == [BookLost, BookLost]
    again = receive(decoder, snapshot(5, M, {"0.4800": "334.00"}))
    assert isinstance(again[-1], BookSnapshot)


def test_a_gap_while_books_are_owed_asks_for_none_twice() -> None:
    decoder = filled(M, N)
    receive(decoder, delta(4, M, "0.4800", "1.00"), delta(9, M, "0.4800", "1.00"))
    assert len(sent(decoder)) == 1
    assert (decoder.stats.gaps, decoder.stats.resyncs) == (2, 2)


@pytest.mark.parametrize(
    "control",
    [
        ok(3, 1, 99),
        error(11, 99, 1, 3),
        {"type": "event_lifecycle", "sid": 1, "seq": 3, "msg": {"event_ticker": "KX-E"}},
        {"type": "event_fee_update", "sid": 1, "seq": 3, "msg": {"event_ticker": "KX-E"}},
        {"type": "from_next_year", "sid": 1, "seq": 3, "msg": {"x": 1}},
        snapshot(3, "KX-NOT-OURS"),
        delta(3, "KX-NOT-OURS", "0.5000", "1.00"),
    ],
    ids=lambda frame: frame["type"],
)
def test_every_frame_with_a_sequence_number_counts(control: Frame) -> None:
    decoder = filled(M, N)
    receive(decoder, control)
    assert lost(receive(decoder, delta(4, M, "0.4800", "1.00"))) == []
    assert decoder.stats.gaps == 0
    decoder = filled(M, N)
    assert lost(receive(decoder, delta(4, M, "0.4800", "1.00"))) == [M, N]


def test_a_lost_control_frame_is_a_gap_too() -> None:
    decoder = filled(M, N)
    assert lost(receive(decoder, ok(4))) == [M, N]


def test_each_subscription_counts_for_itself() -> None:
    decoder = filled(M)
    receive(decoder, subscribed(2, "trade"), subscribed(4, "market_lifecycle_v2"))
    frames = [trade(1, M), delta(2, M, "0.4800", "1.00"), lifecycle(1, M, "x"), trade(2, M)]
    receive(decoder, *frames)
    assert (decoder.stats.gaps, decoder.stats.resets, decoder.stats.duplicates) == (0, 0, 0)


def test_the_same_answer_twice_hides_no_gap() -> None:
    decoder = filled(M)
    receive(decoder, subscribed(1))
    assert lost(receive(decoder, delta(3, M, "0.4800", "1.00"))) == [M]


# -- frames that do not decode -----------------------------------------------------------------


def test_an_unknown_kind_is_counted_and_says_nothing() -> None:
    decoder = filled(M)
    assert receive(decoder, {"type": "brand_new", "sid": 7, "msg": {"market_ticker": M}}) == []
    assert decoder.stats.unknown_kind_names == {"brand_new": 1}


@pytest.mark.parametrize("odd", [{"sid": "seven"}, {"seq": None, "sid": []}, {"seq": 1.5}])
def test_an_unknown_kind_may_have_any_shape(odd: Frame) -> None:
    decoder = filled(M)
    assert receive(decoder, {"type": "brand_new"} | odd) == []
    assert decoder.stats.unknown_kinds == 1


def test_a_malformed_delta_loses_its_own_book_only() -> None:
    decoder = filled(M, N)
    assert lost(receive(decoder, delta(3, M, "0.48005", "1.00"))) == [M]
    (command,) = sent(decoder)
    assert command["params"]["market_tickers"] == [M]
    assert lost(receive(decoder, delta(4, N, "0.4800", "1.00"))) == []


def test_a_malformed_frame_told_twice_is_lost_once() -> None:
    decoder = filled(M)
    frame = delta(2, M, "0.48005", "1.00")
    assert lost(receive(decoder, frame, frame)) == [M]


def test_a_frame_of_a_known_kind_about_no_market_ends_the_connection() -> None:
    frame = delta(2, M, "0.4800", "1.00")
    del frame["msg"]["market_ticker"]
    with pytest.raises(ProtocolViolation, match="malformed orderbook_delta"):
        receive(filled(M), frame)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"null",
        b"17",
        b'"heartbeat"',
        b"heartbeat",
        b"{",
        b"[",
        b"[[]]",
        b"[1]",
        b"{}",
        b"\x00\xff\xfe",
        b'{"type":"ticker","sid":1,"msg":{"market_ticker":"\xff"}}',
        b'{"type":"\xff"}',
        b"[" * 100_000,
        b"[" * 300 + b"]" * 300,
        b'{"type":"ticker","sid":1,"x":' + b"[" * 100_000,
        b'{"a":' * 100_000,
        b"x" * 1_000_000,
    ],
    ids=lambda frame: repr(frame[:24]),
)
def test_what_can_not_be_confined_ends_the_connection(frame: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        filled(M).receive(frame)


def test_a_frame_may_be_an_array_of_frames() -> None:
    decoder = filled(M)
    frames = [delta(2, M, "0.4800", "1.00"), delta(3, M, "0.4800", "1.00")]
    assert len(decoder.receive(msgspec.json.encode(frames))) == 2
    assert decoder.receive(b"[]") == []


def test_a_long_problem_is_told_short() -> None:
    decoder = filled(M)
    (event,) = receive(decoder, delta(2, M, "0.4800", "1.00", "y" * 1_000_000))
    assert isinstance(event, BookLost)
    assert len(event.reason) < 300


# -- notices -----------------------------------------------------------------------------------


def test_an_error_of_the_venue_is_said_aloud() -> None:
    decoder = KalshiDecoder(ALL_CHANNELS)
    decoder.start([])
    (event,) = receive(decoder, error(8, 1))
    assert isinstance(event, Notice)
    assert "error 8" in event.text
    assert decoder.stats.venue_errors == 1


def test_the_end_of_a_connection_says_nothing_of_markets() -> None:
    assert list(filled(M).ended("1000 normal")) == []


@pytest.mark.parametrize(
    ("price", "change"), [("1.0000", "1.00"), ("0.0000", "1.00"), ("0.4000", "0.00")]
)
def test_a_change_at_no_price_or_of_nothing_is_a_lost_change(price: str, change: str) -> None:
    (event,) = receive(filled(M), delta(2, M, price, change, "no"))
    assert isinstance(event, BookLost)
    assert event.market == M
