"""Look-alikes that one word beside the question, one sign or one hour tells apart."""

import pytest
from support.matching import NETS, kalshi, outcome, polymarket, why

from arbees_feed.matching.frame import Frame
from arbees_feed.matching.judge import judge

MARCH = ("KXMARMAD-27-SC", "Will South Carolina win the College Basketball National Championship?")
NCAA = "Will South Carolina win the 2027 NCAA Tournament?"
ARREST = ("KXARREST-27JAN20-AMAR", "Will Ann Marlowe be arrested by Jan 20, 2027?")
DEAL = "Will the 2027 salt treaty be signed?"
DOUBLE = {"outcomes": ("Blue Jays", "Tigers"), "game_day": "2026-05-10"}
TIGERS = "Toronto vs Detroit Winner?"

LOOK_ALIKES: dict[str, tuple[Frame, Frame]] = {
    "a women's cup, by the title of the event": (
        kalshi(*MARCH),
        polymarket(NCAA, event_title="2027 Women's NCAA Tournament Winner"),
    ),
    "a women's cup, by the slug": (
        kalshi(*MARCH),
        polymarket(NCAA, event_slug="2027-womens-ncaa-tournament-winner"),
    ),
    "a women's cup, by Kalshi's event": (
        kalshi("KXOTHER-27-SC",
               "Will South Carolina win the 2027 College Basketball National Championship?",
               event_title="Women's College Basketball Championship"),
        polymarket(NCAA),
    ),
    "a women's game, by the rules": (
        kalshi("KXNCAAMBGAME-26DEC11DUKEUNC-DUKE", "Duke at North Carolina Winner?"),
        polymarket("Duke vs. North Carolina", outcomes=("Duke", "North Carolina"),
                   game_day="2026-12-11",
                   rules="In the upcoming CBB women's college basketball game, scheduled for"
                   " December 11 at 7:00 PM ET:"),
    ),
    "a game of the under-21s": (
        kalshi("KXINTLFRIENDLYGAME-26NOV15ENGGER-ENG", "England vs Germany Winner?"),
        polymarket("Will England win on 2026-11-15?", event_title="England vs. Germany",
                   rules="In the upcoming U21 game, scheduled for November 15:"),
    ),
    "another sport's championship": (
        kalshi(*MARCH),
        polymarket("Will South Carolina win the 2027 NCAA Championship?",
                   event_title="NCAA Baseball Champion 2027"),
    ),
    "a special election": (
        kalshi("HOUSENJ11-26-D", "Will Democratic win the House race for NJ-11?"),
        polymarket("Will the Democrats win the NJ-11 House seat?", end_time="2026-11-03",
                   event_title="NJ-11 Special Election Winner"),
    ),
    "the run-off of a primary": (
        kalshi("KXSENATETXR-26-AMAR",
               "Will Ann Marlowe be the Republican nominee for the Senate in Texas?"),
        polymarket("Will Ann Marlowe win the 2026 Texas Republican Senate primary?",
                   event_title="Texas Republican Senate Primary: no runoff, most votes"),
    ),
    "below zero and above it": (
        kalshi("KXGROWTH-27", "Will Swiss growth be below -1% in 2027?"),
        polymarket("Will Swiss growth be below 1% in 2027?"),
    ),
    "less and more, by a sign": (
        kalshi("KXSEATS-27", "Will the Greens win >28 seats in the 2027 Sample election?"),
        polymarket("Will the Greens win <28 seats in the 2027 Sample election?"),
    ),
    "a fraction and a span": (
        kalshi("KXSEATS-27", "Will the Greens win 4.5 more seats in 2027?"),
        polymarket("Will the Greens win 4-5 more seats in 2027?"),
    ),
    "a figure and as many or more": (
        kalshi("KXPOSTS-27", "Will Ann Marlowe post 100 times in 2027?"),
        polymarket("Will Ann Marlowe post 100+ times in 2027?"),
    ),
    "noon and the end of the day": (
        kalshi(*ARREST),
        polymarket("Will Ann Marlowe be arrested by January 20, 2027, 12:00 PM ET?"),
    ),
    "noon by the rules": (
        kalshi(*ARREST),
        polymarket("Will Ann Marlowe be arrested by January 20, 2027?",
                   rules="Yes if so by January 20, 2027, 12:00 PM ET. Otherwise No."),
    ),
    "an hour in words": (
        kalshi(*ARREST),
        polymarket("Will Ann Marlowe be arrested by January 20, 2027, noon?"),
    ),
    "an hour of the day's twenty-four": (
        kalshi(*ARREST),
        polymarket("Will Ann Marlowe be arrested by January 20, 2027, 17:00 ET?"),
    ),
    "an hour before the day, by the rules": (
        kalshi(*ARREST),
        polymarket("Will Ann Marlowe be arrested by January 20, 2027?",
                   rules="Yes if so by 5 PM ET on January 20, 2027. Otherwise No."),
    ),
    "an hour before the day, by Kalshi's rules": (
        kalshi(*ARREST, rules="If Ann Marlowe is arrested before noon ET on Jan 20, 2027, then the"
               " market resolves to Yes."),
        polymarket("Will Ann Marlowe be arrested by January 20, 2027?"),
    ),
    "midnight, the day's beginning or its end": (
        kalshi(*ARREST),
        polymarket("Will Ann Marlowe be arrested by January 20, 2027 at midnight ET?"),
    ),
    "midnight twice, of two days": (
        kalshi("KXARREST-27JAN21-AMAR",
               "Will Ann Marlowe be arrested before Jan 21, 2027 at midnight?"),
        polymarket("Will Ann Marlowe be arrested by January 20, 2027 at midnight?"),
    ),
    "midnight by the rules of a plain question": (
        kalshi("KXSALT-27", "Will the salt treaty be signed by Jan 20, 2027?"),
        polymarket("Will the salt treaty be signed by January 20, 2027?",
                   rules="Yes if so by midnight on January 20, 2027. Otherwise No."),
    ),
    "half past nine, in the morning or in the evening": (
        kalshi("KXARREST-27JAN20-AMAR",
               "Will Ann Marlowe be arrested by Jan 20, 2027 at 9:30 AM ET?"),
        polymarket("Will Ann Marlowe be arrested by January 20, 2027, 9:30 ET?"),
    ),
    "an hour of the place, wherever that is": (
        kalshi(*ARREST),
        polymarket("Will Ann Marlowe be arrested by January 20, 2027, 11:59 PM local time?"),
    ),
    "the end of the day in a zone of words": (
        kalshi(*ARREST),
        polymarket("Will Ann Marlowe be arrested by January 20, 2027?",
                   rules="Yes if so by January 20, 2027, 11:59 PM Pacific Time. Otherwise No."),
    ),
    "the end of the day in a zone without an hour": (
        kalshi(*ARREST),
        polymarket("Will Ann Marlowe be arrested by January 20, 2027 (UTC)?"),
    ),
    "the end of the day in Europe": (
        kalshi(*ARREST),
        polymarket("Will Ann Marlowe be arrested by January 20, 2027?",
                   rules="Yes if so by January 20, 2027, 11:59 PM CET. Otherwise No."),
    ),
    "one hour in two zones": (
        kalshi("KXARREST-27JAN20-AMAR",
               "Will Ann Marlowe be arrested by Jan 20, 2027 at 17:00 UTC-5?"),
        polymarket("Will Ann Marlowe be arrested by January 20, 2027, 5 PM UTC?"),
    ),
    "before a day, and before its end": (
        kalshi("KXARREST-27JAN19-AMAR", "Will Ann Marlowe be arrested by Jan 19, 2027?"),
        polymarket("Will Ann Marlowe be arrested before January 20, 2027, 11:59 PM ET?"),
    ),
    "on or before a day, and before it": (
        kalshi("KXARREST-27JAN19-AMAR", "Will Ann Marlowe be arrested by Jan 19, 2027?"),
        polymarket("Will Ann Marlowe be arrested on or before January 20, 2027?"),
    ),
    "the end of the day in another zone": (
        kalshi(*ARREST),
        polymarket("Will Ann Marlowe be arrested by January 20, 2027?",
                   rules="Yes if so by January 20, 2027, 11:59 PM UTC. Otherwise No."),
    ),
    "a deadline that only the outcome tells": (
        kalshi("KXDEAL-27-JUL", DEAL, yes_sub_title="Before July 1"),
        polymarket(DEAL, end_time="2027-12-31"),
    ),
    "an outcome after a day": (
        kalshi("KXDEAL-27-AUG", DEAL, yes_sub_title="After August 2027"),
        polymarket(DEAL, end_time="2027-12-31"),
    ),
    "an outcome with an earlier deadline than the title's": (
        kalshi("KXCHEESE-27-JUL", "Will France export less cheese before 2028?",
               yes_sub_title="Before July 2027"),
        polymarket("Will France export less cheese before 2028?"),
    ),
    "one of two that the title names": (
        kalshi("KXMEET-27-OSL", "Will both kings meet in Oslo or Madrid in 2027?",
               yes_sub_title="Oslo"),
        polymarket("Will both kings meet in Oslo or Madrid in 2027?"),
    ),
    "the second game of a day, by the slug": (
        kalshi("KXMLBGAME-26MAY10TORDET-DET", TIGERS),
        polymarket("Blue Jays vs. Tigers", event_slug="mlb-tor-det-2026-05-10-game-2", **DOUBLE),
    ),
    "the second game of a day, by the ticker": (
        kalshi("KXMLBGAME-26MAY10TORDETG2-DET", TIGERS),
        polymarket("Blue Jays vs. Tigers", event_slug="mlb-tor-det-2026-05-10", **DOUBLE),
    ),
    "a line that the score can meet": (
        kalshi("KXNBATOTAL-26DEC11BKNMEM-221", "Will over 221 points be scored?"),
        polymarket("Nets vs. Grizzlies: O/U 221",
                   **{**NETS, "market_type": "totals", "outcomes": ("Over", "Under")}),
    ),
    "a handicap that the score can meet": (
        kalshi("KXNBASPREAD-26DEC11BKNMEM-BKN3", "Brooklyn wins by over 3 points?"),
        polymarket("Spread: Nets (-3)", event_title="Nets vs. Grizzlies",
                   **{**NETS, "market_type": "spreads"}),
    ),
    "the other half, and a step between": (
        kalshi("KXU3-27APR-T4.3", "Will unemployment be above 4.3% in April 2027?"),
        polymarket("Will the April 2027 unemployment rate be at most 4.2%?"),
    ),
    "the other half, and a step in both": (
        kalshi("KXU3-27APR-T4.3", "Will unemployment be above 4.3% in April 2027?"),
        polymarket("Will the April 2027 unemployment rate be 4.4% or lower?"),
    ),
    "above and below, and the bound in neither": (
        kalshi("KXU3-27APR-T4.3", "Will unemployment be above 4.3% in April 2027?"),
        polymarket("Will the April 2027 unemployment rate be below 4.3%?"),
    ),
    "one step and what is below it": (
        kalshi("KXECONSTATU3-27APR-T4.3", "Unemployment rate in Apr 2027?",
               yes_sub_title="Exactly 4.3%"),
        polymarket("Will the April 2027 unemployment rate be at most 4.2%?"),
    ),
    "the other half of another month": (
        kalshi("KXU3-27MAY-T4.3", "Will unemployment be above 4.3% in May 2027?"),
        polymarket("Will the April 2027 unemployment rate be at most 4.3%?"),
    ),
    "the other half of the core figure": (
        kalshi("KXCPICORE-27FEB-T0.2", "Will CPI Core rise more than 0.2% in February 2027?"),
        polymarket("Will monthly inflation be 0.2% or less in February 2027?"),
    ),
    "the other half of a price, which knows no step": (
        kalshi("KXBTCD-26JUL0212-T62000", "Bitcoin price on Jul 2, 2026?"),
        polymarket("Will the price of Bitcoin be below $62,000 on July 2?", end_time="2026-07-02"),
    ),
    "the other half of a rate whose steps nobody tells": (
        kalshi("KXFED-27JAN-T4.25", "Will the upper bound of the federal funds rate be above 4.25%"
               " following the Fed's Jan 27, 2027 meeting?"),
        polymarket("Will the upper bound of the federal funds rate be at most 4.0% following the"
                   " Fed's January 27, 2027 meeting?"),
    ),
    "jobs, the other half and a thousand in neither": (
        kalshi("KXPAYROLLS-27MAR-T100000", "Will above 100000 jobs be added in March 2027?"),
        polymarket("Will the US add less than 100k jobs in March 2027?"),
    ),
    "jobs in whole thousands": (
        kalshi("KXPAYROLLS-27MAR-T100000", "Will above 100000 jobs be added in March 2027?"),
        polymarket("Will the US add 100k or more jobs in March 2027?"),
    ),
    "the figure that comes in a month, and that of the month": (
        kalshi("KXU3-27APR-T4.3", "Will unemployment be above 4.3% in April 2027?"),
        polymarket("Will the April unemployment rate be at least 4.4%?", end_time="2027-04-02"),
    ),
    "the inflation of another country": (
        kalshi("KXCPI-27JAN-T2.0", "Will CPI rise more than 2.0% in January 2027?"),
        polymarket("Will monthly inflation be 2.1% or more in January 2027?",
                   event_title="Argentina Monthly Inflation - January"),
    ),
    "the unemployment of another country, by the rules": (
        kalshi("KXU3-27APR-T4.3", "Will unemployment be above 4.3% in April 2027?"),
        polymarket("Will the April 2027 unemployment rate be at least 4.4%?",
                   rules="This is about the rate that Statistics Canada tells for April."),
    ),
    "jobs that another one counts": (
        kalshi("KXPAYROLLS-27MAR-T100000", "Will above 100000 jobs be added in March 2027?"),
        polymarket("Will the US add 101k or more jobs in March 2027?",
                   event_title="ADP National Employment Report: March"),
    ),
    "corners and goals": (
        kalshi("KXEPLTOTAL-26NOV08ARSCFC-9", "Will over 9.5 goals be scored?"),
        polymarket("Arsenal vs. Chelsea: O/U 9.5", game_day="2026-11-08",
                   event_title="Arsenal vs. Chelsea - Total Corners",
                   outcomes=("Over", "Under")),
    ),
    "another currency": (
        kalshi("KXGOLD-27", "Will gold hit €5000 an ounce in 2027?"),
        polymarket("Will gold hit $5000 an ounce in 2027?"),
    ),
    "a midnight that only the rules tell": (
        kalshi("KXBILL-27", "Will the 2027 salt bill pass the Senate?",
               rules="If it passes before Jan 1, 2028 at midnight ET, then the market resolves to"
               " Yes."),
        polymarket("Will the 2027 salt bill pass the Senate?",
                   rules="Yes if it passes by December 31, 2027, 11:59 PM ET."),
    ),
    "a deadline that only the rules tell, and another": (
        kalshi("KXBILL-27", "Will the 2027 salt bill pass the Senate?",
               rules="If it passes before Mar 1, 2027, then the market resolves to Yes."),
        polymarket("Will the 2027 salt bill pass the Senate?",
                   rules="Yes if it passes by December 31, 2027, 11:59 PM ET."),
    ),
}  # fmt: skip

ONE_QUESTION: dict[str, tuple[Frame, Frame]] = {
    "a primary whose winner is the nominee": (
        kalshi("KXSENATETXR-26-AMAR",
               "Will Ann Marlowe be the Republican nominee for the Senate in Texas?"),
        polymarket("Will Ann Marlowe win the 2026 Texas Republican Senate primary?"),
    ),
    "a women's league, named so by one side": (
        kalshi("KXWNBAGAME-26AUG08INDCHI-IND", "Indiana vs Chicago Winner?",
               rules="If Indiana wins the Indiana vs Chicago women's Pro Basketball game originally"
               " scheduled for Aug 8, 2026, then the market resolves to Yes."),
        polymarket("Fever vs. Sky", outcomes=("Fever", "Sky"), game_day="2026-08-08",
                   event_slug="wnba-ind-chi-2026-08-08"),
    ),
    "the same second game": (
        kalshi("KXMLBGAME-26MAY10TORDETG2-TOR", TIGERS),
        polymarket("Blue Jays vs. Tigers", event_slug="mlb-tor-det-2026-05-10-game-2", **DOUBLE),
    ),
    "the same signs": (
        kalshi("KXSEATS-27", "Will the Greens win >28 seats in 2027?"),
        polymarket("Will the Greens win > 28 seats in 2027?"),
    ),
    "the same unemployment, its country named": (
        kalshi("KXU3-27APR-T4.3", "Will unemployment be above 4.3% in April 2027?"),
        polymarket("Will the April 2027 unemployment rate be at least 4.4%?",
                   rules="By the Bureau of Labor Statistics of the United States."),
    ),
    "the same noon": (
        kalshi("KXARREST-27JAN20-AMAR",
               "Will Ann Marlowe be arrested by Jan 20, 2027 at 12:00 PM EST?"),
        polymarket("Will Ann Marlowe be arrested by January 20, 2027, 12 PM ET?"),
    ),
    "the same noon, in words and before the day": (
        kalshi("KXARREST-27JAN20-AMAR",
               "Will Ann Marlowe be arrested before noon on Jan 20, 2027?"),
        polymarket("Will Ann Marlowe be arrested by January 20, 2027, 12 PM Eastern Time?"),
    ),
    "the same hour on two clocks": (
        kalshi("KXARREST-27JAN20-AMAR",
               "Will Ann Marlowe be arrested by Jan 20, 2027 at 17:00 ET?"),
        polymarket("Will Ann Marlowe be arrested by January 20, 2027, 5 p.m. Eastern?"),
    ),
    "the end of the day, on a clock of twenty-four hours": (
        kalshi(*ARREST),
        polymarket("Will Ann Marlowe be arrested by January 20, 2027?",
                   rules="Yes if so by January 20, 2027, 23:59 ET. Otherwise No."),
    ),
    "the end of one day elsewhere": (
        kalshi("KXARREST-27JAN21-AMAR",
               "Will Ann Marlowe be arrested before Jan 21, 2027 at 12:00 AM PT?"),
        polymarket("Will Ann Marlowe be arrested by January 20, 2027, 11:59 PM Pacific Time?"),
    ),
    "midnight, and the day before": (
        kalshi("KXARREST-27-AMAR",
               "Will Ann Marlowe be arrested before Jan 1, 2027 at 12:00 AM ET?"),
        polymarket("Will Ann Marlowe be arrested by December 31, 2026, 11:59 PM ET?"),
    ),
    "a deadline that the outcome completes": (
        kalshi("KXCHEESE-27-JUL", "Will France export less cheese than salt?",
               yes_sub_title="Before July 1, 2027"),
        polymarket("Will France export less cheese than salt by June 30, 2027?"),
    ),
    "jobs, the next thousand": (
        kalshi("KXPAYROLLS-27MAR-T100000", "Will above 100000 jobs be added in March 2027?"),
        polymarket("Will the US add 101k or more jobs in March 2027?"),
    ),
}  # fmt: skip


OTHER_HALF: dict[str, tuple[Frame, Frame]] = {
    "above a step and at most that": (
        kalshi("KXU3-27APR-T4.3", "Will unemployment be above 4.3% in April 2027?"),
        polymarket("Will the April 2027 unemployment rate be at most 4.3%?"),
    ),
    "below a step and that or more": (
        kalshi("KXCPI-27JAN-T0.2", "Will CPI rise below 0.2% in January 2027?"),
        polymarket("Will monthly inflation be 0.2% or more in January 2027?"),
    ),
    "a step or higher, and the one below or lower": (
        kalshi("KXU3-27APR-T4.4", "Will unemployment be at least 4.4% in April 2027?"),
        polymarket("Will the April 2027 unemployment rate be 4.3% or lower?"),
    ),
    "a growth between two steps": (
        kalshi("KXGDP-27APR30-T1.05", "Will real GDP increase by more than 1.05% in Q1 2027?"),
        polymarket("Will US GDP growth in Q1 2027 be at most 1.0%?"),
    ),
    "jobs above a thousand and at most that": (
        kalshi("KXPAYROLLS-27MAR-T100000", "Will above 100000 jobs be added in March 2027?"),
        polymarket("Will the US add 100k or less jobs in March 2027?"),
    ),
    "whole goals": (
        kalshi("KXWCGOALS-26-AMAR", "Will Abel Sample score 3+ goals in the 2026 World Cup?"),
        polymarket("Will Abel Sample score 2 or fewer goals at the 2026 FIFA World Cup?"),
    ),
    "whole cases": (
        kalshi("KXMEASLES-27-40", "Will there be at least 40 measles cases in 2027?"),
        polymarket("Will there be 39 or fewer measles cases in the U.S. in 2027?"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHER_HALF)
def test_the_other_half_is_the_same_question_turned_round(name: str) -> None:
    ours, theirs = OTHER_HALF[name]
    assert outcome(judge(ours, theirs)) == (True, "inverted"), why(ours, theirs)


def test_a_market_that_contradicts_itself_has_no_other_half_to_rely_on() -> None:
    ours = kalshi("KXU3-27APR-T4.3", "Will unemployment be above 4.3% in April 2027?",
                  rules="If the unemployment rate is above 4.4% in April 2027, then the market"
                  " resolves to Yes.")  # fmt: skip
    theirs = polymarket("Will the April 2027 unemployment rate be at most 4.4%?")
    assert judge(ours, theirs).grade == "probable"


@pytest.mark.parametrize("name", LOOK_ALIKES)
def test_look_alikes_are_never_confirmed(name: str) -> None:
    ours, theirs = LOOK_ALIKES[name]
    assert not judge(ours, theirs).confirmed, why(ours, theirs)


@pytest.mark.parametrize("name", ONE_QUESTION)
def test_one_question_is_confirmed_all_the_same(name: str) -> None:
    ours, theirs = ONE_QUESTION[name]
    assert outcome(judge(ours, theirs))[0], why(ours, theirs)


def test_an_acting_holder_may_count_on_one_side_alone() -> None:
    title = "Will Ann Marlowe be the next Prime Minister of Norway?"
    verdict = judge(kalshi("KXNEXTPMNO-27-AMAR", title), polymarket(title))
    assert verdict.grade == "same_question"
    assert "acting_or_interim" in verdict.conflicts
