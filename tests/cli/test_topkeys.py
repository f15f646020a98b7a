"""Keys from bytes, however they are cut, and what each does."""

import pytest

from arbees_feed.cli.topkeys import Keys
from arbees_feed.cli.toplist import Sort
from arbees_feed.cli.topview import View

TYPED = "q\x1b[A\x1b[B\x1bOA\x1b[5~\x1b[6~\x1b[H\x1b[4~é/\r\x7f\x17".encode()
PRESSED = ["q", "up", "down", "up", "page up", "page down", "home", "end", "é", "/"]
PRESSED += ["enter", "backspace", "word"]


def pressed(*pieces: bytes) -> list[str]:
    keys = Keys()
    return [key for piece in pieces for key in keys.feed(piece)]


@pytest.mark.parametrize("at", range(len(TYPED)))
def test_keys_are_the_same_however_they_are_cut(at: int) -> None:
    assert pressed(TYPED[:at], TYPED[at:]) == PRESSED


def test_escape_is_a_key_when_nothing_follows() -> None:
    keys = Keys()
    assert keys.feed(b"\x1b") == []
    assert keys.flush() == ["escape"]
    assert keys.flush() == []
    assert keys.feed(b"\x1b\x1b[A") == ["escape", "up"]


@pytest.mark.parametrize(
    "data", [b"\x1b[200~", b"\x1b[<0;12;3M", b"\x1b[1;5C", b"\x00\x01", b"\x1b[" + b"9" * 200]
)
def test_what_means_nothing_here_is_dropped(data: bytes) -> None:
    keys = Keys()
    got = [*keys.feed(data), *keys.flush(), *keys.feed(b"q")]
    assert got[-1] == "q"
    assert not any(key in ("enter", "up", "down") for key in got)
    assert len(keys._rest) == 0


@pytest.fixture
def view() -> View:
    made = View()
    made.markets.listed = [f"M{number}" for number in range(20)]
    made.markets.window(5)
    return made


def press(view: View, *keys: str) -> None:
    for key in keys:
        view.press(key)


def test_a_choice_moves_through_the_list_and_the_window_follows(view: View) -> None:
    assert view.selected() == "M0"
    press(view, "down", "down")
    assert (view.selected(), view.markets.first) == ("M2", 0)
    press(view, "page down")
    assert (view.selected(), view.markets.window(5)) == ("M7", ["M3", "M4", "M5", "M6", "M7"])
    press(view, "end", "down")
    assert (view.selected(), view.markets.first) == ("M19", 15)
    press(view, "home", "up")
    assert (view.selected(), view.markets.first) == ("M0", 0)


def test_what_was_chosen_stays_so_wherever_it_goes(view: View) -> None:
    press(view, "down", "down")
    view.markets.listed = ["X", "Y", *reversed(view.markets.listed)]
    assert view.selected() == "M2"
    press(view, "down")
    assert view.selected() == "Y", "from the top of what is on view"


def test_typing_searches_and_escape_leaves(view: View) -> None:
    press(view, "down", "/", "k", "q", " ", "s", "backspace", "s")
    assert (view.text, view.typing, view.done, view.markets.chosen) == ("kq s", True, False, None)
    press(view, "word")
    assert view.text == "kq"
    press(view, "enter")
    assert (view.text, view.typing) == ("kq", False)
    press(view, "escape")
    assert (view.text, view.stirred) == ("", True)


def test_arrows_work_while_typing(view: View) -> None:
    press(view, "/", "down")
    assert (view.selected(), view.typing) == ("M1", True)


def test_the_order_goes_round(view: View) -> None:
    seen = []
    for _ in Sort:
        press(view, "s")
        seen.append(view.sort)
    assert seen == [Sort.WIDEST, Sort.STALE, Sort.BUSIEST]


def test_depth_is_of_what_is_selected_and_goes_again(view: View) -> None:
    press(view, "enter")
    assert (view.detail, view.markets.chosen) == (True, "M0")
    view.shows_detail = True
    press(view, "enter")
    assert view.detail is False


def test_help_ends_with_any_key_and_q_quits_even_there(view: View) -> None:
    press(view, "?", "s")
    assert (view.helping, view.sort, view.done) == (False, Sort.BUSIEST, False)
    press(view, "?", "q")
    assert view.done


def test_an_empty_list_takes_every_key() -> None:
    view = View()
    for key in ("up", "down", "page down", "home", "end", "enter", "escape", " ", "s", "x", "q"):
        press(view, key)
    assert view.done
    assert view.selected() is None


def test_what_is_looked_at_changes_only_when_it_leaves_the_view(view: View) -> None:
    view.markets.keep()
    view.markets.listed = ["NEW", *view.markets.listed]
    view.markets.keep()
    assert view.selected() == "M0"
    press(view, "down")
    assert view.selected() == "M1", "the next step starts there"
    press(view, "escape")
    view.markets.keep()
    view.markets.listed = [*view.markets.listed[5:], "NEW"]
    view.markets.keep()
    assert view.selected() == view.markets.listed[0]


def test_pairs_have_a_list_and_a_choice_of_their_own(view: View) -> None:
    view.pairs.listed = ["P0", "P1", "P2"]
    press(view, "down", "p")
    assert (view.shows_pairs, view.stirred, view.selected()) == (True, True, "P0")
    press(view, "down", "s", "enter")
    assert (view.selected(), view.pairs.chosen, view.sort) == ("P1", "P1", Sort.BUSIEST)
    press(view, "p")
    assert (view.shows_pairs, view.selected()) == (False, "M1")


def test_a_search_holds_for_both_lists_and_escape_leaves_pairs_last(view: View) -> None:
    view.pairs.listed = ["P0", "P1"]
    press(view, "p", "/", "p", "enter", "down", "p")
    assert (view.text, view.markets.chosen, view.pairs.chosen) == ("p", None, "P1")
    press(view, "p", "escape")
    assert (view.text, view.pairs.chosen, view.shows_pairs) == ("", None, True)
    press(view, "down", "escape")
    assert (view.pairs.chosen, view.shows_pairs) == (None, True)
    press(view, "escape")
    assert (view.shows_pairs, view.detail) == (False, None)
