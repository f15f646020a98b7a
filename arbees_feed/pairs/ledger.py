"""Which pairs there are, kept in step with what the venues say of their markets. Pure.

A market that is new, or says something else than before, is parsed and judged against those that
may ask the same; nothing else is looked at. What a person has decided wins over every verdict.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec

from arbees_feed.matching.frame import Frame
from arbees_feed.matching.index import Index
from arbees_feed.matching.judge import Verdict, judge
from arbees_feed.matching.kalshi import parse_kalshi
from arbees_feed.matching.polymarket import parse_polymarket
from arbees_feed.pairs.fees import Fees, fees_of
from arbees_feed.pairs.listings import KALSHI, kalshi_listing, polymarket_listing
from arbees_feed.pairs.metadata import Meta
from arbees_feed.pairs.price import INVERTED, SAME
from arbees_feed.pairs.rules import Key, Rules
from arbees_feed.pairs.store import PairRecord
from arbees_feed.pairs.table import Terms

ENDED: Final = frozenset({"closed", "settled"})
KEPT_GRADES: Final = frozenset({"identical", "same_question", "probable"})
BY_USER: Final = "user"


class Pair(msgspec.Struct, frozen=True):
    """A pair that is there: what is written of it, and what it is priced by."""

    record: PairRecord
    terms: Terms | None
    """None unless it is confirmed: nobody trades on what is only probable."""


class Changes(msgspec.Struct):
    """What a look at some markets has changed."""

    put: dict[str, Pair] = {}
    """New pairs, and those that are not as before."""
    retired: dict[str, tuple[PairRecord, str]] = {}
    """Pairs that are no more, and why."""

    def add(self, other: "Changes") -> None:
        """Take over what came later."""
        for pair in other.put:
            self.retired.pop(pair, None)
        for pair in other.retired:
            self.put.pop(pair, None)
        self.put.update(other.put)
        self.retired.update(other.retired)


class _Market(msgspec.Struct, gc=False):
    """What is remembered of a market."""

    frame: Frame
    digest: bytes
    fees: Fees | None
    fees_told: bool


class Ledger:
    """All markets of both venues, and the pairs among them."""

    def __init__(self, now: Callable[[], str], rules: Rules | None = None) -> None:
        """*now* is RFC 3339, for `since`."""
        self._now = now
        self._rules = rules or Rules()
        self._index = Index()
        self._markets: dict[str, _Market] = {}
        self._found: dict[str, dict[Key, Pair]] = {}
        """What was judged to be a pair, by either market; before ambiguity is looked at."""
        self._pairs: dict[str, Pair] = {}
        self._shown: dict[str, set[str]] = {}
        """Ids of pairs by their Kalshi market."""
        self._since: dict[str, tuple[str, str, str]] = {}
        """Grade, polarity and since when, of pairs that a former run has found."""
        self.judged = 0
        """How often two markets were compared."""

    @property
    def pairs(self) -> Mapping[str, Pair]:
        """All pairs by their ids."""
        return self._pairs

    @property
    def markets(self) -> int:
        """How many markets are known."""
        return len(self._markets)

    def remember(self, written: Mapping[str, Mapping[str, str]]) -> None:
        """Take the hashes of a former run: what is found again has been there since then."""
        for pair_id, fields in written.items():
            grade, polarity = fields.get("grade", ""), fields.get("polarity", "")
            self._since[pair_id] = (grade, polarity, fields.get("since", ""))

    def unknown(self) -> Iterable[tuple[int, str]]:
        """Yield line and name of what the user's file names and is not there."""
        return self._rules.unknown(self._markets)

    def put(self, meta: Meta) -> Changes:
        """Take what a venue says of a market."""
        if meta.fields.get("status") in ENDED:
            return self.drop(meta.market_id, f"{meta.venue}: the market has ended")
        digest = hashlib.blake2b(repr(sorted(meta.fields.items())).encode(), digest_size=8).digest()
        known = self._markets.get(meta.market_id)
        if known is not None and known.digest == digest:
            return Changes()
        frame = self._parsed(meta)
        fees, told = fees_of(meta.fields)
        self._markets[meta.market_id] = _Market(frame, digest, fees, told)
        self._index.add(frame)
        return self._judged(frame)

    def drop(self, market: str, reason: str) -> Changes:
        """Forget a market; its pairs are retired."""
        known = self._markets.pop(market, None)
        if known is None:
            return Changes()
        self._index.remove(market)
        return self._settled(dict.fromkeys(self._found.get(market, ())), reason)

    def _parsed(self, meta: Meta) -> Frame:
        if meta.venue == KALSHI:
            return parse_kalshi(kalshi_listing(meta.market_id, meta.fields))
        self._rules.learn(meta.market_id, meta.fields)
        return parse_polymarket(polymarket_listing(meta.market_id, meta.fields))

    def _judged(self, frame: Frame) -> Changes:
        """Compare *frame* with those it may match; say what is new, other or gone."""
        keys = {_key(frame, other) for other in self._index.candidates(frame)}
        keys.update(self._rules.wanted_with(frame.market_id))
        keys.update(self._found.get(frame.market_id, ()))
        judged = {key: self._pair(key) for key in keys}
        return self._settled(judged, "what a venue says of it has changed")

    def _pair(self, key: Key) -> Pair | None:
        """Return the pair that two markets are, if they are one."""
        kalshi, polymarket = (self._markets.get(market) for market in key)
        if kalshi is None or polymarket is None or self._rules.forbids(key):
            return None
        self.judged += 1
        verdict = judge(kalshi.frame, polymarket.frame)
        record = self._record(key, verdict)
        if record is None:
            return None
        terms = None
        if record.grade != "probable":
            terms = Terms(
                record.pair_id, *key, record.polarity, kalshi.fees, polymarket.fees,
                kalshi.fees_told and polymarket.fees_told,
            )  # fmt: skip
        return Pair(record, terms)

    def _record(self, key: Key, verdict: Verdict) -> PairRecord | None:
        """Return what is to be written of two markets, or None if they are no pair."""
        grade, polarity, confidence, by = (
            verdict.grade, verdict.polarity, verdict.confidence, "matcher",
        )  # fmt: skip
        conflicts = list(verdict.conflicts)
        if (rule := self._rules.wants(key)) is not None:
            if rule.polarity and polarity in {SAME, INVERTED} and rule.polarity != polarity:
                conflicts.append(f"the matcher says {polarity}")
            by, confidence = BY_USER, 1.0
            polarity = rule.polarity or polarity  # type: ignore[assignment]
            grade = grade if verdict.confirmed else "same_question"
        if grade not in KEPT_GRADES or polarity not in {SAME, INVERTED}:
            return None
        return PairRecord(
            pair_id=pair_id_of(key),
            kalshi_id=key[0],
            polymarket_id=key[1],
            grade=grade,
            confidence=confidence,
            polarity=polarity,
            by=by,
            reasons="; ".join(reason.text() for reason in verdict.reasons),
            conflicts="; ".join(conflicts),
            since="",
        )

    def _settled(self, judged: Mapping[Key, Pair | None], reason: str) -> Changes:
        """Take new judgements; return what has changed by them."""
        for key, pair in judged.items():
            for market in key:
                its = self._found.setdefault(market, {})
                if pair is None:
                    its.pop(key, None)
                else:
                    its[key] = pair
                if not its:
                    del self._found[market]
        changes = Changes()
        # A market that has a rival, or has lost it, is a matter of all that its partner fits.
        for kalshi in {near[0] for key in judged for near in (key, *self._found.get(key[1], ()))}:
            self._show(kalshi, reason, changes)
        return changes

    def _show(self, kalshi: str, reason: str, changes: Changes) -> None:
        """Note in *changes* how the pairs of one Kalshi market differ from what was shown."""
        found = self._found.get(kalshi, {}).values()
        pairs = {
            pair.record.pair_id: _doubted(pair) if self._has_rival(pair) else pair for pair in found
        }
        before = self._shown.pop(kalshi, set())
        if pairs:
            self._shown[kalshi] = set(pairs)
        for pair_id in before - pairs.keys():
            changes.retired[pair_id] = (self._pairs.pop(pair_id).record, reason)
            self._since.pop(pair_id, None)
        for pair_id, pair in pairs.items():
            if not _alike(self._pairs.get(pair_id), pair):
                changes.put[pair_id] = self._pairs[pair_id] = self._dated(pair)

    def _has_rival(self, pair: Pair) -> bool:
        """Return whether another pair leaves open which of them asks the question.

        Polymarket lists a question once, and of Kalshi's event one market asks it, each way round.
        If two markets match the same one, at least one asks something else: nobody can tell which.
        """
        if pair.terms is None or pair.record.by == BY_USER:
            return False
        ours, polarity = pair.record.kalshi_id, pair.record.polarity
        event = self._markets[ours].frame.event_id
        theirs = self._found.get(pair.record.polymarket_id, {}).values()
        return any(
            other.terms and other is not pair for other in self._found.get(ours, {}).values()
        ) or any(
            other.terms
            and other is not pair
            and other.record.polarity == polarity
            and event
            and self._markets[other.record.kalshi_id].frame.event_id == event
            for other in theirs
        )

    def _dated(self, pair: Pair) -> Pair:
        """Return *pair* with the time since when it has this grade and polarity."""
        record = pair.record
        grade, polarity, since = self._since.get(record.pair_id, ("", "", ""))
        if (grade, polarity) != (record.grade, record.polarity) or not since:
            since = self._now()
        self._since[record.pair_id] = (record.grade, record.polarity, since)
        return Pair(msgspec.structs.replace(record, since=since), pair.terms)


def _doubted(pair: Pair) -> Pair:
    conflicts = f"{pair.record.conflicts}; ambiguous".removeprefix("; ")
    record = msgspec.structs.replace(
        pair.record, grade="probable", confidence=0.5, conflicts=conflicts
    )
    return Pair(record, None)


def pair_id_of(key: Key) -> str:
    """Return the id of a pair: the ticker, and eight digits that stand for the token."""
    ticker, token = key
    return f"{ticker}.{hashlib.blake2b(token.encode(), digest_size=4).hexdigest()}"


def _key(frame: Frame, other: Frame) -> Key:
    if frame.venue == KALSHI:
        return frame.market_id, other.market_id
    return other.market_id, frame.market_id


def _alike(known: Pair | None, pair: Pair) -> bool:
    """Return whether nothing has changed but the time at which it was found."""
    if known is None or known.terms != pair.terms:
        return False
    return known.record == msgspec.structs.replace(pair.record, since=known.record.since)
