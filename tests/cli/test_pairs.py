"""`pairs`: which markets of two venues ask the same, why, and what both sides cost."""

import json
import os
import pty
import re
import subprocess
from collections.abc import Iterator

import pytest
import redis
from support.feed import url_of, valkey
from support.processes import COMMAND, Run

from arbees_feed.config.environment import without_settings
from arbees_feed.core.wire import Names
from arbees_feed.pairs.price import PairPrice

NAMES = Names()
GAME, TITLE, DOUBT = "KXGAME-26DEC09KCDET-KC.1f0a9c3e", "KXNBA-27-LAC.00ff00ff", "KXFED-1.12345678"


def put(client: "redis.Redis[bytes]", pair: str, grade: str, theirs: str, **fields: str) -> None:
    ours = pair.rpartition(".")[0]
    said = {
        "kalshi_id": ours,
        "polymarket_id": theirs,
        "grade": grade,
        "polarity": "same",
        "confidence": "0.990",
        "by": "matcher",
        "since": "2026-11-22T00:00:00Z",
        **fields,
    }
    client.hset(NAMES.pair(pair), mapping=said)
    client.zadd(NAMES.pairs(), {pair: float(said["confidence"])})


def price(pair: str, status: str, **quote: float) -> bytes:
    return PairPrice(
        pair_id=pair, kalshi_id="K", polymarket_id="P", polarity="same", status=status,
        reason="" if status == "live" else "kalshi: stale", **quote,
    ).to_msgpack()  # fmt: skip


@pytest.fixture(scope="module")
def here() -> Iterator[str]:
    """A server with three pairs, one of them with both prices live; the option that leads to it."""
    with valkey() as server:
        with redis.Redis.from_url(url_of(server)) as client:
            put(client, GAME, "identical", "71", confidence="0.995", polarity="inverted",
                reasons="kind agrees: game (title); day agrees: 2026-12-09 (rules)",
                conflicts="postponement")  # fmt: skip
            put(client, TITLE, "same_question", "72")
            put(client, DOUBT, "probable", "73", confidence="0.7",
                reasons="kind agrees: rates; time only polymarket: - | 19:00")  # fmt: skip
            for market, title, outcome in (
                ("KXGAME-26DEC09KCDET-KC", "Kansas City at Detroit Winner?", "Kansas City"),
                ("71", "Chiefs vs. [red]Lions[/red]", "Lions"),
                ("KXNBA-27-LAC", "Will Los Angeles\x1b[31m win?", ""),
                ("KXFED-1", "Rates, above 4%?", "Yes"),
            ):
                meta = {"title": title, "outcome_yes": outcome}
                client.hset(NAMES.meta(market), mapping=meta)
            live = price(
                GAME, "live", yes_at_kalshi_cost=0.97, yes_at_kalshi_net=0.98765,
                yes_at_kalshi_size=1_234_567.5,
            )  # fmt: skip
            client.set(NAMES.pair_last(GAME), live)
            client.set(NAMES.pair_last(TITLE), price(TITLE, "stale"))
            client.hset(NAMES.pairs_state(), mapping={"state": "live"})
        yield f"--set=redis.url={url_of(server)}"


def test_pairs_are_listed_surest_first_with_tabs_between_the_fields(cli: Run, here: str) -> None:
    done = cli("pairs", here)
    assert (done.returncode, done.stderr) == (0, "")
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert rows == [
        [GAME, "identical", "inverted", "live", "0.9877", "1234567.5", "", "0",
         "Kansas City: Kansas City at Detroit Winner?"],
        [TITLE, "same_question", "same", "stale", "", "", "", "",
         "Will Los Angeles[31m win?"],
        [DOUBT, "probable", "same", "none", "", "", "", "", "Rates, above 4%?"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["--live"], [GAME]),
        (["--grade", "probable"], [DOUBT]),
        (["lions", "kansas"], [GAME]),
        (["lions kansas"], [GAME]),
        (["kxnba-27"], [TITLE]),
        (["72"], [TITLE]),
    ],
)
def test_a_filter_leaves_what_fits(
    cli: Run, here: str, arguments: list[str], found: list[str]
) -> None:
    done = cli("pairs", *arguments, here)
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == found


def test_json_has_the_hash_the_titles_and_the_price(cli: Run, here: str) -> None:
    found = [json.loads(line) for line in cli("pairs", "--json", here).stdout.splitlines()]
    assert [pair["pair_id"] for pair in found] == [GAME, TITLE, DOUBT]
    assert found[0]["kalshi_title"] == "Kansas City: Kansas City at Detroit Winner?"
    assert found[0]["polymarket_title"] == "Lions: Chiefs vs. [red]Lions[/red]"
    assert (found[0]["conflicts"], found[0]["price"]["yes_at_kalshi_net"]) == (
        "postponement", 0.98765
    )  # fmt: skip
    assert found[2]["price"] is None


def test_a_pair_is_explained_slot_by_slot(cli: Run, here: str) -> None:
    done = cli("pairs", "--explain", GAME, here)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"{GAME}: identical, inverted",
        "  by          matcher, since 2026-11-22T00:00:00Z",
        "  confidence  0.995",
        "  kalshi      KXGAME-26DEC09KCDET-KC: Kansas City: Kansas City at Detroit Winner?",
        "  polymarket  71: Lions: Chiefs vs. [red]Lions[/red]",
        "  reasons     kind agrees: game (title)",
        "              day agrees: 2026-12-09 (rules)",
        "  conflicts   postponement",
        "  price       YES at Kalshi, NO at Polymarket: 0.9700, with fees 0.9877",
    ]
    done = cli("pairs", "--explain", TITLE, here)
    assert done.stdout.splitlines()[-1] == "  price       stale: kalshi: stale"


def test_a_terminal_of_80_columns_has_a_table_that_fits(here: str) -> None:
    parent, child = pty.openpty()
    env = {**without_settings(), "COLUMNS": "80", "LINES": "24", "TERM": "xterm"}
    with subprocess.Popen([*COMMAND, "pairs", here], stdout=child, env=env) as process:
        os.close(child)
        shown = b""
        while True:
            try:
                shown += (some := os.read(parent, 65_536))
            except OSError:  # it has ended
                break
            if not some:
                break
        assert process.wait() == 0
    os.close(parent)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", shown.decode()).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == [
        "GRADE", "POLARITY", "STATUS", "YES", "K", "SIZE", "YES", "P", "SIZE", "QUESTION"
    ]  # fmt: skip
    assert lines[1].startswith("identical     inverted live   0.9877 1.235M      -")
    assert lines[1].rstrip().endswith(" Kansas City:…Winner?")
    assert lines[2].startswith("same_question same     stale ")
    assert lines[-1] == "3 pairs, 1 with both prices live; ids: arbees-feed pairs | cut -f1"


def test_prices_of_a_matcher_that_is_gone_are_not_shown(cli: Run, server: str) -> None:
    with redis.Redis.from_url(server) as client:
        put(client, GAME, "identical", "71")
        client.set(NAMES.pair_last(GAME), price(GAME, "live"))
    done = cli("pairs", "--set", f"redis.url={server}")
    assert done.stdout.split("\t")[3] == "none"
    assert cli("pairs", "--live", "--set", f"redis.url={server}").stderr == (
        "arbees-feed: none of 1 pairs matches\n"
    )


def test_an_empty_server_is_told(cli: Run, server: str) -> None:
    done = cli("pairs", "--set", f"redis.url={server}")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "arbees-feed: redis knows no pairs: does `arbees-feed match run` run?\n"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--grade", "sure"], 2, "--grade sure: must be one of identical, same_question, probable"),
        (["--explain", "none.such"], 2, "--explain none.such: there is no such pair"),
        (["--set", "redis.url=embedded"], 2, "redis.url: 'embedded' is for the daemon"),
        (["--set", "redis.url=redis://127.0.0.1:1/0"], 1, "cannot use redis at"),
    ],
)
def test_an_error_is_one_clear_line(
    cli: Run, here: str, arguments: list[str], code: int, said: str
) -> None:
    done = cli("pairs", here, *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith(f"arbees-feed: {said}")
    assert done.stderr.count("\n") == 1
