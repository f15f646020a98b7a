"""`check`: one line for each thing that `run` needs, and an exit code that can be relied on."""

import json
import socket

from support.processes import Feed, Run

NOWHERE = "127.0.0.1:1"


def words(text: str) -> dict[str, str]:
    """Return the verdict on each thing."""
    return {line[6:26].strip(): line[:4].strip() for line in text.splitlines()}


def test_everything_is_found_in_order(cli: Run, feed: Feed) -> None:
    done = cli("check", "--set", "http.port=0", *feed.here, env=feed.venues)
    assert (done.returncode, done.stderr) == (0, "")
    assert words(done.stdout) == {
        "settings": "OK",
        "kalshi key": "OK",
        "redis": "OK",
        "kalshi websocket": "OK",
        "kalshi rest": "OK",
        "polymarket websocket": "OK",
        "polymarket gamma": "OK",
        "polymarket clob": "OK",
        "http port": "OK",
    }
    assert "Valkey 9" in done.stdout
    assert "clocks agree to a second" in done.stdout
    assert "handshake with our key" in done.stdout


def test_no_secret_is_printed(cli: Run, feed: Feed) -> None:
    url = "redis.url=redis://me:hidden@127.0.0.1:1/0"
    for form in ((), ("--json",)):
        done = cli("check", "--set", url, "--set", "http.port=0", *form, env=feed.venues)
        said = done.stdout + done.stderr
        assert done.returncode == 1
        assert "hidden" not in said
        assert feed.venues["ARBEES_KALSHI__API_KEY_ID"] not in said


def test_json_tells_the_same(cli: Run, feed: Feed) -> None:
    done = cli("check", "--json", "--set", "http.port=0", *feed.here, env=feed.venues)
    found = {(line := json.loads(text))["what"]: line for text in done.stdout.splitlines()}
    assert len(found) == 9
    assert all(line["ok"] is True for line in found.values())
    assert found["redis"]["ms"] > 0
    assert abs(found["kalshi rest"]["clock_offset_s"]) <= 5.0


def test_each_address_of_a_list_is_tried_and_one_is_enough(cli: Run, feed: Feed) -> None:
    urls = f"ws://{NOWHERE}/,{feed.venues['ARBEES_KALSHI__WS_URL']}"
    given = ("--set", f"kalshi.ws_url={urls}", "--set", "http.port=0", "--json")
    done = cli("check", *given, *feed.here, env=feed.venues)
    assert done.returncode == 0
    found = [json.loads(text) for text in done.stdout.splitlines()]
    assert [f["ok"] for f in found if f["what"] == "kalshi websocket"] == [None, True]


def test_what_is_not_there_fails_and_the_rest_is_still_tried(cli: Run, feed: Feed) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        given = ["--set", f"http.port={taken.getsockname()[1]}"]
        given += ["--set", f"redis.url=redis://{NOWHERE}/0"]
        given += ["--set", f"polymarket.ws_url=ws://{NOWHERE}/"]
        given += ["--set", f"polymarket.clob_url=http://{NOWHERE}"]
        done = cli("check", *given, env=feed.venues)
    assert done.returncode == 1
    failed = {what for what, verdict in words(done.stdout).items() if verdict == "FAIL"}
    assert failed == {"redis", "polymarket websocket", "http port"}
    assert words(done.stdout)["polymarket clob"] == "WARN", "run works without it"


def test_a_key_that_the_venue_does_not_know_is_refused(cli: Run, feed: Feed) -> None:
    given = ("--set", "kalshi.api_key_id=another", "--set", "http.port=0")
    done = cli("check", *given, *feed.here, env=feed.venues)
    assert done.returncode == 1
    assert words(done.stdout)["kalshi websocket"] == "FAIL"
    assert "HTTP 401" in done.stdout
    assert "another" not in done.stdout


def test_a_key_that_cannot_be_read_is_a_bad_setting(cli: Run, feed: Feed) -> None:
    given = ("--set", "kalshi.private_key_path=/nowhere", "--set", "http.port=0")
    done = cli("check", *given, *feed.here, env=feed.venues)
    assert done.returncode == 2
    assert "cannot read /nowhere" in done.stdout
    assert "not tried without a key" in done.stdout


def test_the_embedded_server_is_tried_too(cli: Run, feed: Feed) -> None:
    given = ("--set", "redis.url=embedded", "--set", "http.port=0")
    done = cli("check", *given, env=feed.venues)
    assert done.returncode == 0, done.stdout
