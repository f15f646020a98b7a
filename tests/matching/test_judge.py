"""Pairs that are one question, and look-alikes that are not: one small case for each trap."""

import pytest
from support.matching import GAME, LOOK_ALIKES, ONE_QUESTION, kalshi, outcome, polymarket, why

from arbees_feed.matching.judge import judge


@pytest.mark.parametrize("name", ONE_QUESTION)
def test_one_question_is_confirmed_with_its_polarity(name: str) -> None:
    ours, theirs, polarity = ONE_QUESTION[name]
    assert outcome(judge(ours, theirs)) == (True, polarity), why(ours, theirs)


@pytest.mark.parametrize("name", LOOK_ALIKES)
def test_look_alikes_are_never_confirmed(name: str) -> None:
    ours, theirs = LOOK_ALIKES[name]
    assert not judge(ours, theirs).confirmed, why(ours, theirs)


def test_known_differences_of_settlement_are_named() -> None:
    ours = kalshi("KXNFLGAME-26JAN04BALPIT-PIT", "Baltimore at Pittsburgh Winner?")
    theirs = polymarket("Ravens vs. Steelers", outcomes=("Ravens", "Steelers"),
                        game_day="2026-01-04")  # fmt: skip
    verdict = judge(ours, theirs)
    assert verdict.grade == "same_question"
    assert {"tie_rule", "postponement"} <= set(verdict.conflicts)


def test_a_market_that_contradicts_itself_is_probable_at_most() -> None:
    ours = kalshi(
        "SENATELA-26-R",
        "Will Republicans win the Senate race in Kentucky?",
        rules="If a representative of the Republican party is sworn in as a Senator of Louisiana"
        " for the term beginning in 2027, then the market resolves to Yes.",
    )
    theirs = polymarket("Will the Republicans win the Louisiana Senate race in 2026?")
    assert judge(ours, theirs).grade == "probable"


def test_a_window_that_opens_at_the_issue_is_settled_by_the_day_of_the_issue() -> None:
    rules = (
        "If Donald Trump has been present in Norway after Issuance and before Jan 1, 2027,"
        " then the market resolves to Yes."
    )
    title = "Will Donald Trump visit Norway before Jan 1, 2027?"
    theirs = polymarket("Will Donald Trump visit Norway in 2026?")
    issued = {
        opened: judge(
            kalshi("KXTRUMPCOUNTRIES-27JAN01-N", title, rules=rules, open_time=opened), theirs
        ).grade
        for opened in ("", "2025-12-20T15:00:00Z", "2026-04-02T15:00:00Z")
    }
    assert issued == {
        "": "same_question",
        "2025-12-20T15:00:00Z": "same_question",
        "2026-04-02T15:00:00Z": "probable",
    }


def test_a_slot_that_one_side_lacks_is_told_as_the_reason() -> None:
    ours = kalshi(*GAME)
    theirs = polymarket("Nets vs. Grizzlies", outcomes=("Nets", "Grizzlies"))
    verdict = judge(ours, theirs)
    assert verdict.grade == "probable"
    assert "day only kalshi: 2026-12-11 (ticker) | -" in [one.text() for one in verdict.reasons]


def test_different_sources_and_caveats_of_one_side_are_conflicts() -> None:
    ours = kalshi(
        "KXBTCD-26JUL0212-T61999.99",
        "Bitcoin price on Jul 2, 2026?",
        rules="If the simple average of CF Benchmarks' Bitcoin Real Time Index is above 61999.99 at"
        " 12 PM EDT on Jul 2, 2026, then the market resolves to Yes.",
    )
    theirs = polymarket(
        "Will the price of Bitcoin be above $62,000 on July 2?",
        end_time="2026-07-02",
        rules="By the Binance 1 minute candle for BTC/USDT. In the event of a tie, No.",
    )
    verdict = judge(ours, theirs)
    assert verdict.grade == "same_question"
    assert {"settlement_source", "boundary", "tie_rule"} <= set(verdict.conflicts)
