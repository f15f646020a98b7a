"""synpath on Kalshi: its Rust core reads frames and keeps the books."""

import tally
from synpath.trading.credentials import KalshiCredentials
from synpath.ws.base import BookEvent, StreamStatusEvent
from synpath.ws.kalshi import PATH, KalshiStream


async def follow(job: tally.Job) -> None:
    """Count book events; each has the book's new best bid and ask."""
    seen = tally.Tally(f"kalshi:{job.mark}", timed=job.timed).seen
    credentials = KalshiCredentials("bench", job.key.encode(), "prod")
    async with KalshiStream(credentials, url=f"ws://127.0.0.1:{job.port}{PATH}") as stream:
        await stream.watch_order_book([f"kalshi:{market}" for market in job.markets])
        async for event in stream:
            if isinstance(event, BookEvent):
                seen(event.market_id)
            elif isinstance(event, StreamStatusEvent) and event.state in ("gap", "error"):
                tally.trouble(event.detail)


tally.run(follow)
