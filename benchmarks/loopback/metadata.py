"""Metadata of two whole venues, made of the forms of real listings, and written as enrichment does.

See benchmarks/matching.py for where the listings come from.
"""

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import msgspec

from arbees_feed.core.wire import MetadataNews, Names
from arbees_feed.matching.listing import KalshiListing, PolymarketListing

NAMES = Names()
YEAR = 2026
AT_ONCE = 1_000
TEXTS = ("title", "event_id", "event_title", "rules", "slug", "event_slug", "end_time")
Listing = TypeVar("Listing", KalshiListing, PolymarketListing)
Fields = dict[str, str]


def moved(text: str, turn: int) -> str:
    """Return a text or an id with its year moved on."""
    later = YEAR + turn
    return text.replace(str(YEAR), str(later)).replace(f"-{YEAR % 100}", f"-{later % 100}")


def copies(many: list[Listing], count: int) -> Iterator[Listing]:
    """Yield *count* listings of the forms of *many*, each round of another year.

    So blocks of candidates stay as large as real ones, and a ticker agrees with its texts.
    """
    for number in range(count):
        one, turn = many[number % len(many)], number // len(many)
        texts = {n: moved(getattr(one, n), turn) for n in TEXTS if hasattr(one, n)}
        yield msgspec.structs.replace(one, **texts)


def kalshi_metas(many: list[KalshiListing], count: int) -> Iterator[tuple[str, Fields]]:
    """Yield ids and hashes of Kalshi's markets."""
    seen: set[str] = set()
    for number, one in enumerate(copies(many, count)):
        turn = number // len(many)
        ticker = moved(one.market_id, turn)
        ticker = ticker if ticker not in seen else f"{ticker}-{turn}"
        seen.add(ticker)
        yield ticker, {
            "platform": "kalshi", "title": one.title, "outcome_yes": one.yes_sub_title,
            "event_id": one.event_id, "event_title": one.event_title,
            "rules_primary": one.rules, "open_time": one.open_time, "close_time": one.close_time,
            "status": "open",
        }  # fmt: skip


def polymarket_metas(many: list[PolymarketListing], count: int) -> Iterator[tuple[str, Fields]]:
    """Yield ids and hashes of Polymarket's markets."""
    for number, one in enumerate(copies(many, count)):
        yes, no = (*one.outcomes, "", "")[:2]
        yield str(10**76 + number), {
            "platform": "polymarket", "title": one.title, "slug": one.slug,
            "event_id": one.event_id, "event_title": one.event_title,
            "event_slug": one.event_slug, "description": one.rules, "close_time": one.end_time,
            "game_start_time": one.game_start, "sports_market_type": one.market_type,
            "outcome_yes": yes, "outcome_no": no, "status": "open",
        }  # fmt: skip


def write(redis: Any, venue: str, metas: Mapping[str, Fields]) -> None:
    """Write hashes as enrichment does."""
    items = list(metas.items())
    for start in range(0, len(items), AT_ONCE):
        pipeline = redis.pipeline(transaction=False)
        for market, fields in items[start : start + AT_ONCE]:
            kept = {name: value for name, value in fields.items() if value}
            pipeline.hset(NAMES.meta(market), mapping=kept)
            pipeline.zadd(NAMES.volume(venue), {market: 0})
        pipeline.execute()


def remove(redis: Any, venue: str, market: str) -> None:
    """Take a market's metadata away."""
    redis.delete(NAMES.meta(market))
    redis.zrem(NAMES.volume(venue), market)


def tell(redis: Any, venue: str, market: str) -> None:
    """Name a market on the channel that enrichment uses."""
    redis.publish(NAMES.meta_news(), MetadataNews(venue, (market,)).to_msgpack())
