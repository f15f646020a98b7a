"""What goes over the opt-in channels: one trade, or the top levels of a book."""

import time
from collections.abc import Sequence

from arbees_feed.core.book import OrderBook
from arbees_feed.core.events import Trade
from arbees_feed.core.model import ONE_CONTRACT, ONE_DOLLAR, Lots, Ticks
from arbees_feed.core.wire import VERSION, encode_map


def trade_payload(trade: Trade, platform: str, session: int, recv_ns: int) -> bytes:
    """Encode a trade; price in dollars in YES terms, size in contracts."""
    return encode_map(
        {
            "v": VERSION,
            "market_id": trade.market,
            "platform": platform,
            "price": trade.price / ONE_DOLLAR,
            "size": trade.size / ONE_CONTRACT,
            "taker": trade.taker,
            "trade_id": trade.trade_id,
            "session": session,
            "ts_event_ns": trade.ts_ns,
            "ts_recv_ns": recv_ns,
            "ts_pub_ns": time.time_ns(),
        }
    )


def depth_payload(
    book: OrderBook, levels: int, market: str, platform: str, session: int, times: tuple[int, int]
) -> bytes:
    """Encode the best *levels* of both sides, best first; *times* are event and receive time."""
    bids, asks = book.depth(levels)
    ts_event_ns, ts_recv_ns = times
    return encode_map(
        {
            "v": VERSION,
            "market_id": market,
            "platform": platform,
            "bids": _floats(bids),
            "asks": _floats(asks),
            "session": session,
            "ts_event_ns": ts_event_ns,
            "ts_recv_ns": ts_recv_ns,
            "ts_pub_ns": time.time_ns(),
        }
    )


def _floats(levels: Sequence[tuple[Ticks, Lots]]) -> list[tuple[float, float]]:
    return [(price / ONE_DOLLAR, size / ONE_CONTRACT) for price, size in levels]
