"""What a token's frames must have in common: its tick, and its mirror image in the other token.

Pure. The books of a market's two tokens are one book seen twice, so each change names both: a bid
for YES at p is an ask for NO at 1 - p, of the same size (recorded: 216 of 216 frames in October
2026, and every price_change of the older recordings).
"""

from collections.abc import Iterable, Sequence
from math import gcd
from typing import Final

from arbees_feed.core.model import ONE_DOLLAR, Lots, MarketId, Ticks
from arbees_feed.core.money import PRICE_DECIMALS, TICKS, LotsByText, TicksByText, decimal_text
from arbees_feed.venues.polymarket.bookhash import HashFacts
from arbees_feed.venues.polymarket.joining import Join
from arbees_feed.venues.polymarket.messages import Change

ANY_PRICE: Final = 1
"""A grid that every price is on."""
_STRIKES: Final = 2
_KEPT: Final = 4_096
_NO_PRICE: Final = "?"
_OTHER_SIDE: Final = {"BUY": "SELL", "SELL": "BUY"}


class Member:
    """A token of this connection, and what the venue last said of its book."""

    __slots__ = (
        "at_s",
        "condition",
        "facts",
        "failed_since_s",
        "failures",
        "grid",
        "hash",
        "join",
        "last",
        "market",
        "mirror_due_s",
        "opened_s",
        "refuted",
        "searched",
        "since_ms",
        "strikes",
        "trade_price",
        "traded",
    )

    def __init__(self, market: MarketId) -> None:
        self.market = market
        self.condition = ""
        self.mirror_due_s = 0.0
        """Until then, no further renewal for a broken mirror."""
        self.strikes = 0
        """Renewals because of prices off the grid."""
        self.facts: HashFacts | None = None
        self.trade_price = ""
        """The last trade price with which a hash came out."""
        self.traded = ""
        """The price of the last trade told."""
        self.refuted = ""
        """The last hash that did not come out."""
        self.forget_book()

    def forget_book(self) -> None:
        """Expect an opening book: what was told until now is of a book that goes."""
        self.since_ms = 0
        """Time of the newest state of the book; 0 before the opening book."""
        self.opened_s = 0.0
        """When the opening book came, by the last tick."""
        self.at_s = 0.0
        """When that state came, by the last tick."""
        self.hash = ""
        """Hash of the newest whole book."""
        self.last: Change | None = None
        """The change that came after it last, if any."""
        self.join: Join | None = None
        self.grid: Ticks = ANY_PRICE
        self.failures = 0
        self.failed_since_s = 0.0
        self.searched: tuple[str, float] | None = None

    def told_hash(self) -> str:
        """Return the hash that the venue told of the newest state; empty: none."""
        return self.hash if self.last is None else self.last.hash

    def set_grid(self, tick_size: str, prices: Iterable[Ticks]) -> bool:
        """Take the tick that an opening book tells; return whether its own prices are on it.

        A book off its own grid is not judged by it, nor is a token that was off it too often.
        """
        grid = ticks_of(tick_size)
        fits = on_grid(grid, prices)
        self.grid = grid if fits and self.strikes < _STRIKES else ANY_PRICE
        return fits

    def refine_grid(self, tick_size: str) -> None:
        """Take a changed tick; levels of the old one may stand beside those of the new."""
        self.grid = gcd(self.grid, ticks_of(tick_size))


def ticks_of(tick_size: str) -> Ticks:
    """Return a tick size; one that says nothing allows any price."""
    try:
        return TICKS[tick_size] or ANY_PRICE
    except ValueError:
        return ANY_PRICE


def on_grid(grid: Ticks, prices: Iterable[Ticks]) -> bool:
    """Tell whether all prices are multiples of the tick."""
    return gcd(grid, *prices) == grid


class Mirror:
    """Compares the two halves of a change; prices are read once for each text."""

    def __init__(self, ticks: TicksByText, lots: LotsByText) -> None:
        self._ticks = ticks
        self._lots = lots
        self._others = _OtherPrices(ticks)

    def holds(self, changes: Sequence[Change]) -> bool:
        """Tell whether the entries of a frame mirror each other, where it names two tokens.

        A frame of one token, or without best prices, has nothing to compare. Never raises.
        """
        if len(changes) == 2:  # noqa: PLR2004 - a pair, as nearly always
            first, second = changes
            others = self._others
            if (
                others[first.price] == second.price
                and first.size == second.size
                and _OTHER_SIDE.get(first.side) == second.side
                and others[first.best_bid or ""] == second.best_ask
                and others[first.best_ask or ""] == second.best_bid
            ):
                return True
        return self._holds_by_value(changes)

    def image(self, change: Change, token: str) -> Change:
        """Return the same change as an entry of the other token, without a hash.

        A price or side that can't be read stays unreadable.
        """
        others = self._others
        return Change(
            price=others[change.price],
            size=change.size,
            side=_OTHER_SIDE.get(change.side, change.side),
            asset_id=token,
            best_bid=others[change.best_ask or ""],
            best_ask=others[change.best_bid or ""],
        )

    def _holds_by_value(self, changes: Sequence[Change]) -> bool:
        """Compare numbers: the texts of a price may differ, and a best price may be left out."""
        tokens = dict.fromkeys(change.asset_id for change in changes)
        if len(tokens) != 2:  # noqa: PLR2004 - as above
            return len(tokens) < 2  # noqa: PLR2004 - as above
        ours, other = tokens
        try:
            seen = [self._value(change) for change in changes if change.asset_id == ours]
            images = [
                self._value(self.image(change, ours))
                for change in changes
                if change.asset_id == other
            ]
        except (ValueError, KeyError):
            return False
        return len(seen) == len(images) and all(
            one[:3] == two[:3] and _same(one[3], two[3]) and _same(one[4], two[4])
            for one, two in zip(_sorted(seen), _sorted(images), strict=True)
        )

    def _value(self, change: Change) -> "_Value":
        best_bid, best_ask = change.best_bid, change.best_ask
        return (
            self._ticks[change.price],
            self._lots[change.size],
            _OTHER_SIDE[change.side],
            self._ticks[best_bid] if best_bid else None,
            self._ticks[best_ask] if best_ask else None,
        )


_Value = tuple[Ticks, Lots, str, Ticks | None, Ticks | None]


def _sorted(values: list[_Value]) -> list[_Value]:
    return sorted(values, key=lambda value: value[:3])


def _same(one: Ticks | None, two: Ticks | None) -> bool:
    return one is None or two is None or one == two


class _OtherPrices(dict[str, str]):
    """The text of 1 - p by the text of p; what is no price has an image that is none."""

    def __init__(self, ticks: TicksByText) -> None:
        super().__init__({"": ""})
        self._ticks = ticks

    def __missing__(self, text: str) -> str:
        try:
            other = decimal_text(ONE_DOLLAR - self._ticks[text], PRICE_DECIMALS)
        except ValueError:
            return _NO_PRICE
        if len(self) >= _KEPT:
            self.clear()
            self[""] = ""
        self[text] = other
        return other
