"""`markets`: a list of what Redis knows, and a search in it."""

import json
import time

import pytest
import redis
from support.prices import price
from support.processes import Feed, Run


def test_all_markets_are_listed_with_tabs_between_the_fields(cli: Run, feed: Feed) -> None:
    done = cli("markets", *feed.here)
    assert (done.returncode, done.stderr) == (0, "")
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert len(rows) == 40
    assert {len(row) for row in rows} == {9}
    assert {row[1] for row in rows} == {"kalshi", "polymarket"}
    assert all(row[8] for row in rows), "titles"


def test_a_search_takes_all_words_in_any_case(cli: Run, feed: Feed) -> None:
    done = cli("markets", "KANSAS", "win", "--venue", "kalshi", "--json", *feed.here)
    assert done.returncode == 0
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert found
    for market in found:
        assert market["platform"] == "kalshi"
        assert "kansas" in json.dumps(market).lower()
        assert market["meta"]["title"]
        assert 0.0 <= market["no_bid"] <= 1.0


def test_a_limit_and_no_match(cli: Run, feed: Feed) -> None:
    assert len(cli("markets", "--limit", "3", *feed.here).stdout.splitlines()) == 3
    done = cli("markets", "no such thing", *feed.here)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "arbees-feed: none of 40 markets matches\n"


def test_an_unknown_venue_is_a_usage_error(cli: Run) -> None:
    done = cli("markets", "--venue", "nowhere")
    assert done.returncode == 2
    assert done.stderr == "arbees-feed: --venue nowhere: must be one of kalshi, polymarket\n"


def test_an_empty_server_is_told(cli: Run, server: str) -> None:
    done = cli("markets", "--set", f"redis.url={server}")
    assert (done.returncode, done.stdout) == (0, "")
    assert "redis knows no markets" in done.stderr


def test_thousands_are_read_in_chunks_and_dead_prices_shown_as_stale(cli: Run, server: str) -> None:
    with redis.Redis.from_url(server) as client, client.pipeline(transaction=False) as pipe:
        for number in range(5_000):
            market = f"KX-{number:05}"
            pipe.sadd("feed:markets:kalshi", market)
            pipe.set(f"market:{market}:last", price(market).to_msgpack())
            pipe.hset(f"market:{market}:meta", mapping={"title": f"Will it be {number}?"})
        pipe.set("market:KX-00007:last", b"broken")
        pipe.execute()
    started_s = time.monotonic()
    done = cli("markets", "--set", f"redis.url={server}")
    took_s = time.monotonic() - started_s
    lines = done.stdout.splitlines()
    assert len(lines) == 4_999
    assert lines[0].split("\t")[:5] == ["KX-00000", "kalshi", "stale", "0", "0"]
    assert took_s < 10


@pytest.mark.parametrize(("left_ms", "status"), [(None, "live"), (5_000, "stale")])
def test_a_feed_that_beats_no_more_is_not_believed_while_its_key_lasts(
    cli: Run, server: str, left_ms: int | None, status: str
) -> None:
    """The key lives 10 s: what is left of it tells when it was renewed."""
    with redis.Redis.from_url(server) as client:
        client.sadd("feed:markets:kalshi", "M", "no id")
        client.set("market:M:last", price().to_msgpack())
        client.hset("feed:venue:kalshi", mapping={"session": 1, "state": "live"})
        if left_ms is not None:
            client.pexpire("feed:venue:kalshi", left_ms)
    done = cli("markets", "--json", "--set", f"redis.url={server}")
    assert (done.returncode, done.stderr) == (0, "")
    assert [json.loads(line)["status"] for line in done.stdout.splitlines()] == [status]
