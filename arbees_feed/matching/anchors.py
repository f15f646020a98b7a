"""Which of many patterns may fit a text? Those whose rarest word stands in it. Pure.

Trying hundreds of patterns on each title takes a millisecond; looking up its words, a few
microseconds.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final, Generic, TypeVar

Item = TypeVar("Item")

_OPTIONAL: Final = re.compile(r"\([^()]*\)[?*]?|\{\w+\}|\.[*+]\??|\w[?*+]|:\?")
_GAP: Final = "\x00"


class Anchored(Generic[Item]):
    """Items by one word that a text must hold for them; items without such a word always fit."""

    def __init__(self, patterns: Iterable[tuple[str, Item]]) -> None:
        told = [(certain_words(pattern), item) for pattern, item in patterns]
        common = Counter(word for words, _item in told for word in words)
        self._by_word: dict[str, list[tuple[int, Item]]] = {}
        self._always: list[tuple[int, Item]] = []
        for place, (words, item) in enumerate(told):
            rarest = min(words, key=lambda word: (common[word], -len(word)), default="")
            held = self._by_word.setdefault(rarest, []) if rarest else self._always
            held.append((place, item))

    def fitting(self, text: str) -> Iterator[Item]:
        """Yield the items that may fit *text*, in the order in which they were given."""
        found = list(self._always)
        for word in {*text.split(), *text.replace(":", " ").split()}:
            found.extend(self._by_word.get(word, ()))
        for _place, item in sorted(found, key=lambda entry: entry[0]):
            yield item


def certain_words(pattern: str) -> set[str]:
    """Return the whole words that stand in every text that fits *pattern*."""
    bare = _OPTIONAL.sub(_GAP, pattern)
    bare = _OPTIONAL.sub(_GAP, bare).replace(":", " ").replace("\\", "")
    return {word for word in bare.split() if word.isalnum()}
