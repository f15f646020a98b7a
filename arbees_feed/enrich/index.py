"""The index by which titles are searched: which commands keep it (search.py reads it).

For each venue: a set of market ids for each word, the words in order of the alphabet (for
prefixes), and all markets by volume (for ranking). Sets rather than one sorted set of pairs: the
server intersects them, starting with the smallest, and a rare word costs a compact listpack only.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from arbees_feed.core.wire import Names


class Pipeline(Protocol):
    """The commands that are needed of a Redis pipeline."""

    # redis-py's keys are a union of types, and a Mapping is invariant in its keys.
    def sadd(self, name: str, *values: str) -> object:
        """Add members to a set."""

    def srem(self, name: str, *values: str) -> object:
        """Remove members of a set."""

    def zadd(self, name: str, mapping: Mapping[Any, Any]) -> object:
        """Add members to a sorted set, or set their scores."""

    def zrem(self, name: str, *values: str) -> object:
        """Remove members of a sorted set."""


class Entry(msgspec.Struct, frozen=True):
    """A market and the words it is found by."""

    market: str
    words: Sequence[str]


class TitleIndex:
    """Puts commands into pipelines, grouped by word."""

    def __init__(self, names: Names) -> None:
        self._names = names

    def add(self, pipeline: Pipeline, venue: str, entries: Iterable[Entry]) -> None:
        """Make markets findable."""
        by_word = _by_word(entries)
        for word, markets in by_word.items():
            pipeline.sadd(self._names.search(venue, word), *markets)
        if by_word:
            pipeline.zadd(self._names.search_words(venue), dict.fromkeys(by_word, 0))
            pipeline.sadd(self._names.search_venues(), venue)

    def remove(self, pipeline: Pipeline, venue: str, entries: Iterable[Entry]) -> None:
        """Take markets out of the sets of their words."""
        for word, markets in _by_word(entries).items():
            pipeline.srem(self._names.search(venue, word), *markets)

    def weigh(self, pipeline: Pipeline, venue: str, volumes: Mapping[str, float]) -> None:
        """Tell by which volumes markets are ranked."""
        if volumes:
            pipeline.zadd(self._names.volume(venue), volumes)

    def drop(self, pipeline: Pipeline, venue: str, markets: Sequence[str]) -> None:
        """Take markets out of the list of all."""
        if markets:
            pipeline.zrem(self._names.volume(venue), *markets)

    def drop_words(self, pipeline: Pipeline, venue: str, words: Sequence[str]) -> None:
        """Take words out of the alphabet that no market has any more."""
        if words:
            pipeline.zrem(self._names.search_words(venue), *words)


def _by_word(entries: Iterable[Entry]) -> Mapping[str, list[str]]:
    by_word: defaultdict[str, list[str]] = defaultdict(list)
    for entry in entries:
        for word in entry.words:
            by_word[word].append(entry.market)
    return by_word
