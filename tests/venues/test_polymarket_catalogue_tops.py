"""Polymarket's tops of book and the whole universe, driven without any I/O."""

import json

import pytest
from support.crawls import drive, markets_of, tops_of

from arbees_feed.core.events import TopOfBook
from arbees_feed.core.model import MarketId
from arbees_feed.core.venue import Found, Request, Selection
from arbees_feed.errors import ProtocolViolation
from arbees_feed.venues.polymarket.catalogue import BOOKS_A_REQUEST, PolymarketCatalogue

GAMMA, CLOB = "https://gamma.test", "https://clob.test"
EVERYTHING = Selection(everything=True)
M = 1_000_000
Levels = list[tuple[str, str]]


def book(token: str = "1", bids: Levels = [], asks: Levels = [], **changes: object) -> object:  # noqa: B006, S107
    """Return a book as `POST /books` does: best level last."""
    return {
        "market": "0xa1",
        "asset_id": token,
        "timestamp": "1791199970000",
        "hash": "b17e",
        "bids": [{"price": price, "size": size} for price, size in bids],
        "asks": [{"price": price, "size": size} for price, size in asks],
        "last_trade_price": "0.500",
        **changes,
    }


def market(number: int, **changes: object) -> dict[str, object]:
    """Return a market record."""
    return {
        "conditionId": f"0x{number:064x}",
        "question": f"Will {number} happen?",
        "outcomes": '["Yes", "No"]',
        "clobTokenIds": json.dumps([str(number), str(number + 100_000)]),
        "active": True,
        "closed": False,
        "acceptingOrders": True,
        "enableOrderBook": True,
        "events": [{"id": str(number // 10), "title": f"Event {number // 10}"}],
        **changes,
    }


def ids_of(findings: list[Found]) -> list[str]:
    """Return the ids of all markets found."""
    return [meta.market_id for meta in markets_of(findings)]


class Gamma:
    """Lists events of ten markets each, oldest or newest first, a few a page."""

    def __init__(self, events: int) -> None:
        self.events = list(range(1, events + 1))
        self.page = 3

    def __call__(self, request: Request) -> bytes | None:
        """Answer."""
        params = dict(request.params)
        kind = request.url.removeprefix(f"{GAMMA}/").removesuffix("/keyset")
        if kind not in ("events", "markets"):
            return json.dumps(self.event(int(kind.removeprefix("events/")))).encode()
        newest = params.get("ascending") == "false"
        assert newest == (params.get("order") == "id")
        ordered = sorted(self.events, reverse=newest)
        start = int(params.get("after_cursor", "0"))
        some = ordered[start : start + self.page]
        records = [self.event(n) for n in some]
        if kind == "markets":
            records = [m for n in some for m in self.markets(n)]
        cursor = str(start + self.page) if start + self.page < len(ordered) else ""
        return json.dumps({kind: records, "next_cursor": cursor}).encode()

    def markets(self, event: int) -> list[dict[str, object]]:
        """Return the markets of an event."""
        return [market(10 * event + number) for number in range(10)]

    def event(self, event: int) -> dict[str, object]:
        """Return an event."""
        tags = [{"label": "Sports", "slug": "sports"}]
        markets = self.markets(event)
        return {"id": str(event), "title": f"Event {event}", "tags": tags, "markets": markets}


@pytest.fixture
def catalogue() -> PolymarketCatalogue:
    """Return a catalogue of invented base URLs."""
    return PolymarketCatalogue({"gamma": GAMMA, "clob": CLOB})


def test_the_best_level_is_the_last_and_its_time_that_of_the_last_change(
    catalogue: PolymarketCatalogue,
) -> None:
    body = [book("7", [("0.47", "250"), ("0.48", "100.5")], [("0.53", "300"), ("0.52", "120")])]
    _, findings = drive(catalogue.tops([MarketId("7")]), lambda _: json.dumps(body).encode())
    assert tops_of(findings) == [
        TopOfBook(
            MarketId("7"), 4800, 100_500_000, 5200, 120_000_000, None, 1_791_199_970_000_000_000
        )
    ]


@pytest.mark.parametrize(
    ("bids", "asks", "expected"),
    [
        ([], [], (0, 0, 10_000, 0)),
        ([("0.4", "1")], [], (4000, M, 10_000, 0)),
        ([], [("0.6", "1")], (0, 0, 6000, M)),
        ([("0.48", "1"), ("0.4", "2")], [("0.52", "3"), ("0.6", "4")], (4800, M, 5200, 3 * M)),
        ([("0.4", "2"), ("0.48", "0")], [], (4000, 2 * M, 10_000, 0)),
    ],
)  # fmt: skip
def test_empty_sides_and_either_order(
    catalogue: PolymarketCatalogue, bids: Levels, asks: Levels, expected: tuple[int, ...]
) -> None:
    body = json.dumps([book("7", bids, asks)]).encode()
    _, findings = drive(catalogue.tops([MarketId("7")]), lambda _: body)
    (top,) = tops_of(findings)
    assert (top.bid, top.bid_size, top.ask, top.ask_size) == expected


def test_tokens_are_posted_some_hundred_at_a_time(catalogue: PolymarketCatalogue) -> None:
    """Settled and unknown ones are left out by the venue, and so they are here."""
    ids = [MarketId(str(number)) for number in range(BOOKS_A_REQUEST + 10)]

    def answer(request: Request) -> bytes:
        assert (request.url, request.method) == (f"{CLOB}/books", "POST")
        asked = [item["token_id"] for item in json.loads(request.body or b"")]
        assert len(asked) <= 500
        return json.dumps([book(token) for token in asked if token != "3"]).encode()  # noqa: S105

    requests, findings = drive(catalogue.tops([*ids, *ids]), answer)
    assert len(requests) == 2
    assert [top.market for top in tops_of(findings)] == [i for i in ids if i != "3"]
    assert max(len(found.tops) for found in findings) <= 50


@pytest.mark.parametrize(
    "bad",
    [
        book("7", [("much", "1")]),
        book("7", [("1.5", "1")]),
        book("7", timestamp="soon"),
        {"asset_id": "7", "bids": None, "asks": 7},
        {"bids": []},
        7,
    ],
)
def test_a_book_that_cannot_be_read_costs_itself_only(
    catalogue: PolymarketCatalogue, bad: object
) -> None:
    body = json.dumps([bad, book("8")]).encode()
    _, findings = drive(catalogue.tops([MarketId("7")]), lambda _: body)
    assert [top.market for top in tops_of(findings)] == ["8"]
    assert catalogue.stats.skipped == 1


@pytest.mark.parametrize("body", [b"<html>", b"{}", b'{"error":"Invalid payload"}'])
def test_an_answer_that_is_no_list_of_books_is_said(
    catalogue: PolymarketCatalogue, body: bytes
) -> None:
    with pytest.raises(ProtocolViolation, match="/books"):
        drive(catalogue.tops([MarketId("7")]), lambda _: body)


def test_all_books_are_those_of_the_last_full_listing(catalogue: PolymarketCatalogue) -> None:
    assert drive(catalogue.tops(None), lambda _: None) == ([], [])
    drive(catalogue.listing(None), Gamma(2))
    requests, _ = drive(catalogue.tops(None), lambda _: None)
    assert len(json.loads(requests[0].body or b"")) == 20


def test_everything_is_read_by_keyset_and_then_what_is_new(catalogue: PolymarketCatalogue) -> None:
    gamma = Gamma(20)
    requests, findings = drive(catalogue.universe(EVERYTHING), gamma)
    assert len(ids_of(findings)) == len(set(ids_of(findings))) == 200
    assert len(requests) == 7
    requests, findings = drive(catalogue.universe(EVERYTHING, 1), gamma)
    assert (len(requests), ids_of(findings)) == (1, [])
    gamma.events += [21, 22, 23, 24]
    requests, findings = drive(catalogue.universe(EVERYTHING, 1), gamma)
    assert len(requests) == 3
    assert sorted(map(int, ids_of(findings))) == list(range(210, 250))
    assert len(drive(catalogue.universe(EVERYTHING, 1), gamma)[0]) == 1


def test_everything_leaves_out_what_cannot_be_traded(catalogue: PolymarketCatalogue) -> None:
    gamma = Gamma(1)
    gamma.markets = lambda _: [  # type: ignore[method-assign]
        market(10, acceptingOrders=False), market(11, clobTokenIds="[]"), market(12)
    ]  # fmt: skip
    _, findings = drive(catalogue.universe(EVERYTHING), gamma)
    assert ids_of(findings) == ["12"]


def test_changes_are_the_newest_until_known_ones_come(catalogue: PolymarketCatalogue) -> None:
    gamma = Gamma(20)
    full, _ = drive(catalogue.listing(None), gamma)
    assert len(full) == 7
    requests, findings = drive(catalogue.listing(1), gamma)
    assert len(requests) == 2
    gamma.events.append(21)
    requests, findings = drive(catalogue.listing(1), gamma)
    assert len(requests) == 3
    assert {"210", "219"} <= set(ids_of(findings))


def test_a_new_market_of_an_old_event_is_found(catalogue: PolymarketCatalogue) -> None:
    gamma = Gamma(2)
    drive(catalogue.listing(None), gamma)
    before = gamma.markets
    gamma.markets = lambda event: [*before(event), market(9_000 + event, events=[{"id": "1"}])]  # type: ignore[method-assign]
    _, findings = drive(catalogue.listing(1), gamma)
    new = [meta for found in findings for meta in found.markets if meta.market_id == "9002"]
    assert new
    assert new[-1].category == "Sports"


def test_the_documented_rates_hold_and_nothing_is_asked(catalogue: PolymarketCatalogue) -> None:
    assert drive(catalogue.allowance(), lambda _: None) == ([], [])
    for path, allowed in {"/markets": 300, "/events": 500, "/books": 500, "/book": 1500}.items():
        rate = catalogue.rates.of(path)
        assert rate.rate_per_s * 10 + rate.burst <= allowed
