"""All fields that Kalshi's frames are known to have, those among them that nobody here reads.

Sources: AsyncAPI and documents of August to October 2026, and the recorded frames of 2026. Written
for `core/drift.py`: paths go from the root of the frame and through arrays; "?" marks what may be
absent for a while, and ".*" what may have any fields of its own.
"""

from collections.abc import Mapping
from typing import Final


def _frame(*own: str, body: str = "") -> frozenset[str]:
    """Return the fields of a frame; `sending_ts_ms` came on 2026-10-01, on all of them."""
    inside = (f"msg.{name}" for name in body.split())
    return frozenset(("type", "sid", "msg", "sending_ts_ms", *own, *inside))


KNOWN_FIELDS: Final[Mapping[str, frozenset[str]]] = {
    # An empty side has no key; the `id` is that of the get_snapshot which is answered.
    "orderbook_snapshot": _frame(
        "seq",
        "id?",
        body="market_ticker market_id yes_dollars_fp? no_dollars_fp?",
    ),
    # The last three: only of changes that an order of ours caused; the very last was announced in
    # June 2026 and is in no schema.
    "orderbook_delta": _frame(
        "seq",
        body=(
            "market_ticker market_id price_dollars delta_fp side ts? ts_ms "
            "client_order_id? subaccount? last_update_reason?"
        ),
    ),
    "ticker": _frame(
        body=(
            "market_ticker market_id price_dollars yes_bid_dollars yes_ask_dollars "
            "yes_bid_size_fp yes_ask_size_fp last_trade_size_fp volume_fp open_interest_fp "
            "dollar_volume dollar_open_interest ts? ts_ms time?"
        ),
    ),
    "trade": _frame(
        "seq",
        body=(
            "trade_id market_ticker yes_price_dollars no_price_dollars count_fp taker_side? "
            "taker_outcome_side taker_book_side is_block_trade ts? ts_ms"
        ),
    ),
    # Every step has fields of its own.
    "market_lifecycle_v2": _frame(
        "seq",
        body=(
            "event_type market_ticker open_ts? close_ts? exchange_index? is_deactivated? "
            "determination_ts? result? settlement_value? settled_ts? price_level_structure? "
            "price_ranges? price_ranges.start? price_ranges.end? price_ranges.step? "
            "strike_type? floor_strike? cap_strike? custom_strike? custom_strike.* "
            "yes_sub_title? "
            "additional_metadata? additional_metadata.name? additional_metadata.title? "
            "additional_metadata.yes_sub_title? additional_metadata.no_sub_title? "
            "additional_metadata.rules_primary? additional_metadata.rules_secondary? "
            "additional_metadata.can_close_early? additional_metadata.event_ticker? "
            "additional_metadata.expected_expiration_ts? additional_metadata.strike_type? "
            "additional_metadata.floor_strike? additional_metadata.cap_strike? "
            "additional_metadata.custom_strike? additional_metadata.custom_strike.*"
        ),
    ),
    "event_lifecycle": _frame(
        "seq",
        body=(
            "event_ticker exchange_index title subtitle collateral_return_type series_ticker "
            "strike_date? strike_period?"
        ),
    ),
    "event_fee_update": _frame(
        "seq", body="event_ticker fee_type_override fee_multiplier_override"
    ),
    "subscribed": _frame("id", body="channel sid"),
    # The lists: without skip_ticker_ack. `channel` and `sid`: of list_subscriptions.
    "ok": _frame(
        "id?",
        "seq?",
        body="market_tickers? market_ids? index_ids? underlying_tickers? channel? sid?",
    ),
    "unsubscribed": _frame("id?", "seq?"),
    "error": _frame("id?", "seq?", body="code msg market_ticker? market_tickers?"),
}
