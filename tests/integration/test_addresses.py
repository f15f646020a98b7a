"""Several addresses of one venue: the next one is tried when one fails, in whatever way."""

import aiohttp
import pytest
from aiohttp import web
from support.feed import reading, running, settings_for

from arbees_feed.sim import SimServer

pytestmark = pytest.mark.timeout(60)


async def test_an_address_that_lets_in_and_closes_at_once_is_left(
    sim: SimServer, redis_url: str
) -> None:
    """A host in maintenance does that: the upgrade works, and nothing ever comes."""
    visits = 0

    async def let_in_and_close(request: web.Request) -> web.WebSocketResponse:
        nonlocal visits
        visits += 1
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.close(code=aiohttp.WSCloseCode.TRY_AGAIN_LATER, message=b"maintenance")
        return socket

    app = web.Application()
    app.router.add_get("/{path:.*}", let_in_and_close)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    both = f"ws://127.0.0.1:{site.port}/trade-api/ws/v2,{sim.kalshi_ws_url}"
    settings = settings_for(sim, redis_url, kalshi__ws_url=both, polymarket__enabled="false")
    try:
        async with reading(redis_url) as reader, running(settings):
            await reader.until(lambda: reader.all_are("live", list(sim.kalshi_tickers)))
    finally:
        await runner.cleanup()
    assert visits >= 1
