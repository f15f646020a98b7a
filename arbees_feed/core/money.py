"""Exact decimal text to integers: prices in 1e-4 dollar, sizes in 1e-6 contract.

Never through float: 0.29 * 100 is 28.999999999999996, and a level that misses its own key stays
behind as a ghost.
"""

from typing import Final

from arbees_feed.core.model import ONE_DOLLAR, Lots, Ticks

PRICE_DECIMALS = 4
SIZE_DECIMALS = 6
_KEPT = 4_096
"""Texts of prices, and of sizes. Venues have a thousand prices or two in use at a time."""
_LONGEST = 32
_MOST_LOTS = 10**18
"""A million million contracts: more than was ever traded, and it fits into 64 bits."""


def scaled(text: str, decimals: int) -> int:
    """Return the number in *text* times 10**decimals.

    Raises:
        ValueError: *text* is not a plain decimal number, is finer than that, or is absurdly long.
    """
    if len(text) > _LONGEST:
        raise ValueError(f"{text[:_LONGEST]!r}... is no price and no size")
    whole, _, fraction = text.partition(".")
    extra = len(fraction) - decimals
    if extra > 0:
        if fraction[decimals:].strip("0"):
            raise ValueError(f"{text!r} is finer than {decimals} decimals")
        fraction = fraction[:decimals]
    digits = whole.removeprefix("-") + fraction
    if not (digits.isdecimal() and digits.isascii()):
        raise ValueError(f"{text!r} is not a decimal number")
    return int(whole + fraction + "0" * (decimals - len(fraction)))


def lots(text: str) -> Lots:
    """Return a size (or a signed change of one) in 1e-6 contract."""
    return scaled(text, SIZE_DECIMALS)


class TicksByText(dict[str, Ticks]):
    """Prices by their text, parsed once.

    Forgotten all at once when there are many, so that today's take the place of yesterday's, odd
    text cannot fill the memory, and memory is at its height within minutes.
    """

    def __missing__(self, text: str) -> Ticks:
        ticks = scaled(text, PRICE_DECIMALS)
        if not 0 <= ticks <= ONE_DOLLAR:
            raise ValueError(f"price {text!r} is not between 0 and 1 dollar")
        if len(self) >= _KEPT:
            self.clear()
        self[text] = ticks
        return ticks


class LotsByText(dict[str, Lots]):
    """Sizes by their text; the round ones come again and again. Forgotten as prices are."""

    def __missing__(self, text: str) -> Lots:
        size = scaled(text, SIZE_DECIMALS)
        if abs(size) > _MOST_LOTS:
            raise ValueError(f"{text!r} is no size")
        if len(self) >= _KEPT:
            self.clear()
        self[text] = size
        return size


TICKS: Final = TicksByText()
LOTS: Final = LotsByText()
"""Shared by all that read: what a text means is the same for everybody, and connections come and
go."""


def decimal_text(value: int, decimals: int) -> str:
    """Return value / 10**decimals (>= 0) in its shortest form: `0.5`, `300`, `219.217767`."""
    whole, fraction = divmod(value, 10**decimals)
    if not fraction:
        return str(whole)
    return f"{whole}.{fraction:0{decimals}d}".rstrip("0")
