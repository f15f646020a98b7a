"""What `top` knows: markets, venues, rates, lag and losses. No I/O; time is an argument.

A message costs two look-ups: its bytes replace those before, and are decoded when the market is
drawn, or once a second. What was lost is told by then from `seq` and from how many came.
"""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from arbees_feed.cli.board import GONE, Rate, VenueLine
from arbees_feed.cli.prices import Beat
from arbees_feed.cli.text import without_quote
from arbees_feed.core.wire import MarketPrice

TRAIL_S: Final = 240
"""For so long the middle of a market that was on the screen is kept, a sample a second."""
TRAILS: Final = 300
NO_REDIS: Final = "NO REDIS"

_CALMING: Final = 0.9
"""What is left of a market's activity after a second."""
_TITLE_RETRY_S: Final = 5.0
_PREFIX: Final = len("market:")
_SUFFIX: Final = len(":price")

Message = tuple[bytes, bytes]
"""(channel, payload)"""


class Book(msgspec.Struct, frozen=True):
    """A message of `market:<id>:book`: `[price, size]` on each side, best first."""

    bids: Sequence[tuple[float, float]]
    asks: Sequence[tuple[float, float]]
    session: int

    def is_sane(self) -> bool:
        """Whether it can be drawn: anybody may publish."""
        return all(0 <= p <= 1 and 0 <= s < math.inf for p, s in (*self.bids, *self.asks))


class Market:
    """One market: the newest bytes of it, and what was made of those before."""

    __slots__ = (
        *("activity", "counted_s", "heard", "id", "lost", "meta", "price", "raw"),
        *("spread", "trail"),
    )

    def __init__(self, market_id: str) -> None:
        self.id = market_id
        self.raw = b""
        self.heard = 0
        """Messages that came since the newest was decoded."""
        self.price: MarketPrice | None = None
        self.meta: Mapping[str, str] = {}
        self.activity = 0.0
        """Messages, the older the less, at the time *counted_s*."""
        self.counted_s = 0.0
        self.spread = -1.0
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

    def __init__(self, name: str, now_s: float) -> None:
        self.line = VenueLine(name, now_s)
        self.beat_s: float | None = None
        self.session = 0
        """Which run of the feed lives; what an earlier one left is to be believed no more."""
        self.lost = 0
        self.lag_ms: tuple[float | None, float | None] = (None, None)
        """Half and 99 % of the messages of the last ten seconds were no older than so much."""


class TopState:
    """Takes what the reader reads, and answers what is to be shown."""

    def __init__(self, prefix: str, now_s: float) -> None:
        self.markets: dict[str, Market] = {}
        self.unpriced: dict[str, Market] = {}
        """Markets that a search has found and that were never published."""
        self.venues: dict[str, Venue] = {}
        self.messages = 0
        self.bytes = 0
        self.malformed = 0
        self.trouble: str | None = "connecting to redis"
        """Why nothing can be heard at present."""
        self.known = False
        """Whether a first attempt to join has succeeded or failed."""
        self.joins = 0
        self.warm_s = 0
        """For how many seconds it has been known whether Redis can be heard."""
        self.books = 0
        """Messages with the depth of a market: none means that the feed does not send any."""
        self._book: tuple[str, Book] | None = None
        self.found: tuple[str, Sequence[str]] = ("", ())
        """(the text that was looked for, ids of markets, best first)"""
        self.message_rate = Rate()
        self._skip = len(prefix.encode()) + _PREFIX
        self._by_channel: dict[bytes, Market] = {}
        self._touched: list[Market] = []
        self.stirred: dict[str, Market] = {}
        """Markets that may be among the busiest: those that were, and all that moved since."""
        self._second_s = now_s
        self._asked_s: dict[str, float] = {}
        self._trailed: dict[str, Market] = {}

    # -- what is read ----------------------------------------------------------------------------

    def on_messages(self, messages: Sequence[Message], now_s: float, now_ns: int) -> None:
        """Take the price messages that came in one piece."""
        by_channel, touched = self._by_channel, self._touched
        size = 0
        for channel, data in messages:
            market = by_channel.get(channel)
            if market is None:
                market = self._new_market(channel)
            market.raw = data
            if not market.heard:
                touched.append(market)
            market.heard += 1
            size += len(data)
        self.messages += len(messages)
        self.bytes += size
        # The first has waited longest. One of each piece is enough to know the lag.
        price = self._decoded(messages[0][1])
        if price is not None:
            self.venue(price.platform, now_s).line.latency.observe_ns(now_ns - price.ts_pub_ns)

    def _new_market(self, channel: bytes) -> Market:
        market_id = channel[self._skip : -_SUFFIX].decode(errors="replace")
        market = self._by_channel[channel] = self._market(market_id)
        return market

    def _market(self, market_id: str) -> Market:
        market = self.markets.get(market_id)
        if market is None:
            market = self.unpriced.pop(market_id, None) or Market(market_id)
            self.markets[market_id] = market
        return market

    def on_last(self, market_id: str, data: bytes, now_s: float) -> None:
        """Take what `:last` says."""
        market = self._market(market_id)
        if not market.heard:
            market.raw = data
            self._settle(market, now_s)

    def on_beat(self, data: bytes, now_s: float) -> None:
        """Take a message of `feed:status`."""
        try:
            beat = _beats.decode(data)
        except (msgspec.MsgspecError, RecursionError):
            self.malformed += 1
            return
        venue = self.venue(beat.venue, now_s)
        venue.beat_s = now_s
        venue.session = beat.session
        venue.line.beats(beat, now_s)

    def on_venue(self, name: str, fields: Mapping[str, str], now_s: float) -> None:
        """Take a venue's hash; an empty one says that no feed keeps it."""
        if not fields and name not in self.venues:
            return
        line = self.venue(name, now_s).line
        line.fields, line.absent = fields, not fields
        if fields:
            line.frame_rate.sample(now_s, line.count("frames"))

    def on_book(self, market_id: str, data: bytes) -> None:
        """Take the depth of a market."""
        try:
            book = _books.decode(data)
        except (msgspec.MsgspecError, RecursionError):
            book = None
        if book is None or not book.is_sane():
            self.malformed += 1
            return
        self.books += 1
        self._book = (market_id, book)

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

    def on_join(self, now_s: float) -> None:
        """Subscribed, and everything that was there has been read."""
        self.known, self.trouble = True, None
        self.joins += 1
        for venue in self.venues.values():
            if venue.line.beat is not None and venue.line.fields:
                # While nothing could be heard, nobody was silent.
                venue.line.beats(venue.line.beat, now_s)

    def on_trouble(self, reason: str) -> None:
        """Nothing is heard any more."""
        self.known, self.trouble = True, reason
        self._book = None

    def venue(self, name: str, now_s: float) -> Venue:
        """Return a venue; a new one if it was never heard of."""
        venue = self.venues.get(name)
        if venue is None:
            venue = self.venues[name] = Venue(name, now_s)
        return venue

    # -- what is made of it ------------------------------------------------------------------------

    def tick(self, now_s: float) -> None:
        """Keep rates and averages; call several times a second."""
        if now_s - self._second_s < 1.0:
            return
        self._second_s = now_s
        self.warm_s += self.known
        touched, self._touched = self._touched, []
        for market in touched:
            self._settle(market, now_s)
        self.message_rate.sample(now_s, self.messages)
        for venue in self.venues.values():
            line = venue.line
            line.price_rate.sample(now_s, line.prices)
            line.latency.next_second()
            lately = line.latency.lately()
            venue.lag_ms = (lately.percentile_ms(50), lately.percentile_ms(99))
        for market in self._trailed.values():
            price = self.believed(market, now_s)
            assert market.trail is not None  # noqa: S101 - that is why it is among them
            market.trail.append(None if price is None else price.mid)

    def _settle(self, market: Market, now_s: float) -> None:
        """Decode the newest bytes, and count what came and what did not."""
        heard, market.heard = market.heard, 0
        price = self._decoded(market.raw)
        if price is None:
            return
        venue = self.venue(price.platform, now_s)
        before = market.price
        if heard:
            venue.line.prices += heard
            market.activity = market.activity_at(now_s) + heard
            market.counted_s = now_s
            self.stirred[market.id] = market
        if before is not None and before.session == price.session:
            lost = max(0, price.seq - before.seq - heard)
            market.lost += lost
            venue.lost += lost
        if before is None or (price.session, price.seq) >= (before.session, before.seq):
            market.price = price
            spread = price.spread
            market.spread = -1.0 if spread is None else spread

    def _decoded(self, data: bytes) -> MarketPrice | None:
        try:
            price = MarketPrice.from_msgpack(data)
        except ValueError:
            price = None
        if price is None or not _is_sane(price):
            self.malformed += 1
            return None
        return price

    # -- what is shown -----------------------------------------------------------------------------

    def market(self, market_id: str) -> Market | None:
        """Return a market that has a price, or that a search has found."""
        return self.markets.get(market_id) or self.unpriced.get(market_id)

    def believed(self, market: Market, now_s: float) -> MarketPrice | None:
        """Return the price as it may be believed now; None: there is none yet."""
        if market.heard:
            self._settle(market, now_s)
        price = market.price
        if price is None:
            return None
        if price.status != "live":
            return without_quote(price)
        word, _ = self.condition(price.platform, now_s)
        left = price.session < self.venue(price.platform, now_s).session
        return without_quote(price) if left or word in (GONE, NO_REDIS, "stopped") else price

    def condition(self, name: str, now_s: float) -> tuple[str, str]:
        """Return a venue's state in one word, and the reason."""
        if self.trouble is not None:
            return NO_REDIS, self.trouble
        return self.venue(name, now_s).line.condition(now_s)

    def depth(self, price: MarketPrice) -> Book | None:
        """Return the book that stands behind a price, if it was heard of."""
        if self._book is None or self._book[0] != price.market_id or price.status != "live":
            return None
        book = self._book[1]
        return book if book.session == price.session else None

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


def _is_sane(price: MarketPrice) -> bool:
    """Whether it can be drawn: anybody may publish, and no number is one, too."""
    sizes = price.yes_bid_size, price.yes_ask_size
    prices = price.yes_bid, price.yes_ask, price.last_price or 0.0
    return all(0 <= p <= 1 for p in prices) and all(0 <= size < math.inf for size in sizes)


_beats = msgspec.msgpack.Decoder(Beat)
_books = msgspec.msgpack.Decoder(Book)
