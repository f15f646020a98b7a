"""`explain`: a page of facts for people and scripts, or one line that says what is wrong."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import msgspec
import pytest
from support.processes import Run

from arbees_feed.app.explanation import (
    Book,
    Clock,
    Connection,
    Explanation,
    Happened,
    Liveliness,
    Shown,
    Ticker,
)
from arbees_feed.cli import explain as command
from arbees_feed.cli.explain import plain_lines

MARKET = "71321045679252212594626385532706912750332728571942532289631379312455583992563"
PAGE = Explanation(
    market="KXNFLGAME-26DEC09KCDET-KC",
    venue="kalshi",
    venue_state="live",
    venue_reason="1 of 3 connections down",
    at_ns=1_795_219_200_250_000_000,
    phase="open",
    state="suspect",
    doubt="top of book is not what the venue says",
    event_ts_ns=1_795_219_199_000_000_000,
    event_age_s=1.25,
    wanted_by=["demand", "universe"],
    shown=Shown("live", "book", 0.48, 1646.0, 0.5, 0.25, None, None, 200.0, 27, waiting=True),
    book=Book("live", "", False, 12_345, 2, 1, [(0.48, 1646.0), (0.475, 2.5)], [(0.5, 0.25)]),
    ticker=Ticker("ticker", 0.0, 0.0, 0.5, 3.0, None, "kalshi-0"),
    liveliness=Liveliness(200.0, 3.2, None, 8_000.0, "no answer", "wrong", 4.0, "bid 0.48: 1 here"),
    connection=Connection("kalshi-0", "wss://h/ws", None, "suspect", "frozen?", 5.0, 10, 0.04, 2.5),
    clock=Clock(-0.25, 0.03),
    history=[Happened(3.0, "gap", "7 after 5")],
    because=["Readers have a live price: the top of our own full book.", "So " + "long " * 40],
)


class Answer(BaseHTTPRequestHandler):
    """Answers as its server says, and keeps what it was asked."""

    server: "Server"

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        pass


class Server(HTTPServer):
    """Stands for a daemon."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.status = status
        self.body = body
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def answering(status: int, body: bytes) -> Iterator[Server]:
    server = Server(status, body)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_page_is_readable_in_80_columns(cli: Run) -> None:
    with answering(200, msgspec.json.encode(PAGE)) as server:
        done = cli("explain", PAGE.market, "--url", server.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert server.asked == [f"/explain/{PAGE.market}"]
    lines = done.stdout.splitlines()
    assert lines[0] == PAGE.market
    assert lines[1] == "kalshi, suspect, at 2026-11-21 00:00:00.250 UTC"
    assert "- Readers have a live price: the top of our own full book." in lines
    assert max(map(len, lines)) <= 80
    for fact in (
        "shown       live, from book, seq 27, 3 min ago, waits for Redis",
        "            bid 0.48 x 1,646, ask 0.50 x 0.25",
        "doubt       top of book is not what the venue says",
        "book        live, 12,345 changes, 2 bids, 1 asks, its best prices are not what",
        "                 1,646 0.48    0.50         0.25",
        "                  2.50 0.475",
        "ticker      bid - x 0, ask 0.50 x 3, from ticker over kalshi-0",
        "moves       last 3 min ago, usually every 3.20 s",
        "suspicion   no answer",
        "mismatch    bid 0.48: 1 here",
        "venue time  2026-11-20 23:59:59.000 UTC, 1.25 s ago by our clock",
        "connection  kalshi-0, suspect, about to take over, data 5.00 s ago, 10 frames",
        "message age 0.04 s, 2.50 s more than at best",
        "clock       the venue's less ours: -0.25 s, give or take 0.03 s",
        "venue       live: 1 of 3 connections down",
        "wanted by   demand, universe",
        "lately      3.00 s ago gap: 7 after 5",
    ):
        assert fact in lines


def test_a_market_of_which_little_is_known_has_a_page_too() -> None:
    nothing = msgspec.structs.replace(
        PAGE,
        market=MARKET,
        doubt="",
        event_ts_ns=None,
        event_age_s=None,
        wanted_by=(),
        shown=None,
        book=None,
        ticker=None,
        liveliness=None,
        connection=None,
        clock=None,
        history=(),
    )
    lines = list(plain_lines(nothing))
    assert lines[0] == MARKET
    assert "venue time  the venue told none" in lines
    assert "wanted by   nobody; its ticker comes with those of all markets" in lines
    assert max(map(len, lines)) <= 80


def test_scripts_get_one_object(cli: Run) -> None:
    with answering(200, msgspec.json.encode(PAGE)) as server:
        done = cli("explain", PAGE.market, "--json", "--url", f"{server.url}/")
    assert server.asked == [f"/explain/{PAGE.market}"]
    (line,) = done.stdout.splitlines()
    assert json.loads(line) == json.loads(msgspec.json.encode(PAGE))


def test_a_terminal_gets_the_same_facts(capsys: pytest.CaptureFixture[str]) -> None:
    command._draw(PAGE)
    shown = capsys.readouterr().out
    assert shown.startswith(PAGE.market)
    for fact in ("suspect", "seq 27", "12,345 changes", "7 after 5", "universe"):
        assert fact in shown


def test_texts_of_others_do_not_act_on_the_terminal(
    cli: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever answers at that address: the page may be of anybody."""
    evil = "\x1b[2J[red]\u202e"
    page = msgspec.structs.replace(
        PAGE, market=evil, venue=evil, state=evil, because=(evil,), doubt=evil, venue_reason=evil
    )
    with answering(200, msgspec.json.encode(page)) as server:
        done = cli("explain", "KX-1", "--url", server.url)
    assert done.returncode == 0
    command._draw(page)
    for shown in (done.stdout, capsys.readouterr().out):
        assert "\x1b" not in shown
        assert "\u202e" not in shown
        assert "[red]" in shown


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (404, b'{"error": "KX-1 is not followed at kalshi: \\u001b[2J"}', "KX-1 is not followed"),
        (404, b"404: Not Found", "does not explain prices (HTTP 404)"),
        (421, b"ask for localhost, 127.0.0.1 or [::1]\n", "does not explain prices (HTTP 421)"),
        (200, b"{}", "does not explain prices (HTTP 200)"),
        (200, b"[" * 100_000, "does not explain prices (HTTP 200)"),
        (200, b"\xff\xfe", "does not explain prices (HTTP 200)"),
        (200, b'"' + b"x" * (2 << 20) + b'"', "does not explain prices (HTTP 200)"),
    ],
)
def test_what_is_no_page_is_told_in_one_line(cli: Run, status: int, body: bytes, told: str) -> None:
    with answering(status, body) as server:
        done = cli("explain", "KX-1", "--url", server.url)
    assert (done.returncode, done.stdout) == (1, "")
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
    assert "\x1b" not in done.stderr


def test_where_no_daemon_answers_is_told_in_one_line(cli: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    done = cli("explain", "KX-1", "--set", f"http.port={port}")
    assert (done.returncode, done.stdout) == (1, "")
    told = f"no daemon answers at http://127.0.0.1:{port}: Connection refused"
    assert done.stderr == f"arbees-feed: {told}\n"


def test_what_is_no_market_id_is_not_asked_for(cli: Run) -> None:
    done = cli("explain", "../metrics\x1b[2J")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("arbees-feed: ../metrics\\u001b[2J is no market id")


@pytest.mark.parametrize("url", ["https://h", "h:9464", "http://", "http://h:port", "http://[::1"])
def test_an_address_that_is_none_is_a_usage_error(cli: Run, url: str) -> None:
    done = cli("explain", "KX-1", "--url", url)
    assert done.returncode == 2
    assert done.stderr == f"arbees-feed: --url {url}: must be http://HOST:PORT\n"


@pytest.mark.parametrize(
    ("setting", "told"),
    [("http.enabled=false", "http.enabled is false"), ("http.port=0", "http.port is 0")],
)
def test_settings_without_an_address_need_one(cli: Run, setting: str, told: str) -> None:
    done = cli("explain", "KX-1", "--set", setting)
    assert done.returncode == 2
    assert told in done.stderr
    assert "--url" in done.stderr
