"""The published message, read and written with the plain msgpack package."""

import math
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbees_feed.core.model import MarketId, Quote, Source, Status
from arbees_feed.core.wire import MarketPrice, Names, price_of

KEYS = [
    "v",
    "market_id",
    "platform",
    "yes_bid",
    "yes_ask",
    "yes_bid_size",
    "yes_ask_size",
    "last_price",
    "status",
    "source",
    "session",
    "seq",
    "ts_event_ns",
    "ts_recv_ns",
    "ts_pub_ns",
]


def a_price(**changes: Any) -> MarketPrice:
    facts: dict[str, Any] = {
        "market_id": "KX-1",
        "platform": "kalshi",
        "yes_bid": 0.48,
        "yes_ask": 0.52,
        "yes_bid_size": 120.5,
        "yes_ask_size": 0.01,
        "last_price": 0.5,
        "status": "live",
        "source": "book",
        "session": 1_795_219_200_000_000_000,
        "seq": 7,
        "ts_event_ns": 1_795_219_200_470_000_000,
        "ts_recv_ns": 1_795_219_200_480_000_000,
        "ts_pub_ns": 1_795_219_200_480_100_000,
    }
    return MarketPrice(**(facts | changes))


def a_quote(**changes: Any) -> Quote:
    facts: dict[str, Any] = {
        "bid": 4_800,
        "bid_size": 120_500_000,
        "ask": 5_200,
        "ask_size": 10_000,
        "last_price": 5_000,
        "status": Status.LIVE,
        "source": Source.BOOK,
        "ts_event_ns": 1,
        "ts_recv_ns": 2,
    }
    return Quote(**(facts | changes))


@pytest.mark.parametrize("last_price", [0.5, None])
def test_the_plain_msgpack_package_reads_what_we_write(last_price: float | None) -> None:
    price = a_price(last_price=last_price)
    told = msgpack.unpackb(price.to_msgpack())
    assert list(told) == KEYS
    assert told == {key: getattr(price, key) for key in KEYS}
    assert isinstance(told["yes_bid"], float)


@pytest.mark.parametrize("last_price", [0.5, None])
def test_we_read_what_the_plain_msgpack_package_writes(last_price: float | None) -> None:
    price = a_price(last_price=last_price)
    written = msgpack.packb({key: getattr(price, key) for key in reversed(KEYS)})
    assert MarketPrice.from_msgpack(written) == price


def test_unknown_keys_are_ignored() -> None:
    told = msgpack.unpackb(a_price().to_msgpack()) | {"new": {"deep": [1, None]}, "z": b"x"}
    assert MarketPrice.from_msgpack(msgpack.packb(told)) == a_price()


def test_whole_dollars_written_as_integers_are_read() -> None:
    told = msgpack.unpackb(a_price().to_msgpack()) | {"yes_bid": 0, "yes_ask": 1}
    assert MarketPrice.from_msgpack(msgpack.packb(told)).yes_ask == 1.0


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"{}",
        b"\x80",
        b"\x90",
        msgpack.packb(None),
        msgpack.packb({"v": 1}),
        msgpack.packb({**dict.fromkeys(KEYS), "v": 1}),
        a_price().to_msgpack()[:-1],
        a_price().to_msgpack() + b"\x00",
        b"\x81\xa1x" + b"\x91" * 100_000,
        b"\x81\xa2\xff\xfe\x01",
    ],
)
def test_what_is_no_market_price_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a MarketPrice"):
        MarketPrice.from_msgpack(data)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_price_or_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a MarketPrice"):
        MarketPrice.from_msgpack(data)


@given(st.integers(0, 300), st.integers(0, 255))
def test_any_one_wrong_byte_is_a_price_or_a_value_error(place: int, byte: int) -> None:
    data = bytearray(a_price().to_msgpack())
    data[place % len(data)] = byte
    try:
        price = MarketPrice.from_msgpack(bytes(data))
    except ValueError:
        return
    assert isinstance(price, MarketPrice)


def test_no_prices_are_the_yes_book_from_the_other_side() -> None:
    price = a_price(yes_bid=0.48, yes_ask=0.53, yes_bid_size=7.0, yes_ask_size=9.0)
    assert (price.no_bid, price.no_ask) == (0.47, 0.52)
    assert (price.no_bid_size, price.no_ask_size) == (9.0, 7.0)


def test_without_quote_no_has_none_either() -> None:
    price = a_price(yes_bid=0.0, yes_ask=1.0, yes_bid_size=0.0, yes_ask_size=0.0)
    assert (price.no_bid, price.no_ask, price.no_bid_size, price.no_ask_size) == (0.0, 1.0, 0, 0)


def test_mid_and_spread_have_no_floating_dust() -> None:
    price = a_price(yes_bid=0.1, yes_ask=0.3)
    assert (price.mid, price.spread) == (0.2, 0.2)


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "stale"},
        {"status": "closed"},
        {"yes_bid": 0.0, "yes_bid_size": 0.0},
        {"yes_ask": 1.0, "yes_ask_size": 0.0},
    ],
)
def test_there_is_no_mid_without_both_sides_of_a_live_price(changes: dict[str, Any]) -> None:
    assert a_price(**changes).mid is None
    assert a_price(**changes).spread is None


def test_a_quote_in_integers_becomes_a_message_in_dollars() -> None:
    price = price_of(a_quote(), MarketId("KX-1"), "kalshi", session=9, seq=3, now_ns=4)
    assert price == a_price(
        yes_bid_size=120.5, session=9, seq=3, ts_event_ns=1, ts_recv_ns=2, ts_pub_ns=4
    )


def test_a_closed_quote_has_nothing_to_trade_on() -> None:
    nothing = a_quote(bid=0, bid_size=0, ask=10_000, ask_size=0, status=Status.CLOSED)
    price = price_of(nothing, MarketId("KX-1"), "kalshi", 9, 3, 4)
    assert (price.status, price.yes_bid, price.yes_ask) == ("closed", 0.0, 1.0)
    assert (price.yes_bid_size, price.yes_ask_size) == (0.0, 0.0)


@given(st.integers(0, 10_000), st.one_of(st.none(), st.integers(0, 10_000)))
def test_every_price_is_the_double_nearest_to_its_decimal_text(bid: int, last: int | None) -> None:
    price = price_of(a_quote(bid=bid, last_price=last), MarketId("M"), "kalshi", 1, 1, 1)
    assert price.yes_bid == float(f"{bid / 10_000:.4f}")
    assert (price.last_price is None) is (last is None)
    assert math.isclose(price.no_ask, 1 - price.yes_bid, abs_tol=1e-9)


def test_names_carry_the_prefix() -> None:
    names = Names("test:")
    assert names.price("M") == "test:market:M:price"
    told = [
        names.last("M"),
        names.quote("M"),
        names.meta("M"),
        names.trade("M"),
        names.book("M"),
        names.event_meta("E"),
        names.event_markets("E"),
        names.status(),
        names.venue("kalshi"),
        names.markets("kalshi"),
        names.watch("kalshi"),
    ]
    assert all(name.startswith("test:") for name in told)
    assert [name.removeprefix("test:") for name in told] == [
        "market:M:last",
        "market:M:quote",
        "market:M:meta",
        "market:M:trade",
        "market:M:book",
        "event:E:meta",
        "event:E:markets",
        "feed:status",
        "feed:venue:kalshi",
        "feed:markets:kalshi",
        "feed:watch:kalshi",
    ]
    assert Names().price("M") == "market:M:price"
