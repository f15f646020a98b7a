"""What a taker pays, against the venues' own worked examples."""

from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arbees_feed.core.model import ONE_CONTRACT, ONE_DOLLAR
from arbees_feed.pairs.fees import DOLLAR, KalshiFees, PolymarketFees, fees_of


def dollars(money: int) -> Decimal:
    return Decimal(money) / DOLLAR


@pytest.mark.parametrize(
    ("contracts", "price", "fee"),
    [
        # Kalshi's fee schedule, table of general trading fees.
        (1, "0.01", "0.01"),
        (1, "0.50", "0.02"),
        (100, "0.01", "0.07"),
        (100, "0.05", "0.34"),
        (100, "0.10", "0.63"),
        (100, "0.25", "1.32"),
        (100, "0.50", "1.75"),
        (100, "0.75", "1.32"),
        (100, "0.90", "0.63"),
        (100, "0.95", "0.34"),
        (10, "0.50", "0.18"),
        # fee_rounding: 3 at $0.055: value 0.165, trade fee 0.0110, and 0.004 to the next cent.
        (3, "0.055", "0.015"),
    ],
)
def test_kalshi_charges_what_its_schedule_says(contracts: int, price: str, fee: str) -> None:
    ticks = int(Decimal(price) * ONE_DOLLAR)
    assert dollars(KalshiFees().taker(ticks, contracts * ONE_CONTRACT)) == Decimal(fee)


@pytest.mark.parametrize(
    ("rate", "exponent", "shares", "price", "fee"),
    [
        (0.05, 1, 100, "0.50", "1.25"),
        (0.05, 1, 100, "0.10", "0.45"),
        (0.03, 1, 100, "0.50", "0.75"),
        (0.07, 1, 1, "0.01", "0.00069"),
        (0.25, 2, 100, "0.50", "1.5625"),
        (0.0, 1, 100, "0.50", "0"),
    ],
)
def test_polymarket_charges_the_curve(
    rate: float, exponent: int, shares: int, price: str, fee: str
) -> None:
    fees = PolymarketFees(round(rate * 10**6), exponent)
    ticks = int(Decimal(price) * ONE_DOLLAR)
    assert dollars(fees.taker(ticks, shares * ONE_CONTRACT)) == Decimal(fee)


_PRICES = [1, *range(5, 100, 5), 99]
"""Cents: the rows of the tables on Polymarket's page."""
# docs.polymarket.com/trading/fees, "Fee Tables (100 Shares)", as copied in July to September 2026:
# dollars to two decimals, up to a price of 0.50; from there on the page repeats them backwards.
_TABLES = {
    "0.07": "0.07 0.33 0.63 0.89 1.12 1.31 1.47 1.59 1.68 1.73 1.75",  # Crypto
    "0.05": "0.05 0.24 0.45 0.64 0.80 0.94 1.05 1.14 1.20 1.24 1.25",  # Sports, Economics, ...
    "0.04": "0.04 0.19 0.36 0.51 0.64 0.75 0.84 0.91 0.96 0.99 1.00",  # Politics, Finance, ...
}


@pytest.mark.parametrize("rate", _TABLES)
def test_polymarket_charges_what_the_tables_of_its_page_say(rate: str) -> None:
    rising = [Decimal(fee) for fee in _TABLES[rate].split()]
    told, known = fees_of({"platform": "polymarket", "fees_enabled": "true", "fee_rate": rate})
    assert told is not None
    assert known
    for cents, fee in zip(_PRICES, [*rising, *reversed(rising[:-1])], strict=True):
        charged = dollars(told.taker(cents * ONE_DOLLAR // 100, 100 * ONE_CONTRACT))
        # The page shows 1.3125 as 1.31 and 0.6375 as 0.64.
        assert abs(charged - fee) <= Decimal("0.005"), cents


def test_polymarket_charged_what_was_seen_of_a_fill() -> None:
    """25 shares at $0.13 at a rate of 0.05 cost 3.39 by the balance, which has two decimals.

    Source: a fill of August 2026, github.com/Polymarket/py-clob-client-v2, issue 107.
    """
    fee = dollars(PolymarketFees(50_000).taker(1_300, 25 * ONE_CONTRACT))
    assert fee == Decimal("0.14138")
    assert round(25 * Decimal("0.13") + fee, 2) == Decimal("3.39")


def test_polymarket_charges_nothing_below_its_smallest_fee() -> None:
    """The same page: "The smallest fee charged is 0.00001", and what is smaller is none."""
    fees = PolymarketFees(40_000)
    # 0.04 x C x 0.01 x 0.99 is 0.000396 a share.
    assert dollars(fees.taker(100, 25_252)) == Decimal(0)
    assert dollars(fees.taker(100, 25_253)) == Decimal("0.00001")
    # 0.04 x 0.001 x 0.5 x 0.5 is the smallest fee itself.
    assert dollars(fees.taker(5_000, 1_000)) == Decimal("0.00001")


@given(st.integers(0, ONE_DOLLAR), st.integers(1, 10**12), st.sampled_from([35_000, 70_000]))
def test_kalshi_agrees_with_decimal_arithmetic(ticks: int, lots: int, rate_ppm: int) -> None:
    price, contracts = Decimal(ticks) / ONE_DOLLAR, Decimal(lots) / ONE_CONTRACT
    rate = Decimal(rate_ppm) / 10**6
    trade_fee = (rate * contracts * price * (1 - price)).quantize(Decimal("1e-4"), ROUND_CEILING)
    value = contracts * price
    fee = (value + trade_fee).quantize(Decimal("0.01"), ROUND_CEILING) - value
    assert dollars(KalshiFees(rate_ppm).taker(ticks, lots)) == fee


@given(st.integers(0, ONE_DOLLAR), st.integers(1, 10**10), st.integers(0, 250_000))
def test_polymarket_agrees_with_decimal_arithmetic(ticks: int, lots: int, rate_ppm: int) -> None:
    price, shares = Decimal(ticks) / ONE_DOLLAR, Decimal(lots) / ONE_CONTRACT
    fee = shares * Decimal(rate_ppm) / 10**6 * price * (1 - price)
    told = dollars(PolymarketFees(rate_ppm).taker(ticks, lots))
    step = Decimal("1e-5")
    assert told == (fee.quantize(step, ROUND_HALF_UP) if fee >= step else 0)


@pytest.mark.parametrize(
    ("meta", "fees", "told"),
    [
        ({"platform": "kalshi"}, KalshiFees(70_000), False),
        (
            {"platform": "kalshi", "fee_type": "quadratic", "fee_multiplier": "0.5"},
            KalshiFees(35_000),
            True,
        ),
        ({"platform": "kalshi", "fee_type": "quadratic_with_maker_fees", "fee_multiplier": "1"},
         KalshiFees(70_000), True),
        ({"platform": "kalshi", "fee_type": "flat", "fee_multiplier": "1"}, None, True),
        ({"platform": "kalshi", "fee_multiplier": "lots"}, KalshiFees(70_000), False),
        ({"platform": "kalshi", "fee_multiplier": "0.0001"}, KalshiFees(7), True),
        ({"platform": "kalshi", "fee_multiplier": "0.33333"}, KalshiFees(23_334), True),
        ({"platform": "kalshi", "fee_multiplier": "10001"}, KalshiFees(70_000), False),
        ({"platform": "polymarket"}, PolymarketFees(50_000), False),
        ({"platform": "polymarket", "fees_enabled": "false"}, PolymarketFees(0), True),
        ({"platform": "polymarket", "fees_enabled": "true", "fee_rate": "0.04"},
         PolymarketFees(40_000), True),
        ({"platform": "polymarket", "fee_rate": "0.25", "fee_exponent": "2"},
         PolymarketFees(250_000, 2), True),
        ({"platform": "polymarket", "fee_rate": "0.25", "fee_exponent": "1.5"}, None, True),
        ({"platform": "polymarket", "fee_rate": "0.05", "fee_exponent": "5"}, None, True),
        *[({"platform": "polymarket", "fee_rate": rate}, PolymarketFees(50_000), False)
          for rate in ("NaN", "-0.01", "1.01", "1e9", "0." + "0" * 50 + "1", "rate")],
    ],
)  # fmt: skip
def test_fees_are_taken_from_metadata(
    meta: dict[str, str], fees: KalshiFees | PolymarketFees | None, *, told: bool
) -> None:
    assert fees_of(meta) == (fees, told)
