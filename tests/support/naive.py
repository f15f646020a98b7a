"""The plainest book there is: what ours is compared with."""

from collections.abc import Iterable
from decimal import Decimal

from arbees_feed.core.book import BookState
from arbees_feed.core.model import ONE_CONTRACT, ONE_DOLLAR, Lots, Side, Ticks

Level = tuple[Ticks, Lots]


class NaiveBook:
    """Dollars and contracts as Decimals; everything is searched, nothing is kept in order."""

    def __init__(self) -> None:
        self.state = BookState.EMPTY
        self.sides: tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]] = ({}, {})

    def load(self, *told: Iterable[Level]) -> None:
        """A snapshot with an impossible level is no book."""
        self.sides = ({}, {})
        self.state = BookState.LIVE
        for held, levels in zip(self.sides, told, strict=True):
            for ticks, lots in levels:
                price, size = Decimal(ticks) / ONE_DOLLAR, Decimal(lots) / ONE_CONTRACT
                legal = size > 0 and 0 < price < 1 and price not in held
                if legal:
                    held[price] = size
                elif size != 0:
                    self.state = BookState.LOST

    def put(self, side: Side, ticks: Ticks, lots: Lots, *, relative: bool) -> None:
        """A negative size, or one at no possible price, ends the book; zero removes a level."""
        if self.state is not BookState.LIVE:
            return
        held, price = self.sides[side], Decimal(ticks) / ONE_DOLLAR
        size = Decimal(lots) / ONE_CONTRACT
        if relative:
            size += held.get(price, Decimal(0))
        if size == 0:
            held.pop(price, None)
        elif size > 0 and 0 < price < 1:
            held[price] = size
        else:
            self.state = BookState.LOST

    def top(self) -> tuple[Ticks, Lots, Ticks, Lots]:
        bids, asks = self.sides
        bid, ask = max(bids, default=Decimal(0)), min(asks, default=Decimal(1))
        return (
            int(bid * ONE_DOLLAR),
            int(bids.get(bid, Decimal(0)) * ONE_CONTRACT),
            int(ask * ONE_DOLLAR),
            int(asks.get(ask, Decimal(0)) * ONE_CONTRACT),
        )

    def levels(self) -> tuple[list[Level], list[Level]]:
        """Return both sides, the best level first."""
        bids, asks = (
            [(int(p * ONE_DOLLAR), int(s * ONE_CONTRACT)) for p, s in sorted(held.items())]
            for held in self.sides
        )
        return bids[::-1], asks
