"""What a taker pays at each venue, in whole numbers. Pure.

Amounts are units of 1e-10 dollar (one tick times one lot), so that nothing is rounded but what the
venue rounds: a float that is a hair too large would be rounded up by a whole cent.
"""

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Final, Protocol

import msgspec

from arbees_feed.core.decimals import checked_decimal
from arbees_feed.core.model import ONE_DOLLAR, Lots, Ticks
from arbees_feed.pairs.listings import KALSHI

DOLLAR: Final = 10**10
"""Units of money in a dollar."""
_CENT: Final = DOLLAR // 100
_CENTICENT: Final = DOLLAR // 10_000
_POLYMARKET_STEP: Final = DOLLAR // 100_000
_PPM: Final = 10**6
_MOST_RATE: Final = 1
_MOST_EXPONENT: Final = 4
_MOST_TIMES: Final = 10_000
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

    It is paid on top of what the shares cost. Less than $0.00001 is not charged. Which way the rest
    is rounded the venue does not say: to the nearest here, half a step up. Source:
    docs.polymarket.com/trading/fees; rate and exponent are the market's `feeSchedule`.
    """

    rate_ppm: int = 0
    exponent: int = 1

    def taker(self, price: Ticks, size: Lots) -> int:
        """Return the fee, in money, for buying *size* at *price*."""
        curve: int = (price * (ONE_DOLLAR - price)) ** self.exponent
        # size is 1e-6, rate 1e-6, curve 1e-8 to the power; a step of the fee is 1e-5 dollar.
        over = size * self.rate_ppm * curve
        under: int = _PPM * 10 * ONE_DOLLAR ** (2 * self.exponent)
        if over < under:
            return 0
        return (2 * over + under) // (2 * under) * _POLYMARKET_STEP


def fees_of(meta: Mapping[str, str]) -> tuple[Fees | None, bool]:
    """Return the fees of a market by its `market:<id>:meta`, and whether the venue has told them.

    None: the venue told a kind of fee whose formula is not known, so that no cost can be named.
    A market of which nothing is told gets what most markets of the venue charge.
    """
    if meta.get("platform") == KALSHI:
        return _kalshi(meta)
    return _polymarket(meta)


def _kalshi(meta: Mapping[str, str]) -> tuple[Fees | None, bool]:
    kind = meta.get("fee_type", "")
    multiplier = _number(meta.get("fee_multiplier", ""), _MOST_TIMES)
    if kind and not kind.startswith("quadratic"):
        return None, True
    if multiplier is None:
        return KalshiFees(), False
    return KalshiFees(_ppm(_KALSHI_RATE * multiplier)), True


def _polymarket(meta: Mapping[str, str]) -> tuple[Fees | None, bool]:
    if meta.get("fees_enabled") == "false":
        return PolymarketFees(0), True
    rate = _number(meta.get("fee_rate", ""), _MOST_RATE)
    exponent = _number(meta.get("fee_exponent", "") or "1", _MOST_EXPONENT)
    if rate is None:
        # Half of the venue's categories; the highest of them is 0.07.
        return PolymarketFees(50_000), False
    if exponent is None or exponent != int(exponent):
        return None, True
    return PolymarketFees(_ppm(rate), int(exponent)), True


def _number(text: str, most: int) -> Decimal | None:
    """Return a number from 0 to *most*, or None."""
    try:
        return Decimal(checked_decimal(text, most)) if text else None
    except ValueError:
        return None


def _ppm(rate: Decimal) -> int:
    """Return a rate in millionths, and never less than it is: no cost is told too low."""
    return math.ceil(rate * _PPM)


def _up(over: int, under: int) -> int:
    return -(-over // under)
