"""What a table of prices shows: rows of markets, lines of venues, rates, latencies. No I/O."""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

import msgspec

from arbees_feed.cli.condition import condition_of, was_heard
from arbees_feed.cli.latency import Latency
from arbees_feed.core.wire import MarketPrice
from arbees_feed.reader import VenueLife

RANKING_S = 5.0
TITLE_RETRY_S = 5.0
TITLES_AT_ONCE = 200
_RATE_WINDOW_S = 5.0
_CALMING = 0.8
_STILL = 0.5


class Rate:
    """How fast a counter grows."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def sample(self, now_s: float, count: int) -> None:
        """Note where the counter stands."""
        if self._samples and count < self._samples[-1][1]:
            self._samples.clear()  # another process counts from nought
        self._samples.append((now_s, count))
        # Two are kept in any case: a process that stood still for a while did not count nothing.
        while len(self._samples) > 2 and now_s - self._samples[0][0] > _RATE_WINDOW_S:  # noqa: PLR2004
            self._samples.popleft()

    def per_s(self) -> float:
        """Return the growth per second, of late."""
        if len(self._samples) < 2:  # noqa: PLR2004
            return 0.0
        (first_s, first), (last_s, last) = self._samples[0], self._samples[-1]
        return (last - first) / (last_s - first_s) if last_s > first_s else 0.0


class Row:
    """One market."""

    __slots__ = ("activity", "changed_s", "meta", "price", "updates")

    def __init__(self, price: MarketPrice) -> None:
        self.price = price
        self.meta: Mapping[str, str] = {}
        self.changed_s = 0.0
        self.updates = 0
        self.activity = 0.0


class Shown(msgspec.Struct, frozen=True):
    """What a table shows of one market: its price as it may be believed now, and more."""

    price: MarketPrice
    meta: Mapping[str, str]
    age_s: float
    updates: int = 0


class VenueLine:
    """One venue: what its feed says of itself, and what arrived here."""

    def __init__(self) -> None:
        self.fields: Mapping[str, str] = {}
        self.prices = 0
        self.price_rate = Rate()
        self.frame_rate = Rate()
        self.latency = Latency()

    def read(self, fields: Mapping[str, str], now_s: float) -> None:
        """Take the counters of the venue's feed; none: it is gone."""
        self.fields = fields
        self.frame_rate.sample(now_s, self.count("frames"))

    def count(self, name: str) -> int:
        """Return a counter of the venue's feed."""
        text = self.fields.get(name, "0")
        return int(text) if text.isdecimal() else 0


class Totals(msgspec.Struct):
    """Counted over the life of the board."""

    prices: int = 0
    joined: int = 0


class Board:
    """Takes every price that a reader hands over, and answers what is to be shown.

    Whether a price is to be believed is the reader's word: it hands a doubtful one over as stale.
    """

    def __init__(
        self,
        markets: Sequence[str] = (),
        venues: Sequence[str] = (),
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.rows: dict[str, Row] = {}
        self.lives: Mapping[str, VenueLife] = {}
        """What the reader knows of the feeds; its own view."""
        self.totals = Totals()
        self.latency = Latency()
        """Frame read from the socket by the feed, to price decoded here."""
        self.tick_latency = Latency()
        """The venue's own time of a change of a book, to price decoded here."""
        self._monotonic = monotonic
        self.started_s = monotonic()
        self._lines = {venue: VenueLine() for venue in venues}
        self._pinned = tuple(markets)
        self._second_s = self.started_s
        self._ranked_s = float("-inf")
        self._ranked: list[Row] = []
        self._shown: list[Row] = []
        self._asked_s: dict[str, float] = {}

    # -- what is read ----------------------------------------------------------------------------

    def on_price(self, price: MarketPrice, now_ns: int, *, joined: bool) -> None:
        """Take a price; *joined* means read from `:last` and not published just now."""
        line = self._line(price.platform)
        row = self.rows.get(price.market_id)
        if row is None:
            row = self.rows[price.market_id] = Row(price)
        elif (price.session, price.seq) == (row.price.session, row.price.seq):
            row.price = price  # taken back by the reader, or believed again
            return
        if joined:
            self.totals.joined += 1
        else:
            self.totals.prices += 1
            line.prices += 1
            self._measure(line, row, price, now_ns)
        row.price = price
        row.updates += 1
        row.activity += not joined
        row.changed_s = self._monotonic() - (now_ns - price.ts_pub_ns) / 1e9

    def _measure(self, line: VenueLine, row: Row, price: MarketPrice, now_ns: int) -> None:
        if price.status != "live":
            return
        feed_ns = now_ns - price.ts_recv_ns
        self.latency.observe_ns(feed_ns)
        line.latency.observe_ns(feed_ns)
        # A ticker is throttled by the venue, a trade told late: both come with times of the past.
        if price.source == "book" and _top(price) != _top(row.price):
            self.tick_latency.observe_ns(now_ns - price.ts_event_ns)

    def on_venue(self, venue: str, fields: Mapping[str, str], now_s: float) -> None:
        """Take the counters of a venue."""
        if fields or venue in self._lines:
            self._line(venue).read(fields, now_s)

    def on_found(self, text: str, hits: Mapping[str, Mapping[str, str]]) -> None:
        """Take nothing: a table does not search."""

    def on_titles(self, found: Mapping[str, Mapping[str, str]]) -> None:
        """Take metadata."""
        for market, meta in found.items():
            row = self.rows.get(market)
            if row is not None and meta:
                row.meta = meta

    def untitled(self) -> Sequence[str]:
        """Return the markets that are or may soon be shown and have no title yet."""
        now_s = self._monotonic()
        candidates = self._shown or self._busiest()[:TITLES_AT_ONCE]
        wanted = [
            row.price.market_id
            for row in candidates
            if not row.meta
            and now_s - self._asked_s.get(row.price.market_id, float("-inf")) > TITLE_RETRY_S
        ][:TITLES_AT_ONCE]
        self._asked_s.update(dict.fromkeys(wanted, now_s))
        return wanted

    def _line(self, venue: str) -> VenueLine:
        line = self._lines.get(venue)
        if line is None:
            line = self._lines[venue] = VenueLine()
        return line

    # -- what is shown ---------------------------------------------------------------------------

    def tick(self) -> None:
        """Keep the averages; call several times a second."""
        now_s = self._monotonic()
        if now_s - self._second_s < 1.0:
            return
        self._second_s = now_s
        for latency in (self.latency, self.tick_latency):
            latency.next_second()
        for line in self._lines.values():
            line.latency.next_second()
            line.price_rate.sample(now_s, line.prices)
        for row in self.rows.values():
            row.activity *= _CALMING

    def shown(self, count: int) -> list[Shown]:
        """Return the rows to show: those asked for, or the busiest, each in a steady place."""
        self._shown = self._chosen(count)
        now_s = self._monotonic()
        return [
            Shown(row.price, row.meta, now_s - row.changed_s, row.updates) for row in self._shown
        ]

    def _chosen(self, count: int) -> list[Row]:
        if self._pinned:
            rows = [self.rows[market] for market in self._pinned if market in self.rows]
            return rows[:count]
        now_s = self._monotonic()
        if now_s - self._ranked_s >= RANKING_S or len(self._shown) < min(count, len(self.rows)):
            self._ranked_s = now_s
            busiest = self._busiest()
            still = not busiest or busiest[0].activity < _STILL
            if not still or len(self._ranked) < len(busiest):
                self._ranked = busiest  # when nothing moves any more, nothing jumps either
        return sorted(self._ranked[:count], key=_place)

    def _busiest(self) -> list[Row]:
        return sorted(self.rows.values(), key=lambda row: (-row.activity, row.price.market_id))

    def elapsed_s(self) -> float:
        """Return for how long this board has been filled."""
        return self._monotonic() - self.started_s

    @property
    def venues(self) -> dict[str, VenueLine]:
        """The venues that are expected, or were ever heard of in this Redis."""
        for venue, life in self.lives.items():
            if was_heard(life):
                self._line(venue)
        return self._lines

    def conditions(self) -> dict[str, tuple[str, str]]:
        """Return the state of every venue, and the reason."""
        now_s = self._monotonic()
        return {venue: condition_of(self.lives.get(venue), now_s) for venue in self.venues}

    def missing(self) -> list[str]:
        """Return the markets that were asked for and have no price yet."""
        return [market for market in self._pinned if market not in self.rows]


def _top(price: MarketPrice) -> tuple[float, float, float, float]:
    return price.yes_bid, price.yes_bid_size, price.yes_ask, price.yes_ask_size


def _place(row: Row) -> tuple[str, str, str]:
    price, meta = row.price, row.meta
    return price.platform, meta.get("event_id", "~"), price.market_id
