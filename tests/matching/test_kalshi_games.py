"""Kalshi's markets on games: whom YES pays on, the line, and what nobody tells."""

import pytest
from support.matching import kalshi

NBA = "26DEC11BKNMEM"
SOCCER = "26MAY10M05UNI"


@pytest.mark.parametrize(
    ("code", "subject"),
    [("BKN", "nba:bkn"), ("BKN3", "nba:bkn"), ("BKNX", ""), ("B", ""), ("", ""), ("3", "")],
)
def test_a_code_is_a_team_and_figures_or_nobody(code: str, subject: str) -> None:
    assert kalshi(f"KXNBASPREAD-{NBA}-{code}", "?").get("subject") == subject


@pytest.mark.parametrize(
    ("ticker", "outcome", "subject", "against"),
    [
        (f"KXNBAGAME-{NBA}-BKN", "", "nba:bkn", "nba:mem"),
        (f"KXNBAGAME-{NBA}-MEM", "Memphis", "nba:mem", "nba:bkn"),
        (f"KXNBAGAME-{NBA}-X", "Memphis", "nba:mem", "nba:bkn"),
        (f"KXNBASPREAD-{NBA}-MEM3", "Memphis", "nba:mem", ""),
        (f"KXNBATOTAL-{NBA}-221", "Memphis", "", ""),
        (f"KXBUNDESLIGAGAME-{SOCCER}-M05", "Mainz", "bundesliga:mainz", ""),
        (f"KXBUNDESLIGAGAME-{SOCCER}-TIE", "Tie", "draw", ""),
        (f"KXBUNDESLIGAADVANCE-{SOCCER}-M05", "", "bundesliga:mainz", "bundesliga:union"),
    ],
)
def test_no_pays_on_the_other_team_where_there_is_no_third_way(
    ticker: str, outcome: str, subject: str, against: str
) -> None:
    frame = kalshi(ticker, "?", yes_sub_title=outcome)
    assert (frame.get("subject"), frame.get("against")) == (subject, against)


def test_an_outcome_that_is_not_the_codes_is_a_contradiction() -> None:
    frame = kalshi(f"KXNBAGAME-{NBA}-BKN", "?", yes_sub_title="Memphis")
    assert frame.clashes == ("subject",)


@pytest.mark.parametrize(
    ("ticker", "strike_type", "told"),
    [
        (f"KXNBASPREAD-{NBA}-BKN3", "greater", "(3.5,inf)"),
        (f"KXNBATOTAL-{NBA}-221", "greater", "(3.5,inf)"),
        (f"KXNBASPREAD-{NBA}-BKN3", "less", ""),
        (f"KXNBASPREAD-{NBA}-BKN3", "", ""),
        (f"KXNBAGAME-{NBA}-BKN", "greater", ""),
    ],
)
def test_a_strike_is_the_line_of_a_spread_or_a_total(
    ticker: str, strike_type: str, told: str
) -> None:
    frame = kalshi(ticker, "?", strike_type=strike_type, floor_strike="3.5")
    assert frame.get("range") == told


def test_the_sub_title_has_the_line_where_the_title_has_none() -> None:
    frame = kalshi(f"KXNBATOTAL-{NBA}-221", "Brooklyn at Memphis: Total Points",
                   yes_sub_title="Over 221.5 points scored")  # fmt: skip
    assert frame.get("range") == "(221.5,inf)"


def test_an_event_that_is_not_told_is_that_of_the_ticker() -> None:
    assert kalshi(f"KXNBAGAME-{NBA}-BKN", "?", event_id="").get("day") == "2026-12-11"


@pytest.mark.parametrize(
    ("code", "stage"),
    [("TORDETG2", "game 2"), ("TORDETG1", "game 1"), ("TORDET", ""), ("TORDETG3", "")],
)
def test_the_games_of_a_double_header_are_numbered(code: str, stage: str) -> None:
    frame = kalshi(f"KXMLBGAME-26MAY10{code}-DET", "Toronto vs Detroit Winner?")
    assert frame.get("stage") == stage
    assert frame.get("participants") == "mlb:det mlb:tor"
    # Of a league without a table of codes nobody knows where a code ends.
    assert kalshi("KXLOLGAME-26MAY10T1G2-T1", "?").get("stage") == ""


@pytest.mark.parametrize(
    ("code", "instant"),
    [
        ("26JUL0212", "2026-07-02 12:00 ET"),
        ("26JUL021230", "2026-07-02 12:30 ET"),
        ("26JUL02", ""),
        ("26FEB3012", ""),
    ],
)
def test_an_hour_in_a_ticker_is_eastern(code: str, instant: str) -> None:
    assert kalshi(f"KXBTCD-{code}-T62000", "Bitcoin price?").get("instant") == instant
