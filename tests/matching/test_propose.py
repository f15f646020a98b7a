"""Look-alikes are found by rare words, and are only ever proposed."""

from hypothesis import given
from hypothesis import strategies as st

from arbees_feed.matching.propose import Proposals

TITLES = {
    "K1": ("kalshi", "Will the zeppelin land in Trondheim?"),
    "K2": ("kalshi", "Will the ferry land in Bergen?"),
    "P1": ("polymarket", "Will a zeppelin land in Trondheim before 2027?"),
    "P2": ("polymarket", "Will it snow?"),
}


def held() -> Proposals:
    """Return the titles of the table."""
    proposals = Proposals()
    for market_id, (venue, title) in TITLES.items():
        proposals.add(market_id, venue, title)
    return proposals


def test_the_title_with_the_same_rare_words_is_proposed() -> None:
    assert [one.market_id for one in held().near("K1", least=0.5)] == ["P1"]
    assert [one.market_id for one in held().near("P1", least=0.5)] == ["K1"]
    assert held().near("K2", least=0.9) == []


def test_a_removed_or_unknown_market_is_proposed_to_nobody() -> None:
    proposals = held()
    proposals.remove("P1")
    proposals.remove("P1")
    assert proposals.near("K1", least=0.5) == []
    assert proposals.near("P1") == []


def test_words_that_everybody_uses_are_not_followed() -> None:
    proposals = held()
    for number in range(2500):
        proposals.add(f"X{number}", "polymarket", "will the")
    assert [one.market_id for one in proposals.near("K1", least=0.5)] == ["P1"]


@given(st.text(max_size=60))
def test_the_same_title_scores_one(title: str) -> None:
    proposals = held()
    proposals.add("K3", "kalshi", title)
    proposals.add("P3", "polymarket", title)
    scores = {one.market_id: one.score for one in proposals.near("K3", limit=9)}
    words = proposals.near("P3", limit=9)
    assert scores.get("P3", 1.0) == 1.0
    assert all(0.6 <= one.score <= 1.0 for one in words)
