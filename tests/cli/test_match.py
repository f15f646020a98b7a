"""`match`: labelled pairs judged, and doubtful ones written for a person to decide on."""

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import redis
from support.processes import Run

from arbees_feed.cli.match import LEGEND
from arbees_feed.core.wire import Names
from arbees_feed.pairs.mapping import parse_mapping

NAMES = Names()


def row(number: int, label: str, day: str = "2026-05-10") -> dict[str, Any]:
    """Return a labelled pair: a soccer game on a day, and Kalshi's of 10 May."""
    return {
        "id": f"row-{number}",
        "label": label,
        "category": "sports/soccer",
        "tags": ["other_date"] if label == "different" else [],
        "group": "_abc"[number],  # b is of the tuning part, a and c are not
        "kalshi": {
            "ticker": "KXBUNDESLIGAGAME-26MAY10M05UNI-TIE",
            "title": "Mainz vs Union Berlin Winner?",
        },
        "polymarket": {
            "question": "Will 1. FSV Mainz 05 vs. 1. FC Union Berlin end in a draw?",
            "event_title": "1. FSV Mainz 05 vs. 1. FC Union Berlin",
            "slug": f"bun-mai-uni-{day}-draw",
            "event_slug": f"bun-mai-uni-{day}",
            "end_date": f"{day}T13:30:00Z",
        },
    }


def zipped(content: bytes) -> bytes:
    """Return *content* as gzip would, the same each time: it names a test."""
    return gzip.compress(content, mtime=0)


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    file = tmp_path / "rows.jsonl.gz"
    rows = [row(1, "same"), row(2, "different", "2026-09-27"), row(3, "different")]
    file.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    return file


def test_labelled_pairs_are_judged_and_wrong_ones_named(cli: Run, labelled: Path) -> None:
    done = cli("match", "evaluate", str(labelled), "--json")
    assert (done.returncode, done.stderr) == (0, "")
    scores = json.loads(done.stdout)
    total = scores["total"]
    assert (total["positives"], total["negatives"]) == (1, 2)
    assert set(scores["categories"]) == {"sports/soccer"}
    assert scores["traps"]["other_date"]["negatives"] == 2
    named = [line.split("\t")[0] for line in
             cli("match", "evaluate", str(labelled), "--errors").stdout.splitlines()
             if line.startswith("row-")]  # fmt: skip
    # The third row is the first one with another label: who finds one, is wrong about the other.
    assert total["found"] == total["wrong"] == len(named)
    assert set(named) <= {"row-3"}


def test_the_table_has_categories_traps_and_all(cli: Run, labelled: Path) -> None:
    done = cli("match", "evaluate", str(labelled))
    firsts = [line.split()[0] for line in done.stdout.splitlines() if line.strip()]
    assert firsts[: -len(LEGEND)] == [
        "CATEGORY", "sports/soccer", "TRAP", "other_date",
        "GRADE", "identical", "same_question", "probable", "PART", "tuning", "untouched", "all",
    ]  # fmt: skip
    assert "sports/soccer *" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_a_part_is_told_apart_from_all(cli: Run, labelled: Path) -> None:
    both = json.loads(cli("match", "evaluate", str(labelled), "--json").stdout)
    parts = [json.loads(cli("match", "evaluate", str(labelled), "--json", "--part", part).stdout)
             for part in ("tuning", "untouched")]  # fmt: skip
    assert [made["total"] for made in parts] == [
        both["parts"][part] for part in ("tuning", "untouched")
    ]
    counted = [made["total"]["positives"] + made["total"]["negatives"] for made in parts]
    assert sum(counted) == 3
    assert min(counted) > 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"nothing", "rows.gz: cannot be read: Not a gzipped file"),
        (zipped(b"{}\n")[:-9], "rows.gz: cannot be read: "),
        (zipped(b"\n{"), "rows.gz:2: not a labelled pair: "),
        (zipped(b"[]"), "rows.gz:1: not a labelled pair: "),
        (zipped(b"{}"), "rows.gz:1: not a labelled pair: "),
        (
            zipped(json.dumps(row(1, "smae")).encode()),
            "rows.gz:1: not a labelled pair: row row-1: ",
        ),
        (zipped(b""), "rows.gz: no rows in part all"),
        (None, "rows.gz: cannot be read: No such file or directory"),
    ],
)
def test_a_file_that_is_wrong_is_named_with_its_line(
    cli: Run, tmp_path: Path, content: bytes | None, said: str
) -> None:
    file = tmp_path / "rows.gz"
    if content is not None:
        file.write_bytes(content)
    done = cli("match", "evaluate", str(file))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"arbees-feed: {tmp_path}/{said}")
    assert done.stderr.count("\n") == 1


def test_doubtful_pairs_become_lines_of_a_mapping_that_forbids_them(cli: Run, server: str) -> None:
    with redis.Redis.from_url(server) as client:
        for pair, grade in (("KX-1.aa", "probable"), ("KX-2.bb", "identical")):
            fields = {
                "kalshi_id": pair[:4], "polymarket_id": "77", "grade": grade, "polarity": "same",
                "reasons": "kind agrees: game; time only polymarket: - | 19:00",
                "conflicts": "ambiguous",
            }  # fmt: skip
            client.hset(NAMES.pair(pair), mapping=fields)
            client.zadd(NAMES.pairs(), {pair: 0.5})
        client.hset(NAMES.meta("KX-1"), mapping={"title": 'Will "it", be?'})
    done = cli("match", "suggest", "--set", f"redis.url={server}")
    assert (done.returncode, done.stderr) == (0, "arbees-feed: 1 probable pairs\n")
    lines = done.stdout.splitlines()
    mapping = parse_mapping(lines, "suggested.csv")
    assert not mapping.errors
    ((rule),) = mapping.rules
    assert (rule.action, rule.kalshi, rule.polymarket, rule.polarity) == (
        "forbid", "KX-1", "77", "same"
    )  # fmt: skip
    (values,) = list(csv.reader(lines))[1:]
    assert values[-1] == 'Will "it", be? | 77; time only polymarket: - | 19:00; ambiguous'


def test_markets_in_no_pair_with_like_titles_are_suggested_on_demand(cli: Run, server: str) -> None:
    zeppelin = "Will the zeppelin land in Trondheim?"
    markets = {
        ("kalshi", "KX-FREE"): {"title": zeppelin},
        ("kalshi", "KX-PAIRED"): {"title": zeppelin},
        ("kalshi", "KX-OVER"): {"title": zeppelin, "status": "settled"},
        ("polymarket", "55"): {"title": "Will the zeppelin land in Trondheim by 2027?"},
        ("polymarket", "56"): {"title": "Will it snow?"},
    }
    with redis.Redis.from_url(server) as client:
        for (venue, market), fields in markets.items():
            client.hset(NAMES.meta(market), mapping=fields)
            client.zadd(NAMES.volume(venue), {market: 1})
        pair = {"kalshi_id": "KX-PAIRED", "polymarket_id": "77", "grade": "identical"}
        client.hset(NAMES.pair("KX-PAIRED.aa"), mapping=pair)
        client.zadd(NAMES.pairs(), {"KX-PAIRED.aa": 0.9})
    arguments = ["match", "suggest", "--set", f"redis.url={server}"]
    assert cli(*arguments).stdout.splitlines() == ["action,kalshi,polymarket,polarity,note"]
    done = cli(*arguments, "--look-alikes", "--limit", "9")
    assert (done.returncode, done.stderr) == (
        0, "arbees-feed: 0 probable pairs, 1 look-alikes\n"
    )  # fmt: skip
    mapping = parse_mapping(done.stdout.splitlines(), "suggested.csv")
    assert not mapping.errors
    ((rule),) = mapping.rules
    assert (rule.action, rule.kalshi, rule.polymarket) == ("forbid", "KX-FREE", "55")
    assert rule.note.startswith(f"{zeppelin} | Will the zeppelin land")
    assert "look-alike 0." in rule.note


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "Missing command."),
        (["guess"], 2, "No such command 'guess'."),
        (["evaluate"], 2, "Missing argument 'FILE'."),
        (["evaluate", __file__, "--part", "some"], 2, f"{__file__}:1: not a labelled pair: "),
        (["suggest", "--set", "redis.url=redis://127.0.0.1:1/0"], 1, "cannot use redis at redis:"),
        (["run", "--set", "redis.url=embedded"], 2, "pairs need a Redis that the feed writes to"),
        (["run", "--set", "pairs.mapping=/none"], 2, "/none: cannot be read: No such file"),
        (["run", "--set", "pairs.max_age_s=-1"], 2, "pairs.max_age_s"),
    ],
)
def test_an_error_is_one_clear_line(cli: Run, arguments: list[str], code: int, said: str) -> None:
    done = cli("match", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith(f"arbees-feed: {said}")
    assert done.stderr.count("\n") == 1
