"""What is read of a market, where it is read, and what contradicts what."""

import pytest
from support.matching import NETS, kalshi, polymarket


def test_each_slot_says_where_it_was_read() -> None:
    frame = kalshi("KXNBAGAME-26DEC11BKNMEM-BKN", "Brooklyn at Memphis Winner?")
    slot = frame.slot("participants")
    assert slot is not None
    assert (slot.value, slot.source) == ("nba:bkn nba:mem", "title")
    day = frame.slot("day")
    assert day is not None
    assert (day.value, day.source) == ("2026-12-11", "ticker")
    assert frame.clashes == ()


def test_a_game_late_in_the_evening_is_on_the_eastern_day() -> None:
    frame = polymarket("Nets vs. Grizzlies", **NETS)
    assert frame.get("day") == "2026-12-11"
    assert (frame.get("subject"), frame.get("against")) == ("nba:bkn", "nba:mem")


def test_a_type_that_is_not_known_contradicts_the_title() -> None:
    frame = polymarket("Nets vs. Grizzlies", **{**NETS, "market_type": "some_new_prop"})
    assert "kind" in frame.clashes


def test_rules_that_contradict_the_title_are_noted() -> None:
    frame = kalshi(
        "SENATELA-26-R",
        "Will Republicans win the Senate race in Kentucky?",
        rules="If a representative of the Republican party is sworn in as a Senator of Louisiana"
        " for the term beginning in 2027, then the market resolves to Yes.",
    )
    assert frame.get("place") == "la"
    assert frame.clashes == ("place",)


def test_the_year_of_an_election_is_that_of_the_rules() -> None:
    rules = (
        "If a representative of the Democratic party is inaugurated as the governor of Kansas"
        " pursuant to the 2026 election, then the market resolves to Yes."
    )
    title = "Will the Democratic party win the governorship in Kansas"
    frame = kalshi("GOVPARTYKS-27-D", title, rules=rules)
    assert (frame.get("season"), frame.clashes) == ("2026", ())
    assert kalshi("GOVPARTYKS-30-D", title, rules=rules).clashes == ("season",)


def test_an_outcome_that_the_title_lacks_comes_from_the_sub_title() -> None:
    frame = kalshi("KXGOVCA-26-AMAR", "Who will win the governorship in California?",
                   yes_sub_title="Ann Marlowe")  # fmt: skip
    assert (frame.get("kind"), frame.get("subject")) == ("person_wins", "ann marlowe")


@pytest.mark.parametrize("who", ["Candidate X", "Other", "C"])
def test_placeholders_name_no_outcome(who: str) -> None:
    frame = polymarket(f"Will {who} win the 2028 Democratic presidential nomination?")
    assert frame.get("subject") == ""


def test_the_letter_of_a_strike_means_what_the_sub_title_says() -> None:
    exact = kalshi("KXECONSTATU3-26MAR-T4.3", "Unemployment rate in Mar 2026?",
                   yes_sub_title="Exactly 4.3%")  # fmt: skip
    above = kalshi("KXU3-26MAR-T4.3", "Unemployment rate in Mar 2026?",
                   yes_sub_title="Above 4.3%")  # fmt: skip
    untold = kalshi("KXECONSTATU3-26MAR-T4.3", "Unemployment rate in Mar 2026?")
    assert exact.get("range") == "[4.3,4.3]"
    assert above.get("range") == "[4.4,inf)"
    assert untold.get("range") == ""


def test_strike_fields_tell_a_range() -> None:
    told = {"strike_type": "greater", "floor_strike": "62000"}
    frame = kalshi("KXBTCD-26JUL0212-T62000", "Bitcoin price on Jul 2, 2026?", **told)
    assert frame.get("range") == "(62000,inf)"
    assert frame.get("instant") == "2026-07-02 12:00 ET"


@pytest.mark.parametrize(
    "title",
    ["", "?", "Who?", "((((", "\\", "Will {name} win?", "a" * 5000, "Will the the the", "vs.",
     "Spread: (-1.5)", "Map 2: Odd/Even Total Rounds?", "\u202e\ud83d"],
)  # fmt: skip
def test_odd_titles_are_not_understood_and_do_no_harm(title: str) -> None:
    assert kalshi("KXODD-26-A", title).get("kind") in ("", "proposition")
    assert polymarket(title).get("kind") in ("", "proposition")


@pytest.mark.parametrize("ticker", ["", "-", "KXNBAGAME", "KXNBAGAME--", "KXNBAGAME-99ZZZ99AB-C"])
def test_odd_tickers_tell_no_day(ticker: str) -> None:
    assert kalshi(ticker, "Brooklyn at Memphis Winner?").get("day") == ""


def test_a_game_of_this_autumn_is_read_from_rules_event_and_strikes() -> None:
    rules = (
        "If Indiana wins by more than 18.5 points in the Indiana vs Chicago women's Pro Basketball"
        " game originally scheduled for Aug 8, 2026, then the market resolves to Yes."
    )
    frame = kalshi(
        "KXWNBASPREAD-26AUG08INDCHI-IND19",
        "Indiana wins the game by over 18.5 points?",
        event_title="Indiana vs Chicago: Spread",
        rules=rules,
        strike_type="greater",
        floor_strike="18.5",
    )
    told = {name: frame.get(name) for name in ("day", "participants", "subject", "range")}
    assert told == {
        "day": "2026-08-08",
        "participants": "wnba:chi wnba:ind",
        "subject": "wnba:ind",
        "range": "(18.5,inf)",
    }
    assert frame.clashes == ()


def test_a_game_moved_to_another_day_contradicts_its_ticker() -> None:
    frame = kalshi(
        "KXNFLGAME-26AUG13DETCIN-CIN",
        "Will Cincinnati win the Detroit vs Cincinnati Pro Football game?",
        rules="If Cincinnati wins the Detroit vs Cincinnati professional football game originally"
        " scheduled for Aug 14, 2026, then the market resolves to Yes.",
    )
    assert (frame.get("subject"), frame.get("day")) == ("nfl:cin", "2026-08-14")
    assert frame.clashes == ("day",)


def test_a_lone_year_does_not_tell_which_season_a_prize_is_for() -> None:
    lone = polymarket("Will Abel Sample win the 2026 NFL MVP?")
    both = polymarket("Will Abel Sample win the 2026-27 NFL MVP?")
    assert (lone.get("competition"), lone.get("season")) == ("nfl_mvp", "")
    assert (both.get("competition"), both.get("season")) == ("nfl_mvp", "2027")


@pytest.mark.parametrize(
    ("clock", "time"), [("8:30 PM", "20:30"), ("12:05 PM", "12:05"), ("12:05 AM", "00:05")]
)
def test_rules_tell_day_and_hour_of_a_game(clock: str, time: str) -> None:
    rules = f"In the upcoming NBA game, scheduled for December 11 at {clock} ET:"
    told = {"outcomes": NETS["outcomes"], "market_type": "moneyline"}
    frame = polymarket("Nets vs. Grizzlies", rules=rules, **told)
    assert frame.get("time") == time
    assert frame.get("day") == ""  # of no year
    near = polymarket("Nets vs. Grizzlies", rules=rules, end_time="2026-12-12", **told)
    assert near.get("day") == "2026-12-11"
    assert polymarket("Nets vs. Grizzlies", rules=rules, **NETS).clashes == (
        () if time == "20:30" else ("time",)
    )


def test_a_spread_whose_first_outcome_is_the_other_team_is_nobodys() -> None:
    told = {**NETS, "event_title": "Nets vs. Grizzlies", "market_type": "spreads"}
    agreed = polymarket("Spread: Nets (-1.5)", **told)
    other = polymarket("Spread: Nets (-1.5)", **{**told, "outcomes": ("Grizzlies", "Nets")})
    assert (agreed.get("subject"), other.get("subject")) == ("nba:bkn", "")


def test_a_game_that_its_slug_alone_dates_has_that_day() -> None:
    frame = polymarket("Nets vs. Grizzlies", outcomes=("Nets", "Grizzlies"),
                       slug="nba-bkn-mem-2026-12-11")  # fmt: skip
    assert frame.get("day") == "2026-12-11"


@pytest.mark.parametrize(
    ("move", "told"),
    [
        ("Cut rates by 25bps", "[-25,-25]"),
        ("Cut rates by >25bps", "(-inf,-50]"),
        ("Hike rates by 0bps", "[0,0]"),
        ("Hike rates by 25bps", "[25,25]"),
        ("Hike rates by >25bps", "[50,inf)"),
    ],
)
def test_more_than_a_step_of_kalshi_is_the_next_step(move: str, told: str) -> None:
    title = f"Will the Federal Reserve {move} at their March 2027 meeting?"
    frame = kalshi("KXFEDDECISION-27MAR-X", title)
    assert (frame.get("range"), frame.get("period")) == (told, "2027-03")


@pytest.mark.parametrize(
    ("move", "told"),
    [
        ("decrease interest rates by 25 bps", "[-25,-25]"),
        ("decrease interest rates by 50+ bps", "(-inf,-50]"),
        ("increase interest rates by 25+ bps", "[25,inf)"),
    ],
)
def test_a_step_or_more_of_polymarket_begins_with_that_step(move: str, told: str) -> None:
    frame = polymarket(f"Will the Fed {move} after the March 2027 meeting?")
    assert frame.get("range") == told


def test_combinations_made_to_order_are_not_read() -> None:
    frame = kalshi(
        "KXMVESPORTS-S1-A", "yes Brooklyn,yes Memphis,yes Over 39.5 points scored in 2026"
    )
    assert frame.slots == ()


def test_a_line_that_is_not_the_titles_is_a_contradiction() -> None:
    title, told = "Nets vs. Grizzlies: O/U 221.5", {**NETS, "market_type": "totals"}
    agreed = polymarket(title, **{**told, "outcomes": ("Over", "Under"), "line": "221.5"})
    other = polymarket(title, **{**told, "outcomes": ("Over", "Under"), "line": "222.5"})
    assert (agreed.get("range"), agreed.clashes) == ("(221.5,inf)", ())
    assert other.clashes == ("range",)


def test_a_series_is_believed_only_where_a_text_names_its_competition() -> None:
    named = kalshi("KXNBAMVP-27-ASAM", "Will Abel Sample win the MVP?")
    other = kalshi("KXNBAMVP-27-ASAM", "Will Abel Sample win the dunk contest?")
    assert (named.get("competition"), named.get("subject")) == ("nba_mvp", "abel sample")
    assert other.get("competition") == ""


def test_a_middle_name_in_the_rules_is_no_contradiction() -> None:
    frame = kalshi(
        "KXPRESNOMR-28-ASAM",
        "Will Abel Sample be the nominee for the Presidency for the Republican party?",
        rules="If Abel Q. Sample wins and accepts the nomination for the Presidency for the"
        " Republican party, then the market resolves to Yes.",
    )
    assert frame.clashes == ()


def test_what_rules_say_beside_the_question_is_noted() -> None:
    frame = polymarket(
        "Will the price of Bitcoin be above $62,000 on July 2?",
        end_time="2026-07-02",
        rules='By the Binance 1 minute candle. In the event of a tie it will resolve to "Other".',
    )
    assert frame.get("source") == "binance"
    assert frame.caveats == ("tie_rule", "other_if_undecided")


@pytest.mark.parametrize(
    "title",
    ["Will Ann Marlowe be arrested before 2027?", "Will 1. FSV Mainz 05 win on 2026-05-10?"],
)
def test_a_market_whose_first_outcome_is_not_yes_is_not_read(title: str) -> None:
    event = "1. FSV Mainz 05 vs. 1. FC Union Berlin"
    told = polymarket(title, event_title=event, outcomes=("Yes", "No"))
    turned = polymarket(title, event_title=event, outcomes=("No", "Yes"))
    other = polymarket("Bitcoin up or down before 2027?", outcomes=("Up", "Down"))
    assert told.get("kind") in ("act", "game_winner")
    assert turned.slots == other.slots == ()
