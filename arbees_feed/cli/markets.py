"""`arbees-feed markets`: list or search the markets that Redis knows."""

import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import typer
from rich.console import Console

from arbees_feed.cli.board import Shown
from arbees_feed.cli.options import (
    ConfigFile,
    Overrides,
    quiet_log,
    run_until_stopped,
    settings_from,
)
from arbees_feed.cli.output import put, say
from arbees_feed.cli.prices import (
    AT_ONCE,
    entered,
    known_markets,
    reachable,
    read_meta,
    reader_of,
    url_to_read,
)
from arbees_feed.cli.table import market_table
from arbees_feed.cli.text import title_of
from arbees_feed.cli.waiting import until
from arbees_feed.config import Settings
from arbees_feed.core.redisaddress import Address
from arbees_feed.core.sharding import chunks
from arbees_feed.core.wire import MarketPrice, Names
from arbees_feed.enrich.search import search
from arbees_feed.errors import RedisUnavailable, SettingsError
from arbees_feed.reader import PriceReader
from arbees_feed.reader.source import Source
from arbees_feed.venues import VENUES

_SEARCHED = ("title", "subtitle", "event_title", "category", "outcome_yes", "outcome_no", "slug")
_TITLE_WIDTH = 200
MOST_HITS = 2_000
"""So many markets are read at most that the index of titles has found."""


class Found(msgspec.Struct, frozen=True):
    """One market: its price as it may be believed now, and its metadata."""

    price: MarketPrice
    meta: Mapping[str, str]


def markets(
    text: list[str] | None = typer.Argument(
        None, metavar="TEXT", help="Words that must all be in the title, event or id."
    ),
    config: ConfigFile = None,
    override: Overrides = None,
    json: bool = typer.Option(False, "--json", help="One JSON object a line."),
    limit: int | None = typer.Option(None, min=1, help="List so many at most."),
    venue: str | None = typer.Option(None, metavar="VENUE", help="kalshi or polymarket only."),
) -> None:
    """List or search the markets that Redis knows.

    Without a terminal: one market a line, its fields with tabs between them (id, venue, status,
    bid, size, ask, size, last, title).

    \b
    Examples:
      arbees-feed markets
      arbees-feed markets kansas city --venue kalshi
      arbees-feed markets fed --json | jq -r .market_id
      arbees-feed markets | cut -f1 | head -50 | xargs arbees-feed watch
    """
    if venue is not None and venue not in VENUES:
        raise SettingsError(f"--venue {venue}: must be one of {', '.join(VENUES)}")
    settings = settings_from(config, override, venue_needed=False)
    quiet_log()
    words = [word.lower() for part in text or () for word in part.split()]
    venues = tuple(VENUES) if venue is None else (venue,)
    found = run_until_stopped(lambda stop: until(stop, _find(settings, venues, words, limit)))
    if found is None:
        return  # stopped
    if json:
        for market in found:
            put(msgspec.json.encode(_fields(market)).decode())
    elif sys.stdout.isatty():
        _draw(found)
    else:
        for market in found:
            put(_tabbed(market))


async def _find(
    settings: Settings, venues: Sequence[str], words: Sequence[str], limit: int | None
) -> list[Found]:
    """Return the markets that have all *words*.

    Raises:
        RedisUnavailable: Redis has gone meanwhile.
    """
    found: list[Found] = []
    names = Names(settings.redis.key_prefix)
    reader = reader_of(settings.redis, [])
    async with reachable(settings.redis) as source, entered(reader):
        known, indexed = await _candidates(settings, source, venues, words)
        for some in chunks(known, AT_ONCE):
            metas = await read_meta(source.client, names, some)
            for price, meta in zip(await _prices(reader, some), metas, strict=True):
                if price is not None and (indexed or _matches(Found(price, meta), words)):
                    found.append(Found(price, meta))
            if limit is not None and len(found) >= limit:
                break
    if not known:
        say("redis knows no markets: does a feed run, and with the same redis.key_prefix?")
    elif not found:
        say(f"none of {len(known):,} markets matches")
    return found[:limit]


async def _candidates(
    settings: Settings, source: Source, venues: Sequence[str], words: Sequence[str]
) -> tuple[Sequence[str], bool]:
    """Return what the index of titles finds, best first; without an answer of it, all markets."""
    names = Names(settings.redis.key_prefix)
    # A Cluster has no index of titles: the sets to intersect would be on many nodes.
    if words and Address(url_to_read(settings.redis)).kind != "cluster":
        only = venues[0] if len(venues) == 1 else None
        hits = await search(source.client, names, " ".join(words), venue=only, limit=MOST_HITS)
        if hits:
            return [hit.market_id for hit in hits], True
    return await known_markets(source, names, venues), False


async def _prices(reader: PriceReader, markets: Sequence[str]) -> list[MarketPrice | None]:
    """Return the prices as they may be believed now; what was never published has none."""
    await reader.follow(*markets)
    if reader.stats.failures:
        raise RedisUnavailable(f"redis: {reader.trouble or 'the connection was lost'}")
    return [reader.book.get(market) for market in markets]


def _matches(market: Found, words: Sequence[str]) -> bool:
    if not words:
        return True
    meta = market.meta
    searched = [market.price.market_id, meta.get("event_id", "")]
    searched += [meta.get(name, "") for name in _SEARCHED]
    text = "\n".join(searched).lower()
    return all(word in text for word in words)


def _fields(market: Found) -> dict[str, Any]:
    price = market.price
    return {
        **msgspec.structs.asdict(price),
        "no_bid": price.no_bid,
        "no_ask": price.no_ask,
        "meta": dict(market.meta),
    }


def _tabbed(market: Found) -> str:
    price = market.price
    last = "" if price.last_price is None else f"{price.last_price:g}"
    cells = [price.market_id, price.platform, price.status]
    cells += [f"{price.yes_bid:g}", f"{price.yes_bid_size:g}"]
    cells += [f"{price.yes_ask:g}", f"{price.yes_ask_size:g}", last]
    title = title_of("", market.meta, _TITLE_WIDTH)
    return "\t".join([*cells, " ".join(title.split())])


def _draw(found: Sequence[Found]) -> None:
    console = Console()
    now_ns = time.time_ns()
    rows = [Shown(m.price, m.meta, (now_ns - m.price.ts_pub_ns) / 1e9) for m in found]
    if rows:
        console.print(market_table(rows, console.width, ids=True))
        console.print(
            f"{len(rows):,} markets; ids whole: --json, or | cut -f1", style="bright_black"
        )
