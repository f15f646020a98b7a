"""From what enrichment keeps to a verdict: every field that matching reads arrives."""

from support.questions import kalshi, polymarket

from arbees_feed.matching.judge import judge
from arbees_feed.matching.kalshi import parse_kalshi
from arbees_feed.matching.polymarket import parse_polymarket
from arbees_feed.pairs.listings import FIELDS, kalshi_listing, polymarket_listing


def test_every_field_arrives() -> None:
    told = {name: f"its {name}" for name in FIELDS}
    ours, theirs = kalshi_listing("K", told), polymarket_listing("77", told)
    assert (ours.market_id, ours.rules) == ("K", "its rules_primary")
    assert (ours.yes_sub_title, ours.event_title) == ("its outcome_yes", "its event_title")
    assert (ours.open_time, ours.close_time) == ("its open_time", "its close_time")
    assert (ours.strike_type, ours.floor_strike) == ("its strike_type", "its floor_strike")
    assert (theirs.market_id, theirs.rules) == ("77", "its description")
    assert theirs.outcomes == ("its outcome_yes", "its outcome_no")
    assert (theirs.market_type, theirs.line) == ("its sports_market_type", "its line")
    assert (theirs.event_slug, theirs.game_start) == ("its event_slug", "its game_start_time")


def test_two_markets_of_one_question_are_confirmed_by_their_metadata() -> None:
    ours, theirs = kalshi(), polymarket()
    verdict = judge(
        parse_kalshi(kalshi_listing(ours.market_id, ours.fields)),
        parse_polymarket(polymarket_listing(theirs.market_id, theirs.fields)),
    )
    assert (verdict.grade, verdict.polarity) == ("same_question", "same")
