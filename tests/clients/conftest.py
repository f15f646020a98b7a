"""Simulated venues that stand still with a history, and clients of them."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from support.clients import FAST, VENUES, Client, Peer, client_of

from arbees_feed.clients import KalshiClient, PolymarketClient
from arbees_feed.sim import SimConfig, SimServer


@pytest.fixture
async def sim() -> AsyncIterator[SimServer]:
    """Twelve markets a venue that have traded and now stand still."""
    config = SimConfig(
        seed=5, kalshi_markets=12, polymarket_markets=12, trade_share=0.4, empty_share=0.0
    )
    async with SimServer(config) as server:
        server.pause()
        server.step(1500)
        await server.drained()
        yield server


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    """What tests open, closed in turn."""
    async with AsyncExitStack() as opened:
        yield opened


@pytest.fixture(params=VENUES)
def venue(request: pytest.FixtureRequest) -> str:
    """Each venue in turn."""
    return str(request.param)


@pytest.fixture
async def client(sim: SimServer, venue: str, stack: AsyncExitStack) -> Client:
    """An open client of each venue in turn."""
    return await stack.enter_async_context(client_of(sim, venue))


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    """A venue of the test's own making."""
    peer = Peer()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", peer.handle)
    async with TestServer(app) as server:
        peer.url = str(server.make_url("")).rstrip("/")
        yield peer


@pytest.fixture
async def peer_client(peer: Peer, venue: str, stack: AsyncExitStack) -> Client:
    """A client of each venue in turn, pointed at the test's own."""
    client: Client
    if venue == "kalshi":
        client = KalshiClient(rest_url=peer.url, options=FAST)
    else:
        url = peer.url
        client = PolymarketClient(gamma_url=url, clob_url=url, data_url=url, options=FAST)
    return await stack.enter_async_context(client)
