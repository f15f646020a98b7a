"""Venues that mean harm: what they send may be wrong, and never acts on anybody.

Redis gets well-formed names and texts of one line only, the log is lines that can be seen, nothing
is asked of hosts that nobody has configured, and the prices of the other markets go on.
"""

import asyncio
import gzip
import io
import json
import logging
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import msgpack
import pytest
import structlog
from aiohttp import web
from redis.asyncio import Redis
from support.feed import Reader, reading, running, settings_for, settle

from arbees_feed.app.daemon import Daemon
from arbees_feed.config import LogSettings
from arbees_feed.log import set_up
from arbees_feed.sim import SimServer

pytestmark = pytest.mark.timeout(90)

ESCAPES = "\x1b]0;owned\x07\x1b[2J\x1b[31m"
TEXT = f"{ESCAPES}Will it\r\n2026-11-22 [info] rain\u202e?\u2028\x00\x9b\u200b"
NAMES = [
    "",
    "KX:last",
    "KX\r\nFLUSHALL\r\n",
    f"KX{ESCAPES}",
    "*",
    "K" * 200,
    "../KX",
    "KX 1",
    "\u0410",
]
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
KEYS = re.compile(
    rf"market:{NAME.pattern}:(last|quote|meta)"
    rf"|event:{NAME.pattern}:(meta|markets)"
    r"|feed:(venue|markets|volume|watch|search):(kalshi|polymarket)"
    r"|feed:search|feed:search:(kalshi|polymarket):\w{1,32}"
)


@pytest.fixture(autouse=True)
def log() -> Iterator[io.StringIO]:
    """Log as the daemon does, into memory."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    stream = io.StringIO()
    set_up(LogSettings.model_validate({"level": "info", "format": "json"}), stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


# -- what must never be found ----------------------------------------------------------------------


def texts_in(value: Any) -> Iterator[str]:
    """Yield every text in a value that Redis holds: bytes, msgpack or what redis-py makes of it."""
    if isinstance(value, bytes):
        try:
            yield from texts_in(msgpack.unpackb(value, strict_map_key=False))
        except (ValueError, msgpack.UnpackException):
            yield value.decode()
    elif isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from texts_in(name)
            yield from texts_in(inner)
    elif isinstance(value, list | set | tuple):
        for inner in value:
            yield from texts_in(inner)


async def contents(client: Any, key: bytes) -> Any:
    """Return all that is stored at a key."""
    match await client.type(key):
        case b"string":
            return await client.get(key)
        case b"hash":
            return await client.hgetall(key)
        case b"set":
            return await client.smembers(key)
        case b"zset":
            return await client.zrange(key, 0, -1)
        case b"none":  # it has gone since it was listed
            return None
        case kind:
            raise AssertionError(f"{key!r} is a {kind!r}")


async def assert_harmless(redis_url: str, reader: Reader, log: io.StringIO) -> None:
    """Look at everything that was stored, published and logged."""
    client = Redis.from_url(redis_url)
    async with client:
        keys = [key async for key in client.scan_iter(count=1_000)]
        assert len(keys) > 40
        assert [key for key in keys if KEYS.fullmatch(key.decode()) is None] == []
        for key in keys:
            for text in texts_in(await contents(client, key)):
                assert text.isprintable(), f"{key!r} holds {text!r}"
                assert len(text) <= 20_000, f"{key!r} holds {len(text)} characters"
    assert [name for name in reader.prices if NAME.fullmatch(name) is None] == []
    for state in reader.states:
        assert str(state.get("reason", "")).isprintable()
    lines = log.getvalue().splitlines()
    assert all(line.isprintable() and len(line) < 20_000 for line in lines)
    assert all(json.loads(line)["event"] for line in lines)


# -- frames ----------------------------------------------------------------------------------------


def ticker(name: str) -> str:
    """Return a frame with the price of a market that nobody named."""
    body = {
        "market_ticker": name, "price_dollars": "0.5000", "yes_bid_dollars": "0.4000",
        "yes_ask_dollars": "0.6000", "yes_bid_size_fp": "1.00", "yes_ask_size_fp": "1.00",
        "ts_ms": 1_795_219_200_000,
    }  # fmt: skip
    return json.dumps({"type": "ticker", "sid": 1, "msg": body})


def lifecycle(name: str, step: str) -> str:
    """Return a step in the life of a market, full of hostile texts."""
    facts = {"title": TEXT, "name": TEXT, "event_ticker": name, "yes_sub_title": TEXT * 10_000}
    body = {"event_type": step, "market_ticker": name, "additional_metadata": facts}
    return json.dumps({"type": "market_lifecycle_v2", "sid": 77, "msg": body})


def kalshi_error(text: str) -> str:
    """Return a numbered error with a text of the venue's own."""
    return json.dumps({"type": "error", "msg": {"code": 99, "msg": text}})


def new_market(token: str) -> str:
    """Return the announcement of a market."""
    return json.dumps(
        {
            "event_type": "new_market", "id": "1", "question": TEXT, "slug": TEXT, "market": TEXT,
            "condition_id": TEXT, "clob_token_ids": [token, TEXT], "outcomes": [TEXT, TEXT],
        }
    )  # fmt: skip


CONFINED = [
    *[("kalshi", ticker(name)) for name in NAMES],
    *[("kalshi", lifecycle(name, step)) for name in NAMES for step in ("created", "determined")],
    ("kalshi", lifecycle("KXGOOD-26NOV22-T1", "created")),
    ("kalshi", kalshi_error(TEXT * 1_000)),
    ("kalshi", json.dumps({"type": TEXT, "x": 1})),
    ("kalshi", json.dumps({"type": "ticker", "sid": 1, "msg": {"market_ticker": TEXT}})),
    *[("polymarket", new_market(name)) for name in NAMES],
    ("polymarket", new_market("7" * 77)),
    ("polymarket", json.dumps({"event_type": TEXT})),
    ("polymarket", json.dumps({"event_type": "last_trade_price", "asset_id": TEXT, "price": TEXT})),
    ("polymarket",
     json.dumps({"event_type": "market_resolved", "timestamp": "1", "assets_ids": NAMES})),
]  # fmt: skip
DEEP = "[" * 200_000


async def test_hostile_frames_reach_neither_keys_nor_terminals(
    sim: SimServer, redis_url: str, log: io.StringIO
) -> None:
    markets = [*sim.kalshi_tickers, *sim.polymarket_tokens]
    async with reading(redis_url) as reader, running(settings_for(sim, redis_url)) as (daemon, _):
        await reader.until(lambda: reader.all_are("live", markets))
        feeds = {venue.venue: venue.feed for venue in daemon.venues}
        before = {name: feed.decoded().frames for name, feed in feeds.items()}
        for venue, text in CONFINED:
            sim.faults.send_text(venue, text)
        for name, feed in feeds.items():
            sent = sum(venue == name for venue, _ in CONFINED)
            await reader.until(lambda f=feed, n=before[name] + sent: f.decoded().frames >= n)
        assert [feed.stats.connects for feed in feeds.values()] == [1, 1]
        await settle(sim, reader, markets)
        await stored(redis_url, "market:KXGOOD-26NOV22-T1:meta", reader)
        await assert_harmless(redis_url, reader, log)
        kalshi, polymarket = daemon.venues
        assert kalshi.table.stats.filtered == len(NAMES)
        assert kalshi.enricher is not None
        assert polymarket.enricher is not None
        assert kalshi.enricher._catalogue.stats.skipped >= len(NAMES)
        assert polymarket.enricher._catalogue.stats.skipped >= len(NAMES)
        assert feeds["kalshi"].decoded().venue_errors == 1
        assert all(feed.decoded().unknown_kinds == 1 for feed in feeds.values())
        assert all(feed.decoded().malformed >= 1 for feed in feeds.values())
        assert "\\\\x1b[2J" in log.getvalue()


async def test_the_last_words_of_a_venue_are_harmless_in_its_own_hash(
    sim: SimServer, redis_url: str, log: io.StringIO
) -> None:
    async with reading(redis_url) as reader, running(settings_for(sim, redis_url)) as (daemon, _):
        await reader.until(lambda: reader.all_are("live", sim.kalshi_tickers))
        sim.faults.send_text("kalshi", kalshi_error(TEXT * 1_000))
        await reader.until(lambda: daemon.venues[0].feed.decoded().venue_errors == 1)
        client = Redis.from_url(redis_url, decode_responses=True)
        async with client, asyncio.timeout(15):
            while "error 99" not in (await client.hget("feed:venue:kalshi", "last_problem") or ""):
                await reader.heartbeat()
        await assert_harmless(redis_url, reader, log)


@pytest.mark.parametrize("venue", ["kalshi", "polymarket"])
async def test_frames_that_end_a_connection_say_why_in_one_visible_line(
    sim: SimServer, redis_url: str, log: io.StringIO, venue: str
) -> None:
    """Nesting without end, texts that are no JSON, and a close reason that is none."""
    markets = [*sim.kalshi_tickers, *sim.polymarket_tokens]
    async with reading(redis_url) as reader, running(settings_for(sim, redis_url)) as (daemon, _):
        await reader.until(lambda: reader.all_are("live", markets))
        feed = {v.venue: v.feed for v in daemon.venues}[venue]
        ways = [
            lambda: sim.faults.send_text(venue, DEEP),
            lambda: sim.faults.send_text(venue, TEXT),
            lambda: sim.faults.close_sockets(venue, 4000, TEXT),
        ]
        for count, way in enumerate(ways, start=2):
            way()
            await reader.until(lambda n=count: feed.stats.connects >= n, 20.0)
            await reader.until(lambda: feed.table.live == 20, 20.0)
        await settle(sim, reader, markets)
        await assert_harmless(redis_url, reader, log)


async def stored(redis_url: str, key: str, reader: Reader) -> dict[str, str]:
    """Wait until Redis has this hash, looking at each heartbeat."""
    client = Redis.from_url(redis_url, decode_responses=True)
    async with client, asyncio.timeout(15):
        while not (found := await client.hgetall(key)):
            await reader.heartbeat()
        return dict(found)


# -- REST ------------------------------------------------------------------------------------------


class Rest:
    """A server that answers every request with what it is told, and keeps the requests."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[web.Request] = []
        self.bodies: dict[str, bytes] = {}
        self.headers: dict[str, str] = {}
        self.status = 200

    async def answer(self, request: web.Request) -> web.Response:
        """Answer by the last word of the path; what has no body is not there."""
        self.asked.append(request)
        word = request.path.removesuffix("/keyset").rpartition("/")[2]
        body = self.bodies.get(word)
        headers = {"Content-Type": "application/json", **self.headers}
        status = 404 if body is None and self.status == 200 else self.status
        return web.Response(status=status, body=body, headers=headers)


@asynccontextmanager
async def rest() -> AsyncIterator[Rest]:
    """Serve all of a venue's REST addresses."""
    server = Rest()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{site.port}"
    try:
        yield server
    finally:
        await runner.cleanup()


def kalshi_market(name: str, event: str, **facts: Any) -> dict[str, Any]:
    """Return a record whose texts all mean harm."""
    texts = ("title", "subtitle", "yes_sub_title", "no_sub_title", "rules_primary", "open_time")
    return {
        "ticker": name, "event_ticker": event, "status": "active", "volume_fp": "nan",
        **dict.fromkeys(texts, TEXT), "rules_secondary": TEXT * 500, **facts,
    }  # fmt: skip


def kalshi_listings() -> dict[str, bytes]:
    """Return pages with hostile names, and one good market among them."""
    bad = [kalshi_market(name, "KXEV") for name in NAMES]
    bent = [kalshi_market(f"KXBENT-{n}", name) for n, name in enumerate(NAMES)]
    markets = [*bad, *bent, kalshi_market("KXGOOD-1", "KXEV-1", volume_fp="5.00")]
    events = [
        {"event_ticker": name, "title": TEXT, "category": TEXT, "series_ticker": TEXT,
         "markets": [kalshi_market(f"KXIN{n}-1", name)]}
        for n, name in enumerate([*NAMES, "KXEV-1"])
    ]  # fmt: skip
    cursor = "http://evil.test/next"
    return {
        "markets": json.dumps({"markets": markets, "cursor": cursor}).encode(),
        "events": json.dumps({"events": events, "cursor": cursor}).encode(),
    }


def gamma_listings() -> dict[str, bytes]:
    """Return pages of Gamma's, as hostile."""
    texts = ("question", "slug", "description", "category", "groupItemTitle", "resolutionSource")
    good = json.dumps(["5" * 77, "6" * 77])
    markets = [
        {"conditionId": TEXT, "clobTokenIds": tokens, "outcomes": json.dumps([TEXT, TEXT]),
         "active": True, "closed": False, "volume": "inf", **dict.fromkeys(texts, TEXT),
         "description": TEXT * 500}
        for tokens in [good, json.dumps([TEXT, TEXT]), json.dumps(["7" * 5_000, "8"])]
    ]  # fmt: skip
    events = [
        {"id": name, "title": TEXT, "slug": TEXT, "tags": [{"label": TEXT, "slug": TEXT}],
         "markets": markets}
        for name in [*NAMES, "31"]
    ]  # fmt: skip
    cursor = "http://evil.test/next"
    return {
        "markets": json.dumps({"markets": markets, "next_cursor": cursor}).encode(),
        "events": json.dumps({"events": events, "next_cursor": cursor}).encode(),
    }


@asynccontextmanager
async def hostile_rest(
    sim: SimServer, redis_url: str
) -> AsyncIterator[tuple[Rest, Rest, Reader, Daemon]]:
    """Run the feed with streams that are good and REST interfaces that are not."""
    async with rest() as kalshi, rest() as gamma, reading(redis_url) as reader:
        settings = settings_for(
            sim, redis_url, kalshi__rest_url=f"{kalshi.url}/trade-api/v2",
            polymarket__gamma_url=gamma.url, polymarket__clob_url=gamma.url,
            polymarket__markets=",".join(sim.polymarket_tokens),
        )  # fmt: skip
        kalshi.bodies, gamma.bodies = kalshi_listings(), gamma_listings()
        async with running(settings) as (daemon, _):
            await reader.until(lambda: reader.all_are("live", sim.kalshi_tickers))
            yield kalshi, gamma, reader, daemon


async def test_hostile_records_are_left_out_or_made_harmless(
    sim: SimServer, redis_url: str, log: io.StringIO
) -> None:
    async with hostile_rest(sim, redis_url) as (kalshi, gamma, reader, _):
        good = await stored(redis_url, "market:KXGOOD-1:meta", reader)
        assert good["title"].startswith("]0;owned[2J[31mWill it 2026-11-22 [info] rain?")
        other = await stored(redis_url, f"market:{'5' * 77}:meta", reader)
        assert other["description"].endswith("…")
        await settle(sim, reader, sim.kalshi_tickers)
        await assert_harmless(redis_url, reader, log)
        asked = [*kalshi.asked, *gamma.asked]
        # What a venue calls the next page is a parameter, and never an address.
        assert any(r.query.get("cursor", r.query.get("after_cursor")) for r in asked)
        ways = re.compile(
            r"/trade-api/v2/(account/limits|markets|series|events(/[A-Za-z0-9:._-]+)?)"
        )
        assert [r.path for r in kalshi.asked if ways.fullmatch(r.path) is None] == []
        assert any(r.path.endswith("/events/KXEV") for r in kalshi.asked)


@pytest.mark.parametrize("coding", ["gzip", "redirect"])
async def test_bombs_and_redirects_cost_the_metadata_and_no_price(
    sim: SimServer, redis_url: str, log: io.StringIO, coding: str
) -> None:
    async with rest() as elsewhere, hostile_rest(sim, redis_url) as (kalshi, gamma, reader, daemon):
        for server in (kalshi, gamma):
            server.asked.clear()
            if coding == "gzip":
                bomb = gzip.compress(bytes(80 << 20))
                server.bodies = dict.fromkeys(("markets", "events", "books"), bomb)
                server.headers = {"Content-Encoding": "gzip"}
            else:
                server.status, server.headers = 307, {"Location": elsewhere.url}
        for venue in daemon.venues:
            venue.redis_was_replaced()  # and so everything is asked for again
        errors = {"gzip": "error", "redirect": "3xx"}[coding]
        calls = [venue.http.stats.calls for venue in daemon.venues]
        await reader.until(
            lambda: all(any(kind == errors for _, kind in call) for call in calls), 30.0
        )
        assert elsewhere.asked == []
        await settle(sim, reader, sim.kalshi_tickers)
        await assert_harmless(redis_url, reader, log)
