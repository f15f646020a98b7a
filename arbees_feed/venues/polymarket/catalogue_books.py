"""Whole books as the CLOB's `POST /books` tells them, proved by their own hash. No I/O.

A body carries all that its hash covers, so it proves itself; caches between the exchange and us
have served torn and old ones (py-clob-client issue 180). An old body proves right as well: whoever
compares it looks at its time.
"""

from collections.abc import Iterable, Sequence

import msgspec

from arbees_feed.core.events import BookTold
from arbees_feed.core.model import ONE_DOLLAR, Lots, MarketId, Ticks
from arbees_feed.core.money import LOTS, TICKS
from arbees_feed.venues.polymarket.bookhash import HashedLevels, HashFacts
from arbees_feed.venues.polymarket.catalogue_messages import Scalar
from arbees_feed.venues.polymarket.changes import NS_PER_MS, unix_ms
from arbees_feed.venues.polymarket.checksum import RECIPE_TRIES, Recipe
from arbees_feed.venues.polymarket.messages import Level


class Book(msgspec.Struct, frozen=True):
    """A book with the facts of its market; facts of another type only cost it its proof."""

    asset_id: str
    market: str = ""
    timestamp: str = ""
    hash: str = ""
    bids: list[Level] | None = None
    asks: list[Level] | None = None
    min_order_size: Scalar = None
    tick_size: Scalar = None
    neg_risk: Scalar = None
    last_trade_price: Scalar = None


class BookReader:
    """Turns bodies into books; prices and sizes are parsed once for each text."""

    def __init__(self) -> None:
        self._ticks = TICKS
        self._lots = LOTS
        self._recipe = Recipe()

    def read(self, bodies: Iterable[Book]) -> tuple[list[BookTold], list[str]]:
        """Return the good books, and what is wrong with the others.

        While no hash has come out, or none for long, the recipe is not the venue's any more, and a
        wrong one says nothing.
        """
        judged = [(body, self._is_right(body)) for body in bodies]
        recipe = self._recipe
        trusted = recipe.proved and recipe.failed_in_a_row < RECIPE_TRIES
        books: list[BookTold] = []
        problems: list[str] = []
        for body, right in judged:
            if trusted and not right:
                problems.append(f"{body.asset_id[:80]}: not the book that its hash is of")
                continue
            try:
                books.append(self._told(body))
            except ValueError as exc:
                problems.append(f"{body.asset_id[:80]}: {exc}")
        return books, problems

    def _is_right(self, body: Book) -> bool:
        if not body.hash:
            return True
        bids, asks = body.bids or (), body.asks or ()
        levels = HashedLevels(body.market, body.asset_id, body.timestamp, bids, asks)
        size, tick_size = _text(body.min_order_size), _text(body.tick_size)
        facts = HashFacts(
            body.market, body.asset_id, tick_size, size, neg_risk=body.neg_risk is True
        )
        right = levels.finish(facts, _text(body.last_trade_price)) == body.hash
        self._recipe.told(right=right)
        return right

    def _told(self, body: Book) -> BookTold:
        return BookTold(
            MarketId(body.asset_id),
            self._levels(body.bids),
            self._levels(body.asks),
            unix_ms(body.timestamp or "0") * NS_PER_MS,
            in_step=False,
        )

    def _levels(self, side: Sequence[Level] | None) -> list[tuple[Ticks, Lots]]:
        levels = [(self._ticks[level.price], self._lots[level.size]) for level in side or ()]
        if any(size <= 0 or not 0 < price < ONE_DOLLAR for price, size in levels):
            raise ValueError("a level without size, or at no price that can be traded at")
        if len(dict(levels)) < len(levels):
            raise ValueError("two levels of one price")
        return levels


def _text(fact: Scalar) -> str:
    return fact if isinstance(fact, str) else ""
