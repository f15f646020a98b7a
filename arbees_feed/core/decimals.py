"""Numbers that are passed on as text, as a venue wrote them. Pure."""

from decimal import Decimal, InvalidOperation

_LONGEST = 40


def checked_decimal(text: str, most: int) -> str:
    """Return *text* if it is a number from 0 to *most*, or empty.

    Raises:
        ValueError: it is something else; the message shows it.
    """
    try:
        number = Decimal(text or "0") if len(text) <= _LONGEST else Decimal("NaN")
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or not 0 <= number <= most:
        raise ValueError(f"{text[:_LONGEST]!r} is not a number from 0 to {most}")
    return text
