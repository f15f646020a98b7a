"""Integers of the world and the texts the venues make of them.

Inside, a price is an integer of 1/10,000 dollar and a size one of 1/1,000,000 contract.
"""

PRICE_SCALE = 10_000
SIZE_SCALE = 1_000_000
HUNDREDTH = SIZE_SCALE // 100  # Kalshi's smallest count, 0.01 contracts

_FIXED = [f"{price / PRICE_SCALE:.4f}" for price in range(PRICE_SCALE + 1)]
_MINIMAL = [text.rstrip("0").rstrip(".") for text in _FIXED]


def dollars(price: int) -> str:
    """Return the price as Kalshi writes it, with four decimals."""
    return _FIXED[price]


def count(size: int) -> str:
    """Return the count as Kalshi writes it: signed, two decimals."""
    hundredths = size // HUNDREDTH
    if hundredths < 0:
        return f"-{-hundredths // 100}.{-hundredths % 100:02d}"
    return f"{hundredths // 100}.{hundredths % 100:02d}"


def minimal_price(price: int) -> str:
    """Return the price as Polymarket writes it, without trailing zeros."""
    return _MINIMAL[price]


def minimal_size(size: int) -> str:
    """Return the size as Polymarket writes it: up to six decimals, none needlessly."""
    whole, fraction = divmod(size, SIZE_SCALE)
    if not fraction:
        return str(whole)
    return f"{whole}.{fraction:06d}".rstrip("0")


def padded_price(price: int | None) -> str:
    """Return a last trade price as Polymarket hashes it: three decimals, or nothing."""
    if price is None:
        return ""
    if price % 10:
        return _MINIMAL[price]
    return f"{price / PRICE_SCALE:.3f}"
