"""The live tables: what a board knows, drawn for the terminal's size."""

from collections.abc import Sequence
from typing import Literal

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from arbees_feed.cli.board import Board, Shown, VenueLine
from arbees_feed.cli.condition import GONE
from arbees_feed.cli.latency import LATELY_S, Durations
from arbees_feed.cli.text import NONE, age, amount, ms, quoted, shortened, title_of
from arbees_feed.cli.text import dollars as price_text

WIDE = 110
"""From so many columns on, there is room for more than the essentials."""
WITH_IDS = 132
_FRESH_S = 1.0
_STATE_STYLES = {
    "live": "green",
    "connecting": "yellow",
    "waiting": "yellow",
    "stale": "bold white on red",
    "stopped": "bold white on red",
    "GONE": "bold white on red",
    "closed": "bright_black",
}
_VENUE_STYLES = {"kalshi": "cyan", "polymarket": "magenta"}

_Justify = Literal["left", "right"]
_Column = tuple[str, int, _Justify]


def status_text(word: str) -> Text:
    """Return a state as a coloured word; what must not be traded on is in capitals."""
    shown = word.upper() if word in {"stale", "stopped"} else word
    return Text(shown, style=_STATE_STYLES.get(word, "yellow"))


def _table(columns: Sequence[_Column], width: int) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold", width=width)
    for header, column_width, justify in columns:
        table.add_column(
            header, width=column_width, justify=justify, no_wrap=True, overflow="ellipsis"
        )
    return table


# -- venues ----------------------------------------------------------------------------------------

_VENUE_COLUMNS: tuple[_Column, ...] = (
    ("VENUE", 10, "left"),
    ("STATE", 10, "left"),
    ("MARKETS", 7, "right"),
    ("LIVE", 6, "right"),
    ("CONNS", 5, "right"),
    ("FRAMES/S", 8, "right"),
    ("PRICES/S", 8, "right"),
    ("GAPS", 4, "right"),
    ("p50 ms", 6, "right"),
    ("p99 ms", 6, "right"),
)


def venue_table(board: Board, width: int) -> Table:
    """Draw one line for each venue."""
    columns = list(_VENUE_COLUMNS)
    spare = width - sum(w + 1 for _, w, _ in columns)
    columns.append(("REASON", max(0, spare - 1), "left"))
    table = _table(columns if spare > len("REASON") else columns[:-1], width)
    conditions = board.conditions()
    for venue, line in board.venues.items():
        word, reason = conditions[venue]
        cells = _venue_cells(venue, line, word)
        if spare > len("REASON"):
            cells.append(Text(shortened(reason, spare - 1), style="yellow"))
        table.add_row(*cells)
    return table


def _venue_cells(venue: str, line: VenueLine, word: str) -> list[RenderableType]:
    lately = line.latency.lately()
    # What a feed that is gone said last is not so any more.
    fields = {} if word == GONE else line.fields
    return [
        Text(venue, style=_VENUE_STYLES.get(venue, "")),
        status_text(word),
        fields.get("markets", NONE),
        fields.get("markets_live", NONE),
        fields.get("connections", NONE),
        f"{line.frame_rate.per_s():,.0f}",
        f"{line.price_rate.per_s():,.0f}",
        fields.get("gaps", NONE),
        ms(lately.percentile_ms(50)),
        ms(lately.percentile_ms(99)),
    ]


def latency_lines(board: Board) -> Text:
    """Say what the two latencies are, and how long they were of late."""
    feed = _both(board.latency.lately())
    tick = _both(board.tick_latency.lately())
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append("feed to here", style="bold")
    text.append(f" {feed}  frame read from the socket → decoded here\n")
    text.append("tick to here", style="bold")
    text.append(f" {tick}  venue's clock (whole ms) → decoded here")
    return text


def _both(durations: Durations) -> str:
    return f"p50 {ms(durations.percentile_ms(50)):>5}  p99 {ms(durations.percentile_ms(99)):>5} ms"


# -- markets ---------------------------------------------------------------------------------------

_ID_WIDTH = 36
_PRICE_COLUMNS: tuple[_Column, ...] = (
    ("STATUS", 6, "left"),
    ("BID", 6, "right"),
    ("SIZE", 6, "right"),
    ("ASK", 6, "right"),
    ("SIZE", 6, "right"),
    ("LAST", 6, "right"),
    ("AGE", 3, "right"),
)


def market_table(rows: Sequence[Shown], width: int, *, ids: bool = False) -> Table:
    """Draw one line for each market."""
    wide, ids = width >= WIDE, ids and width >= WITH_IDS
    columns: list[_Column] = [("VENUE", 10, "left")] if wide else [("", 1, "left")]
    rest: list[_Column] = list(_PRICE_COLUMNS)
    if wide and not ids:
        rest += [("SOURCE", 6, "left"), ("UPDATES", 7, "right")]
    if ids:
        rest.append(("ID", _ID_WIDTH, "left"))
    used = sum(w + 1 for _, w, _ in (*columns, *rest)) + 1
    title_width = max(10, width - used)
    table = _table([*columns, ("MARKET", title_width, "left"), *rest], width)
    for row in rows:
        cells = _market_cells(row, title_width, wide=wide)
        if wide and not ids:
            cells += [row.price.source, f"{row.updates:,}"]
        if ids:
            cells.append(Text(shortened(row.price.market_id, _ID_WIDTH), style="bright_black"))
        table.add_row(*cells)
    return table


def _market_cells(row: Shown, title_width: int, *, wide: bool) -> list[RenderableType]:
    price = row.price
    venue = price.platform if wide else price.platform[:1].upper()
    changed = "bold" if row.age_s < _FRESH_S else ""
    dim = "" if price.status == "live" else "bright_black"
    return [
        Text(venue, style=_VENUE_STYLES.get(price.platform, "")),
        Text(title_of(price.market_id, row.meta, title_width), style=dim),
        status_text(price.status),
        Text(quoted(price.yes_bid, price.yes_bid_size), style=f"green {changed}"),
        amount(price.yes_bid_size),
        Text(quoted(price.yes_ask, price.yes_ask_size), style=f"red {changed}"),
        amount(price.yes_ask_size),
        Text(price_text(price.last_price), style=dim),
        age(row.age_s),
    ]


# -- whole screens ---------------------------------------------------------------------------------


def note(text: str, style: str) -> Text:
    """Return a line that is cut where the terminal ends."""
    return Text(text, style=style, no_wrap=True, overflow="ellipsis")


def screen(board: Board, title: Text, notes: Sequence[Text], width: int, height: int) -> Group:
    """Draw the screen: title, venues, latency, as many markets as there is room for, notes."""
    head: list[RenderableType] = [title, venue_table(board, width), latency_lines(board), Text("")]
    lines = 1 + (1 + len(board.venues)) + 2 + 1
    room = max(1, height - lines - 1 - len(notes) - 1)
    rows = board.shown(room)
    body = market_table(rows, width) if rows else Text("waiting for the first price …")
    filler = [Text("")] * max(0, room - len(rows)) if notes else []
    tail = note(
        f"{len(rows)} of {len(board.rows):,} markets, "
        f"{board.totals.prices:,} prices read, latency of the last {LATELY_S} s",
        "bright_black",
    )
    return Group(*head, body, *filler, *notes, tail)
