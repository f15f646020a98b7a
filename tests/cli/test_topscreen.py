"""The screen of `top`: as large as the terminal, honest without colour, safe with any text."""

import itertools
import re

import pytest
from rich.cells import cell_len
from rich.color import ColorSystem
from support.prices import price
from support.terminal import Told, beating

from arbees_feed.cli.text import without_quote
from arbees_feed.cli.topdetail import EIGHTHS
from arbees_feed.cli.toplines import BOLD, PLAIN, Line, Moment, as_plain, cut, fit
from arbees_feed.cli.toplist import Sort, listed
from arbees_feed.cli.topscreen import screen_lines
from arbees_feed.cli.topstate import TopState
from arbees_feed.cli.topterminal import Painter
from arbees_feed.cli.topview import View
from arbees_feed.core.wire import MarketPrice, encode_map

SIZES = [(1, 1), (7, 3), (20, 10), (60, 15), (80, 24), (100, 30), (120, 40), (250, 80)]
NOW_NS = 1_790_000_000_000_000_000
EVIL = "\x1b[2J\x1b]0;owned\x07\u202eevil\r\nline\x9b31m 日本語 🏈"


def told_price(market: str, **more: object) -> MarketPrice:
    return price(market, **{"last_price": 0.43, "ts_pub_ns": NOW_NS - 5_000_000_000, **more})


@pytest.fixture
def told() -> Told:
    made = Told(beating("kalshi"), beating("polymarket"))
    for venue in ("kalshi", "polymarket"):
        made.state.on_venue(venue, {"state": "live", "markets": "120", "markets_live": "118"}, 0.0)
    made.hand(*(told_price(f"M{number:02}") for number in range(40)))
    made.state.on_titles({"M00": {"title": "Will Kansas City win?"}})
    return made


@pytest.fixture
def state(told: Told) -> TopState:
    return told.state


def go(told: Told) -> None:
    """The reader gives up the feeds."""
    for life in told.lives.values():
        life.alive = False
    told.hand(*(without_quote(price) for price in told.book.values()))


def say(told: Told, venue: str, state: str, reason: str = "") -> None:
    """A feed says how it is."""
    told.lives[venue] = beating(venue, state, reason)
    told.state.tick(0.0, "")


def drawn(
    state: TopState, view: View | None = None, size: tuple[int, int] = (80, 24), now_s: float = 10.0
) -> list[Line]:
    view = view or View()
    view.markets.listed = listed(state, view.sort, view.text, now_s)
    moment = Moment(now_s, NOW_NS, *size, "redis://127.0.0.1:6379/0")
    return screen_lines(state, view, moment)


def text_of(lines: list[Line]) -> str:
    return "\n".join(as_plain(line) for line in lines)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "keys", ["", "/", "?", "\r", "/M\r", "/nothing"], ids=["list", "typing", "help", *"def"]
)
def test_it_is_as_large_as_the_terminal_whatever_is_shown(
    told: Told, state: TopState, size: tuple[int, int], keys: str
) -> None:
    view = View()
    for condition, _ in itertools.product(("live", "stale", "stopped"), range(2)):
        say(told, "kalshi", condition, "a long reason " * 30)
        drawn(state, view, size)
        for key in keys:
            view.press("enter" if key == "\r" else key)
        lines = drawn(state, view, size)
        assert len(lines) == size[1]
        assert {sum(cell_len(text) for text, _ in line) for line in lines} == {size[0]}


def test_an_empty_redis_says_what_to_do() -> None:
    text = text_of(drawn(Told().state))
    assert "start one with `arbees-feed run`" in text
    assert "waiting for the first price" in text


def test_venues_and_keys_are_there_at_80_columns(state: TopState) -> None:
    lines = [as_plain(line) for line in drawn(state)]
    assert lines[1].split()[:4] == ["VENUE", "STATE", "BEAT", "LIVE/ALL"]
    assert lines[2].split()[:4] == ["kalshi", "live", "0.0s", "118/120"]
    assert re.search(r"↑↓ choose .* q quit$", lines[-1])
    assert any(line.startswith(">  K ") for line in lines), "what the next key is about"


@pytest.mark.parametrize("size", [(60, 15), (80, 24), (120, 40)])
def test_stale_prices_stand_out_without_any_colour(
    told: Told, state: TopState, size: tuple[int, int]
) -> None:
    told.hand(told_price("DEAD", status="stale", yes_bid_size=0.0))
    (row,) = [
        line
        for line in text_of(drawn(state, View(Sort.STALE), size)).splitlines()
        if " DEAD " in line and "STALE" in line and not line.startswith("STALE")
    ]
    assert "0.4" not in row.replace("0.43", "")
    go(told)
    other = drawn(state, View(Sort.BUSIEST), size)
    rows = [line for line in text_of(other).splitlines() if re.match(r"[!>]", line)]
    assert rows
    assert all("STALE" in line for line in rows)
    assert sum(line.startswith("!") for line in rows) == len(rows) - 1


def test_what_is_wrong_with_a_venue_is_said_across_the_screen(told: Told, state: TopState) -> None:
    say(told, "kalshi", "stale", "no connection is up")
    text = text_of(drawn(state))
    assert " ! kalshi is STALE: no connection is up" in text
    assert re.search(r"^kalshi +STALE ", text, re.MULTILINE)
    go(told)
    gone = text_of(drawn(state, now_s=14.0))
    assert " ! polymarket is GONE: no heartbeat for 4 s; its prices are stale" in gone
    state.tick(4.0, "connection refused")
    assert " ! REDIS: connection refused; nothing below is to be believed" in text_of(drawn(state))
    told.lives["kalshi"].alive = True
    assert " ! REDIS: connection refused; trying again" in text_of(drawn(state))


def test_a_live_venue_with_a_reason_is_no_alarm(told: Told, state: TopState) -> None:
    say(told, "kalshi", "live", "1 of 3 connections is down")
    text = text_of(drawn(state))
    assert " ! kalshi: 1 of 3 connections is down" in text
    assert "STALE" not in text


@pytest.mark.parametrize("size", SIZES)
def test_text_of_others_cannot_act_on_the_terminal(
    told: Told, state: TopState, size: tuple[int, int]
) -> None:
    evil = {"platform": EVIL, "status": "live" + EVIL, "source": EVIL, "yes_ask": 0.99}
    told.hand(told_price(EVIL, **evil))
    told.hand(told_price(EVIL, **evil, seq=9))
    state.on_titles({EVIL: dict.fromkeys(("title", "event_title", "outcome_yes"), EVIL)})
    say(told, EVIL, EVIL, EVIL)
    state.on_venue(EVIL, dict.fromkeys(("markets", "markets_live", "gaps"), EVIL), 0.0)
    state.no_facts = EVIL
    state.tick(1.0, "")
    view = View()
    view.detail, view.markets.chosen = True, EVIL
    lines = drawn(state, view, size)
    text = "\n".join(part for line in lines for part, _ in line)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)
    assert all(sum(cell_len(part) for part, _ in line) == size[0] for line in lines)
    state.tick(2.0, EVIL)
    assert "\x1b" not in text_of(drawn(state, view, size))


# -- one market ------------------------------------------------------------------------------------


def depth_of(state: TopState, size: tuple[int, int] = (80, 24)) -> list[str]:
    view = View()
    view.detail, view.markets.chosen = True, "M00"
    lines = [as_plain(line) for line in drawn(state, view, size)]
    start = next(n for n, line in enumerate(lines) if line.startswith("── Will Kansas City"))
    return lines[start:]


def test_the_ladder_shows_both_sides_best_first(state: TopState) -> None:
    bids, asks = [[0.4, 100.0], [0.39, 50.0]], [[0.45, 25.0], [0.4625, 1000.0], [0.47, 1.0]]
    state.on_book(encode_map({"market_id": "M00", "bids": bids, "asks": asks, "session": 1}))
    ladder = [line for line in depth_of(state) if "│" in line][1:]
    cells = [re.sub("█+", "#", line).split() for line in ladder]
    assert cells == [
        ["#", "100", "0.40", "│", "0.45", "25", "#"],
        ["#", "50", "0.39", "│", "0.4625", "1,000", "#"],
        ["│", "0.47", "1", "#"],
    ]
    assert ladder[1].count("█") > ladder[0].count("█"), "bars are as long as sizes are large"


def test_without_depth_it_tells_how_to_switch_it_on(told: Told, state: TopState) -> None:
    text = "\n".join(depth_of(state))
    assert re.search(r"10 0\.40 +│ 0\.45 +20", text)
    assert "run --set publish.depth=10" in text
    state.on_book(encode_map({"market_id": "OTHER", "bids": [], "asks": [], "session": 1}))
    assert "with the next change" in "\n".join(depth_of(state))
    told.hand(told_price("M00", source="ticker", seq=2))
    assert "ZADD feed:watch:<venue> +inf <id>" in "\n".join(depth_of(state))


def test_a_market_that_is_not_live_has_no_ladder(told: Told, state: TopState) -> None:
    bids, asks = [[0.4, 100.0]], [[0.45, 25.0]]
    state.on_book(encode_map({"market_id": "M00", "bids": bids, "asks": asks, "session": 1}))
    go(told)
    text = "\n".join(depth_of(state))
    assert "no quote: not to be traded on" in text
    assert "0.45" not in text


def test_the_chart_rises_with_the_price_and_has_gaps(state: TopState) -> None:
    state.follow(["M00"])
    mids = [0.40, 0.41, 0.42, None, 0.44, 0.47]
    trail = state.markets["M00"].trail
    assert trail is not None
    trail.extend(mids)
    lines = depth_of(state, (120, 40))
    chart = [line[48:].ljust(72) for line in lines if re.search("[▁-█]", line[48:])]
    columns = list(zip(*(line[-6:] for line in chart), strict=True))
    heights = [sum(EIGHTHS.index(cell) for cell in column) for column in columns]
    assert heights[3] == 0, "nothing where there was no price"
    rising = [height for height in heights if height]
    assert rising == sorted(set(rising))
    assert chart[0].startswith("0.47")
    assert chart[-1].startswith("0.40")


# -- lines -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "abc", "日本語の市場", "a🏈b", "é" * 9])
def test_text_is_fitted_by_the_columns_it_takes(text: str) -> None:
    for width in range(12):
        assert cell_len(fit(text, width)) == width
        assert cell_len(fit(text, width, "right")) == width
        line = cut([(text, BOLD), (text, PLAIN)], width)
        assert sum(cell_len(part) for part, _ in line) == width


def test_only_lines_that_changed_are_painted() -> None:
    painter = Painter(ColorSystem.STANDARD, colours=True)
    lines: list[Line] = [[("one", BOLD)], [("two", "red")], [("three", PLAIN)]]
    first = painter.changes(lines, (5, 3)).decode()
    assert "\x1b[2J" in first
    assert "\x1b[31mtwo\x1b[0m" in first
    assert painter.changes(lines, (5, 3)) == b""
    changed: list[Line] = [lines[0], [("TWO", "red")], lines[2]]
    second = painter.changes(changed, (5, 3)).decode()
    assert re.findall(r"\x1b\[(\d+);1H", second) == ["2"]
    assert len(re.findall(r"\x1b\[(\d+);1H", painter.changes(changed, (6, 3)).decode())) == 3


@pytest.mark.parametrize("system", [ColorSystem.STANDARD, None])
def test_without_colour_there_is_none(
    told: Told, state: TopState, system: ColorSystem | None
) -> None:
    say(told, "kalshi", "stale")
    painter = Painter(system, colours=False)
    data = painter.changes(drawn(state), (80, 24)).decode()
    codes = {code for codes in re.findall(r"\x1b\[([\d;]+)m", data) for code in codes.split(";")}
    assert codes <= {"0", "1", "2", "7"}, "bold, dim and reverse are no colours"
    assert "STALE" in data
