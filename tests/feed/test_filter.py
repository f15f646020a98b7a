"""Which markets are followed when nobody named them."""

import pytest

from arbees_feed.core.model import MarketId
from arbees_feed.feed.filter import EVERYTHING, MarketFilter

CHIEFS = MarketId("KXNFLGAME-26NOV22KCDET-KC")


def test_without_rules_everything_passes() -> None:
    assert EVERYTHING.passes(CHIEFS, 0)


@pytest.mark.parametrize(
    ("include", "outcome"),
    [
        ((), "passes"),
        (("KXNFLGAME",), "passes"),
        (("KXNFLGAME-26NOV22KCDET",), "passes"),
        (("KXNFL",), "stays out"),  # another series whose name begins alike
        (("KXNBAGAME", "KXNFLGAME"), "passes"),
        (("KXNBAGAME",), "stays out"),
    ],
)
def test_series_and_events_are_whole_words(include: tuple[str, ...], outcome: str) -> None:
    assert MarketFilter(include=include).passes(CHIEFS) is (outcome == "passes")


def test_excluded_prefixes_win() -> None:
    rules = MarketFilter(include=("KXMVECROSS",), exclude_prefixes=("KXMVE",))
    assert not rules.passes(MarketId("KXMVECROSS-1"))
    assert not rules.passes(CHIEFS)


def test_a_volume_that_is_not_known_keeps_nobody_out() -> None:
    rules = MarketFilter(min_volume=1_000_000)
    assert rules.passes(CHIEFS)
    assert rules.passes(CHIEFS, 1_000_000)
    assert not rules.passes(CHIEFS, 999_999)
