"""Kalshi's tops of book, rates and the whole universe, driven without any I/O."""

import json

import pytest
from support.crawls import drive, tops_of

from arbees_feed.core.events import TopOfBook
from arbees_feed.core.model import MarketId
from arbees_feed.core.ratelimit import Rates
from arbees_feed.core.venue import Request, Selection
from arbees_feed.errors import ProtocolViolation
from arbees_feed.venues.kalshi.catalogue import KalshiCatalogue

BASE = "https://kalshi.test/trade-api/v2"


def record(ticker: str = "A", **changes: object) -> dict[str, object]:
    """Return what of a market record is its top of book."""
    return {
        "ticker": ticker,
        "status": "active",
        "yes_bid_dollars": "0.4700",
        "yes_bid_size_fp": "333.00",
        "yes_ask_dollars": "0.4900",
        "yes_ask_size_fp": "80.50",
        "last_price_dollars": "0.4800",
        **changes,
    }


def page(*records: object, cursor: str = "") -> bytes:
    """Return a page of markets."""
    return json.dumps({"markets": records, "cursor": cursor}).encode()


@pytest.fixture
def catalogue() -> KalshiCatalogue:
    """Return a catalogue of an invented base URL."""
    return KalshiCatalogue({"rest": BASE})


def test_a_top_of_book_in_our_units_without_a_time(catalogue: KalshiCatalogue) -> None:
    _, findings = drive(catalogue.tops([MarketId("A")]), lambda _: page(record()))
    assert tops_of(findings) == [
        TopOfBook(MarketId("A"), 4700, 333_000_000, 4900, 80_500_000, 4800, 0)
    ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"yes_bid_dollars": "0.0000", "yes_bid_size_fp": "0.00"}, (0, 0, 4900, 80_500_000, 4800)),
        ({"yes_bid_size_fp": "0.00"}, (0, 0, 4900, 80_500_000, 4800)),
        ({"yes_ask_dollars": "1.0000"}, (4700, 333_000_000, 10_000, 0, 4800)),
        ({"yes_ask_dollars": "0.0000"}, (4700, 333_000_000, 10_000, 0, 4800)),
        ({"yes_ask_size_fp": "0"}, (4700, 333_000_000, 10_000, 0, 4800)),
        ({"last_price_dollars": "0.0000"}, (4700, 333_000_000, 4900, 80_500_000, None)),
        ({"last_price_dollars": None}, (4700, 333_000_000, 4900, 80_500_000, None)),
    ],
)
def test_empty_sides_and_no_trade_in_every_form(
    catalogue: KalshiCatalogue, changes: dict[str, object], expected: tuple[object, ...]
) -> None:
    _, findings = drive(catalogue.tops([MarketId("A")]), lambda _: page(record(**changes)))
    (top,) = tops_of(findings)
    assert (top.bid, top.bid_size, top.ask, top.ask_size, top.last_price) == expected


def test_a_market_that_does_not_trade_has_no_top(catalogue: KalshiCatalogue) -> None:
    records = [record(status=status) for status in ("closed", "finalized", "inactive", "odd")]
    _, findings = drive(catalogue.tops([MarketId("A")]), lambda _: page(*records))
    assert (tops_of(findings), catalogue.stats.skipped) == ([], 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"yes_bid_dollars": "much"},
        {"yes_ask_dollars": "1.5"},
        {"yes_bid_size_fp": "-1.00"},
        {"yes_ask_size_fp": None},
        {"ticker": ""},
        {"last_price_dollars": "0.00001"},
    ],
)
def test_a_record_that_cannot_be_read_costs_itself_only(
    catalogue: KalshiCatalogue, changes: dict[str, object]
) -> None:
    _, findings = drive(
        catalogue.tops([MarketId("A")]), lambda _: page(record(**changes), 7, record("B"))
    )
    assert [top.market for top in tops_of(findings)] == ["B"]
    assert catalogue.stats.skipped == 2


def test_named_markets_are_asked_for_a_hundred_at_a_time_and_signed(
    catalogue: KalshiCatalogue,
) -> None:
    """Unsigned answers come from a cache and may be fifteen seconds old."""
    ids = [MarketId(f"M{number}") for number in range(250)]

    def answer(request: Request) -> bytes:
        return page(*(record(name) for name in dict(request.params)["tickers"].split(",")))

    requests, findings = drive(catalogue.tops([*ids, *ids]), answer)
    assert [len(dict(r.params)["tickers"].split(",")) for r in requests] == [100, 100, 50]
    assert all(request.signed for request in requests)
    assert [top.market for top in tops_of(findings)] == ids
    assert max(len(found.tops) for found in findings) <= 50


def test_an_unknown_ticker_has_no_top(catalogue: KalshiCatalogue) -> None:
    _, findings = drive(catalogue.tops([MarketId("NOPE")]), lambda _: page())
    assert tops_of(findings) == []


def test_all_open_markets_are_paged_through(catalogue: KalshiCatalogue) -> None:
    pages = {"": page(record("A"), cursor="c"), "c": page(record("B"))}
    requests, findings = drive(
        catalogue.tops(None), lambda request: pages[dict(request.params).get("cursor", "")]
    )
    assert [top.market for top in tops_of(findings)] == ["A", "B"]
    assert requests[1].params == (("status", "open"), ("limit", "1000"), ("cursor", "c"))
    assert all(request.signed for request in requests)


def test_everything_is_all_open_markets_and_later_the_new_ones(catalogue: KalshiCatalogue) -> None:
    everything = Selection(everything=True, series=("S",))
    requests, findings = drive(catalogue.universe(everything), lambda _: page(record("A")))
    assert [r.params[:-1] for r in requests] == [(("status", "open"),)]
    assert [meta.market_id for found in findings for meta in found.markets] == ["A"]
    requests, _ = drive(catalogue.universe(everything, 17), lambda _: page())
    assert [r.params[:-1] for r in requests] == [(("status", "open"), ("min_created_ts", "17"))]


def test_the_rates_of_the_account_are_read_and_a_fifth_is_left(catalogue: KalshiCatalogue) -> None:
    body = json.dumps({"usage_tier": "x", "read": {"refill_rate": 600, "bucket_capacity": 600}})
    requests, findings = drive(catalogue.allowance(), lambda _: body.encode())
    assert (requests[0].url, requests[0].signed) == (f"{BASE}/account/limits", True)
    assert [found.rates for found in findings] == [Rates(rate_per_s=48.0, burst=48.0)]
    assert catalogue.rates == Rates(rate_per_s=16.0, burst=48.0)


@pytest.mark.parametrize("rate", [0, -1, 9])
def test_rates_that_make_no_sense_are_not_taken(catalogue: KalshiCatalogue, rate: float) -> None:
    body = json.dumps({"read": {"refill_rate": rate, "bucket_capacity": 1}}).encode()
    _, findings = drive(catalogue.allowance(), lambda _: body)
    assert [found.rates for found in findings] == [None]


def test_an_answer_about_rates_that_cannot_be_read_is_said(catalogue: KalshiCatalogue) -> None:
    assert drive(catalogue.allowance(), lambda _: None)[1] == []
    with pytest.raises(ProtocolViolation, match="/account/limits"):
        drive(catalogue.allowance(), lambda _: b"<html>")
