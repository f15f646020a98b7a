"""What a market of Polymarket charges takers, as Gamma tells it. Pure functions of one record.

`feesEnabled`, and beside it `feeSchedule {exponent, rate, takerOnly, rebateRate}`, which is null
or absent where there are no fees (recorded; docs.polymarket.com/trading/fees).
"""

import msgspec

from arbees_feed.core.decimals import checked_decimal
from arbees_feed.venues.polymarket.catalogue_messages import Market, Scalar, text

_MOST_RATE = 1
_MOST_EXPONENT = 100


class FeeSchedule(msgspec.Struct, frozen=True):
    """How the fee follows from price and size; rebates are the makers' affair."""

    rate: Scalar = None
    exponent: Scalar = None


_schedule = msgspec.json.Decoder(FeeSchedule | None)


def fee_fields(market: Market) -> tuple[dict[str, str], str]:
    """Return the fields of the market's hash, and what is wrong with what the venue told.

    A switch or a schedule that can't be read has no fields: half a schedule would be another one.
    """
    enabled = text(market.fees_enabled)
    if enabled not in ("", "true", "false"):
        return {}, f"feesEnabled {enabled[:40]!r}"
    fields = {"fees_enabled": enabled}
    try:
        return fields | _schedule_fields(bytes(market.fee_schedule)), ""
    except (ValueError, RecursionError) as exc:
        return fields, f"feeSchedule: {exc}"


def _schedule_fields(raw: bytes) -> dict[str, str]:
    """Return the fields of a schedule.

    Raises:
        ValueError, RecursionError: it can't be read.
    """
    schedule = _schedule.decode(raw or b"null")
    if schedule is None:
        return {}
    rate = checked_decimal(text(schedule.rate), _MOST_RATE)
    exponent = checked_decimal(text(schedule.exponent), _MOST_EXPONENT)
    return {"fee_rate": rate, "fee_exponent": exponent} if rate else {}
