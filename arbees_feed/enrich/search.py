"""Find markets by the words of their titles, from Redis alone.

All words must be there; the last may be the beginning of one. Two ways lead to the answer: rare
words are intersected by the server; common ones are looked for among the most traded markets, since
these are shown first anyway. Nothing here reads a set as a whole that may be big.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from redis.exceptions import RedisError

from arbees_feed.core.sharding import chunks
from arbees_feed.core.wire import MarketPrice, Names
from arbees_feed.enrich.stored import text as as_text
from arbees_feed.enrich.words import telling, words_of
from arbees_feed.errors import RedisUnavailable

MOST_ENDINGS = 200
"""So many words that begin like the last one are looked at, in order of the alphabet."""
SMALL = 5_000
"""Sets with so few members in all are intersected; else the most traded markets are tried."""
MOST_TRADED = 20_000
_AT_ONCE = 1_000
_ENDINGS_AT_ONCE = 32
_SHOWN = ("platform", "title", "subtitle", "event_id", "event_title", "outcome_yes", "status")


class Hit(msgspec.Struct, frozen=True):
    """A market that was found."""

    market_id: str
    platform: str
    title: str
    subtitle: str
    event_id: str
    event_title: str
    outcome_yes: str
    status: str
    """As listed: `open`, `paused`, `closed`, `settled`, `unopened`; empty when not told."""
    price: MarketPrice | None
    """None: never published. `stale`, without a quote, when nobody keeps it true now."""
    volume: float
    whole: bool
    """Whether all words are whole ones."""


class _Match(msgspec.Struct, frozen=True):
    """A market that has the words."""

    market: str
    volume: float
    whole: bool

    def rank(self) -> tuple[bool, float, str]:
        """Return what to sort by: whole words first, then the most traded."""
        return (not self.whole, -self.volume, self.market)


class _Sets(msgspec.Struct, frozen=True):
    """What a market must be in: all of *every*, and *exact* or one of *endings*."""

    every: Sequence[str]
    exact: str
    endings: Sequence[str]
    """The sets of longer words that begin like the last, the biggest first."""
    exact_size: int
    """How many markets could have exactly these words."""
    size: int
    """How many could have them with any ending."""


async def search(
    client: Any, names: Names, text: str, *, venue: str | None = None, limit: int = 50
) -> list[Hit]:
    """Return the markets whose title, event, outcome or id has all words of *text*, best first.

    Whole words come first, then the most traded. Without a word that tells anything: the most
    traded of all.

    Raises:
        RedisUnavailable: Redis cannot be read.
    """
    try:
        venues = [venue] if venue is not None else await _venues(client, names)
        matches = [
            (one, m) for one in venues for m in await _in_venue(client, names, one, text, limit)
        ]
        matches.sort(key=lambda match: match[1].rank())
        return await _hits(client, names, matches[:limit])
    except RedisError as exc:
        raise RedisUnavailable(f"redis: {exc}") from exc


async def _venues(client: Any, names: Names) -> list[str]:
    return sorted(as_text(name) for name in await client.smembers(names.search_venues()))


async def _in_venue(
    client: Any, names: Names, venue: str, text: str, limit: int
) -> Sequence[_Match]:
    words = telling(words_of(text))
    if not words:
        return [
            _Match(m, v, whole=True) for m, v in await _most_traded(client, names, venue, limit)
        ]
    sets = await _sets_of(client, names, venue, words)
    if sets is None:
        return ()
    if sets.size <= SMALL:
        matches = await _intersect(client, names, venue, sets, [sets.exact, *sets.endings])
    elif sets.exact_size <= SMALL:
        matches = await _intersect(client, names, venue, sets, [sets.exact])
        matches += await _among_most_traded(client, names, venue, sets, limit - len(matches))
    else:
        matches = await _among_most_traded(client, names, venue, sets, limit)
    best: dict[str, _Match] = {}
    for match in sorted(matches, key=_Match.rank):
        best.setdefault(match.market, match)
    return list(best.values())[:limit]


async def _sets_of(client: Any, names: Names, venue: str, words: Sequence[str]) -> _Sets | None:
    """Return the sets to look into, or None when some word is in no title."""
    *whole, last = words
    low, high = b"[" + last.encode(), b"(" + last.encode() + b"\xff"
    key = names.search_words(venue)
    found = await client.zrangebylex(key, low, high, start=0, num=MOST_ENDINGS)
    every = [names.search(venue, word) for word in whole]
    endings = list(dict.fromkeys([last, *(as_text(word) for word in found)]))
    keys = [names.search(venue, word) for word in endings]
    pipeline = client.pipeline(transaction=False)
    for name in (*every, *keys):
        pipeline.scard(name)
    sizes: list[int] = await pipeline.execute()
    least = min(sizes[: len(every)], default=None)
    if least == 0 or not any(sizes[len(every) :]):
        return None
    possible = [size if least is None else min(size, least) for size in sizes[len(every) :]]
    by_size = sorted(zip(keys[1:], sizes[len(every) + 1 :], strict=True), key=lambda pair: -pair[1])
    return _Sets(every, keys[0], [name for name, _ in by_size], possible[0], sum(possible))


async def _intersect(
    client: Any, names: Names, venue: str, sets: _Sets, lasts: Sequence[str]
) -> list[_Match]:
    """Return all markets that are in *every* and in one of *lasts*."""
    pipeline = client.pipeline(transaction=False)
    for last in lasts:
        pipeline.sinter([*sets.every, last])
    found: dict[str, bool] = {}
    for last, members in zip(lasts, await pipeline.execute(), strict=True):
        for member in members:
            found.setdefault(as_text(member), last == sets.exact)
    volumes = await _volumes(client, names, venue, list(found))
    return [_Match(market, volumes[market], whole) for market, whole in found.items()]


async def _among_most_traded(
    client: Any, names: Names, venue: str, sets: _Sets, enough: int
) -> list[_Match]:
    """Go down the list of the most traded until there are *enough*.

    If markets with exactly these words are many they are looked for here, and only they count.
    """
    exact_here = sets.exact_size > SMALL
    lasts = [sets.exact] if exact_here else []
    lasts += sets.endings[:_ENDINGS_AT_ONCE]
    matches: list[_Match] = []
    for start in range(0, MOST_TRADED, _AT_ONCE):
        if (
            sum(match.whole for match in matches) >= enough
            if exact_here
            else len(matches) >= enough
        ):
            break
        ranked = await _most_traded(client, names, venue, _AT_ONCE, start)
        matches += await _having(client, sets, lasts, ranked)
        if len(ranked) < _AT_ONCE:
            break
    return matches


async def _having(
    client: Any, sets: _Sets, lasts: Sequence[str], ranked: Sequence[tuple[str, float]]
) -> list[_Match]:
    """Return those of *ranked* that are in *every* and in one of *lasts*."""
    if not ranked or not lasts:
        return []
    markets = [market for market, _ in ranked]
    pipeline = client.pipeline(transaction=False)
    for name in (*sets.every, *lasts):
        pipeline.smismember(name, markets)
    answers = await pipeline.execute()
    every, some = answers[: len(sets.every)], answers[len(sets.every) :]
    return [
        _Match(market, volume, whole=lasts[0] == sets.exact and bool(some[0][number]))
        for number, (market, volume) in enumerate(ranked)
        if all(row[number] for row in every) and any(row[number] for row in some)
    ]


async def _most_traded(
    client: Any, names: Names, venue: str, count: int, start: int = 0
) -> list[tuple[str, float]]:
    key = names.volume(venue)
    ranked = await client.zrevrange(key, start, start + count - 1, withscores=True)
    return [(as_text(market), volume) for market, volume in ranked]


async def _volumes(
    client: Any, names: Names, venue: str, markets: Sequence[str]
) -> Mapping[str, float]:
    volumes: dict[str, float] = {}
    for some in chunks(markets, _AT_ONCE):
        scores = await client.zmscore(names.volume(venue), list(some))
        volumes |= {m: score or 0.0 for m, score in zip(some, scores, strict=True)}
    return volumes


async def _hits(client: Any, names: Names, matches: Sequence[tuple[str, _Match]]) -> list[Hit]:
    if not matches:
        return []
    pipeline = client.pipeline(transaction=False)
    venues = sorted({venue for venue, _ in matches})
    for venue in venues:
        pipeline.exists(names.venue(venue))
    pipeline.mget([names.last(match.market) for _, match in matches])
    for _, match in matches:
        pipeline.hmget(names.meta(match.market), _SHOWN)
    answers = await pipeline.execute()
    alive = dict(zip(venues, answers, strict=False))
    prices, metas = answers[len(venues)], answers[len(venues) + 1 :]
    hits: list[Hit] = []
    for (venue, match), data, values in zip(matches, prices, metas, strict=True):
        fields = {name: as_text(value or "") for name, value in zip(_SHOWN, values, strict=True)}
        if not fields.pop("platform"):
            continue  # removed meanwhile
        price = _believable(data, is_kept=bool(alive[venue]))
        hits.append(
            Hit(match.market, venue, price=price, volume=match.volume, whole=match.whole, **fields)
        )
    return hits


def _believable(data: bytes | None, *, is_kept: bool) -> MarketPrice | None:
    """Return the price, without its quote if nobody keeps it true."""
    if data is None:
        return None
    try:
        price = MarketPrice.from_msgpack(data)
    except ValueError:
        return None
    if is_kept or price.status != "live":
        return price
    return msgspec.structs.replace(
        price, status="stale", yes_bid=0.0, yes_ask=1.0, yes_bid_size=0.0, yes_ask_size=0.0
    )
