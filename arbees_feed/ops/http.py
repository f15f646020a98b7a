"""The HTTP endpoint: /livez, /readyz, /metrics, /explain/<market>, and the status page at /.

It only reads. Nothing it says holds a secret, but it says which markets are followed, so it
listens on loopback unless told otherwise. On loopback a page of a browser may still reach it, by
a name of its own that leads here (DNS rebinding): who asks for another host is sent away.
"""

import ipaddress
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Protocol

import msgspec
from aiohttp import web

from arbees_feed import __version__
from arbees_feed.config import redact_text
from arbees_feed.core.text import is_name
from arbees_feed.errors import SettingsError
from arbees_feed.ops.listeners import Listeners
from arbees_feed.ops.metrics import Metrics
from arbees_feed.ops.overview import Overview
from arbees_feed.ops.statuspage import StatusPage

_GOODBYE_S = 1.0  # for answers under way when the server closes
_MISDIRECTED = 421


class Readiness(msgspec.Struct, frozen=True):
    """Whether prices can be relied on now; *missing* names who is not ready, and why."""

    missing: Mapping[str, str] = {}

    @property
    def ready(self) -> bool:
        """Whether nobody is missing."""
        return not self.missing


class Health(Protocol):
    """Knows the state of every enabled venue and of Redis."""

    def readiness(self) -> Readiness:
        """Return who is missing: venues without live data, and Redis if it does not answer."""


class Told(msgspec.Struct, frozen=True):
    """What is known of a market, fit for JSON; of an unknown one at least `error`, a sentence."""

    found: bool
    page: Mapping[str, object]


class Explains(Protocol):
    """Knows why prices are what they are."""

    def explain(self, market: str) -> Told:
        """Return what is known of a market; its id has been looked at for form and length."""


@asynccontextmanager
async def serve(
    host: str,
    port: int,
    *,
    health: Health,
    metrics: Metrics,
    explains: Explains | None = None,
    overview: Overview | None = None,
    monotonic: Callable[[], float] = time.monotonic,
) -> AsyncIterator[str]:
    """Serve while the block runs; yield the base URL (port 0 takes any free port).

    Without *explains* there is no /explain, without *overview* no page for browsers.

    Raises:
        SettingsError: *host* and *port* can't be listened on.
    """
    app = _application(health, metrics, explains, overview, monotonic)
    app.on_response_prepare.append(_keep_to_ourselves)
    if _is_loopback(host):
        app.middlewares.append(_only_asked_by_our_names)
    # A listener that leaves is noticed at once, not when it is next told something.
    runner = web.AppRunner(
        app, access_log=None, shutdown_timeout=_GOODBYE_S, handler_cancellation=True
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await _listen(site, host, port)
        yield _url(host, site.port)
    finally:
        await runner.cleanup()


async def _listen(site: web.TCPSite, host: str, port: int) -> None:
    try:
        await site.start()
    except (OSError, UnicodeError) as exc:  # the latter for a host like ".."
        raise SettingsError(
            f"cannot listen on {host}:{port}: {_reason(exc)}; set http.host and http.port, "
            "or http.enabled = false"
        ) from exc


def _reason(error: OSError | UnicodeError) -> str:
    # asyncio's text is a paragraph; the error number says the same in three words. The numbers
    # of failed look-ups are negative and of another kind.
    number = error.errno if isinstance(error, OSError) else None
    if number is not None and number > 0:
        return os.strerror(number)
    return str(getattr(error, "strerror", None) or error)


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def _keep_to_ourselves(_request: web.Request, response: web.StreamResponse) -> None:
    """Say in each answer that no other site may load it, and that it is what it says it is."""
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")


# -- who may ask ---------------------------------------------------------------------------------


@web.middleware
async def _only_asked_by_our_names(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    hosts = request.headers.getall("Host", [])
    if len(hosts) == 1 and _is_loopback(_without_port(hosts[0])):
        return await handler(request)
    text = "ask for localhost, 127.0.0.1 or [::1]\n"
    return web.Response(status=_MISDIRECTED, text=text)


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    whole = not colon or host.endswith("]") or not port.isdecimal()
    return (host if whole else name).removeprefix("[").removesuffix("]")


def _is_loopback(host: str) -> bool:
    try:
        return host.lower() == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


# -- pages ---------------------------------------------------------------------------------------


def _application(
    health: Health,
    metrics: Metrics,
    explains: Explains | None,
    overview: Overview | None,
    monotonic: Callable[[], float],
) -> web.Application:
    started_s = monotonic()
    pages = ["/livez", "/readyz", "/metrics"]

    async def livez(_request: web.Request) -> web.Response:
        # That this runs at all shows that the loop turns.
        return web.Response(text="ok\n")

    async def readyz(_request: web.Request) -> web.Response:
        readiness = health.readiness()
        return _json(_told(readiness), status=200 if readiness.ready else 503)

    async def prometheus(request: web.Request) -> web.Response:
        body, content_type = metrics.render(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    def about() -> Mapping[str, object]:
        return {
            "name": "arbees-feed",
            "version": __version__,
            "uptime_s": round(monotonic() - started_s, 1),
            "pages": pages,
            **(_told(health.readiness()) | _covered(overview)),
        }

    async def status(_request: web.Request) -> web.Response:
        return _json(about())

    app = web.Application()
    app.router.add_get("/livez", livez)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", prometheus)
    if overview is None:
        app.router.add_get("/", status)
    else:
        pages += ["/events", "/markets?q=<text>", "/market/<market>"]
        StatusPage(overview, Listeners(overview, monotonic=monotonic), about).add_to(app)
    if explains is not None:
        pages.append("/explain/<market>")
        app.router.add_get("/explain/{market}", _explaining(explains))
    return app


def _explaining(explains: Explains) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def explain(request: web.Request) -> web.Response:
        market = request.match_info["market"]
        if not is_name(market):
            # What was asked for is not repeated: it may be anything.
            return _json({"error": "this is no market id"}, status=404)
        told = explains.explain(market)
        return _json(told.page, status=200 if told.found else 404)

    return explain


def _covered(overview: Overview | None) -> dict[str, object]:
    pairs = None if overview is None else overview.pairs()
    return {} if pairs is None else {"pairs": msgspec.structs.asdict(pairs)}


def _told(readiness: Readiness) -> dict[str, object]:
    missing = {name: redact_text(reason) for name, reason in readiness.missing.items()}
    return {"ready": readiness.ready, "missing": missing}


def _json(body: Mapping[str, object], status: int = 200) -> web.Response:
    text = json.dumps(body, indent=2, ensure_ascii=False) + "\n"
    # Health from a cache is worse than none.
    headers = {"Cache-Control": "no-store"}
    return web.Response(text=text, status=status, headers=headers, content_type="application/json")
