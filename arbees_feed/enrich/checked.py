"""A venue's catalogue with what nobody may rely on taken out: names that are none, odd numbers.

Ids end up in the names of Redis keys and in the addresses of further requests, so they must be
names and nothing else; a volume is a score in Redis, which takes no NaN and would refuse the whole
batch for it. Texts are made fit where hashes are made (diff.py). What is left out is counted as
skipped, and costs its record only.
"""

import math
import re
from collections.abc import Sequence

import msgspec

from arbees_feed.core.model import EventMeta, MarketId, MarketMeta
from arbees_feed.core.ratelimit import Rates
from arbees_feed.core.text import NAME, escaped, is_name
from arbees_feed.core.venue import Catalogue, CatalogueStats, Crawl, Found, Selection

_SHOWN_CHARS = 80
# What bends an address, or never stands in one of ours.
_BENT = re.compile(r"[^A-Za-z0-9._~/:@%+,=&\[\]-]|/\.{1,2}(/|$)")


class CheckedCatalogue:
    """Passes everything on to another catalogue, and checks what comes back."""

    def __init__(self, catalogue: Catalogue, form: re.Pattern[str] = NAME) -> None:
        """Check *catalogue*; its markets are named in this *form*."""
        self._catalogue = catalogue
        self._form = form

    @property
    def stats(self) -> CatalogueStats:
        """What the catalogue counted; what was left out here is in it."""
        return self._catalogue.stats

    @property
    def rates(self) -> Rates:
        """How fast the venue may be asked."""
        return self._catalogue.rates

    def immediate(self, selection: Selection) -> Sequence[MarketId]:
        """Return the selected markets that are known without any request."""
        return self._catalogue.immediate(selection)

    def universe(self, selection: Selection, since_s: int | None = None) -> Crawl:
        """Find the open markets that *selection* names."""
        return self._checked(self._catalogue.universe(selection, since_s))

    def listing(self, since_s: int | None) -> Crawl:
        """Find all open events and markets, or what has changed since Unix time *since_s*."""
        return self._checked(self._catalogue.listing(since_s))

    def lookup(self, markets: Sequence[MarketId]) -> Crawl:
        """Find these markets, whatever their state."""
        return self._checked(self._catalogue.lookup(markets))

    def tops(self, markets: Sequence[MarketId] | None) -> Crawl:
        """Find the present top of book of these markets, or of all that are open."""
        return self._checked(self._catalogue.tops(markets))

    def books(self, markets: Sequence[MarketId]) -> Crawl:
        """Find the venue's own books of these markets."""
        return self._checked(self._catalogue.books(markets))

    def allowance(self) -> Crawl:
        """Find how fast this account may ask."""
        return self._checked(self._catalogue.allowance())

    def fees(self, events: Sequence[str] = ()) -> Crawl:
        """Learn what trading costs, or what it costs in these events."""
        return self._checked(self._catalogue.fees(events))

    def forget(self, markets: Sequence[MarketId], events: Sequence[str]) -> None:
        """Remember no more of these."""
        self._catalogue.forget(markets, events)

    def announced(self, markets: Sequence[MarketMeta]) -> list[MarketMeta]:
        """Return those of *markets*, which the stream announced, that can be used."""
        return [meta for market in markets if (meta := self._market(market)) is not None]

    def _checked(self, plan: Crawl) -> Crawl:
        """Run *plan*: its requests go out unless they are bent, its findings once checked."""
        body: bytes | None = None
        while True:
            try:
                step = plan.send(body)
            except StopIteration:
                return
            body = None
            if isinstance(step, Found):
                yield self._found(step)
            elif _BENT.search(step.url) is None:
                body = yield step
            else:
                # The venue named something that is no name: there is no such thing.
                self._skip(f"what {_shown(step.url)} ends with")

    def _found(self, found: Found) -> Found:
        return msgspec.structs.replace(
            found,
            markets=self.announced(found.markets),
            events=[event for event in found.events if self._is_event(event)],
            tops=[top for top in found.tops if self._is_market(top.market)],
            books=[book for book in found.books if self._is_market(book.market)],
        )

    def _market(self, meta: MarketMeta) -> MarketMeta | None:
        if not self._is_market(meta.market_id):
            return None
        if not math.isfinite(meta.volume) or meta.volume < 0:
            meta = msgspec.structs.replace(meta, volume=0.0)
        if meta.event_id and not is_name(meta.event_id):
            self._skip(f"event {_shown(meta.event_id)} of {meta.market_id}")
            meta = msgspec.structs.replace(meta, event_id="")
        return meta

    def _is_market(self, market: str) -> bool:
        if is_name(market, self._form):
            return True
        self._skip(f"market {_shown(market)}")
        return False

    def _is_event(self, event: EventMeta) -> bool:
        if is_name(event.event_id):
            return True
        self._skip(f"event {_shown(event.event_id)}")
        return False

    def _skip(self, what: str) -> None:
        self.stats.skipped += 1
        self.stats.last_problem = f"skipped a record: {what} is no name"


def checked(catalogue: Catalogue) -> CheckedCatalogue:
    """Return *catalogue* if it is checked already, or else with any venue's form of names."""
    return catalogue if isinstance(catalogue, CheckedCatalogue) else CheckedCatalogue(catalogue)


def _shown(name: str) -> str:
    return repr(escaped(name, _SHOWN_CHARS))
