"""`watch`: lines for scripts, joined without a gap, and plain words when something is wrong."""

import json
import re
import signal
import subprocess

import pytest
import redis
from support.prices import price
from support.processes import COMMAND, Feed, Run, process, wait_for

FIELDS = {
    *("v", "market_id", "platform", "yes_bid", "yes_ask", "yes_bid_size", "yes_ask_size"),
    *("last_price", "status", "source", "session", "seq", "ts_event_ns", "ts_recv_ns"),
    *("ts_pub_ns", "no_bid", "no_ask", "no_bid_size", "no_ask_size"),
}


def test_json_lines_have_every_field_and_the_no_side(cli: Run, feed: Feed) -> None:
    done = cli("watch", "--json", "--count", "50", *feed.here)
    assert (done.returncode, done.stderr) == (0, "")
    prices = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(prices) == 50
    for found in prices:
        assert found.keys() == FIELDS
        assert found["no_bid"] == pytest.approx(1 - found["yes_ask"])
        assert found["no_ask"] == pytest.approx(1 - found["yes_bid"])
    assert {found["platform"] for found in prices} == {"kalshi", "polymarket"}


def test_without_a_terminal_it_prints_plain_lines_of_the_markets_named(
    cli: Run, feed: Feed
) -> None:
    with feed.client() as client:
        market = min(client.smembers("feed:markets:kalshi")).decode()
    done = cli("watch", market, "--count", "2", *feed.here)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    assert all(line.endswith(f" {market}") and " live   kalshi " in line for line in lines)


def test_a_reader_that_has_heard_enough_is_no_error(feed: Feed) -> None:
    command = " ".join([*COMMAND, "watch", "--json", *feed.here])
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command} | head -2"],  # noqa: S607
        capture_output=True,
        text=True,
        timeout=45,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it(number: signal.Signals, feed: Feed) -> None:
    with process("watch", "--plain", *feed.here, stderr=subprocess.PIPE) as watch:
        assert watch.stdout is not None
        watch.stdout.readline()
        watch.send_signal(number)
        _, err = watch.communicate(timeout=40)
        assert (watch.returncode, err) == (0, "")


@pytest.mark.parametrize("command", ["watch", "markets"])
def test_an_absent_redis_is_one_line_without_its_password(command: str, cli: Run) -> None:
    done = cli(command, "--set", "redis.url=redis://me:hidden@127.0.0.1:1/0")
    assert done.returncode == 1
    assert done.stderr.startswith("arbees-feed: cannot use redis at redis://***@127.0.0.1:1/0: ")
    assert done.stderr.count("\n") == 1
    assert "hidden" not in done.stderr + done.stdout


def test_the_daemons_own_word_for_a_server_is_refused(cli: Run) -> None:
    done = cli("watch", "--set", "redis.url=embedded")
    assert done.returncode == 2
    assert "name the URL" in done.stderr


def test_prices_of_a_feed_that_is_gone_carry_no_quote(cli: Run, server: str) -> None:
    """`:last` is to be believed only while its venue's key exists."""
    with redis.Redis.from_url(server) as client:
        client.set("market:M:last", price().to_msgpack())
        client.sadd("feed:markets:kalshi", "M")
    done = cli("watch", "--json", "--count", "1", "--set", f"redis.url={server}")
    found = json.loads(done.stdout)
    assert (found["status"], found["yes_bid"], found["yes_ask"]) == ("stale", 0.0, 1.0)
    assert (found["yes_bid_size"], found["yes_ask_size"]) == (0.0, 0.0)


def test_a_feed_that_falls_silent_is_told(server: str) -> None:
    with redis.Redis.from_url(server) as client:
        client.hset("feed:venue:kalshi", mapping={"state": "live", "session": 1})
        client.set("market:M:last", price().to_msgpack())
        client.sadd("feed:markets:kalshi", "M")
        watch = process(
            *("watch", "--plain", "--set", f"redis.url={server}"), stderr=subprocess.PIPE
        )
        with watch as running:
            assert running.stdout is not None
            assert running.stderr is not None
            assert " live   kalshi " in running.stdout.readline()
            said = running.stderr.readline()
    # 3 s, and what a busy machine adds to them
    assert re.fullmatch(
        r"arbees-feed: kalshi is GONE: no heartbeat for \d+ s; its prices are stale\n", said
    )


def test_a_lost_redis_is_told_once_and_sought_again(server: str) -> None:
    with (
        redis.Redis.from_url(server) as client,
        process(
            *("watch", "--plain", "--set", f"redis.url={server}"), stderr=subprocess.PIPE
        ) as watch,
    ):
        client.set("market:M:last", price().to_msgpack())
        client.sadd("feed:markets:kalshi", "M")
        assert watch.stdout is not None
        assert watch.stdout.readline().endswith(" M\n"), "it has joined"
        client.client_kill_filter(_type="pubsub")
        wait_for(client.pubsub_numpat)
        client.publish("market:M:price", price(seq=2).to_msgpack())
        assert watch.stdout.readline().endswith(" M\n")
        watch.terminate()
        _, err = watch.communicate(timeout=40)
    assert err == "arbees-feed: redis: the connection was lost, and made again\n"
