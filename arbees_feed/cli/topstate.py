"""What `top` knows: markets, venues, rates, lag and losses. No I/O; time is an argument.

Prices, and whether they are to be believed, are the reader's; here is what a person wants to know
beside them. The reader conflates: what came of a market meanwhile is told by `seq`.
"""

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from arbees_feed.cli.board import Rate, VenueLine
from arbees_feed.cli.condition import condition_of, was_heard
from arbees_feed.cli.text import without_quote
from arbees_feed.cli.toppairs import Pairs
from arbees_feed.core.wire import MarketPrice
from arbees_feed.reader import ReaderStats, VenueLife

TRAIL_S: Final = 240
"""For so long the middle of a market that was on the screen is kept, a sample a second."""
TRAILS: Final = 300
NO_REDIS: Final = "NO REDIS"
CONNECTING: Final = "connecting to redis"

_CALMING: Final = 0.9
"""What is left of a market's activity after a second."""
_TITLE_RETRY_S: Final = 5.0
_TIDY_S: Final = 60


class Book(msgspec.Struct, frozen=True):
    """A message of `market:<id>:book`: `[price, size]` on each side, best first."""

    market_id: str
    bids: Sequence[tuple[float, float]]
    asks: Sequence[tuple[float, float]]
    session: int

    def is_sane(self) -> bool:
        """Whether it can be drawn: anybody may publish."""
        return all(0 <= p <= 1 and 0 <= s < math.inf for p, s in (*self.bids, *self.asks))


class Market:
    """One market: the price that was looked at last, and what happened to it of late."""

    __slots__ = ("activity", "counted_s", "id", "lost", "meta", "price", "trail")

    def __init__(self, market_id: str) -> None:
        self.id = market_id
        self.price: MarketPrice | None = None
        self.meta: Mapping[str, str] = {}
        self.activity = 0.0
        """Messages, the older the less, at the time *counted_s*."""
        self.counted_s = 0.0
        self.lost = 0
        self.trail: deque[float | None] | None = None

    def activity_at(self, now_s: float) -> float:
        """Return how many messages came of late, the older the less."""
        return self.activity * _CALMING ** (now_s - self.counted_s) if self.activity else 0.0

    def per_s(self, now_s: float) -> float:
        """Return messages per second, of late."""
        return self.activity_at(now_s) * (1 - _CALMING)

    @property
    def platform(self) -> str:
        """The venue, or nothing when there is no price yet."""
        return self.price.platform if self.price else self.meta.get("platform", "")


class Venue:
    """One venue: what it says of itself, and what came from it."""

    def __init__(self) -> None:
        self.line = VenueLine()
        self.lost = 0
        self.lag_ms: tuple[float | None, float | None] = (None, None)
        """Half and 99 % of the messages that were looked at in the last ten seconds were no older
        than so much."""


class TopState:
    """Takes what was read, and answers what is to be shown.

    *book*, *lives* and *stats* are the reader's own views, which change by themselves.
    """

    def __init__(
        self,
        book: Mapping[str, MarketPrice],
        lives: Mapping[str, VenueLife],
        stats: ReaderStats,
        now_s: float,
    ) -> None:
        self.book = book
        self.lives = lives
        self.stats = stats
        self.markets: dict[str, Market] = {}
        self.unpriced: dict[str, Market] = {}
        """Markets that a search has found and that were never published."""
        self.venues: dict[str, Venue] = {}
        self.trouble: str | None = CONNECTING
        """Why nothing can be heard at present."""
        self.no_facts = ""
        """Why counters and titles can't be read at present."""
        self.warm_s = 0
        """For how many seconds it has been known whether Redis can be heard."""
        self.books = 0
        """Messages with the depth of a market: none means that the feed does not send any."""
        self.found: tuple[str, Sequence[str]] = ("", ())
        """(the text that was looked for, ids of markets, best first)"""
        self.pairs = Pairs()
        self.message_rate = Rate()
        self.stirred: dict[str, Market] = {}
        """Markets that may be among the busiest: those that were, and all that moved since."""
        self._unreadable = 0
        self._depth: Book | None = None
        self._second_s = now_s
        self._asked_s: dict[str, float] = {}
        self._trailed: dict[str, Market] = {}

    # -- what is read ----------------------------------------------------------------------------

    def take(self, prices: Iterable[MarketPrice], losses: Mapping[str, int], now_s: float) -> None:
        """Take what the reader has handed over, and what it has missed by market."""
        for market_id, lost in losses.items():
            market = self._market(market_id)
            market.lost += lost
            self.venue(market.platform or self._platform(market_id)).lost += lost
        for price in prices:
            self._settle(price, losses, now_s)

    def _platform(self, market_id: str) -> str:
        price = self.book.get(market_id)
        return price.platform if price is not None else ""

    def _settle(self, price: MarketPrice, losses: Mapping[str, int], now_s: float) -> None:
        market = self._market(price.market_id)
        before, market.price = market.price, price
        if before is None:
            self.venue(price.platform)
            return  # nobody knows how many came before it
        came = price.seq - before.seq if before.session == price.session else 1
        if losses:
            came -= losses.get(market.id, 0)
        if came > 0:
            self.venue(price.platform).line.prices += came
            market.activity = market.activity_at(now_s) + came
            market.counted_s = now_s
            self.stirred[market.id] = market

    def arrived(self, price: MarketPrice, now_ns: int) -> None:
        """Note how old a price was that has come just now; call it before `take`."""
        known = self.markets.get(price.market_id)
        before = None if known is None else known.price
        if before is None or (before.session, before.seq) < (price.session, price.seq):
            self.venue(price.platform).line.latency.observe_ns(now_ns - price.ts_pub_ns)

    @property
    def lags_known(self) -> bool:
        """Whether each venue has had a price of late whose age was looked at."""
        return all(len(venue.line.latency.lately()) for venue in self.venues.values())

    def _market(self, market_id: str) -> Market:
        market = self.markets.get(market_id)
        if market is None:
            market = self.unpriced.pop(market_id, None) or Market(market_id)
            self.markets[market_id] = market
        return market

    def on_venue(self, venue: str, fields: Mapping[str, str], now_s: float) -> None:
        """Take a venue's hash; an empty one says that no feed keeps it."""
        self.no_facts = ""
        if fields or venue in self.venues:
            self.venue(venue).line.read(fields, now_s)

    def on_book(self, data: bytes) -> None:
        """Take the depth of a market."""
        try:
            book = _books.decode(data)
        except (msgspec.MsgspecError, RecursionError):
            book = None
        if book is None or not book.is_sane():
            self._unreadable += 1
            return
        self.books += 1
        self._depth = book

    def on_titles(self, found: Mapping[str, Mapping[str, str]]) -> None:
        """Take metadata."""
        for market_id, meta in found.items():
            market = self.market(market_id)
            if market is not None and meta:
                market.meta = meta

    def on_found(self, text: str, hits: Mapping[str, Mapping[str, str]]) -> None:
        """Take what a search has found: metadata of markets, best first."""
        self.found = (text, tuple(hits))
        self.unpriced = {}
        for market_id, meta in hits.items():
            market = self.markets.get(market_id)
            if market is None:
                market = self.unpriced[market_id] = Market(market_id)
            market.meta = market.meta or meta

    def venue(self, name: str) -> Venue:
        """Return a venue; a new one if it was never heard of."""
        venue = self.venues.get(name)
        if venue is None:
            venue = self.venues[name] = Venue()
        return venue

    # -- what is made of it ------------------------------------------------------------------------

    def tick(self, now_s: float, trouble: str) -> None:
        """Keep rates and averages; call several times a second.

        *trouble* says why Redis can't be heard; empty: it can, or nobody knows yet.
        """
        is_joined = self.stats.joins > 0
        self.trouble = trouble or (None if is_joined else CONNECTING)
        for name, life in self.lives.items():
            if was_heard(life):
                self.venue(name)
        if now_s - self._second_s < 1.0:
            return
        self._second_s = now_s
        self.warm_s += is_joined or bool(trouble)
        self.message_rate.sample(now_s, self.stats.received)
        for venue in self.venues.values():
            _end_second(venue, now_s)
        for market in self._trailed.values():
            price = self.believed(market)
            assert market.trail is not None  # noqa: S101 - that is why it is among them
            market.trail.append(None if price is None else price.mid)
        if self.warm_s % _TIDY_S == 0:
            self._tidy()

    def _tidy(self) -> None:
        """Forget what the reader has forgotten: markets that closed long ago."""
        for market_id in [market_id for market_id in self.markets if market_id not in self.book]:
            del self.markets[market_id]
            self.stirred.pop(market_id, None)
            self._trailed.pop(market_id, None)
            self._asked_s.pop(market_id, None)

    # -- what is shown -----------------------------------------------------------------------------

    @property
    def malformed(self) -> int:
        """Messages that were no prices, heartbeats or books."""
        return self.stats.malformed + self._unreadable

    def market(self, market_id: str) -> Market | None:
        """Return a market that has a price, or that a search has found."""
        return self.markets.get(market_id) or self.unpriced.get(market_id)

    def believed(self, market: Market) -> MarketPrice | None:
        """Return the price as it may be believed now; None: there is none yet."""
        price = self.book.get(market.id)
        if price is None:
            return None
        if not _can_be_drawn(price):
            return without_quote(msgspec.structs.replace(price, last_price=None))
        return price if price.status == "live" else without_quote(price)

    def condition(self, name: str, now_s: float) -> tuple[str, str]:
        """Return a venue's state in one word, and the reason."""
        life = self.lives.get(name)
        if self.trouble is not None and (life is None or not life.alive):
            return NO_REDIS, self.trouble
        return condition_of(life, now_s)

    def depth(self, price: MarketPrice) -> Book | None:
        """Return the book that stands behind a price, if it was heard of."""
        book = self._depth
        if book is None or book.market_id != price.market_id or price.status != "live":
            return None
        return book if book.session == price.session and self.trouble is None else None

    def untitled(self, market_ids: Sequence[str], now_s: float) -> list[str]:
        """Return whose metadata is not known yet and was not asked for just now."""
        wanted = []
        for market_id in market_ids:
            market = self.market(market_id)
            if market is None or market.meta:
                continue
            if now_s - self._asked_s.get(market_id, -math.inf) > _TITLE_RETRY_S:
                self._asked_s[market_id] = now_s
                wanted.append(market_id)
        return wanted

    def follow(self, market_ids: Sequence[str]) -> None:
        """Keep where these prices go from now on; those shown longest ago are let go."""
        for market_id in market_ids:
            market = self.market(market_id)
            if market is not None:
                self._follow(market)

    def _follow(self, market: Market) -> None:
        self._trailed.pop(market.id, None)
        self._trailed[market.id] = market
        if market.trail is None:
            market.trail = deque(maxlen=TRAIL_S)
        if len(self._trailed) > TRAILS:
            oldest = self._trailed.pop(next(iter(self._trailed)))
            oldest.trail = None


def _end_second(venue: Venue, now_s: float) -> None:
    line = venue.line
    line.price_rate.sample(now_s, line.prices)
    line.latency.next_second()
    lately = line.latency.lately()
    venue.lag_ms = (lately.percentile_ms(50), lately.percentile_ms(99))


def _can_be_drawn(price: MarketPrice) -> bool:
    """Whether all are numbers on which a ladder can stand: anybody may publish."""
    return (
        0 <= price.yes_bid <= 1
        and 0 <= price.yes_ask <= 1
        and 0 <= (price.last_price or 0.0) <= 1
        and 0 <= price.yes_bid_size < math.inf
        and 0 <= price.yes_ask_size < math.inf
    )


_books = msgspec.msgpack.Decoder(Book)
