"""The user's own list of pairs: what holds, and which line is wrong."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbees_feed.errors import SettingsError
from arbees_feed.pairs.mapping import Action, parse_mapping, read_mapping

HEADER = "action,kalshi,polymarket,polarity,note"


def parse(*lines: str) -> tuple[list[tuple[str, ...]], list[str]]:
    found = parse_mapping([HEADER, *lines], "my.csv")
    rules = [
        (rule.action.value, rule.kalshi, rule.polymarket, rule.polarity) for rule in found.rules
    ]
    return rules, list(found.errors)


def test_each_action_is_read() -> None:
    rules, errors = parse(
        "confirm,KXA-1,111,,seen by me",
        "# a remark",
        "",
        "ADD, KXB-1 ,0xabc,Inverted",
        "forbid,KXC-1,will-it-rain",
        "forbid,KXD-1,",
        "forbid,,444",
    )
    assert not errors
    assert rules == [
        ("confirm", "KXA-1", "111", ""),
        ("add", "KXB-1", "0xabc", "inverted"),
        ("forbid", "KXC-1", "will-it-rain", ""),
        ("forbid", "KXD-1", "", ""),
        ("forbid", "", "444", ""),
    ]


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("maybe,KXA-1,111,", "my.csv:2: unknown action 'maybe': confirm, add or forbid"),
        ("confirm,,111,", "my.csv:2: confirm needs an id in column kalshi"),
        ("add,KXA-1,,same", "my.csv:2: add needs an id in column polymarket"),
        ("forbid,,,", "my.csv:2: forbid needs an id"),
        ("add,KXA-1,111,", "my.csv:2: add needs a polarity: same or inverted"),
        ("add,KXA-1,111,yes", "my.csv:2: polarity 'yes': same, inverted or nothing"),
        ("add,KXA:1,111,same", "my.csv:2: kalshi 'KXA:1' is no id"),
        ("add,KXA-1,111,same,a,b", "my.csv:2: 6 values, but 5 columns"),
    ],
)
def test_a_wrong_line_is_named_and_left_out(line: str, error: str) -> None:
    rules, errors = parse(line, "confirm,KXZ-1,999,")
    assert errors == [error]
    assert rules == [("confirm", "KXZ-1", "999", "")]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_forbid_wins_over_confirm_whatever_comes_first(order: tuple[int, int]) -> None:
    lines = ["confirm,KXA-1,111,", "forbid,KXA-1,111,"]
    rules, errors = parse(*(lines[place] for place in order))
    assert rules == [("forbid", "KXA-1", "111", "")]
    confirm, forbid = 2 + order.index(0), 2 + order.index(1)
    assert errors == [f"my.csv:{confirm}: confirm of what line {forbid} forbids"]


def test_a_market_that_is_forbidden_is_in_no_pair() -> None:
    rules, errors = parse("add,KXA-1,111,same", "forbid,KXA-1,")
    assert rules == [("forbid", "KXA-1", "", "")]
    assert errors == ["my.csv:2: add of what line 3 forbids"]


def test_of_two_polarities_neither_is_believed() -> None:
    rules, errors = parse("add,KXA-1,111,same", "confirm,KXA-1,111,inverted")
    assert errors == ["my.csv:3: polarity inverted, but line 2 has same: left out"]
    assert [rule[0] for rule in rules] == [Action.FORBID]


def test_a_line_that_is_there_twice_is_told() -> None:
    rules, errors = parse("add,KXA-1,111,same", "add,KXA-1,111,same", "confirm,KXA-1,111,")
    assert len(rules) == 1
    assert errors == [
        "my.csv:3: the same pair as in line 2",
        "my.csv:4: the same pair as in line 2, where it says add",
    ]


@pytest.mark.parametrize("header", ["", "kalshi,polymarket", "action,kalshi,polymarket,colour"])
def test_a_file_with_another_header_is_refused(header: str) -> None:
    with pytest.raises(SettingsError, match=r"my\.csv:1: the first line must be action,kalshi"):
        parse_mapping([header] if header else [], "my.csv")


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"no\.csv: cannot be read: No such file"):
        read_mapping(tmp_path / "no.csv")
    (tmp_path / "bytes.csv").write_bytes(b"action,kalshi\xff")
    with pytest.raises(SettingsError, match=r"bytes\.csv: not UTF-8 text at byte 13"):
        read_mapping(tmp_path / "bytes.csv")


def test_a_file_written_by_a_spreadsheet_is_read(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_bytes(b"\xef\xbb\xbf" + f'{HEADER}\r\nadd,KXA-1,111,same,"said, twice"\r\n'.encode())
    (rule,) = read_mapping(path).rules
    assert (rule.line, rule.note) == (2, "said, twice")


@pytest.mark.parametrize("path", ["/dev/zero", "large.csv"])
def test_a_file_without_end_is_not_read_to_its_end(tmp_path: Path, path: str) -> None:
    """A device says that it has no bytes; a sparse file of 1 GB has them at once."""
    with (tmp_path / "large.csv").open("wb") as file:
        file.truncate(10**9)
    with pytest.raises(SettingsError, match="a mapping has at most 20,000,000 bytes"):
        read_mapping(tmp_path / path)


def test_a_line_that_is_too_long_is_named_and_shown_in_part() -> None:
    rules, errors = parse(
        f"add,KXA-1,{'9' * 200_000},same",
        f"{'x' * 5_000},KXA-1,111,same",
        f"add,KXA-1,111,{'y' * 5_000}",
        f"add,KXA-1,{'9' * 200},same",
        "add,KXA-2,111,same",
    )
    assert [rule[1] for rule in rules] == ["KXA-2"]
    assert errors[0] == "my.csv:2: a line has at most 10,000 characters"
    assert [error.partition(": ")[0] for error in errors] == [f"my.csv:{n}" for n in range(2, 6)]
    assert max(map(len, errors)) < 200


def test_what_could_act_on_a_terminal_is_written_out() -> None:
    _, errors = parse("add,\x1b[31mKXA-1,111,same")
    assert errors == [r"my.csv:2: kalshi '\x1b[31mKXA-1' is no id"]


def test_lines_are_counted_as_an_editor_counts_them(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text(f"{HEADER}\nadd,KXA-1,111,same,one\u2028two\x0cthree\nwish,KXB-1,222,same,\n")
    found = read_mapping(path)
    assert [(rule.line, rule.kalshi) for rule in found.rules] == [(2, "KXA-1")]
    assert found.errors == (f"{path}:3: unknown action 'wish': confirm, add or forbid",)


@given(st.lists(st.text(max_size=60), max_size=20))
def test_whatever_is_in_a_line_it_is_a_rule_or_named(lines: list[str]) -> None:
    found = parse_mapping([HEADER, *lines], "my.csv")
    numbers = {rule.line for rule in found.rules}
    numbers |= {int(error.split(":")[1]) for error in found.errors}
    for number, line in enumerate(lines, 2):
        said = bool(line.strip()) and not line.lstrip().startswith("#")
        assert (number in numbers) == said
