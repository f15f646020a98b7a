"""Look-alikes for a person to judge: titles that share rare words. Pure; never evidence.

Similar titles are wrong four times of five, so what is found here is shown (`match suggest`) and
confirmed by nothing but the user's mapping file.
"""

from array import array
from collections.abc import Iterable
from math import fsum, log, sqrt
from sys import intern
from typing import Final

import msgspec

from arbees_feed.matching.words import name_key

COMMON: Final = 2000
"""A word of more titles than this says nothing and is not followed."""


class Proposal(msgspec.Struct, frozen=True, gc=False):
    """A market whose title is like another's, and how much: 1.0 for the same words."""

    market_id: str
    score: float


class _Title(msgspec.Struct, frozen=True, gc=False):
    market_id: str
    venue: str
    words: tuple[str, ...]


class Proposals:
    """Titles of both venues by their words; kept small, for they are many."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._titles: list[_Title | None] = []
        self._holders: dict[str, array[int]] = {}

    def add(self, market_id: str, venue: str, title: str) -> None:
        """Hold a title, in place of an older one of the market."""
        self.remove(market_id)
        number = len(self._titles)
        words = tuple(intern(word) for word in sorted(set(name_key(title).split())))
        self._numbers[market_id] = number
        self._titles.append(_Title(market_id, venue, words))
        for word in words:
            self._holders.setdefault(word, array("I")).append(number)

    def remove(self, market_id: str) -> None:
        """Forget a market; one that is not held is nothing."""
        number = self._numbers.pop(market_id, None)
        if number is not None:
            # Its number stays with its words, and leads to nothing.
            self._titles[number] = None

    def near(self, market_id: str, *, limit: int = 5, least: float = 0.6) -> list[Proposal]:
        """Return markets of the other venue with like titles, the most alike first."""
        number = self._numbers.get(market_id)
        title = self._titles[number] if number is not None else None
        if title is None:
            return []
        others = (self._titles[other] for other in self._sharing(title.words))
        scored = [
            Proposal(other.market_id, round(self._score(title.words, other.words), 3))
            for other in others
            if other is not None and other.venue != title.venue
        ]
        kept = [proposal for proposal in scored if proposal.score >= least]
        return sorted(kept, key=lambda one: (-one.score, one.market_id))[:limit]

    def _sharing(self, words: tuple[str, ...]) -> set[int]:
        found: set[int] = set()
        for word in words:
            holders = self._holders[word]
            if len(holders) <= COMMON:
                found.update(holders)
        return found

    def _score(self, words: tuple[str, ...], theirs: tuple[str, ...]) -> float:
        both = self._weight(words) * self._weight(theirs)
        shared = self._weight(sorted({*words} & {*theirs}))
        return shared / sqrt(both) if both else 0.0

    def _weight(self, words: Iterable[str]) -> float:
        """Return how much *words* tell: rare ones more, a word that all titles hold a little."""
        total = 1 + len(self._titles)
        return fsum(log(1 + total / len(self._holders[word])) for word in words)
