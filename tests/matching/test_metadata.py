"""From what enrichment keeps to a verdict: every field that matching reads arrives."""

from typing import Any

from arbees_feed.core.model import MarketId, MarketMeta
from arbees_feed.matching.judge import judge
from arbees_feed.matching.metadata import frame_of, kalshi_listing, polymarket_listing


def meta(platform: str, market_id: str, **facts: Any) -> MarketMeta:
    """Return the metadata of a market."""
    return MarketMeta(market_id=MarketId(market_id), platform=platform, **facts)


KALSHI = meta(
    "kalshi",
    "KXWNBASPREAD-26AUG08INDCHI-IND19",
    title="Indiana wins the game by over 18.5 points?",
    outcome_yes="Indiana wins by over 18.5 points",
    event_id="KXWNBASPREAD-26AUG08INDCHI",
    event_title="Indiana vs Chicago: Spread",
    open_time="2026-08-01T14:00:00Z",
    close_time="2026-08-22T14:00:00Z",
    extras={
        "strike_type": "greater",
        "floor_strike": "18.5",
        "rules_primary": "R",
        "cap_strike": "",
    },
)
POLYMARKET = meta(
    "polymarket",
    "11",
    title="Spread: Fever (-18.5)",
    outcome_yes="Fever",
    outcome_no="Sky",
    event_id="e1",
    event_title="Fever vs. Sky",
    close_time="2026-08-09T00:00:00Z",
    extras={
        "question": "Spread: Fever (-18.5)", "slug": "wnba-ind-chi-2026-08-08-spread-home-18pt5",
        "event_slug": "wnba-ind-chi-2026-08-08", "sports_market_type": "spreads", "line": "-18.5",
        "game_start_time": "2026-08-09T00:00:00Z", "description": "D",
    },
)  # fmt: skip


def test_every_field_arrives() -> None:
    ours, theirs = kalshi_listing(KALSHI), polymarket_listing(POLYMARKET)
    assert (ours.rules, ours.strike_type, ours.floor_strike) == ("R", "greater", "18.5")
    assert (ours.yes_sub_title, ours.event_title) == (KALSHI.outcome_yes, KALSHI.event_title)
    assert (ours.open_time, ours.close_time) == (KALSHI.open_time, KALSHI.close_time)
    assert theirs.outcomes == ("Fever", "Sky")
    assert (theirs.market_type, theirs.line, theirs.rules) == ("spreads", "-18.5", "D")
    assert (theirs.event_slug, theirs.game_start) == (
        "wnba-ind-chi-2026-08-08",
        "2026-08-09T00:00:00Z",
    )


def test_two_markets_of_one_question_are_confirmed_by_their_metadata() -> None:
    ours, theirs = frame_of(KALSHI), frame_of(POLYMARKET)
    assert ours is not None
    assert theirs is not None
    verdict = judge(ours, theirs)
    assert (verdict.grade, verdict.polarity) == ("same_question", "same")


def test_another_venue_has_no_frame() -> None:
    assert frame_of(meta("elsewhere", "1", title="Will it rain?")) is None
