"""Listings and pairs for the tests of matching, written for them."""

from typing import Any

from arbees_feed.matching.frame import Frame
from arbees_feed.matching.judge import Verdict, judge
from arbees_feed.matching.kalshi import parse_kalshi
from arbees_feed.matching.listing import KalshiListing, PolymarketListing
from arbees_feed.matching.polymarket import parse_polymarket


def kalshi(ticker: str, title: str, **more: Any) -> Frame:
    """Return the frame of a Kalshi market; its event is the ticker without its last part."""
    event = more.pop("event_id", ticker.rpartition("-")[0])
    return parse_kalshi(KalshiListing(market_id=ticker, title=title, event_id=event, **more))


def polymarket(title: str, market_id: str = "1", **more: Any) -> Frame:
    """Return the frame of a Polymarket market."""
    return parse_polymarket(PolymarketListing(market_id=market_id, title=title, **more))


def outcome(verdict: Verdict) -> tuple[bool, str]:
    """Return whether a pair is confirmed, and its polarity."""
    return verdict.confirmed, verdict.polarity


def why(ours: Frame, theirs: Frame) -> str:
    """Return the verdict in words, for a failed test to show."""
    verdict = judge(ours, theirs)
    lines = [reason.text() for reason in verdict.reasons]
    return "\n".join([f"{verdict.grade} {verdict.polarity} {verdict.conflicts}", *lines,
                      f"{ours.clashes} {theirs.clashes}"])  # fmt: skip


NETS = {
    "outcomes": ("Nets", "Grizzlies"),
    "event_slug": "nba-bkn-mem-2026-12-11",
    "game_start": "2026-12-12T01:30:00Z",
    "market_type": "moneyline",
}
"""A game on the evening of 11 December in US Eastern, which is the 12th in UTC."""

GAME = ("KXNBAGAME-26DEC11BKNMEM-BKN", "Brooklyn at Memphis Winner?")
SOCCER = {"event_title": "1. FSV Mainz 05 vs. 1. FC Union Berlin", "game_day": "2026-05-10"}

ONE_QUESTION: dict[str, tuple[Frame, Frame, str]] = {
    "a game, same side": (kalshi(*GAME), polymarket("Nets vs. Grizzlies", **NETS), "same"),
    "a game, other side": (
        kalshi("KXNBAGAME-26DEC11BKNMEM-MEM", "Brooklyn at Memphis Winner?"),
        polymarket("Nets vs. Grizzlies", **NETS),
        "inverted",
    ),
    "a game, titles turned round": (
        kalshi(*GAME),
        polymarket("Grizzlies vs. Nets", **{**NETS, "outcomes": ("Grizzlies", "Nets")}),
        "inverted",
    ),
    "a draw": (
        kalshi("KXBUNDESLIGAGAME-26MAY10M05UNI-TIE", "Mainz vs Union Berlin Winner?"),
        polymarket("Will 1. FSV Mainz 05 vs. 1. FC Union Berlin end in a draw?", **SOCCER),
        "same",
    ),
    "a lead at half-time": (
        kalshi("KXBUNDESLIGA1H-26MAY10M05UNI-M05", "Will Mainz win the 1st Half?",
               event_title="Mainz vs Union Berlin: First Half Winner"),
        polymarket("1. FSV Mainz 05 leading at halftime?", **SOCCER),
        "same",
    ),
    "a spread": (
        kalshi("KXBUNDESLIGASPREAD-26MAY10M05UNI-M051", "Mainz wins by over 1.5 goals?"),
        polymarket("Spread: 1. FSV Mainz 05 (-1.5)", **SOCCER),
        "same",
    ),
    "a total": (
        kalshi("KXBUNDESLIGATOTAL-26MAY10M05UNI-2", "Will over 2.5 goals be scored?"),
        polymarket("1. FSV Mainz 05 vs. 1. FC Union Berlin: O/U 2.5", **SOCCER),
        "same",
    ),
    "a total, the other way round": (
        kalshi("KXBUNDESLIGATOTAL-26MAY10M05UNI-2", "Will over 2.5 goals be scored?"),
        polymarket("1. FSV Mainz 05 vs. 1. FC Union Berlin: O/U 2.5",
                   outcomes=("Under", "Over"), **SOCCER),
        "inverted",
    ),
    "a title": (
        kalshi("KXNBA-27-LAC", "Will the Los Angeles C win the 2027 Pro Basketball Finals?"),
        polymarket("Will the Los Angeles Clippers win the 2027 NBA Finals?"),
        "same",
    ),
    "a title, the season in two years": (
        kalshi("KXSERIEA-27-COM", "Will Como win the Serie A?"),
        polymarket("Will Como win the 2026\u201327 Serie A league?"),
        "same",
    ),
    "a prize, a nickname": (
        kalshi("KXNBAROY-27-MSAM", "Will Matt Sample win Rookie of the Year?"),
        polymarket("Will Matthew Sample win the 2026-27 NBA Rookie of the Year?"),
        "same",
    ),
    "a seat, one district": (
        kalshi("KXHOUSERACE-AK01-26-R", "Will Republican win the House race for AK-01?"),
        polymarket("Will the Republican Party win the AK-AL House seat?", end_time="2026-11-03"),
        "same",
    ),
    "a nomination": (
        kalshi("KXPRESNOMD-28-AMAR",
               "Will Ann Marlowe be the nominee for the Presidency for the Democratic party?"),
        polymarket("Will Ann Marlowe win the 2028 Democratic presidential nomination?"),
        "same",
    ),
    "before a day and by the day before": (
        kalshi("KXARREST-27JAN-AMAR", "Will Ann Marlowe be arrested before Jan 2027?"),
        polymarket("Will Ann Marlowe be arrested by December 31, 2026?"),
        "same",
    ),
    "a strict and an inclusive bound on the grid": (
        kalshi("KXCPICORE-26MAY-T0.5", "Will CPI Core rise more than 0.5% in May?"),
        polymarket("Will Core CPI MoM be 0.6% or more in May?", end_time="2026-06-10T00:00:00Z"),
        "same",
    ),
    "a cut of rates": (
        kalshi("KXFEDDECISION-26MAR-C26",
               "Will the Federal Reserve Cut rates by >25bps at their March 2026 meeting?"),
        polymarket("Will the Fed decrease interest rates by 50+ bps after the March 2026 meeting?"),
        "same",
    ),
    "no change of rates": (
        kalshi("KXFEDDECISION-26MAR-H0",
               "Will the Federal Reserve Hike rates by 0bps at their March 2026 meeting?"),
        polymarket("Will there be no change in Fed interest rates after the March 2026 meeting?"),
        "same",
    ),
    "a price at noon Eastern": (
        kalshi("KXBTCD-26JUL0212-T61999.99", "Bitcoin price on Jul 2, 2026?"),
        polymarket("Will the price of Bitcoin be above $62,000 on July 2?", end_time="2026-07-02"),
        "same",
    ),
    "the same plain words": (
        kalshi("KXCHEESE-27", "Will the U.S. export more cheese than France before 2027?"),
        polymarket("Will the US export more cheese than France by December 31, 2026?",
                   rules="Resolves Yes if so by December 31, 2026, 11:59 PM ET."),
        "same",
    ),
}  # fmt: skip

LOOK_ALIKES: dict[str, tuple[Frame, Frame]] = {
    "the day after, same teams": (
        kalshi("KXNBAGAME-26DEC12BKNMEM-BKN", "Brooklyn at Memphis Winner?"),
        polymarket("Nets vs. Grizzlies", **NETS),
    ),
    "the second game of a day": (
        kalshi("KXMLBGAME-26MAY101310TORDET-DET", "Toronto vs Detroit Winner?"),
        polymarket("Blue Jays vs. Tigers", game_start="2026-05-10T23:10:00Z",
                   outcomes=("Blue Jays", "Tigers"), event_slug="mlb-tor-det-2026-05-10"),
    ),
    "the first half": (
        kalshi(*GAME),
        polymarket("Nets vs. Grizzlies: 1H Moneyline",
                   **{**NETS, "market_type": "first_half_moneyline"}),
    ),
    "another line": (
        kalshi("KXBUNDESLIGATOTAL-26MAY10M05UNI-2", "Will over 2.5 goals be scored?"),
        polymarket("1. FSV Mainz 05 vs. 1. FC Union Berlin: O/U 3.5", **SOCCER),
    ),
    "a win and a draw": (
        kalshi("KXBUNDESLIGAGAME-26MAY10M05UNI-M05", "Mainz vs Union Berlin Winner?"),
        polymarket("Will 1. FSV Mainz 05 vs. 1. FC Union Berlin end in a draw?", **SOCCER),
    ),
    "a win with a draw possible, and one without": (
        kalshi("KXMLBF5-26MAY101335COLPHI-COL", "Colorado vs Philadelphia first 5 innings winner?"),
        polymarket("Rockies vs. Phillies: First 5 Innings", game_day="2026-05-10",
                   outcomes=("Rockies", "Phillies")),
    ),
    "the other sport of one name": (
        kalshi("KXSERIEA-27-BFC", "Will Bologna win the Serie A?"),
        polymarket("Will Virtus Bologna win the 2026-27 Serie A?"),
    ),
    "another season": (
        kalshi("KXNHL-27-VGK", "Will Vegas Golden Knights win the 2026-27 Stanley Cup Finals?"),
        polymarket("Will the Vegas Golden Knights win the 2026 NHL Stanley Cup?"),
    ),
    "a conference and the league": (
        kalshi("KXNBAEAST-27-BOS", "Will Boston win the 2027 Eastern Conference Finals?"),
        polymarket("Will the Boston Celtics win the 2027 NBA Finals?"),
    ),
    "father and son": (
        kalshi("KXPRESNOMR-28-ASAM",
               "Will Abel Sample Jr. be the nominee for the Presidency for the Republican party?"),
        polymarket("Will Abel Sample win the 2028 Republican presidential nomination?"),
    ),
    "two of one family name": (
        kalshi("KXPRESNOMD-28-PMUR",
               "Will Pia Sample be the nominee for the Presidency for the Democratic party?"),
        polymarket("Will Chris Sample win the 2028 Democratic presidential nomination?"),
    ),
    "another party": (
        kalshi("HOUSECA9-26-R", "Will Republican win the House race for CA-9?"),
        polymarket("Will the Democratic Party win the CA-09 House seat?", end_time="2026-11-03"),
    ),
    "another office": (
        kalshi("GOVPARTYAL-26-R", "Will the Republican party win the governorship in Alabama"),
        polymarket("Will the Republicans win the Alabama Senate race in 2026?"),
    ),
    "a primary that need not make a nominee": (
        kalshi("KXGOVIANOMR-26-ASAM",
               "Will Abel Sample be the Republican nominee for Governor in Iowa?"),
        polymarket("Will Abel Sample win the 2026 Iowa Governor Republican primary election?"),
    ),
    "the first round": (
        kalshi("KXFRENCHPRES-27-AMAR",
               "Will Ann Marlowe win the 2027 French presidential election?"),
        polymarket("Will Ann Marlowe win the 1st round of the 2027 French presidential election?"),
    ),
    "California and Canada": (
        kalshi("KXTRUMPCOUNTRIES-27JAN01-CA", "Will Donald Trump visit Canada before Jan 1, 2027?"),
        polymarket("Will Donald Trump visit California in 2026?"),
    ),
    "before a year and in its first month": (
        kalshi("KXTRUMPMEET-26-AMAR", "Will Donald Trump meet with Ann Marlowe before Jan 2026?"),
        polymarket("Will Trump meet with Ann Marlowe in January 2026?", end_time="2026-01-31"),
    ),
    "a month's window and one without a start": (
        kalshi("KXTRUMPMEET-26MAR-AMAR", "Donald Trump and Ann Marlowe meet before Apr 1, 2026?",
               rules="If they meet before Apr 1, 2026, then the market resolves to Yes."),
        polymarket("Will Trump meet with Ann Marlowe in March 2026?", end_time="2026-03-31"),
    ),
    "exactly and above": (
        kalshi("KXECONSTATU3-26MAR-T4.3", "Unemployment rate in Mar 2026?",
               yes_sub_title="Exactly 4.3%"),
        polymarket("Will the March 2026 unemployment rate be at least 4.3%?"),
    ),
    "core and headline": (
        kalshi("KXCPICORE-26FEB-T0.2", "Will CPI Core rise more than 0.2% in February?"),
        polymarket("Will monthly inflation be 0.3% or more in February?", end_time="2026-03-11"),
    ),
    "a strict and an inclusive bound off by a step": (
        kalshi("KXCPICORE-26MAY-T0.6", "Will CPI Core rise more than 0.6% in May?"),
        polymarket("Will Core CPI MoM be 0.6% or more in May?", end_time="2026-06-10"),
    ),
    "another meeting": (
        kalshi("KXFEDDECISION-26APR-C25",
               "Will the Federal Reserve Cut rates by 25bps at their April 2026 meeting?"),
        polymarket("Will the Fed decrease interest rates by 25 bps after the March 2026 meeting?"),
    ),
    "exactly a step and at least": (
        kalshi("KXFEDDECISION-26MAR-H25",
               "Will the Federal Reserve Hike rates by 25bps at their March 2026 meeting?"),
        polymarket("Will the Fed increase interest rates by 25+ bps after the March 2026 meeting?"),
    ),
    "another hour": (
        kalshi("KXBTCD-26JUL0217-T61999.99", "Bitcoin price on Jul 2, 2026?"),
        polymarket("Will the price of Bitcoin be above $62,000 on July 2?", end_time="2026-07-02"),
    ),
    "a bucket and a threshold": (
        kalshi("KXBTC-26JUL0212-B62000", "Bitcoin price range on Jul 2, 2026?"),
        polymarket("Will the price of Bitcoin be above $62,000 on July 2?", end_time="2026-07-02"),
    ),
    "a title that lacks the outcome": (
        kalshi("KXNBAPLAYOFF-27-PHI", "Pro Basketball Playoff Qualifiers"),
        polymarket("Pro Football Playoff Qualifiers"),
    ),
    "the same words about a game of no day": (
        kalshi("KXWCGOAL-26JUL02ESPAUT-A-1", "Sample: 1+ goals"),
        polymarket("Sample: 1+ goals"),
    ),
    "one more word": (
        kalshi("KXCHEESE-27", "Will the U.S. export more cheese than France before 2027?"),
        polymarket("Will the US not export more cheese than France before 2027?"),
    ),
}  # fmt: skip

ONE_QUESTION["teams that no table knows"] = (
    kalshi("KXCS2GAME-26MAY100400MOOOTT-OTT",
           "Will Otter Esports win the The Moose vs. Otter Esports CS2 match?",
           event_title="The Moose vs. Otter Esports"),
    polymarket("Counter-Strike: Otter vs Moose (BO3) - Pond Open",
               game_start="2026-05-10T08:00:00Z", outcomes=("Otter", "Moose")),
    "same",
)  # fmt: skip
LOOK_ALIKES["a map and the match"] = (
    kalshi("KXCS2MAP-26MAY100400MOOOTT-2-OTT", "Will Otter win map 2 in the Moose vs. Otter match?",
           event_title="Moose vs. Otter: Map 2"),
    polymarket("Counter-Strike: Otter vs Moose (BO3) - Pond Open",
               game_start="2026-05-10T08:00:00Z", outcomes=("Otter", "Moose")),
)  # fmt: skip
LOOK_ALIKES["a league of which the slug says that it is another"] = (
    kalshi(*GAME),
    polymarket("Nets vs. Grizzlies", **{**NETS, "event_slug": "nbas-bkn-mem-2026-12-11"}),
)
