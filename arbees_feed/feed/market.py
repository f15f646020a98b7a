"""One market as the feed sees it, and the two things it is connected to."""

from collections.abc import Callable
from typing import Protocol

import msgspec

from arbees_feed.core.book import BookState, OrderBook
from arbees_feed.core.events import (
    BookTold,
    FeesChanged,
    MarketListed,
    NoBook,
    Refused,
    TopOfBook,
    Trade,
)
from arbees_feed.core.model import STATUS_LIVE, Lots, MarketId, Quote, Source, Status, Ticks

Shown = tuple[Ticks, Lots, Ticks, Lots, Ticks | None, Status]
"""What readers compare: bid, bid size, ask, ask size, last price, status."""


class Outlet(Protocol):
    """Where the quotes of one market go."""

    def put(self, quote: Quote) -> None:
        """Take the newest quote; never waits."""

    def put_trade(self, trade: Trade, recv_ns: int) -> None:
        """Take a trade (only called when trades are published)."""

    def put_depth(self, book: OrderBook, ts_event_ns: int, recv_ns: int) -> None:
        """Take a changed book (only called when depth is published)."""


class Link(Protocol):
    """The connection that a market's book comes from."""

    def resync(self, market: MarketId, reason: str) -> None:
        """Ask the venue for a fresh snapshot."""


class MarketsConfig(msgspec.Struct, frozen=True):
    """What to publish, and how long a doubt may last."""

    stale_grace_s: float = 1.0
    trades: bool = False
    depth: bool = False
    compiled: bool = True
    """Whether plain changes of levels may go through compiled code."""

    @property
    def use_compiled(self) -> bool:
        """Whether they do: where depth is published, each change is looked at."""
        return self.compiled and not self.depth


class Hooks(msgspec.Struct, frozen=True):
    """Who hears of what is not about prices; none may raise or wait."""

    on_listed: Callable[[MarketListed], None] = lambda _: None
    on_fees_changed: Callable[[FeesChanged], None] = lambda _: None
    on_notice: Callable[[str], None] = lambda _: None
    on_refused: Callable[[Refused, Link], None] = lambda _event, _link: None
    on_no_book: Callable[[NoBook], None] = lambda _: None
    on_lost: Callable[[MarketId, str], None] = lambda _market, _reason: None
    """A book went out of step, in the middle of a frame."""
    on_decision: Callable[[MarketId, str, str], None] = lambda *_: None
    """(market, what was decided, detail), for whoever wants to know later."""
    on_told: "Callable[[Market, BookTold], bool]" = lambda _market, _told: False
    """Hears the venue's answer to a probe; True: our book is wrong, and this one is to be taken."""


class MarketsStats(msgspec.Struct):
    """Counted over the life of the process; plain integers, read by metrics."""

    quotes: int = 0
    stale: int = 0
    closed: int = 0
    books_lost: int = 0
    held: int = 0
    trades: int = 0
    filtered: int = 0
    last_loss: str = ""


class Watch:
    """What is known of how alive a market's book is; kept by the prober."""

    __slots__ = (
        "asked_s",
        "copied_s",
        "cures",
        "heard_s",
        "proved_s",
        "seen",
        "suspicion",
        "unverified",
        "usual_s",
        "wrong_since_s",
    )

    def __init__(self, now_s: float) -> None:
        self.seen = -1
        """`Market.changes` when last looked at."""
        self.heard_s, self.proved_s = now_s, 0.0
        """When a change was last seen; when the venue's own answer last agreed."""
        self.usual_s = 4.0
        """How long it usually is from one change to the next."""
        self.asked_s = 0.0
        self.cures = 0
        """How often of late an answer over the connection showed the book to be wrong."""
        self.copied_s = 0.0
        """When the flight recorder last copied the book."""
        self.wrong_since_s = 0.0
        """Since when the venue's checksum does not come out; 0.0: it does."""
        self.unverified = True
        """Whether the book has changed since its checksum was last judged."""
        self.suspicion = ""


class Market:
    """What is known of one market, and what readers were last shown."""

    __slots__ = (
        "agrees",
        "book",
        "book_link",
        "changes",
        "doubt",
        "floor_ns",
        "id",
        "last_price",
        "last_ts_ns",
        "outlet",
        "paused_by",
        "phase",
        "priced",
        "quote",
        "shown",
        "ticker",
        "ticker_link",
        "ticker_source",
        "ts_ns",
        "watch",
    )

    def __init__(self, market_id: MarketId, outlet: Outlet) -> None:
        self.id = market_id
        self.outlet = outlet
        self.book: OrderBook | None = None
        self.book_link: Link | None = None
        self.ticker: TopOfBook | None = None
        self.ticker_link: Link | None = None
        self.ticker_source = Source.TICKER
        self.last_price: Ticks | None = None
        self.last_ts_ns = 0
        self.ts_ns = 0
        """Venue time of the newest state applied; 0: the venue gave none."""
        self.floor_ns = 0
        """Venue time that the book had reached when a snapshot without time replaced it."""
        self.changes = 0
        """Events applied to the book; whoever watches compares it with what it was."""
        self.watch: Watch | None = None
        self.phase = "open"
        self.paused_by: Link | None = None
        """While paused: the connection that said so, and will say when trading goes on."""
        self.agrees = True
        self.priced = False
        """Whether the last live quote had a size on either side."""
        self.doubt = ""
        self.shown: Shown | None = None
        self.quote: Quote | None = None

    @property
    def is_shown_live(self) -> bool:
        """Whether readers take this market's price for good."""
        return self.shown is not None and self.shown[-1] is STATUS_LIVE

    def has_source(self) -> bool:
        """Whether anything that feeds this market is in step now."""
        book = self.book
        return self.ticker is not None or (book is not None and book.state is BookState.LIVE)
