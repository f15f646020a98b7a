"""Hours and zones of rules that the grammar of windows does not know."""

import pytest
from support.matching import kalshi, polymarket, why

from arbees_feed.matching.dates import UNSURE, find_window
from arbees_feed.matching.deadlines import tells_another_hour
from arbees_feed.matching.frame import Frame
from arbees_feed.matching.judge import judge
from arbees_feed.matching.words import fold

JANUARY = "Will Ann Marlowe be arrested by January 20, 2027?"
DECEMBER = "Will Ann Marlowe be arrested by December 31, 2026?"
TICKER = "KXARREST-27-AMAR"
END_OF_DAY = "Yes if Ann Marlowe is arrested by January 20, 2027, 11:59 PM ET. Otherwise No."

# Each is said of an arrest and is not the end of 20 January in US Eastern.
OTHER_ENDS = [
    "before 5:00 PM ET on Wednesday, January 20, 2027",
    "by Wednesday, January 20, 2027 at 10:00 AM ET",
    "prior to January 20, 2027",
    "prior to 10:00 AM ET on January 20, 2027",
    "no later than 10:00 AM ET on January 20, 2027",
    "by January 20, 2027 PT",
    "by January 20, 2027 CET",
    "by January 20, 2027 EET",
    "by January 20, 2027 (JST)",
    "by January 20, 2027, Beijing time",
    "by January 20, 2027 (Kyiv time)",
    "by market close on January 20, 2027",
    "between Jan 1, 2027 and January 20, 2027 at 10:00 AM ET",
    "by 10 AM ET (15:00 UTC) on January 20, 2027",
    "by 10 AM ET on the 20th of January 2027",
    "by 10 AM ET on 20 January 2027",
    "by 10:00 AM ET of January 20, 2027",
    "by January 20, 2027 at 10 in the morning ET",
    "by midday on January 20, 2027",
    "by ten AM on January 20, 2027",
    "by 10:00 AM ET on 1/20/2027",
    "by 2027-01-20 10:00 ET",
    "by January 20 at 10:00 AM ET, 2027",
    "by January 20th, 2027, 10:00 AM ET",
]
# The same for rules of more than one sentence.
LATER_SENTENCES = [
    "by January 20, 2027, then the market resolves to Yes. The market closes at 10:00 AM ET;"
    " arrests after 10:00 AM ET do not count.",
    "before January 21, 2027, then Yes. All times are Pacific Time.",
    "by January 20, 2027, then Yes. All times are in UTC.",
]
# Each is said on Polymarket, whose titles ask "by December 31, 2026".
OTHER_YEAR_ENDS = [
    "before 2027 at noon",
    "before 2027 (PT)",
    "before 2027 UTC",
    "by the end of 2026 PT",
    "by the end of 2026 (UTC)",
    "by the end of December 2026 PT",
    "before January 2027 PT",
    "before January 2027 at 5 PM ET",
    "by noon at the end of 2026",
    "by 5 PM ET on the last day of 2026",
    "by December 31 PT",
    "by December 31, 11:59 PM PT",
    "by December 31, 5 PM ET",
    "by 5 PM ET on December 31",
]
FIRST_HOURS = [
    "by December 31, 2026 at 12:00 AM ET",
    "by December 31, 2026, 0:00 ET",
    "by 12 AM on December 31, 2026",
    "by December 31, 2026, 12AM ET",
    "through December 31, 2026 12:00 AM ET",
]


def arrest(deadline: str = "", rules: str = "") -> Frame:
    """Return a Kalshi market on an arrest by 20 January, or by another day."""
    return kalshi(TICKER, f"Will Ann Marlowe be arrested {deadline or 'by Jan 20, 2027'}?",
                  rules=rules)  # fmt: skip


def said(words: str) -> str:
    """Return rules of *words*, closed as Kalshi closes its own where they are no sentence."""
    closed = words if "then" in words else f"{words}, then the market resolves to Yes."
    return f"If Ann Marlowe is arrested {closed}"


@pytest.mark.parametrize("words", [*OTHER_ENDS, *LATER_SENTENCES])
def test_an_hour_that_was_not_read_is_not_the_end_of_the_day_on_kalshi(words: str) -> None:
    ours, theirs = arrest(rules=said(words)), polymarket(JANUARY, rules=END_OF_DAY)
    assert not judge(ours, theirs).confirmed, why(ours, theirs)


@pytest.mark.parametrize("words", [*OTHER_ENDS, *LATER_SENTENCES])
def test_an_hour_that_was_not_read_is_not_the_end_of_the_day_on_polymarket(words: str) -> None:
    ours, theirs = arrest(), polymarket(JANUARY, rules=said(words), end_time="2027-01-20")
    assert not judge(ours, theirs).confirmed, why(ours, theirs)


@pytest.mark.parametrize("words", OTHER_YEAR_ENDS)
def test_an_hour_behind_a_month_or_a_year_is_not_its_end(words: str) -> None:
    ours = arrest("by Dec 31, 2026")
    theirs = polymarket(DECEMBER, rules=f"Yes if Ann Marlowe is arrested {words}. Otherwise No.",
                        end_time="2026-12-31")  # fmt: skip
    assert not judge(ours, theirs).confirmed, why(ours, theirs)


@pytest.mark.parametrize("words", FIRST_HOURS)
def test_by_the_first_hour_of_a_day_is_not_the_end_of_the_day_before(words: str) -> None:
    ours = arrest("by Dec 30, 2026")
    theirs = polymarket(f"Will Ann Marlowe be arrested {words}?")
    assert not judge(ours, theirs).confirmed, why(ours, theirs)


@pytest.mark.parametrize(
    "rules",
    [
        END_OF_DAY,
        "Yes if arrested by January 20, 11:59 PM ET. Otherwise No.",
        "Yes if arrested no later than January 20, 2027, 11:59 PM ET. Otherwise No.",
        "Yes if arrested prior to January 21, 2027. Otherwise No.",
        "Yes if arrested between January 1 and January 20, 2027, 11:59 PM ET. Otherwise No.",
        "Yes if arrested by January 20, 2027 (ET), for any period of time, at any time.",
        "Yes if arrested by January 20, 2027. It may stay open until 23:59 Eastern Time that day.",
        "Yes if arrested by Wednesday, January 20, 2027, 11:59 PM ET, for the first time.",
    ],
)
def test_the_end_of_the_day_is_confirmed_however_it_is_told(rules: str) -> None:
    ours, theirs = arrest(), polymarket(JANUARY, rules=rules, end_time="2027-01-21T04:59:00Z")
    assert judge(ours, theirs).grade == "identical", why(ours, theirs)


def test_a_deadline_without_a_year_is_read_near_the_end_of_the_market() -> None:
    rules = "Yes if Ann Marlowe is arrested by January 12, 2027, or by January 20, 11:59 PM PT."
    late = polymarket(JANUARY, rules=rules.replace("by January 12, 2027, or ", ""),
                      end_time="2027-01-21T07:59:00Z")  # fmt: skip
    assert late.clashes == ("end",)
    first = polymarket("Will Ann Marlowe be arrested by January 12, 2027?", rules=rules)
    assert (first.get("end"), first.clashes) == (f"2027-01-12{UNSURE}", ())


def test_an_hour_in_an_outcome_is_looked_at_as_well() -> None:
    ours = kalshi("KXCHEESE-27-JUL", "Will France export less cheese than salt by June 30, 2027?",
                  yes_sub_title="Before July 1, 2027 CET")  # fmt: skip
    assert ours.get("end") == f"2027-06-30{UNSURE}"


@pytest.mark.parametrize(
    "words",
    [
        "by January 20, 2027, 11:59 PM ICT",
        "by January 20, 2027, 11:59 PM ET/PT",
        "by January 20, 2027 [PT]",
        "by January 20, 2027 (local)",
        "All times PT",
        "in the Pacific time zone",
        "Australian Eastern Time",
        "by EOD PT",
        "by year's end PT",
        "by 9.30 ET",
        "by 10h30 on Wednesday",
        "by ten o'clock",
        "on the evening of January 20",
        "by the close of trading",
        "by December 11:30 AM",
        "at midnight",
    ],
)
def test_other_hours_are_seen_in_any_wording(words: str) -> None:
    assert tells_another_hour(fold(words), None, "2027-01-20")


@pytest.mark.parametrize(
    "words",
    [
        "in 2026 ET",
        "by the end of 2026 (ET)",
        "by December 31 ET",
        "in the Eastern time zone",
        "at the same time, at that time, by the time of the vote",
        "given jail time",
        "within 24 hours, or 48 hours",
        "by 10 points, 12.5 percent, a 3-2 vote",
        "named Time Person of the Year",
        "Mt. Rushmore by 2027. Jay Z",
    ],
)
def test_other_words_are_no_hour(words: str) -> None:
    assert not tells_another_hour(fold(words), None, "2027-01-20")


def test_the_hour_that_was_read_may_be_told_again() -> None:
    words = fold("by January 20, 2027, 12:00 PM ET. What comes after 12 PM ET does not count.")
    window = find_window(words)
    assert window is not None
    assert not tells_another_hour(words, window, window.end)
    assert tells_another_hour(words.replace("after 12", "after 11"), window, window.end)
