"""Listings page by page, and how those that go in circles end."""

import json

import pytest

from arbees_feed.core.paging import MAX_EMPTY_PAGES, PageWalk, Paging
from arbees_feed.core.venue import CatalogueStats
from arbees_feed.errors import ProtocolViolation

PAGING = Paging(sent="after", told="next", identity="id")


def walk(stats: CatalogueStats, *, may_be_missing: bool = False) -> PageWalk:
    """Return a walk through a listing."""
    params = (("limit", "2"),)
    return PageWalk(PAGING, "u", "items", params, stats, may_be_missing=may_be_missing)


def page(*ids: object, cursor: object = "", **more: object) -> bytes:
    """Return a page."""
    return json.dumps({"items": [{"id": name, **more} for name in ids], "next": cursor}).encode()


@pytest.fixture
def stats() -> CatalogueStats:
    """Return counters at zero."""
    return CatalogueStats()


def test_the_cursor_goes_back_with_the_same_filter_until_there_is_none(
    stats: CatalogueStats,
) -> None:
    pages = walk(stats)
    asked = []
    for body in (page(1, cursor="a"), page(2, cursor="b"), page(3, cursor=None)):
        request = pages.request()
        assert request is not None
        asked.append(request.params)
        pages.accept(body)
    assert asked == [
        (("limit", "2"),),
        (("limit", "2"), ("after", "a")),
        (("limit", "2"), ("after", "b")),
    ]
    assert (pages.request(), pages.complete, stats.pages) == (None, True, 3)


def test_a_page_that_comes_again_with_other_prices_ends_the_listing(stats: CatalogueStats) -> None:
    """Also when others came between."""
    pages = walk(stats)
    for number, first in enumerate((1, 3, 1)):
        assert pages.request() is not None
        pages.accept(page(first, first + 1, cursor=f"c{number}", price=number))
    assert (pages.request(), pages.complete, stats.runaways) == (None, False, 1)
    assert "the same page came twice" in stats.last_problem


def test_records_without_a_name_are_told_apart_by_their_bytes(stats: CatalogueStats) -> None:
    pages = walk(stats)
    for number in range(3):
        pages.accept(json.dumps({"items": [number, "x"], "next": f"c{number}"}).encode())
    assert stats.runaways == 0
    pages.accept(json.dumps({"items": [1, "x"], "next": "c9"}).encode())
    assert stats.runaways == 1


def test_a_cursor_that_comes_again_ends_the_listing(stats: CatalogueStats) -> None:
    pages = walk(stats)
    pages.accept(page(1, cursor="a"))
    pages.accept(page(2, cursor="a"))
    assert (pages.request(), stats.runaways) == (None, 1)


def test_empty_pages_without_end_are_cut_short(stats: CatalogueStats) -> None:
    pages = walk(stats)
    count = 0
    while pages.request() is not None:
        pages.accept(page(cursor=f"c{count}"))
        count += 1
    assert (count, stats.runaways) == (MAX_EMPTY_PAGES + 1, 1)


def test_a_walk_may_be_stopped(stats: CatalogueStats) -> None:
    pages = walk(stats)
    pages.accept(page(1, cursor="a"))
    pages.stop()
    assert (pages.request(), pages.complete, stats.runaways) == (None, False, 0)


def test_nothing_there_is_an_error_unless_it_may_be(stats: CatalogueStats) -> None:
    with pytest.raises(ProtocolViolation, match="404"):
        walk(stats).accept(None)
    pages = walk(stats, may_be_missing=True)
    assert (list(pages.accept(None)), pages.request(), stats.not_found) == ([], None, 1)


@pytest.mark.parametrize(
    "body", [b"<html>", b"[]", b"{}", b'{"items":{}}', b'{"items":[],"next":7}']
)
def test_what_is_no_page_is_said(stats: CatalogueStats, body: bytes) -> None:
    with pytest.raises(ProtocolViolation, match=r"^u: "):
        walk(stats).accept(body)
