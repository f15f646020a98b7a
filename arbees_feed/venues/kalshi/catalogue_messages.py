"""Kalshi's REST records, field for field; the shapes of the generated client 3.34 (Oct 2026).

Only the identity of a record is required. Facts that may be missing or null are None, and those
whose type nobody needs to know are `Raw` or `Scalar`, so that one of them cannot cost the record.
"""

import msgspec

Scalar = str | int | float | bool | None


class PriceRange(msgspec.Struct, frozen=True):
    """A band of legal prices, in dollars."""

    step: str


class Market(msgspec.Struct, frozen=True):
    """A market as `/markets` and nested in `/events`; most of a lifecycle `created` fits too."""

    ticker: str
    event_ticker: str | None = None
    title: str | None = None
    subtitle: str | None = None
    yes_sub_title: str | None = None
    no_sub_title: str | None = None
    status: str | None = None
    open_time: str | None = None
    close_time: str | None = None
    price_ranges: list[PriceRange] | None = None
    volume_fp: Scalar = None
    market_type: Scalar = None
    result: Scalar = None
    rules_primary: Scalar = None
    rules_secondary: Scalar = None
    strike_type: Scalar = None
    floor_strike: Scalar = None
    cap_strike: Scalar = None
    functional_strike: Scalar = None
    exchange_index: Scalar = None
    price_level_structure: Scalar = None
    expected_expiration_time: Scalar = None
    occurrence_datetime: Scalar = None
    expiration_value: Scalar = None
    settlement_value_dollars: Scalar = None
    mve_collection_ticker: Scalar = None
    custom_strike: msgspec.Raw = msgspec.Raw()
    mve_selected_legs: msgspec.Raw = msgspec.Raw()


class Event(msgspec.Struct, frozen=True):
    """An event, with its markets when they were asked for."""

    event_ticker: str
    series_ticker: str | None = None
    title: str | None = None
    sub_title: str | None = None
    category: str | None = None
    strike_date: str | None = None
    strike_period: Scalar = None
    mutually_exclusive: Scalar = None
    exchange_index: Scalar = None
    product_metadata: msgspec.Raw = msgspec.Raw()
    fee_type_override: Scalar = None
    fee_multiplier_override: Scalar = None
    markets: list[msgspec.Raw] | None = None


class EventAnswer(msgspec.Struct, frozen=True):
    """The answer of `/events/{ticker}`; the outer `markets` is the deprecated form."""

    event: msgspec.Raw
    markets: list[msgspec.Raw] | None = None


def text(value: Scalar) -> str:
    """Return a JSON scalar as text; absent, null and empty are the same."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    # 100.0 and 100 are one strike.
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)


def compact(raw: msgspec.Raw) -> str:
    """Return a JSON value as its shortest text; absent, null and empty objects are the same."""
    body = bytes(raw)
    if not body or body == b"null":
        return ""
    try:
        shortest = msgspec.json.format(body, indent=-1).decode()
    except (msgspec.DecodeError, RecursionError):
        return ""
    return "" if shortest in ("{}", "[]", '""') else shortest
