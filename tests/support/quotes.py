"""A market table whose quotes are kept, market by market."""

import time
from collections import defaultdict

from arbees_feed.core.book import OrderBook
from arbees_feed.core.events import Trade
from arbees_feed.core.model import MarketId, Quote
from arbees_feed.feed.market import MarketsConfig
from arbees_feed.feed.market import Shown as ShownQuote
from arbees_feed.feed.markets import MarketTable

Shown = dict[str, list[ShownQuote]]


class KeptOutlet:
    """Keeps every quote of one market."""

    def __init__(self, kept: list[ShownQuote]) -> None:
        self._kept = kept

    def put(self, quote: Quote) -> None:
        self._kept.append(
            (quote.bid, quote.bid_size, quote.ask, quote.ask_size, quote.last_price, quote.status)
        )

    def put_trade(self, trade: Trade, recv_ns: int) -> None:
        raise AssertionError(f"{trade} at {recv_ns}: trades are not published here")

    def put_depth(self, book: OrderBook, ts_event_ns: int, recv_ns: int) -> None:
        raise AssertionError(f"{book}, {ts_event_ns}, {recv_ns}: depth is not published here")


def collecting_table() -> tuple[MarketTable, Shown]:
    """Return a table and, by market, the quotes it has shown."""
    shown: Shown = defaultdict(list)

    def open_outlet(market: MarketId) -> KeptOutlet:
        return KeptOutlet(shown[market])

    return MarketTable(open_outlet, MarketsConfig(), monotonic=time.monotonic), shown
