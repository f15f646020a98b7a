"""The screen of `top`: what it knows and what was chosen, as lines for a size. No I/O."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from arbees_feed.cli.condition import GONE, NOT_THERE
from arbees_feed.cli.text import NONE, age, amount, dollars, ms, quoted, shortened, title_of
from arbees_feed.cli.topdetail import detail_lines
from arbees_feed.cli.toplines import (
    ALARM,
    ASK,
    BID,
    BOLD,
    CHOSEN,
    DIM,
    PLAIN,
    VENUES,
    WARNING,
    Column,
    Line,
    Moment,
    Span,
    cells,
    chosen,
    cut,
    fit,
    header,
    rule,
    spread,
    state_span,
)
from arbees_feed.cli.toplist import Sort
from arbees_feed.cli.toppairlines import pair_detail_lines, pair_list_lines
from arbees_feed.cli.topstate import NO_REDIS, Market, TopState, Venue
from arbees_feed.cli.topview import View
from arbees_feed.core.text import clean
from arbees_feed.core.wire import MarketPrice

TALL: Final = 32
"""From so many lines on, one market is shown in depth without being asked for."""
WITH_SIZES: Final = 96
WITH_MORE: Final = 118
MOST_VENUES: Final = 6
_LEAST_ROWS: Final = 4
_DETAIL_TALL: Final = 14
_DETAIL_SHORT: Final = 9
_FRESH_S: Final = 1.0
_RESTING: Final = 0.05


def screen_lines(state: TopState, view: View, moment: Moment) -> list[Line]:
    """Return exactly as many lines as the terminal has, each as wide as it."""
    width, height = moment.width, moment.height
    if view.helping:
        body = _help_lines(width)
        return _filled([*body[: max(0, height - 1)]], width, height)
    head = [_title(state, moment), *_venue_lines(state, moment), *_alarms(state, moment)]
    foot = _foot(view, moment)
    detail_height = _detail_height(view, height - len(head) - len(foot))
    rows = max(0, height - len(head) - len(foot) - detail_height - 2)
    view.shows_detail = detail_height > 0
    shown = view.place.window(rows)[:rows]
    if view.shows_pairs:
        lines = [*head, *pair_list_lines(state.pairs, view, shown, moment)]
    else:
        lines = [*head, _list_title(state, view, width), *_market_lines(state, view, shown, moment)]
    lines += [cut([], width)] * (height - len(lines) - detail_height - len(foot))
    if detail_height:
        lines += _detail(state, view, (width, detail_height), moment)
    return _filled([*lines[: max(0, height - len(foot))], *foot], width, height)


def _detail(state: TopState, view: View, size: tuple[int, int], moment: Moment) -> list[Line]:
    selected, pairs = view.selected() or "", state.pairs
    if view.shows_pairs and selected in pairs.known:
        return pair_detail_lines(pairs, pairs.known[selected], size, moment)
    market = None if view.shows_pairs else state.market(selected)
    if market is not None:
        return detail_lines(state, market, size, moment)
    return [cut([], size[0])] * size[1]  # it has gone


def _filled(lines: list[Line], width: int, height: int) -> list[Line]:
    lines = [cut(line, width) for line in lines[:height]]
    return lines + [cut([], width)] * (height - len(lines))


def _detail_height(view: View, room: int) -> int:
    if view.detail is False or (view.detail is None and room < TALL - 8):
        return 0
    if not view.place.listed:
        return 0
    wanted = _DETAIL_TALL if room >= TALL - 8 else _DETAIL_SHORT
    return wanted if room - wanted >= _LEAST_ROWS + 2 else max(0, min(wanted, room))


# -- the head --------------------------------------------------------------------------------------


def _title(state: TopState, moment: Moment) -> Line:
    time = datetime.fromtimestamp(moment.now_ns / 1e9, UTC).strftime("%H:%M:%S UTC")
    rate = f"{state.message_rate.per_s():,.0f} msg/s"
    left: Line = [("arbees-feed top", BOLD), (f"  {clean(moment.source, 200)}", DIM)]
    matcher = state.pairs.matcher(moment.now_s)
    covered = f"pairs {matcher.cross_pairs}" if matcher else ""
    right = [covered, rate, f"{state.malformed:,} unreadable" if state.malformed else "", time]
    return spread(left, [("  " + "  ".join(filter(None, right)), DIM)], moment.width)


_VENUE_COLUMNS: Final[Sequence[Column]] = (
    ("VENUE", 10, "left"),
    ("STATE", 10, "left"),
    ("BEAT", 4, "right"),
    ("LIVE/ALL", 11, "right"),
    ("FRAMES/S", 8, "right"),
    ("PRICES/S", 8, "right"),
    ("LAG 50/99 ms", 12, "right"),
    ("GAPS", 4, "right"),
    ("LOST", 4, "right"),
)


def _venue_lines(state: TopState, moment: Moment) -> list[Line]:
    lines = [header(_VENUE_COLUMNS)]
    for name in sorted(state.venues)[:MOST_VENUES]:
        venue = state.venues[name]
        lines.append(cells(_VENUE_COLUMNS, _venue_cells(name, venue, state, moment)))
    if not state.venues:
        lines.append([("no feed writes to this Redis: start one with `arbees-feed run`", WARNING)])
    return lines


def _venue_cells(name: str, venue: Venue, state: TopState, moment: Moment) -> list[Span]:
    line, life = venue.line, state.lives.get(name)
    word = clean(state.condition(name, moment.now_s)[0], 10)
    # What a feed that is gone said last is not so any more.
    fields = {} if word in (GONE, NO_REDIS) else line.fields
    beat = _seconds(moment.now_s - life.heard_s) if life and life.state else NONE
    live = f"{_count(fields.get('markets_live'))}/{_count(fields.get('markets'))}"
    half, most = venue.lag_ms
    lag = NONE if half is None else f"{ms(half)}/{ms(most)}"
    return [
        (shortened(name, 10), VENUES.get(name, PLAIN)),
        state_span(word, min(10, len(word))),
        (beat, PLAIN if word != GONE else WARNING),
        (live, PLAIN),
        (f"{line.frame_rate.per_s():,.0f}", PLAIN),
        (f"{line.price_rate.per_s():,.0f}", PLAIN),
        (lag, PLAIN),
        (_count(fields.get("gaps")), PLAIN),
        (_count(str(venue.lost)), WARNING if venue.lost else PLAIN),
    ]


def _count(text: str | None) -> str:
    if text is None or not text.isdecimal():
        return NONE
    return text if len(text) <= 4 else amount(float(text[:18])).replace(",", "")  # noqa: PLR2004


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f}s" if seconds < 10 else age(seconds)  # noqa: PLR2004


def _alarms(state: TopState, moment: Moment) -> list[Line]:
    """Say what is wrong, in words and across the screen."""
    if state.trouble is not None:
        alive = any(life.alive for life in state.lives.values())
        means = "trying again" if alive else "nothing below is to be believed"
        text = f" ! REDIS: {clean(state.trouble, 200)}; {means}"
        return [[(fit(text, moment.width), ALARM)]]
    lines: list[Line] = []
    for name in sorted(state.venues)[:MOST_VENUES]:
        word, reason = state.condition(name, moment.now_s)
        told = shortened(name, 12)
        if word not in ("live", "connecting", "waiting"):
            gone = "; its prices are stale" if word in NOT_THERE else ""
            told = f"{told} is {clean(word, 10).upper()}{': ' if reason else ''}"
            text = f" ! {told}{clean(reason, 300)}{gone}"
            lines.append([(fit(text, moment.width), ALARM)])
        elif reason:
            lines.append([(f" ! {told}: {clean(reason, 300)}", WARNING)])
    if state.no_facts:
        lines.append([(f" ! no titles and counters: {clean(state.no_facts, 300)}", WARNING)])
    return lines


# -- the list --------------------------------------------------------------------------------------


def _columns(width: int) -> list[Column]:
    columns: list[Column] = [("", 2, "left")]
    if width >= WITH_MORE:
        columns.append(("VENUE", 10, "left"))
    else:
        columns.append(("", 1, "left"))
    tail: list[Column] = [("STATUS", 6, "left"), ("BID", 6, "right")]
    sizes: list[Column] = [("SIZE", 6, "right")] if width >= WITH_SIZES else []
    tail += [*sizes, ("ASK", 6, "right"), *sizes, ("SPREAD", 6, "right")]
    if width >= WITH_MORE:
        tail.append(("LAST", 6, "right"))
    tail += [("MSG/S", 5, "right"), ("AGE", 3, "right")]
    used = sum(w + 1 for _, w, _ in (*columns, *tail))
    return [*columns, ("MARKET", max(8, width - used - 1), "left"), *tail]


def _list_title(state: TopState, view: View, width: int) -> Line:
    if view.text or view.typing:
        title: Line = [("search: ", PLAIN), (view.text, BOLD), ("█" if view.typing else "", BOLD)]
        title.append((f"  {len(view.markets.listed):,} found", DIM))
    else:
        title = [(_SORT_TITLES[view.sort], BOLD)]
        title.append((f"  {len(state.book):,} markets", DIM))
    if view.held:
        title.append(("  order held", WARNING))
    return rule(title, width)


_SORT_TITLES: Final = {
    Sort.BUSIEST: "busiest first",
    Sort.WIDEST: "widest first",
    Sort.STALE: "stale first",
}


def _market_lines(state: TopState, view: View, shown: Sequence[str], moment: Moment) -> list[Line]:
    columns = _columns(moment.width)
    lines = [header(columns)]
    selected = view.markets.selected()
    for market_id in shown:
        market = state.market(market_id)
        if market is not None:
            spans = _market_cells(state, market, columns, moment)
            line = cut(cells(columns, spans), moment.width)
            lines.append(chosen(line) if moment.keys and market_id == selected else line)
    if not view.markets.listed:
        lines.append([(_why_empty(state, view), DIM)])
    return lines


def _why_empty(state: TopState, view: View) -> str:
    if view.text:
        searching = state.found[0] != view.text
        return "searching …" if searching else "nothing has these words"
    return "waiting for the first price …"


def _market_cells(
    state: TopState, market: Market, columns: Sequence[Column], moment: Moment
) -> list[Span]:
    price = state.believed(market)
    status = "none" if price is None else clean(price.status, 6)
    dim = PLAIN if status == "live" else DIM
    mark = ("! ", ALARM) if status not in ("live", "closed", "none") else ("  ", PLAIN)
    platform = shortened(market.platform, 10)
    wide = moment.width >= WITH_MORE
    spans: list[Span] = [mark]
    spans.append((platform if wide else platform[:1].upper(), VENUES.get(platform, PLAIN)))
    title_width = next(width for name, width, _ in columns if name == "MARKET")
    spans.append((title_of(market.id, market.meta, title_width), dim))
    spans.append(state_span(status, min(6, len(status))))
    sizes = moment.width >= WITH_SIZES
    if price is None:
        spans += [("", PLAIN)] * (len(columns) - len(spans))
        return spans
    return [*spans, *_price_cells(market, price, moment, sizes=sizes, last=wide)]


def _price_cells(
    market: Market, price: MarketPrice, moment: Moment, *, sizes: bool, last: bool
) -> list[Span]:
    age_s = (moment.now_ns - price.ts_pub_ns) / 1e9
    fresh = " bold" if age_s < _FRESH_S else ""
    spans: list[Span] = [(quoted(price.yes_bid, price.yes_bid_size), BID + fresh)]
    if sizes:
        spans.append((amount(price.yes_bid_size), PLAIN))
    spans.append((quoted(price.yes_ask, price.yes_ask_size), ASK + fresh))
    if sizes:
        spans.append((amount(price.yes_ask_size), PLAIN))
    spans.append((NONE.ljust(4) if price.spread is None else dollars(price.spread), PLAIN))
    if last:
        spans.append((dollars(price.last_price), DIM))
    return [*spans, (_rate(market.per_s(moment.now_s)), PLAIN), (age(age_s), DIM)]


def _rate(per_s: float) -> str:
    if per_s < _RESTING:
        return ""
    return f"{per_s:,.1f}" if per_s < 100 else f"{per_s:,.0f}"  # noqa: PLR2004


# -- the foot --------------------------------------------------------------------------------------


def _foot(view: View, moment: Moment) -> list[Line]:
    if not moment.keys:
        return []
    if view.typing:
        keys = [("type", "words of the title"), ("enter", "keep"), ("esc", "leave")]
    else:
        hold = "free" if view.held else "hold"
        depth = "list" if view.shows_detail else "depth"
        keys = [("↑↓", "choose"), ("enter", depth), ("/", "search")]
        keys += [("p", "markets")] if view.shows_pairs else [("s", "sort"), ("p", "pairs")]
        keys += [("space", hold), ("?", "help"), ("q", "quit")]
    line: Line = []
    for key, does in keys:
        line += [(key, CHOSEN), (f" {does}  ", PLAIN)]
    return [cut(line, moment.width)]


_HELP: Final = (
    ("↑ ↓  j k", "choose one; page up, page down, home, end: further"),
    ("enter", "show the chosen one in depth, or the list alone"),
    ("/", "search as you type: titles, events, outcomes, ids; esc leaves"),
    ("s", "sort markets: busiest, widest, stale first"),
    ("p", "pairs: the same question on two venues; or markets again"),
    ("space", "hold the order of the list, or let it move again"),
    ("Ctrl-L", "draw the screen again"),
    ("q, Ctrl-C", "quit"),
    ("", ""),
    ("BEAT", "how long ago the venue's feed gave a sign of life; 3 s is too long"),
    ("LAG", "from the encoding of a price to its coming here: half, and 99 %"),
    ("GAPS", "holes that the feed saw in what the venue sent"),
    ("LOST", "prices that were published and did not reach this reader"),
    ("MSG/S", "price messages of a market per second, of late"),
    ("EDGE", "cents that both sides of a pair pay beyond their cost, fees included"),
    ("YES", "where to buy YES for that; NO at the other venue"),
    ("! STALE", "not to be traded on: the feed is gone, or the price in doubt"),
)


def _help_lines(width: int) -> list[Line]:
    lines: list[Line] = [rule([("keys and columns", BOLD)], width), []]
    lines += [[(f"  {key:<11}", BOLD), (does, PLAIN)] for key, does in _HELP]
    return [*lines, [], [("  any key returns", DIM)]]
