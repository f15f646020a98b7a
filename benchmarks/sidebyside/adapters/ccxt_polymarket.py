"""ccxt's prediction client for Polymarket: one loop an outcome round `watch_order_book`."""

import asyncio
from typing import Any

import ccxt.prediction
import tally


class Polymarket(ccxt.prediction.polymarket):
    """Takes token ids for outcomes, so that nothing is asked of REST."""

    async def load_outcome(self, outcomeSymbol: Any, *_: Any) -> Any:  # noqa: N803
        """Return an outcome named as its token."""
        return {"outcomeId": outcomeSymbol, "outcome": outcomeSymbol}

    def token_id_to_symbol(self, tokenId: Any) -> Any:  # noqa: N803
        """Return the token."""
        return tokenId

    def safe_outcome(self, outcomeIdOrSymbol: Any, *_: Any) -> Any:  # noqa: N803
        """Return an outcome named as its token."""
        return {"outcomeId": outcomeIdOrSymbol, "market": outcomeIdOrSymbol}


async def follow(job: tally.Job) -> None:
    """Count the books that `watch_order_book` returns: the newest, not one for each change."""
    seen = tally.Tally(job.mark, timed=job.timed).seen
    venue = Polymarket({"enableRateLimit": False})
    venue.urls["api"]["ws"] = f"ws://127.0.0.1:{job.port}/ws/market"

    async def watch(token: str) -> None:
        while True:
            await venue.watch_order_book(token)
            seen(token)

    async with asyncio.TaskGroup() as group:
        for token in job.markets:
            group.create_task(watch(token))


tally.run(follow)
