"""One listing of a REST interface, page after page, without the I/O.

Both venues hand out a cursor to send back until it is empty, missing or null, with the same filter
on every page. Nothing promises that it ever ends, so a listing that goes in circles is cut short
and counted. Pages are compared by their first and last record, not by their bytes: a page that
comes again has other prices in it.
"""

import json
from collections.abc import Sequence
from typing import TypeVar

import msgspec

from arbees_feed.core.venue import CatalogueStats, Request
from arbees_feed.errors import ProtocolViolation

MAX_PAGES = 5_000
MAX_EMPTY_PAGES = 3
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises for a body that is not what it should be."""
_SHOWN_BYTES = 120

T = TypeVar("T")
_envelope = msgspec.json.Decoder(dict[str, msgspec.Raw])
_list = msgspec.json.Decoder(list[msgspec.Raw] | None)
_text = msgspec.json.Decoder(str | None)


class Paging(msgspec.Struct, frozen=True):
    """How a venue's listings are paged."""

    sent: str
    """The parameter that carries the cursor."""
    told: str
    """The field of an answer that holds the next cursor."""
    identity: str
    """The field that names a record, if it has one."""


class PageWalk:
    """Take turns: `request()` until it is None, and `accept(body)` after each."""

    def __init__(
        self,
        paging: Paging,
        url: str,
        key: str,
        params: Sequence[tuple[str, str]],
        stats: CatalogueStats,
        *,
        may_be_missing: bool = False,
        signed: bool = False,
    ) -> None:
        """Begin at the first page; *may_be_missing*: a 404 says that there is nothing."""
        self.complete = False
        """Whether the venue itself said that the listing has ended."""
        self._paging = paging
        self._url = url
        self._key = key
        self._params = tuple(params)
        self._stats = stats
        self._may_be_missing = may_be_missing
        self._signed = signed
        self._cursor: str | None = ""
        self._cursors_seen: set[str] = set()
        self._pages_seen: set[int] = set()
        self._pages = 0
        self._empty_pages = 0

    def request(self) -> Request | None:
        """Return the request of the next page, or None at the end."""
        if self._cursor is None:
            return None
        cursor = ((self._paging.sent, self._cursor),) if self._cursor else ()
        return Request(self._url, (*self._params, *cursor), signed=self._signed)

    def stop(self) -> None:
        """Ask for no more pages: what follows is of no interest."""
        self._cursor = None

    def accept(self, body: bytes | None) -> Sequence[msgspec.Raw]:
        """Take the body of the page asked for and return its records, undecoded.

        Raises:
            ProtocolViolation: the body is not a page of this listing.
        """
        if body is None:
            return self._nothing_there()
        envelope = read(_envelope, body, self._url)
        if self._key not in envelope:
            raise violation(self._url, f"no `{self._key}` in the answer", body)
        records = read(_list, envelope[self._key], self._url) or []
        cursor = read(_text, envelope.get(self._paging.told, b"null"), self._url) or ""
        self._pages += 1
        self._stats.pages += 1
        self._move_to(cursor, self._mark_of(records) if records else 0)
        return records

    def _nothing_there(self) -> Sequence[msgspec.Raw]:
        if not self._may_be_missing:
            raise violation(self._url, "there is no such listing (404): a wrong base URL?", b"")
        self._cursor = None
        self._stats.not_found += 1
        return ()

    def _mark_of(self, records: Sequence[msgspec.Raw]) -> int:
        """Return what tells this page from others; never 0."""
        ends = (self._name_of(records[0]), self._name_of(records[-1]), len(records))
        return hash(ends) or 1

    def _name_of(self, record: msgspec.Raw) -> bytes:
        try:
            return bytes(_envelope.decode(record)[self._paging.identity])
        except (*UNREADABLE, KeyError):
            return bytes(record)

    def _move_to(self, cursor: str, page: int) -> None:
        """Go on to *cursor* unless the listing goes in circles; *page* is 0 for an empty one."""
        self._cursor = cursor or None
        self._empty_pages = 0 if page else self._empty_pages + 1
        if not cursor:
            self.complete = True
            return
        if cursor in self._cursors_seen:
            self._cut(f"the cursor {cursor[:40]!r} came twice")
        elif page in self._pages_seen:
            self._cut("the same page came twice")
        elif self._empty_pages > MAX_EMPTY_PAGES:
            self._cut(f"{self._empty_pages} empty pages in a row")
        elif self._pages >= MAX_PAGES:
            self._cut("it has no end")
        self._cursors_seen.add(cursor)
        if page:
            self._pages_seen.add(page)

    def _cut(self, reason: str) -> None:
        self._cursor = None
        self._stats.runaways += 1
        self._stats.last_problem = f"{self._url}: cut short at page {self._pages}: {reason}"


def read(decoder: msgspec.json.Decoder[T], body: bytes | msgspec.Raw, url: str) -> T:
    """Decode *body*, the answer of *url*.

    Raises:
        ProtocolViolation: it is not JSON (an error page of a proxy), or not of this shape.
    """
    try:
        return decoder.decode(body)
    except UNREADABLE as exc:
        try:
            return decoder.decode(_mended(bytes(body)))
        except (*UNREADABLE, ValueError):
            raise violation(url, str(exc), bytes(body)) from exc


def _mended(body: bytes) -> bytes:
    """Return JSON with half of a surrogate pair (a cut emoji) or bad UTF-8 as question marks.

    One such character in one title would otherwise cost a page of markets.
    """
    value = json.loads(body.decode(errors="replace"))
    return json.dumps(value, ensure_ascii=False).encode(errors="replace")


def violation(url: str, reason: str, body: bytes) -> ProtocolViolation:
    """Return the error that says which answer was wrong and how."""
    return ProtocolViolation(f"{url}: {reason}: {body[:_SHOWN_BYTES]!r}")
