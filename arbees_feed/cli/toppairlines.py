"""The list of pairs in `top`, one pair in depth, and the pairs of a market. No I/O."""

from collections.abc import Mapping, Sequence
from typing import Final

from arbees_feed.cli.pairs import costs_of, question_of
from arbees_feed.cli.text import age, amount, quoted, shortened
from arbees_feed.cli.toplines import (
    ALARM,
    BOLD,
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
    header,
    rule,
    span_width,
    spread,
    state_span,
)
from arbees_feed.cli.toppairs import NOBODY, Pair, Pairs, Way, ages_s, cheaper, legs_of
from arbees_feed.cli.topview import View
from arbees_feed.core.text import clean
from arbees_feed.pairs.listings import KALSHI, POLYMARKET
from arbees_feed.pairs.price import CLOSED, INVERTED, LIVE, SAME, PairPrice

WITH_COST: Final = 96
WITH_WORDS: Final = 118
PAYS: Final = "bold green"
_QUOTES: Final = 13
_OURS: Final = "  KALSHI"
_LEAST_TITLE: Final = 8
_COMING: Final = "…"


# -- the list --------------------------------------------------------------------------------------


def pair_list_lines(pairs: Pairs, view: View, shown: Sequence[str], moment: Moment) -> list[Line]:
    """Return the title of the list, its header, and a line for each of *shown*."""
    columns = _columns(moment.width)
    lines = [_list_title(pairs, view, moment), header(columns)]
    selected = view.pairs.selected()
    for pair_id in shown:
        pair = pairs.known.get(pair_id)
        line = _gone(pair_id) if pair is None else _row(pairs, pair, columns, moment)
        line = cut(line, moment.width)
        lines.append(chosen(line) if moment.keys and pair_id == selected else line)
    if not view.pairs.listed:
        lines.append([(_why_empty(pairs, view, moment.now_s), DIM)])
    return lines


def _columns(width: int) -> list[Column]:
    wide = width >= WITH_WORDS
    tail: list[Column] = [("EDGE ¢", 6, "right")]
    if width >= WITH_COST:
        tail.append(("COST", 6, "right"))
    tail += [("SIZE", 6, "right"), ("YES AT" if wide else "YES", 10 if wide else 3, "left")]
    tail += [(_OURS, _QUOTES, "left"), ("  POLYMARKET", _QUOTES, "left")]
    tail.append(("POLARITY", 8, "left") if wide else ("POL.", 4, "left"))
    tail.append(("AGES", 7, "right") if width >= WITH_COST else ("AGE", 3, "right"))
    used = 3 + sum(w + 1 for _, w, _ in tail)
    return [("", 2, "left"), ("PAIR", max(_LEAST_TITLE, width - used - 1), "left"), *tail]


def _list_title(pairs: Pairs, view: View, moment: Moment) -> Line:
    doubt, word = pairs.doubt(moment.now_s), pairs.matcher(moment.now_s)
    title: Line = [("pairs", BOLD)]
    count = f"  {len(pairs.known):,} priced"
    if word is not None and word.probable:
        count += f", {word.probable:,} probable"
    if view.text or view.typing:
        title = [("search: ", PLAIN), (view.text, BOLD), ("█" if view.typing else "", BOLD)]
        count = f"  {len(view.pairs.listed):,} found"
    if doubt and pairs.known:
        title.append((f"  {clean(doubt, 200)}", WARNING))
    else:
        title.append((count, DIM))
    if word is not None and word.state != LIVE:
        title.append((f"  {clean(word.state, 12)}", WARNING))
    title.append(("  order held" if view.held else "", WARNING))
    return rule(title, moment.width)


def _why_empty(pairs: Pairs, view: View, now_s: float) -> str:
    if pairs.trouble:
        return f"pairs can't be read: {clean(pairs.trouble, 200)}"
    if not pairs.is_whole:
        return "reading …"
    if view.text and pairs.known:
        return "no pair has these words"
    if pairs.matcher(now_s) is None:
        return NOBODY
    return "the matcher has found no pair with a price yet"


def _gone(pair_id: str) -> Line:
    return [("  ", PLAIN), (" ", PLAIN), (shortened(pair_id, 60), DIM), ("  gone", DIM)]


def _row(pairs: Pairs, pair: Pair, columns: Sequence[Column], moment: Moment) -> Line:
    price = pairs.believed(pair, moment.now_s)
    room = columns[1][1]
    title = question(pairs, pair.price.kalshi_id, room)
    if pairs.is_coming(pair, moment.now_s):
        return [*cells(columns[:2], [("  ", PLAIN), (title, DIM)]), (_COMING, DIM)]
    if price.status != LIVE:
        mark: Span = ("! ", ALARM) if price.status != CLOSED else ("  ", PLAIN)
        return [*cells(columns[:2], [mark, (title, DIM)]), *_why(price)]
    spans: list[Span] = [("  ", PLAIN), (title, PLAIN), *_worth(price, columns)]
    wide = moment.width >= WITH_WORDS
    polarity = clean(price.polarity, 8) if wide else _POLARITIES.get(price.polarity, "?")
    ages = [age(seconds) for seconds in ages_s(price, moment.now_ns)]
    oldest = age(max(ages_s(price, moment.now_ns)))
    spans.append((_quotes(price.kalshi_bid, price.kalshi_bid_size,
                          price.kalshi_ask, price.kalshi_ask_size), PLAIN))  # fmt: skip
    spans.append((_quotes(price.polymarket_bid, price.polymarket_bid_size,
                          price.polymarket_ask, price.polymarket_ask_size), PLAIN))  # fmt: skip
    spans.append((polarity, PLAIN if price.polarity == SAME else WARNING))
    spans.append(("/".join(ages) if moment.width >= WITH_COST else oldest, DIM))
    return cells(columns, spans)


_POLARITIES: Final = {SAME: "same", INVERTED: "inv."}


def _worth(price: PairPrice, columns: Sequence[Column]) -> list[Span]:
    """Return edge, cost if there is room, size and where YES is bought."""
    way, names = cheaper(price), [name for name, _, _ in columns]
    count = names.index(_OURS) - 2
    if way is None:
        return [("-", DIM)] + [("", PLAIN)] * (count - 1)
    style = PAYS if way.cost < 1 else PLAIN
    spans: list[Span] = [(edge(way), style)]
    if "COST" in names:
        spans.append((f"{way.cost:.4f}", style))
    at = way.yes_at if "YES AT" in names else way.yes_at[:1].upper()
    return [*spans, (amount(way.size), PLAIN), (at, VENUES[way.yes_at])]


def edge(way: Way) -> str:
    """Return what a contract brings, in cents."""
    text = f"{way.edge:+.2f}"
    return text if len(text) <= 6 else f"{way.edge:+.0f}"  # noqa: PLR2004


def _quotes(bid: float, bid_size: float, ask: float, ask_size: float) -> str:
    """Return bid and ask whose slashes stand below each other."""
    return f"{quoted(bid, bid_size).strip():>6}/{quoted(ask, ask_size).strip()}"


def _why(price: PairPrice) -> Line:
    """Return in what state a pair is that is not live, and why."""
    status = clean(price.status, 8)
    return [state_span(status, len(status)), (f"  {clean(price.reason, 200)}", DIM)]


def question(pairs: Pairs, market: str, width: int) -> str:
    """Return what a market asks in *width* columns; its outcome tells it from the next."""
    meta = pairs.titles.get(market, {})
    told, outcome = question_of(market, meta), clean(meta.get("outcome_yes", ""), width)
    room = width - len(outcome) - 2
    if len(told) > width and told.startswith(f"{outcome}: ") and room >= width // 3:
        event = meta.get("event_title") or meta.get("title", "")
        return f"{shortened(event, room)}: {outcome}"
    return shortened(told, width)


# -- one pair --------------------------------------------------------------------------------------


def pair_detail_lines(
    pairs: Pairs, pair: Pair, size: tuple[int, int], moment: Moment
) -> list[Line]:
    """Return a pane of exactly *size* (columns, lines)."""
    width, height = size
    facts = pairs.facts.get(pair.id, {})
    title = question(pairs, pair.price.kalshi_id, max(10, width - 30))
    grade = " ".join(filter(None, [_fact(facts, "grade"), clean(pair.price.polarity, 10)]))
    lines: list[Line] = [rule([(title, BOLD), (f"  {grade}", DIM)], width)]
    lines += _legs(pairs, pair.price, width)
    price = pairs.believed(pair, moment.now_s)
    if pairs.is_coming(pair, moment.now_s):
        lines.append([(_COMING, DIM)])
    elif price.status != LIVE:
        lines.append(_why(price))
    else:
        lines += _ways(price, moment.now_ns)
    for name, style in (("conflicts", WARNING), ("reasons", DIM)):
        for number, told in enumerate(filter(None, _fact(facts, name).split("; "))):
            lines.append([(f"{name if not number else '':<10}  ", PLAIN), (told, style)])
    lines = [cut(line, width) for line in lines[:height]]
    return lines + [cut([], width)] * (height - len(lines))


def _fact(facts: Mapping[str, str], name: str) -> str:
    return clean(facts.get(name, ""), 4_000)


def _legs(pairs: Pairs, price: PairPrice, width: int) -> list[Line]:
    lines: list[Line] = []
    for venue, market in zip((KALSHI, POLYMARKET), legs_of(price), strict=True):
        name: Line = [(f"{venue:<10}", VENUES[venue]), ("  ", PLAIN)]
        market_id: Line = [("  ", PLAIN), (shortened(market, 24), DIM)]
        room = width - span_width(name) - span_width(market_id)
        lines.append(
            spread(
                [*name, (question(pairs, market, max(_LEAST_TITLE, room)), PLAIN)], market_id, width
            )
        )
    return lines


def _ways(price: PairPrice, now_ns: int) -> list[Line]:
    way = cheaper(price)
    lines: list[Line] = []
    for number, told in enumerate(costs_of(price)):
        lines.append([(f"{'' if number else 'cost':<10}  ", PLAIN), (told, PLAIN)])
    if way is not None:
        told = f"{edge(way)} ¢ a contract, for {amount(way.size)}, YES at {way.yes_at}"
        lines.append([("edge        ", PLAIN), (told, PAYS if way.cost < 1 else PLAIN)])
    if not price.fees_told:
        lines.append([("            usual fees: the venues have not told these markets'", DIM)])
    here, there = (age(seconds) for seconds in ages_s(price, now_ns))
    lines.append([(f"{'ages':<10}  kalshi {here}, polymarket {there}", DIM)])
    return lines


# -- the pairs of a market -------------------------------------------------------------------------


def market_pair_lines(pairs: Pairs, market: str, size: tuple[int, int], now_s: float) -> list[Line]:
    """Return a line for each pair that a market is in, of *size* (columns, lines) at most."""
    width, height = size
    of, pair_ids = pairs.of_market
    if of != market or not height:
        return []
    lines = [_beside(pairs, market, pair_id, width, now_s) for pair_id in pair_ids[:height]]
    if len(pair_ids) > height:
        lines[-1] = spread(lines[-1], [(f"  +{len(pair_ids) - height} more", DIM)], width)
    return lines


def _beside(pairs: Pairs, market: str, pair_id: str, width: int, now_s: float) -> Line:
    """Return what a market is paired with, and what both are worth together."""
    pair, facts = pairs.known.get(pair_id), pairs.facts.get(pair_id, {})
    legs = [_fact(facts, "kalshi_id"), _fact(facts, "polymarket_id")]
    if pair is not None:
        legs = list(legs_of(pair.price))
    side = 1 if legs[0] == market else 0
    venue, other = (KALSHI, POLYMARKET)[side], legs[side]
    if pair is None:
        worth: Line = [(_fact(facts, "grade") or "not priced", DIM)]
    else:
        worth = _in_short(pairs.believed(pair, now_s))
    polarity = _fact(facts, "polarity") if pair is None else clean(pair.price.polarity, 10)
    left: Line = [("pair  ", BOLD), (venue, VENUES[venue]), (f"  {polarity}  ", PLAIN)]
    room = width - span_width(left) - span_width(worth) - 2
    room = max(_LEAST_TITLE, room)
    left.append((question(pairs, other, room) if other else shortened(pair_id, room), PLAIN))
    return spread(left, [("  ", PLAIN), *worth], width)


def _in_short(price: PairPrice) -> Line:
    if price.status != LIVE:
        return [state_span(clean(price.status, 8), 6)]
    way = cheaper(price)
    if way is None:
        return [("no side on offer at both", DIM)]
    style = PAYS if way.cost < 1 else PLAIN
    return [(f"{edge(way)} ¢", style), (f" for {amount(way.size)}, YES at {way.yes_at}", PLAIN)]
