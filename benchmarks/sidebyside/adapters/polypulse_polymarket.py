"""polypulse on Polymarket: books of floats, a callback for each token that a frame changes."""

import polypulse.feed
import tally


async def follow(job: tally.Job) -> None:
    """Count callbacks."""
    seen = tally.Tally(job.mark, timed=job.timed).seen
    polypulse.feed.WS_URL = f"ws://127.0.0.1:{job.port}/ws/market"
    feed = polypulse.feed.BookFeed(
        job.markets, lambda token, _event: seen(token), rest_fallback=False
    )
    await feed.run()


tally.run(follow)
