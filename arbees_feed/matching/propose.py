"""Look-alikes for a person to judge: titles that share rare words. Pure; never evidence.

Many like titles ask different things, so what is found here is shown (`match suggest
--look-alikes`) and confirmed by nothing but the user's mapping file.
"""

from array import array
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from heapq import nlargest
from math import fsum, log, sqrt
from typing import Final

import msgspec

from arbees_feed.matching.listing import TEXT_READ
from arbees_feed.matching.words import name_key

LEAST: Final = 0.7
"""From here on about half of what is found is the same question (docs/matching.md)."""
FOLLOWED: Final = 2_000
"""So many titles are looked at by their shared words, beginning with the rarest."""
SCORED: Final = 10
TOLD: Final = 3
"""Of those that share the most, so many are scored, and so many of each market considered."""


class LookAlike(msgspec.Struct, frozen=True, gc=False):
    """Two markets with like titles, and how like: 1.0 for the same words."""

    kalshi: str
    polymarket: str
    score: float


def look_alikes(
    kalshi: Mapping[str, str], polymarket: Mapping[str, str], *, least: float = LEAST
) -> Iterator[list[LookAlike]]:
    """Yield for each Kalshi market those with the most like titles; whole venues take seconds.

    Args:
        kalshi: titles by market id, with the outcome where the title lacks it.
        polymarket: the same of the other venue.
        least: the score below which nothing is told.
    """
    ours = {market: _words(title) for market, title in kalshi.items()}
    theirs = _Titles({market: _words(title) for market, title in polymarket.items()}, ours.values())
    for market, words in ours.items():
        near = theirs.nearest(words)
        yield [LookAlike(market, other, score) for other, score in near if score >= least]


def each_once(found: Iterable[LookAlike]) -> list[LookAlike]:
    """Return *found*, the most alike first, each market in the best that is left to it."""
    taken: set[str] = set()
    kept: list[LookAlike] = []
    for one in sorted(found, key=lambda one: (-one.score, one.kalshi, one.polymarket)):
        if taken.isdisjoint((one.kalshi, one.polymarket)):
            taken.update((one.kalshi, one.polymarket))
            kept.append(one)
    return kept


def _words(title: str) -> frozenset[str]:
    return frozenset(name_key(title[:TEXT_READ]).split())


class _Titles:
    """The titles of a venue by their words."""

    def __init__(
        self, titles: Mapping[str, frozenset[str]], others: Iterable[Collection[str]]
    ) -> None:
        """*others* are the other venue's titles: they count for how rare a word is."""
        self._titles = list(titles.items())
        counts = Counter(word for _, words in self._titles for word in words)
        total = len(self._titles)
        for words in others:
            counts.update(words)
            total += 1
        self._weights = {word: log(1 + total / count) for word, count in counts.items()}
        self._sums = [self._weight(words) for _, words in self._titles]
        self._holders: dict[str, array[int]] = {}
        for number, (_, words) in enumerate(self._titles):
            for word in words:
                self._holders.setdefault(word, array("I")).append(number)

    def nearest(self, words: frozenset[str]) -> Iterator[tuple[str, float]]:
        """Yield the markets whose titles are most like *words*, and how like."""
        own = self._weight(words)
        shared = self._sharing(words)
        scored = [
            (self._weight(words & self._titles[number][1]) / sqrt(own * self._sums[number]), number)
            for number in nlargest(SCORED, shared, key=lambda number: shared[number])
        ]
        for score, number in nlargest(TOLD, scored):
            yield self._titles[number][0], round(min(score, 1.0), 3)

    def _sharing(self, words: frozenset[str]) -> dict[int, float]:
        """Return by number the titles that share the rarest words, and what these weigh."""
        left = FOLLOWED
        shared: dict[int, float] = {}
        for word in sorted(words, key=lambda word: (-self._weights[word], word)):
            holders = self._holders.get(word, ())
            left -= len(holders)
            if left < 0:
                break
            for number in holders:
                shared[number] = shared.get(number, 0.0) + self._weights[word]
        return shared

    def _weight(self, words: Iterable[str]) -> float:
        """Return how much *words* tell: rare ones more, one that all titles hold a little."""
        return fsum(self._weights[word] for word in words)
