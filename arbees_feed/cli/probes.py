"""The trials of `check`: each tries one thing that the daemon needs, and finds something out."""

import asyncio
import socket
import time
import uuid
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import msgspec
from redis.exceptions import RedisError
from yarl import URL

from arbees_feed.app.embedded import embedded_server
from arbees_feed.app.plan import VenuePlan, plans
from arbees_feed.cli.prices import redis_url
from arbees_feed.config import Settings, redact_text, redact_url
from arbees_feed.config.forms import EMBEDDED
from arbees_feed.config.keys import load_credentials
from arbees_feed.core.clock import CUT_S, date_of
from arbees_feed.core.venue import Credentials
from arbees_feed.core.wire import Names
from arbees_feed.errors import FeedError, SettingsError
from arbees_feed.native import compiled
from arbees_feed.transport.redis import open_client
from arbees_feed.transport.websocket import open_websocket

TIMEOUT_S = 10.0
KEY = "kalshi key"
CLOCK_LIMIT_S = 5.0
"""Kalshi refuses signatures of clocks that are further off; how far is not published."""
_OK = 200

REST_PATHS: Mapping[tuple[str, str], str] = {
    ("kalshi", "rest"): "/exchange/status",
    ("polymarket", "gamma"): "/events/keyset?limit=1",
    ("polymarket", "clob"): "/time",
}
"""A public answer of each host that says that it works."""
_NEEDED = frozenset({"rest", "gamma"})


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What a trial found. `ok` is None for what can wait."""

    what: str
    ok: bool | None
    detail: str
    where: str = ""
    ms: float | None = None
    clock_offset_s: float | None = None
    """The venue's clock less ours, to half a second."""


Tell = Callable[[Finding], None]


async def probe_all(settings: Settings, tell: Tell) -> bool:
    """Try everything, side by side, and tell the findings in a fixed order."""
    credentials, keys = _keys(settings)
    named = ", ".join(settings.active_venues)
    way = "in C" if compiled and settings.trust.compiled else "all in Python"
    tell(Finding(what="settings", ok=True, detail=f"venues: {named}; the path of a frame: {way}"))
    for finding in keys:
        tell(finding)
    jar = aiohttp.DummyCookieJar()
    async with aiohttp.ClientSession(trust_env=True, cookie_jar=jar) as http:
        trials: list[Coroutine[Any, Any, Sequence[Finding]]] = [_redis(settings)]
        for plan in plans(settings, credentials):
            keyless = plan.spec.name == "kalshi" and credentials is None
            trials += [_sockets(http, plan, keyless=keyless), _rest(http, plan, settings)]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(trial) for trial in trials]
            for task in tasks:
                for finding in await task:
                    tell(finding)
    for finding in _port(settings):
        tell(finding)
    return True


# -- keys ------------------------------------------------------------------------------------------


def _keys(settings: Settings) -> tuple[Credentials | None, list[Finding]]:
    if not settings.kalshi.active:
        return None, []
    try:
        credentials = load_credentials(settings.kalshi)
    except SettingsError as exc:
        return None, [Finding(what=KEY, ok=False, detail=str(exc))]
    assert credentials is not None  # noqa: S101 - Kalshi is on
    started_s = time.perf_counter()
    credentials.sign(b"check")
    return credentials, [
        Finding(what=KEY, ok=True, detail="loaded, signs", ms=_ms_since(started_s))
    ]


# -- Redis -----------------------------------------------------------------------------------------


async def _redis(settings: Settings) -> Sequence[Finding]:
    url = settings.redis.url.get_secret_value()
    async with AsyncExitStack() as stack:
        where = redact_url(url)
        try:
            if url == EMBEDDED:
                url = await stack.enter_async_context(embedded_server())
            else:
                url = redis_url(settings.redis)
            timeout_s = settings.redis.io_timeout_s
            client: Any = await stack.enter_async_context(open_client(url, timeout_s=timeout_s))
            return [await _try_redis(client, Names(settings.redis.key_prefix), where)]
        except (FeedError, RedisError, OSError) as exc:
            detail = redact_text(str(exc)) or type(exc).__name__
            return [Finding(what="redis", ok=False, where=where, detail=detail)]


async def _try_redis(client: Any, names: Names, where: str) -> Finding:
    await client.ping()
    started_s = time.perf_counter()
    await client.ping()
    ms = _ms_since(started_s)
    info = await client.info("server")
    version = info.get("valkey_version") or info.get("redis_version", "of unknown version")
    product = "Valkey" if "valkey_version" in info else "Redis"
    trial = uuid.uuid4().hex
    key = names.last(f"check-{trial}")
    await client.set(key, b"check", px=5_000)
    await client.delete(key)
    await client.publish(names.price(f"check-{trial}"), b"")
    detail = f"{product} {version}, takes writes and publications"
    return Finding(what="redis", ok=True, where=where, detail=detail, ms=ms)


# -- venues ----------------------------------------------------------------------------------------


async def _sockets(
    http: aiohttp.ClientSession, plan: VenuePlan, *, keyless: bool
) -> Sequence[Finding]:
    what = f"{plan.spec.name} websocket"
    if keyless:
        return [Finding(what=what, ok=False, detail="not tried without a key")]
    found = [await _socket(http, plan, url, what) for url in plan.ws_urls]
    return _one_is_enough(found)


async def _socket(http: aiohttp.ClientSession, plan: VenuePlan, url: str, what: str) -> Finding:
    started_s = time.perf_counter()
    now_ms = time.time_ns() // 1_000_000
    headers = plan.spec.handshake_headers(plan.credentials, URL(url).path, now_ms)
    try:
        async with open_websocket(http, url, headers, open_timeout_s=TIMEOUT_S):
            ms = _ms_since(started_s)
    except FeedError as exc:
        return Finding(what=what, ok=False, where=_host(url), detail=redact_text(str(exc)))
    signed = "handshake with our key" if headers else "handshake"
    return Finding(what=what, ok=True, where=_host(url), detail=signed, ms=ms)


async def _rest(
    http: aiohttp.ClientSession, plan: VenuePlan, settings: Settings
) -> Sequence[Finding]:
    venue = plan.spec.name
    found: list[Finding] = []
    for name, base in plan.rest_urls.items():
        # The daemon looks things up at the first address of a list, so the others are extra.
        bases = settings.kalshi.rest_url if name == "rest" else (base,)
        what = f"{venue} {name}"
        path = REST_PATHS[venue, name]
        each = [await _get(http, what, f"{address}{path}") for address in bases]
        found += _one_is_enough(each) if name in _NEEDED else [_can_wait(one) for one in each]
    return found


async def _get(http: aiohttp.ClientSession, what: str, url: str) -> Finding:
    started_s, sent_s = time.perf_counter(), time.time()
    try:
        async with asyncio.timeout(TIMEOUT_S), http.get(url, allow_redirects=False) as response:
            await response.read()
            ms = _ms_since(started_s)
    except TimeoutError:
        return Finding(
            what=what, ok=False, where=_host(url), detail=f"no answer in {TIMEOUT_S:g} s"
        )
    except (aiohttp.ClientError, OSError) as exc:
        detail = redact_text(str(exc)) or type(exc).__name__
        return Finding(what=what, ok=False, where=_host(url), detail=detail)
    if response.status != _OK:
        return Finding(
            what=what, ok=False, where=_host(url), detail=f"HTTP {response.status}", ms=ms
        )
    offset_s = _clock_offset_s(response.headers, (sent_s + time.time()) / 2)
    return Finding(
        what=what,
        ok=None if offset_s is not None and abs(offset_s) > CLOCK_LIMIT_S else True,
        where=_host(url),
        detail=f"answers{_clock_text(offset_s)}",
        ms=ms,
        clock_offset_s=offset_s,
    )


def _clock_offset_s(headers: Mapping[str, str], now_s: float) -> float | None:
    """Return the server's clock less ours; its header is cut to whole seconds."""
    told_s = date_of(headers)
    return None if told_s is None else round(told_s + CUT_S / 2 - now_s, 1)


def _clock_text(offset_s: float | None) -> str:
    if offset_s is None:
        return ", does not tell the time"
    if abs(offset_s) <= 1.0:
        return ", clocks agree to a second"
    behind = "ahead of" if offset_s < 0 else "behind"
    warning = ": set it, signatures carry the time" if abs(offset_s) > CLOCK_LIMIT_S else ""
    return f", our clock is {abs(offset_s):.1f} s {behind} theirs{warning}"


def _one_is_enough(found: Sequence[Finding]) -> Sequence[Finding]:
    """Addresses of a list are tried in turn: only if none works is it a failure."""
    if not any(finding.ok for finding in found):
        return found
    return [_can_wait(finding) for finding in found]


def _can_wait(finding: Finding) -> Finding:
    return finding if finding.ok else msgspec.structs.replace(finding, ok=None)


# -- our own port ----------------------------------------------------------------------------------


def _port(settings: Settings) -> Sequence[Finding]:
    http = settings.http
    if not http.enabled:
        return []
    where = f"{http.host}:{http.port}"
    try:
        family = socket.getaddrinfo(http.host, http.port, type=socket.SOCK_STREAM)[0][0]
        with socket.create_server((http.host, http.port), family=family):
            pass
    except OSError as exc:
        reason = exc.strerror or str(exc)
        detail = f"{reason}; does a feed run here already?"
        return [Finding(what="http port", ok=False, where=where, detail=detail)]
    return [Finding(what="http port", ok=True, where=where, detail="free")]


def _host(url: str) -> str:
    parts = URL(url)
    return f"{parts.scheme}://{parts.authority}"


def _ms_since(started_s: float) -> float:
    return round((time.perf_counter() - started_s) * 1e3, 2)
