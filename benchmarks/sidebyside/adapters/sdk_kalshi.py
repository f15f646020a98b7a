"""kalshi-sdk: numbered frames are checked and its books kept; frames are read by orjson."""

import logging
from typing import Any

import orjson
import tally
from kalshi.auth import KalshiAuth
from kalshi.config import KalshiConfig
from kalshi.ws.client import KalshiWebSocket
from pydantic import ValidationError

QUEUE = 1_000_000
"""The default of 1,000 ends the session in a burst."""


class Refused(logging.Handler):
    """Ends the client when it refuses a frame: it would ask for the same book again, for ever."""

    def emit(self, record: logging.LogRecord) -> None:
        """Look for the error of a frame."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, ValidationError):
            first = error.errors()[0]
            tally.give_up(f"it refuses a frame: {'.'.join(map(str, first['loc']))}: {first['msg']}")
        elif error:
            tally.give_up(f"it refuses a frame: {error}")


def best(book: Any) -> tuple[Any, Any]:
    """Return the best bids for YES and NO."""
    return book.yes[-1].price if book.yes else None, book.no[-1].price if book.no else None


async def follow(job: tally.Job) -> None:
    """Count book messages, each handed over after the book has it.

    A job of kind `best` reads the best prices, as its iterator over one market's books does.
    """
    seen = tally.Tally(job.mark, timed=job.timed).seen
    config = KalshiConfig(
        base_url=f"http://127.0.0.1:{job.port}/trade-api/v2",
        ws_base_url=f"ws://127.0.0.1:{job.port}/trade-api/ws/v2",
        ws_json_loads=orjson.loads,
    )
    logging.getLogger("kalshi.ws").addHandler(Refused())
    auth = KalshiAuth.from_pem("bench", job.key)
    client = KalshiWebSocket(auth, config)
    async with client.connect() as session:
        books = await session.subscribe_orderbook_delta(tickers=job.markets, maxsize=QUEUE)
        book = client._orderbook_mgr.get  # type: ignore[union-attr]
        async for message in books:
            if job.kind == "best":
                best(book(message.msg.market_ticker))
            seen(message.msg.market_ticker)


tally.run(follow)
