"""Which requests tell Polymarket's markets, and what the answers mean. No I/O, no clock.

Gamma has no "changed since": every listing is of all that is open, and what has left it is
looked up once, so that its last status is told. A market by itself does not have its event's
tags, so the events that were listed are remembered (bounded).
"""

import re
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

import msgspec

from arbees_feed.core.model import MarketId, MarketMeta
from arbees_feed.core.sharding import chunks
from arbees_feed.core.venue import CatalogueStats, Crawl, Found, Request, Selection
from arbees_feed.venues.polymarket.catalogue_messages import Event, Market
from arbees_feed.venues.polymarket.catalogue_meta import (
    NO_EVENT,
    EventFacts,
    event_meta,
    is_tradable,
    market_meta,
)
from arbees_feed.venues.polymarket.catalogue_pages import UNREADABLE, PageWalk, read

# 500 are allowed; 100 events with their markets are already some megabytes.
EVENTS_A_PAGE = "100"
MARKETS_A_PAGE = "100"
IDS_A_REQUEST = 40
"""A token id has 78 digits and its own `clob_token_ids=`: 40 of them keep the URL below 4 kB."""
MARKETS_A_FINDING = 50
"""How many are handed over at a time: whoever drives the crawl can do other work between."""
EVENTS_REMEMBERED = 50_000
ENDED = frozenset({"closed", "settled"})

Params = Sequence[tuple[str, str]]
Counting = Generator[Request | Found, bytes | None, int]
T = TypeVar("T", Market, Event)
_market = msgspec.json.Decoder(Market)
_event = msgspec.json.Decoder(Event)
_raw = msgspec.json.Decoder(msgspec.Raw)
# Structural ids of protocol v2 have 31 bytes.
_condition_id = re.compile(r"0x(?:[0-9a-fA-F]{62}|[0-9a-fA-F]{64})")
_OPEN = ("closed", "false")


class PolymarketCatalogue:
    """Polymarket's metadata; `gamma` is the base URL (`clob` is not needed here)."""

    def __init__(self, base_urls: Mapping[str, str]) -> None:
        self.stats = CatalogueStats()
        self._base = base_urls["gamma"].rstrip("/")
        self._facts: dict[str, EventFacts] = {}
        self._open: set[MarketId] = set()
        self._listed: set[MarketId] = set()

    def immediate(self, selection: Selection) -> Sequence[MarketId]:
        """Return the token ids that *selection* names.

        One may be a NO token: `universe` finds its market, whose id is the YES token.
        """
        named = dict.fromkeys(selection.markets)
        return tuple(MarketId(name) for name in named if _is_token(name))

    def universe(self, selection: Selection) -> Crawl:
        """Find the tradable markets that *selection* names by token, condition, slug or tag.

        Series select nothing here. Token ids are resolved too, for those that are NO tokens.
        """
        yield from self._named(selection.markets)
        for slugs in chunks(selection.events, IDS_A_REQUEST):
            pairs = [("slug", slug) for slug in slugs]
            yield from self._tradable_of_events((*pairs, _OPEN))
        for tag in selection.tags:
            yield from self._tradable_of_events((("tag_slug", tag), _OPEN))
        if not (selection.markets or selection.events or selection.tags):
            yield from self._most_traded(selection.top)

    def listing(self, since_s: int | None) -> Crawl:
        """Find all open events with their markets; with *since_s*, also what ended meanwhile."""
        self._listed = set()
        walk = self._walk("events", (_OPEN, ("limit", EVENTS_A_PAGE)))
        while (request := walk.request()) is not None:
            yield from self._found_events(walk.accept((yield request)))
        if not walk.complete:
            return
        ended, self._open = self._open - self._listed, self._listed
        if since_s is not None:
            yield from self.lookup(sorted(ended))

    def lookup(self, markets: Sequence[MarketId]) -> Crawl:
        """Find these markets, whatever their state, and the events not heard of before."""
        for ids in chunks(tuple(dict.fromkeys(markets)), IDS_A_REQUEST):
            missing = set(ids)
            for closed in ("false", "true"):
                pairs = [("clob_token_ids", token) for token in ids if token in missing]
                if pairs:
                    yield from self._look_up((*pairs, ("closed", closed)), missing)
            self.stats.not_found += len(missing)

    def _look_up(self, params: Params, missing: set[MarketId]) -> Crawl:
        """Find markets and take their tokens off *missing*."""
        walk = self._walk("markets", (*params, ("limit", MARKETS_A_PAGE)))
        while (request := walk.request()) is not None:
            markets = list(self._markets(walk.accept((yield request))))
            yield from self._learn_events(markets)
            metas = [meta for market in markets if (meta := self._joined(market)) is not None]
            for meta in metas:
                missing -= {meta.market_id, MarketId(meta.extras["no_token_id"])}
            yield Found(markets=metas)

    def _named(self, names: Sequence[str]) -> Crawl:
        kinds: dict[str, list[str]] = {"clob_token_ids": [], "condition_ids": [], "slug": []}
        for name in dict.fromkeys(names):
            kinds[_kind(name)].append(name)
        for param, values in kinds.items():
            for some in chunks(values, IDS_A_REQUEST):
                found = yield from self._tradable((*((param, v) for v in some), _OPEN), None)
                self._miss(param, some, found)

    def _miss(self, param: str, names: Sequence[str], found: int) -> None:
        if found < len(names):
            self.stats.not_found += len(names) - found
            self.stats.last_problem = (
                f"{found} of {len(names)} markets by {param} are there and tradable: "
                f"{', '.join(name[:40] for name in names[:3])} …"
            )

    def _most_traded(self, top: int) -> Crawl:
        if top > 0:
            # `volume` is sorted as text.
            order = (("order", "volumeNum"), ("ascending", "false"), _OPEN)
            yield from self._tradable(order, top)

    def _tradable(self, params: Params, most: int | None) -> Counting:
        """Hand over tradable markets, *most* at most; return how many."""
        walk = self._walk("markets", (*params, ("limit", MARKETS_A_PAGE)))
        count = 0
        while (request := walk.request()) is not None and (most is None or count < most):
            markets = self._markets(walk.accept((yield request)))
            joined = (self._joined(market) for market in markets if is_tradable(market))
            metas = [meta for meta in joined if meta is not None]
            metas = metas if most is None else metas[: most - count]
            count += len(metas)
            yield Found(markets=metas)
        return count

    def _tradable_of_events(self, params: Params) -> Crawl:
        walk = self._walk("events", (*params, ("limit", EVENTS_A_PAGE)))
        while (request := walk.request()) is not None:
            for event in self._events(walk.accept((yield request))):
                markets = self._markets(event.markets or ())
                facts = EventFacts.of(event)
                metas = [self._meta(m, facts) for m in markets if is_tradable(m)]
                yield Found(markets=[meta for meta in metas if meta is not None])

    def _found_events(self, records: Iterable[msgspec.Raw]) -> Crawl:
        """Hand over a page of events, some markets at a time."""
        found = Found()
        for event in self._events(records):
            for part in self._parts(event):
                found = Found((*found.markets, *part.markets), (*found.events, *part.events))
                if len(found.markets) >= MARKETS_A_FINDING:
                    yield found
                    found = Found()
        if found.markets or found.events:
            yield found

    def _parts(self, event: Event) -> Iterator[Found]:
        """Hand over the markets of one event in parts; the last one has the event as well."""
        facts = EventFacts.of(event)
        self._remember(facts)
        ids: list[MarketId] = []
        for some in chunks(event.markets or (), MARKETS_A_FINDING):
            metas = [self._meta(market, facts) for market in self._markets(some)]
            part = [meta for meta in metas if meta is not None]
            ids += [meta.market_id for meta in part]
            self._listed.update(meta.market_id for meta in part if meta.status not in ENDED)
            yield Found(markets=part)
        yield Found(events=[event_meta(event, ids)])

    def _learn_events(self, markets: Iterable[Market]) -> Crawl:
        """Fetch the events of *markets* that were never seen."""
        for market in markets:
            facts = self._facts_in(market)
            if facts.id and facts.id not in self._facts:
                # The short form will do if the event is gone.
                self._remember(facts)
                yield from self._fetch_event(facts.id)

    def _fetch_event(self, event_id: str) -> Crawl:
        url = f"{self._base}/events/{event_id}"
        body = yield Request(url)
        if body is None:
            self.stats.not_found += 1
            return
        yield from self._found_events([read(_raw, body, url)])

    def _joined(self, market: Market) -> MarketMeta | None:
        facts = self._facts_in(market)
        return self._meta(market, self._facts.get(facts.id, facts))

    def _facts_in(self, market: Market) -> EventFacts:
        """Return the facts of the short form of the event that the market carries."""
        events = list(self._decoded(_event, (market.events or ())[:1]))
        return EventFacts.of(events[0]) if events else NO_EVENT

    def _meta(self, market: Market, facts: EventFacts) -> MarketMeta | None:
        try:
            return market_meta(market, facts)
        except ValueError as exc:
            self._skip(str(exc))
            return None

    def _remember(self, facts: EventFacts) -> None:
        self._facts.pop(facts.id, None)
        self._facts[facts.id] = facts
        if len(self._facts) > EVENTS_REMEMBERED:
            del self._facts[next(iter(self._facts))]

    def _walk(self, kind: str, params: Params) -> PageWalk:
        return PageWalk(f"{self._base}/{kind}/keyset", kind, params, self.stats)

    def _markets(self, records: Iterable[msgspec.Raw]) -> Iterator[Market]:
        return self._decoded(_market, records)

    def _events(self, records: Iterable[msgspec.Raw]) -> Iterator[Event]:
        return self._decoded(_event, records)

    def _decoded(
        self, decoder: msgspec.json.Decoder[T], records: Iterable[msgspec.Raw]
    ) -> Iterator[T]:
        """Decode each record; skip and count those that can't be."""
        for record in records:
            self.stats.records += 1
            try:
                decoded = decoder.decode(record)
            except UNREADABLE as exc:
                self._skip(f"{exc}: {bytes(record)[:80]!r}")
            else:
                yield decoded

    def _skip(self, reason: str) -> None:
        self.stats.skipped += 1
        self.stats.last_problem = f"skipped a record: {reason}"


def _is_token(name: str) -> bool:
    return name.isascii() and name.isdecimal()


def _kind(name: str) -> str:
    """Return the query parameter that finds a market by *name*."""
    if _is_token(name):
        return "clob_token_ids"
    return "condition_ids" if _condition_id.fullmatch(name) else "slug"
