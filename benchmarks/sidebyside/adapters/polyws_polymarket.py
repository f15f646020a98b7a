"""polyws on Polymarket: typed events by orjson, books as lists of texts."""

import asyncio
from typing import Any

import polyws.manager
import tally
from polyws.types import WebSocketHandlers


async def follow(job: tally.Job) -> None:
    """Count frames handed to the callbacks."""
    seen = tally.Tally(job.mark, timed=job.timed).seen

    async def on_book(events: list[Any]) -> None:
        for event in events:
            seen(event.asset_id)

    async def on_price_change(events: list[Any]) -> None:
        for event in events:
            seen(event.price_changes[0].asset_id)

    async def on_error(error: Exception) -> None:
        tally.trouble(error)

    polyws.manager.CLOB_WSS_URL = f"ws://127.0.0.1:{job.port}/ws/market"
    manager = polyws.manager.WSSubscriptionManager(
        WebSocketHandlers(on_book=on_book, on_price_change=on_price_change, on_error=on_error)
    )
    await manager.add_subscriptions(job.markets)
    await asyncio.Event().wait()


tally.run(follow)
