"""Which markets of two venues ask the same: kept in step market by market, rivals considered. Pure.

A market that comes or changes is judged against those that may ask the same; nothing else is looked
at. The service, the evaluation of labelled pairs and the benchmarks all ask this one place.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final, Protocol

import msgspec

from arbees_feed.matching.frame import Frame
from arbees_feed.matching.index import Index
from arbees_feed.matching.judge import CONFIRMED, Grade, Polarity, Verdict, judge, refused
from arbees_feed.matching.kalshi import VENUE as KALSHI

Key = tuple[str, str]
"""A pair: the id of Kalshi's market (a ticker) and that of Polymarket's (the YES token)."""

KEPT: Final[frozenset[Grade]] = frozenset({*CONFIRMED, "probable"})
"""Grades that are told; what is related or different is forgotten."""
START_UNKNOWN: Final = "start_time_unknown"
"""A side does not tell the hour of a game (data/kinds.toml): it may be another one of that day."""
_POLARITIES: Final[Mapping[str, Polarity]] = {"same": "same", "inverted": "inverted"}


class Wish(Protocol):
    """That a person wants two markets to be a pair."""

    @property
    def polarity(self) -> str:
        """`same` or `inverted`; empty where the matcher may tell it."""


class Decisions(Protocol):
    """What a person has decided; it wins over every verdict."""

    def forbids(self, key: Key) -> bool:
        """Return whether this is never a pair."""

    def wants(self, key: Key) -> Wish | None:
        """Return the wish that makes this a pair, if there is one."""

    def wanted_with(self, market: str) -> Iterable[Key]:
        """Return the wanted pairs that a market is in."""


class NoDecisions:
    """Nobody has decided anything."""

    def forbids(self, _key: Key) -> bool:
        """Return False."""
        return False

    def wants(self, _key: Key) -> None:
        """Return None."""

    def wanted_with(self, _market: str) -> Iterable[Key]:
        """Return nothing."""
        return ()


class Match(msgspec.Struct, frozen=True, gc=False):
    """Two markets that are a pair, or may be one: its grade is one of `KEPT`."""

    key: Key
    verdict: Verdict
    by_user: bool = False


class Matches:
    """All markets of both venues, and the pairs among them.

    Market ids are unique over both venues: Kalshi's are tickers, Polymarket's token numbers.
    """

    def __init__(self, decisions: Decisions | None = None) -> None:
        self._decisions = decisions or NoDecisions()
        self._index = Index()
        self._found: dict[str, dict[Key, Match]] = {}
        """What was judged to be a pair, by either market; before rivals are looked at."""
        self.judged = 0
        """How often two markets were compared."""

    def __len__(self) -> int:
        """Return how many markets are held."""
        return len(self._index)

    def __iter__(self) -> Iterator[Match]:
        """Yield all pairs, each once, rivals considered."""
        for market, its in self._found.items():
            for key, match in its.items():
                if key[0] == market:
                    yield self._considered(match)

    def put(self, frame: Frame) -> Collection[Key]:
        """Hold *frame*, in place of an older one of its market, and judge what it may ask.

        Returns:
            The pairs that may be other than before: those of this market, and those that have
            gained or lost a rival by it. `get` tells what each is now.
        """
        self._index.add(frame)
        market = frame.market_id
        keys = [_key(frame, other) for other in self._index.candidates(frame)]
        keys += [*self._decisions.wanted_with(market), *self._found.get(market, ())]
        return self._settle({key: self._judge(key) for key in dict.fromkeys(keys)})

    def drop(self, market: str) -> Collection[Key]:
        """Forget a market; return the pairs that may be other than before, as `put` does."""
        self._index.remove(market)
        return self._settle(dict.fromkeys(self._found.get(market, ())))

    def get(self, key: Key) -> Match | None:
        """Return what two markets are to each other, or None if they are no pair."""
        match = self._found.get(key[0], {}).get(key)
        return None if match is None else self._considered(match)

    def _judge(self, key: Key) -> Match | None:
        kalshi, polymarket = (self._index.frame(market) for market in key)
        if kalshi is None or polymarket is None or self._decisions.forbids(key):
            return None
        self.judged += 1
        match = Match(key, judge(kalshi, polymarket))
        wish = self._decisions.wants(key)
        if wish is not None:
            match = _wanted(match, wish)
        kept = match.verdict.grade in KEPT and match.verdict.polarity != "unknown"
        return match if kept else None

    def _settle(self, judged: Mapping[Key, Match | None]) -> Collection[Key]:
        """Take new judgements; return what may be other than before by them."""
        touched = dict.fromkeys(judged)
        for key, match in judged.items():
            before = self._found.get(key[0], {}).get(key)
            self._hold(key, match)
            if any(one is not None and one.verdict.confirmed for one in (before, match)):
                # A market that has a rival, or has lost it, is a matter of all that it fits.
                touched.update((near.key, None) for leg in key for near in self._confirmed(leg))
        return touched.keys()

    def _hold(self, key: Key, match: Match | None) -> None:
        for market in key:
            its = self._found.setdefault(market, {})
            if match is None:
                its.pop(key, None)
            else:
                its[key] = match
            if not its:
                del self._found[market]

    def _confirmed(self, market: str) -> Iterator[Match]:
        its = self._found.get(market, {}).values()
        return (match for match in its if match.verdict.confirmed)

    def _considered(self, match: Match) -> Match:
        if match.by_user or not match.verdict.confirmed or not self._has_rival(match):
            return match
        return Match(match.key, refused(match.verdict))

    def _has_rival(self, match: Match) -> bool:
        """Return whether another pair leaves open which of them asks the question.

        Polymarket lists a question once, and of Kalshi's event one market asks it, each way round;
        two games on a day are two events. If two markets match the same one, at least one asks
        something else: nobody can tell which.
        """
        ours, theirs = match.key
        return any(other is not match for other in self._confirmed(ours)) or any(
            other is not match
            and other.verdict.polarity == match.verdict.polarity
            and self._are_rivals(match, other)
            for other in self._confirmed(theirs)
        )

    def _are_rivals(self, match: Match, other: Match) -> bool:
        if START_UNKNOWN in match.verdict.conflicts:
            return True
        event = self._event(match.key[0])
        return bool(event) and self._event(other.key[0]) == event

    def _event(self, market: str) -> str:
        frame = self._index.frame(market)
        return frame.event_id if frame else ""


def _key(frame: Frame, other: Frame) -> Key:
    if frame.venue == KALSHI:
        return frame.market_id, other.market_id
    return other.market_id, frame.market_id


def _wanted(match: Match, wish: Wish) -> Match:
    """Return the match of two markets that a person wants to be a pair."""
    verdict, told = match.verdict, _POLARITIES.get(wish.polarity)
    contradicted = told is not None and verdict.polarity not in ("unknown", told)
    said = (f"the matcher says {verdict.polarity}",) if contradicted else ()
    decided = msgspec.structs.replace(
        verdict,
        grade=verdict.grade if verdict.confirmed else "same_question",
        polarity=told or verdict.polarity,
        confidence=1.0,
        conflicts=(*verdict.conflicts, *said),
    )
    return Match(match.key, decided, by_user=True)
