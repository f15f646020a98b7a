"""Outlets, links and a clock that remember what they were told."""

from collections.abc import Callable

from arbees_feed.core.book import OrderBook
from arbees_feed.core.events import Trade
from arbees_feed.core.model import MarketId, Quote
from arbees_feed.core.venue import Decoder
from arbees_feed.feed.market import Hooks, MarketsConfig
from arbees_feed.feed.markets import MarketTable


class RecordingOutlet:
    """Keeps every quote of one market."""

    def __init__(self) -> None:
        self.quotes: list[Quote] = []
        self.trades: list[Trade] = []
        self.depths: list[tuple[int, int]] = []

    def put(self, quote: Quote) -> None:
        self.quotes.append(quote)

    def put_trade(self, trade: Trade, recv_ns: int) -> None:
        del recv_ns
        self.trades.append(trade)

    def put_depth(self, book: OrderBook, ts_event_ns: int, recv_ns: int) -> None:
        del book
        self.depths.append((ts_event_ns, recv_ns))


class FakeClock:
    """Seconds that pass when they are told to."""

    def __init__(self, now_s: float = 1_000.0) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s


class RecordingLink:
    """A connection that remembers what it was asked for, or hands it to a decoder."""

    def __init__(self, decoder: Decoder | None = None) -> None:
        self.decoder = decoder
        self.resyncs: list[tuple[MarketId, str]] = []

    def resync(self, market: MarketId, reason: str) -> None:
        self.resyncs.append((market, reason))
        if self.decoder is not None:
            self.decoder.resync(market, reason)


class Outlets(dict[MarketId, RecordingOutlet]):
    """The outlets of all markets, opened when they are first named."""

    def __missing__(self, market: MarketId) -> RecordingOutlet:
        self[market] = outlet = RecordingOutlet()
        return outlet


def table_over(
    outlets: Outlets,
    clock: FakeClock,
    config: MarketsConfig | None = None,
    on_notice: Callable[[str], None] = lambda _: None,
    hooks: Hooks | None = None,
) -> MarketTable:
    """Return a table of markets that writes to *outlets*."""
    return MarketTable(
        outlets.__getitem__,
        config or MarketsConfig(),
        monotonic=clock,
        hooks=hooks or Hooks(on_notice=on_notice),
    )
