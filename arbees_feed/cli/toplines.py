"""Lines of styled text in columns of a terminal: wide characters take two, marks none. No I/O."""

from collections.abc import Sequence
from typing import Final, Literal

import msgspec
from rich.cells import cell_len, set_cell_size
from rich.text import Text

Span = tuple[str, str]
"""(text, style as rich writes it)"""
Line = list[Span]

PLAIN: Final = ""
BOLD: Final = "bold"
DIM: Final = "dim"
ALARM: Final = "bold white on red"
WARNING: Final = "bold yellow"
BID: Final = "green"
ASK: Final = "red"
CHOSEN: Final = "reverse"
VENUES: Final = {"kalshi": "cyan", "polymarket": "magenta"}
STATES: Final = {
    "live": "green",
    "connecting": "yellow",
    "waiting": "yellow",
    "closed": "dim",
    "none": "dim",
}

Justify = Literal["left", "right"]
Column = tuple[str, int, Justify]
"""(header, width, where its texts stand)"""


class Moment(msgspec.Struct, frozen=True):
    """When and where a screen is drawn."""

    now_s: float
    """Monotonic."""
    now_ns: int
    """Unix time."""
    width: int
    height: int
    source: str = ""
    keys: bool = True
    """Whether anybody can press any."""


def fit(text: str, width: int, justify: Justify = "left") -> str:
    """Return *text* in exactly *width* columns."""
    if len(text) <= width and text.isascii():
        return text.ljust(width) if justify == "left" else text.rjust(width)
    size = cell_len(text)
    if justify == "right" and size <= width:
        return " " * (width - size) + text
    return set_cell_size(text, width)


def span_width(line: Line) -> int:
    """Return how many columns a line takes."""
    return sum(len(text) if text.isascii() else cell_len(text) for text, _ in line)


def cut(line: Line, width: int) -> Line:
    """Return a line in exactly *width* columns."""
    left = width
    fitted: Line = []
    for text, style in line:
        size = len(text) if text.isascii() else cell_len(text)
        if size > left:
            text = fit(text, left)  # noqa: PLW2901 - the last that there is room for
        if text:
            fitted.append((text, style))
        left -= min(size, left)
    if left > 0:
        fitted.append((" " * left, PLAIN))
    return fitted


def spread(left: Line, right: Line, width: int) -> Line:
    """Return both ends of a line; the left one gives way."""
    room = width - span_width(right)
    if room < 0:
        return cut(right, width)
    return [*cut(left, room), *right]


def state_span(word: str, width: int) -> Span:
    """Return a state; what must not be traded on is in capitals, and stands out without colour."""
    if word in STATES:
        return fit(word, width), STATES[word]
    return fit(word.upper(), width), ALARM


def header(columns: Sequence[Column]) -> Line:
    """Return the line above a table."""
    return cells(columns, [(name, BOLD) for name, _, _ in columns])


def cells(columns: Sequence[Column], spans: Sequence[Span]) -> Line:
    """Return a line of a table."""
    line: Line = []
    for (_, width, justify), (text, style) in zip(columns, spans, strict=True):
        room = width - len(text)
        if room > 0 and " on " in style and justify == "left":
            # The colour of an alarm ends where its word does.
            line += [(text, style), (" " * (room + 1), PLAIN)]
        else:
            line += [(fit(text, width, justify), style), (" ", PLAIN)]
    return line


def chosen(line: Line) -> Line:
    """Return the row of a table that the next key is about; its first column is of two."""
    (mark, style), *rest = line
    marked: Line = [("> ", BOLD), (mark[2:], style), *rest]
    return [(text, style if style == ALARM else CHOSEN) for text, style in marked]


def rule(title: Line, width: int) -> Line:
    """Return a line across the screen with a title in it."""
    line: Line = [("── ", DIM), *title, (" ", PLAIN)]
    room = width - span_width(line)
    return cut([*line, ("─" * room, DIM)], width) if room > 0 else cut(line, width)


def as_text(lines: Sequence[Line]) -> Text:
    """Return lines as rich prints them."""
    text = Text(no_wrap=True, end="")
    for line in lines:
        for part, style in line:
            text.append(part, style)
        text.append("\n")
    return text


def as_plain(line: Line) -> str:
    """Return a line without styles."""
    return "".join(text for text, _ in line).rstrip()
