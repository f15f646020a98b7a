"""A venue's catalogue driven without any I/O: requests out, bodies in."""

from collections.abc import Callable, Iterable

from arbees_feed.core.events import BookTold, TopOfBook
from arbees_feed.core.model import EventMeta, MarketMeta
from arbees_feed.core.venue import Crawl, Found, Request

Answer = Callable[[Request], bytes | None]
REQUESTS_AT_MOST = 50


def drive(crawl: Crawl, answer: Answer) -> tuple[list[Request], list[Found]]:
    """Run a crawl to its end; return what it asked and what it found."""
    requests: list[Request] = []
    findings: list[Found] = []
    reply: bytes | None = None
    while True:
        try:
            step = crawl.send(reply)
        except StopIteration:
            return requests, findings
        reply = None
        if isinstance(step, Request):
            requests.append(step)
            assert len(requests) < REQUESTS_AT_MOST, "the crawl does not end"
            reply = answer(step)
        else:
            findings.append(step)


def markets_of(findings: Iterable[Found]) -> list[MarketMeta]:
    """Return all markets found."""
    return [meta for found in findings for meta in found.markets]


def events_of(findings: Iterable[Found]) -> list[EventMeta]:
    """Return all events found."""
    return [meta for found in findings for meta in found.events]


def tops_of(findings: Iterable[Found]) -> list[TopOfBook]:
    """Return all tops found."""
    return [top for found in findings for top in found.tops]


def books_of(findings: Iterable[Found]) -> list[BookTold]:
    """Return all books found."""
    return [book for found in findings for book in found.books]
