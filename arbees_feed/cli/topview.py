"""What the person at `top` has chosen, and what each key does to it. No I/O."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from arbees_feed.cli.toplist import Sort

_LONGEST_TEXT: Final = 100


class Place:
    """A list, and where in it somebody looks.

    What is chosen stays so wherever it goes in the list; without a choice, the first of the list
    is looked at.
    """

    def __init__(self) -> None:
        self.listed: Sequence[str] = ()
        self.chosen: str | None = None
        self.kept: str | None = None
        """What is looked at while nothing is chosen: it does not change as long as it is listed."""
        self.first = 0
        """Which of the list is on the first row."""
        self.rows = 1

    def selected(self) -> str | None:
        """Return what is looked at."""
        if self.chosen is not None:
            return self.chosen
        if self.kept is not None:
            return self.kept
        return self.listed[0] if self.listed else None

    def keep(self) -> None:
        """Look at the same one for as long as it is on view, if nobody has chosen any."""
        if self.kept not in self._on_view():
            self.kept = self.listed[0] if self.listed else None

    def window(self, rows: int) -> Sequence[str]:
        """Return what of the list is on *rows* rows."""
        self.rows = max(1, rows)
        self.first = max(0, min(self.first, len(self.listed) - self.rows))
        return self._on_view()

    def move(self, key: str) -> None:
        """Choose another one of the list."""
        if not self.listed:
            return
        last = len(self.listed) - 1
        at = self._position()
        step = {"up": -1, "down": 1, "page up": -self.rows, "page down": self.rows}
        to = {"home": 0, "end": last}.get(key, at + step.get(key, 0))
        to = max(0, min(last, to))
        self.chosen = self.listed[to]
        self.first = min(max(self.first, to - self.rows + 1), to)

    def let_go(self) -> None:
        """Go to the beginning, and choose nothing."""
        self.chosen, self.kept, self.first = None, None, 0

    def _on_view(self) -> Sequence[str]:
        return self.listed[self.first : self.first + self.rows]

    def _position(self) -> int:
        """Return where in the list the next step starts: where the chosen is, if it is on view."""
        on_view, selected = self._on_view(), self.selected()
        return self.first + (on_view.index(selected) if selected in on_view else 0)


class View:
    """Which list is shown, its order and place, and what is searched for."""

    def __init__(
        self, sort: Sort = Sort.BUSIEST, text: str = "", *, shows_pairs: bool = False
    ) -> None:
        self.sort = sort
        """Of markets; pairs have one order."""
        self.text = text
        self.typing = False
        self.markets = Place()
        self.pairs = Place()
        self.shows_pairs = shows_pairs
        """Whether pairs are listed, instead of markets."""
        self.detail: bool | None = None
        """Whether what is looked at is shown in depth; None: if there is room."""
        self.helping = False
        self.held = False
        """Whether the list keeps its order."""
        self.done = False
        self.redraw = False
        """Something else has written to the terminal: all of it is to be drawn again."""
        self.stirred = bool(text)
        """A key was pressed that asks for another list."""
        self.shows_detail = False
        """What the last drawing had."""

    @property
    def place(self) -> Place:
        """The list that is shown."""
        return self.pairs if self.shows_pairs else self.markets

    def selected(self) -> str | None:
        """Return the market, or the pair, that is looked at."""
        return self.place.selected()

    # -- keys ------------------------------------------------------------------------------------

    def press(self, key: str) -> None:
        """Do what a key says."""
        if key in _MOVES:
            self.place.move(key)
        elif self.typing:
            self._type(key)
        elif self.helping:
            self.helping = False
            self.done = key == "q"
        else:
            action = _ACTIONS.get(key)
            if action is not None:
                action(self)

    def _type(self, key: str) -> None:
        edit = _EDITS.get(key)
        if edit is not None:
            edit(self)
        elif len(key) == 1 and len(self.text) < _LONGEST_TEXT:
            self._search(self.text + key)

    def _search(self, text: str) -> None:
        self.text, self.stirred = text, True
        self.markets.let_go()
        self.pairs.let_go()

    def search(self) -> None:
        """Begin to type what is looked for."""
        self.typing = True

    def accept(self) -> None:
        """Keep what was typed."""
        self.typing = False

    def clear(self) -> None:
        """Leave the search, then what was chosen, then the pairs, then the depth."""
        self.typing = False
        if self.text:
            self._search("")
        elif self.place.chosen is not None:
            self.place.let_go()
        elif self.shows_pairs:
            self.toggle_pairs()
        else:
            self.detail = False

    def backspace(self) -> None:
        """Take a character back."""
        self._search(self.text[:-1])

    def backspace_word(self) -> None:
        """Take a word back."""
        self._search(self.text.rstrip().rpartition(" ")[0])

    def clear_text(self) -> None:
        """Take all that was typed back."""
        self._search("")

    def next_sort(self) -> None:
        """Sort markets by the next criterion."""
        if self.shows_pairs:
            return
        orders = list(Sort)
        self.sort = orders[(orders.index(self.sort) + 1) % len(orders)]
        self.stirred = True
        self.markets.let_go()

    def toggle_pairs(self) -> None:
        """Show pairs, or markets again."""
        self.shows_pairs = not self.shows_pairs
        self.stirred = True

    def toggle_detail(self) -> None:
        """Show what is looked at in depth, or do not."""
        self.detail = not self.shows_detail
        if self.detail:
            self.place.chosen = self.selected()

    def toggle_help(self) -> None:
        """Show what the keys do."""
        self.helping = True

    def toggle_held(self) -> None:
        """Keep the order of the list, or let it move again."""
        self.held = not self.held

    def draw_again(self) -> None:
        """Draw everything again."""
        self.redraw = True

    def quit(self) -> None:
        """Leave."""
        self.done = True


_MOVES: Final = frozenset({"up", "down", "page up", "page down", "home", "end"})
_Action = Callable[[View], None]
_ACTIONS: Final[Mapping[str, _Action]] = {
    "q": View.quit,
    "/": View.search,
    "s": View.next_sort,
    "p": View.toggle_pairs,
    "enter": View.toggle_detail,
    "escape": View.clear,
    " ": View.toggle_held,
    "?": View.toggle_help,
    "redraw": View.draw_again,
    "h": View.toggle_help,
    "j": lambda view: view.press("down"),
    "k": lambda view: view.press("up"),
}
_EDITS: Final[Mapping[str, _Action]] = {
    "enter": View.accept,
    "escape": View.clear,
    "backspace": View.backspace,
    "word": View.backspace_word,
    "clear": View.clear_text,
}
