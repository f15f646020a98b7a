"""Which markets `top` lists, and in what order. No I/O."""

import heapq
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Final

from arbees_feed.cli.topstate import Market, TopState

LISTED: Final = 500
"""So many markets are in a list at most."""
RERANK_S: Final = 3.0
"""So often the list is put in order: rows that jump about can't be read."""
_STILL: Final = 0.3
_SEARCHED: Final = ("title", "subtitle", "event_title", "outcome_yes", "slug")


class Sort(StrEnum):
    """What stands first in the list."""

    BUSIEST = "busiest"
    WIDEST = "widest"
    STALE = "stale"


def listed(state: TopState, sort: Sort, text: str, now_s: float) -> list[str]:
    """Return the ids of the markets to list: those that *text* finds, or all in order."""
    words = text.lower().split()
    if words:
        return _matching(state, words, text)
    return [market.id for market in _ranked(state, sort, now_s)]


def _ranked(state: TopState, sort: Sort, now_s: float) -> list[Market]:
    every = state.markets.values()
    match sort:
        case Sort.WIDEST:
            spreads = ((_spread(state, market), market.id, market) for market in every)
            widest = heapq.nlargest(LISTED, (found for found in spreads if found[0] >= 0))
            return [market for *_, market in widest]
        case Sort.STALE:
            return heapq.nlargest(LISTED, every, key=_doubt)
        case Sort.BUSIEST:
            return _busiest(state, now_s)


def _busiest(state: TopState, now_s: float) -> list[Market]:
    """Return those with the most messages, and fill up with those that moved last."""
    moving = [m for m in state.stirred.values() if m.activity_at(now_s) > _STILL]
    moving = heapq.nlargest(LISTED, moving, key=lambda market: market.activity_at(now_s))
    state.stirred = {market.id: market for market in moving}
    if len(moving) >= min(LISTED, len(state.markets)):
        return moving
    resting = (market for market in state.markets.values() if market.id not in state.stirred)
    return moving + heapq.nlargest(LISTED - len(moving), resting, key=_moved_ns)


def _spread(state: TopState, market: Market) -> float:
    """Return ask less bid of the price that is drawn; -1: there is none."""
    price = state.believed(market)
    return -1.0 if price is None or price.spread is None else price.spread


def _moved_ns(market: Market) -> int:
    return market.price.ts_pub_ns if market.price else 0


def _doubt(market: Market) -> tuple[bool, int]:
    return market.price is not None and market.price.status == "stale", _moved_ns(market)


def _matching(state: TopState, words: Sequence[str], text: str) -> list[str]:
    """Return what the index of titles has found, then what is known here and has the words."""
    searched, hits = state.found
    ids = dict.fromkeys(hits if searched == text else ())
    for market in _having(state, words):
        if len(ids) >= LISTED:
            break
        ids[market.id] = None
    return list(ids)


def _having(state: TopState, words: Sequence[str]) -> Iterator[Market]:
    for market in state.markets.values():
        said, meta = market.id, market.meta
        if meta:
            said = "\n".join([said, *(meta[name] for name in _SEARCHED if name in meta)])
        said = said.lower()
        if all(word in said for word in words):
            yield market
