"""Gamma's records, field for field (140 of a market's are left out).

Lists come as JSON inside a string, as real arrays, as null, "" or "[]": see `text_list`. Facts
whose type nobody needs to know are `Raw` or `Scalar`, so that one of them can't cost the record.
"""

import msgspec

Scalar = str | int | float | bool | None


class Market(msgspec.Struct, frozen=True, rename="camel"):
    """A market of `/markets/keyset`, or nested in an event."""

    condition_id: str
    version: Scalar = None
    question: str | None = None
    slug: str | None = None
    description: Scalar = None
    category: str | None = None
    group_item_title: Scalar = None
    sports_market_type: Scalar = None
    line: Scalar = None
    outcomes: msgspec.Raw = msgspec.Raw()
    outcome_prices: msgspec.Raw = msgspec.Raw()
    clob_token_ids: msgspec.Raw = msgspec.Raw()
    position_ids: msgspec.Raw = msgspec.Raw()
    active: bool | None = None
    closed: bool | None = None
    archived: bool | None = None
    accepting_orders: bool | None = None
    enable_order_book: bool | None = None
    neg_risk: Scalar = None
    neg_risk_other: Scalar = None
    neg_risk_market_id: Scalar = msgspec.field(default=None, name="negRiskMarketID")
    order_price_min_tick_size: Scalar = None
    order_min_size: Scalar = None
    volume_num: Scalar = None
    volume: Scalar = None
    start_date: str | None = None
    end_date: str | None = None
    game_start_time: str | None = None
    uma_resolution_status: Scalar = None
    resolution_source: Scalar = None
    fees_enabled: Scalar = None
    fee_schedule: msgspec.Raw = msgspec.Raw()
    events: list[msgspec.Raw] | None = None


class Tag(msgspec.Struct, frozen=True, rename="camel"):
    """A label of an event; hidden ones are for the site's own use."""

    label: str = ""
    slug: str = ""
    force_hide: bool | None = None


class Event(msgspec.Struct, frozen=True, rename="camel"):
    """An event of `/events/keyset`, or the short form inside a market."""

    id: str | int
    slug: str | None = None
    title: str | None = None
    category: str | None = None
    start_date: str | None = None
    end_date: str | None = None
    start_time: str | None = None
    series_slug: Scalar = None
    neg_risk: Scalar = None
    neg_risk_augmented: Scalar = None
    tags: list[Tag] | None = None
    markets: list[msgspec.Raw] | None = None


def text(value: Scalar) -> str:
    """Return a JSON scalar as text; absent, null and empty are the same."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value).removesuffix(".0") if isinstance(value, float) else str(value)


def text_list(raw: msgspec.Raw) -> list[str]:
    """Return a list of texts, however it was wrapped.

    Raises:
        ValueError: it is something else.
    """
    try:
        value = msgspec.json.decode(bytes(raw) or b"null")
        if isinstance(value, str):
            value = msgspec.json.decode(value or "null")
    except (msgspec.DecodeError, RecursionError) as exc:
        raise ValueError(f"{bytes(raw)[:80]!r} is not a list: {exc}") from exc
    items = [] if value is None else value
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise ValueError(f"{bytes(raw)[:80]!r} is not a list of texts")
    return items
