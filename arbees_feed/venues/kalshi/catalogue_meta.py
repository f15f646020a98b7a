"""What a Kalshi record says, in the feed's words. Pure functions of one record."""

import re
from collections.abc import Iterable, Mapping

import msgspec

from arbees_feed.core.model import EventMeta, MarketId, MarketMeta
from arbees_feed.core.money import decimal_text, scaled
from arbees_feed.venues.kalshi.catalogue_fees import NOT_TOLD, Fees
from arbees_feed.venues.kalshi.catalogue_messages import Event, Market, compact, text

PLATFORM = "kalshi"

# The words of the field are not those of the filter; readers get one set for both venues, and
# the venue's own word in `venue_status`.
_STATUS = {
    "initialized": "unopened",
    "active": "open",
    "inactive": "paused",
    "closed": "closed",
    "determined": "closed",
    "disputed": "closed",
    "amended": "closed",
    "finalized": "settled",
    "settled": "settled",
}
_STEP_DECIMALS = 6
_GO_ZERO_TIME = "0001-"


class EventFacts(msgspec.Struct, frozen=True, gc=False):
    """What a market takes from its event."""

    title: str = ""
    category: str = ""
    series: str = ""
    fees: Fees = NOT_TOLD
    """What of its series' fees does not hold for it."""

    @classmethod
    def of(cls, event: Event, fees: Fees = NOT_TOLD) -> "EventFacts":
        """Return the facts of *event*, which overrides its series' fees with these."""
        return cls(event.title or "", event.category or "", event.series_ticker or "", fees)


UNKNOWN_EVENT = EventFacts()


def series_of(event_id: str, facts: EventFacts) -> str:
    """Return the series of an event; *facts* may not tell it."""
    # Only a few of the oldest series have a dash in their ticker.
    return facts.series or event_id.partition("-")[0]


def market_meta(
    market: Market, facts: EventFacts = UNKNOWN_EVENT, fees: Fees = NOT_TOLD
) -> MarketMeta:
    """Return what is known of *market*; *facts* are its event's, *fees* those that hold for it."""
    event_id = market.event_ticker or ""
    series = series_of(event_id, facts)
    status = (market.status or "").lower()
    return MarketMeta(
        market_id=MarketId(market.ticker),
        platform=PLATFORM,
        title=market.title or facts.title,
        subtitle=market.subtitle or market.yes_sub_title or "",
        event_id=event_id,
        event_title=facts.title,
        category=facts.category,
        status=_STATUS.get(status, status),
        open_time=_time(market.open_time),
        close_time=_time(market.close_time),
        outcome_yes=market.yes_sub_title or "",
        outcome_no=market.no_sub_title or "",
        tick_size=_smallest_step(market),
        url=_url(series, facts.title, event_id),
        extras=_market_extras(market, series) | _present(fees.fields()),
        volume=_volume(market),
    )


def event_meta(event: Event, markets: Iterable[MarketMeta]) -> EventMeta:
    """Return what is known of *event*; *markets* are all of its markets."""
    metas = list(markets)
    opens = [meta.open_time for meta in metas if meta.open_time]
    closes = [meta.close_time for meta in metas if meta.close_time]
    series = series_of(event.event_ticker, EventFacts.of(event))
    extras = {
        "sub_title": event.sub_title or "",
        "series_ticker": series,
        "strike_period": text(event.strike_period),
        "mutually_exclusive": text(event.mutually_exclusive),
        "exchange_index": text(event.exchange_index),
        "url": _url(series, event.title or "", event.event_ticker),
        **_competition(event),
    }
    return EventMeta(
        event_id=event.event_ticker,
        platform=PLATFORM,
        title=event.title or "",
        category=event.category or "",
        start_time=min(opens, default=""),
        end_time=_time(event.strike_date) or max(closes, default=""),
        extras=_present(extras),
        market_ids=tuple(meta.market_id for meta in metas),
    )


def _market_extras(market: Market, series: str) -> dict[str, str]:
    return _present(
        {
            "series_ticker": series,
            "venue_status": market.status or "",
            "market_type": text(market.market_type),
            "result": text(market.result),
            "settlement_value": text(market.settlement_value_dollars),
            "expiration_value": text(market.expiration_value),
            "strike_type": text(market.strike_type),
            "floor_strike": text(market.floor_strike),
            "cap_strike": text(market.cap_strike),
            "functional_strike": text(market.functional_strike),
            "custom_strike": compact(market.custom_strike),
            "exchange_index": text(market.exchange_index),
            "price_level_structure": text(market.price_level_structure),
            "expected_expiration_time": _time(text(market.expected_expiration_time)),
            "occurrence_time": _time(text(market.occurrence_datetime)),
            "mve_collection_ticker": text(market.mve_collection_ticker),
            "mve_selected_legs": compact(market.mve_selected_legs),
            "rules_primary": text(market.rules_primary),
            "rules_secondary": text(market.rules_secondary),
        }
    )


def _competition(event: Event) -> dict[str, str]:
    """Return the two facts of `product_metadata` that titles leave out ("Preseason", "Game")."""
    try:
        facts = msgspec.json.decode(bytes(event.product_metadata) or b"null")
    except (msgspec.DecodeError, RecursionError):
        return {}
    if not isinstance(facts, dict):
        return {}
    wanted = ("competition", "competition_scope")
    return {name: facts[name] for name in wanted if isinstance(facts.get(name), str)}


def _present(extras: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in extras.items() if value}


def _time(value: str | None) -> str:
    """Return an RFC 3339 time; Go's zero time stands for none."""
    return "" if not value or value.startswith(_GO_ZERO_TIME) else value


def _smallest_step(market: Market) -> str:
    steps = [_step(band.step) for band in market.price_ranges or ()]
    smallest = min((step for step in steps if step > 0), default=0)
    return decimal_text(smallest, _STEP_DECIMALS) if smallest else ""


def _step(dollars: str) -> int:
    try:
        return scaled(dollars, _STEP_DECIMALS)
    except ValueError:
        return 0


def _volume(market: Market) -> float:
    try:
        return float(market.volume_fp or 0)
    except ValueError:
        return 0.0


def _url(series: str, title: str, event_id: str) -> str:
    """Return the page of the event; the site asks for any words between series and event."""
    if not event_id:
        return ""
    words = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or series.lower()
    return f"https://kalshi.com/markets/{series.lower()}/{words}/{event_id.lower()}"
