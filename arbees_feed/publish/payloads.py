"""What goes over the channels: a price, and where asked for a trade or the top levels of a book."""

import time
from collections.abc import Callable, Sequence

from arbees_feed.core.book import OrderBook
from arbees_feed.core.events import Trade
from arbees_feed.core.model import ONE_CONTRACT, ONE_DOLLAR, Lots, Quote, Ticks
from arbees_feed.core.wire import VERSION, encode_map, price_of
from arbees_feed.native import compiled
from arbees_feed.publish import resp
from arbees_feed.publish.outlet import Outlet

PriceCommands = Callable[[Outlet, Quote, int, int], bytes]
"""(outlet, quote, seq, Unix ns now) -> `SET :last` and `PUBLISH :price` as they go to Redis."""


def price_commands(session: int, *, use_compiled: bool = True) -> PriceCommands:
    """Return what turns the quotes of a session into commands; both ways write the same bytes."""
    if use_compiled and compiled is not None:
        return compiled.Prices(Outlet, Quote, session, _price_commands).commands
    return lambda outlet, quote, seq, now_ns: _price_commands(outlet, quote, session, seq, now_ns)


def _price_commands(outlet: Outlet, quote: Quote, session: int, seq: int, now_ns: int) -> bytes:
    price = price_of(quote, outlet.market, outlet.platform, session, seq, now_ns)
    return resp.twice_with_payload(outlet.last_start, outlet.price_start, encode_map(price))


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
