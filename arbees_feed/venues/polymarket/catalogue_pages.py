"""One keyset listing of Polymarket's Gamma API, page after page, without the I/O.

`next_cursor` goes back as `after_cursor` until it is missing, null or empty, with the same filter
on every page (docs.polymarket.com, read 2026-11-21). Nothing promises that it ends, so a listing
that goes in circles is cut short and counted.
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


class PageWalk:
    """Take turns: `request()` until it is None, and `accept(body)` after each."""

    def __init__(
        self, url: str, key: str, params: Sequence[tuple[str, str]], stats: CatalogueStats
    ) -> None:
        self._url = url
        self._key = key
        self._params = tuple(params)
        self._stats = stats
        self._cursor: str | None = ""
        self._cursors_seen: set[str] = set()
        self._last_page = 0
        self._pages = 0
        self._empty_pages = 0
        self.complete = False
        """Whether the venue itself said that the listing has ended."""

    def request(self) -> Request | None:
        """Return the request of the next page, or None at the end."""
        if self._cursor is None:
            return None
        cursor = (("after_cursor", self._cursor),) if self._cursor else ()
        return Request(self._url, (*self._params, *cursor))

    def accept(self, body: bytes | None) -> Sequence[msgspec.Raw]:
        """Take the body of the page asked for and return its records, undecoded.

        Raises:
            ProtocolViolation: the body is not a page of this listing.
        """
        if body is None:
            raise violation(self._url, "there is no such listing (404): a wrong base URL?", b"")
        envelope = read(_envelope, body, self._url)
        if self._key not in envelope:
            raise violation(self._url, f"no `{self._key}` in the answer", body)
        records = read(_list, envelope[self._key], self._url) or []
        cursor = read(_text, envelope.get("next_cursor", b"null"), self._url) or ""
        self._pages += 1
        self._stats.pages += 1
        self._move_to(cursor, hash(bytes(envelope[self._key])) if records else 0)
        return records

    def _move_to(self, cursor: str, page: int) -> None:
        """Go on to *cursor* unless the listing goes in circles; *page* is 0 for an empty one."""
        self._cursor = cursor or None
        self._empty_pages = 0 if page else self._empty_pages + 1
        if not cursor:
            self.complete = True
            return
        if cursor in self._cursors_seen:
            self._stop(f"the cursor {cursor[:40]!r} came twice")
        elif page and page == self._last_page:
            self._stop("the same page came twice")
        elif self._empty_pages > MAX_EMPTY_PAGES:
            self._stop(f"{self._empty_pages} empty pages in a row")
        elif self._pages >= MAX_PAGES:
            self._stop("it has no end")
        self._cursors_seen.add(cursor)
        self._last_page = page

    def _stop(self, reason: str) -> None:
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
