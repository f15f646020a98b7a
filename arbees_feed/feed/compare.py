"""Our book beside the venue's own answer: do they agree, and where not?"""

from collections.abc import Iterator
from enum import Enum

from arbees_feed.core.book import Ladder, OrderBook
from arbees_feed.core.events import BookTold
from arbees_feed.core.model import ONE_CONTRACT, ONE_DOLLAR, Lots

_SHOWN = 3


class Verdict(Enum):
    """What an answer says of our book."""

    AGREES = "agrees"
    DIFFERS = "differs"
    """The same moment, another book."""
    AHEAD = "ahead"
    """The answer is older than our book: the stream lives, the levels are not compared."""
    BEHIND = "behind"
    """The answer is newer than our book: its changes are under way, or lost."""


def compare(book: OrderBook, ts_ns: int, told: BookTold) -> Verdict:
    """Judge a book whose newest change is of the venue's *ts_ns* by the venue's own answer.

    Equal levels agree whatever the times say: a change may have been taken back. Without times
    (neither the answer nor the book may have one) only the levels count.
    """
    if _equal(book.bids, dict(told.bids)) and _equal(book.asks, _asks(told)):
        return Verdict.AGREES
    if told.in_step or not told.ts_ns or not ts_ns or told.ts_ns == ts_ns:
        return Verdict.DIFFERS
    return Verdict.AHEAD if told.ts_ns < ts_ns else Verdict.BEHIND


def compare_top(top: tuple[int, int, int, int], told: BookTold) -> Verdict:
    """Judge a top of book (bid, bid size, ask, ask size) by a whole book."""
    return Verdict.AGREES if top == top_of(told) else Verdict.DIFFERS


def top_of(told: BookTold) -> tuple[int, int, int, int]:
    """Return the best levels of an answer as `OrderBook.top` does."""
    bid, bid_size = max((level for level in told.bids if level[1]), default=(0, 0))
    ask, ask_size = min((level for level in told.asks if level[1]), default=(ONE_DOLLAR, 0))
    return bid, bid_size, ask, ask_size


def difference(book: OrderBook, told: BookTold) -> str:
    """Return where the two differ, as a person reads it: "bid 0.48: 100 here, 120 there"."""
    found = [
        *_differing("bid", book.bids, dict(told.bids)),
        *_differing("ask", book.asks, _asks(told)),
    ]
    more = f", {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return ", ".join(found[:_SHOWN]) + more


def _asks(told: BookTold) -> dict[int, Lots]:
    return {ONE_DOLLAR - price: size for price, size in told.asks}


def _equal(ladder: Ladder, told: dict[int, Lots]) -> bool:
    return ladder.sizes == told


def _differing(side: str, ladder: Ladder, told: dict[int, Lots]) -> Iterator[str]:
    for key in sorted(ladder.sizes.keys() | told.keys(), reverse=True):
        ours, theirs = ladder.sizes.get(key, 0), told.get(key, 0)
        if ours != theirs:
            price = key if side == "bid" else ONE_DOLLAR - key
            yield (
                f"{side} {price / ONE_DOLLAR:.4f}: "
                f"{ours / ONE_CONTRACT:g} here, {theirs / ONE_CONTRACT:g} there"
            )
