"""synpath on Polymarket: its Rust core keeps the books and compares their best prices."""

import tally
from synpath.ws.base import BookEvent, StreamStatusEvent
from synpath.ws.polymarket import PolymarketMarketStream


async def follow(job: tally.Job) -> None:
    """Count book events, one for each token that a frame changes."""
    conditions = {yes: condition for yes, _, condition in job.pairs}
    seen = tally.Tally(f"polymarket:{conditions[job.mark]}", timed=job.timed).seen
    async with PolymarketMarketStream(url=f"ws://127.0.0.1:{job.port}/ws/market") as stream:
        await stream.watch_tokens(job.markets)
        async for event in stream:
            if isinstance(event, BookEvent):
                seen(event.market_id)
            elif isinstance(event, StreamStatusEvent) and event.state in ("gap", "error"):
                tally.trouble(event.detail)


tally.run(follow)
