"""The status page at /, what it is made of, and what it asks for.

    /                     the page; JSON for whoever does not ask for HTML
    /page/...             its script, style and picture
    /events?markets=A,B   a stream: the status once a second, with the prices of these markets
    /markets?q=TEXT       a search, by title and id
    /market/ID            one market, with its ladder

Titles and reasons are written by others, so nothing on the page is ever taken for markup: the
server escapes, the script sets texts, and the policy below lets neither inline scripts nor other
hosts in. A page of another site may make a browser send requests here, though it can't read the
answers: those that cost something are refused to it.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from html import escape
from importlib.resources import files
from pathlib import PurePath
from string import Template
from typing import Final

import msgspec
from aiohttp import web

from arbees_feed.core.text import is_name
from arbees_feed.ops.listeners import Listeners
from arbees_feed.ops.overview import Finding, Found, Hit, Overview, PriceNow, StatusNow, VenueNow

HITS_AT_MOST: Final = 50
"""Also so many markets at most have their prices streamed to one listener."""
HITS: Final = 25
TEXT_AT_MOST: Final = 200
SEARCHES_AT_MOST: Final = 8
"""Under way at a time: each takes milliseconds in which no frame is read."""

_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Numbers from a cache are worse than none.
    "Cache-Control": "no-store",
}
_TYPES: Final = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_encode = msgspec.json.Encoder().encode


class StatusPage:
    """Answers for the page; *about* is what others than browsers are told at /."""

    def __init__(
        self, overview: Overview, listeners: Listeners, about: Callable[[], Mapping[str, object]]
    ) -> None:
        self._overview = overview
        self._listeners = listeners
        self._about = about
        self._searches = 0
        folder = files("arbees_feed.ops") / "page"
        self._page = Template((folder / "index.html").read_text(encoding="utf-8"))
        # Named once, at the start: what is asked for later is never looked for on the disk.
        self._assets = {
            file.name: (file.read_bytes(), _TYPES[suffix])
            for file in folder.iterdir()
            if (suffix := PurePath(file.name).suffix) in _TYPES
        }

    def add_to(self, app: web.Application) -> None:
        """Add the routes; listeners are let go when the server closes."""
        app.router.add_get("/", self._index)
        app.router.add_get("/page/{name}", self._asset)
        app.router.add_get("/events", _for_ourselves(self._events), allow_head=False)
        app.router.add_get("/markets", _for_ourselves(self._search))
        app.router.add_get("/market/{market}", _for_ourselves(self._market))
        app.on_shutdown.append(self._close)

    async def _close(self, _app: web.Application) -> None:
        self._listeners.close()

    # -- answers -----------------------------------------------------------------------------------

    async def _index(self, request: web.Request) -> web.Response:
        headers = {**HEADERS, "Vary": "Accept"}
        if "text/html" not in request.headers.get("Accept", ""):
            text = json.dumps(self._about(), indent=2, ensure_ascii=False) + "\n"
            return web.Response(text=text, headers=headers, content_type="application/json")
        asked = request.query.get("q", "")[:TEXT_AT_MOST]
        # Another site may lead here, but not make us search.
        may_search = asked and _is_our_own(request)
        found = await self._found(asked, HITS) if may_search else Found([])
        found = found or Found([], "too many searches at a time: ask again")
        text = self._page.substitute(_filled_in(self._overview.status(), asked, found))
        return web.Response(text=text, headers=headers, content_type="text/html")

    async def _asset(self, request: web.Request) -> web.Response:
        found = self._assets.get(request.match_info["name"])
        if found is None:
            return _json({"error": "the page has no such part"}, 404)
        body, content_type = found
        return web.Response(body=body, headers=HEADERS, content_type=content_type, charset="utf-8")

    async def _events(self, request: web.Request) -> web.StreamResponse:
        asked = request.query.get("markets", "")
        markets = asked.split(",") if asked else []
        if len(markets) > HITS_AT_MOST:
            return _refused(f"markets: {HITS_AT_MOST} at most")
        if not all(map(is_name, markets)):
            return _refused("markets: ids with commas between them")
        # Nothing on the way may keep it back, to send more at once.
        headers = {**HEADERS, "X-Accel-Buffering": "no"}
        return await self._listeners.listen(request, markets, headers)

    async def _search(self, request: web.Request) -> web.Response:
        text = request.query.get("q", "")
        limit = request.query.get("limit", str(HITS))
        if len(text) > TEXT_AT_MOST:
            return _refused(f"q: {TEXT_AT_MOST} characters at most")
        if not (limit.isascii() and limit.isdecimal() and 1 <= int(limit[:9]) <= HITS_AT_MOST):
            return _refused(f"limit: a number from 1 to {HITS_AT_MOST}")
        found = await self._found(text, int(limit))
        if found is None:
            return _json({"error": "too many searches at a time: ask again"}, 503)
        return _json(found)

    async def _found(self, text: str, limit: int) -> Found | None:
        """Search, unless too many do."""
        if self._searches >= SEARCHES_AT_MOST:
            return None
        self._searches += 1
        try:
            return await self._overview.search(text, limit)
        finally:
            self._searches -= 1

    async def _market(self, request: web.Request) -> web.Response:
        market = request.match_info["market"]
        if not is_name(market):
            # What was asked for is not repeated: it may be anything.
            return _json({"error": "this is no market id"}, 404)
        found = self._overview.market(market)
        if found is None:
            return _json({"error": f"{market} is not followed"}, 404)
        return _json(found)


def _for_ourselves(handler: Handler) -> Handler:
    """Refuse what a browser says another site has made it ask."""

    async def handle(request: web.Request) -> web.StreamResponse:
        if not _is_our_own(request):
            return web.Response(status=403, text="this is for the status page itself\n")
        return await handler(request)

    return handle


def _is_our_own(request: web.Request) -> bool:
    # Browsers say it since 2023; who is none says nothing.
    return request.headers.get("Sec-Fetch-Site", "none") in ("same-origin", "none")


def _json(content: object, status: int = 200) -> web.Response:
    return web.Response(
        body=_encode(content), status=status, headers=HEADERS, content_type="application/json"
    )


def _refused(why: str) -> web.Response:
    return _json({"error": why}, 400)


# -- what is there without a script ----------------------------------------------------------------


def _filled_in(status: StatusNow, asked: str, found: Found) -> Mapping[str, str]:
    return {
        "version": escape(status.version),
        "tone": escape(status.verdict.tone),
        "headline": escape(status.verdict.headline),
        "findings": "".join(map(_finding, status.verdict.findings)),
        "venues": "".join(map(_venue_row, status.venues)),
        "asked": escape(asked),
        "note": escape(found.note),
        "hits": "".join(map(_hit_row, found.hits)),
    }


def _finding(finding: Finding) -> str:
    tag = f'<li data-tone="{escape(finding.tone)}">'
    parts = [
        f"<strong>{escape(finding.who)}</strong>",
        f"<bdi>{escape(finding.what)}</bdi>",
        f'<span class="do">{escape(finding.do)}</span>',
        f"<small>docs/operations.md: {escape(finding.runbook)}</small>",
    ]
    return f"{tag}{''.join(parts)}</li>"


def _venue_row(venue: VenueNow) -> str:
    cells = [
        venue.state,
        f"{venue.connections} of {venue.connections_wanted}",
        f"{venue.books:,} of {venue.books_wanted:,}",
        f"{venue.markets_live:,} of {venue.markets:,}",
        f"{venue.audit_ratio:.2%}",
        venue.reason,
    ]
    return _row(venue.venue, cells)


def _hit_row(hit: Hit) -> str:
    price = hit.price
    cells = [hit.market, hit.venue, *_quote(price), price.status]
    return _row(hit.title or hit.market, cells)


def _quote(price: PriceNow) -> list[str]:
    return ["" if dollars is None else f"{dollars:g}" for dollars in (price.bid, price.ask)]


def _row(head: str, cells: list[str]) -> str:
    rest = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
    return f'<tr><th scope="row">{escape(head)}</th>{rest}</tr>\n'
