"""What a Gamma record says, in the feed's words. Pure functions of one record.

A market's id is its YES token: outcome 0. For `version` v2 the tokens are `positionIds`, for v1
`clobTokenIds`; both may be filled, so the version decides and not what is there.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from arbees_feed.core.model import EventMeta, MarketId, MarketMeta
from arbees_feed.core.money import decimal_text
from arbees_feed.venues.polymarket.catalogue_messages import Event, Market, text, text_list

PLATFORM = "polymarket"

_BINARY = 2
_STEP_DECIMALS = 6
# An event has many tags; the one that is a section of the site says most.
_SECTIONS = (
    "politics", "sports", "crypto", "economy", "finance", "business", "tech", "science",
    "culture", "pop-culture", "weather", "geopolitics", "world", "esports", "mentions",
)  # fmt: skip


class EventFacts(msgspec.Struct, frozen=True, gc=False):
    """What a market takes from its event."""

    id: str = ""
    title: str = ""
    slug: str = ""
    category: str = ""

    @classmethod
    def of(cls, event: Event) -> "EventFacts":
        """Return the facts of *event*."""
        return cls(str(event.id), event.title or "", event.slug or "", category(event))


NO_EVENT = EventFacts()


def tokens(market: Market) -> tuple[MarketId, MarketId]:
    """Return the YES and the NO token.

    Raises:
        ValueError: the market does not have two tokens; the message says what it has.
    """
    field = market.position_ids if market.version == "v2" else market.clob_token_ids
    found = text_list(field)
    if len(found) != _BINARY or not all(t.isascii() and t.isdecimal() for t in found):
        raise ValueError(f"{market.condition_id} has tokens {found!r}, not two ids")
    return MarketId(found[0]), MarketId(found[1])


def is_tradable(market: Market) -> bool:
    """Return whether orders are taken; a flag that is missing says no."""
    return bool(
        market.active and not market.closed and market.enable_order_book and market.accepting_orders
    )


def market_meta(
    market: Market, facts: EventFacts = NO_EVENT, fees: Mapping[str, str] | None = None
) -> MarketMeta:
    """Return what is known of *market*; *facts* are its event's, *fees* as `fee_fields` reads them.

    Raises:
        ValueError: it is not a market of two outcomes.
    """
    yes, no = tokens(market)
    outcomes = text_list(market.outcomes) or ["", ""]
    if len(outcomes) != _BINARY:
        raise ValueError(f"{market.condition_id} has {len(outcomes)} outcomes")
    question = market.question or ""
    return MarketMeta(
        market_id=yes,
        platform=PLATFORM,
        title=question or facts.title,
        subtitle=text(market.group_item_title),
        event_id=facts.id,
        event_title=facts.title,
        category=facts.category or market.category or "",
        status=_status(market),
        open_time=instant(market.start_date),
        close_time=instant(market.end_date),
        outcome_yes=outcomes[0],
        outcome_no=outcomes[1],
        tick_size=_tick_size(market),
        url=_url(facts.slug, market.slug or ""),
        extras=_market_extras(market, facts, no) | _present(fees or {}),
        volume=_volume(market),
    )


def event_meta(event: Event, market_ids: Sequence[MarketId]) -> EventMeta:
    """Return what is known of *event*; *market_ids* are all of its markets."""
    extras = {
        "slug": event.slug or "",
        "series_slug": text(event.series_slug),
        "tags": ",".join(tag.slug for tag in event.tags or () if tag.slug),
        "game_start_time": instant(event.start_time),
        "neg_risk": text(event.neg_risk),
        "neg_risk_augmented": text(event.neg_risk_augmented),
        "url": _url(event.slug or "", ""),
    }
    return EventMeta(
        event_id=str(event.id),
        platform=PLATFORM,
        title=event.title or "",
        category=category(event),
        start_time=instant(event.start_date),
        end_time=instant(event.end_date),
        extras=_present(extras),
        market_ids=tuple(market_ids),
    )


def category(event: Event) -> str:
    """Return the event's category: its own, or the label of its most telling tag."""
    if event.category:
        return event.category
    labels = {tag.slug: tag.label for tag in event.tags or () if tag.label}
    shown = [tag.label for tag in event.tags or () if tag.label and not tag.force_hide]
    section = next((labels[slug] for slug in _SECTIONS if slug in labels), "")
    return section or next(iter(shown), "")


def instant(value: str | None) -> str:
    """Return a time as RFC 3339 in UTC; Gamma also writes `2026-04-05 15:10:00+00`."""
    try:
        moment = datetime.fromisoformat(value or "")
        zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return zoned.astimezone(UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError):
        return ""


def _market_extras(market: Market, facts: EventFacts, no_token: MarketId) -> dict[str, str]:
    return _present(
        {
            "condition_id": market.condition_id,
            "no_token_id": no_token,
            "slug": market.slug or "",
            "event_slug": facts.slug,
            "question": market.question or "",
            "version": text(market.version),
            "neg_risk": text(market.neg_risk),
            "neg_risk_other": text(market.neg_risk_other),
            "neg_risk_market_id": text(market.neg_risk_market_id),
            "min_order_size": text(market.order_min_size),
            "sports_market_type": text(market.sports_market_type),
            "line": text(market.line),
            "game_start_time": instant(market.game_start_time),
            "result": _result(market),
            "resolution_source": text(market.resolution_source),
            "description": text(market.description),
        }
    )


def _status(market: Market) -> str:
    if market.closed or market.archived:
        return "settled" if market.uma_resolution_status == "resolved" else "closed"
    if market.active is False:
        return "unopened"
    return "paused" if False in (market.accepting_orders, market.enable_order_book) else "open"


def _result(market: Market) -> str:
    """Return `yes` or `no` once the venue pays one side in full; prices are final when closed."""
    if not market.closed:
        return ""
    try:
        prices = text_list(market.outcome_prices)
    except ValueError:
        return ""
    if prices == ["1", "0"]:
        return "yes"
    return "no" if prices == ["0", "1"] else ""


def _tick_size(market: Market) -> str:
    step = round(_number(market.order_price_min_tick_size) * 10**_STEP_DECIMALS)
    return decimal_text(step, _STEP_DECIMALS) if step > 0 else ""


def _volume(market: Market) -> float:
    return _number(market.volume_num) or _number(market.volume)


def _number(value: str | float | bool | None) -> float:  # noqa: FBT001 (a JSON value, no flag)
    try:
        number = float(value or 0)
    except ValueError:
        return 0.0
    # NaN and infinities come as text only; they would break the ranking.
    return number if abs(number) < float("inf") else 0.0


def _url(event_slug: str, market_slug: str) -> str:
    if event_slug:
        return f"https://polymarket.com/event/{event_slug}" + (
            f"/{market_slug}" if market_slug else ""
        )
    return f"https://polymarket.com/market/{market_slug}" if market_slug else ""


def _present(extras: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in extras.items() if value}
