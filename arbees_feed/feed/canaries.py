"""Which markets tell whether a connection is alive: those that move most."""

from collections.abc import Iterable, Iterator
from heapq import nsmallest
from itertools import islice
from typing import Final

from arbees_feed.core.model import MarketId
from arbees_feed.feed.market import Market
from arbees_feed.feed.markets import MarketTable
from arbees_feed.feed.patrol import is_on, watch_of
from arbees_feed.feed.session import Session

CANARIES: Final = 5
_SCANNED: Final = 1_000
"""Markets of a ticker connection that are looked through: all of a venue's take 20 ms."""


def canaries(
    table: MarketTable, session: Session, markets: Iterable[MarketId], now_s: float
) -> list[Market]:
    """Return a few markets to ask about; *markets* are those whose books the connection carries.

    Where it carries no book that is in step, they are markets that have their ticker from it.
    """
    books = [m for m in map(table.get, markets) if m is not None and is_on(m, session)]
    if books:
        return nsmallest(CANARIES, books, key=lambda market: watch_of(market, now_s).usual_s)
    return list(islice(_tickers(table, session), CANARIES))


def _tickers(table: MarketTable, session: Session) -> Iterator[Market]:
    """Yield those that it told last first; then others, for one that has told nothing yet.

    What REST answered also counts as a ticker of the connection.
    """
    recent = dict.fromkeys(reversed(session.recent))
    for market in map(table.get, recent):
        if market is not None and _has_ticker(market, session):
            yield market
    for market in islice(table, _SCANNED):
        if market.id not in recent and _has_ticker(market, session):
            yield market


def _has_ticker(market: Market, session: Session) -> bool:
    return market.ticker is not None and market.ticker_link is session
