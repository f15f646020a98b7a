"""What a taker pays at each venue, in whole numbers. Pure.

Amounts are units of 1e-10 dollar (one tick times one lot), so that nothing is rounded but what the
venue rounds: a float that is a hair too large would be rounded up by a whole cent.
"""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Final, Protocol

import msgspec

from arbees_feed.core.model import ONE_DOLLAR, Lots, Ticks

DOLLAR: Final = 10**10
"""Units of money in a dollar."""
_CENT: Final = DOLLAR // 100
_CENTICENT: Final = DOLLAR // 10_000
_POLYMARKET_STEP: Final = DOLLAR // 100_000
_PPM: Final = 10**6
_MOST_EXPONENT: Final = 4
_KALSHI_RATE: Final = Decimal("0.07")


class Fees(Protocol):
    """What one market charges a taker."""

    def taker(self, price: Ticks, size: Lots) -> int:
        """Return the fee, in money, for buying *size* at *price* (of the side that is bought)."""


class KalshiFees(msgspec.Struct, frozen=True):
    """rate x C x P x (1 - P), rounded up to $0.0001; then the whole payment up to a cent.

    An order that is filled in parts pays no more: the venue pays back what rounding took too often.
    Source: Kalshi's fee schedule (0.07 for most series, times the series' `fee_multiplier`) and
    docs.kalshi.com/getting_started/fee_rounding.
    """

    rate_ppm: int = 70_000

    def taker(self, price: Ticks, size: Lots) -> int:
        """Return the fee, in money, for buying *size* at *price*."""
        value = price * size
        fee = _up(self.rate_ppm * value * (ONE_DOLLAR - price), _PPM * ONE_DOLLAR * _CENTICENT)
        return _up(value + fee * _CENTICENT, _CENT) * _CENT - value


class PolymarketFees(msgspec.Struct, frozen=True):
    """C x rate x (p x (1 - p)) ^ exponent, rounded to five decimals; 0 where fees are off.

    Source: docs.polymarket.com/trading/fees; rate and exponent are the market's `feeSchedule`.
    """

    rate_ppm: int = 0
    exponent: int = 1

    def taker(self, price: Ticks, size: Lots) -> int:
        """Return the fee, in money, for buying *size* at *price*."""
        curve: int = (price * (ONE_DOLLAR - price)) ** self.exponent
        # size is 1e-6, rate 1e-6, curve 1e-8 to the power; a step of the fee is 1e-5 dollar.
        over = size * self.rate_ppm * curve
        under: int = _PPM * 10 * ONE_DOLLAR ** (2 * self.exponent)
        return (2 * over + under) // (2 * under) * _POLYMARKET_STEP


def fees_of(meta: Mapping[str, str]) -> tuple[Fees | None, bool]:
    """Return the fees of a market by its `market:<id>:meta`, and whether the venue has told them.

    None: the venue told a kind of fee whose formula is not known, so that no cost can be named.
    A market of which nothing is told gets what most markets of the venue charge.
    """
    if meta.get("platform") == "kalshi":
        return _kalshi(meta)
    return _polymarket(meta)


def _kalshi(meta: Mapping[str, str]) -> tuple[Fees | None, bool]:
    kind, multiplier = meta.get("fee_type", ""), _number(meta.get("fee_multiplier", ""))
    if kind and not kind.startswith("quadratic"):
        return None, True
    if multiplier is None:
        return KalshiFees(), False
    return KalshiFees(int(_KALSHI_RATE * multiplier * _PPM)), True


def _polymarket(meta: Mapping[str, str]) -> tuple[Fees | None, bool]:
    if meta.get("fees_enabled") == "false":
        return PolymarketFees(0), True
    rate = _number(meta.get("fee_rate", ""))
    exponent = _number(meta.get("fee_exponent", "") or "1")
    if rate is None:
        # Half of the venue's categories; the highest of them is 0.07.
        return PolymarketFees(50_000), False
    if exponent is None or exponent != int(exponent) or exponent > _MOST_EXPONENT:
        return None, True
    return PolymarketFees(int(rate * _PPM), int(exponent)), True


def _number(text: str) -> Decimal | None:
    """Return a number that is not negative, or None."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() and 0 <= number <= ONE_DOLLAR else None


def _up(over: int, under: int) -> int:
    return -(-over // under)
