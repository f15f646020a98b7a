"""Pairs on the screen of `top`: the list, one in depth, and those of a market."""

import re

import pytest
from rich.cells import cell_len
from support.pairprices import pair_price, word
from support.prices import price
from support.terminal import Told, beating

from arbees_feed.cli.toplines import Line, Moment, as_plain
from arbees_feed.cli.toplist import listed
from arbees_feed.cli.toppairlines import PAYS
from arbees_feed.cli.topscreen import screen_lines
from arbees_feed.cli.topview import View
from arbees_feed.pairs.price import PairPrice

SIZES = [(1, 1), (7, 3), (20, 10), (60, 15), (80, 24), (100, 30), (120, 40), (250, 80)]
NOW_NS = 1_790_000_000_000_000_000
EVIL = "\x1b[2J\x1b]0;owned\x07\u202eevil\r\nline\x9b31m 日本語 🏈"
GAME, DEAR, DEAD = "KXGAME-KC.0000aaaa", "KXNBA-LAC.0000bbbb", "KXFED-1.0000cccc"


def made(pair: str, **more: object) -> PairPrice:
    return pair_price(pair, ts_pub_ns=NOW_NS - 2_000_000_000, **more)


@pytest.fixture
def told() -> Told:
    """A matcher with three pairs: below a dollar, above it, and one that is stale."""
    made_state = Told(beating("kalshi"), beating("polymarket"))
    pairs = made_state.state.pairs
    pairs.on_matcher(word(), 10.0)
    hand(
        made_state,
        made(GAME, polarity="inverted"),
        made(DEAR, yes_at_kalshi_net=1.0175, kalshi_ask=0.4625),
        made(DEAD, status="stale", reason="kalshi: no change for 60 s"),
    )
    pairs.on_titles(
        {
            "KXGAME-KC": {"title": "Chiefs at Lions Winner?", "outcome_yes": "Kansas City"},
            "7aaaa": {"title": "Chiefs vs. Lions", "outcome_yes": "Lions"},
            "KXNBA-LAC": {"title": "Will the Clippers win?"},
        }
    )
    pairs.end_round(10.0)
    return made_state


def hand(told: Told, *prices: PairPrice) -> None:
    found = {price.pair_id: price for price in prices}
    told.state.pairs.on_prices(list(found), found, 10.0, listed=True)


def drawn(told: Told, view: View, size: tuple[int, int] = (80, 24)) -> list[Line]:
    view.markets.listed = listed(told.state, view.sort, view.text, 10.0)
    view.pairs.listed = told.state.pairs.listed(view.text)
    moment = Moment(10.0, NOW_NS, *size, "redis://127.0.0.1:6379/0")
    return screen_lines(told.state, view, moment)


def lines_of(told: Told, view: View | None = None, size: tuple[int, int] = (80, 24)) -> list[str]:
    return [as_plain(line) for line in drawn(told, view or View(shows_pairs=True), size)]


def row_of(told: Told, title: str, size: tuple[int, int] = (80, 24)) -> str:
    return next(line for line in lines_of(told, size=size) if title in line)


# -- the head --------------------------------------------------------------------------------------


def test_the_head_tells_coverage_while_a_matcher_is_at_work(told: Told) -> None:
    assert re.search(r"  pairs 1/2  0 msg/s  \d", lines_of(told, View())[0])
    told.state.pairs.on_matcher(None, 10.0)
    assert "pairs" not in lines_of(told, View())[0]


# -- the list --------------------------------------------------------------------------------------


def test_a_line_has_both_quotes_what_they_are_worth_and_how_old_they_are(told: Told) -> None:
    cells = row_of(told, "Kansas", (100, 30)).split()[-8:]
    assert cells == ["+3.00", "0.9700", "25", "K", "0.40/0.42", "0.46/0.4725", "inv.", "3s/14s"]
    wide = row_of(told, "Clippers", (140, 30)).split("win?")[1].split()
    assert wide[:4] == ["-1.75", "1.0175", "25", "kalshi"]
    assert wide[4:] == ["0.40/0.4625", "0.46/0.4725", "same", "3s/14s"]


def test_80_columns_have_all_but_the_cost(told: Told) -> None:
    lines = lines_of(told)
    header = next(line for line in lines if " PAIR " in line)
    assert header.split() == [
        "PAIR", "EDGE", "¢", "SIZE", "YES", "KALSHI", "POLYMARKET", "POL.", "AGE"
    ]  # fmt: skip
    row = row_of(told, "Kansas")
    assert row.startswith(">  Chief…r?: Kansas City  ")
    assert row.split()[-6:] == ["25", "K", "0.40/0.42", "0.46/0.4725", "inv.", "14s"]
    slashes = [line.index("/") for line in lines if re.search(r" 0\.40/", line)]
    assert len(slashes) == 2
    assert len(set(slashes)) == 1


def test_what_costs_less_than_it_pays_stands_out(told: Told) -> None:
    styles = {
        text.strip(): style
        for line in drawn(told, View(shows_pairs=True))
        for text, style in line
        if re.fullmatch(r" *[+-]\d+\.\d\d", text)
    }
    assert styles["-1.75"] != PAYS
    view = View(shows_pairs=True)
    view.pairs.chosen = DEAR
    chosen = {text.strip(): style for line in drawn(told, view) for text, style in line}
    assert (styles["+3.00"], chosen["+3.00"]) == ("reverse", PAYS)


def test_a_pair_that_is_not_live_says_why_in_place_of_a_quote(told: Told) -> None:
    row = row_of(told, "KXFED-1")
    assert re.match(r"!  KXFED-1 +STALE  kalshi: no change for 60 s$", row)
    hand(told, made(DEAD, status="closed", reason="a market is not listed any more"))
    assert re.match(r"   KXFED-1 +closed  a market is not listed", row_of(told, "KXFED-1"))


def test_without_a_matcher_nothing_is_believed_and_it_is_said(told: Told) -> None:
    told.state.pairs.on_matcher(None, 10.0)
    text = "\n".join(lines_of(told))
    assert "── pairs  no matcher is at work: start one with `arbees-feed match run` ──" in text
    assert len(re.findall(r"^[!>] .* STALE  (?:no matcher|kalshi)", text, re.MULTILINE)) == 3
    assert "0.4" not in text


@pytest.mark.parametrize(
    ("has_matcher", "is_whole", "trouble", "said"),
    [
        (False, True, "", "no matcher is at work: start one with `arbees-feed match run`"),
        (True, True, "", "the matcher has found no pair with a price yet"),
        (False, False, "", "reading …"),
        (False, False, "NOPERM", "pairs can't be read: NOPERM"),
    ],
)
def test_an_empty_list_says_why(
    *, has_matcher: bool, is_whole: bool, trouble: str, said: str
) -> None:
    empty = Told()
    empty.state.pairs.on_matcher(word() if has_matcher else None, 10.0)
    if is_whole:
        empty.state.pairs.end_round(10.0)
    empty.state.pairs.trouble = trouble
    assert said in "\n".join(lines_of(empty))


def test_a_search_and_a_matcher_that_has_just_begun(told: Told) -> None:
    view = View(text="clippers", shows_pairs=True)
    text = "\n".join(lines_of(told, view))
    assert "search: clippers  1 found" in text
    assert "Kansas" not in text
    assert "no pair has these words" in "\n".join(
        lines_of(told, View(text="no such", shows_pairs=True))
    )
    told.state.pairs.on_matcher(word("matching"), 10.0)
    assert "── pairs  3 priced, 1 probable  matching ──" in "\n".join(lines_of(told))


@pytest.mark.parametrize("size", SIZES)
def test_it_is_as_large_as_the_terminal_whatever_is_shown(
    told: Told, size: tuple[int, int]
) -> None:
    view = View(shows_pairs=True)
    for key in ["", "enter", "down", "/", "k", "enter", "?", "p", "p", "escape", "escape"]:
        view.press(key)
        lines = drawn(told, view, size)
        assert len(lines) == size[1]
        assert {sum(cell_len(text) for text, _ in line) for line in lines} == {size[0]}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("status", ["live", "live" + EVIL])
def test_text_of_others_cannot_act_on_the_terminal(
    told: Told, size: tuple[int, int], status: str
) -> None:
    legs = {"kalshi_id": EVIL, "polymarket_id": EVIL, "polarity": EVIL}
    hand(told, made(EVIL, **legs, status=status, reason=EVIL))
    pairs = told.state.pairs
    pairs.on_titles({EVIL: dict.fromkeys(("title", "event_title", "outcome_yes"), EVIL)})
    told.hand(price(EVIL, platform=EVIL))
    facts = dict.fromkeys(("grade", "conflicts", "reasons", "kalshi_id", "polarity"), EVIL)
    pairs.on_facts({EVIL: facts, "OTHER": facts}, (EVIL, [EVIL, "OTHER", EVIL]))
    pairs.on_matcher(word(EVIL, cross_pairs="1/2"), 10.0)
    view = View(shows_pairs=True)
    view.detail, view.pairs.chosen, view.markets.chosen = True, EVIL, EVIL
    for trouble in ("", EVIL):
        pairs.trouble = trouble
        for shows_pairs in (True, False):
            view.shows_pairs = shows_pairs
            lines = drawn(told, view, size)
            text = "\n".join(part for line in lines for part, _ in line)
            assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)
            assert all(sum(cell_len(part) for part, _ in line) == size[0] for line in lines)


# -- in depth --------------------------------------------------------------------------------------


def in_depth(told: Told, pair: str) -> str:
    view = View(shows_pairs=True)
    view.detail, view.pairs.chosen = True, pair
    return "\n".join(lines_of(told, view, (110, 40)))


def test_a_pair_in_depth_has_both_ways_and_what_may_settle_differently(told: Told) -> None:
    facts = {"grade": "identical", "conflicts": "postponement; ties", "reasons": "day agrees: x"}
    told.state.pairs.on_facts({GAME: facts}, ("", ()))
    text = in_depth(told, GAME)
    for line in (
        r"^── Kansas City: Chiefs at Lions Winner\?  identical inverted ──",
        r"^kalshi +Kansas City: Chiefs at Lions Winner\? +KXGAME-KC$",
        r"^polymarket +Chiefs vs\. Lions +7aaaa$",
        r"^cost +YES at Kalshi, NO at Polymarket: 0\.9600, with fees 0\.9700$",
        r"^ +YES at Polymarket, NO at Kalshi: 1\.0725, with fees 1\.0900$",
        r"^edge +\+3\.00 ¢ a contract, for 25, YES at kalshi$",
        r"^ages +kalshi 3s, polymarket 14s$",
        r"^conflicts +postponement\n +ties$",
        r"^reasons +day agrees: x$",
    ):
        assert re.search(line, text, re.MULTILINE), line
    assert "usual fees" not in text
    hand(told, made(GAME, fees_told=False))
    assert "usual fees" in in_depth(told, GAME)


def test_a_stale_pair_in_depth_has_no_quote(told: Told) -> None:
    text = in_depth(told, DEAD)
    assert re.search(r"^STALE  kalshi: no change for 60 s$", text, re.MULTILINE)
    assert "cost  " not in text


@pytest.mark.parametrize("shows_pairs", [True, False])
def test_what_has_gone_leaves_its_place_in_depth_empty(told: Told, *, shows_pairs: bool) -> None:
    told.hand(price("M"))
    view = View(shows_pairs=shows_pairs)
    view.detail, view.place.chosen = True, "GONE"
    lines = lines_of(told, view)
    assert len(lines) == 24
    assert re.search(r"q quit$", lines[-1])


# -- the pairs of a market -------------------------------------------------------------------------


def beside(told: Told, *pairs: str, market: str = "KXGAME-KC", height: int = 24) -> list[str]:
    told.hand(price(market))
    facts = {"OTHER.1": {"kalshi_id": market, "polymarket_id": "799", "grade": "probable"}}
    told.state.pairs.on_facts(facts, (market, pairs))
    view = View()
    view.detail, view.markets.chosen = True, market
    lines = lines_of(told, view, (80, height))
    return [line for line in lines if line.startswith("pair ")]


def test_a_market_in_depth_names_its_pairs(told: Told) -> None:
    (line,) = beside(told, GAME)
    assert line.startswith("pair  polymarket  inverted  Chiefs vs. Lions ")
    assert line.endswith("  +3.00 ¢ for 25, YES at kalshi")
    (line,) = beside(told, GAME, market="7aaaa")
    assert line.startswith("pair  kalshi  inverted  Chiefs…ner?: Kansas City ")
    (line,) = beside(told, DEAD, market="KXFED-1")
    assert line.endswith("  STALE")
    (line,) = beside(told, "OTHER.1")
    assert line.startswith("pair  polymarket  ")
    assert line.endswith("  probable")
    assert beside(told) == []


def test_a_market_of_many_pairs_says_how_many_more(told: Told) -> None:
    first, second = beside(told, GAME, "OTHER.1", "OTHER.2", height=40)
    assert " kalshi" in first
    assert second.endswith("  +1 more")


def test_the_pairs_of_another_market_are_not_shown(told: Told) -> None:
    told.state.pairs.on_facts({}, ("OTHER", [GAME]))
    told.hand(price("KXGAME-KC"))
    view = View()
    view.detail = True
    assert not any(line.startswith("pair ") for line in lines_of(told, view))
