"""Rows of labelled pairs as listings, and the split that keeps a part untouched. Pure.

A row is `{id, kalshi{ticker, title, ...}, polymarket{question, ...}, label, category, tags,
group}`; labels are same, inverted, different and unsure.
"""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from arbees_feed.matching.listing import KalshiListing, PolymarketListing

TUNING_TENTHS: Final = 6
LABELS: Final = ("same", "inverted", "different", "unsure")


class Row(msgspec.Struct, frozen=True):
    """One labelled pair."""

    row_id: str
    kalshi: KalshiListing
    polymarket: PolymarketListing
    label: str
    category: str = ""
    tags: tuple[str, ...] = ()
    group: str = ""


def is_tuning(group: str) -> bool:
    """Return whether *group* belongs to the part on which the matcher may be tuned.

    Six tenths do, by the SHA-256 of the group: stable, and all rows of an event stay together.
    """
    return int(hashlib.sha256(group.encode()).hexdigest(), 16) % 10 < TUNING_TENTHS


def row_of(record: Mapping[str, Any]) -> Row:
    """Return the row of a JSON object.

    Raises:
        ValueError: a field that every row must have is missing, or the label is none; the message
            names it.
    """
    try:
        row = Row(
            row_id=str(record["id"]),
            kalshi=_kalshi(record["kalshi"]),
            polymarket=_polymarket(record["polymarket"]),
            label=str(record["label"]),
            category=_text(record, "category"),
            tags=tuple(map(str, record.get("tags") or ())),
            group=_text(record, "group"),
        )
    except KeyError as error:
        raise ValueError(f"row {record.get('id', '?')} has no {error}") from error
    if row.label not in LABELS:
        raise ValueError(f"row {row.row_id}: label {row.label!r} is none of {', '.join(LABELS)}")
    return row


def _text(record: Mapping[str, Any], *names: str) -> str:
    for name in names:
        value = record.get(name)
        if value not in (None, ""):
            return str(value)
    return ""


def _kalshi(record: Mapping[str, Any]) -> KalshiListing:
    return KalshiListing(
        market_id=str(record["ticker"]),
        title=_text(record, "title"),
        yes_sub_title=_text(record, "yes_sub_title"),
        event_id=_text(record, "event_ticker"),
        event_title=_text(record, "event_title"),
        rules=_text(record, "rules"),
        close_time=_text(record, "close_time"),
    )


def _polymarket(record: Mapping[str, Any]) -> PolymarketListing:
    return PolymarketListing(
        market_id=_text(record, "condition_id", "market_id", "slug"),
        title=str(record["question"]),
        slug=_text(record, "slug"),
        event_id=_text(record, "event_id"),
        event_title=_text(record, "event_title"),
        event_slug=_text(record, "event_slug"),
        rules=_text(record, "description"),
        end_time=_text(record, "end_date"),
        game_start=_text(record, "game_start").replace("+00", "Z").replace(" ", "T"),
        game_day=_text(record, "game_date") or _titled_day(record),
        market_type=_text(record, "market_type"),
        line=_text(record, "line"),
        outcomes=tuple(map(str, record.get("outcomes") or ())),
    )


def _titled_day(record: Mapping[str, Any]) -> str:
    """Return the day of a row without an id: its stand-in names the game and its day."""
    is_game = _text(record, "market_id").startswith("title-only:")
    return _text(record, "end_date")[:10] if is_game else ""
