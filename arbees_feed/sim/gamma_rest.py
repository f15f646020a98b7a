"""Gamma, Polymarket's metadata service."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from aiohttp import web

from arbees_feed.sim.config import POLYMARKET
from arbees_feed.sim.gamma_json import (
    event_json,
    is_closed,
    market_json,
    tag_json,
    tag_number,
    tag_slug,
)
from arbees_feed.sim.rest import Handler, Json, error, flag, number, page, several
from arbees_feed.sim.shared import Shared
from arbees_feed.sim.world import Event, Market

T = TypeVar("T", Market, Event)

MARKET_LIMIT, EVENT_LIMIT, LEGACY_LIMIT = 100, 500, 100
DEFAULT_LIMIT = 20
TOKEN_FILTERS = ("clob_token_ids", "position_ids")
# `volume` and `liquidity` of a market are texts, and so they are sorted.
MARKET_KEYS = {"volume_num": "volumeNum", "liquidity_num": "liquidityNum"}


class GammaRest:
    """The handlers of gamma-api."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        paths: dict[str, Callable[[web.Request], Any]] = {
            "/markets/keyset": self._markets_keyset,
            "/markets/slug/{slug}": self._market_by_slug,
            "/markets/{number}/tags": self._market_tags,
            "/markets/{number}": self._market,
            "/markets": self._markets,
            "/events/keyset": self._events_keyset,
            "/events/slug/{slug}": self._event_by_slug,
            "/events/{number}": self._event,
            "/events": self._events,
            "/tags": self._tags,
            "/public-search": self._search,
        }
        return [web.get(path, self._json(act)) for path, act in paths.items()]

    def _json(self, act: Callable[[web.Request], Any]) -> Handler:
        async def handle(request: web.Request) -> web.Response:
            self._shared.counters["polymarket_rest_requests"] += 1
            return web.json_response(act(request))

        return handle

    def _markets_keyset(self, request: web.Request) -> Json:
        found, cursor = _keyset(request, self._chosen_markets(request), MARKET_LIMIT)
        return _with_cursor({"markets": [market_json(market) for market in found]}, cursor)

    def _events_keyset(self, request: web.Request) -> Json:
        found, cursor = _keyset(request, self._chosen_events(request), EVENT_LIMIT)
        return _with_cursor({"events": [event_json(event) for event in found]}, cursor)

    def _markets(self, request: web.Request) -> list[Json]:
        found = _legacy_page(request, self._chosen_markets(request))
        return [market_json(market) for market in found]

    def _events(self, request: web.Request) -> list[Json]:
        found = _legacy_page(request, self._chosen_events(request))
        return [event_json(event) for event in found]

    def _market_by_slug(self, request: web.Request) -> Json:
        slug = request.match_info["slug"]
        return market_json(_only(m for m in self._all_markets() if m.slug == slug))

    def _event_by_slug(self, request: web.Request) -> Json:
        slug = request.match_info["slug"]
        return event_json(_only(e for e in self._all_events() if e.slug == slug))

    def _market(self, request: web.Request) -> Json:
        return market_json(self._numbered_market(request))

    def _market_tags(self, request: web.Request) -> list[Json]:
        return [tag_json(label) for label in self._numbered_market(request).event.tags]

    def _event(self, request: web.Request) -> Json:
        wanted = request.match_info["number"]
        return event_json(_only(e for e in self._all_events() if e.id == wanted))

    def _tags(self, request: web.Request) -> list[Json]:
        labels = dict.fromkeys(label for event in self._all_events() for label in event.tags)
        return [tag_json(label) for label in _legacy_page(request, list(labels))]

    def _search(self, request: web.Request) -> Json:
        words = request.query.get("q", "").lower().split()
        found = [
            event
            for event in self._all_events()
            if all(word in _search_text(event) for word in words)
        ]
        return {"events": [event_json(event) for event in found], "tags": [], "profiles": []}

    def _chosen_markets(self, request: web.Request) -> list[Market]:
        chosen = [market for market in self._all_markets() if _selects_market(request, market)]
        return _sorted(request, chosen, market_json, MARKET_KEYS)

    def _chosen_events(self, request: web.Request) -> list[Event]:
        chosen = [event for event in self._all_events() if _selects_event(request, event)]
        return _sorted(request, chosen, event_json, {})

    def _numbered_market(self, request: web.Request) -> Market:
        wanted = request.match_info["number"]
        return _only(m for m in self._all_markets() if str(m.number) == wanted)

    def _all_markets(self) -> Sequence[Market]:
        return list(self._shared.world.markets(POLYMARKET))

    def _all_events(self) -> Sequence[Event]:
        return list(self._shared.world.events_of(POLYMARKET))


def _keyset(request: web.Request, items: Sequence[T], most: int) -> tuple[list[T], str]:
    if "offset" in request.query:
        raise error(422, {"type": "validation error", "error": "offset is not supported"})
    limit = _limit(request, most)
    return page(items, request.query.get("after_cursor", ""), limit)


def _limit(request: web.Request, most: int) -> int:
    limit = number(request, "limit", DEFAULT_LIMIT, low=1)
    if limit > most:
        raise error(422, {"type": "validation error", "error": f"limit must be <= {most}"})
    return limit


def _with_cursor(body: Json, cursor: str) -> Json:
    return body | ({"next_cursor": cursor} if cursor else {})


def _legacy_page(request: web.Request, items: Sequence[Any]) -> list[Any]:
    """Page by offset. The limit is silently clamped."""
    limit = min(number(request, "limit", DEFAULT_LIMIT), LEGACY_LIMIT)
    offset = number(request, "offset", 0)
    return list(items[offset : offset + limit])


def _sorted(
    request: web.Request,
    items: list[T],
    as_json: Callable[[T], Json],
    aliases: dict[str, str],
) -> list[T]:
    names = [aliases.get(name, name) for name in request.query.get("order", "").split(",") if name]
    if not names:
        return items
    known = as_json(items[0]) if items else dict.fromkeys(names)
    if any(name not in known for name in names):
        raise error(422, {"type": "validation error", "error": "order fields are not valid"})
    ascending = flag(request, "ascending", default=True)

    def key(item: T) -> tuple[tuple[bool, Any], ...]:
        body = as_json(item)
        return tuple((body[name] is not None, body[name]) for name in names)

    return sorted(items, key=key, reverse=not ascending)


def _selects_market(request: web.Request, market: Market) -> bool:
    query = request.query
    tags = {str(tag_number(label)) for label in market.event.tags}
    return (
        _is_wanted(query.getall("id", []), str(market.number))
        and _is_wanted(several(request, "slug"), market.slug)
        and _is_wanted(several(request, "condition_ids"), market.condition_id)
        and _is_wanted(several(request, "question_ids"), market.question_id)
        and _is_wanted(several(request, *TOKEN_FILTERS), market.id, market.other_id)
        and _is_wanted(several(request, "tag_id"), *tags)
        and flag(request, "closed") == (market.status == "finalized")
        and _is_within(request, "volume_num", market.volume_number)
    )


def _selects_event(request: web.Request, event: Event) -> bool:
    tag_slugs = [tag_slug(label) for label in event.tags]
    tag_ids = [str(tag_number(label)) for label in event.tags]
    closed = request.query.get("closed")
    return (
        _is_wanted(several(request, "id"), event.id)
        and _is_wanted(several(request, "slug"), event.slug)
        and _is_wanted(several(request, "tag_slug"), *tag_slugs)
        and _is_wanted(several(request, "tag_id"), *tag_ids)
        and (closed is None or flag(request, "closed") == is_closed(event))
        and request.query.get("title_search", "").lower() in event.title.lower()
    )


def _is_wanted(wanted: Sequence[str], *having: str) -> bool:
    """Tell whether one of *having* was asked for; nothing asked for is everything."""
    return not wanted or any(value in wanted for value in having)


def _is_within(request: web.Request, name: str, value: float) -> bool:
    low = float(request.query.get(f"{name}_min") or 0)
    high = float(request.query.get(f"{name}_max") or "inf")
    return low <= value <= high


def _search_text(event: Event) -> str:
    return " ".join((event.title, *(market.title for market in event.markets))).lower()


def _only(found: Iterator[T]) -> T:
    first = next(found, None)
    if first is None:
        raise error(404, {"type": "not found error", "error": "id not found"})
    return first
