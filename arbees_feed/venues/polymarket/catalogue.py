"""Which requests tell Polymarket's markets, and what the answers mean. No I/O, no clock.

Gamma has no "changed since". A full listing is of all that is open, and what has left it is looked
up once, so that its last status is told; between two of them the newest events and markets are read
until known ones come. A market by itself does not have its event's tags, so the events that were
listed are remembered (bounded).
"""

import re
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

import msgspec

from arbees_feed.core.events import TopOfBook
from arbees_feed.core.model import MarketId, MarketMeta
from arbees_feed.core.paging import UNREADABLE, PageWalk, Paging, read
from arbees_feed.core.sharding import chunks
from arbees_feed.core.venue import CatalogueStats, Crawl, Found, Request, Selection
from arbees_feed.venues.polymarket import catalogue_books
from arbees_feed.venues.polymarket.catalogue_fees import fee_fields
from arbees_feed.venues.polymarket.catalogue_limits import PUBLIC
from arbees_feed.venues.polymarket.catalogue_messages import Event, Market
from arbees_feed.venues.polymarket.catalogue_meta import (
    NO_EVENT,
    EventFacts,
    event_meta,
    is_tradable,
    market_meta,
)
from arbees_feed.venues.polymarket.catalogue_tops import Book, TopReader

# 500 are allowed; 100 events with their markets are already some megabytes.
EVENTS_A_PAGE = "100"
MARKETS_A_PAGE = "100"
IDS_A_REQUEST = 40
"""A token id has 78 digits and its own `clob_token_ids=`: 40 of them keep the URL below 4 kB."""
MARKETS_A_FINDING = 50
"""How many are handed over at a time: whoever drives the crawl can do other work between."""
BOOKS_A_REQUEST = 200
"""500 are allowed; 200 deep books are already some megabytes."""
WHOLE_BOOKS_A_REQUEST = 100
"""Each of them is parsed to its last level, in one go."""
EVENTS_REMEMBERED = 50_000
ENDED = frozenset({"closed", "settled"})

Params = Sequence[tuple[str, str]]
Counting = Generator[Request | Found, bytes | None, int]
T = TypeVar("T", Market, Event, Book, catalogue_books.Book)
_BY_EVENT = Paging(sent="after_cursor", told="next_cursor", identity="id")
_BY_MARKET = Paging(sent="after_cursor", told="next_cursor", identity="conditionId")
_market = msgspec.json.Decoder(Market)
_event = msgspec.json.Decoder(Event)
_book = msgspec.json.Decoder(Book)
_whole_book = msgspec.json.Decoder(catalogue_books.Book)
_books = msgspec.json.Decoder(list[msgspec.Raw])
_raw = msgspec.json.Decoder(msgspec.Raw)
# Structural ids of protocol v2 have 31 bytes.
_condition_id = re.compile(r"0x(?:[0-9a-fA-F]{62}|[0-9a-fA-F]{64})")
_OPEN = ("closed", "false")
_NEWEST_FIRST = (("order", "id"), ("ascending", "false"), _OPEN)


class PolymarketCatalogue:
    """Polymarket's metadata; base URLs are `gamma` and, for tops of book, `clob`."""

    def __init__(self, base_urls: Mapping[str, str]) -> None:
        self.stats = CatalogueStats()
        self.rates = PUBLIC
        self._base = base_urls["gamma"].rstrip("/")
        self._clob = base_urls.get("clob", "").rstrip("/")
        self._tops = TopReader()
        self._whole = catalogue_books.BookReader()
        self._facts: dict[str, EventFacts] = {}
        self._open: set[MarketId] = set()
        self._listed: set[MarketId] = set()
        self._universe: set[MarketId] = set()

    def immediate(self, selection: Selection) -> Sequence[MarketId]:
        """Return the token ids that *selection* names.

        One may be a NO token: `universe` finds its market, whose id is the YES token.
        """
        named = dict.fromkeys(selection.markets)
        return tuple(MarketId(name) for name in named if _is_token(name))

    def universe(self, selection: Selection, since_s: int | None = None) -> Crawl:
        """Find the tradable markets that *selection* names by token, condition, slug or tag.

        Series select nothing here. Token ids are resolved too, for those that are NO tokens.
        """
        if selection.everything:
            yield from self._all_tradable() if since_s is None else self._new_tradable()
            return
        yield from self._named(selection.markets)
        for slugs in chunks(selection.events, IDS_A_REQUEST):
            pairs = [("slug", slug) for slug in slugs]
            yield from self._tradable_of_events((*pairs, _OPEN))
        for tag in selection.tags:
            yield from self._tradable_of_events((("tag_slug", tag), _OPEN))
        if not (selection.markets or selection.events or selection.tags):
            yield from self._most_traded(selection.top)

    def listing(self, since_s: int | None) -> Crawl:
        """Find all open events with their markets, and what ended since the last such listing.

        With *since_s*: the newest events and markets, until known ones come.
        """
        if since_s is not None:
            yield from self._new_events()
            yield from self._new_markets()
            return
        self._listed = set()
        walk = self._walk("events", (_OPEN, ("limit", EVENTS_A_PAGE)))
        while (request := walk.request()) is not None:
            yield from self._found_events(walk.accept((yield request)))
        if not walk.complete:
            return
        ended, self._open = self._open - self._listed, self._listed
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

    def tops(self, markets: Sequence[MarketId] | None) -> Crawl:
        """Find the top of book of these markets, or of all that the last full listing had (None).

        What has no book (unknown, settled) is left out by the venue.
        """
        wanted = sorted(self._open) if markets is None else tuple(dict.fromkeys(markets))
        for tokens in chunks(wanted, BOOKS_A_REQUEST):
            records = yield from self._fetch_books(tokens)
            for some in chunks(records, MARKETS_A_FINDING):
                yield Found(tops=list(self._read_tops(some)))

    def books(self, markets: Sequence[MarketId]) -> Crawl:
        """Find the whole books of these tokens, each proved by its own hash.

        What has no book (unknown, settled) is left out by the venue.
        """
        for tokens in chunks(tuple(dict.fromkeys(markets)), WHOLE_BOOKS_A_REQUEST):
            records = yield from self._fetch_books(tokens)
            books, problems = self._whole.read(self._decoded(_whole_book, records))
            for problem in problems:
                self._skip(problem)
            yield Found(books=books)

    def allowance(self) -> Crawl:
        """Find nothing: limits are by address and the same for all."""
        yield from ()

    def fees(self, events: Sequence[str] = ()) -> Crawl:
        """Find nothing: each market tells its own."""
        del events
        yield from ()

    def forget(self, markets: Sequence[MarketId], events: Sequence[str]) -> None:
        """Remember no more of these."""
        for event in events:
            self._facts.pop(event, None)
        for known in (self._open, self._listed, self._universe):
            known.difference_update(markets)

    def _fetch_books(
        self, tokens: Sequence[MarketId]
    ) -> Generator[Request | Found, bytes | None, list[msgspec.Raw]]:
        body = msgspec.json.encode([{"token_id": token} for token in tokens])
        url = f"{self._clob}/books"
        answer = yield Request(url, method="POST", body=body)
        return [] if answer is None else read(_books, answer, url)

    def _read_tops(self, records: Iterable[msgspec.Raw]) -> Iterator[TopOfBook]:
        for book in self._decoded(_book, records):
            try:
                yield self._tops.top(book)
            except ValueError as exc:
                self._skip(f"{book.asset_id[:80]}: {exc}")

    # -- what is new -------------------------------------------------------------------------------

    def _new_events(self) -> Crawl:
        walk = self._walk("events", (*_NEWEST_FIRST, ("limit", EVENTS_A_PAGE)))
        while (request := walk.request()) is not None:
            records = walk.accept((yield request))
            if all(str(event.id) in self._facts for event in self._events(records)):
                walk.stop()
            yield from self._found_events(records)
        self._open |= self._listed

    def _new_markets(self) -> Crawl:
        """Find new markets of old events as well."""
        walk = self._walk("markets", (*_NEWEST_FIRST, ("limit", MARKETS_A_PAGE)))
        while (request := walk.request()) is not None:
            markets = list(self._markets(walk.accept((yield request))))
            joined = [(market, self._joined(market)) for market in markets]
            new = [m for m, meta in joined if meta is not None and meta.market_id not in self._open]
            if not new:
                walk.stop()
            yield from self._learn_events(new)
            metas = [meta for market in new if (meta := self._joined(market)) is not None]
            self._open.update(meta.market_id for meta in metas if meta.status not in ENDED)
            yield Found(markets=metas)

    def _all_tradable(self) -> Crawl:
        found: set[MarketId] = set()
        yield from _noting(self._tradable_of_events((_OPEN,)), found)
        self._universe = found

    def _new_tradable(self) -> Crawl:
        walk = self._walk("markets", (*_NEWEST_FIRST, ("limit", MARKETS_A_PAGE)))
        while (request := walk.request()) is not None:
            markets = self._markets(walk.accept((yield request)))
            joined = [self._joined(market) for market in markets if is_tradable(market)]
            metas = [m for m in joined if m is not None and m.market_id not in self._universe]
            if not metas:
                walk.stop()
            self._universe.update(meta.market_id for meta in metas)
            yield Found(markets=metas)

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
        fees, problem = fee_fields(market)
        if problem:
            self._skip(f"{market.condition_id[:80]}: {problem}")
        try:
            return market_meta(market, facts, fees)
        except ValueError as exc:
            self._skip(str(exc))
            return None

    def _remember(self, facts: EventFacts) -> None:
        self._facts.pop(facts.id, None)
        self._facts[facts.id] = facts
        if len(self._facts) > EVENTS_REMEMBERED:
            del self._facts[next(iter(self._facts))]

    def _walk(self, kind: str, params: Params) -> PageWalk:
        paging = _BY_EVENT if kind == "events" else _BY_MARKET
        return PageWalk(paging, f"{self._base}/{kind}/keyset", kind, params, self.stats)

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


def _noting(plan: Crawl, ids: set[MarketId]) -> Crawl:
    """Run *plan*, and note the markets that it finds."""
    reply: bytes | None = None
    while True:
        try:
            step = plan.send(reply)
        except StopIteration:
            return
        if isinstance(step, Found):
            ids.update(meta.market_id for meta in step.markets)
        reply = yield step


def _is_token(name: str) -> bool:
    return name.isascii() and name.isdecimal()


def _kind(name: str) -> str:
    """Return the query parameter that finds a market by *name*."""
    if _is_token(name):
        return "clob_token_ids"
    return "condition_ids" if _condition_id.fullmatch(name) else "slug"
