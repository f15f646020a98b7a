"""What enrichment keeps of a market, as a listing. Pure."""

from arbees_feed.core.model import MarketMeta
from arbees_feed.matching.frame import Frame
from arbees_feed.matching.kalshi import VENUE as KALSHI
from arbees_feed.matching.kalshi import parse_kalshi
from arbees_feed.matching.listing import KalshiListing, PolymarketListing
from arbees_feed.matching.polymarket import VENUE as POLYMARKET
from arbees_feed.matching.polymarket import parse_polymarket


def frame_of(meta: MarketMeta) -> Frame | None:
    """Return what a market asks by its metadata; None for a venue that is not matched."""
    if meta.platform == KALSHI:
        return parse_kalshi(kalshi_listing(meta))
    if meta.platform == POLYMARKET:
        return parse_polymarket(polymarket_listing(meta))
    return None


def kalshi_listing(meta: MarketMeta) -> KalshiListing:
    """Return the listing of a Kalshi market."""
    extras = meta.extras
    return KalshiListing(
        market_id=meta.market_id,
        title=meta.title,
        yes_sub_title=meta.outcome_yes,
        event_id=meta.event_id,
        event_title=meta.event_title,
        rules=extras.get("rules_primary", ""),
        rules_secondary=extras.get("rules_secondary", ""),
        open_time=meta.open_time,
        close_time=meta.close_time,
        strike_type=extras.get("strike_type", ""),
        floor_strike=extras.get("floor_strike", ""),
        cap_strike=extras.get("cap_strike", ""),
    )


def polymarket_listing(meta: MarketMeta) -> PolymarketListing:
    """Return the listing of a Polymarket market; YES is its first outcome."""
    extras = meta.extras
    return PolymarketListing(
        market_id=meta.market_id,
        title=extras.get("question") or meta.title,
        slug=extras.get("slug", ""),
        event_id=meta.event_id,
        event_title=meta.event_title,
        event_slug=extras.get("event_slug", ""),
        rules=extras.get("description", ""),
        open_time=meta.open_time,
        end_time=meta.close_time,
        game_start=extras.get("game_start_time", ""),
        market_type=extras.get("sports_market_type", ""),
        line=extras.get("line", ""),
        outcomes=tuple(name for name in (meta.outcome_yes, meta.outcome_no) if name),
    )
