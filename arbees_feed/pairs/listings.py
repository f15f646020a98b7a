"""From the metadata that Redis keeps to what matching reads. Pure."""

from collections.abc import Mapping
from typing import Final

from arbees_feed.matching.listing import KalshiListing, PolymarketListing

KALSHI: Final = "kalshi"
POLYMARKET: Final = "polymarket"
"""The names of the venues, for all that is said of pairs."""

FIELDS: Final = (
    "platform", "title", "subtitle", "event_id", "event_title", "status", "open_time", "close_time",
    "outcome_yes", "outcome_no",
    # Kalshi
    "rules_primary", "rules_secondary", "strike_type", "floor_strike",
    "cap_strike", "fee_type", "fee_multiplier",
    # Polymarket
    "condition_id", "slug", "event_slug", "description", "game_start_time", "sports_market_type",
    "line", "fees_enabled", "fee_rate", "fee_exponent",
)  # fmt: skip
"""What is read of each `market:<id>:meta`."""


def kalshi_listing(market: str, meta: Mapping[str, str]) -> KalshiListing:
    """Return what Kalshi says of *market*."""
    return KalshiListing(
        market_id=market,
        title=meta.get("title", ""),
        yes_sub_title=meta.get("outcome_yes", ""),
        event_id=meta.get("event_id", ""),
        event_title=meta.get("event_title", ""),
        rules=meta.get("rules_primary", ""),
        rules_secondary=meta.get("rules_secondary", ""),
        open_time=meta.get("open_time", ""),
        close_time=meta.get("close_time", ""),
        strike_type=meta.get("strike_type", ""),
        floor_strike=meta.get("floor_strike", ""),
        cap_strike=meta.get("cap_strike", ""),
    )


def polymarket_listing(market: str, meta: Mapping[str, str]) -> PolymarketListing:
    """Return what Polymarket says of *market*."""
    return PolymarketListing(
        market_id=market,
        title=meta.get("title", ""),
        slug=meta.get("slug", ""),
        event_id=meta.get("event_id", ""),
        event_title=meta.get("event_title", ""),
        event_slug=meta.get("event_slug", ""),
        rules=meta.get("description", ""),
        open_time=meta.get("open_time", ""),
        end_time=meta.get("close_time", ""),
        game_start=meta.get("game_start_time", ""),
        market_type=meta.get("sports_market_type", ""),
        line=meta.get("line", ""),
        outcomes=tuple(filter(None, (meta.get("outcome_yes", ""), meta.get("outcome_no", "")))),
    )
