"""One market in depth: its quote, a ladder of the book, and where its price has been. No I/O."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from arbees_feed.cli.text import NONE, age, amount, dollars, quoted, shortened, title_of
from arbees_feed.cli.toplines import (
    ASK,
    BID,
    BOLD,
    DIM,
    PLAIN,
    VENUES,
    WARNING,
    Line,
    Moment,
    cut,
    fit,
    rule,
    span_width,
    spread,
    state_span,
)
from arbees_feed.cli.toppairlines import market_pair_lines
from arbees_feed.cli.topstate import Market, TopState
from arbees_feed.core.text import clean
from arbees_feed.core.wire import MarketPrice

EIGHTHS: Final = " ▁▂▃▄▅▆▇█"
LADDER_WIDTH: Final = 46
_SIDE: Final = 22
_PRICE: Final = 6
_SIZE: Final = 7
_BAR: Final = _SIDE - _PRICE - _SIZE - 2
_LABEL: Final = 7
_LEAST_ID: Final = 12
_LEAST_RANGE: Final = 0.0002
_MOST_PAIRS: Final = 2
_LEAST_BESIDE_PAIRS: Final = 6
"""Title, quote, and a little of the ladder."""

Level = tuple[float, float]


def detail_lines(
    state: TopState, market: Market, size: tuple[int, int], moment: Moment
) -> list[Line]:
    """Return a pane of exactly *size* (columns, lines)."""
    width, height = size
    price = state.believed(market)
    lines = [_title(market, width), _state_line(market, price, width, moment.now_ns)]
    for_pairs = width, max(0, min(_MOST_PAIRS, height - _LEAST_BESIDE_PAIRS))
    lines += market_pair_lines(state.pairs, market.id, for_pairs, moment.now_s)
    rows = height - len(lines)
    ladder = _ladder(state, price, rows)
    chart_width = width - LADDER_WIDTH - 2
    trail = tuple(market.trail or ())[-chart_width:]
    chart = _chart(trail, chart_width, rows) if chart_width > _LABEL + 8 else ()
    for number in range(rows):
        line = cut(ladder[number] if number < len(ladder) else [], min(width, LADDER_WIDTH))
        if chart:
            line = [*line, ("  ", PLAIN), *chart[number]]
        lines.append(cut(line, width))
    return lines[:height]


def _title(market: Market, width: int) -> Line:
    platform = shortened(market.platform, 12)
    title = title_of(market.id, market.meta, max(10, width - len(platform) - 10))
    return rule([(title, BOLD), ("  ", PLAIN), (platform, VENUES.get(platform, ""))], width)


def _state_line(market: Market, price: MarketPrice | None, width: int, now_ns: int) -> Line:
    if price is None:
        line: Line = [("no price yet: nothing follows this market", WARNING)]
    else:
        line = _quote_facts(market, price, now_ns)
    room = width - span_width(line) - 2
    market_id: Line = [("  ", PLAIN), (shortened(market.id, max(_LEAST_ID, room)), DIM)]
    return spread(line, market_id, width)


def _quote_facts(market: Market, price: MarketPrice, now_ns: int) -> Line:
    status = clean(price.status, 12)
    last = dollars(price.last_price).strip()
    width = NONE if price.spread is None else dollars(price.spread).strip()
    line = [state_span(status, len(status))]
    line.append((f"  last {last}  spread {width}  from {shortened(price.source, 8)}", PLAIN))
    line.append((f"  {age((now_ns - price.ts_pub_ns) / 1e9)}", PLAIN))
    if market.lost:
        line.append((f"  {amount(market.lost)} lost", WARNING))
    return line


# -- ladder ----------------------------------------------------------------------------------------


def _ladder(state: TopState, price: MarketPrice | None, rows: int) -> list[Line]:
    if price is None:
        return []
    if price.status != "live":
        return [_HEADER, [("no quote: not to be traded on", WARNING)]]
    book = state.depth(price)
    if book is not None:
        return [_HEADER, *_levels(book.bids, book.asks, rows - 1)]
    top = _levels(
        [(price.yes_bid, price.yes_bid_size)] if price.yes_bid_size else [],
        [(price.yes_ask, price.yes_ask_size)] if price.yes_ask_size else [],
        1,
    )
    return [_HEADER, *top, *([(text, DIM)] for text in _hint(state, price))]


def _hint(state: TopState, price: MarketPrice) -> Sequence[str]:
    if price.source != "book":
        return ("no full book is kept; ask the feed for it:", "ZADD feed:watch:<venue> +inf <id>")
    if state.books:
        return ("more levels come with the next change",)
    return ("the feed sends no more levels; to switch", "them on: run --set publish.depth=10")


def _levels(bids: Sequence[Level], asks: Sequence[Level], rows: int) -> list[Line]:
    bids, asks = bids[:rows], asks[:rows]
    most = max((size for _, size in (*bids, *asks)), default=0.0)
    lines: list[Line] = []
    for number in range(max(len(bids), len(asks), 1)):
        left, right = _side(bids, number, most), _side(asks, number, most)
        bid: Line = [(fit(left[2], _BAR, "right"), BID), (fit(left[1], _SIZE + 1, "right"), PLAIN)]
        bid.append((fit(left[0], _PRICE + 1, "right"), BID))
        ask: Line = [(fit(right[0], _PRICE + 1), ASK), (fit(right[1], _SIZE + 1), PLAIN)]
        ask.append((fit(right[2], _BAR), ASK))
        lines.append([*bid, (" │ ", DIM), *ask])
    return lines


def _side(levels: Sequence[Level], number: int, most: float) -> tuple[str, str, str]:
    """Return price, size and bar of a level."""
    if number >= len(levels):
        return (NONE if not number else "", "", "")
    price, size = levels[number]
    bar = "█" * max(1, round(_BAR * size / most)) if most and size else ""
    return quoted(price, size), amount(size), bar


_HEADER: Final[Line] = [
    (fit("SIZE", _BAR + _SIZE + 1, "right"), BOLD),
    (fit("BID   ", _PRICE + 1, "right"), BOLD),
    (" │ ", DIM),
    (fit("ASK", _PRICE + 1), BOLD),
    ("SIZE", BOLD),
]


# -- where the price has been ----------------------------------------------------------------------


@lru_cache(maxsize=1)  # drawn several times a second, and changes once
def _chart(trail: tuple[float | None, ...], width: int, rows: int) -> Sequence[Line]:
    """Draw the middle of the last seconds, a column each; there may have been none."""
    samples = list(trail[-(width - _LABEL) :])
    known = [sample for sample in samples if sample is not None]
    if not known or rows < 2:  # noqa: PLR2004
        return [[("", PLAIN)] for _ in range(rows)]
    low, high = _range_of(known)
    missing: list[float | None] = [None] * (width - _LABEL - len(samples))
    blocks = _blocks(missing + samples, low, high, rows - 1)  # the newest at the right edge
    labels = [fit("", _LABEL)] * (rows - 1)
    labels[0] = fit(dollars(high), _LABEL)
    if rows > 2:  # noqa: PLR2004
        labels[-1] = fit(dollars(low), _LABEL)
    lines: list[Line] = [
        [(label, DIM), (row, "cyan")] for label, row in zip(labels, blocks, strict=True)
    ]
    lines.append([(fit(f"mid, last {len(samples)} s", width, "right"), DIM)])
    return lines


def _range_of(known: Sequence[float]) -> tuple[float, float]:
    low, high = min(known), max(known)
    room = max(0.0, _LEAST_RANGE - (high - low)) / 2
    return max(0.0, low - room), min(1.0, high + room)


def _blocks(samples: Sequence[float | None], low: float, high: float, rows: int) -> list[str]:
    """Return rows of blocks, the highest first; the lowest sample has one eighth at least."""
    steps = len(EIGHTHS) - 1
    heights = [
        0 if s is None else 1 + round((s - low) / (high - low or 1.0) * (rows * steps - 1))
        for s in samples
    ]
    return [
        "".join(EIGHTHS[max(0, min(steps, height - row * steps))] for height in heights)
        for row in reversed(range(rows))
    ]
