"""What a step in a Kalshi market's life means for readers.

The venue sends nothing when a market opens at its `open_time` or closes at its `close_time`
(docs.kalshi.com, market lifecycle, read 2026-08-22); the book is then cleared by an empty snapshot.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, Literal

from arbees_feed.core.events import Event, MarketListed, TradingChanged
from arbees_feed.core.model import MarketId, MarketMeta
from arbees_feed.venues.kalshi.messages import CreatedMarket, LifecycleBody

_PHASES: Final[Mapping[str, Literal["open", "paused", "closed"]]] = {
    "activated": "open",
    "deactivated": "paused",
    "determined": "closed",
    "settled": "closed",
}


def events_of(body: LifecycleBody) -> Sequence[Event]:
    """Return what the step says; steps that change only facts say nothing about trading."""
    if body.event_type == "created":
        return (MarketListed(_listed(body)),)
    phase = _PHASES.get(body.event_type)
    return () if phase is None else (TradingChanged(MarketId(body.market_ticker), phase, 0),)


def _listed(body: LifecycleBody) -> MarketMeta:
    facts = body.additional_metadata or CreatedMarket()
    return MarketMeta(
        market_id=MarketId(body.market_ticker),
        platform="kalshi",
        title=facts.title or facts.name,
        event_id=facts.event_ticker,
        outcome_yes=facts.yes_sub_title,
        outcome_no=facts.no_sub_title,
        open_time=_rfc3339(body.open_ts),
        close_time=_rfc3339(body.close_ts),
    )


def _rfc3339(unix_s: int) -> str:
    return datetime.fromtimestamp(unix_s, UTC).isoformat().replace("+00:00", "Z") if unix_s else ""
