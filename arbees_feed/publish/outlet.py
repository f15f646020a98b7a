"""The way out of one market: its newest quote, and the bytes that stay the same."""

from typing import Protocol

from arbees_feed.core.book import OrderBook
from arbees_feed.core.events import Trade
from arbees_feed.core.model import MarketId, Quote
from arbees_feed.core.wire import Names
from arbees_feed.publish import resp


class Writer(Protocol):
    """The publisher, as its outlets see it."""

    flowing: bool

    def emit(self, outlet: "Outlet", quote: Quote) -> None:
        """Encode and queue a quote now."""

    def hold(self, outlet: "Outlet") -> None:
        """Remember that this outlet has a quote to write when Redis keeps up again."""

    def emit_trade(self, outlet: "Outlet", trade: Trade, recv_ns: int) -> None:
        """Encode and queue a trade, or count it as dropped."""

    def note_depth(self, outlet: "Outlet") -> None:
        """Remember that this outlet's book changed in this wake-up."""


class Outlet:
    """Takes the quotes of one market; `seq` counts what was published in this session."""

    __slots__ = (
        "book_start",
        "depth",
        "kept",
        "last_key",
        "last_start",
        "listed",
        "market",
        "phase",
        "platform",
        "price_start",
        "pub_ns",
        "quote",
        "quote_key",
        "redo",
        "retire_s",
        "sent",
        "seq",
        "trade_start",
        "writer",
    )

    def __init__(
        self, market: MarketId, platform: str, names: Names, writer: Writer, phase: int
    ) -> None:
        self.market = market
        self.platform = platform
        self.writer = writer
        self.phase = phase
        self.price_start = resp.prefix("PUBLISH", names.price(market))
        self.trade_start = resp.prefix("PUBLISH", names.trade(market))
        self.book_start = resp.prefix("PUBLISH", names.book(market))
        self.last_key = names.last(market)
        self.quote_key = names.quote(market)
        self.last_start = resp.prefix("SET", self.last_key)
        self.quote: Quote | None = None
        self.sent: Quote | None = None
        self.depth: tuple[OrderBook, int, int] | None = None
        self.seq = 0
        self.pub_ns = 0
        self.listed = False
        """The market's id was added to the set of its venue."""
        self.kept = False
        """Its keys have no time to live."""
        self.redo = False
        """What was written of `sent` may not have arrived."""
        self.retire_s = 0
        """Nobody feeds this market any more: its keys go so many seconds after the last word."""

    @property
    def is_kept(self) -> bool:
        """Whether Redis took what was written of this market in use, unless it says otherwise."""
        return self.sent is not None and self.listed and not self.retire_s

    def put(self, quote: Quote) -> None:
        """Take the newest quote; never waits."""
        self.quote = quote
        if self.writer.flowing:
            self.writer.emit(self, quote)
        else:
            self.writer.hold(self)

    def put_trade(self, trade: Trade, recv_ns: int) -> None:
        """Take a trade; one that can't be written at once is dropped and counted."""
        self.writer.emit_trade(self, trade, recv_ns)

    def put_depth(self, book: OrderBook, ts_event_ns: int, recv_ns: int) -> None:
        """Take a changed book; the state at the end of the wake-up is what goes out."""
        self.depth = (book, ts_event_ns, recv_ns)
        self.writer.note_depth(self)
