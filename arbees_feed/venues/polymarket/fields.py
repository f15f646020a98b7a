"""The names that Polymarket's frames may have, as far as documented or recorded.

Sources: AsyncAPI of docs.polymarket.com (2026-08-22), the official client `polymarket-client`
0.14.0 and recordings from September 2025 to November 2026. A nested name has its path. Aliases
that the official client accepts (`token_id`, `type`, ...) are left out: nobody has seen one, we do
not read them, and so their coming is news.
"""

from collections.abc import Mapping
from typing import Final

_LEVELS: Final = ("bids", "bids.price", "bids.size", "asks", "asks.price", "asks.size")
_EVENT: Final = (
    "event_message",
    "event_message.id",
    "event_message.ticker",
    "event_message.slug",
    "event_message.title",
    "event_message.description",
)


def _names(*names: str) -> frozenset[str]:
    return frozenset(("event_type", "market", "timestamp", *names))


KNOWN_FIELDS: Final[Mapping[str, frozenset[str]]] = {
    # `min_order_size` and `neg_risk` are documented and were never seen on the WebSocket.
    "book": _names(
        "asset_id",
        "hash",
        *_LEVELS,
        "tick_size",
        "last_trade_price",
        "min_order_size",
        "neg_risk",
    ),
    "price_change": _names(
        "price_changes",
        "price_changes.asset_id",
        "price_changes.price",
        "price_changes.size",
        "price_changes.side",
        "price_changes.hash",
        "price_changes.best_bid",
        "price_changes.best_ask",
    ),
    "last_trade_price": _names(
        "asset_id", "price", "size", "side", "fee_rate_bps", "transaction_hash"
    ),
    "tick_size_change": _names("asset_id", "old_tick_size", "new_tick_size"),
    "best_bid_ask": _names("asset_id", "best_bid", "best_ask", "spread"),
    "new_market": _names(
        "id",
        "question",
        "slug",
        "description",
        "assets_ids",
        "outcomes",
        *_EVENT,
        "tags",
        "condition_id",
        "active",
        "clob_token_ids",
        "sports_market_type",
        "line",
        "game_start_time",
        "order_price_min_tick_size",
        "group_item_title",
        "taker_base_fee",
        "fees_enabled",
        "fee_schedule",
        "fee_schedule.exponent",
        "fee_schedule.rate",
        "fee_schedule.rebate_rate",
        "fee_schedule.taker_only",
    ),
    "market_resolved": _names(
        "id", "assets_ids", "winning_asset_id", "winning_outcome", *_EVENT, "tags"
    ),
}
