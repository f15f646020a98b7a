"""What a taker pays at each venue. Pure.

All amounts are dollars, as Decimal: fees are rounded up, and a float that is a hair too large would
be rounded up by a whole step. Rates change; both venues tell theirs by market, and
`games.toml` may set them (`[fees]`).
"""

from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal

import msgspec

ONE = Decimal(1)
CENT = Decimal("0.01")
CENTICENT = Decimal("0.0001")
POLYMARKET_STEP = Decimal("0.00001")


class Fees(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rates of both venues."""

    kalshi_rate: Decimal = Decimal("0.07")
    """Kalshi: 0.07 for most series, times the series' `fee_multiplier`."""
    polymarket_rate: Decimal = Decimal("0.05")
    """Polymarket: `feeSchedule.rate` of the market, which differs by category (0.03 was seen for
    games, 0.07 for crypto); 0 where `feesEnabled` is false. This is on the safe side for games."""


def taker_fee(platform: str, contracts: Decimal, price: Decimal, fees: Fees) -> Decimal:
    """Return what buying *contracts* at *price* (0 to 1) costs beside the price.

    The price is that of the side that is bought: YES at `yes_ask`, NO at `no_ask`.

    Raises:
        ValueError: the fees of *platform* are not known.
    """
    match platform:
        case "kalshi":
            return kalshi_taker_fee(contracts, price, fees.kalshi_rate)
        case "polymarket":
            return polymarket_taker_fee(contracts, price, fees.polymarket_rate)
        case _:
            raise ValueError(f"no fees are known for {platform!r}")


def kalshi_taker_fee(contracts: Decimal, price: Decimal, rate: Decimal) -> Decimal:
    """Return rate x C x P x (1 - P), rounded up twice.

    The trade fee is rounded up to $0.0001; then what leaves the account, price and fee together, is
    rounded up to a whole cent. An order that is filled in parts pays no more: the venue pays back
    what rounding took too often.

    Source: Kalshi's fee schedule (kalshi.com/docs/kalshi-fee-schedule.pdf: 0.07 x C x P x (1 - P))
    and docs.kalshi.com/getting_started/fee_rounding.
    """
    value = contracts * price
    trade_fee = (rate * value * (ONE - price)).quantize(CENTICENT, ROUND_CEILING)
    return (value + trade_fee).quantize(CENT, ROUND_CEILING) - value


def polymarket_taker_fee(shares: Decimal, price: Decimal, rate: Decimal) -> Decimal:
    """Return C x rate x p x (1 - p), rounded to five decimals.

    Source: docs.polymarket.com/trading/fees.
    """
    return (shares * rate * price * (ONE - price)).quantize(POLYMARKET_STEP, ROUND_HALF_UP)
