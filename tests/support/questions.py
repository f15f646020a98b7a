"""Metadata of markets, as enrichment writes it: one game on two venues, and look-alikes of it."""

from arbees_feed.pairs.metadata import Meta

TICKER = "KXWNBAGAME-26AUG08INDCHI-IND"
OTHER_TICKER = "KXWNBAGAME-26AUG08INDCHI-CHI"
TOKEN = "1100"  # noqa: S105 - a Polymarket token
NEXT_DAY = "2200"


def kalshi(ticker: str = TICKER, team: str = "Indiana", **more: str) -> Meta:
    """Return Kalshi's metadata of the game's market for *team*."""
    fields = {
        "platform": "kalshi",
        "title": "Indiana vs Chicago Winner?",
        "event_id": ticker.rpartition("-")[0],
        "event_title": "Indiana vs Chicago",
        "outcome_yes": team,
        "status": "open",
        "open_time": "2026-08-01T14:00:00Z",
        "close_time": "2026-08-22T14:00:00Z",
        "rules_primary": f"If {team} wins the Indiana vs Chicago professional women's basketball "
        "game originally scheduled for Aug 8, 2026, then the market resolves to Yes.",
    }
    return Meta("kalshi", ticker, {**fields, **more})


def polymarket(token: str = TOKEN, day: str = "2026-08-08", **more: str) -> Meta:
    """Return Polymarket's metadata of the game's market: YES is the Fever, of Indiana."""
    fields = {
        "platform": "polymarket",
        "title": "Fever vs. Sky",
        "event_id": "e1",
        "event_title": "Fever vs. Sky",
        "outcome_yes": "Fever",
        "outcome_no": "Sky",
        "status": "open",
        "slug": f"wnba-ind-chi-{day}",
        "event_slug": f"wnba-ind-chi-{day}",
        "condition_id": f"0x{token}",
        "sports_market_type": "moneyline",
        "game_start_time": f"{day}T23:00:00Z",
        "close_time": f"{day}T23:00:00Z",
    }
    return Meta("polymarket", token, {**fields, **more})
