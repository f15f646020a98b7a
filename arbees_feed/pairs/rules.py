"""The user's mapping, in terms of markets that are there. Pure.

A line may name a Polymarket market by token, condition or slug; which market that is, metadata
tells, maybe later. Until then the line waits, and can be named as unknown.
"""

from collections.abc import Collection, Iterator, Mapping

from arbees_feed.matching.matches import Key
from arbees_feed.pairs.mapping import NO_MAPPING, Action, Rule
from arbees_feed.pairs.mapping import Mapping as UserMapping


class Rules:
    """What a person has decided of which pair."""

    def __init__(self, mapping: UserMapping = NO_MAPPING) -> None:
        self.mapping = mapping
        self._waiting: dict[str, list[Rule]] = {}
        self._alone: set[str] = set()
        self._decided: dict[Key, Rule] = {}
        self._wanted: dict[str, set[Key]] = {}
        for rule in mapping.rules:
            if rule.polymarket:
                self._waiting.setdefault(rule.polymarket, []).append(rule)
            else:
                self._alone.add(rule.kalshi)

    def learn(self, market: str, meta: Mapping[str, str]) -> None:
        """Note what the lines mean that name this Polymarket market."""
        for name in (market, meta.get("condition_id", ""), meta.get("slug", "")):
            for rule in self._waiting.pop(name, ()):
                self._resolve(rule, market)

    def _resolve(self, rule: Rule, token: str) -> None:
        key = (rule.kalshi, token)
        if not rule.kalshi:
            self._alone.add(token)
        elif key not in self._decided or rule.action is Action.FORBID:
            # One market may be called by several names: then what forbids it holds.
            self._decided[key] = rule
            for market in key:
                self._wanted.setdefault(market, set()).add(key)

    def forbids(self, key: Key) -> bool:
        """Return whether this is no pair, whatever the matcher says."""
        rule = self._decided.get(key)
        forbidden = rule is not None and rule.action is Action.FORBID
        return forbidden or not self._alone.isdisjoint(key)

    def wants(self, key: Key) -> Rule | None:
        """Return the line that makes this a pair, if there is one."""
        return None if self.forbids(key) else self._decided.get(key)

    def wanted_with(self, market: str) -> Iterator[Key]:
        """Yield the pairs that the file wants *market* to be in."""
        return (key for key in self._wanted.get(market, ()) if self.wants(key) is not None)

    def unknown(self, known: Collection[str]) -> Iterator[tuple[int, str]]:
        """Yield line and name of each market of the file that is not there."""
        for rule in self.mapping.rules:
            if rule.kalshi and rule.kalshi not in known:
                yield rule.line, rule.kalshi
            if rule.polymarket in self._waiting:
                yield rule.line, rule.polymarket
