"""Texts that were made to harm: they cost little, break nothing and stay nobody's memory."""

import re
import time
from functools import _lru_cache_wrapper
from importlib import import_module
from pkgutil import iter_modules

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import arbees_feed.matching
from arbees_feed.matching import games, templates
from arbees_feed.matching.frame import Frame
from arbees_feed.matching.kalshi import parse_kalshi
from arbees_feed.matching.listing import (
    OUTCOMES_READ,
    RULES_READ,
    TEXT_READ,
    KalshiListing,
    PolymarketListing,
    within,
)
from arbees_feed.matching.matches import Matches
from arbees_feed.matching.polymarket import parse_polymarket
from arbees_feed.matching.ranges import number
from arbees_feed.matching.words import fold_title

MODULES = [
    import_module(f"arbees_feed.matching.{found.name}")
    for found in iter_modules(arbees_feed.matching.__path__)
]
BUSY_S = 2.0
"""A text costs a few milliseconds; what multiplies with its length costs minutes."""


def kalshi(event: str = "KX-26", code: str = "A", title: str = "x", **more: str) -> Frame:
    return parse_kalshi(
        KalshiListing(market_id=f"{event}-{code}", event_id=event, title=title, **more)
    )


def polymarket(title: str, outcomes: tuple[str, ...] = (), **more: str) -> Frame:
    return parse_polymarket(
        PolymarketListing(market_id="1", title=title, outcomes=outcomes, **more)
    )


# -- what once broke -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "end", ["soonish!!!", "0001-01-02", "9999-12-31", "2026-13-45", "²⁰²⁶-1-1"]
)
@pytest.mark.parametrize(
    "title",
    ["Will monthly inflation be 0.3% or more in February?",
     "Will Ann Marlowe be arrested before January 1?",
     "Will Ann Marlowe win the Democratic nomination?"],
)  # fmt: skip
def test_an_end_that_is_no_day_gives_no_year(title: str, end: str) -> None:
    frame = polymarket(title, end_time=end)
    assert [frame.get(name) for name in ("period", "end", "season")] == ["", "", ""]


SPREAD = "KXWNBASPREAD-26AUG08INDCHI"


@pytest.mark.parametrize(
    ("strike", "found"),
    [("18.5", "(18.5,inf)"), ("1,000", "(1000,inf)"), ("1e999999999", ""), ("nan", ""),
     ("9" * 400, ""), ("1_0", ""), ("-", "")],
)  # fmt: skip
def test_a_strike_is_a_plain_number_or_none(strike: str, found: str) -> None:
    told = kalshi(SPREAD, "IND", strike_type="greater", floor_strike=strike)
    assert told.get("range") == found


def test_an_exponent_is_not_written_out() -> None:
    assert number("1e999999999") is None
    assert kalshi("KXBTCD-26JUL0212", "T1e999999999").get("range") == ""
    title = "Nets vs. Grizzlies: O/U 221.5"
    told = polymarket(title, ("Over", "Under"), event_slug="nba-bkn-mem-2026-12-11", line="1e99999")
    assert told.get("range") == "(221.5,inf)"


def test_figures_of_other_scripts_are_no_year() -> None:
    assert kalshi("KXNBA-²³", "BOS", "Will Boston win the Pro Basketball Finals?").get(
        "season"
    ) == ("")


# -- any text at all -------------------------------------------------------------------------------

ODD = ["", " ", "\x00", "\ud83d", "\ufdfa", "²", "٣", "9" * 50, "1e999", "-0", "0", ".", ",", "$",
       "+", "%", "-", ":", "vs", "by", "before", "in", "feb 31", "may 2026", "2026", "2026-27",
       "12:99 pm et", "25+ bps", "q4 2026", "the", "jr", "0001-01-01", "9999-12-31"]  # fmt: skip
WORDINGS = [
    re.sub(r"[(){}?|*+.\\]", " ", text)
    for text, _ in [*templates._told(), *templates._of_competitions()]
]
SERIES = [
    *games.game_series(), "KXNBA", "KXFED", "KXCPI", "KXBTCD", "KXPGAR1LEAD", "SENATETX",
    "KXPRESNOMD", "GOVPARTYKS", "CONTROLH",
]  # fmt: skip
CODES = ["", "26", "26DEC", "26DEC11BKNMEM", "26FEB30", "99ZZZ99AB", "26JUL0212", "2026", "٢٦",
         "T1E9", "T4.2", "B-1", "TIE", "R", "BKN1"]  # fmt: skip
some_words = st.lists(
    st.sampled_from(ODD) | st.text(max_size=6) | st.sampled_from(WORDINGS), max_size=6
).map(" ".join)
numbers = st.sampled_from(ODD) | st.text("0123456789eE+-.,$", max_size=12)
times = st.sampled_from(["2026-11-03T00:00:00Z", "2026-02-01"]) | numbers | some_words


@st.composite
def theirs(draw: st.DrawFn) -> Frame:
    return polymarket(
        draw(some_words),
        tuple(draw(st.lists(some_words, max_size=3))),
        **{name: draw(some_words) for name in ("event_title", "rules", "slug", "market_type")},
        **{name: draw(times) for name in ("end_time", "game_start", "open_time")},
        line=draw(numbers),
    )


@st.composite
def ours(draw: st.DrawFn) -> Frame:
    event = f"{draw(st.sampled_from(SERIES))}-{draw(st.sampled_from(CODES))}"
    texts = ("event_title", "rules", "rules_secondary", "yes_sub_title")
    return kalshi(
        event,
        draw(st.sampled_from(CODES)),
        draw(some_words),
        **{name: draw(some_words) for name in texts},
        **{name: draw(numbers) for name in ("floor_strike", "cap_strike")},
        strike_type=draw(st.sampled_from(["", "greater", "less", "between", "less_or_equal"])),
        open_time=draw(times),
    )


@settings(deadline=None)
@given(ours(), theirs())
def test_words_of_real_wordings_in_any_order_are_judged(one: Frame, other: Frame) -> None:
    matches = Matches()
    matches.put(one)
    matches.put(other)
    assert len(matches) == 2
    assert max([len(slot.value) for slot in (*one.slots, *other.slots)], default=0) <= RULES_READ


# -- how long ------------------------------------------------------------------------------------


def test_a_listing_is_cut_to_what_is_read() -> None:
    long = "a" * 10_000
    cut = within(
        PolymarketListing(market_id=long, title=long, rules=long, slug=long, outcomes=(long,) * 99)
    )
    assert len(cut.market_id) == 10_000
    assert (len(cut.title), len(cut.rules)) == (TEXT_READ, RULES_READ)
    assert [len(outcome) for outcome in cut.outcomes] == [TEXT_READ] * OUTCOMES_READ
    assert len(fold_title("\ufdfa" * TEXT_READ)) == TEXT_READ
    short = KalshiListing(market_id="A", title="x")
    assert within(short) is short


MEGABYTE = 1_000_000


@pytest.mark.parametrize(
    "parsed",
    [
        lambda: polymarket("Nets vs. Grizzlies", ("a b-c " * MEGABYTE, "x")),
        lambda: polymarket("Will it rain?", ("a",) * MEGABYTE),
        lambda: polymarket("x", slug="tec-" + "a-2026-01-" * MEGABYTE),
        lambda: polymarket("Nets vs. Grizzlies", game_start="2" * MEGABYTE),
        lambda: polymarket("\ufdfa" * MEGABYTE, rules="\ufdfa" * MEGABYTE),
        lambda: kalshi("KXNBAGAME-26DEC11" + "BKNMEM" * MEGABYTE),
        lambda: kalshi("KXNBAGAME-26DEC11BKNMEM", "B1" * MEGABYTE),
        lambda: kalshi(yes_sub_title="a b-c " * MEGABYTE),
    ],
    ids=["outcome", "outcomes", "slug", "time", "ligatures", "event", "code", "sub-title"],
)
def test_megabytes_cost_no_more_than_what_is_read(parsed: object) -> None:
    assert callable(parsed)
    started = time.process_time()
    parsed()
    assert time.process_time() - started < BUSY_S


def bound_to_fail(pattern: re.Pattern[str]) -> list[str]:
    """Return texts that fit *pattern* in very many ways until their last character."""
    bare = re.sub(r"\(\?P<\w+>(?:[^()]|\([^()]*\))*\)", "\x00", pattern.pattern)
    bare = re.sub(r"\(([^()|]*)[^()]*\)[?*]?", r"\1", bare.replace("\\", ""))
    head, *parts = re.split(r"\x00|\.[*+]\??", bare)
    share = TEXT_READ // (len(parts) + 1)
    each = "".join(part * (share // max(1, len(part))) for part in parts)
    mixed = [head + end * TEXT_READ for end in ("".join(parts), "a".join(parts), "a ", "1")]
    return [text[: TEXT_READ - 1] + "\x01" for text in (head + each, *mixed)]


def test_no_wording_tries_very_many_ways_of_fitting() -> None:
    """Each pattern fails within a second of the longest text that is let in; most in 1 ms."""
    patterns = [
        *(made.pattern for _, made in [*templates._told(), *templates._of_competitions()]),
        *(form.pattern for venue in ("kalshi", "polymarket")
          for text in WORDINGS for form in games.forms(venue).fitting(text)),
        *(value for module in MODULES for value in vars(module).values()
          if isinstance(value, re.Pattern)),
    ]  # fmt: skip
    assert len(patterns) > 300
    for pattern in dict.fromkeys(patterns):
        for text in bound_to_fail(pattern):
            started = time.process_time()
            pattern.fullmatch(text)
            assert time.process_time() - started < BUSY_S, pattern.pattern


def test_no_memory_of_texts_is_without_a_bound() -> None:
    """What is remembered for ever are our tables, never what a venue has written."""

    def sizes() -> dict[str, int]:
        return {
            f"{module.__name__}.{name}": value.cache_info().currsize
            for module in MODULES
            for name, value in vars(module).items()
            if isinstance(value, _lru_cache_wrapper) and value.cache_info().maxsize is None
        }

    def parse_some(start: int) -> None:
        for number_ in range(start, start + 40):
            word = f"zyx{number_}"
            matches = Matches()
            for wording in WORDINGS[:: len(WORDINGS) // 40]:
                words = wording.replace("name", word).replace("country", word)
                matches.put(polymarket(words, market_type=word, slug=word))
            matches.put(polymarket(f"{word}: Otter vs Moose (BO3) - {word}"))
            matches.put(polymarket("Nets vs. Grizzlies", market_type=word,
                                   event_slug="nba-bkn-mem-2026-12-11"))  # fmt: skip
            matches.put(kalshi("KXNBA-27", word, f"Will {word} win the {word}?"))

    parse_some(0)
    before = sizes()
    parse_some(1000)
    assert len(before) > 10
    assert sizes() == before
