"""pykalshi: an OrderbookManager a market, kept by the user's code as its documentation shows."""

from types import SimpleNamespace
from typing import Any

import tally
from pykalshi.afeed import AsyncFeed
from pykalshi.orderbook import OrderbookManager

UNSIGNED = SimpleNamespace(
    api_base="http://127.0.0.1", api_key_id="bench", _sign_request=lambda *_: ("0", "unsigned")
)
"""In place of its REST client, of which the feed wants a signature only."""


def best(book: OrderbookManager) -> tuple[str | None, str | None]:
    """Return the best prices."""
    return book.best_bid, book.best_ask


async def follow(job: tally.Job) -> None:
    """Count messages once they are in the book; a job of kind `best` reads the best prices."""
    with_best = job.kind == "best"
    seen = tally.Tally(job.mark, timed=job.timed).seen
    books = {market: OrderbookManager(market) for market in job.markets}

    def handle(message: Any) -> None:
        market = message.market_ticker
        if hasattr(message, "yes_dollars"):
            books[market].apply_snapshot(message.yes_dollars, message.no_dollars)
        else:
            books[market].apply_delta(message.side, message.price_dollars, message.delta_fp)
        if with_best:
            best(books[market])
        seen(market)

    feed = AsyncFeed(UNSIGNED)  # type: ignore[arg-type]
    feed._ws_url = f"ws://127.0.0.1:{job.port}/trade-api/ws/v2"
    feed.on("orderbook_delta", handle)
    feed.subscribe("orderbook_delta", market_tickers=job.markets)
    async for _ in feed:
        pass


tally.run(follow)
