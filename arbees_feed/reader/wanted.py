"""What a reader follows, checked once. Pure."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from arbees_feed.core.wire import Names
from arbees_feed.errors import SettingsError

VENUES: Final = ("kalshi", "polymarket")
"""Venues whose feeds are looked for when a reader starts; others are learnt from heartbeats."""

_GLOB: Final = str.maketrans({character: f"\\{character}" for character in "*?[]\\^"})
_ID = re.compile(r"[!-~]{1,256}")


class Wanted:
    """Markets by id, pattern, event and lease. All markets, if none of these is given."""

    def __init__(
        self,
        names: Names,
        *,
        markets: Iterable[str] | None = None,
        patterns: Iterable[str] | None = None,
        events: Iterable[str] | None = None,
        watch: Mapping[str, Iterable[str]] | None = None,
    ) -> None:
        """Check what was asked for.

        Raises:
            SettingsError: something is no id, or a single text stands where several are expected.
        """
        self.names = names
        self.watch = {venue: _ids(f"watch[{venue!r}]", ids) for venue, ids in (watch or {}).items()}
        leased = [market for ids in self.watch.values() for market in ids]
        self.markets: dict[str, None] = dict.fromkeys([*_ids("markets", markets or ()), *leased])
        self.events = _ids("events", events or ())
        everything = all(given is None for given in (markets, patterns, events, watch))
        self.patterns = ("*",) if everything else _ids("patterns", patterns or ())
        self.of_events: dict[str, None] = {}
        """Markets that were found in the events."""
        self.version = 0
        """Another one after each change of `named`: to look whether there is one costs nothing."""

    def add(self, markets: Iterable[str]) -> list[str]:
        """Follow more markets; return those that were not named before.

        Raises:
            SettingsError: one is no market id.
        """
        new = [market for market in _ids("markets", markets) if market not in self.markets]
        self.markets.update(dict.fromkeys(new))
        self.version += 1
        return new

    def drop(self, markets: Iterable[str]) -> None:
        """Follow markets no more, unless by event or pattern."""
        for market in markets:
            self.markets.pop(market, None)
        self.version += 1

    def found(self, markets: Iterable[str]) -> None:
        """Follow markets of an event, besides those that were found before."""
        before = len(self.of_events)
        self.of_events.update(dict.fromkeys(markets))
        self.version += len(self.of_events) != before

    def follows(self, market: str) -> bool:
        """Return whether a market is named, or of an event."""
        return market in self.markets or market in self.of_events

    @property
    def named(self) -> list[str]:
        """The markets to subscribe to one by one."""
        return list(self.markets | self.of_events)

    def channels(self, markets: Iterable[str]) -> list[str]:
        """Return the channels of *markets*."""
        return [self.names.price(market) for market in markets]

    @property
    def channel_patterns(self) -> list[str]:
        """The patterns of channels; the prefix stands for itself."""
        unprefixed = Names()
        prefix = self.names.prefix.translate(_GLOB)
        return [prefix + unprefixed.price(pattern) for pattern in self.patterns]

    def venues(self, known: Iterable[str]) -> list[str]:
        """Return the venues to ask about: ours, and those that were heard of."""
        return list(dict.fromkeys([*VENUES, *self.watch, *known]))


def _ids(what: str, ids: Iterable[str]) -> tuple[str, ...]:
    if isinstance(ids, str):
        raise SettingsError(f"{what}: a list is expected, as in [{ids!r}]")
    unique = tuple(dict.fromkeys(ids))
    for text in unique:
        if not isinstance(text, str) or not _ID.fullmatch(text):
            raise SettingsError(f"{what}: {text!r} is no id (1 to 256 characters without blanks)")
    return unique
