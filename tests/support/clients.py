"""Clients of simulated venues, and a venue of a test's own making."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from aiohttp import web

from arbees_feed.clients import (
    ClientOptions,
    KalshiClient,
    PolymarketClient,
    kalshi_credentials,
)
from arbees_feed.core.ratelimit import Rates
from arbees_feed.sim import SimServer

FAST = ClientOptions(timeout_s=5.0, rates=Rates(1e6, 1e6))
VENUES = ("kalshi", "polymarket")

Client = KalshiClient | PolymarketClient
NewClient = Callable[..., Client]


def client_of(sim: SimServer, venue: str, **more: Any) -> Client:
    """Return a client of a simulated venue, not opened yet."""
    grace_s = more.pop("stale_grace_s", FAST.stale_grace_s)
    more = {"options": msgspec.structs.replace(FAST, stale_grace_s=grace_s)} | more
    if venue == "kalshi":
        key = sim.credentials
        return KalshiClient(
            kalshi_credentials(key.api_key_id, key.private_key_pem),
            rest_url=sim.kalshi_rest_url,
            ws_url=sim.kalshi_ws_url,
            **more,
        )
    return PolymarketClient(
        gamma_url=sim.gamma_url,
        clob_url=sim.clob_url,
        data_url=sim.data_url,
        ws_url=sim.polymarket_ws_url,
        **more,
    )


def ids_of(sim: SimServer, venue: str) -> list[str]:
    """Return the ids of all markets of a venue."""
    return sim.kalshi_tickers if venue == "kalshi" else sim.polymarket_tokens


def now() -> datetime:
    """Return the time, a little ahead: what has just happened is before it."""
    return datetime.now(UTC) + timedelta(seconds=2)


class Peer:
    """A venue that answers what a test says, and remembers what it was asked."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[web.Request] = []
        self.answers: Callable[[web.Request], Awaitable[web.StreamResponse]] = self._nothing

    async def _nothing(self, _: web.Request) -> web.StreamResponse:
        return web.Response(status=404)

    def say(self, body: object, status: int = 200) -> None:
        """Answer everything with one body, JSON unless it is bytes."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()

        async def answer(_: web.Request) -> web.StreamResponse:
            return web.Response(body=data, status=status)

        self.answers = answer

    def say_in_turn(self, *bodies: object) -> None:
        """Answer one request after another; the last body again and again."""
        left = list(bodies)

        async def answer(_: web.Request) -> web.StreamResponse:
            body = left.pop(0) if len(left) > 1 else left[0]
            return web.json_response(body)

        self.answers = answer

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer a request."""
        self.asked.append(request)
        return await self.answers(request)
