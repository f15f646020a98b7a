"""`match suggest --look-alikes`: markets in no pair beside those with titles like theirs."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from arbees_feed.cli.pairs import Shown, question_of
from arbees_feed.cli.prices import AT_ONCE, answer, reachable
from arbees_feed.config import Settings
from arbees_feed.core.sharding import chunks
from arbees_feed.core.text import is_name
from arbees_feed.core.wire import Names
from arbees_feed.matching.propose import LookAlike, each_once, look_alikes
from arbees_feed.pairs.ledger import ENDED
from arbees_feed.pairs.listings import KALSHI, POLYMARKET

TURN: Final = 100
"""After so many markets a signal is heard: whole venues take many seconds."""
_FIELDS: Final = ("title", "event_title", "outcome_yes", "status")


class Suggested(msgspec.Struct, frozen=True):
    """Two markets that may be one question."""

    kalshi: str
    polymarket: str
    note: str


async def read_look_alikes(
    settings: Settings, known: Sequence[Shown], limit: int
) -> list[Suggested]:
    """Return look-alikes among the markets that are in none of the *known* pairs, best first."""
    paired = {
        pair.fields.get(name, "") for pair in known for name in ("kalshi_id", "polymarket_id")
    }
    names = Names(settings.redis.key_prefix)
    async with reachable(settings.redis) as source:
        ours, theirs = [
            await _questions(source.client, names, venue, paired) for venue in (KALSHI, POLYMARKET)
        ]
    return [
        Suggested(
            one.kalshi,
            one.polymarket,
            f"{ours[one.kalshi]} | {theirs[one.polymarket]}; look-alike {one.score:.2f}",
        )
        for one in (await _alike(ours, theirs))[:limit]
    ]


async def _alike(ours: Mapping[str, str], theirs: Mapping[str, str]) -> list[LookAlike]:
    found: list[LookAlike] = []
    for number, near in enumerate(look_alikes(ours, theirs)):
        found += near
        if number % TURN == 0:
            await asyncio.sleep(0)
    return each_once(found)


async def _questions(client: Any, names: Names, venue: str, paired: set[str]) -> Mapping[str, str]:
    """Return what the open markets of a venue ask, without those that are in a pair."""
    members = await answer(client.zrange(names.volume(venue), 0, -1))
    markets = [member.decode(errors="replace") for member in members]
    asked: dict[str, str] = {}
    for some in chunks([m for m in markets if is_name(m) and m not in paired], AT_ONCE):
        async with client.pipeline(transaction=False) as pipeline:
            for market in some:
                pipeline.hmget(names.meta(market), _FIELDS)
            answers = await answer(pipeline.execute())
        for market, values in zip(some, answers, strict=True):
            meta = {name: value.decode(errors="replace")
                    for name, value in zip(_FIELDS, values, strict=True) if value}  # fmt: skip
            if meta.get("title") and meta.get("status") not in ENDED:
                asked[market] = question_of(market, meta)
    return asked
