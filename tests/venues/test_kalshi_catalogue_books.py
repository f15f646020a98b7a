"""Kalshi's whole books over REST, driven without any I/O."""

import json
from collections.abc import Sequence

import pytest
from support.crawls import Answer, books_of, drive
from support.recordings import corpus

from arbees_feed.core.events import BookTold
from arbees_feed.core.model import MarketId
from arbees_feed.core.venue import Request
from arbees_feed.errors import ProtocolViolation
from arbees_feed.venues.kalshi.catalogue import KalshiCatalogue

BASE = "https://kalshi.test/trade-api/v2"
A, B = MarketId("A"), MarketId("B")
CONTRACT = 1_000_000
NO_BIDS = [["0.5100", "80.00"]]


@pytest.fixture
def catalogue() -> KalshiCatalogue:
    """Return a catalogue of an invented base URL."""
    return KalshiCatalogue({"rest": BASE})


def asked(
    catalogue: KalshiCatalogue, markets: Sequence[MarketId], answer: Answer
) -> tuple[list[Request], list[BookTold]]:
    """Ask for books; return the requests and the books found."""
    requests, findings = drive(catalogue.books(markets), answer)
    return requests, books_of(findings)


def record(ticker: str, yes: object = (), no: object = ()) -> dict[str, object]:
    return {"ticker": ticker, "orderbook_fp": {"yes_dollars": yes, "no_dollars": no}}


def body(*records: object) -> bytes:
    return json.dumps({"orderbooks": records}).encode()


def test_a_book_in_our_units_without_time_or_sequence(catalogue: KalshiCatalogue) -> None:
    yes = [["0.1500", "100.00"], ["0.4700", "333.50"]]
    (request,), books = asked(catalogue, [A], lambda _: body(record(A, yes, NO_BIDS)))
    bids = [(1_500, 100 * CONTRACT), (4_700, 333_500_000)]
    assert books == [BookTold(A, bids, [(4_900, 80 * CONTRACT)], 0, in_step=False)]
    assert request == Request(f"{BASE}/markets/orderbooks", (("tickers", A),), signed=True)


def test_a_hundred_are_asked_for_at_a_time_by_a_repeated_key(catalogue: KalshiCatalogue) -> None:
    names = [MarketId(f"KX-{number}") for number in range(150)]

    def answer(request: Request) -> bytes:
        return body(*(record(ticker, [], NO_BIDS) for _, ticker in request.params))

    requests, books = asked(catalogue, [*names, *names], answer)
    assert [len(request.params) for request in requests] == [100, 50]
    assert {key for request in requests for key, _ in request.params} == {"tickers"}
    assert [book.market for book in books] == names


@pytest.mark.parametrize("yes", [[], None])
def test_an_empty_side_may_be_empty_null_or_absent(catalogue: KalshiCatalogue, yes: object) -> None:
    absent = {"ticker": B, "orderbook_fp": {}}
    _, books = asked(catalogue, [A, B], lambda _: body(record(A, yes, NO_BIDS), absent))
    assert [(book.market, len(book.bids), len(book.asks)) for book in books] == [
        (A, 0, 1),
        (B, 0, 0),
    ]


def test_a_market_that_is_not_there_is_left_out(catalogue: KalshiCatalogue) -> None:
    _, books = asked(catalogue, [A, B], lambda _: body(record(B, [], NO_BIDS)))
    assert [book.market for book in books] == [B]
    assert asked(catalogue, [A], lambda _: None)[1] == []
    assert asked(catalogue, [A], lambda _: b'{"orderbooks":null}')[1] == []
    assert (catalogue.stats.skipped, catalogue.stats.not_found) == (0, 1)


def test_nobody_asks_for_no_market(catalogue: KalshiCatalogue) -> None:
    assert asked(catalogue, [], lambda _: b"") == ([], [])


@pytest.mark.parametrize(
    "wrong",
    [
        record(A, [["0.48005", "1.00"]]),
        record(A, [["0.4800", "-1.00"]]),
        record(A, [["0.4800", "1.00"], ["0.4800", "2.00"]]),
        record(A, [["1.0000", "1.00"]]),
        record(A, [["0.0000", "1.00"]]),
        record(A, [["NaN", "1.00"]]),
        record(A, [["0.4800"]]),
        record(A, "many"),
        {"ticker": A},
        {"ticker": A, "orderbook_fp": None},
        {"ticker": "", "orderbook_fp": {}},
        {"orderbook_fp": {}},
        record("KX-NOT-ASKED-FOR"),
        17,
    ],
    ids=lambda wrong: json.dumps(wrong)[:60],
)
def test_a_book_that_can_not_be_right_is_left_out_and_costs_no_other(
    catalogue: KalshiCatalogue, wrong: object
) -> None:
    _, books = asked(catalogue, [A, B], lambda _: body(wrong, record(B, [], NO_BIDS)))
    assert [book.market for book in books] == [B]
    assert catalogue.stats.skipped == 1
    assert catalogue.stats.last_problem


def test_a_level_without_size_is_none(catalogue: KalshiCatalogue) -> None:
    _, (book,) = asked(catalogue, [A], lambda _: body(record(A, [["0.4800", "0.00"]])))
    assert book.bids == []


@pytest.mark.parametrize("answer", [b"", b"<html>502</html>", b"[]", b"{}", b'{"orderbooks":7}'])
def test_what_is_no_answer_is_a_violation(catalogue: KalshiCatalogue, answer: bytes) -> None:
    with pytest.raises(ProtocolViolation, match="markets/orderbooks"):
        asked(catalogue, [A], lambda _: answer)


def test_recorded_books_are_read() -> None:
    path = corpus() / "kalshi/rest/cockpit_202608_combo_orderbooks.json"
    records: Sequence[dict[str, object]] = json.loads(path.read_text())
    names = [MarketId(str(record["ticker"])) for record in records]
    catalogue = KalshiCatalogue({"rest": BASE})
    _, books = asked(catalogue, names, lambda _: body(*records))
    assert [book.market for book in books] == names
    assert catalogue.stats.skipped == 0
    assert any(book.asks for book in books)
