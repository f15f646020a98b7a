"""polymarket-client, the venue's own: typed events, no book."""

import tally
from polymarket._internal.streams.clob.market import ClobMarketStreamManager
from polymarket.models.clob.market_events import MarketPriceChangeEvent

QUEUE = 1_000_000
"""The default of 1,024 drops the oldest in a burst."""


async def follow(job: tally.Job) -> None:
    """Count events; a price change tells both tokens of a market."""
    seen = tally.Tally(job.mark, timed=job.timed).seen
    url = f"ws://127.0.0.1:{job.port}/ws/market"
    async with ClobMarketStreamManager(url=url, queue_size=QUEUE) as manager:
        events = await manager.subscribe(token_ids=job.markets)
        async for event in events:
            if isinstance(event, MarketPriceChangeEvent):
                seen(event.payload.price_changes[0].token_id)
            else:
                seen(event.payload.token_id)  # type: ignore[union-attr]
            if events.dropped:
                tally.trouble(f"{events.dropped} events dropped")


tally.run(follow)
