"""Whole books from `POST /books`, proved by their own hash."""

import hashlib
import json
from typing import Any

import pytest
from support.crawls import books_of, drive

from arbees_feed.core.events import BookTold
from arbees_feed.core.model import MarketId
from arbees_feed.core.venue import Found, Request
from arbees_feed.errors import ProtocolViolation
from arbees_feed.venues.polymarket.catalogue import WHOLE_BOOKS_A_REQUEST, PolymarketCatalogue
from arbees_feed.venues.polymarket.checksum import RECIPE_TRIES

M = 1_000_000
AT_MS = 1_791_199_970_000
Body = dict[str, Any]


def body(token: str = "1", **changes: Any) -> Body:  # noqa: S107 - a token is a market here
    """Return a body in the venue's order, with its true hash (made with *changes* but these)."""
    told: Body = {
        "market": "0xa1",
        "asset_id": token,
        "timestamp": str(AT_MS),
        "hash": "",
        "bids": [{"price": "0.47", "size": "250"}, {"price": "0.48", "size": "100.5"}],
        "asks": [{"price": "0.53", "size": "300"}, {"price": "0.52", "size": "120"}],
        "min_order_size": "5",
        "tick_size": "0.01",
        "neg_risk": False,
        "last_trade_price": "0.500",
    } | changes
    text = json.dumps(told, separators=(",", ":"))
    return told | {"hash": hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()}


def crawled(
    catalogue: PolymarketCatalogue, tokens: list[str], *bodies: object
) -> tuple[list[Request], list[BookTold]]:
    """Ask for books; every request is answered by *bodies*."""
    answer = json.dumps(bodies).encode()
    markets = [MarketId(token) for token in tokens]
    requests, findings = drive(catalogue.books(markets), lambda _: answer)
    return requests, books_of(findings)


def catalogue() -> PolymarketCatalogue:
    return PolymarketCatalogue({"gamma": "https://gamma.test", "clob": "https://clob.test/"})


def test_a_book_is_told_whole_with_its_time() -> None:
    requests, books = crawled(catalogue(), ["1"], body())
    assert books == [
        BookTold(
            MarketId("1"),
            [(4_700, 250 * M), (4_800, 100_500_000)],
            [(5_300, 300 * M), (5_200, 120 * M)],
            AT_MS * 1_000_000,
            in_step=False,
        )
    ]
    (request,) = requests
    assert (request.method, request.url) == ("POST", "https://clob.test/books")
    assert request.body == b'[{"token_id":"1"}]'


def test_tokens_are_asked_for_once_and_in_chunks() -> None:
    tokens = [str(n) for n in range(WHOLE_BOOKS_A_REQUEST + 1)]
    requests, books = crawled(catalogue(), [*tokens, "0"])
    assert [len(json.loads(request.body or b"")) for request in requests] == [100, 1]
    assert books == []


@pytest.mark.parametrize(
    "changes",
    [
        {"neg_risk": True, "tick_size": "0.001", "min_order_size": "15"},
        {"last_trade_price": ""},
        {"bids": [], "asks": []},
    ],
)
def test_a_book_proves_itself_with_its_own_facts(changes: Body) -> None:
    asked = catalogue()
    _, books = crawled(asked, ["1", "2"], body(**changes), body("2") | {"hash": "0" * 40})
    assert [book.market for book in books] == ["1"]
    assert asked.stats.skipped == 1


@pytest.mark.parametrize(
    "ghost",
    [
        {"bids": [{"price": "0.01", "size": "9"}], "asks": [{"price": "0.99", "size": "9"}]},
        {"timestamp": str(AT_MS + 1)},
        {"hash": "0" * 40},
        {"tick_size": 0.01},
    ],
)
def test_a_book_that_is_not_what_its_hash_says_is_left_out_and_counted(ghost: Body) -> None:
    asked = catalogue()
    _, books = crawled(asked, ["1", "2"], body("2") | ghost, body())
    assert [book.market for book in books] == ["1"]
    assert asked.stats.skipped == 1
    assert "2: not the book that its hash is of" in asked.stats.last_problem


def test_a_book_without_a_hash_claims_nothing() -> None:
    _, books = crawled(catalogue(), ["1", "2"], body(), body("2") | {"hash": ""})
    assert [book.market for book in books] == ["1", "2"]


def test_while_no_hash_has_come_out_the_recipe_is_doubted_and_not_the_books() -> None:
    asked = catalogue()
    _, books = crawled(asked, ["1"], body() | {"hash": "0" * 40})
    assert [book.market for book in books] == ["1"]
    assert asked.stats.skipped == 0


def test_a_recipe_that_stops_working_is_doubted_after_a_while() -> None:
    asked = catalogue()
    crawled(asked, ["1"], body())
    told = [
        len(crawled(asked, ["1"], body() | {"hash": "0" * 40})[1]) for _ in range(RECIPE_TRIES + 2)
    ]
    assert told == [0] * (RECIPE_TRIES - 1) + [1, 1, 1]
    assert len(crawled(asked, ["1", "2"], body(), body("2") | {"hash": "0" * 40})[1]) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"bids": [{"price": "1.2", "size": "1"}]},
        {"bids": [{"price": "0", "size": "1"}]},
        {"asks": [{"price": "1", "size": "1"}]},
        {"asks": [{"price": "0.6", "size": "0"}]},
        {"asks": [{"price": "0.6", "size": "-1"}]},
        {"bids": [{"price": "0.4", "size": "1"}, {"price": "0.40", "size": "2"}]},
        {"timestamp": "soon"},
        {"bids": "none"},
        {"asset_id": None},
    ],
)
def test_a_book_of_no_possible_form_is_skipped_alone(wrong: Body) -> None:
    asked = catalogue()
    _, books = crawled(asked, ["1", "2"], body("2", **wrong), body())
    assert [book.market for book in books] == ["1"]
    assert asked.stats.skipped == 1


def test_an_answer_that_is_no_list_ends_the_crawl() -> None:
    plan = catalogue().books([MarketId("1")])
    next(plan)
    with pytest.raises(ProtocolViolation):
        plan.send(b'{"error":"no"}')


def test_an_unknown_address_finds_nothing() -> None:
    plan = catalogue().books([MarketId("1")])
    next(plan)
    assert plan.send(None) == Found(books=[])
